// group_scale: derive the scale that a group of elements shares.
//
// A scale has to be large enough for the largest element of its group and no larger, or the small
// ones lose bits for nothing. How it follows from the elements is the one thing in which codecs
// differ most, and the order of roundings in it is visible in the codes.
//
//     largest          f32(max |x| / divisor), then f32(. / tensor's scale) if there is one
//     signedLargest    the same of the first x of largest magnitude, with its sign
//     powerOfTwo       2^(floor(log2 max |x|) - floor(log2 largest element)), 0 for zeros
//     span             f32(f32(max(x, 0) - min(x, 0)) / divisor)
//
// Refused with a ShapeError: a row that groups do not divide, NaN where no code is NaN, infinities
// and NaN where a scale is computed from them, a given scale that is no positive number.
//
// Sources: at each codec in codec.hpp. Checked in tests/quantize_test.cpp.
// Not said here: how the scale is stored, and what is done with it (quantize.hpp).
#pragma once
#include "codec.hpp"

namespace kv {

/// What the caller supplies: one scale a group where the rule says given, and the tensor's scale.
struct Given {
    std::span<float const> scales{};
    float tensor = 1;
};

namespace detail {

[[noreturn]] inline void refuse(Codec const& c, std::string const& what) {
    throw ShapeError(std::string(c.name) + ": " + what);
}

/// One operation of the engine: the exact result, rounded to f32.
constexpr Dyadic f32(Dyadic const& x) { return decode(formats::f32, encode(formats::f32, x)); }

/// -1, 0 or 1 as |a| is below, at or above |b|; both finite.
constexpr int compared(Dyadic const& a, Dyadic const& b) {
    auto const difference = magnitude(a) - magnitude(b);
    return difference.isZero() ? 0 : difference.negative ? -1 : 1;
}

/// Elements a group, in a row of this length.
constexpr std::size_t groupOf(Codec const& c, std::size_t length) {
    std::size_t const group = c.group == 0 ? length : c.group;
    if (length == 0 || length % group != 0)
        refuse(c, "a row of " + std::to_string(length) + " elements; it takes multiples of " +
                      std::to_string(group == 0 ? 1 : group) + ", at least one");
    return group;
}

constexpr void requirePositive(Codec const& c, float given, std::string_view which) {
    auto const s = exactly(given);
    if (s.kind != Kind::finite || s.negative || s.isZero())
        refuse(c, std::string(which) + " that is no positive number; give one");
}

constexpr void requireGiven(Codec const& c, std::size_t groups, Given const& given) {
    std::size_t const wanted = c.scale == ScaleRule::given ? groups : 0;
    if (given.scales.size() != wanted)
        refuse(c, std::to_string(given.scales.size()) + " scales given; it takes " +
                      std::to_string(wanted));
    for (float s : given.scales) requirePositive(c, s, "a scale");
    requirePositive(c, given.tensor, "a tensor's scale");
    if (!c.tensorScale && given.tensor != 1) refuse(c, "a tensor's scale, where it has none");
}

constexpr void requireElement(Codec const& c, Dyadic const& x, std::size_t i) {
    bool const floating = std::holds_alternative<Format>(c.element);
    bool const hasNaN = floating && std::get<Format>(c.element).hasNaN();
    bool const computed = c.scale != ScaleRule::none && c.scale != ScaleRule::given;
    bool const bad = x.kind == Kind::notANumber ? computed || !hasNaN
                                                : x.kind == Kind::infinite && computed;
    if (bad)
        refuse(c, std::string(x.kind == Kind::infinite ? "an infinity" : "NaN") + " at element " +
                      std::to_string(i) + "; its codes are of finite numbers");
}

/// What the scale rules read of a group. With a rule that reads it, elements are finite.
struct Extremes {
    Dyadic largest{}, signedLargest{}, low{}, high{};
};
constexpr Extremes extremesOf(std::span<Dyadic const> group) {
    Extremes e;
    for (auto const& x : group) {
        if (compared(x, e.signedLargest) > 0) e.signedLargest = x;
        auto& end = x.negative ? e.low : e.high;
        if (compared(x, end) > 0) end = x;
    }
    e.largest = magnitude(e.signedLargest);
    return e;
}

/// The scale before it is stored, in f32.
constexpr Dyadic scaleOf(Codec const& c, Extremes const& e, float tensor) {
    if (c.scale == ScaleRule::powerOfTwo) {
        auto const& format = std::get<Format>(c.element);
        if (e.largest.isZero()) return {};
        return dyadic(false, 1, e.largest.lead() - decode(format, format.largestCode()).lead());
    }
    auto const top = c.scale == ScaleRule::span            ? f32(e.high - e.low)
                     : c.scale == ScaleRule::signedLargest ? e.signedLargest
                                                           : e.largest;
    auto s = f32(top / whole(c.divisor));
    if (c.tensorScale) s = f32(s / exactly(tensor));
    auto const least = decode(formats::f32, c.leastScale);
    return s.kind == Kind::finite && compared(s, least) < 0 ? least : s;
}

/// The code of 0 in a group.
constexpr std::int32_t zeroOf(Codec const& c, Extremes const& e, Dyadic const& scale) {
    if (!std::holds_alternative<Integers>(c.element)) return 0;
    auto const& n = std::get<Integers>(c.element);
    if (c.scale != ScaleRule::span || scale.isZero()) return n.zero;
    return n.lowest + roundedInteger(f32(-e.low / scale), c.rounding, 0, n.highest - n.lowest);
}

}  // namespace detail

static_assert(detail::scaleOf(codecs::q8_0, {.largest = whole(254)}, 1) == whole(2));
static_assert(detail::scaleOf(codecs::mxfp4, {.largest = whole(13)}, 1) == whole(2));  // 8 / 4

}  // namespace kv

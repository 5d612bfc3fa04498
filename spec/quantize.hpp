// quantize: turn a row into codes and scales, and back.
//
// What a cache stores decides what attention can see. Comparing dequantised values cannot tell a
// wrong code from a coarse format, and a tolerance wide enough for the format hides a truncation
// for a rounding (vllm pull request 45361). So this says the codes themselves, each determined by
// the declared codec alone, in integer arithmetic, to be compared bit for bit.
//
//     quantize   : Codec x f32[n] -> codes[n], scales[n / group], zeros[n / group]
//     dequantize : Codec x codes  -> f32[n]      exact, then rounded once into `into`
//
//     quantize(c, dequantize(c, quantize(c, x))).codes = quantize(c, x).codes
//
// The last line is a theorem for some codecs only. While no value that is read back is subnormal or
// infinite it holds without scales, for given scales, for largest / divisor with integers, and for
// q8_0 and q4_0 unless the scale is stored as 0; for MX formats it always holds. It fails for NVFP4
// where the stored scale is subnormal, and for zero points where both ends of the span round
// inward. The scale itself may move by one unit.
//
// A group of zeros has codes of zero. Its scale is what the rule says: 0, -0 for q4_0, the least
// scale where one is declared, 2^-127 in e8m0. Where the scale that divides is 0, elements are
// multiplied by 0, as in the engines. Refused with a ShapeError: what group_scale.hpp refuses, and
// a reciprocal or a span that overflows: engines then convert infinities to integers, undefined.
//
// Checked against engines' formulas in plain floats, and hardware, in tests/quantize_test.cpp.
// Not said here: how codes are packed into bytes, and who chooses given scales.
#pragma once
#include "group_scale.hpp"

namespace kv {

/// A row as stored. Codes are the integers stored, or the bit patterns of the element's format.
struct Quantized {
    std::vector<std::int32_t> codes{};
    std::vector<std::uint32_t> scales{};  ///< [groups], codes of the scale's format, or empty
    std::vector<std::int32_t> zeros{};    ///< [groups], the code of 0; not a span: empty
    float tensor = 1;
    friend bool operator==(Quantized const&, Quantized const&) = default;
};

namespace detail {

struct Divider {
    bool multiplies;  ///< with `by`; otherwise elements are divided by it
    Dyadic by;
};
constexpr Divider dividerOf(Codec const& c, Dyadic const& scale, Dyadic const& largest) {
    bool const inverse = c.division == Division::inverse;
    if (inverse ? largest.isZero() : scale.isZero()) return {true, {}};
    Divider divider{c.division != Division::divide, scale};
    if (inverse) divider.by = f32(whole(c.divisor) / largest);
    if (c.division == Division::reciprocal) divider.by = f32(whole(1) / scale);
    if (divider.by.kind != Kind::finite)
        refuse(c, "a scale, or its reciprocal, beyond f32; its codes are undefined");
    return divider;
}

/// The code of an element that was divided by its scale.
constexpr std::int32_t codeOf(Codec const& c, Dyadic const& t, std::int32_t zero) {
    if (std::holds_alternative<Format>(c.element))
        return static_cast<std::int32_t>(encode(std::get<Format>(c.element), t, c.rounding));
    auto const& n = std::get<Integers>(c.element);
    if (n.addsHalf)
        return roundedInteger(f32(t + dyadic(false, 2 * static_cast<unsigned>(zero) + 1, -1)),
                              c.rounding, n.lowest, n.highest);
    return zero + roundedInteger(t, c.rounding, n.lowest - zero, n.highest - zero);
}

/// The number that a code stands for, in units of its scale.
constexpr Dyadic elementOf(Codec const& c, std::int32_t code, std::int32_t zero) {
    if (std::holds_alternative<Format>(c.element))
        return decode(std::get<Format>(c.element), static_cast<std::uint32_t>(code));
    auto const& n = std::get<Integers>(c.element);
    if (code < n.lowest || code > n.highest)
        refuse(c, "code " + std::to_string(code) + "; it is out of range");
    return whole(code - (c.scale == ScaleRule::span ? zero : n.zero));
}

/// Appends the codes of group number `g`.
constexpr void quantizeGroup(Codec const& c, std::span<Dyadic const> group, std::size_t g,
                             Given const& given, Quantized& out) {
    bool const computed = c.scale != ScaleRule::none && c.scale != ScaleRule::given;
    auto const extremes = extremesOf(computed ? group : group.first(0));
    Dyadic scale = whole(1);
    if (computed) scale = scaleOf(c, extremes, given.tensor);
    if (c.scale == ScaleRule::given) scale = exactly(given.scales[g]);
    if (c.scale != ScaleRule::none) {
        auto const rule = c.scale == ScaleRule::powerOfTwo ? Round::towardZero : Round::nearestEven;
        auto const code = encode(c.scaleFormat, scale, rule);
        out.scales.push_back(static_cast<std::uint32_t>(code));
        if (c.basis == Basis::stored) scale = decode(c.scaleFormat, code);
    }
    if (c.tensorScale) scale = f32(scale * exactly(given.tensor));
    auto const divider = dividerOf(c, scale, extremes.largest);
    auto const zero = zeroOf(c, extremes, scale);
    if (c.scale == ScaleRule::span) out.zeros.push_back(zero);
    for (auto const& x : group) {
        auto const t = f32(divider.multiplies ? x * divider.by : x / divider.by);
        out.codes.push_back(codeOf(c, t, zero));
    }
}

}  // namespace detail

/// The codes of a row. Throws a ShapeError as said above.
constexpr Quantized quantize(Codec const& c, std::span<float const> row, Given const& given = {}) {
    auto const group = detail::groupOf(c, row.size());
    detail::requireGiven(c, row.size() / group, given);
    std::vector<float> rotated;
    if (c.rotation.size != 0) rotated = turned(c.rotation, row);
    std::vector<Dyadic> elements;
    for (std::size_t i = 0; i < row.size(); ++i) {
        elements.push_back(exactly(c.rotation.size != 0 ? rotated[i] : row[i]));
        detail::requireElement(c, elements.back(), i);
    }
    Quantized out;
    out.tensor = given.tensor;
    for (std::size_t g = 0; g < row.size() / group; ++g)
        detail::quantizeGroup(c, std::span(elements).subspan(g * group, group), g, given, out);
    return out;
}

/// What a reader gets: the exact product, rounded once to `into`, in a float. Throws a ShapeError
/// where the codes are none of this codec's.
constexpr std::vector<float> dequantize(Codec const& c, Quantized const& q,
                                        Format const& into = formats::f32) {
    auto const group = detail::groupOf(c, q.codes.size()), groups = q.codes.size() / group;
    if (q.scales.size() != (c.scale == ScaleRule::none ? 0 : groups) ||
        q.zeros.size() != (c.scale == ScaleRule::span ? groups : 0))
        detail::refuse(c, "scales or zeros that are not one a group; it has " +
                              std::to_string(groups) + " groups");
    std::vector<float> row;
    for (std::size_t i = 0; i < q.codes.size(); ++i) {
        auto x = detail::elementOf(c, q.codes[i], q.zeros.empty() ? 0 : q.zeros[i / group]);
        if (!q.scales.empty()) x = x * decode(c.scaleFormat, q.scales[i / group]);
        if (c.tensorScale) x = x * exactly(q.tensor);
        row.push_back(toFloat(decode(into, encode(into, x))));
    }
    if (c.rotation.size != 0) row = undone(c.rotation, row);
    return row;
}

namespace examples {
inline constexpr float pair[] = {127, -3};
inline constexpr float scales[] = {2, 2};
static_assert(quantize(codecs::int8PerToken, pair).codes == std::vector<std::int32_t>{127, -3});
static_assert(quantize(codecs::int8PerChannel, pair, {scales}).codes[1] == -2);  // -3 / 2
static_assert(dequantize(codecs::bf16, quantize(codecs::bf16, pair))[0] == 127);
}  // namespace examples

}  // namespace kv

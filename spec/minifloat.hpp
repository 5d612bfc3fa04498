// minifloat: round a number into a format, and read it back.
//
// An engine's cache holds codes; what it computes with are numbers. Decoding loses nothing, and
// encoding rounds once. Both are integer arithmetic on the record of the format, so the compiler
// can evaluate them, and they are the same on every machine.
//
//     decode(f, encode(f, x)) = x       for each number x that f holds
//     encode(f, decode(f, c)) = c       for each code c of a number
//     encode(f, x) is monotone in x     by every rounding rule
//
// Codes below the sign grow with the magnitude that they stand for, one by one; hence rounding is
// rounding to an integer in units of the last place, and a carry out of the mantissa needs no care.
// Ties to even look at the last bit of the significand; where it is the only bit, as in e8m0, the
// larger magnitude wins (IEEE 754-2019, section 4.3.1).
//
// Overflow toward infinity, toward NaN, and saturating: OFP8 1.0, section 5, where saturation holds
// for infinities too. Toward zero nothing finite overflows (IEEE 754-2019, section 7.4). NaN has no
// sign and no payload here; an operation returns one quiet NaN.
//
// Checked against hardware and all codes of small formats in tests/quantize_test.cpp.
// Not said here: rows of such codes that share a scale (codec.hpp).
#pragma once
#include "dyadic.hpp"
#include "format.hpp"

#include <string>

namespace kv {

[[noreturn]] inline void refuse(Format const& f, std::string const& what) {
    throw ShapeError(std::string(f.name) + ": " + what);
}

/// The number that a code stands for. Throws a ShapeError for a code that the format lacks.
constexpr Dyadic decode(Format const& f, std::uint64_t code) {
    if (code >= f.codes())
        refuse(f, "code " + std::to_string(code) + ", which is not below " +
                      std::to_string(f.codes()));
    bool const negative = (code & f.signBit()) != 0;
    auto const bits = code & (f.signBit() - 1);
    bool const minusZero = negative && bits == 0;
    if (f.special == Special::onlyMinusZero ? minusZero : bits > f.largestCode())
        return f.special == Special::ieee && bits == f.largestCode() + 1 ? infinity(negative)
                                                                         : notANumber;
    auto const mantissa = bits & ((std::uint64_t{1} << f.mantissaBits) - 1);
    auto const field = static_cast<int>(bits >> f.mantissaBits);
    if (f.special == Special::scaleOnly) return dyadic(false, 1, f.unit() + field);
    if (field == 0) return dyadic(negative, mantissa, f.unit());
    return dyadic(negative, mantissa + (std::uint64_t{1} << f.mantissaBits), f.unit() + field - 1);
}

/// What becomes of an infinity and of a number beyond the largest.
constexpr std::uint64_t overflowed(Format const& f, bool negative) {
    auto const sign = negative ? f.signBit() : 0;
    if (f.overflow == Overflow::saturates) return sign | f.largestCode();
    if (f.overflow == Overflow::toInfinity && f.special == Special::ieee)
        return sign | (f.largestCode() + 1);
    if (f.overflow == Overflow::toInfinity || !f.hasNaN())
        refuse(f, "has no code for an overflow; only saturation is possible");
    return f.special == Special::onlyMinusZero ? f.codeOfNaN() : sign | f.codeOfNaN();
}

/// The code of x, rounded once. Throws a ShapeError where the format has none for it.
/// A format without zero takes its smallest number for it, and NaN for what is negative.
constexpr std::uint64_t encode(Format const& f, Dyadic const& x, Round rule = Round::nearestEven) {
    bool const scale = f.special == Special::scaleOnly;
    bool const below = scale && x.negative && !x.isZero();
    if (x.kind == Kind::notANumber || below) {
        if (!f.hasNaN()) refuse(f, "has no code for NaN");
        return f.codeOfNaN();
    }
    if (x.kind == Kind::infinite) return overflowed(f, x.negative);
    std::uint64_t bits = 0;
    if (!x.isZero()) {
        int const floor = f.unit(), place = x.lead() - f.mantissaBits;
        int const unit = place < floor ? floor : place;  // of the last place of the result
        bits = (static_cast<std::uint64_t>(unit - floor) << f.mantissaBits) +
               roundedShift(x, unit - x.exponent, rule);
    }
    if (scale) bits = bits < 1 ? 0 : bits - 1;
    if (bits > f.largestCode()) {
        if (rule != Round::towardZero) return overflowed(f, x.negative);
        bits = f.largestCode();
    }
    bool const unsignedZero = f.special == Special::onlyMinusZero && bits == 0;
    return x.negative && !unsignedZero ? f.signBit() | bits : bits;
}

/// An integer format: x rounded and clamped to [lowest, highest]; x is not NaN.
constexpr std::int32_t roundedInteger(Dyadic const& x, Round rule, std::int32_t lowest,
                                      std::int32_t highest) {
    bool const huge = x.kind == Kind::infinite || (x.significand != 0 && x.lead() >= 31);
    if (huge) return x.negative ? lowest : highest;
    auto const n = static_cast<std::int64_t>(roundedShift(x, -x.exponent, rule));
    auto const value = x.negative ? -n : n;
    return static_cast<std::int32_t>(value < lowest ? lowest : value > highest ? highest : value);
}

/// A float as it is, and the float next to a number.
constexpr Dyadic exactly(float x) { return decode(formats::f32, std::bit_cast<std::uint32_t>(x)); }
constexpr float toFloat(Dyadic const& x) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(encode(formats::f32, x)));
}

static_assert(toFloat(decode(formats::e4m3fn, 0x7E)) == 448 && exactly(448) == whole(448));
static_assert(encode(formats::e4m3fn, whole(464)) == 0x7E);
static_assert(encode(formats::e4m3fn, whole(465)) == 0x7F);  // NaN; saturating: 0x7E

}  // namespace kv

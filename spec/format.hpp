// format: say which numbers a floating-point format holds.
//
// A cache stores keys and values in few bits: a sign, an exponent, a mantissa. The formats in use
// differ in how many bits each of them has, in what the highest codes mean, and in what happens to
// a number that is too large. All of that is data here, one record a format, so that one decoding
// and one encoding serve f32 and the four bits of e2m1 alike.
//
//     code = s E..E M..M        from the highest bit to the lowest
//
//     (-1)^s * 1.M * 2^(E - bias)      E > 0
//     (-1)^s * 0.M * 2^(1 - bias)      E = 0, subnormal
//
// f32, f16: IEEE 754-2019, table 3.5. bf16: the upper half of an f32. e4m3fn, e5m2: OCP 8-bit
// Floating Point Specification (OFP8) 1.0, section 4. e2m1, e8m0: OCP Microscaling Formats (MX)
// 1.0, sections 5.3.3 and 5.4.1. The fnuz formats: Noune et al., arXiv 2206.02915, with the names
// and biases of LLVM's APFloat (Float8E4M3FNUZ, Float8E5M2FNUZ).
//
// Checked code by code, and against hardware where it has the format, in tests/quantize_test.cpp.
// Not said here: which number a code is, and which code a number gets (minifloat.hpp).
#pragma once
#include <cstdint>
#include <string_view>

namespace kv {

/// What codes mean that are no number, with all exponent bits set unless said otherwise.
enum class Special : std::uint8_t {
    ieee,           ///< mantissa 0: infinity; every other one: NaN
    onlyAllOnes,    ///< all mantissa bits set: NaN; the others are numbers
    onlyMinusZero,  ///< numbers; what would be -0 is NaN, so zero has no sign
    none,           ///< numbers; no code is NaN
    scaleOnly       ///< NaN. No sign, no mantissa, no zero: E stands for 2^(E - bias)
};

/// What becomes of a number beyond the largest one, and of an infinity.
enum class Overflow : std::uint8_t { toInfinity, toNotANumber, saturates };

/// A format. Its codes are the integers below codes().
struct Format {
    std::string_view name;
    int exponentBits, mantissaBits, bias;
    Special special;
    Overflow overflow;
    friend bool operator==(Format const&, Format const&) = default;

    constexpr int magnitudeBits() const { return exponentBits + mantissaBits; }
    constexpr std::uint64_t signBit() const {
        return special == Special::scaleOnly ? 0 : std::uint64_t{1} << magnitudeBits();
    }
    constexpr std::uint64_t codes() const {
        return std::uint64_t{special == Special::scaleOnly ? 1u : 2u} << magnitudeBits();
    }
    constexpr bool hasNaN() const { return special != Special::none; }
    /// Of the largest finite number.
    constexpr std::uint64_t largestCode() const {
        auto const end = std::uint64_t{1} << magnitudeBits();
        if (special == Special::ieee) return end - (std::uint64_t{1} << mantissaBits) - 1;
        bool const lastIsNaN = special == Special::onlyAllOnes || special == Special::scaleOnly;
        return end - (lastIsNaN ? 2 : 1);
    }
    /// The quiet NaN that an operation returns; only if there is one.
    constexpr std::uint64_t codeOfNaN() const {
        auto const end = std::uint64_t{1} << magnitudeBits();
        if (special == Special::ieee) return end - (std::uint64_t{1} << (mantissaBits - 1));
        return special == Special::onlyMinusZero ? end : end - 1;
    }
    /// Exponent of the last place of the smallest numbers.
    constexpr int unit() const {
        return (special == Special::scaleOnly ? 0 : 1) - bias - mantissaBits;
    }
};

namespace formats {
inline constexpr Format f32{"f32", 8, 23, 127, Special::ieee, Overflow::toInfinity};
inline constexpr Format f16{"f16", 5, 10, 15, Special::ieee, Overflow::toInfinity};
inline constexpr Format bf16{"bf16", 8, 7, 127, Special::ieee, Overflow::toInfinity};
inline constexpr Format e5m2{"e5m2", 5, 2, 15, Special::ieee, Overflow::toInfinity};
inline constexpr Format e4m3fn{"e4m3fn", 4, 3, 7, Special::onlyAllOnes, Overflow::toNotANumber};
inline constexpr Format e5m2fnuz{"e5m2fnuz", 5, 2, 16, Special::onlyMinusZero,
                                 Overflow::toNotANumber};
inline constexpr Format e4m3fnuz{"e4m3fnuz", 4, 3, 8, Special::onlyMinusZero,
                                 Overflow::toNotANumber};
inline constexpr Format e2m1{"e2m1", 2, 1, 1, Special::none, Overflow::saturates};
inline constexpr Format e8m0{"e8m0", 8, 0, 127, Special::scaleOnly, Overflow::saturates};
}  // namespace formats

/// The same format where a conversion saturates: OFP8 1.0, section 5, infinities included.
constexpr Format saturating(Format f) {
    f.overflow = Overflow::saturates;
    return f;
}

static_assert(formats::f16.largestCode() == 0x7BFF && formats::f16.codeOfNaN() == 0x7E00);
static_assert(formats::f16.unit() == -24 && formats::e8m0.codes() == 256);

}  // namespace kv

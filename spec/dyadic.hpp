// dyadic: compute exactly with numbers that binary formats hold, and round only where it is said.
//
// Every finite floating-point number is a whole number times a power of two. Their products are
// such numbers too; sums and quotients are, but for a tail that may not end. All a rounding needs
// to know of a tail is whether there is one, and that takes one bit, the sticky bit. Thus integers
// suffice to say what a machine's floating-point unit returns, whatever machine reads this.
//
//     x = (-1)^negative * (significand + t) * 2^exponent     t = 0, or 0 < t < 1 if sticky
//     roundedShift(x, n, rule) = the integer next to |x| / 2^(exponent + n), by the rule
//
// Rounding rules: IEEE 754-2019, section 4.3. Infinities, NaN and the signs of zeros: sections 6.1
// to 6.3. Sticky bit: Ercegovac and Lang, Digital Arithmetic, section 8.4.
//
// Checked against the machine's own arithmetic in tests/quantize_test.cpp.
// Not said here: which numbers a format holds (minifloat.hpp).
#pragma once
#include "extent.hpp"

#include <bit>
#include <cstdint>

namespace kv {

/// Which neighbour a number between two neighbours becomes. IEEE 754-2019, section 4.3.
enum class Round : std::uint8_t {
    nearestEven,  ///< the nearest; of two equally near ones the one whose code is even
    nearestAway,  ///< the nearest; of two equally near ones the one of larger magnitude
    towardZero    ///< the one of smaller magnitude: truncation
};

enum class Kind : std::uint8_t { finite, infinite, notANumber };

/// A number. Without a sticky bit its significand is odd or 0, so that == compares values; zeros
/// keep their signs and are of exponent 0.
struct Dyadic {
    Kind kind = Kind::finite;
    bool negative = false;
    std::uint64_t significand = 0;
    int exponent = 0;
    bool sticky = false;
    friend bool operator==(Dyadic const&, Dyadic const&) = default;
    constexpr bool isZero() const { return kind == Kind::finite && significand == 0 && !sticky; }
    /// Exponent of the highest set bit; the significand is not 0.
    constexpr int lead() const { return exponent + 63 - std::countl_zero(significand); }
};

inline constexpr Dyadic notANumber{.kind = Kind::notANumber};
constexpr Dyadic infinity(bool negative) { return {.kind = Kind::infinite, .negative = negative}; }

/// (-1)^negative * significand * 2^exponent, in its one form.
constexpr Dyadic dyadic(bool negative, std::uint64_t significand, int exponent) {
    if (significand == 0) return {.negative = negative};
    int const zeros = std::countr_zero(significand);
    return {.negative = negative, .significand = significand >> zeros,
            .exponent = exponent + zeros};
}
constexpr Dyadic whole(std::int32_t n) {
    auto const wide = std::int64_t{n};
    return dyadic(n < 0, static_cast<std::uint64_t>(n < 0 ? -wide : wide), 0);
}
constexpr Dyadic magnitude(Dyadic x) {
    x.negative = false;
    return x;
}

/// Throws where a sum or a quotient takes a number wider than any format, or not yet rounded.
constexpr void requireOperand(Dyadic const& x) {
    if (x.sticky || std::bit_width(x.significand) > 32)
        throw ShapeError("an operand of more than 32 bits; round it into a format first");
}

/// |x| in units of 2^(exponent + drop), rounded to an integer. A sticky x has at least 31 bits, so
/// that whoever asks for fewer always drops some.
constexpr std::uint64_t roundedShift(Dyadic const& x, int drop, Round rule) {
    if (drop <= 0) return x.significand << -drop;
    if (drop > 64) return 0;  // less than half a unit
    auto const kept = drop == 64 ? 0 : x.significand >> drop;
    auto const half = std::uint64_t{1} << (drop - 1);
    auto const rest = x.significand - (drop == 64 ? 0 : kept << drop);
    if (rule == Round::towardZero || rest < half) return kept;
    bool const tie = rest == half && !x.sticky;
    return kept + (tie && rule == Round::nearestEven ? kept & 1 : 1);
}

/// a * b, exactly. At most 64 bits together.
constexpr Dyadic operator*(Dyadic const& a, Dyadic const& b) {
    bool const negative = a.negative != b.negative;
    if (a.kind == Kind::notANumber || b.kind == Kind::notANumber) return notANumber;
    if (a.kind == Kind::infinite || b.kind == Kind::infinite)
        return a.isZero() || b.isZero() ? notANumber : infinity(negative);
    if (a.sticky || b.sticky || std::bit_width(a.significand) + std::bit_width(b.significand) > 64)
        throw ShapeError("a product of more than 64 bits; round its factors into a format first");
    return dyadic(negative, a.significand * b.significand, a.exponent + b.exponent);
}

/// a / b to at least 31 bits and the sticky bit.
constexpr Dyadic operator/(Dyadic const& a, Dyadic const& b) {
    bool const negative = a.negative != b.negative;
    if (a.kind == Kind::notANumber || b.kind == Kind::notANumber) return notANumber;
    if (a.kind == Kind::infinite) return b.kind == Kind::infinite ? notANumber : infinity(negative);
    if (b.kind == Kind::infinite) return {.negative = negative};
    if (b.isZero()) return a.isZero() ? notANumber : infinity(negative);
    if (a.isZero()) return {.negative = negative};
    requireOperand(a), requireOperand(b);
    int const up = std::countl_zero(a.significand);
    auto const shifted = a.significand << up, quotient = shifted / b.significand;
    int const exponent = a.exponent - up - b.exponent;
    if (shifted % b.significand == 0) return dyadic(negative, quotient, exponent);
    return {.negative = negative, .significand = quotient, .exponent = exponent, .sticky = true};
}

/// a + b to at least 61 bits and the sticky bit. A sum that cancels is +0.
constexpr Dyadic operator+(Dyadic const& a, Dyadic const& b) {
    if (a.kind != Kind::finite || b.kind != Kind::finite) {
        bool const both = a.kind == b.kind && a.negative == b.negative;
        if (a.kind == Kind::notANumber || b.kind == Kind::notANumber) return notANumber;
        return a.kind == Kind::finite ? b : b.kind == Kind::finite || both ? a : notANumber;
    }
    if (a.isZero() && b.isZero()) return {.negative = a.negative && b.negative};
    if (a.isZero() || b.isZero()) return a.isZero() ? b : a;
    requireOperand(a), requireOperand(b);
    auto const& high = a.lead() < b.lead() ? b : a;
    auto const& low = a.lead() < b.lead() ? a : b;
    int const exponent = high.lead() - 62, down = exponent - low.exponent;
    auto const big = high.significand << (high.exponent - exponent);
    auto const small = down > 63 ? 0
                     : down > 0  ? low.significand >> down
                                 : low.significand << -down;
    bool const lost = down > 63 || (down > 0 && small << down != low.significand);
    bool const same = a.negative == b.negative;
    bool const swapped = !same && small > big;  // equal leads only, so nothing was lost
    auto const left = same ? big + small : swapped ? small - big : big - small - (lost ? 1 : 0);
    bool const negative = left != 0 && high.negative != swapped;
    if (!lost) return dyadic(negative, left, exponent);
    return {.negative = negative, .significand = left, .exponent = exponent, .sticky = true};
}
constexpr Dyadic operator-(Dyadic x) {
    x.negative = !x.negative;
    return x;
}
constexpr Dyadic operator-(Dyadic const& a, Dyadic const& b) { return a + -b; }

static_assert(whole(3) * dyadic(false, 1, -1) + whole(-1) == dyadic(false, 1, -1));
static_assert((whole(1) / whole(3)).sticky && whole(6) / whole(3) == whole(2));
static_assert(roundedShift(dyadic(true, 5, -1), 1, Round::nearestEven) == 2);

}  // namespace kv

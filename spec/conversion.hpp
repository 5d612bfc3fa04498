// conversion: round a number to another precision.
//
// Between its stages an engine narrows what it has: scores, weights, outputs. A conversion rounds
// to nearest, ties to even, and rounding is monotone, so that an interval of real numbers becomes
// the interval between two numbers of the new precision.
//
//     R16  low <= x <= high   implies   RN(low) <= RN(x) <= RN(high)
//     R14  |RN(x) - x| <= 2^-p |x| + eta, where eta is half of the smallest subnormal number, or
//          the smallest normal one where subnormals are flushed
//
// Not said here: codes of stored numbers (minifloat.hpp).
#pragma once
#include "rounding.hpp"

namespace kv {

/// Distance of the numbers of this precision at x, which is finite and not 0.
inline double lastPlace(Precision const& p, double x) {
    int const bits = static_cast<int>(p.significandBits);
    return powerOfTwo(std::max(std::ilogb(x), p.minExponent) - bits + 1);
}

/// The number of this precision that is nearest to x, ties to even; an infinity beyond its range.
inline double nearest(Precision const& p, double x) {
    if (x == 0 || !std::isfinite(x)) return x;
    double const place = lastPlace(p, x);
    double const rounded = std::nearbyint(x / place) * place;
    return std::abs(rounded) < std::ldexp(1.0, p.maxExponent) ? rounded
                                                              : std::copysign(HUGE_VAL, x);
}

/// The float nearest to x, or an infinity.
inline float nearestFloat(double x) {
    constexpr double beyond = 0x1.ffffffp127;  // halfway from the largest float to 2^128
    if (std::abs(x) < beyond) return static_cast<float>(x);
    return x > 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
}

/// How many numbers of this precision, at most that of f32, lie between two floats, both included.
inline double numbersBetween(Precision const& p, float low, float high) {
    auto const rank = [](float x) {
        std::int64_t const code = std::bit_cast<std::int32_t>(x);
        return double(code < 0 ? std::numeric_limits<std::int32_t>::min() - code : code);
    };
    double const step = powerOfTwo(24 - std::min(24, static_cast<int>(p.significandBits)));
    return std::floor((rank(high) - rank(low)) / step) + 1;
}

/// R14: what rounding to a narrower precision may do to a number; nothing where it is no narrower.
struct Narrowing {
    double relative = 0, absolute = 0;
    Narrowing(Precision const& to, Numerics const& n) {
        auto const& from = n.compute;
        bool const isWide =
            to.significandBits >= from.significandBits && to.minExponent <= from.minExponent;
        if (isWide) return;
        int const bits = static_cast<int>(to.significandBits);
        bool const isKept = n.subnormals == Subnormals::kept;
        relative = powerOfTwo(-bits);
        absolute = powerOfTwo(isKept ? to.minExponent - bits : to.minExponent);
    }
};

}  // namespace kv

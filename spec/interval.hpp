// interval: bound one operation of every conforming engine.
//
// A value of which only bounds are known is an interval, and each operator widens it by what the
// engine's own operation may add: one rounding, or a flush to zero (R1 in rounding.hpp). An
// operation on exact numbers whose result is a number of p bits adds nothing, so exact data stays
// exact.
//
//     [center - radius, center + radius]
//
// R18: radii are sums of positive doubles, so one factor pays for their own rounding; the error of
// a center is added. R17: where an engine may have met an infinity, the result is undefined.
//
// A fold of these operators bounds one order of summation; reductions are in enclosure.hpp, which
// is the header to include.
#pragma once
#include "conversion.hpp"
#include "scalar.hpp"
#include "summation.hpp"

namespace kv {

/// The reals from center - radius to center + radius, and whose numerics made them so.
struct Enclosure {
    double center = 0;
    double radius = 0;
    double flushed = 0;  ///< of a dot product: what flushing may cost after a scale was put on q
    Numerics const* numerics = &numericsF32;
    Rule rule = Rule::none;  ///< of an output of attention: what its radius comes from
    Precision const* handsOut = nullptr;  ///< R16: of such an output: only its numbers

    double low() const { return center - radius; }
    double high() const { return center + radius; }
    double size() const { return std::abs(center) + radius; }
    bool isUndefined() const { return !(radius < std::numeric_limits<double>::infinity()); }
    /// R17. An enclosure that accepts everything for another reason has a rule with no bound.
    bool isOverflowed() const { return isUndefined() && rule == Rule::none; }
    friend bool operator==(Enclosure const&, Enclosure const&) = default;
};

/// The value itself, as read by an engine of these numerics. `numerics` must outlive every result.
inline Enclosure exactly(double value, Numerics const& numerics) {
    return {value, Rounding(numerics).overflows(std::abs(value)) ? HUGE_VAL : 0.0, 0, &numerics};
}
Enclosure exactly(double, Numerics const&&) = delete;

namespace detail {

/// R18: the enclosure of a computed center and radius.
inline Enclosure around(double center, double radius, Numerics const* n) {
    if (radius == 0) return {center, 0, 0, n};
    double const r = radius * (1 + slack) + std::abs(center) * 2 * ownUnit;
    if (Rounding(*n).overflows(std::abs(center) + r)) return {0, HUGE_VAL, 0, n};
    return {center, r, 0, n};
}

/// R1 for one operation. `spread` is what the operands leave open, `own` the error of the center as
/// a double, `tiny` the effect of reading a subnormal operand as zero, in units of eta.
struct Operation {
    double center, spread, own, tiny;
};
inline Enclosure rounded(Operation const& o, bool isExact, Numerics const* n) {
    Rounding const r(*n);
    if (isExact && o.own == 0 && r.holds(o.center)) return {o.center, 0, 0, n};
    double const radius = o.spread + o.own + r.flush * (1 + o.tiny);
    return around(o.center, radius + r.unit * (std::abs(o.center) + radius), n);
}
inline bool isPoint(Enclosure const& e) {
    return e.radius == 0 && Rounding(*e.numerics).holds(e.center);
}
inline bool isZero(Enclosure const& e) { return e.radius == 0 && e.center == 0; }
/// R16: what lies in an interval is handed out as a number between its rounded ends.
inline Enclosure handedOut(Enclosure const& e) {
    auto const& n = *e.numerics;
    auto const& to = n.output;
    bool const isNarrow = to.significandBits < precisions::f32.significandBits;
    if (e.isUndefined() || (!isNarrow && Narrowing(to, n).relative == 0)) return e;
    double low = nearest(to, e.low()), high = nearest(to, e.high());
    if (!std::isfinite(low) || !std::isfinite(high)) return {0, HUGE_VAL, 0, &n};
    double const least = Rounding(to, n).least;
    bool const mayFlush = n.subnormals == Subnormals::flushed && low < least && high > -least;
    if (mayFlush) low = std::min(low, 0.0), high = std::max(high, 0.0);
    return {low + (high - low) / 2, (high - low) / 2, 0, &n, e.rule, isNarrow ? &to : nullptr};
}
/// A constant of the spec text has the default numerics; the engine's own go first.
inline Numerics const* shared(Enclosure const& a, Enclosure const& b) {
    return a.numerics == &numericsF32 ? b.numerics : a.numerics;
}
}  // namespace detail

inline Enclosure operator+(Enclosure const& a, Enclosure const& b) {
    using namespace detail;
    auto const* n = shared(a, b);
    double const sum = a.center + b.center, back = sum - a.center;
    double const own = std::abs((a.center - (sum - back)) + (b.center - back));  // Knuth's TwoSum
    return rounded({sum, a.radius + b.radius, own, 2}, isPoint(a) && isPoint(b), n);
}
inline Enclosure operator-(Enclosure const& a, Enclosure const& b) {
    return a + Enclosure{-b.center, b.radius, b.flushed, b.numerics};
}
/// A dot product times a scale may have been flushed before or after, so that counts twice.
inline Enclosure operator*(Enclosure const& a, Enclosure const& b) {
    using namespace detail;
    auto const* n = shared(a, b);
    if (isZero(a) || isZero(b)) return {0, a.isUndefined() || b.isUndefined() ? HUGE_VAL : 0, 0, n};
    double const product = a.center * b.center;
    double const spread =
        std::abs(a.center) * b.radius + b.size() * a.radius + a.flushed + b.flushed;
    double const own = std::abs(std::fma(a.center, b.center, -product));
    return rounded({product, spread, own, a.size() + b.size()}, isPoint(a) && isPoint(b), n);
}
/// Undefined where the divisor may be zero.
inline Enclosure operator/(Enclosure const& a, Enclosure const& b) {
    using namespace detail;
    auto const* n = shared(a, b);
    double const least = std::abs(b.center) - b.radius - Rounding(*n).flush;
    if (!(least > 0)) return {0, HUGE_VAL, 0, n};
    double const quotient = a.center / b.center;
    double const own = std::abs(std::fma(-quotient, b.center, a.center)) / least;
    double const spread = (a.radius + std::abs(quotient) * b.radius) / least;
    return rounded({quotient, spread, own, 2 / least}, isPoint(a) && isPoint(b), n);
}

template <>
struct Num<Enclosure> {
    /// R10; exp(0) is 1 in every engine.
    static Enclosure exp(Enclosure const& x) {
        if (detail::isZero(x)) return {1, 0, 0, x.numerics};
        Rounding const r(*x.numerics);
        double const value = std::exp(x.center);
        double const ulps = std::exp(x.radius) * r.gamma(2 * x.numerics->expUlps);
        double const relative = std::expm1(x.radius) + ulps + 4 * ownUnit;
        double const flush = powerOfTwo(x.numerics->expFlushExponent) + r.flush;
        return detail::around(value, value * relative + flush, x.numerics);
    }
    static Enclosure max(Enclosure const& a, Enclosure const& b) {
        if (a.low() >= b.high()) return a;
        if (b.low() >= a.high()) return b;
        double const low = std::max(a.low(), b.low()), high = std::max(a.high(), b.high());
        return detail::around((low + high) / 2, (high - low) / 2, detail::shared(a, b));
    }
    /// k s, as a part of a score: it may meet the other roundings of a score (R6).
    static Enclosure multiple(Enclosure const& s, std::int64_t k) {
        auto const product = s * exactly(double(k), *s.numerics);
        Rounding const r(*s.numerics);
        double const more = r.gamma(s.numerics->scoreRoundings) * product.size();
        return detail::around(product.center, product.radius + more, s.numerics);
    }
};

}  // namespace kv

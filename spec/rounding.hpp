// rounding: say what one declared rounding, and one sum in any order, may do to a value.
//
// An engine computes with floating-point numbers of p significant bits. One operation moves its
// result by at most a factor 1 + u, u = 2^-p, or flushes it to zero when it is tiny; the order in
// which an engine adds is its own business, so a bound on a sum has to hold for every order. All
// bounds here are plain doubles derived from the declaration (numerics.hpp), nothing is tuned.
//
//     R1   fl(a op b) = (a op b)(1 + d) + e, |d| <= u, |e| <= eta     Higham 2002, section 2.2
//     R2   |fl(sum x) - sum x| <= min((n-1) u S, sum min(|x|, u S)) (1 + gamma),  S = sum |x|
//     R5   no error at all if each x is a multiple of 2^g and S <= 2^(g+p)
//
// The first part of R2 is Higham 2002, section 4.2, in the sharper form of Rump, BIT 2012. The
// second holds because round to nearest errs by at most the smaller operand: call a term large if
// it is at least u S. A node that joins two subtrees with large terms errs by at most u S, and
// there are fewer such nodes than large terms; a subtree of small terms only is swallowed once, by
// at most its own sum. The factor pays for partial sums that were rounded before. R5 holds since
// every partial sum is again such a multiple, hence a number of p bits; it needs no rounding mode.
//
// Not said here: the set of values an engine may hold (enclosure.hpp).
#pragma once
#include "numerics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace kv {

/// 2^exponent, brought into the normal range of a double.
constexpr double powerOfTwo(int exponent) {
    auto const field = static_cast<std::uint64_t>(std::clamp(exponent, -1022, 1023) + 1023);
    return std::bit_cast<double>(field << 52);
}

/// R18: one operation of the oracle itself, in IEEE double, errs by this relative amount.
inline constexpr double ownUnit = powerOfTwo(-53);
/// R18: a radius is a sum of positive doubles; this pays for 2^22 operations on it.
inline constexpr double slack = powerOfTwo(-29);

/// The reals within radius of center. An infinite radius: undefined (R17).
struct Ball {
    double center = 0, radius = 0;
    constexpr double low() const { return center - radius; }
    constexpr double high() const { return center + radius; }
    constexpr double size() const { return (center < 0 ? -center : center) + radius; }
};

/// The exponents of the lowest and the highest set bit of a finite x other than 0.
struct Bits {
    int lowest, highest;
};
constexpr Bits bitsOf(double x) {
    auto const word = std::bit_cast<std::uint64_t>(x);
    auto const field = static_cast<int>(word >> 52 & 0x7FF);
    auto const mantissa =
        (word & ((std::uint64_t{1} << 52) - 1)) | (std::uint64_t{field != 0} << 52);
    int const unit = std::max(field, 1) - 1075;  // exponent of the last place of a double
    return {unit + std::countr_zero(mantissa), unit + 63 - std::countl_zero(mantissa)};
}

/// The declared numerics, spelled as the quantities that the rules use.
class Rounding {
   public:
    constexpr explicit Rounding(Numerics const& n)
        : bits(static_cast<int>(n.significandBits)),
          minExponent(n.minExponent),
          unit(powerOfTwo(-bits)),
          flush(powerOfTwo(n.minExponent)),
          limit(powerOfTwo(n.maxExponent - 1)) {}

    int bits;         ///< p
    int minExponent;  ///< of the smallest normal number
    double unit;      ///< R1: u = 2^-p, round to nearest
    double flush;     ///< R1: eta. Subnormal inputs and results may be taken for zero.
    double limit;     ///< R17: half of the range, since a score may also be kept in base 2

    /// gamma_k = k u / (1 - k u), what k roundings in a row amount to: Higham 2002, lemma 3.1.
    constexpr double gamma(double k) const {
        return k * unit < 1 ? k * unit / (1 - k * unit) : std::numeric_limits<double>::infinity();
    }
    /// R17: beyond this a conforming engine may hold an infinity. A NaN is beyond.
    constexpr bool overflows(double magnitude) const { return !(magnitude < limit); }
    /// Zero, or a normal number of p bits: what every engine holds as it is.
    constexpr bool holds(double x) const {
        if (x == 0) return true;
        auto const b = bitsOf(x);
        return b.highest - b.lowest < bits && b.highest >= minExponent && x < limit && -x < limit;
    }
};

/// R5: terms on a common grid. Terms that are 0 lie on every grid.
class Grid {
   public:
    constexpr void add(double x) {
        if (x == 0) return;
        auto const b = bitsOf(x);
        lowest_ = std::min(lowest_, b.lowest);
        absolute_ += x < 0 ? -x : x;
    }
    constexpr bool isEmpty() const { return lowest_ == none; }
    /// Exponent of the spacing; only if not empty.
    constexpr int spacing() const { return lowest_; }
    /// Whether every partial sum, also of the terms divided by 2^shift, is held without error.
    constexpr bool isExact(Rounding const& r, int shift = 0) const {
        return isEmpty() || (lowest_ - shift >= r.minExponent && !r.overflows(absolute_) &&
                             absolute_ <= powerOfTwo(lowest_ + r.bits));
    }

   private:
    static constexpr int none = std::numeric_limits<int>::max();
    int lowest_ = none;
    double absolute_ = 0;
};

/// R2: bound of the rounding error of a sum of n terms in any order, magnitude(i) = |x_i|, when
/// each term and partial sum may have been rounded `before` times for other reasons. Adding a zero
/// is exact, so only the other terms count. Flushing is not included.
template <class Magnitude>
constexpr double sumError(Rounding const& r, std::size_t n, Magnitude magnitude, double before) {
    double total = 0, count = 0, capped = 0;
    for (std::size_t i = 0; i < n; ++i) {
        total += magnitude(i);
        count += magnitude(i) > 0 ? 1 : 0;
    }
    if (count < 2) return 0;
    for (std::size_t i = 0; i < n; ++i) capped += std::min(magnitude(i), r.unit * total);
    return (1 + r.gamma(2 * (count + before))) * std::min((count - 1) * r.unit * total, capped);
}

static_assert(bitsOf(12.0).lowest == 2 && bitsOf(12.0).highest == 3);
static_assert(Rounding(numericsF32).holds(16777215.0) && !Rounding(numericsF32).holds(16777217.0));

}  // namespace kv

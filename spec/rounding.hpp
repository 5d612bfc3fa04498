// rounding: say what one declared rounding may do to a value.
//
// An engine computes with floating-point numbers of p significant bits. One operation moves its
// result by at most a factor 1 + u, u = 2^-p, or flushes it to zero when it is tiny. All bounds
// here are plain doubles derived from the declaration (arithmetic.hpp), nothing is tuned.
//
//     R1   fl(a op b) = (a op b)(1 + d) + e, |d| <= u, |e| <= eta     Higham 2002, section 2.2
//     R3   sums of n terms in blocks of B: no term meets more than h = B + n/B additions
//     R3b  K exact products and the accumulator, aligned, truncated to F fraction bits, n/K times
//
// Toward zero, u = 2^(1-p). R3: blocks that are added one after the other, sums of keys only where
// they are apart, or B lanes added up at the end; each merge of parts adds one. R3b is the model of
// Fasi et al., doi 10.7717/peerj-cs.330: K + 1 truncated addends, a sum truncated to F fraction
// bits and to p significant ones. Visible keys begin and end within blocks, sinks stand in another,
// so two blocks more are met than there are; components of a head do not.
//
// Not said here: sums (summation.hpp), the set of values an engine may hold (enclosure.hpp).
#pragma once
#include "arithmetic.hpp"

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

/// The exponents of the lowest and the highest set bit of a finite x other than 0.
struct Bits { int lowest, highest; };
constexpr Bits bitsOf(double x) {
    auto const word = std::bit_cast<std::uint64_t>(x);
    auto const field = static_cast<int>(word >> 52 & 0x7FF);
    auto const mantissa =
        (word & ((std::uint64_t{1} << 52) - 1)) | (std::uint64_t{field != 0} << 52);
    int const unit = std::max(field, 1) - 1075;  // exponent of the last place of a double
    return {unit + std::countr_zero(mantissa), unit + 63 - std::countl_zero(mantissa)};
}

/// The declared arithmetic of one precision, spelled as the quantities that the rules use.
class Rounding {
   public:
    /// Single operations in this precision, and sums in any order.
    constexpr Rounding(Precision const& p, Numerics const& n)
        : bits(static_cast<int>(p.significandBits)),
          sumBits(bits),
          minExponent(p.minExponent),
          isNearest(n.rounding == OperationRounding::nearest),
          unit(powerOfTwo(isNearest ? -bits : 1 - bits)),
          least(powerOfTwo(minExponent)),
          flush(powerOfTwo(n.subnormals == Subnormals::kept ? minExponent - bits : minExponent)),
          limit(powerOfTwo(p.maxExponent - 1)) {}
    constexpr explicit Rounding(Numerics const& n) : Rounding(n.compute, n) {}

    /// Sums of the products of a score.
    static constexpr Rounding ofDots(Numerics const& n) {
        auto r = Rounding(n.compute, n).inBlocks(n.dotBlock, 1).byTensorCore(n);
        r.isDot = true;
        return r;
    }
    /// Sums of weights.
    static constexpr Rounding ofWeights(Numerics const& n) {
        return Rounding(n.compute, n).overKeys(n).byTensorCore(n);
    }
    /// Sums of weighted values.
    static constexpr Rounding ofValues(Numerics const& n) {
        return Rounding(n.accumulate, n).overKeys(n).byTensorCore(n);
    }

    int bits;                ///< p
    int sumBits;             ///< R5: bits that a sum keeps whatever its terms are
    int minExponent;         ///< of the smallest normal number
    bool isNearest;          ///< R1
    double unit;             ///< R1: u
    double least;            ///< the smallest normal number
    double flush;            ///< R1: eta, also for subnormal inputs that are taken for zero
    double limit;            ///< R17: half of the range, since a score may also be kept in base 2
    double block = 0;        ///< R3: terms of a block; 0: any order
    double parts = 1;        ///< R3: parts that are merged
    double terms = 0;        ///< R3b: K; 0: no such operation
    double truncation = 0;   ///< R3b: 2^-F
    bool isDot = false;      ///< R3b: terms are as many as the head has components

    /// gamma_k = k u / (1 - k u), what k roundings in a row amount to: Higham 2002, lemma 3.1.
    constexpr double gamma(double k) const { return gamma(k, unit); }
    /// R17: beyond this a conforming engine may hold an infinity. A NaN is beyond.
    constexpr bool overflows(double magnitude) const { return !(magnitude < limit); }
    /// Zero, or a normal number of p bits: what every engine holds as it is.
    constexpr bool holds(double x) const {
        if (x == 0) return true;
        auto const b = bitsOf(x);
        return b.highest - b.lowest < bits && b.highest >= minExponent && x < limit && -x < limit;
    }
    /// Whether a sum keeps its value when something far smaller is added, of either sign.
    constexpr bool absorbs() const { return isNearest && terms == 0; }
    /// R3, R3b: the relative error of a sum of n terms of the declared shape; infinite if none is.
    constexpr double shaped(double n) const {
        double const blocks = block > 0 ? whole(n / block) + (isDot ? 0 : 2 + parts) : 0;
        if (terms == 0 && block == 0) return std::numeric_limits<double>::infinity();
        if (terms == 0) return gamma(std::min(n, block) + blocks);
        // Where no block is known, each key may stand in an operation of its own.
        double const ofKeys = block > 0 ? whole(std::min(n, block) / terms) * blocks : n;
        double const one = (terms + 1) * truncation + std::max(truncation, powerOfTwo(1 - bits));
        return gamma(isDot ? whole(n / terms) : ofKeys, one) + gamma(blocks);
    }

   private:
    static constexpr double gamma(double k, double u) {
        return k * u < 1 ? k * u / (1 - k * u) : std::numeric_limits<double>::infinity();
    }
    /// Rounded up; counts are below 2^53.
    static constexpr double whole(double x) {
        auto const below = static_cast<double>(static_cast<std::uint64_t>(x));
        return below + (below < x ? 1 : 0);
    }
    constexpr Rounding inBlocks(unsigned size, unsigned merged) const {
        Rounding r = *this;
        r.block = size, r.parts = merged;
        return r;
    }
    // Operations of tensor cores are counted block by block, wherever their sums go.
    constexpr Rounding overKeys(Numerics const& n) const {
        return inBlocks(n.blockSum == BlockSum::apart || n.fmaTerms > 0 ? n.keyBlock : 0, n.parts);
    }
    constexpr Rounding byTensorCore(Numerics const& n) const {
        if (n.fmaTerms == 0) return *this;
        Rounding r = *this;
        r.terms = n.fmaTerms;
        r.truncation = powerOfTwo(-static_cast<int>(n.fmaBits));
        r.sumBits = std::min(bits, static_cast<int>(n.fmaBits) - 1);
        return r;
    }
};

static_assert(bitsOf(12.0).lowest == 2 && bitsOf(12.0).highest == 3);
static_assert(Rounding(numericsF32).holds(16777215.0) && !Rounding(numericsF32).holds(16777217.0));

}  // namespace kv

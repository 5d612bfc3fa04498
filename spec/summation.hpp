// summation: bound a sum whose order is the engine's own business.
//
// A sum of n terms can be computed in as many ways as there are trees over its terms. A bound has
// to hold for each of them, or for those that the declaration leaves.
//
//     R2   |fl(sum x) - sum x| <= min((n-1) u S, sum min(|x|, u S)) (1 + gamma),  S = sum |x|
//     R3   |fl(sum x) - sum x| <= gamma_h S, where no term meets more than h additions; R3b too
//     R5   no error at all if each x is a multiple of 2^g and S <= 2^(g+p); under R3b 2^(g+F-1)
//
// The first part of R2 is Higham 2002, section 4.2, in the sharper form of Rump, BIT 2012. The
// second holds because round to nearest errs by at most the smaller operand: call a term large if
// it is at least u S. A node that joins two subtrees with large terms errs by at most u S, and
// there are fewer such nodes than large terms; a subtree of small terms only is swallowed once, by
// at most its own sum. The factor pays for partial sums that were rounded before. Toward zero,
// gamma_{n-1} S is left of it. R3: Higham 2002, section 4.2. R5 holds since every partial sum is
// again such a multiple, hence a number of p bits; it needs no rounding mode.
//
// R3 counts further. An addition errs by at most u times the sum of the |x| below it, so the error
// is at most u sum h_i |x_i|, where x_i meets h_i additions. The k-th largest subtree of a tree
// with n leaves has at most n - k + 1 of them, and no more than the n - k + 1 largest terms: so no
// tree is worse than a chain that begins with the two largest. Blocks of B that are added one after
// the other, or B lanes at the end, are two levels: a term of block k meets the additions inside of
// it, its own to those before, and the n/B - k later ones; and those of a tail that fills no block.
//
// Not said here: how weights come about (softmax_weights.hpp).
#pragma once
#include "ball.hpp"
#include "lanes.hpp"
#include "rounding.hpp"

#include <functional>
#include <vector>

namespace kv {

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
                             absolute_ <= powerOfTwo(lowest_ + r.sumBits));
    }

   private:
    static constexpr int none = std::numeric_limits<int>::max();
    int lowest_ = none;
    double absolute_ = 0;
};

/// What a bound has to know of the magnitudes |x_i| of n terms. Adding a zero is exact, so in any
/// order only the other terms count.
struct Terms {
    double n = 0;       ///< all of them
    double count = 0;   ///< at least as many as are not 0
    double total = 0;   ///< sum |x_i|
    double capped = 0;  ///< sum min(|x_i|, u total)

    constexpr void add(double magnitude) {
        n += 1;
        total += magnitude;
        count += magnitude > 0 ? 1 : 0;
    }
};

/// R2, R3, R3b: bound of the rounding error of a sum, when each term and partial sum may have been
/// rounded `before` times for other reasons. Flushing is not included.
constexpr double sumError(Rounding const& r, Terms const& x, double before) {
    if (x.total == 0 || (x.count < 2 && r.terms == 0)) return 0;
    double const shaped = r.shaped(x.n) * x.total;
    double const grown = 1 + r.gamma(2 * (x.count + before));
    double const scalar = (r.isNearest ? (x.count - 1) * r.unit : r.gamma(x.count - 1)) * x.total;
    // A kernel with tensor cores may still add some sums on ordinary units.
    if (r.terms > 0) return grown * std::max(shaped, scalar);
    return grown * std::min({shaped, scalar, r.isNearest ? x.capped : scalar});
}

/// R3: additions that the i-th largest of n terms meets, from 0, in whatever order they come: worst
/// is a chain that begins with the largest.
constexpr double chained(std::size_t n, std::size_t i) {
    return double(n - std::max<std::size_t>(i, 1));
}

/// R3: where terms stand in blocks, or lanes, of B, whichever stands where. Sorts the magnitudes.
inline double sortedError(Rounding const& r, std::vector<double>& magnitudes, double before) {
    auto const n = magnitudes.size(), block = std::min(n, std::size_t(r.block));
    auto const blocks = (n + block - 1) / block;
    std::vector<std::size_t> terms(block + blocks);  // that meet so many additions
    for (std::size_t k = 0; k < blocks; ++k)
        for (std::size_t i = 0; i < block; ++i)
            ++terms[std::size_t(chained(block, i)) + blocks - 1 - k + (k > 0 ? 1 : 0)];
    std::sort(magnitudes.begin(), magnitudes.end(), std::greater<>());
    double error = 0;
    std::size_t height = terms.size() - 1;
    for (double const x : magnitudes) {
        while (terms[height] == 0) --height;
        --terms[height];
        error += r.gamma(double(height + n % block)) * x;
    }
    return error * (1 + r.gamma(2 * (double(n) + before)));
}

/// The same for n terms that can be asked again, magnitude(i) = |x_i|, all of which were added to
/// x. The blocks of a dot product begin with its first term, so R3 counts further.
template <class Magnitude>
double sumError(Rounding const& r, Terms x, std::size_t n, Magnitude magnitude, double before) {
    double const cap = r.unit * x.total;
    x.capped = laneSums<1>(n, [&](std::size_t i) {
        return std::array{std::min(magnitude(i), cap)};
    })[0];
    double const error = sumError(r, x, before);
    if (!r.isDot || r.block == 0 || r.terms > 0) return error;
    std::vector<double> magnitudes;
    for (std::size_t i = 0; i < n; ++i) magnitudes.push_back(magnitude(i));
    return std::min(error, sortedError(r, magnitudes, before));
}
template <class Magnitude>
double sumError(Rounding const& r, std::size_t n, Magnitude magnitude, double before) {
    Terms x;
    for (std::size_t i = 0; i < n; ++i) x.add(magnitude(i));
    return sumError(r, x, n, magnitude, before);
}

}  // namespace kv

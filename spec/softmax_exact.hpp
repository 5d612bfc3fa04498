// softmax_exact: find where every conforming engine returns one and the same mean.
//
// R5 for reads. Let 2^k winners weigh exactly 1, let their values lie on a grid 2^g with
// sum |v| <= 2^(g+p), and let all other terms add up to at most T < 2^(g-p-1). Then each partial
// sum whose winners add up to h != 0 is h itself: h has p bits and |h| >= 2^g, so T is less than
// half the distance to its neighbors, and rounding to nearest drops it. Where h = 0 the rest is
// left, at most T (1 + gamma). So the numerator is exact unless it is 0. The denominator is 2^k,
// for its partial sums are never 0 once a winner is in (g = 0). Dividing by 2^k is exact, before or
// after, as long as the grid 2^(g-k) is normal. No rescale touches a winner, since exp(0) = 1.
//
// Where sums are truncated, a tiny negative term costs h its last bit, so T has to be 0; weights
// are positive, so their sum is still 2^k. Rounding a weight to fewer bits leaves 1 as it is and at
// most doubles another; where it is normalised before that, 2^-k has to be a normal number too.
//
// This is what makes a probe: whether an input is one is found here, from the rows that are stored,
// not promised by whoever made it.
//
// Not said here: which rows win (softmax_weights.hpp).
#pragma once
#include "softmax_columns.hpp"

#include <optional>

namespace kv {

class SoftmaxExact {
   public:
    /// `before`: roundings of one term besides the additions.
    SoftmaxExact(SoftmaxWeights const& weights, Numerics const& n, double before)
        : v_(Rounding::ofValues(n)), leastWeight_(n.weights.minExponent) {
        auto const r = Rounding::ofWeights(n);
        double const count = double(weights.rows.size());
        double others = 0;
        for (auto const& row : weights.rows) {
            if (row.wins) winner_ = std::min(winner_, row.low);
            else others += row.high;
        }
        double const both = r.gamma(2 * (count + before)) + v_.gamma(2 * (count + before));
        grow_ = (1 + both) * (Narrowing(n.weights, n).relative > 0 ? 2 : 1);
        flushes_ = weights.rows.size() > weights.winners ? 6 * count * (r.flush + v_.flush) : 0;
        double const half = r.terms > 0 ? std::min(r.truncation, r.unit / 2) : r.unit / 2;
        lost_ = grow_ * others / winner_ + flushes_;
        isWhole_ = std::has_single_bit(weights.winners) &&
                   double(weights.winners) <= powerOfTwo(r.sumBits) && lost_ < half * (1 - slack);
    }

    /// Whether the denominator is the number of winners, 2^k, in every engine.
    bool isWhole() const { return isWhole_; }
    /// What the weights of the others come to, in units of a winner: a whole denominator lacks it.
    double lost() const { return lost_; }
    /// What flushing may take from all terms together, in units of a winner.
    double flushes() const { return flushes_; }

    /// The mean of one component, if it is the same in every engine, or if it is 0 but for a rest.
    std::optional<Ball> mean(SoftmaxWeights const& weights, ValueRows const& values,
                             std::size_t component) const {
        if (!isWhole_ || -std::countr_zero(weights.winners) < leastWeight_) return {};
        Grid grid;
        double total = 0, others = 0;
        for (auto const& row : weights.rows) {
            Ball const v = values.at(row.index, component);
            if (row.wins) {
                if (v.radius > 0) return {};
                grid.add(v.center);
                total += v.center;
            } else {
                others += row.high * v.size();
            }
        }
        if (!grid.isExact(v_, std::countr_zero(weights.winners))) return {};
        auto const winners = double(weights.winners);
        double const rest = (grow_ * others / winner_ + flushes_ * winners) * (1 + slack);
        if (rest > 0) {
            if (grid.isEmpty() || !v_.absorbs()) return {};  // nothing absorbs the rest
            double const least = powerOfTwo(winners == 1 ? bitsOf(total).highest : grid.spacing());
            if (!(rest < least * v_.unit / 2)) return {};
        }
        return Ball{total / winners, total == 0 ? rest / winners : 0, Rule::exponents};
    }

   private:
    Rounding v_;
    int leastWeight_;  // exponent of the smallest normal weight
    double grow_ = 1;  // what the others may grow by until they meet a winner
    double winner_ = HUGE_VAL, flushes_ = 0, lost_ = 0;
    bool isWhole_ = false;
};

}  // namespace kv

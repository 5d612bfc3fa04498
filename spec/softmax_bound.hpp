// softmax_bound: bound the softmax mean of every conforming engine.
//
// The weights lie in a box (softmax_weights.hpp). An engine adds w_j v_j and w_j in any order, with
// rescales in between, and divides after or before; parts may be merged as (m, l, acc).
//
//     R12  |sum w v / sum w - o| <= sum |w_j - p_j| |v_j - o| / sum low_j, centred at the mean o of
//          the p_j, where errors common to all weights cancel; and no mean leaves the hull of the v
//     R13  numerator and denominator are sums (summation.hpp), each in its own precision, of terms
//          that were rounded by their product and by `steps` rescales. A denominator that is 2^k in
//          every engine (softmax_exact.hpp) is so because it lost the weights of the others, and
//          2^k + R taken for 2^k errs by at most R, in units of a winner, relative to sum w >= 2^k
//     R14  a weight may be rounded to fewer bits before it meets its value, before or after it is
//          added to the denominator, so nothing cancels; it may be normalised before, and then
//          what is flushed is a part of the whole, not of the largest weight
//     R15  the division adds gamma(normRoundings), relative to sum w |v| since it may come first
//
// R9. Where parts are normalised before they are merged, each part and the whole is divided. What a
// part adds, exp(e_i - e) o_i, is again sum w_j v_j over its rows, for l_i cancels.
//
// Where the schedule is declared there is a second bound (softmax_replay.hpp); both hold, and the
// narrower one is taken, component by component. What is exact here stays so.
//
// Not said here: where a mean is exact (softmax_exact.hpp).
#pragma once
#include "softmax_exact.hpp"
#include "softmax_replay.hpp"

namespace kv {

class SoftmaxBound {
   public:
    /// One ball per score, at least one.
    SoftmaxBound(std::vector<Ball> const& scores, Numerics const& n)
        : numerics_(n),
          r_(Rounding::ofWeights(n)),
          v_(Rounding::ofValues(n)),
          narrowing_(n.weights, n),
          total_(scores.size()),
          weights_(scores, n) {
        double const parts = n.merge == PartMerge::logSumExp ? double(n.parts) : 1;
        if (!weights_.isDefined) return;
        boundDenominator(n.normRoundings * parts);
        if (SoftmaxSchedule::isDeclared(n)) replay_.emplace(scores, n);
    }

    /// The mean of each component.
    std::vector<Ball> means(ValueRows const& values) const {
        std::vector<Ball> all(values.width, Ball{0, HUGE_VAL});
        if (!weights_.isDefined) return all;
        SoftmaxColumns const columns(values, total_, weights_, factors_, v_);
        auto const replayed = replay_ ? replay_->means(values) : std::vector<Ball>{};
        for (std::size_t c = 0; c < values.width; ++c) {
            double const magnitude = columns.magnitude[c];
            if (r_.overflows(magnitude) || v_.overflows(magnitude)) continue;
            auto const exact = exact_->mean(weights_, values, c);
            all[c] = exact ? *exact : bounded(columns, c);
            if (replay_ && replayed[c].radius < all[c].radius) all[c] = replayed[c];
        }
        return all;
    }

   private:
    void boundDenominator(double divisions) {
        auto const& rows = weights_.rows;
        double const n = double(rows.size());
        double rounding = 0;
        for (auto const& row : rows) {
            factors_.push_back({.share = std::min(1.0, row.high / weights_.lowest),
                                .growth = v_.gamma(1 + row.steps) + narrowing_.relative,
                                .isOne = false});
            rounding += factors_.back().share * r_.gamma(row.steps);
        }
        before_ = 1 + weights_.steps + divisions;
        exact_.emplace(weights_, numerics_, before_);
        for (std::size_t i = 0; i < rows.size(); ++i)
            factors_[i].isOne = exact_->isWhole() && rows[i].wins;
        if (exact_->isWhole()) {
            denominator_ = exact_->lost();
            return;
        }
        Terms shares;
        for (auto const& row : factors_) shares.add(row.share);
        shares.n = double(total_);
        for (auto const& row : factors_)
            shares.capped += std::min(row.share, r_.unit * shares.total);
        double const sum = sumError(r_, shares, before_);
        double const least = r_.terms > 0 ? HUGE_VAL : r_.gamma(n + weights_.steps);
        denominator_ = std::min(least, rounding + sum) + exact_->flushes() + narrowing_.relative +
                       n * narrowing_.absolute / weights_.lowest;
        division_ = std::max(r_.gamma(divisions), v_.gamma(divisions));
    }

    /// R12, R13, R15.
    Ball bounded(SoftmaxColumns const& x, std::size_t c) const {
        auto const terms = x.terms(c);
        double const n = terms.n, sum = terms.total, center = x.center[c];
        double const numerator = x.rounded[c] + sumError(v_, terms, before_);
        double const range = std::min(x.hull[c], x.spread[c] / weights_.lowest) + x.given[c];
        double const sums = numerator + (std::abs(center) + range) * denominator_;
        double const divided = (sum + numerator) * division_;
        double const merged = (sum + numerator) * weights_.common;
        double const own = (3 * n + 8) * ownUnit * sum;
        double const flushed = (6 * n + 1 + x.magnitude[c]) * std::max(r_.flush, v_.flush) +
                               x.magnitude[c] * narrowing_.absolute /
                                   std::min(1.0, weights_.lowest);
        double const computed = (sums + divided) / (1 - denominator_) + merged;
        double const narrowed = 2 * narrowing_.relative * sum;
        return {center, denominator_ < 1 ? range + computed + own + flushed : HUGE_VAL,
                largestOf({{weights_.largest, range}, {Rule::sums, sums - narrowed},
                           {Rule::weights, narrowed}, {Rule::division, divided},
                           {Rule::merges, merged}, {Rule::flushing, flushed}})};
    }

    Numerics const& numerics_;
    Rounding r_, v_;  // of weights and their sum, of weighted values
    Narrowing narrowing_;
    std::size_t total_;
    SoftmaxWeights weights_;
    std::vector<SoftmaxColumns::RowFactors> factors_;
    std::optional<SoftmaxExact> exact_;
    std::optional<SoftmaxReplay> replay_;
    double before_ = 0;                      // roundings of one term besides the additions
    double denominator_ = 0, division_ = 0;  // relative errors
};

}  // namespace kv

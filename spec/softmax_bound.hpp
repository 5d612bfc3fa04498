// softmax_bound: bound the softmax mean of every conforming engine.
//
// The weights lie in a box (softmax_weights.hpp). An engine adds w_j v_j and w_j in any order, with
// rescales in between, and divides after or before; parts may be merged as (m, l, acc).
//
//     R12  |sum w v / sum w - o| <= sum |w_j - p_j| |v_j - o| / sum low_j, centred at the mean o of
//          the p_j, where errors common to all weights cancel; and no mean leaves the hull of the v
//     R13  numerator and denominator are sums (summation.hpp), each in its own precision, of terms
//          that were rounded by their product and by `steps` rescales
//     R14  a weight may be rounded to fewer bits before it meets its value, before or after it is
//          added to the denominator, so nothing cancels
//     R15  the division adds gamma(normRoundings), relative to sum w |v| since it may come first
//
// R9. Where parts are normalised before they are merged, each part and the whole is divided. What a
// part adds, exp(e_i - e) o_i, is again sum w_j v_j over its rows, for l_i cancels.
//
// Not said here: where a mean is exact (softmax_exact.hpp), schedules that are replayed (R14 in its
// sharp form).
#pragma once
#include "softmax_exact.hpp"

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
        if (weights_.isDefined) boundDenominator(n.normRoundings * parts);
    }

    /// The mean of one component; column[j] belongs to score j.
    Ball mean(Ball const* column) const {
        double magnitude = 0;
        for (std::size_t j = 0; j < total_; ++j) magnitude += column[j].size();
        if (!weights_.isDefined || r_.overflows(magnitude) || v_.overflows(magnitude))
            return {0, HUGE_VAL};
        if (auto const exact = exact_->mean(weights_, column)) return *exact;
        return boundedMean(column, magnitude);
    }

   private:
    void boundDenominator(double divisions) {
        auto const& rows = weights_.rows;
        double const n = double(rows.size());
        double rounding = 0;
        for (auto const& row : rows) {
            // The most that this weight can be of the sum of all weights.
            shares_.push_back(std::min(1.0, row.high / weights_.lowest));
            growths_.push_back(v_.gamma(1 + row.steps) + narrowing_.relative);
            rounding += shares_.back() * r_.gamma(row.steps);
        }
        before_ = 1 + weights_.steps + divisions;
        exact_.emplace(weights_, numerics_, before_);
        if (exact_->isWhole()) return;
        auto const share = [&](std::size_t i) { return shares_[i]; };
        double const sum = sumError(r_, rows.size(), share, before_);
        double const least = r_.terms > 0 ? HUGE_VAL : r_.gamma(n + weights_.steps);
        denominator_ = std::min(least, rounding + sum) + exact_->flushes() + narrowing_.relative +
                       n * narrowing_.absolute / weights_.lowest;
        division_ = std::max(r_.gamma(divisions), v_.gamma(divisions));
    }

    /// R12, R13, R15.
    Ball boundedMean(Ball const* column, double magnitude) const {
        auto const& rows = weights_.rows;
        std::size_t const n = rows.size();
        std::vector<double> terms(n);
        double center = 0, whole = 0, least = HUGE_VAL, most = -HUGE_VAL, given = 0;
        double sum = 0, numerator = 0, spread = 0;
        for (std::size_t i = 0; i < n; ++i) {
            auto const& v = column[rows[i].index];
            terms[i] = shares_[i] * v.size();
            sum += terms[i];
            // One times a value that is held is that value.
            bool const isKept =
                exact_->isWhole() && rows[i].wins && v.radius == 0 && v_.holds(v.center);
            if (!isKept) numerator += terms[i] * growths_[i];
            center += rows[i].weight * v.center;
            whole += rows[i].weight;
            least = std::min(least, v.center);
            most = std::max(most, v.center);
            given = std::max(given, v.radius);
        }
        numerator += sumError(v_, n, [&](std::size_t i) { return terms[i]; }, before_);
        center /= whole;
        for (auto const& row : rows)
            spread += row.spread * std::abs(column[row.index].center - center);
        spread /= weights_.lowest;
        double const range = std::min(std::max(most - center, center - least), spread) + given;
        double const sums = numerator + (std::abs(center) + range) * denominator_;
        double const divided = (sum + numerator) * division_;
        double const merged = (sum + numerator) * weights_.common;
        double const own = (3 * double(n) + 8) * ownUnit * sum;
        double const flushed = (6 * double(n) + 1 + magnitude) * std::max(r_.flush, v_.flush) +
                               magnitude * narrowing_.absolute / weights_.lowest;
        double const computed = (sums + divided) / (1 - denominator_) + merged;
        double const narrowed = 2 * narrowing_.relative * sum;
        return {center, denominator_ < 1 ? range + computed + own + flushed : HUGE_VAL,
                largestOf({{weights_.largest, range}, {Rule::sums, sums - narrowed},
                           {Rule::weights, narrowed}, {Rule::division, divided},
                           {Rule::merges, merged}, {Rule::flushing, flushed}})};
    }

    struct Share {
        Rule rule;
        double size;
    };
    static Rule largestOf(std::initializer_list<Share> shares) {
        return std::max_element(shares.begin(), shares.end(), [](Share const& a, Share const& b) {
                   return a.size < b.size;
               })->rule;
    }

    Numerics const& numerics_;
    Rounding r_, v_;  // of weights and their sum, of weighted values
    Narrowing narrowing_;
    std::size_t total_;
    SoftmaxWeights weights_;
    std::vector<double> shares_, growths_;
    std::optional<SoftmaxExact> exact_;
    double before_ = 0;                      // roundings of one term besides the additions
    double denominator_ = 0, division_ = 0;  // relative errors
};

}  // namespace kv

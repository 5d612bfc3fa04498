// softmax_bound: bound the softmax mean of every conforming engine.
//
// The weights lie in a box (softmax_weights.hpp). An engine adds w_j v_j and w_j in any order, with
// rescales in between, and divides after or before; parts may be merged as (m, l, acc).
//
//     R12  |sum w v / sum w - o| <= sum |w_j - p_j| |v_j - o| / sum low_j, centred at the mean o of
//          the p_j, where errors common to all weights cancel; and no mean leaves the hull of the v
//     R13  numerator and denominator are sums in any order (rounding.hpp) of terms that were
//          rounded by their product and by `steps` rescales
//     R15  the division adds gamma(normRoundings), relative to sum w |v| since it may come first
//
// R5 for reads. Let 2^k winners weigh exactly 1, let their values lie on a grid 2^g with
// sum |v| <= 2^(g+p), and let all other terms add up to at most T < 2^(g-p-1). Then each partial
// sum whose winners add up to h != 0 is h itself: h has p bits and |h| >= 2^g, so T is less than
// half the distance to its neighbours, and rounding to nearest drops it. Where h = 0 the rest is
// left, at most T (1 + gamma). So the numerator is exact unless it is 0. The denominator is 2^k,
// for its partial sums are never 0 once a winner is in (g = 0). Dividing by 2^k is exact, before or
// after, as long as the grid 2^(g-k) is normal. No rescale touches a winner, since exp(0) = 1.
//
// R9. Where parts are normalised before they are merged, each part and the whole is divided. What a
// part adds, exp(e_i - e) o_i, is again sum w_j v_j over its rows, for l_i cancels.
//
// Not said here: weights rounded to fewer bits (R14).
#pragma once
#include "softmax_weights.hpp"

#include <optional>

namespace kv {

class SoftmaxBound {
   public:
    /// One ball per score, at least one.
    SoftmaxBound(std::vector<Ball> const& scores, Numerics const& n)
        : r_(n), total_(scores.size()), weights_(scores, n) {
        if (weights_.isDefined) boundDenominator(double(n.normRoundings) * n.parts);
    }

    /// The mean of one component; column[j] belongs to score j.
    Ball mean(Ball const* column) const {
        double magnitude = 0;
        for (std::size_t j = 0; j < total_; ++j) magnitude += column[j].size();
        if (!weights_.isDefined || r_.overflows(magnitude)) return {0, HUGE_VAL};
        if (auto const exact = exactMean(column)) return *exact;
        return boundedMean(column, magnitude);
    }

   private:
    void boundDenominator(double divisions) {
        auto const& rows = weights_.rows;
        double const n = double(rows.size());
        double rounding = 0, others = 0;
        for (auto const& row : rows) {
            // The most that this weight can be of the sum of all weights.
            shares_.push_back(std::min(1.0, row.high / weights_.lowest));
            growths_.push_back(r_.gamma(1 + row.steps));
            rounding += shares_.back() * r_.gamma(row.steps);
            if (row.wins) winner_ = std::min(winner_, row.low);
            else others += row.high;
        }
        before_ = 1 + weights_.steps + divisions;
        grow_ = 1 + r_.gamma(2 * (n + before_));
        flushes_ = rows.size() > weights_.winners ? 6 * n * r_.flush : 0;
        isWhole_ = std::has_single_bit(weights_.winners) &&
                   double(weights_.winners) * r_.unit <= 1 &&
                   grow_ * others / winner_ + flushes_ < r_.unit / 2 * (1 - slack);
        if (isWhole_) return;
        double const sum = sumError(
            r_, rows.size(), [&](std::size_t i) { return shares_[i]; }, before_);
        denominator_ = std::min(r_.gamma(n + weights_.steps), rounding + sum) + flushes_;
        division_ = r_.gamma(divisions);
    }

    /// R5, where it applies.
    std::optional<Ball> exactMean(Ball const* column) const {
        if (!isWhole_) return {};
        Grid grid;
        double total = 0, others = 0;
        for (auto const& row : weights_.rows) {
            auto const& v = column[row.index];
            if (row.wins) {
                if (v.radius > 0) return {};
                grid.add(v.center);
                total += v.center;
            } else {
                others += row.high * v.size();
            }
        }
        auto const winners = weights_.winners;
        if (!grid.isExact(r_, std::countr_zero(winners))) return {};
        double const rest =
            (grow_ * others / winner_ + flushes_ * double(winners)) * (1 + slack);
        if (rest > 0) {
            if (grid.isEmpty()) return {};  // nothing absorbs the rest
            double const least = powerOfTwo(winners == 1 ? bitsOf(total).highest : grid.spacing());
            if (!(rest < least * r_.unit / 2)) return {};
        }
        return Ball{total / double(winners), total == 0 ? rest / double(winners) : 0};
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
            if (!isWhole_ || !rows[i].wins) numerator += terms[i] * growths_[i];
            center += rows[i].weight * v.center;
            whole += rows[i].weight;
            least = std::min(least, v.center);
            most = std::max(most, v.center);
            given = std::max(given, v.radius);
        }
        numerator += sumError(r_, n, [&](std::size_t i) { return terms[i]; }, before_);
        center /= whole;
        for (auto const& row : rows)
            spread += row.spread * std::abs(column[row.index].center - center);
        spread /= weights_.lowest;
        double const range = std::min(std::max(most - center, center - least), spread) + given;
        double const sums = numerator + (std::abs(center) + range) * denominator_;
        double const computed = (sums + (sum + numerator) * division_) / (1 - denominator_) +
                                (sum + numerator) * weights_.common;
        double const own = (3 * double(n) + 8) * ownUnit * sum;
        double const flushed = (6 * double(n) + 1 + magnitude) * r_.flush;
        return {center, denominator_ < 1 ? range + computed + own + flushed : HUGE_VAL};
    }

    Rounding r_;
    std::size_t total_;
    SoftmaxWeights weights_;
    std::vector<double> shares_, growths_;
    bool isWhole_ = false;  // the denominator is 2^k, the number of winners, in every engine
    double before_ = 0;     // roundings of one term besides the additions
    double grow_ = 1;       // what the others may grow by until they meet a winner
    double winner_ = HUGE_VAL, flushes_ = 0;
    double denominator_ = 0, division_ = 0;  // relative errors
};

}  // namespace kv

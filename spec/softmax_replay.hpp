// softmax_replay: bound the softmax mean where the rounding of each weight can be replayed.
//
// A schedule that is declared leaves few weights open (softmax_schedule.hpp), and these move the
// mean sum a v / d by little (softmax_deviation.hpp). What is left is the engine's own arithmetic:
//
//     R13  sums are as in softmax_bound.hpp, of terms that are rounded by their product and by one
//          multiplication for each rescale
//     R3   the keys of a block are known, and so is what is added to them later (summation.hpp):
//          one sum for each later block, or its keys if they are added in place
//     R15  the division comes last, so it errs relative to the mean
//
// Where it is not declared which weights are added, the mean lies in the hull of both answers.
//
// Not said here: where a mean is exact (softmax_exact.hpp).
#pragma once
#include "softmax_deviation.hpp"

namespace kv {

class SoftmaxReplay {
   public:
    /// One ball per score, in the order of the keys, at least one.
    SoftmaxReplay(std::vector<Ball> const& scores, Numerics const& n)
        : numerics_(n),
          r_(Rounding::ofWeights(n)),
          v_(Rounding::ofValues(n)),
          schedule_(scores, n),
          before_(1 + schedule_.stretches.front().steps + n.normRoundings) {}

    /// The mean of each component; an infinite radius says nothing.
    std::vector<Ball> means(ValueRows const& values) const {
        if (numerics_.weightSum != WeightSum::any)
            return means(values, numerics_.weightSum == WeightSum::rounded);
        auto all = means(values, true);
        auto const others = means(values, false);
        for (std::size_t c = 0; c < all.size(); ++c) {
            double const apart = (others[c].center - all[c].center) / 2;
            double const radius = std::max(all[c].radius, others[c].radius);
            all[c].center += apart;
            all[c].radius = radius + std::abs(apart) * (1 + slack);
        }
        return all;
    }

   private:
    using Deviation = SoftmaxDeviation;

    std::vector<Ball> means(ValueRows const& values, bool isRounded) const {
        for (auto const& stretch : schedule_.stretches)
            if (!std::isfinite(stretch.shift)) return std::vector(values.width, Ball{0, HUGE_VAL});
        Deviation const d(schedule_, isRounded);
        auto const columns = d.columns(values);
        double const error = denominatorError(d);
        std::vector<Ball> all;
        for (std::size_t c = 0; c < columns.size(); ++c)
            all.push_back(bounded(d, columns[c], sumOf(d, values, c), error));
        return all;
    }

    double stepsOf(std::size_t j) const {
        return schedule_.stretches[schedule_.rows[j].stretch].steps;
    }
    /// R3, R13: the error of a sum of terms that are rounded `own` times and by their rescales.
    template <class Magnitude>
    double errorOf(Rounding const& r, Magnitude magnitude, double own) const {
        std::size_t const n = schedule_.rows.size(), block = numerics_.keyBlock;
        double rounding = 0, ordered = 0;
        for (std::size_t begin = 0; begin < n; begin += block) {
            std::vector<double> sizes;
            for (std::size_t j = begin; j < std::min(n, begin + block); ++j) {
                sizes.push_back(magnitude(j));
                rounding += sizes.back() * r.gamma(own + stepsOf(j));
            }
            std::sort(sizes.begin(), sizes.end(), std::greater<>());
            bool const isApart = numerics_.blockSum == BlockSum::apart;
            std::size_t const after = n - std::min(n, begin + block);
            double const later = double((isApart ? (after + block - 1) / block : after) +
                                        (begin > 0 ? 1 : 0));
            for (std::size_t i = 0; i < sizes.size(); ++i)
                ordered += sizes[i] * r.gamma(own + stepsOf(begin) + later +
                                              chained(sizes.size(), i));
        }
        double const sum = rounding + sumError(r, n, magnitude, before_);
        ordered *= 1 + r.gamma(2 * (double(n) + before_));
        return r.terms > 0 ? sum : std::min(sum, ordered);
    }
    /// R13: relative.
    double denominatorError(Deviation const& d) const {
        double const n = double(d.terms.size());
        auto const share = [&](std::size_t j) {
            return std::min(1.0, d.terms[j].mostB / d.lowest);
        };
        double const least = r_.terms > 0 ? HUGE_VAL : r_.gamma(n + before_);
        return std::min(least, errorOf(r_, share, 0)) + flushed(0, d.lowest);
    }
    /// R1: what is flushed in a sum of terms that come from values of this magnitude.
    double flushed(double magnitude, double lowest) const {
        double const count = 6 * double(schedule_.rows.size()) + 1 + magnitude;
        return count * std::max(r_.flush, v_.flush) / std::min(1.0, lowest);
    }

    /// R13: a sum of weighted values, in units of the least denominator.
    struct Sum {
        double size = 0, rounding = 0, given = 0, magnitude = 0;
    };
    Sum sumOf(Deviation const& d, ValueRows const& values, std::size_t component) const {
        Sum sum;
        auto const termAt = [&](std::size_t j) {
            return d.terms[j].mostA / d.lowest * values.at(j, component).size();
        };
        for (std::size_t j = 0; j < d.terms.size(); ++j) {
            Ball const v = values.at(j, component);
            sum.magnitude += v.size();
            sum.given += d.terms[j].mostA / d.lowest * v.radius;
            sum.size += termAt(j);
        }
        sum.rounding = errorOf(v_, termAt, 1);
        return sum;
    }

    Ball bounded(Deviation const& d, Deviation::Column const& x, Sum const& sum,
                 double error) const {
        double const middle = x.low + (x.high - x.low) / 2;
        double const apart = std::max(d.center - d.lowest, d.highest - d.center) / d.center;
        double const center = x.center + middle / d.center;
        double const weights =
            ((x.high - x.low) / 2 + std::abs(middle) * apart) / d.lowest + sum.given;
        double const size = std::abs(center) + weights;
        double const sums = (sum.rounding + size * error) / (1 - error);
        double const divisions = numerics_.normRoundings;
        double const divided = (size + sums) * std::max(r_.gamma(divisions), v_.gamma(divisions));
        double const tiny = flushed(sum.magnitude, d.lowest);
        double const own = (3 * double(d.terms.size()) + 8) * ownUnit *
                           (sum.size + std::abs(center));
        double const radius = weights + sums + divided + tiny + own;
        bool const isKnown = error < 1 && std::isfinite(radius);
        return {center, isKnown ? radius : HUGE_VAL,
                largestOf({{Rule::weights, weights}, {Rule::sums, sums},
                           {Rule::division, divided}, {Rule::flushing, tiny}})};
    }

    Numerics const& numerics_;
    Rounding r_, v_;  // of weights and their sum, of weighted values
    SoftmaxSchedule schedule_;
    double before_;  // roundings of one term besides the additions
};

}  // namespace kv

// softmax_weights: bound the weights of every conforming engine.
//
// An engine of the declared form weighs row j by exp(s_j - m). Its m is a running maximum, over one
// row, a block or a part of the rows; when m grows, what is there is rescaled by exp(m - m'); parts
// are merged as (m, l, acc). So a weight may be a product of several exponentials, and still
//
//     R7   the differences on the way from s_j to the last m add up to their distance, gap_j, so
//          rounding them costs at most 3 u gap_j: the difference, log2(e), the product with it
//     R10  each exp errs by expUlps, or flushes below 2^expFlushExponent. The way of row j passes
//          only through scores above s_j, so it has at most as many exps and rescales as there are
//     R11  weight j lies in p_j exp(+-T_j) +- absolute, in units of exp(max s), where
//          p_j = exp(s_j - max s), T_j = radius_j + 3 u gap_j + steps_j gamma(2 expUlps) + form_j
//
// What the declared form adds to the steps and to T_j (R8, R9) stands in softmax_form.hpp.
// Telescoping (R7) needs no source beyond itself. R10: ulp(x) <= 2 u |x|, IEEE 754-2019.
//
// Winners weigh exactly 1, because the last m is their own score and exp(0) = 1: one row that is
// above all others by more than all radii, or several whose scores are equal and have no radius.
// Where winners exist and even the best other row is so far below that its exp is under half of the
// smallest subnormal number, every other weight is exactly 0, for the last factor on its way is: an
// exp errs by ulps of its own result. Such rows are left out.
//
// Assumed of every engine: exp(0) = 1, exp of less than half of the smallest subnormal is 0, its
// maximum is one of the scores it computed, and dividing by 2^k is exact.
// Not said here: maxima that are not followed at once (lazy rescaling).
#pragma once
#include "conversion.hpp"
#include "softmax_form.hpp"

#include <vector>

namespace kv {

/// What one weight may be.
struct WeightBox {
    std::size_t index = 0;          ///< of the row
    Ball score;
    bool wins = false;              ///< it is exactly 1
    double steps = 0;               ///< exponentials and rescales on its way
    double weight = 0, spread = 0;  ///< p_j, and how far the box reaches from it
    double low = 0, high = 0;       ///< the box, in units of exp(max s)
};

/// What all weights may be. Undefined (R17) where a score may have overflowed.
class SoftmaxWeights {
   public:
    /// One ball per score, at least one.
    SoftmaxWeights(std::vector<Ball> const& scores, Numerics const& numerics)
        : total_(double(scores.size())) {
        Rounding const r(numerics);
        for (auto const& score : scores) {
            rows.push_back({.index = rows.size(), .score = rounded(score, numerics)});
            // A score of this radius may be a sum of terms as large as radius / u.
            isDefined = isDefined && !r.overflows(score.size() + score.radius / r.unit) &&
                        !Rounding(numerics.scores, numerics).overflows(rows.back().score.size());
        }
        if (!isDefined) return;
        SoftmaxForm const form(r, numerics, scores.size());
        findWinners(r, numerics, form);
        weigh(r, numerics, form);
    }

    std::vector<WeightBox> rows;  ///< those that may weigh more than 0
    std::size_t winners = 0;
    double lowest = 0, steps = 0;    ///< of the sum of all weights; the most of one row
    double common = 0;               ///< R9: relative error of the whole mean
    Rule largest = Rule::exponents;  ///< of the spread
    bool isDefined = true;

    static constexpr double exponentRoundings = 3;  ///< R7
    /// A score as exponentials meet it.
    static Ball rounded(Ball const& score, Numerics const& n) {
        if (score.radius == 0 && Rounding(n.scores, n).holds(score.center)) return score;
        Narrowing const by(n.scores, n);
        return {score.center, score.radius + score.size() * by.relative + by.absolute};
    }

   private:
    void findWinners(Rounding const& r, Numerics const& n, SoftmaxForm const& form) {
        for (auto const& row : rows) {
            top_ = std::max(top_, row.score.center);
            floor_ = std::max(floor_, row.score.low());
            ceiling_ = std::max(ceiling_, row.score.high());
        }
        size_ = std::max(std::abs(floor_), std::abs(ceiling_));
        double rival = -HUGE_VAL;
        bool isTie = true, isKept = true;
        for (auto& row : rows) {
            row.wins = row.score.high() >= floor_;
            winners += row.wins ? 1 : 0;
            isTie = isTie && (!row.wins || row.score.radius == 0);
            if (!row.wins) rival = std::max(rival, row.score.high());
        }
        for (auto const& row : rows)
            isKept = isKept && (!row.wins || form.keepsWinner(row.score, winners));
        if (!isKept || (winners > 1 && !isTie)) {
            winners = 0;
            for (auto& row : rows) row.wins = false;
        }
        double const last = std::exp((rival - floor_) * (1 - exponentRoundings * r.unit)) *
                            form.mostOfPart(std::abs(rival));
        double const held =
            std::ldexp(1, r.minExponent - r.bits) * (1 - r.gamma(2 * n.expUlps));
        if (winners > 0 && last < held * (1 - slack))
            std::erase_if(rows, [](WeightBox const& row) { return !row.wins; });
    }

    void weigh(Rounding const& r, Numerics const& n, SoftmaxForm const& form) {
        std::vector<double> uppers;
        for (auto const& row : rows) uppers.push_back(row.score.high());
        std::sort(uppers.begin(), uppers.end());
        double const step = powerOfTwo(n.expFlushExponent) + 3 * r.flush;
        double fromScores = 0;
        for (auto& row : rows) {
            auto const above = std::upper_bound(uppers.begin(), uppers.end(), row.score.low());
            bool const countsItself = row.score.low() < row.score.high();
            double const better = double(uppers.end() - above) - (countsItself ? 1 : 0);
            row.steps = row.wins ? 0 : std::min(better, mostMaxima(n)) + form.moreSteps();
            double const gap = ceiling_ - row.score.low();
            double const own = (gap + 4) * 2 * ownUnit;  // of the difference and of what follows
            double const exponent = row.score.radius + exponentRoundings * r.unit * gap + own +
                                    row.steps * (r.gamma(2 * n.expUlps) + 3 * r.flush) +
                                    form.exponent(std::max(row.score.size(), size_), row.steps);
            double const lost = row.steps > 0 ? row.steps * step * std::exp(ceiling_ - top_) : 0;
            double const below = row.score.center - top_;
            row.weight = std::exp(below);
            // A weight that underflows as a double may still reach far, so the second form.
            bool const isNear = exponent < 1;
            double const grown = isNear ? std::expm1(exponent) : 0;
            row.spread = lost + (isNear ? row.weight * grown : std::exp(below + exponent));
            row.high = row.weight + row.spread;
            double const least = isNear ? row.weight / (1 + grown) : std::exp(below - exponent);
            row.low = std::max(0.0, least - lost);
            lowest += row.low;
            fromScores += row.weight * (2 * row.score.radius - exponent);
            steps = std::max(steps, row.steps);
        }
        common = form.common(size_);
        if (fromScores > 0) largest = Rule::scores;
    }

    /// R10: how often the maximum above a row may move. Parts have blocks of their own.
    double mostMaxima(Numerics const& n) const {
        return n.keyBlock == 0 ? HUGE_VAL : std::ceil(total_ / n.keyBlock) + 2 + n.parts;
    }

    double total_, top_ = -HUGE_VAL, floor_ = -HUGE_VAL, ceiling_ = -HUGE_VAL, size_ = 0;
};

}  // namespace kv

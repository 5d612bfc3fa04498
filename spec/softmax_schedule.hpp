// softmax_schedule: follow the running maximum of an engine that meets its keys in order.
//
// Keys come in ascending order, in blocks of keyBlock from the first that the query sees. A block
// moves the maximum once, m_b = max(m_{b-1}, its computed scores), and then its keys are weighed:
//
//     e_j = exp(s_j - m_b), computed in `compute`         P_j = RN(e_j), what meets the value
//     a_j = P_j r_b,  r_b = product of the exp(m_{i-1} - m_i), i > b: the later rescales
//
// A computed score is known up to its radius, so m_b lies between the largest low and the largest
// high end of the scores so far, and the distance d_j = m_b - s_j, which is not negative, between
// those ends and the ends of s_j; for the only row that can be the maximum it is 0, and exp(0) = 1.
//
//     R14  e_j lies in [exp(-high d_j - T), exp(-low d_j + T)] +- one flush, where
//          T = 3 u d_j + gamma(2 expUlps) + form_j (R7, R8, R10), and RN is monotone (R16), so
//          P_j lies in [RN(low e_j), RN(high e_j)]: one number, unless a boundary lies between
//     R7   r_b = exp(m_b - M) exp(w), M the last maximum: the differences on the way add up to
//          M - m_b, so |w| <= 3 u (M - m_b) + rescales (gamma(2 expUlps) + form), and every row of
//          a block has the same r_b. Where m_b and M are taken for the maxima of the centers, what
//          that is off is another part of w: at most the radius of m_b and that of M
//
// The maximum can move only where a score reaches above its low end, so m_b and r_b are the same
// for all the blocks up to there: a stretch. In the last one r = 1. What is left open of m_b moves
// all weights of a stretch together: so it is cut into slices, and P_j is replayed in each of them.
//
// Assumed: a maximum that does not move rescales nothing, and one factor rescales both sums.
// Not said here: what follows for the mean (softmax_deviation.hpp); maxima that are followed late.
#pragma once
#include "softmax_weights.hpp"

namespace kv {

class SoftmaxSchedule {
   public:
    /// Blocks between which the maximum cannot move.
    struct Stretch {
        double low, high, center;  ///< the maximum
        double steps = 0;          ///< rescales that may follow
        double scale = 1;          ///< exp(center - center of the last maximum)
        double shift = 0;          ///< |w|; infinite where exp(w) is of no use
        double flushed = 0;        ///< what factors that are flushed take from a weight
    };
    static constexpr std::size_t slices = 16;
    struct Row {
        std::size_t stretch;
        Ball rounded, unrounded;    ///< P_j, e_j
        std::vector<Ball> sliced{};  ///< P_j in each slice of the maximum; empty if P_j is known
    };

    /// Whether the rounding of weights is declared closely enough to be replayed.
    static bool isDeclared(Numerics const& n) {
        return n.keyOrder == KeyOrder::ascending && n.keyBlock > 0 && n.parts == 1 &&
               n.merge == PartMerge::weights && Narrowing(n.weights, n).relative > 0;
    }

    /// One ball per score, in the order of the keys, at least one.
    SoftmaxSchedule(std::vector<Ball> const& scores, Numerics const& n)
        : numerics_(n),
          r_(n),
          form_(r_, n, scores.size()),
          step_(powerOfTwo(n.expFlushExponent) + 3 * r_.flush) {
        for (std::size_t begin = 0; begin < scores.size(); begin += n.keyBlock) {
            std::size_t const end = std::min<std::size_t>(scores.size(), begin + n.keyBlock);
            std::vector<Ball> block;
            for (std::size_t j = begin; j < end; ++j)
                block.push_back(SoftmaxWeights::rounded(scores[j], n));
            follow(block);
            for (auto const& score : block) weigh(score);
        }
        for (auto& stretch : stretches) rescale(stretch);
    }

    std::vector<Stretch> stretches;
    std::vector<Row> rows;

   private:
    /// R7, R8, R10: the relative error of `steps` exponentials over a distance, and of R18.
    double exponent(double distance, double steps) const {
        return SoftmaxWeights::exponentRoundings * r_.unit * distance +
               steps * (r_.gamma(2 * numerics_.expUlps) + 3 * r_.flush) +
               form_.exponent(size_, steps) + (distance + 8) * 2 * ownUnit;
    }
    void follow(std::vector<Ball> const& block) {
        auto now = stretches.empty() ? Stretch{-HUGE_VAL, -HUGE_VAL, -HUGE_VAL} : stretches.back();
        bool mayMove = false;
        for (auto const& score : block) {
            mayMove = mayMove || stretches.empty() || score.high() > stretches.back().low;
            now.low = std::max(now.low, score.low());
            now.center = std::max(now.center, score.center);
            second_ = std::max(second_, std::min(now.high, score.high()));
            now.high = std::max(now.high, score.high());
            size_ = std::max(size_, score.size());
        }
        if (mayMove) stretches.push_back(now);
    }
    void weigh(Ball const& score) {
        auto const& top = stretches.back();
        rows.push_back({stretches.size() - 1, {}, weight(score, top.low, top.high)});
        auto& row = rows.back();
        row.rounded = narrowed(row.unrounded);
        double const slice = (top.high - top.low) / slices;
        for (std::size_t k = 0; row.rounded.radius > 0 && k < slices; ++k) {
            bool const isLast = k + 1 == slices;
            double const high = isLast ? top.high : top.low + double(k + 1) * slice;
            row.sliced.push_back(narrowed(weight(score, top.low + double(k) * slice, high)));
        }
    }
    /// e_j below a maximum from `low` to `high`.
    Ball weight(Ball const& score, double low, double high) const {
        // Above all others, this score is the maximum.
        double const others = score.high() < stretches.back().high ? high : std::min(high, second_);
        double const least = std::max(0.0, low - score.high());
        double const most = std::max(0.0, others - score.low());
        if (most == 0 && form_.keepsWinner(score, 1)) return {1, 0};
        double const error = exponent(most, 1);
        return between(std::max(0.0, std::exp(-most - error) - step_),
                       std::exp(error - least) + step_);
    }
    /// R14.
    Ball narrowed(Ball const& weight) const {
        auto const& to = numerics_.weights;
        bool const isFlushed = weight.low() < Rounding(to, numerics_).least &&
                               numerics_.subnormals == Subnormals::flushed;
        return between(isFlushed ? 0 : nearest(to, weight.low()), nearest(to, weight.high()));
    }
    void rescale(Stretch& stretch) const {
        auto const& last = stretches.back();
        stretch.steps = double(&last - &stretch);
        if (stretch.steps == 0) return;
        auto const radius = [](Stretch const& s) {
            return std::max(s.high - s.center, s.center - s.low);
        };
        stretch.shift = radius(stretch) + radius(last) +
                        exponent(last.high - stretch.low, stretch.steps);
        if (stretch.shift > 1) stretch.shift = HUGE_VAL;
        stretch.scale = std::exp(stretch.center - last.center);
        stretch.flushed = 3 * stretch.steps * step_;
    }
    static Ball between(double low, double high) {
        return {low + (high - low) / 2, (high - low) / 2};
    }

    Numerics const& numerics_;
    Rounding r_;
    SoftmaxForm form_;
    double step_;                // what flushing may take from an exponential
    double size_ = 0;            // of the largest score so far
    double second_ = -HUGE_VAL;  // high end of the second largest score so far
};

}  // namespace kv

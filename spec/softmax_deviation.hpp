// softmax_deviation: bound how far replayed weights move a mean.
//
// The schedule (softmax_schedule.hpp) leaves a_j = P_j r_j for the numerator and b_j = x_j r_j for
// the denominator, where x is P or, if that adds unrounded weights, e. Both have the same rescales
// r_j = R_j exp(w_j), where R_j is known and |w_j| <= W_j. Let P', x' be the middles of their
// boxes, o = sum P' R v / sum x' R, and d = sum b. Since sum (P' v - o x') R is 0,
//
//     R12  d (sum a v / d - o) = sum (a_j v_j - o b_j) - sum (P'_j v_j - o x'_j) R_j
//
// In a stretch w is one number, so what its rows add to this is
//
//     (e^w - 1) S + e^w sum ((P_j - P'_j) v_j - o (x_j - x'_j)) R_j
//     S = sum (P'_j v_j - o x'_j) R_j, over the rows of the stretch
//
// S is small beside a sum of absolute values. The last sum has few terms that count: P_j is P'_j
// unless e_j lies near a boundary, and what is open of an unrounded x_j is relative to o. Where x
// is P its terms are (P_j - P'_j) (v_j - o) R_j. The maximum of the stretch lies in one of its
// slices, so the sum lies in the hull of its bounds. Flushed rescales take up to |v| + |o| each.
//
// Not said here: how the sums are rounded (softmax_replay.hpp).
#pragma once
#include "softmax_columns.hpp"
#include "softmax_schedule.hpp"

namespace kv {

class SoftmaxDeviation {
   public:
    /// A row after its rescales.
    struct Term {
        double a, b;          ///< P' R, x' R
        double mostA, mostB;  ///< that a, b may be
        double spread;        ///< of b
    };
    struct Column {
        double center = 0;         ///< o
        double low = 0, high = 0;  ///< of d (mean - o)
        double stretch = 0;        ///< S so far
    };

    /// `isRounded`: the denominator adds rounded weights.
    SoftmaxDeviation(SoftmaxSchedule const& schedule, bool isRounded)
        : schedule_(schedule), isRounded_(isRounded) {
        for (auto const& row : schedule.rows) {
            auto const& by = schedule.stretches[row.stretch];
            Ball const &p = row.rounded, &x = isRounded ? p : row.unrounded;
            double const grown = std::exp(by.shift) * by.scale;
            terms.push_back({p.center * by.scale, x.center * by.scale,
                             p.high() * grown + by.flushed, x.high() * grown + by.flushed,
                             x.radius * grown});
            center += terms.back().b;
            lowest += std::max(0.0, x.low() * by.scale * std::exp(-by.shift) - by.flushed);
            highest += terms.back().mostB;
        }
    }

    std::vector<Term> terms;
    double center = 0, lowest = 0, highest = 0;  ///< of d

    std::vector<Column> columns(ValueRows const& values) const {
        std::vector<Column> all(values.width);
        for (std::size_t j = 0; j < terms.size(); ++j)
            for (std::size_t c = 0; c < all.size(); ++c)
                all[c].center += terms[j].a * values.at(j, c).center;
        for (auto& x : all) x.center /= center;
        Slices slices(all.size() * SoftmaxSchedule::slices);
        for (std::size_t j = 0; j < terms.size(); ++j) {
            for (std::size_t c = 0; c < all.size(); ++c) addRow(all[c], j, values.at(j, c).center);
            slice(slices, j, all, values);
            bool const isLast = j + 1 == terms.size();
            if (isLast || schedule_.rows[j].stretch < schedule_.rows[j + 1].stretch)
                end(slices, schedule_.stretches[schedule_.rows[j].stretch], all);
        }
        return all;
    }

   private:
    struct Range {
        double low = 0, high = 0;
    };
    using Slices = std::vector<Range>;  // of each column in turn

    void addRow(Column& x, std::size_t j, double v) const {
        auto const& term = terms[j];
        double const o = std::abs(x.center);
        double const flushed = schedule_.stretches[schedule_.rows[j].stretch].flushed;
        double const open = flushed * (std::abs(v) + o) + (isRounded_ ? 0 : term.spread * o);
        x.stretch += term.a * v - x.center * term.b;
        x.low -= open;
        x.high += open;
    }
    /// What P may be besides P', times what it weighs, in each slice of the maximum.
    void slice(Slices& slices, std::size_t j, std::vector<Column> const& all,
               ValueRows const& values) const {
        auto const& row = schedule_.rows[j];
        double const scale = schedule_.stretches[row.stretch].scale;
        for (std::size_t k = 0; k < row.sliced.size(); ++k) {
            double const moved = (row.sliced[k].center - row.rounded.center) * scale;
            double const radius = row.sliced[k].radius * scale;
            for (std::size_t c = 0; c < all.size(); ++c) {
                double const v = values.at(j, c).center - (isRounded_ ? all[c].center : 0);
                auto& range = slices[c * SoftmaxSchedule::slices + k];
                range.low += moved * v - radius * std::abs(v);
                range.high += moved * v + radius * std::abs(v);
            }
        }
    }
    static void end(Slices& slices, SoftmaxSchedule::Stretch const& by, std::vector<Column>& all) {
        double const grows = std::expm1(by.shift);
        for (std::size_t c = 0; c < all.size(); ++c) {
            auto& x = all[c];
            Range hull{HUGE_VAL, -HUGE_VAL};
            for (std::size_t k = 0; k < SoftmaxSchedule::slices; ++k) {
                auto& range = slices[c * SoftmaxSchedule::slices + k];
                hull = {std::min(hull.low, range.low), std::max(hull.high, range.high)};
                range = {};
            }
            x.low += hull.low - grows * (std::abs(hull.low) + std::abs(x.stretch));
            x.high += hull.high + grows * (std::abs(hull.high) + std::abs(x.stretch));
            x.stretch = 0;
        }
    }

    SoftmaxSchedule const& schedule_;
    bool isRounded_;
};

}  // namespace kv

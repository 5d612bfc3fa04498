// softmax_form: say what a declared way of computing weights adds to their error.
//
// The plain way subtracts the maximum, takes exp, and normalises one sum at the end. Two others are
// common, and both leave an error that grows with the scores and not with their distance.
//
//     R8   exp2(fma(s, c, -fl(m c))), c = log2(e): rounding the product m c is not undone, so every
//          exponential errs by u |m| more, and the weight of the largest score is 1 only for m = 0
//     R9   parts (o_i, e_i = m_i + log l_i) merged as sum exp(e_i - e) o_i: each e_i is rounded at
//          its own size, and log errs; l_i itself cancels, since e_i and o_i use the same one
//
// R9, one level of merging, N rows: |e_i| <= |m_i| + ln N is rounded up to three times (the sum, a
// change of base there and back) and log adds its ulps of ln N. That happens to e_i and to e; a
// fused exponential rounds once more; the difference of the two is rounded three times (R7), and
// the exponential errs by its ulps (R10). Where e is itself the log of a sum of `parts` terms
// nothing divides by that sum again, so the same error, and that of the sum, is common to the whole
// mean. A tree of parts has at most parts - 1 levels.
//
// A single winner stays exact under R9: its l is 1, log(1) = 0, so e = m and its weight is
// exp(0) = 1. Several winners do not: log(2^k) is not a number of p bits.
//
// Assumed: log errs by as many ulps as exp, and log(1) = 0.
// Not said here: the weights themselves (softmax_weights.hpp).
#pragma once
#include "summation.hpp"

namespace kv {

class SoftmaxForm {
   public:
    SoftmaxForm(Rounding const& r, Numerics const& n, std::size_t rows)
        : levels(n.merge == PartMerge::logSumExp ? double(n.parts) - 1 : 0),
          isFused_(n.exponent == ExponentForm::fused),
          product_(isFused_ ? r.unit * (1 + 3 * r.unit) : 0),
          sums_(r.gamma(double(n.parts))),
          ulps_(r.gamma(2 * n.expUlps)),
          rounding_(r.gamma(3)),
          logarithm_(std::log(double(rows)) * (1 + slack) + 1),
          difference_(6 * r.unit * logarithm_ + 3 * r.flush) {}

    double levels;  ///< R9: merges that one row can meet

    /// Exponentials and rescales of a row besides those that the running maximum causes.
    double moreSteps() const { return (isFused_ ? 1 : 0) + 2 * levels; }
    /// What rows with scores up to this magnitude may err in the exponent, over `steps` of them.
    double exponent(double magnitude, double steps) const {
        return steps * product_ * magnitude + levels * merge(magnitude);
    }
    /// The error that is common to all weights, relative.
    double common(double magnitude) const {
        return levels == 0 ? 0 : std::expm1(levels * (2 * merge(magnitude) + sums_));
    }
    /// The most that one exponential can weigh below this score, in units of exp of that score: a
    /// part is weighed as a whole.
    double mostOfPart(double magnitude) const {
        return levels == 0 ? 1 : std::exp(logarithm_ + levels * merge(magnitude));
    }
    /// Whether the rows of the largest score, `count` of them, weigh exactly 1.
    bool keepsWinner(Ball const& score, std::size_t count) const {
        bool const isZero = score.center == 0 && score.radius == 0;
        return (!isFused_ || isZero) && (levels == 0 || count == 1);
    }

   private:
    double merge(double magnitude) const {
        double const kept = rounding_ * (magnitude + logarithm_) + ulps_ * logarithm_;
        return 3 * kept + difference_ + ulps_;
    }

    bool isFused_;
    double product_, sums_, ulps_, rounding_, logarithm_, difference_;
};

}  // namespace kv

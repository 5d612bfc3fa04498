// enclosure: hold every value that a conforming engine may have computed.
//
// An engine may add in any order, fuse a product into a sum, scale the query or the score, rescale
// when a larger score turns up, and flush tiny numbers. So there is no single right float, but
// there is a set, and the spec text computes it: in this scalar a value is the interval
//
//     [center - radius, center + radius]
//
// and the verdict on an output y is RN(low) <= y <= RN(high), since rounding is monotone (R16).
// Where the inputs leave no room, the radius is 0 by itself and one float is right.
//
// The reductions are answered as a whole. A fold of the operators below would bound one order only.
// How softmaxMean is bounded stands in softmax_bound.hpp, how a score is in dot_product.hpp. Rules
// R1 and R3 are in rounding.hpp, R2 and R5 in summation.hpp, R18 and one operation in interval.hpp.
//
// R17: where an engine may have met an infinity, the enclosure is undefined; it accepts everything.
//
// Not said here: one operation (interval.hpp), one row (enclosure_row.hpp).
#pragma once
#include "dot_product.hpp"
#include "softmax_bound.hpp"
#include "theorem.hpp"

namespace kv {

/// The reductions, each bounded for every order at once.
template <>
struct Reduce<Enclosure> {
    /// R2, R5. n is at least 1.
    template <class F>
    static Enclosure sum(std::size_t n, F f) {
        Enclosure result{0, 0, 0, f(std::size_t{0}).numerics};
        Grid grid;
        double spread = 0, absolute = 0;
        bool isExact = true;
        for (std::size_t i = 0; i < n; ++i) {
            Enclosure const x = f(i);
            result = {result.center + x.center, 0, 0, detail::shared(result, x)};
            grid.add(x.center);
            isExact = isExact && x.radius == 0;
            spread += x.radius;
            absolute += x.size();
        }
        Rounding const r(*result.numerics);
        if (r.overflows(absolute)) return {0, HUGE_VAL, 0, result.numerics};
        if (isExact && grid.isExact(r)) return result;
        double const own = double(n) * ownUnit * absolute;
        double const error = sumError(r, n, [&](std::size_t i) { return f(i).size(); }, 0);
        return detail::around(result.center, spread + own + error + 2 * double(n) * r.flush,
                              result.numerics);
    }

    /// R4, R5, R6: the part <q,k> of a score. a is the query.
    template <class A, class B>
    static Enclosure dot(A const& a, B const& b) {
        return a.size() == 0 ? Enclosure{} : DotProduct(a, b).bound();
    }

    /// R7 to R13, R15. n is at least 1. Value rows are referred to, not copied.
    template <class Score, class Value>
        requires std::is_lvalue_reference_v<std::invoke_result_t<Value, std::size_t>>
    static auto softmaxMean(std::size_t n, Score score, Value value) {
        auto const width = value(std::size_t{0}).size();
        std::vector<Ball> scores(n);
        ValueRows values(n, width);
        Numerics const* numerics = &numericsF32;
        for (std::size_t j = 0; j < n; ++j) {
            Enclosure const s = score(j);
            if (numerics == &numericsF32) numerics = s.numerics;
            scores[j] = {s.center, s.radius};
            values.set(j, value(j));
        }
        auto const means = SoftmaxBound(scores, *numerics).means(values);
        return tabulate(width, [&](std::size_t d) {
            Ball const& mean = means[d];
            auto e = detail::around(mean.center, mean.radius, numerics);
            bool const isBeyond = e.isUndefined() && std::isfinite(mean.radius);
            e.rule = isBeyond ? Rule::none : mean.rule;
            return detail::handedOut(e);
        });
    }
};

/// R16. A NaN lies in no defined enclosure, -0 equals +0. An output of more bits than are declared
/// was not handed out as declared.
template <>
struct Agreement<float, Enclosure> {
    static bool holds(float y, Enclosure const& e) {
        if (e.isUndefined()) return true;
        bool const isHandedOut = e.handsOut == nullptr || nearest(*e.handsOut, double(y)) == y;
        return isHandedOut && nearestFloat(e.low()) <= y && y <= nearestFloat(e.high());
    }
};

/// Whether exactly one float is accepted.
inline bool single(Enclosure const& e) {
    return !e.isUndefined() && nearestFloat(e.low()) == nearestFloat(e.high());
}
inline double width(Enclosure const& e) { return 2 * e.radius; }

static_assert(Scalar<Enclosure>);

}  // namespace kv

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
// How softmaxMean is bounded stands in softmax_bound.hpp. A score is bounded by
//
//     |computed - <q,k>| <= gamma_{c+1} S + R2(S) + eta sum (2 + |q| + |k|),   S = sum |q_i k_i|
//
// with c = scoreRoundings, for a scale that is put on q, on k, on both or on the score, for the
// factor log2(e) and for storing the score (R4, R6: Higham 2002, sections 3.1 and 4.2). Rules R1
// and R3 are in rounding.hpp, R2 and R5 in summation.hpp, R18 and one operation in interval.hpp.
//
// R17: where an engine may have met an infinity, the enclosure is undefined; it accepts everything.
//
// Not said here: a scale so large that a component of q overflows and the score does not.
#pragma once
#include "interval.hpp"
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
        std::size_t const n = a.size();
        if (n == 0) return {};
        auto const* numerics = detail::shared(a[0], b[0]);
        auto const r = Rounding::ofDots(*numerics);
        auto const sizeAt = [&](std::size_t i) { return a[i].size() * b[i].size(); };
        unsigned const c = numerics->scoreRoundings;
        Narrowing const narrowing(numerics->query, *numerics);
        Rounding const query(numerics->query, *numerics);
        Grid grid;
        Terms terms;
        double center = 0, spread = 0, factors = 0, narrowed = 0;
        bool isExact = c == 0, isInfinite = false;
        for (std::size_t i = 0; i < n; ++i) {
            double const size = sizeAt(i), term = a[i].center * b[i].center;
            terms.add(size);
            if (size == 0) continue;
            center += term;
            spread += size - std::abs(term);
            factors += 2 + a[i].size() + b[i].size();
            if (narrowing.relative > 0 && !(detail::isPoint(a[i]) && query.holds(a[i].center))) {
                narrowed += size * narrowing.relative + b[i].size() * narrowing.absolute;
                isInfinite = isInfinite || query.overflows(a[i].size());
            }
            if (!isExact) continue;
            isExact = detail::isPoint(a[i]) && detail::isPoint(b[i]) &&
                      std::fma(a[i].center, b[i].center, -term) == 0;
            grid.add(term);
        }
        double const absolute = terms.total, flushed = r.flush * factors;
        if (isInfinite || r.overflows(absolute)) return {0, HUGE_VAL, 0, numerics};
        if (absolute == 0 || (isExact && narrowed == 0 && grid.isExact(r)))
            return {center, 0, 0, numerics};
        double const own = double(n + 2) * ownUnit * absolute;
        double const sum = r.gamma(1 + c) * absolute + sumError(r, terms, n, sizeAt, 1 + c);
        // What a query is off may be added up with the terms that meet most additions.
        double const added = sum * narrowed / absolute + r.gamma(double(n)) * narrowed;
        double const all = own + sum + narrowed + added + flushed;
        auto e = detail::around(center, spread + all, numerics);
        e.flushed = flushed;
        return e;
    }

    /// R7 to R13, R15. n is at least 1.
    template <class Score, class Value>
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

// merge: put together what was attended to in parts.
//
// Several workers may read a long history, each some of its rows: split-KV decoding, context
// parallelism, a prompt that sequences share. A part leaves its largest score and two sums, which
// put parts together in any order (Milakov and Gimelshein, arXiv 1805.02867, section 3.1):
//
//     partial(rows)  = (m, l, a):  m = max s_j,  l = sum exp(s_j - m),  a = sum exp(s_j - m) v_j
//     merge(p, q)    = (m, p.l exp(p.m - m) + q.l exp(q.m - m), likewise a),  m = max(p.m, q.m)
//     finish(p)      = a / l
//
// Engines that hand parts from kernel to kernel keep a mean and its log-sum-exp instead (Ye et al.,
// arXiv 2501.01005, section 2.2):
//
//     averaged(p)    = (o, e):  o = a / l,  e = m + log l
//     merge(p, q)    = (p.o exp(p.e - E) + q.o exp(q.e - E)) / (exp(p.e - E) + exp(q.e - E))
//
// Either way the outcome is the softmax mean of all rows. A part in which no row is seen has no
// largest score; it leaves nothing and takes part in nothing.
//
// Checked by the compiler in proofs/merge.cpp, as real numbers are compared (proofs/real.hpp).
// Not said here: what a merge of floats may be off (softmax_form.hpp, R9).
#pragma once
#include "decode.hpp"
#include "rollback.hpp"

#include <optional>

namespace kv {

/// What a part leaves, in units of exp(top).
template <class S, class Mean>
struct Partial {
    S top, total;
    Mean sum;
};
/// The same, normalised.
template <class S, class Mean>
struct Averaged {
    Mean mean;
    S logSumExp;
};

/// score(j) is a scalar, value(j) a sequence of scalars; j < n, n at least 1.
template <class S, class Score, class Value>
constexpr auto partialOf(std::size_t n, Score score, Value value) {
    S const top = foldLeft(n, score, [](S const& a, S const& b) { return Num<S>::max(a, b); });
    auto const weights = tabulate(n, [&](std::size_t j) { return Num<S>::exp(score(j) - top); });
    auto sum = tabulate(value(0).size(), [&](std::size_t d) {
        return Reductions<S>::sum(n, [&](std::size_t j) { return weights[j] * value(j)[d]; });
    });
    S const total = Reductions<S>::sum(n, [&](std::size_t j) { return weights[j]; });
    return Partial<S, decltype(sum)>{top, total, sum};
}
template <class S, class Mean>
constexpr Mean finish(Partial<S, Mean> const& p) {
    return tabulate(p.sum.size(), [&](std::size_t d) { return p.sum[d] / p.total; });
}
template <class S, class Mean>
constexpr Averaged<S, Mean> averaged(Partial<S, Mean> const& p) {
    return {finish(p), p.top + Num<S>::log(p.total)};
}
template <class S, class Mean>
constexpr Mean finish(Averaged<S, Mean> const& p) {
    return p.mean;
}

template <class S, class Mean>
constexpr Partial<S, Mean> merge(Partial<S, Mean> const& p, Partial<S, Mean> const& q) {
    S const top = Num<S>::max(p.top, q.top);
    S const left = Num<S>::exp(p.top - top), right = Num<S>::exp(q.top - top);
    return {top, p.total * left + q.total * right, tabulate(p.sum.size(), [&](std::size_t d) {
                return p.sum[d] * left + q.sum[d] * right;
            })};
}
template <class S, class Mean>
constexpr Averaged<S, Mean> merge(Averaged<S, Mean> const& p, Averaged<S, Mean> const& q) {
    S const top = Num<S>::max(p.logSumExp, q.logSumExp);
    S const left = Num<S>::exp(p.logSumExp - top), right = Num<S>::exp(q.logSumExp - top);
    S const total = left + right;
    return {tabulate(p.mean.size(), [&](std::size_t d) {
                return (p.mean[d] * left + q.mean[d] * right) / total;
            }), top + Num<S>::log(total)};
}

/// Which part a row goes to, in which form the parts are merged, and whether from the last one on.
struct Parts {
    std::size_t count = 1;
    std::size_t rowsInTurn = 1;  ///< so many neighbors, then the next part's; it goes round
    PartMerge form = PartMerge::weights;
    bool isReversed = false;
    constexpr std::size_t of(std::size_t row) const { return row / rowsInTurn % count; }
};

/// The softmax mean of rows that were attended to in parts.
template <class S>
struct InParts {
    Parts parts;
    template <class Score, class Value>
    constexpr auto operator()(std::size_t n, Score score, Value value) const {
        auto const partial = [&](auto const& rows) {
            return partialOf<S>(rows.size(), [&](std::size_t k) { return score(rows[k]); },
                                [&](std::size_t k) -> auto const& { return value(rows[k]); });
        };
        if (parts.form == PartMerge::weights) return merged(n, partial);
        return merged(n, [&](auto const& rows) { return averaged(partial(rows)); });
    }

   private:
    template <class PartOf>
    constexpr auto merged(std::size_t n, PartOf partOf) const {
        std::optional<decltype(partOf(std::vector<std::size_t>{}))> all;
        for (std::size_t i = 0; i < parts.count; ++i) {
            std::vector<std::size_t> rows;
            for (std::size_t j = 0; j < n; ++j)
                if (parts.of(j) == (parts.isReversed ? parts.count - 1 - i : i)) rows.push_back(j);
            if (!rows.empty()) all = all ? merge(*all, partOf(rows)) : partOf(rows);
        }
        return finish(*all);
    }
};

/// Attention of one query at the newest row, read in parts.
template <class L, class C>
constexpr auto attendInParts(L const& layer, C const& cache, typename L::Query const& query,
                             Parts const& parts) {
    return attendAt(layer, cache, seenKeys(layer, cache), lastIndex(cache), query,
                    InParts<typename L::Scalar>{parts});
}

inline constexpr Theorem merge_eq_whole{
    "merge_eq_whole", "merged parts equal the whole", ofSpec, moduloExponentials, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        std::size_t const n = world.length();
        auto const handle = fed(subject, world, world.length() + nat<1>);
        auto const right = fullAttention(world.layer(),
                                         exactTokens(world, world.length() + nat<1>))[n];
        for (auto const form : {PartMerge::weights, PartMerge::logSumExp})
            for (std::size_t count = 2; count <= 4; ++count)
                for (std::size_t turn : {std::size_t{1}, n / count + 1}) {
                    Parts const parts{count, turn, form, count == 3};
                    equation.row({.what = What::output, .row = n},
                                 subject.attendInParts(handle, world.token(n).query, parts), right);
                }
        return equation;
    }};

static_assert(Parts{.count = 2, .rowsInTurn = 3}.of(7) == 0);

}  // namespace kv

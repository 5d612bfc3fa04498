// attention: what every shortcut must equal.
//
// A layer takes one query per head, scores it against every key that it sees, and returns the mean
// of the values weighted by the softmax of the scores (Vaswani et al., arXiv 1706.03762, eq. 1).
// fullAttention does it for a whole sequence at once, from the raw rows of its tokens; it knows no
// cache, and so it is what a cache is measured by.
//
//     score(i, j) = scale * <turn(p_i) q_i, turn(p_j) k_j> + slope * (p_j - p_i)
//     fullAttention(tokens)[i] = softmaxMean of the values j that i sees
//
// A head may have a sink, a last row of zeros with a score of its own (sink.hpp). A row that sees
// nothing has no mean; the spec refuses it instead of inventing one.
//
// Checked by the compiler in proofs/attention.cpp, on engines by properties/attention.hpp.
// Broken in the wild: bugs/rolled_back_row_visible.hpp.
// Not said here: how a cache answers one query (decode.hpp).
#pragma once
#include "heads.hpp"
#include "position.hpp"
#include "window.hpp"

namespace kv {

/// One layer: H query heads over G kv heads; a mask of window.hpp, a law of position.hpp.
template <class S, Extent H, Extent G, Extent DK, Extent DV, class Mask, class Law>
    requires QueryHeadsAreAMultipleOfKvHeads<H, G> &&
             RopeNeedsAnEvenRotaryDim<decltype(Law::rotaryDim)> &&
             RotaryDimFitsTheHead<decltype(Law::rotaryDim), DK>
struct Layer {
    using Scalar = S;
    using Key = Heads<S, G, DK>;
    using Value = Heads<S, G, DV>;
    using Query = Heads<S, H, DK>;
    using Output = Heads<S, H, DV>;
    /// Lengths are types where the dims are types: the length of this layer's empty cache.
    using Begin = std::conditional_t<isStatic<DK>, Nat<0>, Dyn>;
    H queryHeads{};
    G kvHeads{};
    DK keyDim{};
    DV valueDim{};
    S scale{};
    Mask mask{};
    Law position{};
    Seq<S, Dyn> sinkLogits{};  ///< one per query head; empty: none
};

/// What one token brings to a layer: raw key and query, before any rotation.
template <class Key, class Value, class Query>
struct Token {
    Key key;
    Value value;
    Query query;
};

/// The softmax mean of all rows, by the scalar's own reduction.
template <class S>
struct AtOnce {
    constexpr auto operator()(std::size_t n, auto score, auto value) const {
        return Reduce<S>::softmaxMean(n, score, value);
    }
};

/// How a turned query head scores a key at this distance, at most 0.
template <class L, class Head, class Key>
constexpr auto scoreOf(L const& layer, std::size_t h, Head const& turned, Key const& key,
                       Position distance) {
    auto const score = Reduce<typename L::Scalar>::dot(turned, key) * layer.scale;
    if (layer.position.slopes.size() == 0) return score;
    return score + Num<typename L::Scalar>::multiple(layer.position.slopes[h], distance);
}
/// The value of a sink: 0, made without a constant.
template <class L>
constexpr auto nothingOf(L const& layer) {
    return tabulate(layer.valueDim,
                    [&](auto) { return Num<typename L::Scalar>::multiple(layer.scale, 0); });
}

/// One query row, all heads, at position `at`.
template <class L, class R, class Mean = AtOnce<typename L::Scalar>>
constexpr typename L::Output attendRows(L const& layer, Position at,
                                        typename L::Query const& query, R const& rows,
                                        Mean mean = {}) {
    std::vector<std::size_t> shown;
    for (std::size_t j = 0; j < rows.count; ++j)
        if (rows.sees(Sight{.query = at, .key = rows.positionAt(j), .index = j}))
            shown.push_back(j);
    if (shown.empty()) throw ShapeError("a query that sees no key has no attention");
    auto const turned = turnedQuery(layer.position, query, at);
    auto const nothing = nothingOf(layer);
    std::size_t const logits = layer.sinkLogits.size() == 0 ? 0 : 1;
    return tabulate(layer.queryHeads, [&](std::size_t h) {
        std::size_t const g = kvHead(h, layer.queryHeads, layer.kvHeads);
        auto const scores = tabulate(shown.size(), [&](std::size_t j) {
            return scoreOf(layer, h, turned[h], rows.keyAt(shown[j])[g],
                           rows.positionAt(shown[j]) - at);
        });
        return mean(
            shown.size() + logits,
            [&](std::size_t j) { return j < shown.size() ? scores[j] : layer.sinkLogits[h]; },
            [&](std::size_t j) -> auto const& {
                return j < shown.size() ? rows.valueAt(shown[j])[g] : nothing;
            });
    });
}

/// Attention of every token of a sequence that begins at position `base`, no cache anywhere.
template <class L, class T, Extent N>
    requires KeyHasTheCachesHeadDim<decltype(T::key), typename L::Key> &&
             ValueHasTheCachesHeadDim<decltype(T::value), typename L::Value> &&
             QueryHasTheLayersHeadDim<decltype(T::query), typename L::Query>
constexpr Seq<typename L::Output, N> fullAttention(L const& layer, Seq<T, N> const& tokens,
                                                   Position base = 0) {
    auto const keys = tabulate(tokens.size(), [&](std::size_t j) {
        return rotateRow(layer.position, tokens[j].key, base + Position(j));
    });
    return tabulate(tokens.size(), [&](std::size_t i) {
        return attendRows(layer, base + Position(i), tokens[i].query,
                          Rows{tokens.size(), [&](std::size_t j) { return base + Position(j); },
                               [&](std::size_t j) -> auto const& { return keys[j]; },
                               [&](std::size_t j) -> auto const& { return tokens[j].value; },
                               [&](Sight const& s) { return layer.mask.sees(s); }});
    });
}

/// The same layer with one kv head for each query head, and a token repeated to fit it.
template <class S, Extent H, Extent G, Extent DK, Extent DV, class M, class P>
constexpr auto multiHead(Layer<S, H, G, DK, DV, M, P> const& l) {
    return Layer<S, H, H, DK, DV, M, P>{l.queryHeads, l.queryHeads, l.keyDim, l.valueDim,
                                        l.scale,      l.mask,       l.position,  l.sinkLogits};
}
template <class L, class K, class V, class Q>
constexpr auto repeatedToken(L const& l, Token<K, V, Q> const& t) {
    auto key = repeated(t.key, l.queryHeads);
    auto value = repeated(t.value, l.queryHeads);
    return Token<decltype(key), decltype(value), Q>{key, value, t.query};
}

inline constexpr Theorem fullAttention_causal{
    "fullAttention_causal", "a row never sees later tokens", ofEngine, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const step = subject.prefill(subject.empty(), tokensOf(world, 0, world.length()));
        for (std::size_t i = 0; equation.holds && i < world.length(); ++i) {
            equation.row({.what = What::output, .row = i}, step.outputs[i],
                         fullAttention(world.layer(), exactTokens(world, Dyn{i + 1}))[i]);
        }
        return equation;
    }};

}  // namespace kv

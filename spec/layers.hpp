// layers: run the whole model through its caches.
//
// A model is a stack of blocks of possibly different shape, mask and position. A block turns the
// hidden vector x of one token into a query, a key and a value, attends, and combines the output
// with x. Norms, projections, residuals and the MLP are in those two functions; nothing is assumed
// of them but that they look at one token alone.
//
//     x -> project -> (q, k, v) -> attention over the layer's cache -> combine(x, output) -> x'
//
// Token by token through the caches, or the whole sequence at once through full attention: the
// outputs are the same, for any number of layers. The lengths of all caches are types together.
//
// Checked by the compiler in proofs/layers.cpp; for engines see properties/layers.hpp.
// Not said here: a function that looks at a batch (it would not be per token).
#pragma once
#include "decode.hpp"

namespace kv {

/// One block: a layer, project(x) -> Token of it, combine(x, output) -> x'.
template <class L, class Project, class Combine>
struct Block {
    L layer;
    Project project;
    Combine combine;
};
template <class L, class P, class C>
Block(L, P, C) -> Block<L, P, C>;

/// One empty cache per block; a model is a Hana tuple of blocks.
template <class Model>
constexpr auto emptyCachesOf(Model const& model) {
    return hana::transform(model, [](auto const& block) { return emptyCacheOf(block.layer); });
}

/// One token through every block and its cache.
template <class Model, class Caches, class X>
constexpr auto decodeModel(Model const& model, Caches const& caches, X const& x) {
    auto step = [](auto const& state, auto const& pair) {
        auto const& block = hana::at_c<0>(pair);
        auto const decoded =
            decodeWithCache(block.layer, hana::at_c<1>(pair), block.project(state.output));
        auto all = hana::append(state.cache, decoded.cache);
        return Decoded<decltype(all), X>{all, block.combine(state.output, decoded.output)};
    };
    return hana::fold_left(hana::zip(model, caches), Decoded<hana::tuple<>, X>{{}, x}, step);
}

/// A whole sequence through every block, no cache anywhere.
template <class Model, class X, Extent N>
constexpr Seq<X, N> forward(Model const& model, Seq<X, N> const& xs) {
    return hana::fold_left(model, xs, [](Seq<X, N> const& in, auto const& block) {
        auto const tokens =
            tabulate(in.size(), [&](std::size_t i) { return block.project(in[i]); });
        auto const outputs = fullAttention(block.layer, tokens);
        return tabulate(in.size(),
                        [&](std::size_t i) { return block.combine(in[i], outputs[i]); });
    });
}

inline constexpr Theorem decode_layers_eq_forward{
    "decode_layers_eq_forward", "cached decoding equals the forward pass", ofSpec, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const model = world.model();
        auto const xs =
            tabulate(world.length() + nat<1>, [&](std::size_t i) { return world.hidden(i); });
        auto const right = forward(model, xs);
        iterate(xs.size(), emptyCachesOf(model), [&](auto caches, std::size_t i) {
            auto const step = subject.decodeModel(model, caches, xs[i]);
            for (std::size_t d = 0; d < xs[i].size(); ++d)
                equation.scalars({.what = What::output, .row = i, .lane = d}, step.output[d],
                                 right[i][d]);
            return step.cache;
        });
        return equation;
    }};

}  // namespace kv

// prefill: store many tokens at once.
//
// A prompt is stored in chunks of many tokens, and every token of a chunk is answered as if it had
// been the newest: it sees the past and its own chunk up to itself, never a later token. So how a
// prompt is cut into chunks can be seen neither in the cache nor in the outputs.
//
//     prefill : Cache<n> x Token[m] -> Cache<n + m> x Output[m]
//     prefill(c, a ++ b) = prefill(prefill(c, a), b), outputs one after the other
//
// A chunk begins at the end of the past. Aligning its mask with the first key instead (as if the
// past were empty) has been shipped by two reference implementations.
//
// Checked by the compiler in proofs/prefill.cpp, on engines by properties/prefill.hpp.
// Broken in the wild: bugs/position_restarts_after_prefill.hpp.
// Not said here: that an engine's chunks agree bit for bit; only one that declares to be batch
// invariant owes that.
#pragma once
#include "decode.hpp"

namespace kv {

template <class CacheType, class Outputs>
struct Prefilled {
    CacheType cache;
    Outputs outputs;
};

/// Stores the chunk, then answers each of its tokens from its own row.
template <class L, class Key, class Value, Extent N, class T, Extent M>
    requires KeyHasTheCachesHeadDim<decltype(T::key), Key> &&
             ValueHasTheCachesHeadDim<decltype(T::value), Value> &&
             QueryHasTheLayersHeadDim<decltype(T::query), typename L::Query>
constexpr auto prefill(L const& layer, Cache<Key, Value, N> const& cache,
                       Seq<T, M> const& chunk) {
    auto grown = iterate(chunk.size(), cache, [&](auto c, std::size_t i) {
        return store(layer, c, chunk[i]);
    });
    std::size_t const past = cache.length();
    auto const keys = seenKeys(layer, grown);
    auto outputs = tabulate(chunk.size(), [&](std::size_t i) {
        return attendAt(layer, grown, keys, past + i, chunk[i].query);
    });
    return Prefilled<decltype(grown), decltype(outputs)>{grown, outputs};
}

inline constexpr Theorem prefill_eq_appends{
    "prefill_eq_appends", "a chunk equals its tokens one by one", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto step = subject.prefill(subject.empty(), tokensOf(world, 0, world.length()));
        auto handle = std::move(step.cache);
        auto const cache = iterate(
            world.length(), emptyCacheOf(world.layer()), [&](auto c, std::size_t i) {
                auto const decoded = decodeWithCache(world.layer(), c, world.exact(i));
                equation.row({.what = What::output, .row = i}, step.outputs[i], decoded.output);
                return decoded.cache;
            });
        compareCaches(equation, subject.observe(handle), cache);
        return equation;
    }};

inline constexpr Theorem prefill_any_chunking{
    "prefill_any_chunking", "where a prompt is cut is invisible", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const whole = prefill(world.layer(), emptyCacheOf(world.layer()),
                                   exactTokens(world, n));
        everyLengthUpTo(n, [&](auto cut) {
            auto first = subject.prefill(subject.empty(), tokensOf(world, 0, cut));
            auto second = subject.prefill(std::move(first.cache), tokensOf(world, cut, n - cut));
            for (std::size_t i = 0; i < n; ++i)
                equation.row({.what = What::output, .row = i},
                             i < cut ? first.outputs[i] : second.outputs[i - cut],
                             whole.outputs[i]);
            compareCaches(equation, subject.observe(second.cache), whole.cache);
        });
        return equation;
    }};

}  // namespace kv

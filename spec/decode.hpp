// decode: answer one query through the cache.
//
// Decoding stores the token's key and value, then attends from the newest row. It must equal the
// last row of full attention over the whole sequence: that is what a cache is for. (That equation
// is a theorem in two Lean developments already; here it is also what an engine is tested by.)
//
//     decodeWithCache : Cache<n> x Token -> Cache<n + 1> x Output
//     decodeWithCache(cacheOf(prefix), t).output = last(fullAttention(prefix ++ [t]))
//
// Checked by the compiler in proofs/decode.cpp, on engines by properties/decode.hpp.
// Broken in the wild: bugs/key_written_into_every_layer.hpp.
// Not said here: what a step over several tokens owes (prefill.hpp).
#pragma once
#include "append.hpp"
#include "attention.hpp"

namespace kv {

template <class CacheType, class Output>
struct Decoded {
    CacheType cache;
    Output output;
};

/// The empty cache of a layer, beginning at position `base`.
template <class L>
constexpr auto emptyCacheOf(L const&, Position base = 0) {
    return emptyCache<typename L::Key, typename L::Value, typename L::Begin>(base);
}

/// Appends a raw token: its key is stored as the layer's law says.
template <class L, class Key, class Value, Extent N, class T>
    requires KeyHasTheCachesHeadDim<decltype(T::key), Key> &&
             ValueHasTheCachesHeadDim<decltype(T::value), Value>
constexpr auto store(L const& layer, Cache<Key, Value, N> const& cache, T const& token) {
    return appendKV(cache, storedKey(layer.position, token.key, cache.next), token.value);
}

/// The keys of a cache as every attention from it reads them.
template <class L, class C>
constexpr auto seenKeys(L const& layer, C const& cache) {
    return tabulate(cache.length(), [&](std::size_t j) {
        return seenKey(layer.position, cache.keys[j], cache.positions[j]);
    });
}

/// Attention of one query at the position of row `i`; rows behind it are hidden by the mask.
template <class L, class C, class Keys, class Mean = AtOnce<typename L::Scalar>>
constexpr auto attendAt(L const& layer, C const& cache, Keys const& keys, std::size_t i,
                        typename L::Query const& query, Mean mean = {}) {
    return attendRows(layer, cache.positions[i], query,
                      Rows{cache.length(),
                           [&](std::size_t j) { return cache.positions[j]; },
                           [&](std::size_t j) -> auto const& { return keys[j]; },
                           [&](std::size_t j) -> auto const& { return cache.values[j]; },
                           [&](Sight const& s) { return layer.mask.sees(s); }},
                      mean);
}

/// Attention of one query at the newest row.
template <class L, class Key, class Value, Extent N>
    requires CacheIsNotEmpty<N> && KeyHasTheCachesHeadDim<typename L::Key, Key> &&
             ValueHasTheCachesHeadDim<typename L::Value, Value>
constexpr auto attend(L const& layer, Cache<Key, Value, N> const& cache,
                      typename L::Query const& query) {
    return attendAt(layer, cache, seenKeys(layer, cache), lastIndex(cache), query);
}

template <class L, class Key, class Value, Extent N, class T>
    requires KeyHasTheCachesHeadDim<decltype(T::key), Key> &&
             ValueHasTheCachesHeadDim<decltype(T::value), Value> &&
             QueryHasTheLayersHeadDim<decltype(T::query), typename L::Query>
constexpr auto decodeWithCache(L const& layer, Cache<Key, Value, N> const& cache,
                               T const& token) {
    auto grown = store(layer, cache, token);
    auto output = attend(layer, grown, token.query);
    return Decoded<decltype(grown), decltype(output)>{grown, output};
}

inline constexpr Theorem decodeWithCache_eq_fullAttention{
    "decodeWithCache_eq_fullAttention", "decoding equals the last full row", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        std::size_t const n = world.length();
        auto handle = fed(subject, world, world.length() + nat<1>);
        auto const left = subject.attend(handle, world.token(n).query);
        auto const tokens = exactTokens(world, world.length() + nat<1>);
        equation.row({.what = What::output, .row = n}, left,
                     fullAttention(world.layer(), tokens)[n]);
        return equation;
    }};

}  // namespace kv

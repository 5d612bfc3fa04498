// cache: keep the rows of past tokens, oldest first.
//
// A row is what one token leaves behind: a key and a value. The cache is the list of rows, and with
// each row its position. Three numbers must not be mixed up: the *index* of a row (0 is the oldest
// one that is still there), its *position* (which angle it was rotated by, what a window measures),
// and its *slot* (where an engine put the bytes; the spec has no slots).
//
//     Cache<Key, Value, n> = n keys, n values, n positions, and the position of the next token
//
// The length n is part of the type. Storage verbs never look inside a row, so a row may be one
// head, a group of heads or a handle to something far away; a key and a value may differ in size.
//
// Not said here: how it grows (append.hpp), what it is read for (attention.hpp).
#pragma once
#include "seq.hpp"
#include "theorem.hpp"

#include <cstdint>

namespace kv {

using Position = std::int64_t;  ///< of a token in its sequence; the first one is usually 0

template <class S, Extent D>
using Vec = Seq<S, D>;  ///< D components of one head
template <class S, Extent G, Extent D>
using Heads = Seq<Vec<S, D>, G>;  ///< G heads of D components: what one token leaves in one layer

template <class Key, class Value, Extent N>
struct Cache {
    Seq<Position, N> positions;
    Seq<Key, N> keys;
    Seq<Value, N> values;
    Position next = 0;  ///< position of the token that comes after the newest row

    constexpr N length() const { return positions.size(); }
    friend constexpr bool operator==(Cache const&, Cache const&) = default;
};

/// The cache of a sequence that has not begun; its first token will stand at position `next`.
template <class Key, class Value, Extent N = Nat<0>>
constexpr Cache<Key, Value, N> emptyCache(Position next = 0) {
    return {.positions = {}, .keys = {}, .values = {}, .next = next};
}

/// The rows first .. first + count - 1 of a cache; the next position is given by the caller.
template <class Key, class Value, Extent N, Extent M>
constexpr Cache<Key, Value, M> rowsOf(Cache<Key, Value, N> const& c, std::size_t first, M count,
                                      Position next) {
    return {.positions = tabulate(count, [&](std::size_t i) { return c.positions[first + i]; }),
            .keys = tabulate(count, [&](std::size_t i) { return c.keys[first + i]; }),
            .values = tabulate(count, [&](std::size_t i) { return c.values[first + i]; }),
            .next = next};
}

namespace detail {
template <class A, class B>
inline constexpr bool mayBeSameRow = std::same_as<A, B>;
template <class S, class T, class A, class B>
inline constexpr bool mayBeSameRow<Seq<S, A>, Seq<T, B>> =
    mayBeSameRow<S, T> && (!isStatic<A> || !isStatic<B> || std::same_as<A, B>);

template <class A, class B>
constexpr bool haveOneShape(A const&, B const&) {
    return true;
}
template <class S, class T, class A, class B>
constexpr bool haveOneShape(Seq<S, A> const& a, Seq<T, B> const& b) {
    std::size_t const m = a.size(), n = b.size();
    return m == n && (n == 0 || haveOneShape(a[0], b[0]));
}
}  // namespace detail

/// Whether a row has the shape of those that are there.
template <class Row, class Held, Extent N>
constexpr bool fitsBeside(Row const& row, Seq<Held, N> const& rows) {
    return Dyn{rows.size()} == 0 || detail::haveOneShape(row, rows[0]);
}

/// Two rows have one shape, or at least one of the two knows its shape only at run time.
template <class Key, class CacheKey>
concept KeyHasTheCachesHeadDim = detail::mayBeSameRow<Key, CacheKey>;
template <class Value, class CacheValue>
concept ValueHasTheCachesHeadDim = detail::mayBeSameRow<Value, CacheValue>;
template <class Query, class LayerQuery>
concept QueryHasTheLayersHeadDim = detail::mayBeSameRow<Query, LayerQuery>;
template <class N>
concept CacheIsNotEmpty = Extent<N> && !std::same_as<N, Nat<0>>;

/// The newest row's index.
template <class Key, class Value, Extent N>
    requires CacheIsNotEmpty<N>
constexpr std::size_t lastIndex(Cache<Key, Value, N> const& c) {
    std::size_t const n = c.length();
    return n != 0 ? n - 1 : throw ShapeError("an empty cache has no newest row");
}

/// Compares the whole observable state: lengths, positions, every row. Comparing rows alone once
/// let a stale length live.
constexpr void compareCaches(auto& equation, auto const& left, auto const& right) {
    equation.numbers({.what = What::length}, std::int64_t(left.length()),
                     std::int64_t(right.length()));
    for (std::size_t i = 0; equation.holds && i < right.length(); ++i) {
        equation.numbers({.what = What::position, .row = i}, left.positions[i],
                         right.positions[i]);
        equation.row({.what = What::key, .row = i}, left.keys[i], right.keys[i]);
        equation.row({.what = What::value, .row = i}, left.values[i], right.values[i]);
    }
    equation.numbers({.what = What::nextPosition}, left.next, right.next);
}

static_assert(emptyCache<Vec<int, Nat<2>>, Vec<int, Nat<3>>>().length() == nat<0>);

}  // namespace kv

// append: remember one more token.
//
// Appending puts one row behind the newest one, at the next position. It moves nothing, rounds
// nothing and never looks inside a row, so what is said here holds for every scalar type, every
// head layout and every way to store the bytes.
//
//     appendKV : Cache<n> x Key x Value -> Cache<n + 1>
//
//     appendKV(c, k, v)[i] = c[i]    for i < n        the past is kept
//     appendKV(c, k, v)[n] = (k, v)                   the newest row is last
//
// The two equations fix every row of the result, so they are the whole meaning. The length is n + 1
// by type: `same_as` at the foot of this file.
//
// Checked by the compiler at each length in proofs/append.cpp, on engines by properties/append.hpp.
// Broken in the wild: bugs/slot_reused.hpp, bugs/key_written_into_every_layer.hpp,
// bugs/ring_off_by_one_at_wrap.hpp.
// Not said here: what a full cache does (capacity.hpp), what is stored of a key (position.hpp).
#pragma once
#include "cache.hpp"

namespace kv {

/// The definition: the two equations, read from left to right.
template <class Key, class Value, Extent N, class K, class V>
    requires KeyHasTheCachesHeadDim<K, Key> && ValueHasTheCachesHeadDim<V, Value>
constexpr Cache<Key, Value, Succ<N>> appendKV(Cache<Key, Value, N> const& c, K const& key,
                                              V const& value) {
    std::size_t const n = c.length();
    auto const grown = c.length() + nat<1>;
    if (!fitsBeside(key, c.keys)) throw ShapeError("a key has the head dim of the cache's keys");
    if (!fitsBeside(value, c.values))
        throw ShapeError("a value has the head dim of the cache's values");
    return {
        .positions =
            tabulate(grown, [&](std::size_t i) { return i < n ? c.positions[i] : c.next; }),
        .keys = tabulate(grown, [&](std::size_t i) { return i < n ? c.keys[i] : key; }),
        .values = tabulate(grown, [&](std::size_t i) { return i < n ? c.values[i] : value; }),
        .next = c.next + 1};
}

/// A handle to which the subject has appended tokens 0 .. n-1 of the world.
template <class Subject, class World, Extent N>
constexpr auto fed(Subject& subject, World const& world, N n) {
    return iterate(n, subject.empty(), [&](auto handle, std::size_t i) {
        return subject.appendKV(std::move(handle), world.token(i));
    });
}

/// Tokens first .. first + count - 1 of a world, as its subject takes them.
template <class World, Extent M>
constexpr auto tokensOf(World const& world, std::size_t first, M count) {
    return tabulate(count, [&](std::size_t i) { return world.token(first + i); });
}
/// Tokens 0 .. count - 1 of a world in exact scalars, as the spec takes them.
template <class World, Extent M>
constexpr auto exactTokens(World const& world, M count) {
    return tabulate(count, [&](std::size_t i) { return world.exact(i); });
}

/// What is read back after tokens 0 .. n; the equation holds only if that is n + 1 rows.
constexpr auto observedAfterAppend(auto& equation, auto& subject, auto const& world) {
    auto after = fed(subject, world, world.length() + nat<1>);
    auto seen = subject.observe(after);
    equation.numbers({.what = What::length}, std::int64_t(seen.length()),
                     std::int64_t(world.length()) + 1);
    return seen;
}

inline constexpr Theorem appendKV_last_key{
    "appendKV_last_key", "the newest key is last", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        std::size_t const n = world.length();
        auto const seen = observedAfterAppend(equation, subject, world);
        if (equation.holds)
            equation.row({.what = What::key, .row = n}, seen.keys[n], world.stored(n).key);
        return equation;
    }};

inline constexpr Theorem appendKV_last_value{
    "appendKV_last_value", "the newest value is last", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        std::size_t const n = world.length();
        auto const seen = observedAfterAppend(equation, subject, world);
        if (equation.holds)
            equation.row({.what = What::value, .row = n}, seen.values[n], world.stored(n).value);
        return equation;
    }};

inline constexpr Theorem appendKV_prefix{
    "appendKV_prefix", "every earlier row is kept", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const seen = observedAfterAppend(equation, subject, world);
        for (std::size_t i = 0; equation.holds && i < world.length(); ++i) {
            equation.numbers({.what = What::position, .row = i}, seen.positions[i], Position(i));
            equation.row({.what = What::key, .row = i}, seen.keys[i], world.stored(i).key);
            equation.row({.what = What::value, .row = i}, seen.values[i], world.stored(i).value);
        }
        return equation;
    }};

inline constexpr Theorem appendKV_length{
    "appendKV_length", "the length grows by one", ofSpec, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        observedAfterAppend(equation, subject, world);
        return equation;
    }};

static_assert(std::same_as<decltype(appendKV(Cache<int, int, Nat<2>>{}, 5, 6)),
                           Cache<int, int, Nat<3>>>);
static_assert(appendKV(appendKV(emptyCache<int, int>(), 5, 6), 7, 8).keys[1] == 7);

}  // namespace kv

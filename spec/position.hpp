// position: know where a token stands.
//
// A token takes the position behind the newest one, and keeps it when older rows are evicted. What
// a position does to a key is in rotation.hpp; here is what may be done to positions:
//
//     shift(c, d): every position moves by d; keys stored rotated are turned by d once more
//
// Scores depend on the difference of two positions only, so a shift of all rows and of the query
// cannot be seen in an output. It is seen in the rows, and in what a learned or ALiBi position does
// with a shift of some of them.
//
// Checked by the compiler in proofs/position.cpp, on engines by properties/position.hpp.
// Broken in the wild: bugs/position_restarts_after_prefill.hpp.
// Not said here: that a shift equals recomputing above the first layer. It does not: deeper keys
// remember what was evicted.
#pragma once
#include "append.hpp"
#include "rotation.hpp"

namespace kv {

/// Moves every position by `by`, and nothing else.
template <class Key, class Value, Extent N>
constexpr Cache<Key, Value, N> movePositions(Cache<Key, Value, N> c, Position by) {
    for (std::size_t i = 0; i < c.length(); ++i) c.positions[i] += by;
    c.next += by;
    return c;
}
/// Moves every position and turns what is stored turned.
template <class Law, class Key, class Value, Extent N>
constexpr Cache<Key, Value, N> shift(Law const& law, Cache<Key, Value, N> const& c, Position by) {
    auto moved = movePositions(c, by);
    if (law.storage == KeyStorage::rotated)
        for (std::size_t i = 0; i < c.length(); ++i) moved.keys[i] = rotateRow(law, c.keys[i], by);
    return moved;
}

inline constexpr Theorem position_append_is_next{
    "position_append_is_next", "a token takes the next position", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto started = subject.prefill(subject.empty(), tokensOf(world, 0, world.length()));
        auto handle = subject.appendKV(std::move(started.cache), world.token(world.length()));
        auto const seen = subject.observe(handle);
        equation.numbers({.what = What::length}, std::int64_t(seen.length()),
                         std::int64_t(world.length()) + 1);
        for (std::size_t i = 0; equation.holds && i <= world.length(); ++i)
            equation.numbers({.what = What::position, .row = i}, seen.positions[i], Position(i));
        equation.numbers({.what = What::nextPosition}, seen.next, Position(world.length()) + 1);
        return equation;
    }};

inline constexpr Theorem position_storage_agrees{
    "position_storage_agrees", "rotating when stored equals when read", ofSpec, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto handle = fed(subject, world, world.length() + nat<1>);
        std::size_t const n = world.length();
        auto const left = subject.attend(handle, world.token(n).query);
        auto other = world.layer();
        other.position.storage = other.position.storage == KeyStorage::raw ? KeyStorage::rotated
                                                                           : KeyStorage::raw;
        auto const cache = iterate(world.length() + nat<1>, emptyCacheOf(other),
                                   [&](auto c, std::size_t i) {
                                       auto const token = world.exact(i);
                                       return store(other, c, token);
                                   });
        equation.row({.what = What::output, .row = n}, left,
                     attend(other, cache, world.exact(n).query));
        return equation;
    }};

inline constexpr Theorem position_score_relative{
    "position_score_relative", "scores depend on position differences", ofEngine,
    moduloRotations, Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto handle = subject.shift(fed(subject, world, world.length() + nat<1>), world.distance());
        std::size_t const n = world.length();
        auto const tokens = exactTokens(world, world.length() + nat<1>);
        equation.row({.what = What::output, .row = n},
                     subject.attend(handle, world.token(n).query),
                     fullAttention(world.layer(), tokens)[n]);
        return equation;
    }};

inline constexpr Theorem shift_eq_recompute_layer0{
    "shift_eq_recompute_layer0", "a shift re-rotates by its difference", ofEngine,
    moduloRotations, Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto handle = subject.shift(fed(subject, world, world.length()), world.distance());
        auto const fresh = iterate(
            world.length(), emptyCacheOf(world.layer(), world.distance()),
            [&](auto c, std::size_t i) { return store(world.layer(), c, world.exact(i)); });
        compareCaches(equation, subject.observe(handle), fresh);
        return equation;
    }};

}  // namespace kv

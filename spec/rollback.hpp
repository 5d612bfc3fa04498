// rollback: take the newest tokens back.
//
// Speculative decoding stores a draft and keeps a part of it; the rest is rolled back. What was
// rolled back is never read again, and the next token stands where the first forgotten one stood.
//
//     rollback : Cache<n> x m -> Cache<m>, m <= n
//     rollback(c ++ rows, length of c) = c        under every later operation
//
// Checked by the compiler in proofs/rollback.cpp, on engines by properties/rollback.hpp.
// Broken in the wild: bugs/stale_length_after_rollback.hpp, bugs/rolled_back_row_visible.hpp.
// Not said here: taking back what was evicted; an engine that has lost those rows refuses.
#pragma once
#include "prefill.hpp"

namespace kv {

template <class M, class N>
concept RollbackDoesNotGrow = Extent<M> && Extent<N> && mayBeAtMost<M, N>;

/// Keeps the m oldest rows.
template <class Key, class Value, Extent N, Extent M>
    requires RollbackDoesNotGrow<M, N>
constexpr Cache<Key, Value, M> rollback(Cache<Key, Value, N> const& c, M m) {
    if (std::size_t(m) > std::size_t(c.length())) throw ShapeError("a rollback does not grow");
    return rowsOf(c, 0, m, m < c.length() ? c.positions[std::size_t{m}] : c.next);
}

/// The cache that a world's first `count` tokens leave in an empty one.
template <class World, Extent N>
constexpr auto freshCache(World const& world, N count) {
    return iterate(count, emptyCacheOf(world.layer()), [&](auto c, std::size_t i) {
        return store(world.layer(), c, world.exact(i));
    });
}

inline constexpr Theorem rollback_append{
    "rollback_append", "a rollback undoes appends", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        everyLengthUpTo(world.length(), [&](auto m) {
            auto handle = subject.rollback(fed(subject, world, world.length() + nat<1>), m);
            compareCaches(equation, subject.observe(handle), freshCache(world, m));
        });
        return equation;
    }};

inline constexpr Theorem rollback_then_append_eq_fresh{
    "rollback_then_append_eq_fresh", "forgotten tokens are never read again", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        everyLengthUpTo(world.length(), [&](auto m) {
            auto handle = subject.appendKV(
                subject.rollback(fed(subject, world, world.length() + nat<1>), m),
                world.other(m));
            auto const fresh = decodeWithCache(world.layer(), freshCache(world, m),
                                               world.exactOther(m));
            equation.row({.what = What::output, .row = m},
                         subject.attend(handle, world.other(m).query), fresh.output);
            compareCaches(equation, subject.observe(handle), fresh.cache);
        });
        return equation;
    }};

static_assert(rollback(appendKV(emptyCache<int, int>(), 5, 6), nat<0>).next == 0);

}  // namespace kv

// remove: drop rows from the middle.
//
// A prompt is edited, a tool's answer is dropped, a cache keeps its first and its newest tokens and
// lets go of what stands between them. The rows that stay keep their content and their positions,
// and the next token takes the position it would have taken anyway: a removal leaves a gap.
//
//     remove : Cache<n> x first x count -> Cache<n - count>, first + count <= n
//     remove(c, a, m)[i] = c[i]        for i < a
//     remove(c, a, m)[i] = c[i + m]    otherwise
//
// From then on positions are no longer consecutive. A window measures positions, so it shows fewer
// rows behind a gap; sinks are counted by index, so rows may become sinks. A rollback goes back to
// the position of the first row that it forgets, wherever that one stood.
//
// Checked by the compiler in proofs/remove.cpp, on engines by properties/remove.hpp.
// Broken in the wild: bugs/removal_frees_positions.hpp, bugs/removal_skips_layers.hpp,
// bugs/rollback_counts_rows.hpp.
// Not said here: closing the gap by moving positions (position.hpp). An engine that cannot move
// rows within a ring, or between its pinned sinks and the ring, refuses (properties/state.cpp).
#pragma once
#include "rollback.hpp"

namespace kv {

/// `count` rows from index `first`.
template <Extent F, Extent M>
struct RowSpan {
    F first;
    M count;
};
template <class F, class M>
RowSpan(F, M) -> RowSpan<F, M>;

template <class F, class M, class N>
concept RemoveDropsWhatIsThere =
    Extent<F> && Extent<M> && Extent<N> && mayBeAtMost<Plus<F, M>, N>;

/// Drops these rows.
template <class Key, class Value, Extent N, Extent F, Extent M>
    requires RemoveDropsWhatIsThere<F, M, N>
constexpr auto remove(Cache<Key, Value, N> const& c, RowSpan<F, M> const& rows) {
    std::size_t const first = rows.first, count = rows.count, n = c.length();
    if (first > n || count > n - first) throw ShapeError("a removal drops rows that are there");
    auto const left = c.length() - rows.count;
    auto const kept = [&](std::size_t i) { return i < first ? i : i + count; };
    return Cache<Key, Value, std::decay_t<decltype(left)>>{
        .positions = tabulate(left, [&](std::size_t i) { return c.positions[kept(i)]; }),
        .keys = tabulate(left, [&](std::size_t i) { return c.keys[kept(i)]; }),
        .values = tabulate(left, [&](std::size_t i) { return c.values[kept(i)]; }),
        .next = c.next};
}

/// Runs f(rows) for every number of rows behind the first of n, and for one row at every place.
template <Extent N, class F>
constexpr void everyRowSpan(N n, F f) {
    everyLengthUpTo(n, [&](auto m) {
        f(RowSpan{smaller(nat<1>, n - m), m});
        f(RowSpan{m, smaller(nat<1>, n - m)});
    });
}

/// The cache that a world's first n tokens leave in an empty one if some of them are never stored,
/// though each takes its position.
template <class World, Extent N, Extent F, Extent M>
constexpr auto cacheWithGap(World const& world, N n, RowSpan<F, M> const& gap) {
    std::size_t const first = gap.first, count = gap.count, length = n;
    auto cache = iterate(n - gap.count, emptyCacheOf(world.layer()), [&](auto c, std::size_t i) {
        if (i == first) c.next += Position(count);
        return store(world.layer(), c, world.exact(i < first ? i : i + count));
    });
    cache.next = Position(length);
    return cache;
}

inline constexpr Theorem remove_keeps_others{
    "remove_keeps_others", "the other rows stay as they are", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        everyRowSpan(n, [&](auto rows) {
            auto handle = subject.remove(fed(subject, world, n), rows);
            compareCaches(equation, subject.observe(handle), cacheWithGap(world, n, rows));
        });
        return equation;
    }};

inline constexpr Theorem remove_then_append{
    "remove_then_append", "removed tokens are never read again", ofEngine, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length() + nat<1>;
        everyLengthUpTo(world.length(), [&](auto first) {
            RowSpan const row{first, nat<1>};
            auto handle =
                subject.appendKV(subject.remove(fed(subject, world, n), row), world.token(n));
            auto const right =
                decodeWithCache(world.layer(), cacheWithGap(world, n, row), world.exact(n));
            equation.row({.what = What::output, .row = n},
                         subject.attend(handle, world.token(n).query), right.output);
            compareCaches(equation, subject.observe(handle), right.cache);
        });
        return equation;
    }};

inline constexpr Theorem remove_then_rollback{
    "remove_then_rollback", "a rollback goes back over a gap", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        // Behind two tokens, so that a gap has rows on both sides at every length.
        everyLengthUpTo(n, [&](auto count) {
            auto const rows = RowSpan{nat<1>, count};
            auto const whole = cacheWithGap(world, n + nat<2>, rows);
            auto gone = subject.remove(fed(subject, world, n + nat<2>), rows);
            auto handle = subject.rollback(std::move(gone), n - count + nat<1>);
            compareCaches(equation, subject.observe(handle),
                          rowsOf(whole, 0, n - count + nat<1>, Position(n) + 1));
            auto emptied = subject.rollback(std::move(handle), n - n);
            compareCaches(equation, subject.observe(emptied), freshCache(world, n - n));
        });
        return equation;
    }};

static_assert(remove(appendKV(appendKV(emptyCache<int, int>(), 5, 6), 7, 8),
                     RowSpan{nat<0>, nat<1>})
                  .keys[0] == 7);

}  // namespace kv

// evict: drop the oldest tokens.
//
// A window never looks behind its last w rows, so an engine may drop them. Dropping moves nothing:
// the rows that stay keep their content and their positions, and the next token takes the position
// it would have taken anyway.
//
//     evict : Cache<n> x m -> Cache<n - m>, m <= n
//     evict(c, m) = remove(c, 0, m), that is, evict(c, m)[i] = c[i + m]
//
// Dropping what a query could still see is legal too, but it is another attention: over the rows
// that are left, with the positions that they had. It is never recomputing them from scratch.
//
// Checked by the compiler in proofs/evict.cpp, on engines by properties/evict.hpp.
// Broken in the wild: bugs/position_off_by_one_after_eviction.hpp.
// Not said here: moving positions down afterwards (position.hpp).
#pragma once
#include "remove.hpp"

namespace kv {

template <class M, class N>
concept EvictDropsWhatIsThere = Extent<M> && Extent<N> && mayBeAtMost<M, N>;

/// Drops the m oldest rows.
template <class Key, class Value, Extent N, Extent M>
    requires EvictDropsWhatIsThere<M, N>
constexpr auto evict(Cache<Key, Value, N> const& c, M m) {
    if (std::size_t(m) > std::size_t(c.length()))
        throw ShapeError("an eviction drops rows that are there");
    return remove(c, RowSpan{nat<0>, m});
}

template <class K, class W>
concept WindowKeepsWhatItReads = Extent<K> && Extent<W> && mayBeAtMost<W, K>;

/// Keeps the last `kept` rows behind a window without sinks. An attention from the newest row reads
/// w of them.
template <class Key, class Value, Extent N, Extent K, Extent W>
    requires WindowKeepsWhatItReads<K, W>
constexpr auto keepLast(Cache<Key, Value, N> const& c, K kept, Window<W> const& window) {
    if (std::size_t(kept) < std::size_t(window.keys))
        throw ShapeError("a window keeps what it reads");
    return evict(c, lessBy(c.length(), kept));
}

inline constexpr Theorem evict_invisible_under_window{
    "evict_invisible_under_window", "what left the window is invisible", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const gone = rowsOutOfSight(world.layer().mask, n);
        auto const full = fullAttention(world.layer(), exactTokens(world, n + nat<2>));
        // In two goes, for the first may end anywhere; decoding behind each, for one decode lets a
        // lost base position survive.
        auto const half = gone - gone / nat<2>;
        auto once = subject.appendKV(subject.evict(fed(subject, world, n), half), world.token(n));
        equation.row({.what = What::output, .row = n}, subject.attend(once, world.token(n).query),
                     full[std::size_t{n}]);
        auto rest = subject.evict(std::move(once), gone - half);
        auto twice = subject.appendKV(std::move(rest), world.token(n + nat<1>));
        equation.row({.what = What::output, .row = n + nat<1>},
                     subject.attend(twice, world.token(n + nat<1>).query),
                     full[std::size_t{n + nat<1>}]);
        auto const fresh = freshCache(world, n + nat<2>);
        compareCaches(equation, subject.observe(twice),
                      rowsOf(fresh, gone, n + nat<2> - gone, fresh.next));
        return equation;
    }};

static_assert(evict(appendKV(appendKV(emptyCache<int, int>(), 5, 6), 7, 8), nat<1>).keys[0] == 7);

}  // namespace kv

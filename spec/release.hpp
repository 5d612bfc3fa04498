// release: forget a sequence, or every other one.
//
// A request ends and its sequence is released: nothing of it is left, its next token is the first
// one again. A search has chosen one of several continuations and keeps that one alone.
//
//     release : Cache<n> -> Cache<0>, with next position 0
//     keep(caches, s)[q] = caches[s] if q = s, otherwise release(caches[q])
//
// Releasing is more than evicting every row: an eviction leaves the next position where it was. And
// what a sequence held can be used again, however often:
//
//     (append, fork, append to both, release both)^k is accepted; a pool of k - 1 blocks that loses
//     one of them each time is empty before that. Only an engine, which has a pool, can break it.
//
// Checked by the compiler in proofs/release.cpp, on engines by properties/release.hpp.
// Broken in the wild: bugs/release_keeps_position.hpp, bugs/keep_spares_later_sequences.hpp,
// bugs/copied_block_keeps_its_reference.hpp.
// Not said here: what becomes of the memory; whoever gets it next must not read what was there.
#pragma once
#include "fork.hpp"

namespace kv {

/// The cache of a sequence that has not begun.
template <class Key, class Value, Extent N>
constexpr auto release(Cache<Key, Value, N> const& c) {
    return emptyCache<Key, Value, std::decay_t<decltype(c.length() - c.length())>>();
}

/// One sequence of several that go on, and one that is released.
template <class Chosen, class Other>
struct Kept {
    Chosen chosen;
    Other other;
};
template <class Chosen, class Other>
Kept(Chosen, Other) -> Kept<Chosen, Other>;

/// Keeps the first of two; so with each of the others, if there are more.
template <class Chosen, class Other>
constexpr auto keep(Chosen const& chosen, Other const& other) {
    return Kept{chosen, release(other)};
}

/// Compares a sequence that was released with one that has not begun, then both with a token.
constexpr void compareFresh(auto& equation, auto& subject, auto const& world, auto handle) {
    auto const empty = freshCache(world, nat<0>);
    compareCaches(equation, subject.observe(handle), empty);
    auto again = subject.appendKV(std::move(handle), world.other(0));
    auto const right = decodeWithCache(world.layer(), empty, world.exactOther(0));
    equation.row({.what = What::output, .row = 0}, subject.attend(again, world.other(0).query),
                 right.output);
    compareCaches(equation, subject.observe(again), right.cache);
}

inline constexpr Theorem release_forgets{
    "release_forgets", "a released sequence begins anew", ofEngine, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        compareFresh(equation, subject, world,
                     subject.release(fed(subject, world, world.length() + nat<1>)));
        return equation;
    }};

inline constexpr Theorem keep_forgets_others{
    "keep_forgets_others", "all but the kept sequence are released", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const right = freshCache(world, n + nat<1>);
        auto const compare = [&](auto kept) {
            compareCaches(equation, subject.observe(kept.chosen), right);
            compareFresh(equation, subject, world, std::move(kept.other));
            compareCaches(equation, subject.observe(kept.chosen), right);
        };
        // Whichever of two is kept, the other one goes.
        auto first = subject.fork(fed(subject, world, n + nat<1>));
        compare(subject.keep(std::move(first.parent), std::move(first.child)));
        auto second = subject.fork(fed(subject, world, n + nat<1>));
        compare(subject.keep(std::move(second.child), std::move(second.parent)));
        return equation;
    }};

inline constexpr Theorem release_returns_room{
    "release_returns_room", "released room can be used again", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const turn = [&](auto handle, std::size_t) {
            auto full = iterate(n, std::move(handle), [&](auto h, std::size_t i) {
                return subject.appendKV(std::move(h), world.token(i));
            });
            auto forked = subject.fork(std::move(full));
            auto child = subject.appendKV(std::move(forked.child), world.other(n));
            auto parent = subject.appendKV(std::move(forked.parent), world.token(n));
            equation.numbers({.what = What::length}, std::int64_t(subject.observe(child).length()),
                             std::int64_t(n) + 1);
            auto released = subject.release(std::move(child));
            equation.numbers({.what = What::length},
                             std::int64_t(subject.observe(released).length()), 0);
            return subject.release(std::move(parent));
        };
        auto last = iterate(world.turns(), subject.empty(), turn);
        equation.numbers({.what = What::length}, std::int64_t(subject.observe(last).length()), 0);
        return equation;
    }};

static_assert(release(appendKV(emptyCache<int, int>(), 5, 6)).next == 0);

}  // namespace kv

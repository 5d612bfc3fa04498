// save: take a copy of a sequence out of the cache, and bring it back.
//
// A sequence that waits gives its storage to another one, a prompt is kept in a file for the next
// session, a prefill is sent to the worker that decodes. What comes back owes more than an answer
// within an interval: it is what was saved, bit for bit, with its positions, its gaps and the
// position of its next token.
//
//     save(s)           saved[s] = caches[s]; it replaces what was saved there
//     restore(s, t)     caches[t] = saved[s], for an empty sequence t, which may be s
//     restore after save is the identity, whatever became of the original in between
//
// A saved copy belongs to no sequence. The original may go on, be rolled back or be released, and
// the copy is what it was; it can be restored again, and each one that was restored goes on by
// itself. A reset empties sequences and no saved copies. Where nothing was saved, a restore is
// refused. Rows that a ring has lost before are not in the copy either.
//
// Checked by the compiler in proofs/save.cpp, on engines by properties/save.hpp.
// Broken in the wild: bugs/restored_position_is_lost.hpp, bugs/copy_is_read_by_heads.hpp,
// bugs/sequences_share_one_copy.hpp, bugs/restored_where_it_was_saved.hpp.
// Not said here: where a copy is kept and how it is laid out, what becomes of one that got lost.
#pragma once
#include "evict.hpp"
#include "release.hpp"

namespace kv {

/// A sequence that goes on, and what was saved of it.
template <class Handle, class Copy>
struct Saved {
    Handle original;
    Copy copy;
};
template <class Handle, class Copy>
Saved(Handle, Copy) -> Saved<Handle, Copy>;

template <class Key, class Value, Extent N>
constexpr auto save(Cache<Key, Value, N> const& c) {
    return Saved{c, c};
}

/// What a sequence becomes that was empty.
template <class Key, class Value, Extent N>
constexpr Cache<Key, Value, N> restore(Cache<Key, Value, N> const& copy) {
    return copy;
}

inline constexpr Theorem restore_is_identity{
    "restore_is_identity", "what is restored is what was saved", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const right = freshCache(world, n + nat<1>);
        // What was saved first is replaced.
        auto early = subject.save(fed(subject, world, n));
        auto saved = subject.save(subject.appendKV(std::move(early.original), world.token(n)));
        auto longer = subject.appendKV(std::move(saved.original), world.other(n + nat<1>));
        compareCaches(equation, subject.observe(longer),
                      store(world.layer(), right, world.exactOther(n + nat<1>)));
        auto anew = subject.appendKV(subject.rollback(std::move(longer), n - n), world.other(0));
        (void)subject.release(std::move(anew));
        auto first = subject.restore(saved.copy);
        compareCaches(equation, subject.observe(first), right);
        auto shorter = subject.rollback(std::move(first), n - n);
        compareCaches(equation, subject.observe(shorter), freshCache(world, n - n));
        (void)subject.release(std::move(shorter));
        auto second = subject.restore(saved.copy);
        compareCaches(equation, subject.observe(second), right);
        return equation;
    }};

inline constexpr Theorem restore_then_append{
    "restore_then_append", "a restored sequence goes on as saved", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const past = freshCache(world, n);
        auto const left = decodeWithCache(world.layer(), past, world.exactOther(n));
        auto const right = decodeWithCache(world.layer(), past, world.exact(n));
        auto const compare = [&](auto& handle, auto const& query, auto const& want) {
            equation.row({.what = What::output, .row = n}, subject.attend(handle, query),
                         want.output);
            compareCaches(equation, subject.observe(handle), want.cache);
        };
        auto saved = subject.save(fed(subject, world, n));
        auto other = subject.appendKV(subject.restore(saved.copy), world.other(n));
        auto original = subject.appendKV(std::move(saved.original), world.token(n));
        compare(other, world.other(n).query, left);
        compare(original, world.token(n).query, right);
        // Two sequences are saved, and each comes back as itself.
        auto both = subject.save(std::move(other));
        (void)subject.release(std::move(both.original));
        auto again = subject.appendKV(subject.restore(saved.copy), world.token(n));
        compare(again, world.token(n).query, right);
        (void)subject.release(std::move(again));
        auto later = subject.restore(both.copy);
        compare(later, world.other(n).query, left);
        compare(original, world.token(n).query, right);
        return equation;
    }};

inline constexpr Theorem restore_keeps_positions{
    "restore_keeps_positions", "rows come back where they stood", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const right = evict(freshCache(world, n + nat<1>), nat<1>);
        // The oldest row is gone, so no row stands at the position of its index.
        auto saved = subject.save(subject.evict(fed(subject, world, n + nat<1>), nat<1>));
        (void)subject.release(std::move(saved.original));
        auto restored = subject.restore(saved.copy);
        compareCaches(equation, subject.observe(restored), right);
        auto longer = subject.appendKV(std::move(restored), world.token(n + nat<1>));
        compareCaches(equation, subject.observe(longer),
                      store(world.layer(), right, world.exact(n + nat<1>)));
        return equation;
    }};

static_assert(restore(save(appendKV(emptyCache<int, int>(), 5, 6)).copy).next == 1);

}  // namespace kv

// share: let forks own storage together.
//
// An engine that pages its storage lets a fork name the blocks of its parent and counts, for each
// block, who names it. What can be seen of that from outside: nobody is given a block that is in
// use, and nobody writes to a block that another one reads. An engine that copies on a fork owes
// the same, and has it easier. That released blocks come back is a law of release.hpp.
//
//     rollback(fork(c), 0), then other rows    leave c as it was
//     rollback(fork(c), m) ++ row              leaves c as it was, for every m
//
// Checked by the compiler in proofs/share.cpp, on engines by properties/share.hpp.
// Broken in the wild: bugs/full_block_is_not_copied.hpp, bugs/shared_block_is_freed.hpp.
// Not said here: what a table is (block_table.hpp), that it refines the list (paging.hpp).
#pragma once
#include "fork.hpp"

namespace kv {

inline constexpr Theorem share_reuses_free_only{
    "share_reuses_free_only", "a row in use is never overwritten", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto forked = subject.fork(fed(subject, world, n + nat<1>));
        auto anew = iterate(n + nat<1>, subject.rollback(std::move(forked.child), n - n),
                            [&](auto handle, std::size_t i) {
                                return subject.appendKV(std::move(handle), world.other(i));
                            });
        compareCaches(equation, subject.observe(forked.parent), freshCache(world, n + nat<1>));
        auto right = iterate(n + nat<1>, freshCache(world, n - n), [&](auto c, std::size_t i) {
            return store(world.layer(), c, world.exactOther(i));
        });
        compareCaches(equation, subject.observe(anew), right);
        return equation;
    }};

inline constexpr Theorem share_copies_before_writing{
    "share_copies_before_writing", "a fork that goes back spoils nothing", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const past = freshCache(world, n);
        auto const right = decodeWithCache(world.layer(), past, world.exact(n));
        everyLengthUpTo(n, [&](auto m) {
            auto forked = subject.fork(fed(subject, world, n + nat<1>));
            auto child = subject.appendKV(subject.rollback(std::move(forked.child), m),
                                          world.other(m));
            equation.row({.what = What::output, .row = n},
                         subject.attend(forked.parent, world.token(n).query), right.output);
            compareCaches(equation, subject.observe(forked.parent), right.cache);
            compareCaches(equation, subject.observe(child),
                          store(world.layer(), freshCache(world, m), world.exactOther(m)));
        });
        return equation;
    }};

static_assert(rollback(fork(appendKV(emptyCache<int, int>(), 5, 6)).child, nat<0>).next == 0);

}  // namespace kv

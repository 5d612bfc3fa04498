// fork: continue one past in two ways.
//
// Beam search, parallel samples and shared prompts let two sequences begin with the same rows.
// After a fork each goes on as if the other did not exist, whether the engine copies the rows or
// shares them and copies on the first write.
//
//     fork : Cache<n> -> Cache<n> x Cache<n>
//     whatever is done to one of them, the other reads as before
//
// Checked by the compiler in proofs/fork.cpp, on engines by properties/fork.hpp.
// Broken in the wild: bugs/fork_aliases.hpp, bugs/fork_takes_no_reference.hpp,
// bugs/table_is_read_as_contiguous.hpp.
// Not said here: who owns shared storage.
#pragma once
#include "rollback.hpp"

namespace kv {

template <class Handle>
struct Forked {
    Handle parent;
    Handle child;
};

template <class Key, class Value, Extent N>
constexpr Forked<Cache<Key, Value, N>> fork(Cache<Key, Value, N> const& c) {
    return {c, c};
}

inline constexpr Theorem fork_isolated{
    "fork_isolated", "forks continue independently", ofEngine, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto forked = subject.fork(fed(subject, world, n));
        auto child = subject.appendKV(std::move(forked.child), world.other(n));
        auto parent = subject.appendKV(std::move(forked.parent), world.token(n));
        auto const past = freshCache(world, n);
        auto const left = decodeWithCache(world.layer(), past, world.exactOther(n));
        auto const right = decodeWithCache(world.layer(), past, world.exact(n));
        equation.row({.what = What::output, .row = n}, subject.attend(child, world.other(n).query),
                     left.output);
        equation.row({.what = What::output, .row = n},
                     subject.attend(parent, world.token(n).query), right.output);
        compareCaches(equation, subject.observe(child), left.cache);
        compareCaches(equation, subject.observe(parent), right.cache);
        auto emptied = subject.rollback(std::move(child), n - n);
        compareCaches(equation, subject.observe(parent), right.cache);
        compareCaches(equation, subject.observe(emptied), freshCache(world, n - n));
        return equation;
    }};

static_assert(fork(appendKV(emptyCache<int, int>(), 5, 6)).child.values[0] == 6);

}  // namespace kv

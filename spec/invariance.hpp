// invariance: say what must not change a bit of an answer.
//
// Most engines add in an order that somebody chose for speed, and owe a bound, not bits. Some
// promise more: that a run can be repeated, or that an answer depends on nothing but the rows of
// its own sequence. Then no oracle is needed. Two runs that differ only in what was promised not
// to matter are compared bit for bit, and rounding is no excuse.
//
//     deterministic     the same verbs with the same rows give the same bits, on whatever a new
//                       engine finds in its storage, and whatever was stored before and taken back
//     batchInvariant    so do other ways to hold the same rows: in chunks or token by token, as
//                       the original, a fork or a restored copy, beside other sequences or alone
//
// To the spec all three are plain equations, for its functions have no memory. Theirs are the only
// claims with the subject on both sides.
//
// Checked by the compiler in proofs/invariance.cpp, on engines by properties/invariance.hpp, and on
// random traces by properties/variation.hpp.
// Broken in the wild: bugs/sum_begins_where_the_last_ended.hpp, bugs/sum_begins_at_its_block.hpp,
// bugs/sum_begins_midway_in_chunks.hpp.
// Not said here: what an answer is worth that always has the same wrong bits.
#pragma once
#include "fork.hpp"
#include "prefill.hpp"

namespace kv {

/// An equation between two answers of one subject.
template <class Subject>
constexpr auto equationWithItself(Subject const&) {
    return Equation<typename Subject::Scalar, typename Subject::Scalar>{};
}

/// Tokens 0 .. n, stored one by one behind a handle.
constexpr auto storedBehind(auto& subject, auto start, auto const& tokens) {
    return iterate(tokens.size(), std::move(start), [&](auto handle, std::size_t i) {
        return subject.appendKV(std::move(handle), tokens[i]);
    });
}

inline constexpr Theorem repeat_same_bits{
    "repeat_same_bits", "a second run gives the same bits", ofEngine, free, Owed::repeats,
    [](auto& subject, auto const& world) {
        auto equation = equationWithItself(subject);
        auto const n = world.length();
        auto const tokens = tokensOf(world, 0, n + nat<1>);
        auto const others = tabulate(n + nat<1>, [&](std::size_t i) { return world.other(i); });
        auto once = storedBehind(subject, subject.empty(), tokens);
        auto used = storedBehind(subject, subject.empty(), others);
        auto again = storedBehind(subject, subject.rollback(std::move(used), n - n), tokens);
        auto const query = world.token(n).query;
        auto const first = subject.attend(once, query);
        equation.row({.what = What::output, .row = n}, subject.attend(once, query), first);
        equation.row({.what = What::output, .row = n}, subject.attend(again, query), first);
        compareCaches(equation, subject.observe(again), subject.observe(once));
        return equation;
    }};

inline constexpr Theorem chunk_same_bits{
    "chunk_same_bits", "a chunk gives its tokens' bits", ofEngine, free,
    Owed::repeatsInAnyBatch, [](auto& subject, auto const& world) {
        auto equation = equationWithItself(subject);
        auto const tokens = tokensOf(world, 0, world.length() + nat<1>);
        auto chunk = subject.prefill(subject.empty(), tokens);
        auto single = iterate(tokens.size(), subject.empty(), [&](auto handle, std::size_t i) {
            auto grown = subject.appendKV(std::move(handle), tokens[i]);
            equation.row({.what = What::output, .row = i}, chunk.outputs[i],
                         subject.attend(grown, tokens[i].query));
            return grown;
        });
        compareCaches(equation, subject.observe(chunk.cache), subject.observe(single));
        return equation;
    }};

inline constexpr Theorem copy_same_bits{
    "copy_same_bits", "a fork gives the original's bits", ofEngine, free,
    Owed::repeatsInAnyBatch, [](auto& subject, auto const& world) {
        auto equation = equationWithItself(subject);
        auto const n = world.length();
        auto forked = subject.fork(fed(subject, world, n));
        auto parent = subject.appendKV(std::move(forked.parent), world.other(n));
        auto child = subject.appendKV(std::move(forked.child), world.token(n));
        auto alone = fed(subject, world, n + nat<1>);
        auto aside = subject.appendKV(fed(subject, world, n), world.other(n));
        equation.row({.what = What::output, .row = n},
                     subject.attend(child, world.token(n).query),
                     subject.attend(alone, world.token(n).query));
        equation.row({.what = What::output, .row = n},
                     subject.attend(parent, world.other(n).query),
                     subject.attend(aside, world.other(n).query));
        compareCaches(equation, subject.observe(child), subject.observe(alone));
        return equation;
    }};

}  // namespace kv

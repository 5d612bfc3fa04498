// subject: do everything at once, to whatever is judged.
//
// A claim asks its subject to do things and compares what comes of it with the spec. The subject
// may be the spec itself (spec.hpp) or an engine (properties/judge.hpp). Here it is asked for every
// verb in turn: whatever was done, the read-back is the spec's.
//
// Checked by the compiler in proofs/subject.cpp, on engines by properties/subject.hpp.
// Not said here: which traces are worth trying (properties/).
#pragma once
#include "spec.hpp"

namespace kv {

/// Every verb: a token that may not fit, taken back; three of which one is removed, so that there
/// is a gap, taken back; n + 1 tokens by prefill; a fork whose sides change places; a token for
/// each in one step; on one side an eviction, a shift of what is left, which is saved, released and
/// restored, and an append, on the other a rollback and a last token with its output; at last the
/// first side is kept, the other released.
template <class Subject, class World>
constexpr auto everyVerbOnce(Subject& subject, World const& world) {
    auto const n = world.length();
    auto attempt = subject.appendWithin(subject.empty(), world.token(0));
    auto again = subject.rollback(std::move(attempt.cache), n - n);
    auto two = subject.appendKV(subject.appendKV(std::move(again), world.token(0)), world.token(1));
    auto one = subject.remove(std::move(two), RowSpan{nat<1>, nat<1>});
    auto gapped = subject.appendKV(std::move(one), world.token(2));
    auto const behindGap = subject.observe(gapped);
    auto emptied = subject.rollback(std::move(gapped), n - n);
    auto started = subject.prefill(std::move(emptied), tokensOf(world, 0, n + nat<1>));
    auto const swapped = tabulate(nat<2>, [](std::size_t s) { return 1 - s; });
    auto forked = subject.reorder(subject.fork(std::move(started.cache)), swapped);
    auto longer = subject.step(
        hana::make_tuple(Item{std::move(forked.child), othersOf(world, n + nat<1>, nat<1>)},
                         Item{std::move(forked.parent), tokensOf(world, n + nat<1>, nat<1>)}));
    auto shorter = subject.rollback(std::move(longer[hana::size_c<0>].cache), n);
    auto evicted = subject.evict(std::move(longer[hana::size_c<1>].cache), nat<1>);
    auto shifted = subject.shift(std::move(evicted), world.distance());
    auto saved = subject.save(std::move(shifted));
    (void)subject.release(std::move(saved.original));
    auto parent = subject.appendKV(subject.restore(saved.copy), world.token(n + nat<2>));
    auto last = subject.appendKV(std::move(shorter), world.other(n));
    auto output = subject.attend(last, world.other(n).query);
    auto const child = subject.observe(last);
    auto kept = subject.keep(std::move(parent), std::move(last));
    return hana::make_tuple(subject.observe(kept.chosen), child, output, behindGap,
                            subject.observe(kept.other));
}

/// Compares two runs of it; the output is that of a last token at row n.
constexpr void compareRuns(auto& equation, auto const& left, auto const& right, std::size_t n) {
    compareCaches(equation, left[hana::size_c<0>], right[hana::size_c<0>]);
    compareCaches(equation, left[hana::size_c<1>], right[hana::size_c<1>]);
    equation.row({.what = What::output, .row = n}, left[hana::size_c<2>], right[hana::size_c<2>]);
    compareCaches(equation, left[hana::size_c<3>], right[hana::size_c<3>]);
    compareCaches(equation, left[hana::size_c<4>], right[hana::size_c<4>]);
}

inline constexpr Theorem trace_eq_spec{
    "trace_eq_spec", "the read-back is the spec's", ofEngine, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const exact = world.asExact();
        Spec spec{world.layer(), world.capacity()};
        compareRuns(equation, everyVerbOnce(subject, world), everyVerbOnce(spec, exact),
                    world.length());
        return equation;
    }};

}  // namespace kv

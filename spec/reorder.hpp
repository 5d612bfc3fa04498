// reorder: continue the best beams.
//
// A beam search keeps several sequences alive. After each step it chooses their best continuations,
// and each beam goes on from the past that its choice had: some pasts are continued by several
// beams, others by none.
//
//     reorder(caches, parents)[s] = caches[parents[s]]    for every map of sequences
//
// All of them at once: a beam may continue what another one was, in circles, too. Afterwards each
// goes on as if the others did not exist, whether rows were copied, shared or left where they are.
//
// Checked by the compiler in proofs/reorder.cpp, on engines by properties/reorder.hpp.
// Broken in the wild: bugs/reorder_is_skipped.hpp, bugs/repeated_beam_is_not_copied.hpp.
// Not said here: which continuations are the best.
#pragma once
#include "fork.hpp"

namespace kv {

template <Extent S>
using Parents = Seq<std::size_t, S>;  ///< of S beams: which old one each continues

/// The definition, for beams of one shape.
template <class Beam, Extent S>
constexpr Seq<Beam, S> reorder(Seq<Beam, S> const& beams, Parents<S> const& parents) {
    return tabulate(beams.size(), [&](std::size_t s) {
        return parents[s] < beams.size() ? beams[parents[s]]
                                         : throw ShapeError("a parent is one of the beams");
    });
}

/// Two beams, as a fork makes them.
template <class Beam>
constexpr Forked<Beam> reorder(Forked<Beam> const& beams, Parents<Nat<2>> const& parents) {
    auto const now = reorder(tabulate(nat<2>, [&](std::size_t s) {
                                 return s == 0 ? beams.parent : beams.child;
                             }), parents);
    return {now[0], now[1]};
}

/// Two beams that have n tokens in common and one of their own.
template <class Subject, class World>
constexpr auto twoBeams(Subject& subject, World const& world) {
    auto const n = world.length();
    auto forked = subject.fork(fed(subject, world, n));
    auto second = subject.appendKV(std::move(forked.child), world.other(n));
    auto first = subject.appendKV(std::move(forked.parent), world.token(n));
    return Forked<std::decay_t<decltype(first)>>{std::move(first), std::move(second)};
}

inline constexpr Theorem reorder_is_any_map{
    "reorder_is_any_map", "each beam becomes its old parent", ofEngine, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const past = freshCache(world, n);
        auto const pastOf = [&](std::size_t parent) {
            return store(world.layer(), past, parent == 0 ? world.exact(n) : world.exactOther(n));
        };
        // Every map of two beams: both stay, change places, or continue the same one.
        for (std::size_t map = 0; map < 4; ++map) {
            auto const parents = tabulate(nat<2>, [&](std::size_t s) { return map >> s & 1; });
            auto beams = subject.reorder(twoBeams(subject, world), parents);
            compareCaches(equation, subject.observe(beams.parent), pastOf(parents[0]));
            auto first = subject.appendKV(std::move(beams.parent), world.other(n + nat<1>));
            auto const right = decodeWithCache(world.layer(), pastOf(parents[0]),
                                               world.exactOther(n + nat<1>));
            equation.row({.what = What::output, .row = n + nat<1>},
                         subject.attend(first, world.other(n + nat<1>).query), right.output);
            compareCaches(equation, subject.observe(beams.child), pastOf(parents[1]));
            compareCaches(equation, subject.observe(first), right.cache);
        }
        return equation;
    }};

static_assert(reorder(Seq<int, Nat<2>>{}, tabulate(nat<2>, [](std::size_t s) { return 1 - s; }))
                  .size() == nat<2>);

}  // namespace kv

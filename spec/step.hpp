// step: serve many sequences in one call.
//
// An engine that serves many users runs one batch after another. A sequence that is being written
// brings the one token that it wrote last; one that has just arrived brings a chunk of its prompt;
// and a row of the batch that nobody needs at the moment brings nothing (Orca's iteration-level
// scheduling, known as continuous batching). The items of a batch lie side by side in memory, and
// that is all they have in common: none sees another.
//
//     step : (Cache<n_i> x Token[m_i])_i -> (Cache<n_i + m_i> x Output[m_i])_i
//
//     step(items)[i] = prefill(items[i].cache, items[i].tokens)    in whatever order they stand
//     step(items)[i] = items[i].cache, and no output               where there are no tokens
//
// The second equation follows from the first, and engines take another path there: a row without
// tokens is padding to them. Each sequence is named once. An engine that refuses one item refuses
// the step, and nothing has changed.
//
// Checked by the compiler in proofs/step.cpp, on engines by properties/step.hpp.
// Broken in the wild: bugs/batch_shares_one_position.hpp, bugs/item_goes_to_its_row.hpp,
// bugs/inactive_row_moves_on.hpp.
// Not said here: that items agree bit for bit with prefills alone; only an engine that declares to
// be batch invariant owes that (invariance.hpp).
#pragma once
#include "fork.hpp"
#include "prefill.hpp"

namespace kv {

/// What one row of a batch brings: a sequence, and the tokens that it stores now, or none.
template <class CacheType, class Tokens>
struct Item {
    CacheType cache;
    Tokens tokens;
};
template <class CacheType, class Tokens>
Item(CacheType, Tokens) -> Item<CacheType, Tokens>;

/// The definition, for a tuple of items, since each may have lengths of its own.
template <class L, class Items>
constexpr auto step(L const& layer, Items const& items) {
    return hana::transform(
        items, [&](auto const& item) { return prefill(layer, item.cache, item.tokens); });
}

/// Other tokens first .. first + count - 1 of a world, as its subject takes them.
template <class World, Extent M>
constexpr auto othersOf(World const& world, std::size_t first, M count) {
    return tabulate(count, [&](std::size_t i) { return world.other(first + i); });
}

/// Compares one item of a step with what a prefill alone makes of a past and these exact tokens.
constexpr auto compareWithPrefill(auto& equation, auto& subject, auto& item, auto const& layer,
                                  auto const& past, auto const& tokens) {
    auto const alone = prefill(layer, past, tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i)
        equation.row({.what = What::output, .row = past.length() + i}, item.outputs[i],
                     alone.outputs[i]);
    compareCaches(equation, subject.observe(item.cache), alone.cache);
    return alone.cache;
}

/// A decode stands beside a chunk; then each does what the other did, in the other order, at
/// positions that are no longer the same.
inline constexpr Theorem step_eq_alone{
    "step_eq_alone", "a step is its prefills, each alone", ofEngine, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const layer = world.layer();
        auto const exact = [&](auto first, auto count) {
            return tabulate(count, [&](std::size_t i) { return world.exact(first + i); });
        };
        auto const exactOther = [&](auto first, auto count) {
            return tabulate(count, [&](std::size_t i) { return world.exactOther(first + i); });
        };
        auto const past = freshCache(world, n);
        auto forked = subject.fork(fed(subject, world, n));
        auto both = subject.step(
            hana::make_tuple(Item{std::move(forked.parent), tokensOf(world, n, nat<1>)},
                             Item{std::move(forked.child), othersOf(world, n, nat<2>)}));
        auto& one = both[hana::size_c<0>];
        auto& two = both[hana::size_c<1>];
        auto const first =
            compareWithPrefill(equation, subject, one, layer, past, exact(n, nat<1>));
        auto const second =
            compareWithPrefill(equation, subject, two, layer, past, exactOther(n, nat<2>));
        auto again = subject.step(
            hana::make_tuple(Item{std::move(two.cache), othersOf(world, n + nat<2>, nat<1>)},
                             Item{std::move(one.cache), tokensOf(world, n + nat<1>, nat<2>)}));
        compareWithPrefill(equation, subject, again[hana::size_c<0>], layer, second,
                           exactOther(n + nat<2>, nat<1>));
        compareWithPrefill(equation, subject, again[hana::size_c<1>], layer, first,
                           exact(n + nat<1>, nat<2>));
        return equation;
    }};

/// The sequence is named without tokens, then not named at all, then it goes on.
inline constexpr Theorem inactive_untouched{
    "inactive_untouched", "an inactive sequence stays as it is", ofEngine, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const n = world.length();
        auto const past = freshCache(world, n);
        auto forked = subject.fork(fed(subject, world, n));
        auto both = subject.step(
            hana::make_tuple(Item{std::move(forked.parent), tokensOf(world, n, nat<1>)},
                             Item{std::move(forked.child), tokensOf(world, n, nat<0>)}));
        auto inactive = std::move(both[hana::size_c<1>].cache);
        compareCaches(equation, subject.observe(inactive), past);
        subject.step(hana::make_tuple(Item{std::move(both[hana::size_c<0>].cache),
                                           tokensOf(world, n + nat<1>, nat<2>)}));
        compareCaches(equation, subject.observe(inactive), past);
        auto const next = decodeWithCache(world.layer(), past, world.exactOther(n));
        auto longer = subject.appendKV(std::move(inactive), world.other(n));
        equation.row({.what = What::output, .row = n},
                     subject.attend(longer, world.other(n).query), next.output);
        compareCaches(equation, subject.observe(longer), next.cache);
        return equation;
    }};

}  // namespace kv

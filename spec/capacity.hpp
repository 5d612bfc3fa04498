// capacity: refuse what does not fit.
//
// Storage ends somewhere. What does not fit, or has the wrong shape, is refused, and nothing has
// changed: no row, no length, no position. Refusing is an answer; wrapping around in silence, or
// failing one token early, is a bug.
//
//     appendWithin : Cache<n> x Key x Value, capacity C -> Cache<min(n + 1, C)>
//     a full cache answers with itself
//
// Checked by the compiler in proofs/capacity.cpp, on engines by properties/capacity.hpp.
// Broken in the wild: bugs/capacity_wraps_silently.hpp.
// Not said here: how capacity is counted when sequences share it.
#pragma once
#include "rollback.hpp"

namespace kv {

template <class Handle>
struct Attempt {
    bool accepted;
    Handle cache;
};

template <class N, class C>
concept CacheFitsItsCapacity = Extent<N> && Extent<C> && mayBeAtMost<N, C>;

/// Appends if there is room. The length is min(n + 1, C), by type where both are types.
template <class Key, class Value, Extent N, Extent C, class K, class V>
    requires KeyHasTheCachesHeadDim<K, Key> && ValueHasTheCachesHeadDim<V, Value> &&
             CacheFitsItsCapacity<N, C>
constexpr auto appendWithin(C capacity, Cache<Key, Value, N> const& c, K const& key,
                            V const& value) {
    if (std::size_t(c.length()) > std::size_t(capacity))
        throw ShapeError("a cache is no longer than its capacity");
    auto const grown = appendKV(c, key, value);
    bool const fits = c.length() < capacity;
    auto kept = rowsOf(grown, 0, smaller(grown.length(), capacity), fits ? grown.next : c.next);
    return Attempt<decltype(kept)>{fits, kept};
}

inline constexpr Theorem capacity_refuses_unchanged{
    "capacity_refuses_unchanged", "a refusal changes nothing", ofEngine, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const capacity = world.capacity();
        auto full = iterate(capacity, subject.empty(), [&](auto handle, std::size_t i) {
            auto attempt = subject.appendWithin(std::move(handle), world.token(i));
            equation.numbers({.what = What::acceptance, .row = i}, attempt.accepted, true);
            return std::move(attempt.cache);
        });
        auto refused = subject.appendWithin(std::move(full), world.token(capacity));
        equation.numbers({.what = What::acceptance, .row = capacity}, refused.accepted, false);
        equation.numbers({.what = What::acceptance, .row = capacity},
                         subject.takesMisshapen(refused.cache), false);
        compareCaches(equation, subject.observe(refused.cache), freshCache(world, capacity));
        return equation;
    }};

static_assert(std::same_as<decltype(appendWithin(nat<1>, Cache<int, int, Nat<1>>{}, 5, 6).cache),
                           Cache<int, int, Nat<1>>>);

}  // namespace kv

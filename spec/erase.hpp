// erase: read the spec with lengths as types, and with lengths as numbers.
//
// Forgetting that a length is a type changes nothing, whatever was done. This ties the two readings
// of this text together: what the compiler proves of types holds for the numbers that an oracle
// computes with.
//
//     erased(verb(cache<n>)) = verb(erased(cache<n>))    for every verb
//
// Checked by the compiler in proofs/erase.cpp.
// Not said here: which verbs there are (subject.hpp).
#pragma once
#include "subject.hpp"

namespace kv {

/// The same row, sequence or cache with every length as a number.
template <class S>
constexpr auto erased(S const& scalar) {
    return scalar;
}
template <class T, Extent E>
constexpr auto erased(Seq<T, E> const& seq) {
    return tabulate(Dyn{seq.size()}, [&](std::size_t i) { return erased(seq[i]); });
}
template <class Key, class Value, Extent N>
constexpr auto erased(Cache<Key, Value, N> const& c) {
    auto keys = erased(c.keys);
    auto values = erased(c.values);
    return Cache<std::decay_t<decltype(keys[0])>, std::decay_t<decltype(values[0])>, Dyn>{
        erased(c.positions), keys, values, c.next};
}

inline constexpr Theorem erase_commutes{
    "erase_commutes", "lengths as types change nothing", ofSpec, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const left = hana::transform(everyVerbOnce(subject, world),
                                          [](auto const& seen) { return erased(seen); });
        auto const plain = world.erased();
        Spec spec{plain.layer(), plain.capacity()};
        compareRuns(equation, left, everyVerbOnce(spec, plain), world.length());
        return equation;
    }};

}  // namespace kv

// expect-gnu: TermsDiffer<.*Text.\"cos\[1,0\]\".*Text.\"cos\[0,0\]\"
// expect-clang: TermsDiffer<.*99, 111, 115, 91, 49, 44, 48, 93.*99, 111, 115, 91, 48, 44, 48, 93
#include "proofs/prove.hpp"

using namespace kv;

// The spec with one verb replaced: the key of a token is rotated for position `next + further`.
template <class L, class C>
struct Rotates : Spec<L, C> {
    constexpr auto appendKV(auto cache, auto const& token) const {
        constexpr Position further = 1;
        auto const key = storedKey(this->layer.position, token.key, cache.next + further);
        return kv::appendKV(cache, key, token.value);
    }
};
inline constexpr auto rotating = [](auto const& world) {
    using L = decltype(world.layer());
    using C = decltype(world.capacity());
    return Rotates<L, C>{{world.layer(), world.capacity()}};
};
inline constexpr auto shape =
    proofs::Sizes<0, 1, 1, 2, 1, 0, 0, 2>{.layout = RotaryLayout::halfSplit};
static_assert(
    proofs::TermsDiffer<proofs::check(appendKV_last_key, shape, 1000, rotating)>::none);

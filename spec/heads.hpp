// heads: let several query heads share one kv head.
//
// A layer has H query heads and G kv heads, and G divides H. Query heads stand in groups of H / G
// neighbors, and a group reads one kv head (grouped-query attention: Ainslie et al., arXiv
// 2305.13245; G = 1 is multi-query, G = H is multi-head attention).
//
//     kvHead(h) = floor(h * G / H)
//
//     heads 0 1 2 3 over kv heads 0 1:     0 0 1 1     and never     0 1 0 1
//
// The same said with rows: repeating each kv head H / G times in a row and using one kv head for
// each query head gives the same output. That is the theorem below.
//
// Checked by the compiler in proofs/heads.cpp, on engines by properties/heads.hpp.
// Broken in the wild: bugs/kv_head_by_modulo.hpp.
// Not said here: what a head computes (attention.hpp).
#pragma once
#include "append.hpp"

namespace kv {

template <class H, class G>
concept QueryHeadsAreAMultipleOfKvHeads =
    Extent<H> && Extent<G> && mayDivide<G, H>;

/// Which kv head query head h reads; h < H.
template <Extent H, Extent G>
    requires QueryHeadsAreAMultipleOfKvHeads<H, G>
constexpr std::size_t kvHead(std::size_t h, H queryHeads, G kvHeads) {
    std::size_t const heads = queryHeads, groups = kvHeads;
    if (groups == 0 || heads % groups != 0)
        throw ShapeError("query heads must be a multiple of kv heads");
    return h * groups / heads;
}

/// Each kv head as often, in a row, as there are query heads that read it.
template <class S, Extent G, Extent D, Extent H>
    requires QueryHeadsAreAMultipleOfKvHeads<H, G>
constexpr Heads<S, H, D> repeated(Heads<S, G, D> const& rows, H queryHeads) {
    auto out = Heads<S, H, D>::ofSize(queryHeads);
    std::size_t next = 0;
    for (std::size_t g = 0; g < rows.size(); ++g)
        for (std::size_t copy = 0; copy < queryHeads / rows.size(); ++copy) out[next++] = rows[g];
    return out;
}

inline constexpr Theorem heads_gqa_eq_repeated{
    "heads_gqa_eq_repeated", "sharing a kv head equals repeating it", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto handle = fed(subject, world, world.length() + nat<1>);
        std::size_t const n = world.length();
        auto const left = subject.attend(handle, world.token(n).query);
        auto const tokens = tabulate(world.length() + nat<1>, [&](std::size_t i) {
            return repeatedToken(world.layer(), world.exact(i));
        });
        auto const right = fullAttention(multiHead(world.layer()), tokens)[n];
        equation.row({.what = What::output, .row = n}, left, right);
        return equation;
    }};

static_assert(kvHead(2, nat<4>, nat<2>) == 1 && kvHead(1, nat<4>, nat<2>) == 0);

}  // namespace kv

// window: say which keys a query sees.
//
// A causal query sees its own key and every earlier one. A window of w keys narrows that to the
// last w positions, the query's own included; s sinks keep the first s rows visible behind it
// (StreamingLLM: Xiao et al., arXiv 2309.17453). Where positions are cut into chunks, a query sees
// its own chunk only (Llama 4, attention_chunk_size). A tree of drafts sees along its branch, which
// is an arbitrary relation.
//
//     sees(query at p, key at j, index i)  iff  j <= p and (w = 0 or p - j < w or i < s)
//                                               and (c = 0 or floor(j / c) = floor(p / c))
//
// Engines count differently: transformers, vLLM, ONNX Runtime and llama.cpp let a window of W show
// W keys; FlashAttention's and ONNX's left window of W shows W + 1. Here w is the number of keys.
//
// Checked by the compiler in proofs/window.cpp, on engines by properties/window.hpp.
// Broken in the wild: bugs/mask_one_key_too_wide.hpp, bugs/mask_one_key_too_narrow.hpp,
// bugs/chunk_is_read_as_window.hpp, bugs/chunk_counts_rows.hpp.
// Not said here: that unseen rows may be dropped (evict.hpp).
#pragma once
#include "append.hpp"

namespace kv {

/// One query and one key.
struct Sight {
    Position query;
    Position key;
    std::size_t index;  ///< of the key's row; 0 is the oldest that is still there
};

/// Causal, with a window of `keys` keys and `sinks` first rows, or with chunks of `chunk`
/// positions; 0: without.
template <Extent W = Nat<0>, Extent S = Nat<0>, Extent C = Nat<0>>
struct Window {
    W keys{};
    S sinks{};
    C chunk{};
    constexpr bool sees(Sight const& at) const {
        std::size_t const width = keys, first = sinks, cut = chunk;
        return at.key <= at.query &&
               (width == 0 || at.query - at.key < Position(width) || at.index < first) &&
               (cut == 0 || at.key / Position(cut) == at.query / Position(cut));
    }
};

/// Any relation of positions, as a tree of drafts needs.
template <class SeesKey>
struct Relation {
    SeesKey relation;
    constexpr bool sees(Sight const& at) const { return relation(at.query, at.key); }
};
template <class SeesKey>
Relation(SeesKey) -> Relation<SeesKey>;

/// Rows to attend to: how many, where they stand, what is seen of them (by reference), by whom.
template <class PositionAt, class KeyAt, class ValueAt, class Sees>
struct Rows {
    std::size_t count;
    PositionAt positionAt;
    KeyAt keyAt;
    ValueAt valueAt;
    Sees sees;
};
template <class P, class K, class V, class S>
Rows(std::size_t, P, K, V, S) -> Rows<P, K, V, S>;

/// How many rows of a sequence from position 0 stand before the chunk of row n.
template <Extent N, Extent C>
constexpr auto rowsBeforeChunk(N n, C chunk) {
    auto const cut = hana::if_(chunk == nat<0>, n + nat<1>, chunk);
    return n / cut * cut;
}

/// The rows that a query at index n sees of a sequence from position 0, chosen by counting instead
/// of by masking: the sinks, then the last `keys` rows, or those of its chunk.
template <class W>
constexpr std::vector<std::size_t> rowsInWindow(W const& window, std::size_t n) {
    std::size_t const width = window.keys, sinks = window.sinks;
    std::size_t const first = rowsBeforeChunk(Dyn{n}, Dyn{window.chunk});
    std::size_t const from = width == 0 || n + 1 < width ? first : n + 1 - width;
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < from && i < sinks; ++i) rows.push_back(i);
    for (std::size_t i = from; i <= n; ++i) rows.push_back(i);
    return rows;
}

/// How many of the n oldest rows no later query will see: all but the last w - 1, if there is a
/// window and no sink; all before the chunk of the next one, if there are chunks.
template <class W, Extent N>
constexpr auto rowsOutOfSight(W const& window, N n) {
    return hana::if_(window.keys == nat<0> || window.sinks != nat<0>,
                     rowsBeforeChunk(n, window.chunk), lessBy(n + nat<1>, window.keys));
}

inline constexpr Theorem window_eq_masked_full{
    "window_eq_masked_full", "a window reads its last rows only", ofEngine, free,
    Owed::computes, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        std::size_t const n = world.length();
        auto handle = fed(subject, world, world.length() + nat<1>);
        auto const left = subject.attend(handle, world.token(n).query);
        auto const shown = rowsInWindow(world.layer().mask, n);
        auto const keys = tabulate(shown.size(), [&](auto j) { return world.seen(shown[j]); });
        auto const values =
            tabulate(shown.size(), [&](auto j) { return world.exact(shown[j]).value; });
        auto const right = attendRows(
            world.layer(), Position(n), world.exact(n).query,
            Rows{shown.size(), [&](std::size_t j) { return Position(shown[j]); },
                 [&](std::size_t j) -> auto const& { return keys[j]; },
                 [&](std::size_t j) -> auto const& { return values[j]; },
                 [](Sight const&) { return true; }});
        equation.row({.what = What::output, .row = n}, left, right);
        return equation;
    }};

static_assert(Window<Nat<2>>{}.sees({.query = 5, .key = 4, .index = 4}));
static_assert(!Window<Nat<2>>{}.sees({.query = 5, .key = 3, .index = 3}));
static_assert(rowsBeforeChunk(nat<5>, nat<3>) == nat<3>);

}  // namespace kv

// ring_off_by_one_at_wrap: start each circle one slot further.
//
// When a ring wraps, the first row of the new circle goes one slot further than that of the circle
// before. It overwrites the oldest row that is still held, one step before its turn.
//
//     slot(row) = row mod ring    so that the last `ring` rows have distinct slots
//
// Breaks appendKV_prefix. A relative in the wild: huggingface/transformers #47708.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct RingOffByOneAtWrap : impl::Standard {
    static constexpr std::string_view name = "ring_off_by_one_at_wrap";
    static constexpr std::string_view theorem = "appendKV_prefix";
    static constexpr std::string_view story = "a ring that wraps overwrites a row in use";
    static constexpr std::string_view tracker = "huggingface/transformers #47708";

    static constexpr std::size_t ringSlot(impl::Place p) {
        return (p.row + p.row / p.slots) % p.slots;  // wrong: each circle starts one slot further
    }
};

}  // namespace kv::bugs

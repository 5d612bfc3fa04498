// slot_reused: hand the first slot out twice.
//
// From the second row on, the slot is counted one too low, so rows 0 and 1 share one. Appending the
// second token overwrites the first; the newest row is always right.
//
//     read(append(c, row))[i] = read(c)[i]    for every i < length of c
//
// Breaks appendKV_prefix. A relative in the wild: jundot/omlx #2172.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct SlotReused : impl::Standard {
    static constexpr std::string_view name = "slot_reused";
    static constexpr std::string_view theorem = "appendKV_prefix";
    static constexpr std::string_view story = "the second token lands on the first one";
    static constexpr std::string_view tracker = "jundot/omlx #2172";

    static constexpr std::size_t slot(impl::Place p) {
        return (p.row == 0 ? 0 : p.row - 1) % p.slots;  // wrong: - 1
    }
};

}  // namespace kv::bugs

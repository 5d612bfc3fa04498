// shared_block_is_freed: give a block away when the first of its owners is done.
//
// The block goes back to the free ones with the first table that lets go of it. Whoever gets it
// next writes over rows that the other table still names.
//
//     a block is free where no table names it
//
// Breaks share_reuses_free_only. A relative in the wild: Avarok-Cybersecurity/atlas #373.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct SharedBlockIsFreed : impl::Standard {
    static constexpr bool isPaged = true;
    static constexpr std::string_view name = "shared_block_is_freed";
    static constexpr std::string_view theorem = "share_reuses_free_only";
    static constexpr std::string_view story = "a shared block is free once one owner lets go of it";
    static constexpr std::string_view tracker = "Avarok-Cybersecurity/atlas #373";

    static constexpr bool isFree([[maybe_unused]] std::size_t references) {
        return true;  // wrong: another table may name it
    }
};

}  // namespace kv::bugs

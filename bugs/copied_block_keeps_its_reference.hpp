// copied_block_keeps_its_reference: count an owner that has moved on to a copy.
//
// Whoever writes gets a copy of a shared block, and the original is never let go of. With each such
// copy the pool is smaller by one block, until it refuses everything.
//
//     references[b] = how many tables name b
//
// Breaks release_returns_room. A relative in the wild: xLLM-AI/xllm #829.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct CopiedBlockKeepsItsReference : impl::Standard {
    static constexpr bool isPaged = true;
    static constexpr std::string_view name = "copied_block_keeps_its_reference";
    static constexpr std::string_view theorem = "release_returns_room";
    static constexpr std::string_view story = "a block that was copied is never free again";
    static constexpr std::string_view tracker = "xLLM-AI/xllm #829";

    static constexpr std::size_t referencesAfterCopy(std::size_t references) {
        return references;  // wrong: this table names the copy now
    }
};

}  // namespace kv::bugs

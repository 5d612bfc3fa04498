// fork_takes_no_reference: name blocks a second time without saying so.
//
// A fork copies the table of its parent and leaves the count of each block as it was. Both write
// into what they share, and the first release gives it away.
//
//     references[b] = how many tables name b
//
// Breaks fork_isolated. A relative in the wild: apache/tvm #16666.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct ForkTakesNoReference : impl::Standard {
    static constexpr bool isPaged = true;
    static constexpr std::string_view name = "fork_takes_no_reference";
    static constexpr std::string_view theorem = "fork_isolated";
    static constexpr std::string_view story = "a fork is not counted in the blocks that it shares";
    static constexpr std::string_view tracker = "apache/tvm #16666";

    static constexpr std::size_t referencesAfterFork(std::size_t references) {
        return references;  // wrong: one more table names the block
    }
};

}  // namespace kv::bugs

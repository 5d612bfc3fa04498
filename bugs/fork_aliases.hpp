// fork_aliases: share storage that both will write.
//
// A fork gets its parent's storage instead of a copy. Whatever one of them appends, forgets or
// releases happens to the other too.
//
//     observe(parent) after any verb on the child = observe(parent) before it
//
// Breaks fork_isolated. A relative in the wild: apache/tvm #16666.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct ForkAliases : impl::Standard {
    static constexpr std::string_view name = "fork_aliases";
    static constexpr std::string_view theorem = "fork_isolated";
    static constexpr std::string_view story = "a fork writes into its parent's storage";
    static constexpr std::string_view tracker = "apache/tvm #16666";

    static constexpr std::size_t forkStorage(impl::ForkStorage f) {
        return f.parents;  // wrong: no copy is made
    }
};

}  // namespace kv::bugs

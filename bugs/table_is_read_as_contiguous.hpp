// table_is_read_as_contiguous: take a sequence for one stretch of blocks.
//
// The table is looked at once, for its first block, and the others are expected behind it. They
// are, as long as one sequence grows alone.
//
//     row i is in block table[i / B]
//
// Breaks fork_isolated. A relative in the wild: tanishqkumar/ssd #23.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct TableIsReadAsContiguous : impl::Standard {
    static constexpr bool isPaged = true;
    static constexpr std::string_view name = "table_is_read_as_contiguous";
    static constexpr std::string_view theorem = "fork_isolated";
    static constexpr std::string_view story = "blocks are looked for behind the first one";
    static constexpr std::string_view tracker = "tanishqkumar/ssd #23";

    static constexpr std::size_t blockOf(impl::Lookup l) {
        return (l.first + l.row / l.blockRows) % l.blocks;  // wrong: the table says which
    }
};

}  // namespace kv::bugs

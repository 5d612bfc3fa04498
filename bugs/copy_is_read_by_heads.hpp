// copy_is_read_by_heads: read a copy as if all rows of a head came first.
//
// Rows are saved one by one, each with all its heads, and read as if head 0 of every row stood
// before head 1 of any. Both layouts have one size, so nothing looks wrong but the numbers.
//
//     restore(save(c)).keys[i][h] = c.keys[i][h]
//
// Breaks restore_is_identity. A relative in the wild: LMCache/LMCache #4463.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct CopyIsReadByHeads : impl::Standard {
    static constexpr bool isPaged = true;
    static constexpr std::string_view name = "copy_is_read_by_heads";
    static constexpr std::string_view theorem = "restore_is_identity";
    static constexpr std::string_view story = "what was saved row by row is read head by head";
    static constexpr std::string_view tracker = "LMCache/LMCache #4463";

    static constexpr std::size_t placeInCopy(impl::InCopy c) {
        return c.head * c.rows + c.row;  // wrong: rows and heads are exchanged
    }
};

}  // namespace kv::bugs

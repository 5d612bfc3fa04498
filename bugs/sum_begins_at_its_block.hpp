// sum_begins_at_its_block: let the place of a sequence order its sums.
//
// A sum begins with the row that has the number of the sequence's block, as when the work of a
// batch is dealt out by its index. Each sequence can be repeated, but a fork of it has other bits.
//
//     attend(child of fork(c), q) = attend(c, q), bit for bit, where that is declared
//
// Breaks copy_same_bits. A relative in the wild: Dao-AILab/flash-attention #1897.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct SumBeginsAtItsBlock : impl::Standard {
    static constexpr std::string_view name = "sum_begins_at_its_block";
    static constexpr std::string_view theorem = "copy_same_bits";
    static constexpr std::string_view story = "a sum begins at the row with its block's number";
    static constexpr std::string_view tracker = "Dao-AILab/flash-attention #1897";

    static constexpr std::size_t firstOfSum(impl::Sum s) {
        return s.rows == 0 ? 0 : s.block % s.rows;  // wrong: a row does not know its block
    }
};

}  // namespace kv::bugs

// sum_begins_where_the_last_ended: go on where the last sum stopped.
//
// A sum begins one row further than the sum before it, as work does that is taken from a queue
// which is never rewound. Every order is right, so no single answer is wrong; but no run can be
// repeated.
//
//     attend(c, q) = attend(c, q), bit for bit, where that is declared
//
// Breaks repeat_same_bits. A relative in the wild: kekzl/imp #677.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct SumBeginsWhereTheLastEnded : impl::Standard {
    static constexpr std::string_view name = "sum_begins_where_the_last_ended";
    static constexpr std::string_view theorem = "repeat_same_bits";
    static constexpr std::string_view story = "each sum begins one row after the one before it";
    static constexpr std::string_view tracker = "kekzl/imp #677";

    static constexpr std::size_t firstOfSum(impl::Sum s) {
        return s.rows == 0 ? 0 : s.answered % s.rows;  // wrong: the rows are the same, the sum not
    }
};

}  // namespace kv::bugs

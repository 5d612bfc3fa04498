// stale_length_after_rollback: forget rows but not their number.
//
// A rollback takes the rows and their positions back but leaves the length as it was. The sequence
// seems to hold rows that are gone, and the next token is stored behind them.
//
//     length(rollback(c, n)) = n
//
// Breaks rollback_append. A relative in the wild: huggingface/transformers #47433.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct StaleLengthAfterRollback : impl::Standard {
    static constexpr std::string_view name = "stale_length_after_rollback";
    static constexpr std::string_view theorem = "rollback_append";
    static constexpr std::string_view story = "a rollback takes rows back and keeps the length";
    static constexpr std::string_view tracker = "huggingface/transformers #47433";

    static constexpr std::size_t lengthAfterRollback(impl::Cut c) {
        return c.rows;  // wrong: the length from before
    }
};

}  // namespace kv::bugs

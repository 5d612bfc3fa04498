// inactive_row_moves_on: count padding as a token.
//
// A batch of fixed size moves every row on by a token at least. A sequence that brought none stores
// none, and its next token stands one position too far.
//
//     step(items)[i] = items[i].cache    where there are no tokens
//
// Breaks inactive_untouched. A relative in the wild: huggingface/transformers #18104.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct InactiveRowMovesOn : impl::Standard {
    static constexpr std::string_view name = "inactive_row_moves_on";
    static constexpr std::string_view theorem = "inactive_untouched";
    static constexpr std::string_view story = "a sequence without tokens moves on by a position";
    static constexpr std::string_view tracker = "huggingface/transformers #18104";

    static constexpr std::int64_t positionWhileInactive(std::int64_t next) {
        return next + 1;  // wrong: nothing was stored
    }
};

}  // namespace kv::bugs

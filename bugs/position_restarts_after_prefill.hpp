// position_restarts_after_prefill: give the position of the first token again.
//
// A prefill leaves its rows in place but the next position at 0. Whatever is appended then is
// turned as if it began the text.
//
//     nextPosition(prefill(c, tokens)) = nextPosition(c) + number of tokens
//
// Breaks position_append_is_next. A relative in the wild: vllm-project/vllm-metal #144.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct PositionRestartsAfterPrefill : impl::Standard {
    static constexpr std::string_view name = "position_restarts_after_prefill";
    static constexpr std::string_view theorem = "position_append_is_next";
    static constexpr std::string_view story = "a prefill sets the next position to 0";
    static constexpr std::string_view tracker = "vllm-project/vllm-metal #144";

    static constexpr std::int64_t nextPosition(impl::Advance a) {
        if (a.purpose == impl::Purpose::prefill)
            return 0;  // wrong: the rows stay
        return Standard::nextPosition(a);
    }
};

}  // namespace kv::bugs

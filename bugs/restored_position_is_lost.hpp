// restored_position_is_lost: bring the rows back and count positions from 0.
//
// The copy has every key and value, and what is restored is attended to. The position of the next
// token was not set with them, so that token is turned as if it were the first.
//
//     restore(save(c)).next = c.next
//
// Breaks restore_is_identity. A relative in the wild: vllm-project/vllm-metal #144.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct RestoredPositionIsLost : impl::Standard {
    static constexpr std::string_view name = "restored_position_is_lost";
    static constexpr std::string_view theorem = "restore_is_identity";
    static constexpr std::string_view story = "rows are restored and the next position is not";
    static constexpr std::string_view tracker = "vllm-project/vllm-metal #144";

    static constexpr std::int64_t positionAfterRestore(impl::Return) {
        return 0;  // wrong: that of a sequence which has not begun
    }
};

}  // namespace kv::bugs

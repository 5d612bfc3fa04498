// position_off_by_one_after_eviction: step one position back.
//
// An eviction is taken for a change of the next position, which is set one back. The next token
// gets the position of the newest row, so two rows share an angle from then on.
//
//     nextPosition(evict(c, m)) = nextPosition(c)
//
// Breaks evict_invisible_under_window. A relative in the wild: rajveer43/VeloxQuant-MLX #138.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct PositionOffByOneAfterEviction : impl::Standard {
    static constexpr std::string_view name = "position_off_by_one_after_eviction";
    static constexpr std::string_view theorem = "evict_invisible_under_window";
    static constexpr std::string_view story = "an eviction sets the next position one back";
    static constexpr std::string_view tracker = "rajveer43/VeloxQuant-MLX #138";

    static constexpr std::int64_t positionAfterEviction(impl::Eviction e) {
        return e.next - 1;  // wrong: dropping rows frees no position
    }
};

}  // namespace kv::bugs

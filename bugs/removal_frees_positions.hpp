// removal_frees_positions: let the next token stand where the gap could be closed.
//
// The next position is set back by the number of rows that were removed, as if the others had moved
// down. They have not, so the next token gets a position that one of them has.
//
//     nextPosition(remove(c, a, m)) = nextPosition(c)
//
// Breaks remove_keeps_others. A relative in the wild: rajveer43/VeloxQuant-MLX #138.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct RemovalFreesPositions : impl::Standard {
    static constexpr std::string_view name = "removal_frees_positions";
    static constexpr std::string_view theorem = "remove_keeps_others";
    static constexpr std::string_view story = "a removal sets the next position back";
    static constexpr std::string_view tracker = "rajveer43/VeloxQuant-MLX #138";

    static constexpr std::int64_t positionAfterRemoval(impl::Removal r) {
        return r.next - std::int64_t(r.count);  // wrong: a gap frees no position
    }
};

}  // namespace kv::bugs

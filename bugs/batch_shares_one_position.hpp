// batch_shares_one_position: let the longest sequence say where all of them stand.
//
// A batch of decodes is given one position, that of its longest sequence. The tokens of every
// shorter one are turned too far, and behind them there is a gap.
//
//     step(items)[i] = prefill(items[i].cache, items[i].tokens)
//
// Breaks step_eq_alone. A relative in the wild: unslothai/unsloth #3699.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct BatchSharesOnePosition : impl::Standard {
    static constexpr std::string_view name = "batch_shares_one_position";
    static constexpr std::string_view theorem = "step_eq_alone";
    static constexpr std::string_view story = "one sequence of a batch says where all stand";
    static constexpr std::string_view tracker = "unslothai/unsloth #3699";

    static constexpr std::int64_t positionOfItem(impl::ItemStart s) {
        return s.furthest;  // wrong: each sequence has a next position of its own
    }
};

}  // namespace kv::bugs

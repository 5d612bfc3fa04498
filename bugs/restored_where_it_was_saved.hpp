// restored_where_it_was_saved: put rows back into the slots that they came from.
//
// Rows had been dropped in front of what was saved, so its first row stood in a later slot. The
// restored sequence begins at its first slot, and its rows were written further on.
//
//     restore(save(evict(c, m)))[i] = c[i + m]
//
// Breaks restore_keeps_positions. A relative in the wild: ggml-org/llama.cpp #22805.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct RestoredWhereItWasSaved : impl::Standard {
    static constexpr std::string_view name = "restored_where_it_was_saved";
    static constexpr std::string_view theorem = "restore_keeps_positions";
    static constexpr std::string_view story = "rows go back to their slots and are read elsewhere";
    static constexpr std::string_view tracker = "ggml-org/llama.cpp #22805";

    static constexpr std::size_t rowOfRestored(impl::Comeback c) {
        return c.firstSaved + c.index;  // wrong: a restored sequence begins with row 0
    }
};

}  // namespace kv::bugs

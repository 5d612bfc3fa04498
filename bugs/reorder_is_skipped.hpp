// reorder_is_skipped: let every beam go on from its own past.
//
// The search has chosen which pasts go on, and the cache has not heard of it. Tokens are right and
// every score is asked of somebody else's rows.
//
//     reorder(caches, parents)[s] = caches[parents[s]]
//
// Breaks reorder_is_any_map. A relative in the wild: huggingface/transformers #46612.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct ReorderIsSkipped : impl::Standard {
    static constexpr std::string_view name = "reorder_is_skipped";
    static constexpr std::string_view theorem = "reorder_is_any_map";
    static constexpr std::string_view story = "each beam goes on from its own past";
    static constexpr std::string_view tracker = "huggingface/transformers #46612";

    static constexpr std::size_t parentOf(impl::Beam b) {
        return b.sequence;  // wrong: the map is not read
    }
};

}  // namespace kv::bugs

// repeated_beam_is_not_copied: give a second beam storage and no rows.
//
// Where two beams continue one past, the second gets storage of its own into which nothing is
// copied. It reads what the last one there has left.
//
//     reorder(caches, parents)[s] = caches[parents[s]]    also where parents[s] = parents[t]
//
// Breaks reorder_is_any_map. A relative in the wild: openvinotoolkit/openvino #34668.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct RepeatedBeamIsNotCopied : impl::Standard {
    static constexpr std::string_view name = "repeated_beam_is_not_copied";
    static constexpr std::string_view theorem = "reorder_is_any_map";
    static constexpr std::string_view story = "a second beam of one past gets none of its rows";
    static constexpr std::string_view tracker = "openvinotoolkit/openvino #34668";

    static constexpr impl::LayerRange layersOfCopy(std::size_t) {
        return {0, 0};  // wrong: no layer copies anything
    }
};

}  // namespace kv::bugs

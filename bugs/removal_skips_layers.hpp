// removal_skips_layers: close the gap in one layer only.
//
// Rows behind a removal move down in the first layer and stay where they were in all others, whose
// tables say that they moved too. There the removed row is still read, and the newest one is not.
//
//     observe(remove(c, a, m), layer l) = remove(observe(c, layer l), a, m)    for every l
//
// Breaks remove_keeps_others. A relative in the wild: sgl-project/sglang #30775.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct RemovalSkipsLayers : impl::Standard {
    static constexpr std::string_view name = "removal_skips_layers";
    static constexpr std::string_view theorem = "remove_keeps_others";
    static constexpr std::string_view story = "a removal moves rows in the first layer only";
    static constexpr std::string_view tracker = "sgl-project/sglang #30775";

    static constexpr impl::LayerRange layersOfRemoval(std::size_t) {
        return {0, 1};  // wrong: the layers above keep the removed rows
    }
};

}  // namespace kv::bugs

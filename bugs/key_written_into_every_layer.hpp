// key_written_into_every_layer: lose the layer from the address of a key.
//
// The address of a key does not name its layer, so each layer's key is written into every layer.
// The layer that writes last wins; values are where they belong.
//
//     key of append(c, row) in layer l = key of row in layer l
//
// Breaks appendKV_last_key. A relative in the wild: dingodb/DingoCache #116.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct KeyWrittenIntoEveryLayer : impl::Standard {
    static constexpr std::string_view name = "key_written_into_every_layer";
    static constexpr std::string_view theorem = "appendKV_last_key";
    static constexpr std::string_view story = "every layer ends up with the last layer's key";
    static constexpr std::string_view tracker = "dingodb/DingoCache #116";

    static constexpr impl::LayerRange layersOfKey(impl::KeyWrite w) {
        return {0, w.layers};  // wrong: only layer w.layer was meant
    }
};

}  // namespace kv::bugs

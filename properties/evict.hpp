// evict: choose what to drop behind the window.
//
// Inputs of evict_invisible_under_window.
// Lengths around the window or the chunk, where the first row leaves it, and the longest that fits.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs evictInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(2, d.capacity),
                        {d.layer.window, d.layer.retained, d.layer.chunk.value_or(0)}),
            {Family::painted, Family::oneHot, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

// append: choose where appended rows are worth looking at.
//
// Inputs of appendKV_length, appendKV_last_key, appendKV_last_value, appendKV_prefix.
// Rows only move, so painted content tells at once which row stands where. Lengths run to the
// capacity, over every boundary of a ring, since that is where slots are reused.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs appendInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(1, d.capacity), {d.layer.window, d.layer.retained}),
            {Family::painted, Family::sampled}};
}

}  // namespace kv::properties

// save: choose pasts worth saving.
//
// Inputs of restore_is_identity, restore_then_append and restore_keeps_positions.
// No two heads are alike, so rows that come back under another head show. Pasts longer than a ring
// are saved without what it has lost.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs saveInputs(LayerDomain const& d) {
    auto boundaries = d.blockEnds();
    boundaries.insert(boundaries.end(), {d.layer.window, d.layer.retained});
    return {lengthsUpTo(roomFor(2, d.capacity), boundaries),
            {Family::painted, Family::oneHot, Family::sampled}};
}

}  // namespace kv::properties

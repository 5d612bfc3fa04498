// position: choose positions worth turning by.
//
// Inputs of position_append_is_next, position_storage_agrees, shift_eq_recompute_layer0,
// position_score_relative.
// Equal heads and lengths inside the window leave the position as the only thing that can differ;
// equal keys too, and on the knife-edge a single step of any row shows.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs positionInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(1, d.insideWindow())),
            {Family::painted, Family::oneHot, Family::knifeEdge, Family::equalKeys,
             Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

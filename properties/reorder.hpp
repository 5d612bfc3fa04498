// reorder: choose pasts that beams have in common.
//
// Inputs of reorder_is_any_map.
// The beams differ in their newest token only, which stands at the same place in both.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs reorderInputs(LayerDomain const& d) {
    // Each beam has two rows at least, and a window that is wrong by one must still show them.
    if (d.insideWindow() < 2)
        return {{}, {}, HeadContent::same, "the window does not show a past and a token"};
    return {lengthsUpTo(roomFor(2, d.insideWindow()), d.blockEnds()),
            {Family::painted, Family::oneHot, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

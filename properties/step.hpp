// step: choose pasts that the sequences of a batch have in common.
//
// Inputs of step_eq_alone, inactive_untouched.
// Inside the window and with equal heads, so that nothing but the batch can be wrong; where blocks
// end, two items of one step copy the block that they share.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs stepInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(3, d.insideWindow()), d.blockEnds()),
            {Family::painted, Family::oneHot, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

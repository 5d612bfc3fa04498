// fork: choose pasts worth continuing twice.
//
// Inputs of fork_isolated.
// Both sides write a different token at the same place, so an aliased row shows the other's.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs forkInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(1, d.insideWindow()), d.blockEnds()),
            {Family::painted, Family::oneHot, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

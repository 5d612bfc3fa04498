// release: choose pasts worth forgetting.
//
// Inputs of release_forgets, keep_forgets_others, release_returns_room.
// The token that begins anew is another one than the first of the past, at the same place.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs releaseInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(1, d.insideWindow()), d.blockEnds()),
            {Family::painted, Family::oneHot, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

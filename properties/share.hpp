// share: choose pasts of forks that end inside a block, and at its end.
//
// Inputs of share_reuses_free_only, share_copies_before_writing.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs shareInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(1, d.insideWindow()), d.blockEnds()),
            {Family::painted, Family::oneHot, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

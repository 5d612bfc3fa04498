// remove: choose pasts with rows worth dropping from the middle.
//
// Inputs of remove_keeps_others, remove_then_append, remove_then_rollback.
// The claims choose the rows themselves, at every place and of every number. A few rows show as
// much as many; a ring must not have lost any yet, or it refuses.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs removeInputs(LayerDomain const& d) {
    constexpr std::size_t enough = 6;
    return {lengthsUpTo(std::min(enough, roomFor(2, d.insideWindow()))),
            {Family::painted, Family::oneHot, Family::mean, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

// rollback: choose how far to go back.
//
// Inputs of rollback_append, rollback_then_append_eq_fresh.
// The claims go back to every shorter length themselves. One-hot queries ask for rows that are
// still there; a forgotten row that is still visible shares the answer.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs rollbackInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(1, d.insideWindow()), d.blockEnds()),
            {Family::painted, Family::oneHot, Family::mean, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

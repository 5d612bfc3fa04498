// invariance: choose rows whose sums depend on their order.
//
// Inputs of repeat_same_bits, chunk_same_bits, copy_same_bits.
// Scaled normals: a sum of three has other bits in another order, which a probe hides on purpose.
// Inside the window, and with equal heads.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs invarianceInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(1, d.insideWindow())), {Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

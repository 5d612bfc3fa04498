// layers: choose models worth running.
//
// Inputs of decode_layers_eq_forward.
// This law is about the spec: its inputs are the symbols of proofs/world.hpp. An engine's layers
// are compared one by one in every trace.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs layersInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(1, d.capacity)), {}, HeadContent::distinct};
}

}  // namespace kv::properties

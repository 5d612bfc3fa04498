// prefill: choose prompts worth cutting.
//
// Inputs of prefill_any_chunking, prefill_eq_appends.
// The claims cut at every place; lengths go around the window, which a chunk may exceed.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs prefillInputs(LayerDomain const& d) {
    return {lengthsUpTo(d.capacity, {d.layer.window, d.layer.retained}),
            {Family::painted, Family::oneHot, Family::sampled}, HeadContent::distinct};
}

}  // namespace kv::properties

// subject: choose lengths worth the whole vocabulary.
//
// Inputs of trace_eq_spec.
// The fixed trace of the claim; random traces come from check.hpp.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs subjectInputs(LayerDomain const& d) {
    return {lengthsUpTo(roomFor(2, d.capacity), {d.layer.window, d.layer.retained}),
            {Family::painted, Family::oneHot, Family::sampled}, HeadContent::distinct};
}

}  // namespace kv::properties

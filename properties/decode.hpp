// decode: choose pasts worth attending to.
//
// Inputs of decodeWithCache_eq_fullAttention.
// Everything at once: all lengths, distinct heads, every family.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs decodeInputs(LayerDomain const& d) {
    Inputs inputs{lengthsUpTo(roomFor(1, d.capacity), {d.layer.window, d.layer.retained}),
                  {Family::painted, Family::oneHot, Family::mean, Family::wideSum,
                   Family::groupSelect, Family::knifeEdge, Family::equalKeys, Family::ladder,
                   Family::balance, Family::sampled},
                  HeadContent::distinct};
    if (speaks(Family::quantiserStep, d.layer)) inputs.families.push_back(Family::quantiserStep);
    return inputs;
}

}  // namespace kv::properties

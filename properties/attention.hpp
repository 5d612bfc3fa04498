// attention: choose chunks in which no row may look ahead.
//
// Inputs of fullAttention_causal.
// Every row of one chunk is compared, and one-hot queries ask for rows on both sides of it.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs attentionInputs(LayerDomain const& d) {
    return {lengthsUpTo(d.capacity, {d.layer.window}),
            {Family::oneHot, Family::mean, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

// sink: ask for one row beside a sink.
//
// Inputs of sink_shares_weight.
// Of one row nothing can be hidden, turned wrongly or taken for another, and equal heads leave the
// logit alone to blame. A zero query weighs the row as much as a logit of 0 does.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs sinkInputs(LayerDomain const& d) {
    if (!d.layer.sinkLogits) return {{}, {}, HeadContent::same, "no layer has sink logits"};
    return {{0}, {Family::mean, Family::oneHot, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

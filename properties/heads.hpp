// heads: choose heads that must not be mixed up.
//
// Inputs of heads_gqa_eq_repeated.
// One visible row is enough to tell heads apart, and with one row no mask can be at fault. One kv
// head, or one for each query head, leaves nothing to choose.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs headsInputs(LayerDomain const& d) {
    if (d.layer.kvHeads == 1 || d.layer.kvHeads == d.layer.queryHeads)
        return {{}, {}, HeadContent::distinct, "in no layer do groups of heads share a kv head"};
    return {{0}, {Family::painted, Family::sampled}, HeadContent::distinct};
}

}  // namespace kv::properties

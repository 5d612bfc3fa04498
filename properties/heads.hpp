// heads: choose heads that must not be mixed up.
//
// Inputs of heads_gqa_eq_repeated.
// One visible row is enough to tell heads apart, and with one row no mask can be at fault.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs headsInputs(LayerDomain const&) {
    return {{0}, {Family::painted, Family::sampled}, HeadContent::distinct};
}

}  // namespace kv::properties

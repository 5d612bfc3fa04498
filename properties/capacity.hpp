// capacity: choose how full is full.
//
// Inputs of capacity_refuses_unchanged.
// The claim itself fills the cache to its capacity, so one length is enough.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs capacityInputs(LayerDomain const& d) {
    return {{d.capacity}, {Family::painted}};
}

}  // namespace kv::properties

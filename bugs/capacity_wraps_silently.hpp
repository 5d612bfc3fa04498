// capacity_wraps_silently: take what does not fit.
//
// A full sequence accepts more tokens instead of refusing them. The slots are used in circles, so
// the oldest rows are overwritten while the length grows on.
//
//     append(c, row) = refused, and c as it was    where length of c = capacity
//
// Breaks capacity_refuses_unchanged. A relative in the wild: deepspeedai/DeepSpeed #2485.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct CapacityWrapsSilently : impl::Standard {
    static constexpr std::string_view name = "capacity_wraps_silently";
    static constexpr std::string_view theorem = "capacity_refuses_unchanged";
    static constexpr std::string_view story =
        "a full sequence takes one more row and loses its oldest";
    static constexpr std::string_view tracker = "deepspeedai/DeepSpeed #2485";

    static constexpr bool fits(impl::Demand) {
        return true;  // wrong: it wraps around instead
    }
};

}  // namespace kv::bugs

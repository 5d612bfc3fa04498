// window: choose lengths around the window.
//
// Inputs of window_eq_masked_full.
// Zero queries weigh every visible row the same, so one key too many or too few moves the mean;
// one-hot queries ask for each row in turn; on a falling ladder the oldest visible row wins alone.
// Equal heads leave the mask alone to blame. Without a window or chunks the law is that of
// decoding, so it is not asked.
#pragma once
#include "inputs.hpp"

namespace kv::properties {

inline Inputs windowInputs(LayerDomain const& d) {
    std::size_t const chunk = d.layer.chunk.value_or(0);
    if (d.layer.window == 0 && chunk == 0)
        return {{}, {}, HeadContent::same, "no layer has a window, or chunks"};
    return {lengthsUpTo(roomFor(1, d.capacity), {d.layer.window, d.layer.retained, chunk}),
            {Family::mean, Family::oneHot, Family::ladder, Family::sampled}, HeadContent::same};
}

}  // namespace kv::properties

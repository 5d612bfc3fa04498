// mask_one_key_too_wide: show one key behind the window.
//
// The window is counted without the query's own key, so a window of w shows w + 1 keys. It changes
// an output as soon as w + 1 rows are stored and the oldest of them is still held.
//
//     the query at p sees the key at j    iff    p - j < w
//
// Breaks window_eq_masked_full. A relative in the wild: microsoft/onnxruntime #25927.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct MaskOneKeyTooWide : impl::Standard {
    static constexpr std::string_view name = "mask_one_key_too_wide";
    static constexpr std::string_view theorem = "window_eq_masked_full";
    static constexpr std::string_view story = "a window of w keys shows w + 1";
    static constexpr std::string_view tracker = "microsoft/onnxruntime #25927";

    static constexpr bool visible(impl::Seen s) {
        std::int64_t const distance = s.queryPosition - s.keyPosition;
        return s.window == 0 || s.index < s.sinks ||
               std::cmp_less_equal(distance, s.window);  // wrong: <= leaves the own key uncounted
    }
};

}  // namespace kv::bugs

// mask_one_key_too_narrow: hide the last key of the window.
//
// The oldest key of the window is cut off one step early, so a window of w shows w - 1 keys. A
// window of one key shows none, and its output is not a number.
//
//     the query at p sees the key at j    iff    p - j < w
//
// Breaks window_eq_masked_full. A relative in the wild: huggingface/transformers #37574.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct MaskOneKeyTooNarrow : impl::Standard {
    static constexpr std::string_view name = "mask_one_key_too_narrow";
    static constexpr std::string_view theorem = "window_eq_masked_full";
    static constexpr std::string_view story = "a window of w keys shows w - 1";
    static constexpr std::string_view tracker = "huggingface/transformers #37574";

    static constexpr bool visible(impl::Seen s) {
        std::int64_t const distance = s.queryPosition - s.keyPosition;
        return s.window == 0 || s.index < s.sinks ||
               std::cmp_less(distance + 1, s.window);  // wrong: + 1 counts the own key twice
    }
};

}  // namespace kv::bugs

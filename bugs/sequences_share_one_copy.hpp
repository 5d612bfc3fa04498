// sequences_share_one_copy: save every sequence to the same place.
//
// What is saved of one sequence replaces what was saved of another. Both are restored without a
// word, as the one that was saved last.
//
//     restore(save(caches, s), s) = caches[s]    whatever is saved of another sequence since
//
// Breaks restore_then_append. A relative in the wild: NVIDIA/TensorRT-LLM #8813.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct SequencesShareOneCopy : impl::Standard {
    static constexpr std::string_view name = "sequences_share_one_copy";
    static constexpr std::string_view theorem = "restore_then_append";
    static constexpr std::string_view story = "two sequences are saved to one place";
    static constexpr std::string_view tracker = "NVIDIA/TensorRT-LLM #8813";

    static constexpr std::size_t copyOf(std::size_t) {
        return 0;  // wrong: one place for all
    }
};

}  // namespace kv::bugs

// chunk_is_read_as_window: take the size of a chunk for that of a window.
//
// The last c keys are shown instead of those of the query's own chunk, so a query sees keys of the
// chunk before it, but for the last query of a chunk, whose answer is right.
//
//     the query at p sees the key at j    iff    floor(j / c) = floor(p / c)
//
// Breaks window_eq_masked_full. A relative in the wild: huggingface/transformers #37351.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct ChunkIsReadAsWindow : impl::Standard {
    static constexpr std::string_view name = "chunk_is_read_as_window";
    static constexpr std::string_view theorem = "window_eq_masked_full";
    static constexpr std::string_view story = "a chunk of positions is read as a window";
    static constexpr std::string_view tracker = "huggingface/transformers #37351";

    static constexpr bool isInChunk(impl::Seen s) {
        return s.queryPosition - s.keyPosition < s.chunk;  // wrong: that is a window
    }
};

}  // namespace kv::bugs

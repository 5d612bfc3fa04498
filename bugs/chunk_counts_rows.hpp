// chunk_counts_rows: count chunks from the oldest row that is still there.
//
// As long as nothing was dropped, a row stands at the position of its index. After an eviction it
// does not, and chunks begin elsewhere than the model cut them.
//
//     the query at p sees the key at j    iff    floor(j / c) = floor(p / c)
//
// Breaks evict_invisible_under_window. A relative in the wild: PaddlePaddle/PaddleFormers #4536.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct ChunkCountsRows : impl::Standard {
    static constexpr std::string_view name = "chunk_counts_rows";
    static constexpr std::string_view theorem = "evict_invisible_under_window";
    static constexpr std::string_view story = "chunks begin at the oldest row that is left";
    static constexpr std::string_view tracker = "PaddlePaddle/PaddleFormers #4536";

    static constexpr bool isInChunk(impl::Seen s) {
        auto const index = static_cast<std::int64_t>(s.index);
        std::int64_t const gone = s.keyPosition - index;  // wrong: chunks begin at position 0
        return (s.queryPosition - gone) / s.chunk == index / s.chunk;
    }
};

}  // namespace kv::bugs

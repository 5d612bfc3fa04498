// sum_begins_midway_in_chunks: split the sums of a chunk otherwise.
//
// A sum that is asked for together with others begins in the middle, as when a kernel splits the
// keys by the number of queries. The same token has other bits alone than in a chunk.
//
//     prefill(c, a).outputs[i] = attend(append(c, a[0] .. a[i]), query of a[i]), bit for bit,
//                                where that is declared
//
// Breaks chunk_same_bits. A relative in the wild: vllm-project/vllm #53257.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct SumBeginsMidwayInChunks : impl::Standard {
    static constexpr std::string_view name = "sum_begins_midway_in_chunks";
    static constexpr std::string_view theorem = "chunk_same_bits";
    static constexpr std::string_view story = "sums of a chunk begin with the middle row";
    static constexpr std::string_view tracker = "vllm-project/vllm #53257";

    static constexpr std::size_t firstOfSum(impl::Sum s) {
        return s.chunk > 1 ? s.rows / 2 : 0;  // wrong: how many ask together is nobody's business
    }
};

}  // namespace kv::bugs

// kv_head_by_modulo: deal kv heads out in turn.
//
// Query heads are assigned to kv heads in turn instead of in groups of neighbours. It shows as
// soon as there are at least two kv heads and more query heads than kv heads.
//
//     head h reads kv head floor(h * kvHeads / queryHeads)
//
// Breaks heads_gqa_eq_repeated. A relative in the wild: ekzhang/jax-js #180.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct KvHeadByModulo : impl::Standard {
    static constexpr std::string_view name = "kv_head_by_modulo";
    static constexpr std::string_view theorem = "heads_gqa_eq_repeated";
    static constexpr std::string_view story = "query head h reads kv head h mod kvHeads";
    static constexpr std::string_view tracker = "ekzhang/jax-js #180";

    static constexpr std::size_t kvHead(impl::Heads h) {
        return h.queryHead % h.kvHeads;  // wrong: neighbours share a kv head
    }
};

}  // namespace kv::bugs

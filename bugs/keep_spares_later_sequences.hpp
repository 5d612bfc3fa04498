// keep_spares_later_sequences: release only the sequences before the one that is kept.
//
// What should be gone is still there, and the next request that gets such a sequence continues on
// somebody else's rows.
//
//     keep(caches, s)[q] = empty    for every q other than s
//
// Breaks keep_forgets_others. A relative in the wild: deepspeedai/DeepSpeed #2669.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct KeepSparesLaterSequences : impl::Standard {
    static constexpr std::string_view name = "keep_spares_later_sequences";
    static constexpr std::string_view theorem = "keep_forgets_others";
    static constexpr std::string_view story = "keep spares the sequences behind its own";
    static constexpr std::string_view tracker = "deepspeedai/DeepSpeed #2669";

    static constexpr bool isReleased(impl::Keep k) {
        return k.sequence < k.kept;  // wrong: those behind it are other sequences too
    }
};

}  // namespace kv::bugs

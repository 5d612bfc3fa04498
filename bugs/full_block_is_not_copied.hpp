// full_block_is_not_copied: hold that a full block is never written again.
//
// Only the last block of a sequence has room, so only a block with room is copied before a write.
// After a rollback the next row belongs into one that was full, and that others still read.
//
//     rollback(fork(c), m) ++ row leaves c as it was
//
// Breaks share_copies_before_writing. A relative in the wild: Avarok-Cybersecurity/atlas #1193.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct FullBlockIsNotCopied : impl::Standard {
    static constexpr bool isPaged = true;
    static constexpr std::string_view name = "full_block_is_not_copied";
    static constexpr std::string_view theorem = "share_copies_before_writing";
    static constexpr std::string_view story = "a fork that goes back writes into a shared block";
    static constexpr std::string_view tracker = "Avarok-Cybersecurity/atlas #1193";

    static constexpr bool isCopied(impl::BlockWrite w) {
        return w.references > 1 && w.written < w.blockRows;  // wrong: it was full and is read
    }
};

}  // namespace kv::bugs

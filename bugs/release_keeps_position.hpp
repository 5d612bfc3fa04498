// release_keeps_position: empty the storage and not what counts it.
//
// A release drops the rows and leaves the next position where it was. Whoever gets the sequence
// next begins in the middle of it.
//
//     nextPosition(release(c)) = 0
//
// Breaks release_forgets. A relative in the wild: huggingface/transformers #48509.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct ReleaseKeepsPosition : impl::Standard {
    static constexpr std::string_view name = "release_keeps_position";
    static constexpr std::string_view theorem = "release_forgets";
    static constexpr std::string_view story = "a released sequence begins where it ended";
    static constexpr std::string_view tracker = "huggingface/transformers #48509";

    static constexpr std::int64_t positionAfterRelease(std::int64_t next) {
        return next;  // wrong: a sequence that begins anew begins at 0
    }
};

}  // namespace kv::bugs

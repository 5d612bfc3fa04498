// rolled_back_row_visible: let attention read what was taken back.
//
// A rollback shortens the sequence but not the mark up to which attention reads. Read-backs are
// right and the forgotten rows still take part in every softmax, until new rows overwrite the last
// of them.
//
//     attend(append(rollback(c ++ rows, length of c), row)) = attend(append(c, row))
//
// Breaks rollback_then_append_eq_fresh. A relative in the wild: abetlen/llama-cpp-python #2180.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct RolledBackRowVisible : impl::Standard {
    static constexpr std::string_view name = "rolled_back_row_visible";
    static constexpr std::string_view theorem = "rollback_then_append_eq_fresh";
    static constexpr std::string_view story = "attention still reads rows that were rolled back";
    static constexpr std::string_view tracker = "abetlen/llama-cpp-python #2180";

    static constexpr std::size_t readableAfterRollback(impl::Cut c) {
        return c.rows;  // wrong: the mark stays behind the forgotten rows
    }
};

}  // namespace kv::bugs

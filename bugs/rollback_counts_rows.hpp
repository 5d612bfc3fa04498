// rollback_counts_rows: take as many positions back as rows.
//
// That is right while positions are consecutive. Behind a removal they are not: the next token then
// stands somewhere in the gap, or behind it, and not where the first forgotten row stood.
//
//     nextPosition(rollback(c, m)) = position(c[m])
//
// Breaks remove_then_rollback. A relative in the wild: nobodywho-ooo/nobodywho #688.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct RollbackCountsRows : impl::Standard {
    static constexpr std::string_view name = "rollback_counts_rows";
    static constexpr std::string_view theorem = "remove_then_rollback";
    static constexpr std::string_view story = "a rollback over a gap takes rows for positions";
    static constexpr std::string_view tracker = "nobodywho-ooo/nobodywho #688";

    static constexpr std::int64_t positionAfterRollback(impl::Retreat r) {
        return r.next - std::int64_t(r.cut.rows - r.cut.kept);  // wrong: forgets the gaps
    }
};

}  // namespace kv::bugs

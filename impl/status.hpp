// status: say accepted, or refused and why.
//
// A refusal is an answer and not an accident: the engine is as it was before the call, and the
// caller may go on. The texts are literals, because a verb that refuses must not allocate either.
#pragma once
#include <cstdint>

namespace kv::impl {

/// Why a verb was refused.
enum class Refusal : std::uint8_t {
    none,
    unknownSequence,
    unknownLayer,
    wrongShape,
    full,
    outsideRotaryTable,
    emptySequence,
    rollbackGrows,
    rowsLost,
    forkOntoItself,
    forkOntoRows,
    evictsTooMany,
    evictsPinnedSinks,
    negativePosition,
    layerOutOfOrder,
    stepUnfinished,
};

/// One sentence per refusal: what was wrong, and what would be right.
constexpr char const* describe(Refusal refusal) {
    switch (refusal) {
        case Refusal::none:
            return "accepted";
        case Refusal::unknownSequence:
            return "unknown sequence; ids are 0 .. sequences - 1";
        case Refusal::unknownLayer:
            return "unknown layer; they are numbered 0 .. layers - 1";
        case Refusal::wrongShape:
            return "wrong shape; rows are dense [count][head][component], one entry per layer";
        case Refusal::full:
            return "full; a sequence holds at most capacity rows";
        case Refusal::outsideRotaryTable:
            return "position outside the rotary table; it must be below the table's rows";
        case Refusal::emptySequence:
            return "the sequence is empty; attention needs a row";
        case Refusal::rollbackGrows:
            return "a rollback does not grow; keep at most length rows";
        case Refusal::rowsLost:
            return "a ring has lost rows that this rollback would show; roll back less";
        case Refusal::forkOntoItself:
            return "fork onto itself; the copy needs another sequence";
        case Refusal::forkOntoRows:
            return "fork onto a sequence with rows; release it first";
        case Refusal::evictsTooMany:
            return "evict of more rows than there are; at most length";
        case Refusal::evictsPinnedSinks:
            return "evict of a layer with pinned sinks is not supported; release the sequence";
        case Refusal::negativePosition:
            return "a position would become negative; shift by no less than minus the oldest one";
        case Refusal::layerOutOfOrder:
            return "layer out of order; a step visits layers 0 .. layers - 1 with one count";
        case Refusal::stepUnfinished:
            return "a step has not reached the last layer; finish it or release the sequence";
    }
    return "unknown refusal";
}

/// The answer of a verb. False: refused, and nothing has changed.
struct [[nodiscard]] Status {
    Refusal refusal = Refusal::none;

    constexpr explicit operator bool() const { return refusal == Refusal::none; }
    constexpr char const* why() const { return describe(refusal); }
    friend constexpr bool operator==(Status, Status) = default;
};

}  // namespace kv::impl

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
    namedTwice,
    full,
    outOfBlocks,
    outsideRotaryTable,
    emptySequence,
    rollbackGrows,
    rowsLost,
    forkOntoItself,
    forkOntoRows,
    evictsTooMany,
    evictsPinnedSinks,
    removesTooMany,
    removesPinnedSinks,
    removesFromRing,
    reordersOthers,
    nothingSaved,
    restoreOntoRows,
    negativePosition,
    layerOutOfOrder,
    stepUnfinished,
};

/// One sentence per refusal: what was wrong, and what would be right.
struct Sentence {
    Refusal refusal;
    char const* text;
};
inline constexpr Sentence everySentence[] = {
    {Refusal::none, "accepted"},
    {Refusal::unknownSequence, "unknown sequence; ids are 0 .. sequences - 1"},
    {Refusal::unknownLayer, "unknown layer; they are numbered 0 .. layers - 1"},
    {Refusal::wrongShape,
     "wrong shape; rows are dense [count][head][component], one entry per layer"},
    {Refusal::namedTwice, "a sequence is named twice; a step names each at most once"},
    {Refusal::full, "full; a sequence holds at most capacity rows"},
    {Refusal::outOfBlocks, "too few blocks are free; release a sequence"},
    {Refusal::outsideRotaryTable,
     "position outside the rotary table; it must be below the table's rows"},
    {Refusal::emptySequence, "the sequence is empty; attention needs a row"},
    {Refusal::rollbackGrows, "a rollback does not grow; keep at most length rows"},
    {Refusal::rowsLost, "a ring has lost rows that this rollback would show; roll back less"},
    {Refusal::forkOntoItself, "fork onto itself; the copy needs another sequence"},
    {Refusal::forkOntoRows, "fork onto a sequence with rows; release it first"},
    {Refusal::evictsTooMany, "evict of more rows than there are; at most length"},
    {Refusal::evictsPinnedSinks,
     "evict of a layer with pinned sinks is not supported; release the sequence"},
    {Refusal::removesTooMany,
     "removal of rows that are not there; first + count is at most length"},
    {Refusal::removesPinnedSinks,
     "removal from a layer with pinned sinks is not supported; release the sequence"},
    {Refusal::removesFromRing,
     "a ring that has lost rows cannot move the others; evict the oldest instead"},
    {Refusal::reordersOthers,
     "no map of sequences; a reorder names one parent for each of them"},
    {Refusal::nothingSaved, "nothing was saved of this sequence; save it first"},
    {Refusal::restoreOntoRows, "restore onto a sequence with rows; release it first"},
    {Refusal::negativePosition,
     "a position would become negative; shift by no less than minus the oldest one"},
    {Refusal::layerOutOfOrder,
     "layer out of order; a step visits layers 0 .. layers - 1 with one count"},
    {Refusal::stepUnfinished,
     "a step has not reached the last layer; finish it or release the sequence"},
};

constexpr char const* describe(Refusal refusal) {
    for (Sentence const& sentence : everySentence)
        if (sentence.refusal == refusal)
            return sentence.text;
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

// promises: say what an engine knows of itself besides its shape and its arithmetic.
//
// Some properties cannot be seen from outside and cost an oracle much if it has to do without them:
// that a run repeats bit for bit, that other sequences do not matter, that values decide nothing,
// and how storage is shared. An engine that says so is held to it; saying nothing is allowed.
//
//     Promises = deterministic, batchInvariant, addressing, maskedSlots, thresholds, emptyRow
//     Pool     = blockRows, blocks
//
// Not said here: the record that they are part of (numerics.hpp), what repeats (invariance.hpp),
// what a table of blocks is (block_table.hpp).
#pragma once
#include <boost/hana.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kv {

/// Whether which rows are kept, and where, depends on what is in them.
enum class Addressing : std::uint8_t {
    byPosition,  ///< a probe speaks for all values: another row would have gone the same way
    byValue      ///< scores choose rows (top-k, eviction by attention): it speaks for itself alone
};

/// What becomes of a slot that no visible row is in, and so what may stand there, to see that it
/// has no effect. Not-a-number only where it is not read: adding minus infinity leaves it what it
/// is, and so does a weight of 0.
enum class MaskedSlots : std::uint8_t {
    readAndMasked,  ///< its score is replaced, or minus infinity is added: any finite number
    neverRead       ///< anything, not-a-number included
};

/// What attention over a sequence without rows gives: its softmax is 0 / 0, and kernels differ.
/// FlashAttention writes zeros (csrc/flash_attn/src/softmax.h, where the sum is 0); a plain softmax
/// gives not-a-number.
enum class EmptyRow : std::uint8_t {
    refused,    ///< the engine must not answer
    zero,       ///< every component is 0
    notANumber  ///< or 0 in a layer with sink logits, where the sink takes all of the weight
};

/// What an engine says beside its shape and its arithmetic. Nothing is the conservative default.
struct Promises {
    BOOST_HANA_DEFINE_STRUCT(
        Promises,
        (bool, deterministic),       // equal verbs and rows give equal bits, on any storage and
                                     // after other tokens were taken back (invariance.hpp)
        (bool, batchInvariant),      // so do other ways to the same rows: chunks and single
                                     // tokens, prefill and attend, forks, restored copies,
                                     // other sequences
        (Addressing, addressing),    //
        (MaskedSlots, maskedSlots),  //
        (std::vector<std::size_t>, thresholds),   // lengths from which on another path answers (a
                                                  // kernel for long pasts): tried, with neighbors
        (EmptyRow, emptyRow));                    // where it is promised, it must be accepted
    friend bool operator==(Promises const&, Promises const&) = default;
};

/// Storage that all sequences share, cut into blocks. A sequence may hold blocks for as many rows
/// as it has ever had at once since it was released (by itself, by a keep or by a reset), evicted
/// ones included and none of them shared, and a reorder the old ones beside the new. A restored one
/// has had what the saved one held when it was saved; a saved copy holds none. What fits so is
/// accepted; for the rest an engine may have room, or refuse. Blocks that it keeps for itself (a
/// null block, a reserve, some to look ahead) are not counted here.
struct Pool {
    BOOST_HANA_DEFINE_STRUCT(Pool,
                             (std::size_t, blockRows),  // rows of one block, at least 1
                             (std::size_t, blocks));    // of all; enough for one full sequence
    friend bool operator==(Pool const&, Pool const&) = default;
};

}  // namespace kv

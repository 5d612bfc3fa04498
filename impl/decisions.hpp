// decisions: answer every small question about an index, each in one place.
//
// A cache engine is some copying and some arithmetic, plus a dozen decisions: which slot, which
// head, which position, who is visible. The decisions are what goes wrong in practice, so they
// stand here, apart from the storage they steer. An engine takes them as a template argument:
// `Standard` is right, and a type that inherits it and hides one function is one bug (bugs/).
//
//     row        counts the tokens of a sequence since its last release; never reused after evict
//     index      counts the rows that are live now; 0 is the oldest
//     slot       a place in a layer's storage
//     position   the angle of a token; it is none of the above
//
// Each question is a struct with named fields, so that two numbers cannot be swapped in a call.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace kv::impl {

/// May `count` rows be stored behind `length` rows?
struct Demand {
    std::size_t length, count, capacity;
};

/// Which of `slots` slots holds this row?
struct Place {
    std::size_t row, slots;
};

/// Which layers does the key of a layer go to?
struct KeyWrite {
    std::size_t layer, layers;
};
/// Layers first .. last - 1.
struct LayerRange {
    std::size_t first, last;
};

/// Which position does token `offset` of a chunk take?
struct Arrival {
    std::int64_t next;
    std::size_t offset;
};

/// What a chunk was stored for: append stores, prefill also answers its queries.
enum class Purpose : std::uint8_t { append, prefill };

/// Where does the next token stand after a chunk of `count` tokens?
struct Advance {
    std::int64_t next;
    std::size_t count;
    Purpose purpose;
};

/// Which sequence do the tokens of an item go to? `item` counts the items of its batch, `sequence`
/// is the one that it names.
struct ItemPlace {
    std::size_t item, sequence;
};

/// At which position does the first token of an item stand? `next` is that of its own sequence,
/// `furthest` the largest of all in the batch.
struct ItemStart {
    std::int64_t next, furthest;
};

/// Does a query see a row? Rows of the future are not asked for: a token is stored and answered
/// before the next one is stored, so no row in the cache is newer than the query.
struct Seen {
    std::int64_t queryPosition, keyPosition;
    std::size_t index, window, sinks;
    std::int64_t chunk;
};

/// Which kv head does a query head read?
struct Heads {
    std::size_t queryHead, queryHeads, kvHeads;
};

/// There are `rows` rows and the first `kept` of them stay.
struct Cut {
    std::size_t rows, kept;
};

/// Where does the next token stand after this cut? `forgotten` is the position of the first row
/// that goes, or `next` where none does.
struct Retreat {
    std::int64_t next, forgotten;
    Cut cut;
};

/// Where does the next token stand after the `count` oldest rows are gone?
struct Eviction {
    std::int64_t next;
    std::size_t count;
};

/// Where does the next token stand after `count` rows are gone from the middle?
struct Removal {
    std::int64_t next;
    std::size_t count;
};

/// Is a sequence released when another one, or it itself, is kept?
struct Keep {
    std::size_t sequence, kept;
};

/// Which old sequence does this one become, if the map says `parent`?
struct Beam {
    std::size_t sequence, parent;
};

/// Where does the next token of a restored sequence stand, of which a copy has so many rows?
struct Return {
    std::int64_t next;
    std::size_t rows;
};

/// Which row does the one at `index` of a copy become, whose first was row `firstSaved`?
struct Comeback {
    std::size_t index, firstSaved;
};

/// At which place of a copy of `rows` rows is this head of this row?
struct InCopy {
    std::size_t row, rows, head, heads;
};

/// Which block of storage does a fork write to: its parent's or its own?
struct ForkStorage {
    std::size_t parents, own;
};

/// May a row be written where it belongs, or into a copy of that block?
struct BlockWrite {
    std::size_t references;  ///< tables that name the block
    std::size_t written;     ///< rows that were ever stored in it since it was taken
    std::size_t blockRows;
};

/// In which of all blocks is this row? The table names one for it, and one for its first row.
struct Lookup {
    std::size_t row, blockRows, first, named, blocks;
};

/// With which of the `rows` visible rows, oldest first, does a sum begin? Any order is right, but
/// one that hangs on anything else than the rows does not give the same bits again.
struct Sum {
    std::size_t rows, block;
    std::size_t chunk;     ///< tokens stored by the call that asks; 0: it only asks
    std::size_t answered;  ///< sums of this engine so far
};

/// Which score does the sink of a query head have, if it takes part?
struct SinkScore {
    float logit, scale;
    std::size_t chunk;  ///< tokens stored by the call that asks; 0: it only asks
};

/// Every decision, taken right.
struct Standard {
    static constexpr bool fits(Demand d) { return d.count <= d.capacity - d.length; }

    /// In a layer that keeps every row: all slots in turn, so that dropping old rows moves none.
    static constexpr std::size_t slot(Place p) { return p.row % p.slots; }

    /// In the ring of a layer that keeps the newest rows only.
    static constexpr std::size_t ringSlot(Place p) { return p.row % p.slots; }

    static constexpr LayerRange layersOfKey(KeyWrite w) { return {w.layer, w.layer + 1}; }

    static constexpr std::int64_t positionOf(Arrival a) {
        return a.next + static_cast<std::int64_t>(a.offset);
    }

    static constexpr std::int64_t nextPosition(Advance a) {
        return a.next + static_cast<std::int64_t>(a.count);
    }

    static constexpr std::size_t sequenceOfItem(ItemPlace i) { return i.sequence; }

    static constexpr std::int64_t positionOfItem(ItemStart s) { return s.next; }

    /// A row of a batch without tokens leaves its sequence where it is.
    static constexpr std::int64_t positionWhileInactive(std::int64_t next) { return next; }

    /// A window of w keys ends with the query's own: distances 0 .. w - 1.
    static constexpr bool visible(Seen s) {
        return s.window == 0 || std::cmp_less(s.queryPosition - s.keyPosition, s.window) ||
               s.index < s.sinks;
    }

    /// Chunks are counted from position 0. Asked of rows that are visible, if there are chunks.
    static constexpr bool isInChunk(Seen s) {
        return s.queryPosition / s.chunk == s.keyPosition / s.chunk;
    }

    /// Neighbouring query heads share a kv head.
    static constexpr std::size_t kvHead(Heads h) {
        return h.queryHead / (h.queryHeads / h.kvHeads);
    }

    /// The length of a sequence after a rollback.
    static constexpr std::size_t lengthAfterRollback(Cut c) { return c.kept; }

    /// How far attention may still read in a layer after a rollback; what lies behind is refilled.
    static constexpr std::size_t readableAfterRollback(Cut c) { return c.kept; }

    /// Rows behind a gap stand further on than their number says.
    static constexpr std::int64_t positionAfterRollback(Retreat r) { return r.forgotten; }

    static constexpr std::int64_t positionAfterEviction(Eviction e) { return e.next; }

    static constexpr std::int64_t positionAfterRemoval(Removal r) { return r.next; }

    /// In which of all layers the rows behind a removal move down.
    static constexpr LayerRange layersOfRemoval(std::size_t layers) { return {0, layers}; }

    /// A release forgets the next position, too.
    static constexpr std::int64_t positionAfterRelease([[maybe_unused]] std::int64_t next) {
        return 0;
    }

    static constexpr bool isReleased(Keep k) { return k.sequence != k.kept; }

    static constexpr std::size_t forkStorage(ForkStorage f) { return f.own; }

    static constexpr std::size_t parentOf(Beam b) { return b.parent; }

    /// In which of all layers the rows of a past that several beams continue are copied.
    static constexpr LayerRange layersOfCopy(std::size_t layers) { return {0, layers}; }

    /// Which of the saved copies belongs to a sequence.
    static constexpr std::size_t copyOf(std::size_t sequence) { return sequence; }

    static constexpr std::int64_t positionAfterRestore(Return r) { return r.next; }

    /// Nothing is in front of what is restored.
    static constexpr std::size_t rowOfRestored(Comeback c) { return c.index; }

    /// Row by row, as they were written.
    static constexpr std::size_t placeInCopy(InCopy c) { return c.row * c.heads + c.head; }

    static constexpr std::size_t blockOf(Lookup l) { return l.named; }

    static constexpr bool isCopied(BlockWrite w) { return w.references > 1; }

    /// How many tables name a block when one more does, when one lets go of it, and when one goes
    /// on with a copy.
    static constexpr std::size_t referencesAfterFork(std::size_t references) {
        return references + 1;
    }
    static constexpr std::size_t referencesAfterRelease(std::size_t references) {
        return references - 1;
    }
    static constexpr std::size_t referencesAfterCopy(std::size_t references) {
        return references - 1;
    }

    /// May a block that so many tables name be given to anybody?
    static constexpr bool isFree(std::size_t references) { return references == 0; }

    static constexpr std::size_t firstOfSum(Sum) { return 0; }

    /// Learned as it is: a factor of the scores is none of the sink's.
    static constexpr std::optional<float> sinkScore(SinkScore s) { return s.logit; }
};

}  // namespace kv::impl

// paged: keep the rows of many sequences in blocks that they may share.
//
// The second engine of ours, in f32. Storage is one pool of blocks; a sequence has a table that
// names the blocks of its rows, and takes a block when a row needs one. A fork copies the table and
// no row. Whoever writes into a block that another table names writes into a copy of it.
//
//     sequence   table            blocks of the pool, in every layer
//     s0         3 0 5            0 | s0 row 2, 3 |   3 | s0 row 0, 1 |   5 | s0 row 4, -  |
//     s1         3 1              1 | s1 row 2, - |   4 |    free     |   2 |    free      |
//
// Row r of a sequence is in block table[r / B], at place r mod B. Rows are counted from the first
// one in the first block of the table, so that an eviction gives back whole blocks and moves no
// row. A verb either does all of its work or refuses and leaves everything as it was; one that
// finds too few free blocks refuses.
//
// It keeps every row (no rings), and it neither removes rows from the middle nor moves positions.
// Nothing is allocated after construction, but for the copies of what is saved.
//
// Not said here: how fast it is, prefixes that sequences find in each other's blocks.
#pragma once
#include "block_pool.hpp"
#include "layer.hpp"
#include "request.hpp"
#include "status.hpp"

namespace kv::impl {

template <std::derived_from<Standard> Decisions = Standard>
class Paged {
   public:
    /// Takes all storage. Throws std::invalid_argument, with a sentence, for a shape that
    /// contradicts itself, keeps a ring, or has a sequence that its pool could never hold.
    Paged(Shape const& shape, PoolShape pool, Options options = {})
        : capacity_(validated(shape).capacity),
          blockRows_(fitting(pool, shape).blockRows),
          pool_(pool.blocks),
          sequences_(shape.sequences),
          beams_(shape.sequences),
          tails_(shape.sequences),
          copies_(shape.sequences) {
        std::size_t const mostBlocks = std::min(pool.blocks, capacity_ / blockRows_ + 2);
        for (auto* all : {&sequences_, &beams_})
            for (Sequence& sequence : *all)
                sequence.table.reserve(mostBlocks);
        layers_.reserve(shape.layers.size());
        for (LayerShape const& layer : shape.layers) {
            layers_.emplace_back(layer, StorageSize{pool.blocks, blockRows_, options.fill});
            work_.growFor(layer, capacity_);
        }
    }

    std::size_t sequences() const { return sequences_.size(); }
    std::size_t capacity() const { return capacity_; }
    std::size_t layers() const { return layers_.size(); }
    LayerShape const& layerShape(LayerIndex layer) const { return layers_[indexOf(layer)].shape(); }
    std::size_t freeBlocks() const { return pool_.freeBlocks(); }

    /// Stores `count` tokens behind the last row. One entry of `rows` per layer, without queries.
    /// Refused: unknown sequence, wrong shape, full, no free block, position outside a table.
    Status append(SequenceId id, std::size_t count, RowsOfLayers rows) {
        return store(id, {count, Purpose::append}, rows, {});
    }

    /// Stores `count` tokens and answers the queries of each as if it were the newest. One entry of
    /// `rows` and of `outputs` ([count][queryHeads][valueDim]) per layer. Refused like append.
    Status prefill(SequenceId id, std::size_t count, RowsOfLayers rows, OutputsOfLayers outputs) {
        return store(id, {count, Purpose::prefill}, rows, outputs);
    }

    /// Prefills every item of a batch, in any order. An item without tokens leaves its sequence as
    /// it is. Refused, with all its items: like prefill, and for a sequence that is named twice.
    Status step(Batch batch) {
        if (Status const sound = isSound(batch); !sound)
            return sound;
        std::int64_t const furthest = furthestOf(batch);
        if (Status const room = makeRoomForAll(batch, furthest); !room)
            return room;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            std::size_t const s = placeOf<Decisions>(batch, i);
            Sequence& sequence = sequences_[s];
            sequence.next = batch[i].count == 0
                                ? Decisions::positionWhileInactive(sequence.next)
                                : startOf(sequence, furthest);
            if (batch[i].count > 0)
                storeRows(SequenceId{s}, batch[i].chunk(), batch[i].rows, batch[i].outputs);
        }
        return {};
    }

    /// Answers one query per layer, [queryHeads][keyDim], at the position of the newest row, into
    /// outputs [queryHeads][valueDim]. Refused: unknown sequence, wrong shape, empty sequence.
    Status attend(SequenceId id, QueriesOfLayers queries, OutputsOfLayers outputs) {
        if (!known(id))
            return {Refusal::unknownSequence};
        if (!asksLayers(layers_, queries, outputs))
            return {Refusal::wrongShape};
        Sequence const& sequence = sequenceOf(id);
        if (sequence.length() == 0)
            return {Refusal::emptySequence};
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            std::int64_t const newest = layers_[l].position(spotOf(sequence, sequence.end - 1));
            answer(sequence, l, {indexOf(id), sequence.begin, newest, 0, queries[l]}, outputs[l]);
        }
        return {};
    }

    /// Length and next position. Refused: unknown sequence.
    Status observe(SequenceId id, SequenceState& state) const {
        if (!known(id))
            return {Refusal::unknownSequence};
        state = {sequenceOf(id).length(), sequenceOf(id).next};
        return {};
    }

    /// How many rows a layer holds of a sequence: all.
    Status rowsHeld(SequenceId id, LayerIndex layer, std::size_t& rows) const {
        if (!known(id))
            return {Refusal::unknownSequence};
        if (indexOf(layer) >= layers_.size())
            return {Refusal::unknownLayer};
        rows = sequenceOf(id).length();
        return {};
    }

    /// Copies the rows of a layer, oldest first, exactly as stored. Refused: unknown sequence or
    /// layer, buffers not as long as rowsHeld says.
    Status read(SequenceId id, LayerIndex layer, RowsOut const& out) const {
        std::size_t held = 0;
        if (Status const found = rowsHeld(id, layer, held); !found)
            return found;
        Storage const& from = layers_[indexOf(layer)];
        if (out.positions.size() != held ||
            !isDense(out.keys.size(), held, keyElements(from.shape())) ||
            !isDense(out.values.size(), held, valueElements(from.shape())))
            return {Refusal::wrongShape};
        Sequence const& sequence = sequenceOf(id);
        for (std::size_t i = 0; i < held; ++i)
            from.read(spotOf(sequence, sequence.begin + i), i, out);
        return {};
    }

    /// Keeps the `length` oldest rows; the next position goes back to that of the first forgotten
    /// one, wherever that is. Refused: unknown sequence, growing.
    Status rollback(SequenceId id, std::size_t length) {
        if (!known(id))
            return {Refusal::unknownSequence};
        Sequence& sequence = sequenceOf(id);
        if (length > sequence.length())
            return {Refusal::rollbackGrows};
        std::size_t const kept = sequence.begin + length;
        std::int64_t const forgotten =
            kept < sequence.end ? layers_[0].position(spotOf(sequence, kept)) : sequence.next;
        sequence.next =
            Decisions::positionAfterRollback({sequence.next, forgotten,
                                              {.rows = sequence.length(), .kept = length}});
        sequence.end = kept;
        releaseBlocksBehind(sequence, length == 0 ? 0 : blocksFor(kept));
        return {};
    }

    /// Makes an empty sequence equal to another; both continue independently, in the same blocks
    /// until one of them writes. Refused: unknown sequence, onto itself, onto rows.
    Status fork(Fork fork) {
        if (!known(fork.from) || !known(fork.to))
            return {Refusal::unknownSequence};
        if (fork.from == fork.to)
            return {Refusal::forkOntoItself};
        Sequence& child = sequenceOf(fork.to);
        if (child.length() != 0)
            return {Refusal::forkOntoRows};
        child = sequenceOf(fork.from);
        for (std::size_t block : child.table)
            pool_.share(block);
        return {};
    }

    /// Drops the `count` oldest rows; the others keep their positions, and index 0 is the oldest of
    /// them. Refused: unknown sequence, more than there are.
    Status evict(SequenceId id, std::size_t count) {
        if (!known(id))
            return {Refusal::unknownSequence};
        Sequence& sequence = sequenceOf(id);
        if (count > sequence.length())
            return {Refusal::evictsTooMany};
        sequence.next = Decisions::positionAfterEviction({sequence.next, count});
        sequence.begin += count;
        if (sequence.length() == 0)
            releaseBlocksBehind(sequence, 0);
        std::size_t const dropped = sequence.begin / blockRows_;
        auto const table = sequence.table.begin();
        std::for_each_n(table, dropped, [&](std::size_t block) { pool_.release(block); });
        sequence.table.erase(table, table + std::ptrdiff_t(dropped));
        sequence.begin -= dropped * blockRows_;
        sequence.end -= dropped * blockRows_;
        return {};
    }

    /// Makes every sequence what its parent was, all at once; no row is copied. Refused: not one
    /// parent for each sequence, an unknown one.
    Status reorder(std::span<std::size_t const> parents) {
        if (parents.size() != sequences_.size() ||
            std::ranges::any_of(parents, [&](std::size_t p) { return p >= parents.size(); }))
            return {Refusal::reordersOthers};
        for (std::size_t s = 0; s < parents.size(); ++s) {
            beams_[s] = sequences_[Decisions::parentOf({.sequence = s, .parent = parents[s]})];
            for (std::size_t block : beams_[s].table)
                pool_.share(block);
        }
        for (Sequence const& old : sequences_)
            for (std::size_t block : old.table)
                pool_.release(block);
        std::swap(sequences_, beams_);
        return {};
    }

    /// Copies a sequence out of its blocks, in place of what was saved of it before. Refused:
    /// unknown sequence.
    Status save(SequenceId id) {
        if (!known(id))
            return {Refusal::unknownSequence};
        Sequence const& sequence = sequenceOf(id);
        SavedSequence& copy = copies_[Decisions::copyOf(indexOf(id))];
        copy.isThere = true;
        copy.next = sequence.next;
        copy.layers.resize(layers_.size());
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            RowsOut const to = copy.layers[l].roomFor(layers_[l].shape(), sequence.length());
            for (std::size_t i = 0; i < sequence.length(); ++i)
                layers_[l].read(spotOf(sequence, sequence.begin + i), i, to);
        }
        copy.positions = copy.layers.front().positions;
        return {};
    }

    /// Makes an empty sequence what was saved, in blocks that nobody names; what was saved stays.
    /// Refused: unknown sequence, nothing saved, onto rows, no free block.
    Status restore(Restoration restoration) {
        if (!known(restoration.from) || !known(restoration.to))
            return {Refusal::unknownSequence};
        SavedSequence const& copy = copies_[Decisions::copyOf(indexOf(restoration.from))];
        if (!copy.isThere)
            return {Refusal::nothingSaved};
        Sequence& sequence = sequenceOf(restoration.to);
        if (sequence.length() != 0)
            return {Refusal::restoreOntoRows};
        if (blocksFor(copy.length()) > pool_.freeBlocks())
            return {Refusal::outOfBlocks};
        releaseBlocksBehind(sequence, 0);
        while (sequence.table.size() < blocksFor(copy.length()))
            sequence.table.push_back(takeBlock());
        for (; sequence.end < copy.length(); ++sequence.end) {
            Spot const spot = spotOf(sequence, sequence.end);
            pool_.wrote(spot.block, spot.slot + 1);
            for (std::size_t l = 0; l < layers_.size(); ++l)
                restoreRow<Decisions>(layers_[l], spot, copy.layers[l], sequence.end);
        }
        sequence.next = Decisions::positionAfterRestore({copy.next, copy.length()});
        return {};
    }

    /// Empties one sequence: length 0, next position 0. Refused: unknown sequence.
    Status release(SequenceId id) {
        if (!known(id))
            return {Refusal::unknownSequence};
        empty(sequenceOf(id));
        return {};
    }

    /// Empties every sequence but this one, which stays as it is. Refused: unknown sequence.
    Status keep(SequenceId id) {
        if (!known(id))
            return {Refusal::unknownSequence};
        for (std::size_t s = 0; s < sequences_.size(); ++s)
            if (Decisions::isReleased({.sequence = s, .kept = indexOf(id)}))
                empty(sequences_[s]);
        return {};
    }

    /// Empties every sequence, and knows of no block that anybody names. What was saved stays.
    void reset() {
        for (Sequence& sequence : sequences_) {
            sequence.table.clear();
            sequence.begin = sequence.end = 0;
            sequence.next = 0;
        }
        pool_.reset();
    }

   private:
    struct Sequence {
        std::vector<std::size_t> table;  // the block of rows i * B .. i * B + B - 1, for each i
        std::size_t begin = 0, end = 0;  // rows that are live; begin is in the first block
        std::int64_t next = 0;           // position of the token that would be appended
        std::size_t length() const { return end - begin; }
    };

    /// What the table of a sequence was before room was made there.
    struct Tail {
        std::size_t blocks = 0, last = 0;
    };

    static PoolShape fitting(PoolShape pool, Shape const& shape) {
        if (char const* why = whyInvalid(pool, shape))
            throw std::invalid_argument(why);
        return pool;
    }

    bool known(SequenceId id) const { return indexOf(id) < sequences_.size(); }
    Sequence& sequenceOf(SequenceId id) { return sequences_[indexOf(id)]; }
    Sequence const& sequenceOf(SequenceId id) const { return sequences_[indexOf(id)]; }
    std::size_t blocksFor(std::size_t rows) const {
        return rows / blockRows_ + (rows % blockRows_ == 0 ? 0 : 1);
    }

    Spot spotOf(Sequence const& sequence, std::size_t row) const {
        std::size_t const block = Decisions::blockOf({.row = row,
                                                      .blockRows = blockRows_,
                                                      .first = sequence.table.front(),
                                                      .named = sequence.table[row / blockRows_],
                                                      .blocks = pool_.blocks()});
        return {block, row % blockRows_};
    }

    /// Lets go of the blocks from entry `kept` of the table on; without any, there is no row.
    void releaseBlocksBehind(Sequence& sequence, std::size_t kept) {
        for (; sequence.table.size() > kept; sequence.table.pop_back())
            pool_.release(sequence.table.back());
        if (kept == 0)
            sequence.begin = sequence.end = 0;
    }

    void empty(Sequence& sequence) {
        releaseBlocksBehind(sequence, 0);
        sequence.next = Decisions::positionAfterRelease(sequence.next);
    }

    /// A block in which nothing is stored.
    std::size_t takeBlock() {
        std::size_t const block = pool_.take();
        for (Storage& layer : layers_)
            layer.refillBlock(block);
        return block;
    }

    std::size_t copyOf(std::size_t block) {
        std::size_t const copy = pool_.take();
        LayerRange const targets = Decisions::layersOfCopy(layers_.size());
        for (std::size_t l = targets.first; l < targets.last; ++l)
            layers_[l].copyBlock(block, copy);
        pool_.copied(block, copy);
        return copy;
    }

    /// Takes the blocks that so many rows need, and a copy of the last one if it is shared; or
    /// takes nothing, where there are too few.
    Status makeRoom(Sequence& sequence, std::int64_t next, std::size_t count) {
        if (!Decisions::fits({sequence.length(), count, capacity_}))
            return {Refusal::full};
        if (!hasPositions(layers_, next, count))
            return {Refusal::outsideRotaryTable};
        auto& table = sequence.table;
        std::size_t const blocks = blocksFor(sequence.end + count);
        bool const copies = count > 0 && sequence.end % blockRows_ != 0 &&
                            pool_.isCopied(table.back(), blockRows_);
        if (blocks - table.size() + (copies ? 1 : 0) > pool_.freeBlocks())
            return {Refusal::outOfBlocks};
        if (copies)
            table.back() = copyOf(table.back());
        while (table.size() < blocks)
            table.push_back(takeBlock());
        return {};
    }

    /// Makes room for every item of a batch, one after another, or takes back what it took.
    Status makeRoomForAll(Batch batch, std::int64_t furthest) {
        for (std::size_t i = 0; i < batch.size(); ++i) {
            Sequence& sequence = sequences_[placeOf<Decisions>(batch, i)];
            auto const& table = sequence.table;
            tails_[i] = {table.size(), table.empty() ? 0 : table.back()};
            Status const room = makeRoom(sequence, startOf(sequence, furthest), batch[i].count);
            if (room)
                continue;
            while (i > 0) {
                --i;
                takeRoomBack(sequences_[placeOf<Decisions>(batch, i)], tails_[i]);
            }
            return room;
        }
        return {};
    }

    /// Gives back what was taken since the table had this tail, into which nothing was stored.
    void takeRoomBack(Sequence& sequence, Tail tail) {
        auto& table = sequence.table;
        for (; table.size() > tail.blocks; table.pop_back())
            pool_.release(table.back());
        if (table.empty() || table.back() == tail.last)
            return;
        pool_.share(tail.last);
        pool_.release(table.back());
        table.back() = tail.last;
    }

    /// Where the first token of an item stands.
    static std::int64_t startOf(Sequence const& sequence, std::int64_t furthest) {
        return Decisions::positionOfItem({.next = sequence.next, .furthest = furthest});
    }

    std::int64_t furthestOf(Batch batch) const {
        std::int64_t furthest = 0;
        for (BatchItem const& item : batch)
            furthest = std::max(furthest, sequenceOf(item.sequence).next);
        return furthest;
    }

    /// Whether every item is a prefill of a sequence of its own, room aside.
    Status isSound(Batch batch) const {
        for (std::size_t i = 0; i < batch.size(); ++i) {
            if (!known(batch[i].sequence))
                return {Refusal::unknownSequence};
            if (isNamedBefore(batch, i))
                return {Refusal::namedTwice};
            if (!fitsLayers(layers_, batch[i].chunk(), batch[i].rows, batch[i].outputs))
                return {Refusal::wrongShape};
        }
        return {};
    }

    Status store(SequenceId id, Chunk chunk, RowsOfLayers rows, OutputsOfLayers outputs) {
        if (!known(id))
            return {Refusal::unknownSequence};
        if (!fitsLayers(layers_, chunk, rows, outputs))
            return {Refusal::wrongShape};
        Sequence& sequence = sequenceOf(id);
        if (Status const room = makeRoom(sequence, sequence.next, chunk.count); !room)
            return room;
        storeRows(id, chunk, rows, outputs);
        return {};
    }

    void storeRows(SequenceId id, Chunk chunk, RowsOfLayers rows, OutputsOfLayers outputs) {
        Sequence& sequence = sequenceOf(id);
        std::int64_t const next = sequence.next;
        for (std::size_t i = 0; i < chunk.count; ++i) {
            std::int64_t const position = Decisions::positionOf({next, i});
            Spot const spot = spotOf(sequence, sequence.end);
            pool_.wrote(spot.block, spot.slot + 1);
            ++sequence.end;
            for (std::size_t l = 0; l < layers_.size(); ++l) {
                storeInLayer(l, spot, {position, i}, rows[l]);
                LayerShape const& shape = layers_[l].shape();
                if (chunk.purpose == Purpose::prefill)
                    answer(sequence, l,
                           {indexOf(id), sequence.begin, position, chunk.count,
                            partOf(rows[l].queries, i, queryElements(shape))},
                           partOf(outputs[l], i, outputElements(shape)));
            }
        }
        sequence.next = Decisions::nextPosition({next, chunk.count, chunk.purpose});
    }

    struct Token {
        std::int64_t position;
        std::size_t index;  // in its chunk
    };
    void storeInLayer(std::size_t l, Spot spot, Token token, Rows const& rows) {
        LayerShape const& shape = layers_[l].shape();
        KeyRow const key = layers_[l].storedKey(partOf(rows.keys, token.index, keyElements(shape)),
                                                token.position, work_.key);
        LayerRange const targets = Decisions::layersOfKey({l, layers_.size()});
        for (std::size_t t = targets.first; t < targets.last; ++t)
            layers_[t].writeKey(spot, key);
        layers_[l].writeValue(spot, partOf(rows.values, token.index, valueElements(shape)));
        layers_[l].setPosition(spot, token.position);
    }

    /// Answers one token's query heads in one layer into `output` [queryHeads][valueDim].
    void answer(Sequence const& sequence, std::size_t l, Query const& query,
                std::span<float> output) {
        Storage const& layer = layers_[l];
        std::size_t count = 0;
        for (std::size_t row = sequence.begin; row < sequence.end; ++row) {
            Spot const spot = spotOf(sequence, row);
            if (isShown<Decisions>({.queryPosition = query.position,
                                    .keyPosition = layer.position(spot),
                                    .index = row - sequence.begin,
                                    .window = layer.shape().window,
                                    .sinks = layer.shape().sinks,
                                    .chunk = static_cast<std::int64_t>(layer.shape().chunk)}))
                work_.spots[count++] = spot;
        }
        attendHeads<Decisions>(layer, query, inOrderOfSum<Decisions>(query, count, work_), work_,
                               output);
    }

    std::size_t capacity_, blockRows_;
    BlockPool<Decisions> pool_;
    std::vector<Sequence> sequences_;
    std::vector<Sequence> beams_;  // room for a reorder
    std::vector<Tail> tails_;      // and for a step
    std::vector<SavedSequence> copies_;
    std::vector<Storage> layers_;
    Workspace work_;
};

}  // namespace kv::impl

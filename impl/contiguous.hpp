// contiguous: keep the rows of many sequences in storage that is taken once.
//
// The first engine of ours, in f32. Every sequence has room for `capacity` rows in every layer, at
// a fixed place, so nothing is allocated, moved or searched after construction, but for the copies
// of what is saved. A verb either does all of its work or refuses and leaves everything as it was.
//
//     sequence   rows   begin ............ end        positions   ascending       | next
//                       index 0 .. length - 1                     of the rows       of a new token
//        |
//        v block
//     layer 0    [block][kvHead][slot][component]     (storage.hpp has the picture of a block)
//     layer 1    ...                                  layers may differ in every size
//
// A model runs layer by layer, because the keys of a layer depend on the output of the one below.
// `stepLayer` is that: it stores and answers a chunk in one layer, for layers 0, 1, ... in turn,
// and the sequence grows when the last one is done. `append`, `prefill` and `step` do all of them.
// Until then only reads, `release`, `keep` and `reset` are open to it; the other verbs are refused.
// A chunk is stored token by token, each answered before the next is stored, so that a chunk may be
// longer than a ring.
//
// All rows are dense, [token][head][component]. Keys and queries come raw; the engine rotates them
// at the position that it gives to their token.
//
// Not said here: how fast it is. Every decision about an index is in decisions.hpp.
#pragma once
#include "layer.hpp"
#include "request.hpp"
#include "status.hpp"

namespace kv::impl {

template <std::derived_from<Standard> Decisions = Standard>
class Contiguous {
   public:
    /// Takes all storage. Throws std::invalid_argument, with a sentence, for a shape that
    /// contradicts itself.
    explicit Contiguous(Shape const& shape, Options options = {})
        : capacity_(validated(shape).capacity),
          sequences_(shape.sequences),
          positions_(shape.sequences * capacity_),
          beams_(shape.sequences),
          owners_(shape.sequences),
          copies_(shape.sequences) {
        layers_.reserve(shape.layers.size());
        for (LayerShape const& layer : shape.layers) {
            layers_.emplace_back(layer, Room{shape.sequences, capacity_, options.fill});
            work_.growFor(layer, layers_.back().slots());
        }
        reset();
    }

    std::size_t sequences() const { return sequences_.size(); }
    std::size_t capacity() const { return capacity_; }
    std::size_t layers() const { return layers_.size(); }
    LayerShape const& layerShape(LayerIndex layer) const { return layers_[indexOf(layer)].shape(); }

    /// Stores `count` tokens behind the last row. One entry of `rows` per layer, without queries.
    /// Refused: unknown sequence, wrong shape, full, position outside a rotary table.
    Status append(SequenceId id, std::size_t count, RowsOfLayers rows) {
        return storeEverywhere(id, {count, Purpose::append}, rows, {});
    }

    /// Stores `count` tokens and answers the queries of each as if it were the newest. One entry of
    /// `rows` and of `outputs` ([count][queryHeads][valueDim]) per layer. Refused like append.
    Status prefill(SequenceId id, std::size_t count, RowsOfLayers rows, OutputsOfLayers outputs) {
        return storeEverywhere(id, {count, Purpose::prefill}, rows, outputs);
    }

    /// Prefills every item of a batch, in any order. An item without tokens leaves its sequence as
    /// it is. Refused, with all its items: like prefill, and for a sequence that is named twice.
    Status step(Batch batch) {
        if (Status const sound = isSound(batch); !sound)
            return sound;
        std::int64_t const furthest = furthestOf(batch);
        for (std::size_t i = 0; i < batch.size(); ++i)
            if (Status const room = roomFor(startOf(batch, i, furthest), batch[i].count); !room)
                return room;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            Sequence& sequence = sequences_[placeOf<Decisions>(batch, i)];
            if (batch[i].count == 0) {
                sequence.next = Decisions::positionWhileInactive(sequence.next);
                continue;
            }
            sequence = startOf(batch, i, furthest);
            storeAndGrow(sequence, batch[i].chunk(), batch[i].rows, batch[i].outputs);
        }
        return {};
    }

    /// One layer of a chunk: stores it, and answers its queries if `output` is not empty. Layers
    /// come in order with one count; the sequence grows with the last. Refused like append, and for
    /// an unknown layer or one that is not next.
    Status stepLayer(SequenceId id, LayerIndex layer, std::size_t count, Rows const& rows,
                     std::span<float> output) {
        if (!known(id))
            return {Refusal::unknownSequence};
        if (indexOf(layer) >= layers_.size())
            return {Refusal::unknownLayer};
        Sequence& sequence = sequenceOf(id);
        bool const first = sequence.layersDone == 0;
        if (sequence.layersDone != indexOf(layer) || (!first && sequence.chunk != count))
            return {Refusal::layerOutOfOrder};
        Chunk const chunk{count, output.empty() ? Purpose::append : Purpose::prefill};
        if (!fitsLayer(shapeOf(layer), chunk, rows, output.size()))
            return {Refusal::wrongShape};
        if (first)
            if (Status const room = roomFor(sequence, count); !room)
                return room;
        storeInLayer(sequence, indexOf(layer), chunk, rows, output);
        sequence.chunk = count;
        if (++sequence.layersDone == layers_.size())
            grow(sequence, chunk);
        return {};
    }

    /// Answers one query per layer, [queryHeads][keyDim], at the position of the newest row, into
    /// outputs [queryHeads][valueDim]. Refused: unknown sequence, wrong shape, empty sequence.
    Status attend(SequenceId id, QueriesOfLayers queries, OutputsOfLayers outputs) {
        if (Status const ready = readyFor(id); !ready)
            return ready;
        if (!asksLayers(layers_, queries, outputs))
            return {Refusal::wrongShape};
        Sequence const& sequence = sequenceOf(id);
        if (sequence.length() == 0)
            return {Refusal::emptySequence};
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            std::int64_t const newest = layers_[l].positionAt({sequence.block, sequence.end - 1});
            layers_[l].attend({sequence.block, sequence.begin, newest, 0, queries[l]}, work_,
                              outputs[l]);
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

    /// How many rows a layer holds of a sequence; fewer than the length once a ring has lost some.
    Status rowsHeld(SequenceId id, LayerIndex layer, std::size_t& rows) const {
        if (!known(id))
            return {Refusal::unknownSequence};
        if (indexOf(layer) >= layers_.size())
            return {Refusal::unknownLayer};
        Sequence const& sequence = sequenceOf(id);
        rows = layers_[indexOf(layer)].rowsHeld(sequence.block, sequence.rows());
        return {};
    }

    /// Copies the rows that a layer holds, oldest first (pinned sinks before the ring), exactly as
    /// stored. Refused: unknown sequence or layer, buffers not as long as rowsHeld says.
    Status read(SequenceId id, LayerIndex layer, RowsOut const& out) const {
        std::size_t held = 0;
        if (Status const found = rowsHeld(id, layer, held); !found)
            return found;
        Layer<Decisions> const& from = layers_[indexOf(layer)];
        if (out.positions.size() != held ||
            !isDense(out.keys.size(), held, keyElements(from.shape())) ||
            !isDense(out.values.size(), held, valueElements(from.shape())))
            return {Refusal::wrongShape};
        from.read(sequenceOf(id).block, sequenceOf(id).rows(), out);
        return {};
    }

    /// Keeps the `length` oldest rows; the next position goes back to that of the first forgotten
    /// one, wherever that is. Refused: unknown sequence, growing, a ring that has lost what is then
    /// visible.
    Status rollback(SequenceId id, std::size_t length) {
        if (Status const ready = readyFor(id); !ready)
            return ready;
        Sequence& sequence = sequenceOf(id);
        if (length > sequence.length())
            return {Refusal::rollbackGrows};
        std::size_t const kept = sequence.begin + length;
        for (Layer<Decisions> const& layer : layers_)
            if (!layer.holdsAll(sequence.block, visibleRows(layer, sequence, kept)))
                return {Refusal::rowsLost};
        for (Layer<Decisions>& layer : layers_)
            layer.rollback(sequence.block, kept);
        Cut const cut{.rows = sequence.length(), .kept = length};
        std::int64_t const forgotten =
            kept < sequence.end ? positionOf(sequence, kept) : sequence.next;
        sequence.next = Decisions::positionAfterRollback({sequence.next, forgotten, cut});
        sequence.end = sequence.begin + Decisions::lengthAfterRollback(cut);
        return {};
    }

    /// Makes an empty sequence equal to another; both continue independently. Refused: unknown
    /// sequence, onto itself, onto rows.
    Status fork(Fork fork) {
        if (Status const ready = readyFor(fork.from); !ready)
            return ready;
        if (Status const ready = readyFor(fork.to); !ready)
            return ready;
        if (fork.from == fork.to)
            return {Refusal::forkOntoItself};
        Sequence const& parent = sequenceOf(fork.from);
        Sequence& child = sequenceOf(fork.to);
        if (child.length() != 0)
            return {Refusal::forkOntoRows};
        std::size_t const block =
            Decisions::forkStorage({.parents = parent.block, .own = child.block});
        assert(block < sequences_.size());
        if (block != parent.block) {
            for (Layer<Decisions>& layer : layers_)
                layer.copy(parent.block, block);
            copyPositions(parent.block, block);
        }
        child = parent;
        child.block = block;
        return {};
    }

    /// Drops the `count` oldest rows; the others keep their positions, and index 0 is the oldest of
    /// them. Refused: unknown sequence, more than there are, a layer that pins its sinks.
    Status evict(SequenceId id, std::size_t count) {
        if (Status const ready = readyFor(id); !ready)
            return ready;
        Sequence& sequence = sequenceOf(id);
        if (count > sequence.length())
            return {Refusal::evictsTooMany};
        if (count == 0)
            return {};
        for (Layer<Decisions> const& layer : layers_)
            if (layer.pinsSinks())
                return {Refusal::evictsPinnedSinks};
        dropOldest(sequence, count);
        sequence.next = Decisions::positionAfterEviction({.next = sequence.next, .count = count});
        return {};
    }

    /// Drops these rows; the others keep their positions, which then have a gap. Refused: unknown
    /// sequence, more than there are, a layer that pins its sinks, a ring that has lost rows and
    /// had to move others.
    Status remove(SequenceId id, RowsAt rows) {
        if (Status const ready = readyFor(id); !ready)
            return ready;
        Sequence& sequence = sequenceOf(id);
        if (rows.first > sequence.length() || rows.count > sequence.length() - rows.first)
            return {Refusal::removesTooMany};
        if (rows.count == 0)
            return {};
        for (Layer<Decisions> const& layer : layers_) {
            if (layer.pinsSinks())
                return {Refusal::removesPinnedSinks};
            if (rows.first > 0 && layer.hasLost(sequence.block, sequence.rows()))
                return {Refusal::removesFromRing};
        }
        if (rows.first == 0)
            dropOldest(sequence, rows.count);
        else
            closeGap(sequence, rows);
        sequence.next =
            Decisions::positionAfterRemoval({.next = sequence.next, .count = rows.count});
        return {};
    }

    /// Adds `delta` to every position; keys that are stored rotated are turned by it. Refused:
    /// unknown sequence, a position below 0 or beyond a rotary table.
    Status shift(SequenceId id, std::int64_t delta) {
        if (Status const ready = readyFor(id); !ready)
            return ready;
        Sequence& sequence = sequenceOf(id);
        std::int64_t const oldest = sequence.length() == 0
                                        ? sequence.next
                                        : positionOf(sequence, sequence.begin);
        if (delta < -oldest)
            return {Refusal::negativePosition};
        for (Layer<Decisions> const& layer : layers_)
            if ((delta > 0 && delta > layer.shape().positions() - sequence.next) ||
                !layer.canShift(sequence.block, sequence.rows(), delta))
                return {Refusal::outsideRotaryTable};
        for (Layer<Decisions>& layer : layers_)
            layer.shift(sequence.block, sequence.rows(), delta);
        for (std::size_t row = sequence.begin; row < sequence.end; ++row)
            positionOf(sequence, row) += delta;
        sequence.next += delta;
        return {};
    }

    /// Makes every sequence what its parent was, all at once. The first beam of a past takes its
    /// storage over; the others get copies, in storage that no beam continues. Refused: not one
    /// parent for each sequence, an unknown one, an unfinished step.
    Status reorder(std::span<std::size_t const> parents) {
        if (parents.size() != sequences_.size())
            return {Refusal::reordersOthers};
        for (std::size_t s = 0; s < parents.size(); ++s)
            if (parents[s] >= sequences_.size())
                return {Refusal::reordersOthers};
            else if (sequences_[s].layersDone != 0)
                return {Refusal::stepUnfinished};
        std::ranges::fill(owners_, nobody);
        for (std::size_t s = 0; s < parents.size(); ++s) {
            beams_[s] = sequences_[Decisions::parentOf({.sequence = s, .parent = parents[s]})];
            std::size_t& owner = owners_[beams_[s].block];
            owner = owner == nobody ? s : owner;
        }
        for (std::size_t s = 0; s < parents.size(); ++s)
            if (owners_[beams_[s].block] != s)
                copyInto(freeBlockFor(s), beams_[s]);
        std::ranges::copy(beams_, sequences_.begin());
        return {};
    }

    /// Copies a sequence out of the storage, in place of what was saved of it before. Refused:
    /// unknown sequence, an unfinished step.
    Status save(SequenceId id) {
        if (Status const ready = readyFor(id); !ready)
            return ready;
        Sequence const& sequence = sequenceOf(id);
        SavedSequence& copy = copies_[Decisions::copyOf(indexOf(id))];
        copy.isThere = true;
        copy.next = sequence.next;
        copy.positions.clear();
        for (std::size_t row = sequence.begin; row < sequence.end; ++row)
            copy.positions.push_back(positionOf(sequence, row));
        copy.layers.resize(layers_.size());
        for (std::size_t l = 0; l < layers_.size(); ++l)
            layers_[l].save(sequence.block, sequence.rows(), copy.layers[l]);
        return {};
    }

    /// Makes an empty sequence what was saved, which stays saved. Refused: unknown sequence,
    /// nothing saved, onto rows, an unfinished step.
    Status restore(Restoration restoration) {
        if (!known(restoration.from))
            return {Refusal::unknownSequence};
        if (Status const ready = readyFor(restoration.to); !ready)
            return ready;
        SavedSequence const& copy = copies_[Decisions::copyOf(indexOf(restoration.from))];
        if (!copy.isThere)
            return {Refusal::nothingSaved};
        Sequence& sequence = sequenceOf(restoration.to);
        if (sequence.length() != 0)
            return {Refusal::restoreOntoRows};
        std::size_t const length = copy.length();
        sequence = {.block = sequence.block,
                    .begin = 0,
                    .end = length,
                    .next = Decisions::positionAfterRestore({copy.next, length})};
        for (std::size_t row = 0; row < length; ++row)
            positionOf(sequence, row) = copy.positions[row];
        for (std::size_t l = 0; l < layers_.size(); ++l)
            layers_[l].restore(sequence.block, length, copy.layers[l]);
        return {};
    }

    /// Empties one sequence: length 0, next position 0. It also gives up an unfinished step.
    Status release(SequenceId id) {
        if (!known(id))
            return {Refusal::unknownSequence};
        empty(indexOf(id));
        return {};
    }

    /// Empties every sequence but this one, which stays as it is. Refused: unknown sequence.
    Status keep(SequenceId id) {
        if (!known(id))
            return {Refusal::unknownSequence};
        for (std::size_t s = 0; s < sequences_.size(); ++s)
            if (Decisions::isReleased({.sequence = s, .kept = indexOf(id)}))
                empty(s);
        return {};
    }

    /// Empties every sequence. What was saved stays.
    void reset() {
        for (std::size_t s = 0; s < sequences_.size(); ++s) {
            for (Layer<Decisions>& layer : layers_)
                layer.clear(s);
            sequences_[s] = {.block = s};
        }
    }

   private:
    struct Sequence {
        std::size_t block = 0;           // of every layer's storage
        std::size_t begin = 0, end = 0;  // rows that are live
        std::int64_t next = 0;           // position of the token that would be appended
        std::size_t layersDone = 0;      // of an unfinished step, and its tokens
        std::size_t chunk = 0;
        std::size_t length() const { return end - begin; }
        RowRange rows() const { return {begin, end}; }
    };
    static constexpr std::size_t nobody = std::numeric_limits<std::size_t>::max();

    bool known(SequenceId id) const { return indexOf(id) < sequences_.size(); }
    Sequence& sequenceOf(SequenceId id) { return sequences_[indexOf(id)]; }
    Sequence const& sequenceOf(SequenceId id) const { return sequences_[indexOf(id)]; }
    Status readyFor(SequenceId id) const {
        if (!known(id))
            return {Refusal::unknownSequence};
        return {sequenceOf(id).layersDone == 0 ? Refusal::none : Refusal::stepUnfinished};
    }

    LayerShape const& shapeOf(auto layer) const { return layers_[indexOf(layer)].shape(); }

    /// There are as many blocks as beams, so that one is left for each.
    std::size_t freeBlockFor(std::size_t beam) {
        auto const free = std::ranges::find(owners_, nobody);
        assert(free != owners_.end());
        *free = beam;
        return static_cast<std::size_t>(free - owners_.begin());
    }

    void copyInto(std::size_t block, Sequence& beam) {
        LayerRange const targets = Decisions::layersOfCopy(layers_.size());
        for (std::size_t l = targets.first; l < targets.last; ++l)
            layers_[l].copy(beam.block, block);
        copyPositions(beam.block, block);
        beam.block = block;
    }

    void copyPositions(std::size_t from, std::size_t to) {
        std::copy_n(positions_.begin() + std::ptrdiff_t(from * capacity_), capacity_,
                    positions_.begin() + std::ptrdiff_t(to * capacity_));
    }

    void empty(std::size_t s) {
        for (Layer<Decisions>& layer : layers_)
            layer.clear(sequences_[s].block);
        sequences_[s] = {.block = sequences_[s].block,
                         .next = Decisions::positionAfterRelease(sequences_[s].next)};
    }

    std::int64_t& positionOf(Sequence const& sequence, std::size_t row) {
        return positions_[sequence.block * capacity_ + row % capacity_];
    }

    /// Of the rows before `end` those that a query at the last of them may see, sinks aside.
    RowRange visibleRows(Layer<Decisions> const& layer, Sequence const& sequence,
                         std::size_t end) {
        std::size_t const window = layer.shape().window;
        if (window == 0 || end == sequence.begin)
            return {sequence.begin, end};
        std::int64_t const newest = positionOf(sequence, end - 1);
        std::size_t first = sequence.begin;
        while (std::cmp_greater_equal(newest - positionOf(sequence, first), window))
            ++first;
        return {first, end};
    }

    void dropOldest(Sequence& sequence, std::size_t count) {
        for (Layer<Decisions>& layer : layers_)
            layer.evict(sequence.block, {sequence.begin, sequence.begin + count});
        sequence.begin += count;
    }

    /// Moves the rows behind these down to where they begin.
    void closeGap(Sequence& sequence, RowsAt rows) {
        std::size_t const first = sequence.begin + rows.first, last = first + rows.count;
        LayerRange const targets = Decisions::layersOfRemoval(layers_.size());
        for (std::size_t l = targets.first; l < targets.last; ++l)
            layers_[l].remove(sequence.block, sequence.rows(), {first, last});
        for (std::size_t row = last; row < sequence.end; ++row)
            positionOf(sequence, row - rows.count) = positionOf(sequence, row);
        sequence.end -= rows.count;
    }

    Status roomFor(Sequence const& sequence, std::size_t count) const {
        if (!Decisions::fits({sequence.length(), count, capacity_}))
            return {Refusal::full};
        return {hasPositions(layers_, sequence.next, count) ? Refusal::none
                                                            : Refusal::outsideRotaryTable};
    }

    /// The sequence of an item, standing where the item begins.
    Sequence startOf(Batch batch, std::size_t item, std::int64_t furthest) const {
        Sequence sequence = sequences_[placeOf<Decisions>(batch, item)];
        sequence.next =
            Decisions::positionOfItem({.next = sequence.next, .furthest = furthest});
        return sequence;
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
            if (Status const ready = readyFor(batch[i].sequence); !ready)
                return ready;
            if (isNamedBefore(batch, i))
                return {Refusal::namedTwice};
            if (!fitsLayers(layers_, batch[i].chunk(), batch[i].rows, batch[i].outputs))
                return {Refusal::wrongShape};
        }
        return {};
    }

    Status storeEverywhere(SequenceId id, Chunk chunk, RowsOfLayers rows,
                           OutputsOfLayers outputs) {
        if (Status const ready = readyFor(id); !ready)
            return ready;
        if (!fitsLayers(layers_, chunk, rows, outputs))
            return {Refusal::wrongShape};
        Sequence& sequence = sequenceOf(id);
        if (Status const room = roomFor(sequence, chunk.count); !room)
            return room;
        storeAndGrow(sequence, chunk, rows, outputs);
        return {};
    }

    void storeAndGrow(Sequence& sequence, Chunk chunk, RowsOfLayers rows,
                      OutputsOfLayers outputs) {
        for (std::size_t l = 0; l < layers_.size(); ++l)
            storeInLayer(sequence, l, chunk, rows[l],
                         chunk.asked() == 0 ? std::span<float>{} : outputs[l]);
        grow(sequence, chunk);
    }

    /// Stores a chunk in one layer, token by token, each answered before the next is stored.
    void storeInLayer(Sequence const& sequence, std::size_t l, Chunk chunk, Rows const& rows,
                      std::span<float> output) {
        Layer<Decisions>& layer = layers_[l];
        LayerShape const& shape = layer.shape();
        for (std::size_t i = 0; i < chunk.count; ++i) {
            std::int64_t const position = Decisions::positionOf({sequence.next, i});
            Cell const cell{sequence.block, sequence.end + i};
            KeyRow const key =
                layer.storedKey(partOf(rows.keys, i, keyElements(shape)), position, work_.key);
            LayerRange const targets = Decisions::layersOfKey({l, layers_.size()});
            for (std::size_t t = targets.first; t < targets.last; ++t)
                layers_[t].writeKey(cell, key);
            layer.writeValue(cell, position, partOf(rows.values, i, valueElements(shape)));
            if (chunk.purpose == Purpose::prefill)
                layer.attend({sequence.block, sequence.begin, position, chunk.count,
                              partOf(rows.queries, i, queryElements(shape))},
                             work_, partOf(output, i, outputElements(shape)));
        }
    }

    void grow(Sequence& sequence, Chunk chunk) {
        for (std::size_t i = 0; i < chunk.count; ++i)
            positionOf(sequence, sequence.end + i) = Decisions::positionOf({sequence.next, i});
        sequence.end += chunk.count;
        sequence.next = Decisions::nextPosition({sequence.next, chunk.count, chunk.purpose});
        sequence.layersDone = 0;
    }

    std::size_t capacity_;
    std::vector<Sequence> sequences_;
    std::vector<std::int64_t> positions_;  // [block][row mod capacity], of rows that rings lost too
    std::vector<Sequence> beams_;      // room for a reorder
    std::vector<std::size_t> owners_;  // which beam has each block, or nobody
    std::vector<SavedSequence> copies_;
    std::vector<Layer<Decisions>> layers_;
    Workspace work_;
};

}  // namespace kv::impl

// layer: hold the rows of one layer for every sequence.
//
// Each sequence owns a block. In a block each kv head owns an array of slots, and a slot holds one
// row; so the rows of one head lie side by side, which is how attention reads them.
//
//     keys    [block][kvHead][slot][keyDim]      values  [block][kvHead][slot][valueDim]
//     positions [block][slot]
//
//     slot    0 .. pinned-1        pinned .. pinned + ring - 1
//            +--------------------+----------------------------------------+
//            | the first rows,    | row r in slot pinned + (r - pinned)    |
//            | never overwritten  | mod ring; the newest rows, in circles  |
//            +--------------------+----------------------------------------+
//
// A layer that keeps every row pins nothing and its ring has `capacity` slots, so dropping the
// oldest rows moves nothing. A layer with `retained` > 0 pins its sinks.
//
// Per block two marks say which rows a slot really holds:
//
//     row    0 .. held-1             held .. readable-1     readable ..
//            overwritten or dropped  attention may read     never written, or taken back
//
// Slots that hold no row hold `fill`.
#pragma once
#include "decisions.hpp"
#include "kernels.hpp"
#include "rotary.hpp"

#include <algorithm>
#include <cassert>
#include <concepts>
#include <utility>

namespace kv::impl {

/// How much a layer stores, and what stands where nothing is stored.
struct Room {
    std::size_t sequences, capacity;
    float fill;
};

/// Rows begin .. end - 1 of a sequence.
struct RowRange {
    std::size_t begin, end;
};

/// One row of one block.
struct Cell {
    std::size_t block, row;
};

/// A key of any layer, [heads][components], as it is to be stored.
struct KeyRow {
    std::span<float const> data;
    std::size_t heads, components;
};

/// One token's query heads [queryHeads][keyDim], not rotated, and what they look at.
struct Query {
    std::size_t block;
    std::size_t oldestRow;  ///< of the sequence: the row of index 0
    std::int64_t position;
    std::span<float const> heads;
};

/// Where a read-back goes, rows oldest first.
struct RowsOut {
    std::span<std::int64_t> positions;  ///< [rows]
    std::span<float> keys;              ///< [rows][kvHeads][keyDim]
    std::span<float> values;            ///< [rows][kvHeads][valueDim]
};

/// Room for intermediate results, taken once and large enough for every layer.
struct Workspace {
    std::vector<float> key, turnedQuery, turnedKey, scores;
    std::vector<std::size_t> slots;

    void growFor(LayerShape const& layer, std::size_t slotsPerHead) {
        grow(key, layer.kvHeads * layer.keyDim);
        grow(turnedQuery, layer.keyDim);
        grow(turnedKey, layer.keyDim);
        grow(scores, slotsPerHead);
        grow(slots, slotsPerHead);
    }

   private:
    static void grow(auto& array, std::size_t size) { array.resize(std::max(array.size(), size)); }
};

template <std::derived_from<Standard> Decisions>
class Layer {
   public:
    /// Takes all storage that the layer will ever use. The shape is valid (shape.hpp).
    Layer(LayerShape shape, Room room)
        : shape_(std::move(shape)),
          pinned_(shape_.retained == 0 ? 0 : std::min(shape_.sinks, room.capacity)),
          ring_(shape_.retained == 0 ? room.capacity : std::min(shape_.retained, room.capacity)),
          fill_(room.fill),
          keys_(room.sequences * keysPerBlock(), room.fill),
          values_(room.sequences * valuesPerBlock(), room.fill),
          positions_(room.sequences * slots()),
          marks_(room.sequences) {}

    LayerShape const& shape() const { return shape_; }
    std::size_t slots() const { return pinned_ + ring_; }
    bool pinsSinks() const { return pinned_ != 0; }

    /// The key as this layer stores it, written to `scratch`: rotated to its position, or raw.
    KeyRow storedKey(std::span<float const> raw, std::int64_t position,
                     std::span<float> scratch) const {
        std::copy(raw.begin(), raw.end(), scratch.begin());
        if (shape_.keyStorage == KeyStorage::rotated)
            for (std::size_t head = 0; head < shape_.kvHeads; ++head)
                rotate(shape_, {position}, scratch.subspan(head * shape_.keyDim, shape_.keyDim));
        return {scratch.first(raw.size()), shape_.kvHeads, shape_.keyDim};
    }

    /// Writes what fits of a key; a key of this layer fits exactly.
    void writeKey(Cell cell, KeyRow key) {
        std::size_t const slot = slotOf(cell.row);
        std::size_t const components = std::min(key.components, shape_.keyDim);
        for (std::size_t head = 0; head < std::min(key.heads, shape_.kvHeads); ++head)
            std::copy_n(key.data.begin() + static_cast<std::ptrdiff_t>(head * key.components),
                        components, keyAt(cell.block, head, slot));
    }

    /// Writes a value [kvHeads][valueDim] and its position; from now on attention reads the row.
    void writeValue(Cell cell, std::int64_t position, std::span<float const> value) {
        assert(value.size() == shape_.kvHeads * shape_.valueDim);
        std::size_t const slot = slotOf(cell.row);
        for (std::size_t head = 0; head < shape_.kvHeads; ++head)
            std::copy_n(value.begin() + static_cast<std::ptrdiff_t>(head * shape_.valueDim),
                        shape_.valueDim, valueAt(cell.block, head, slot));
        positions_[cell.block * slots() + slot] = position;
        Marks& marks = marks_[cell.block];
        marks.held = std::max(marks.held, lastRows(cell.row + 1));
        marks.readable = std::max(marks.readable, cell.row + 1);
    }

    /// The position of a row that the layer holds.
    std::int64_t positionAt(Cell cell) const {
        return positions_[cell.block * slots() + slotOf(cell.row)];
    }

    /// Answers one token's query heads into `output` [queryHeads][valueDim].
    void attend(Query const& query, Workspace& work, std::span<float> output) const {
        assert(query.heads.size() == shape_.queryHeads * shape_.keyDim);
        assert(output.size() == shape_.queryHeads * shape_.valueDim);
        auto const slots = seenSlots(query, work);
        auto const scores = std::span(work.scores).first(slots.size());
        auto const turned = std::span(work.turnedQuery).first(shape_.keyDim);
        for (std::size_t h = 0; h < shape_.queryHeads; ++h) {
            std::size_t const head = Decisions::kvHead({h, shape_.queryHeads, shape_.kvHeads});
            assert(head < shape_.kvHeads);
            auto const raw = query.heads.subspan(h * shape_.keyDim, shape_.keyDim);
            std::copy(raw.begin(), raw.end(), turned.begin());
            rotate(shape_, {query.position}, turned);
            HeadRows const keys{keyAt(query.block, head, 0), shape_.keyDim};
            for (std::size_t i = 0; i < slots.size(); ++i) {
                std::int64_t const at = positions_[query.block * this->slots() + slots[i]];
                scores[i] = dot(turned, seenKey(keys.at(slots[i]), at, work)) * shape_.scale;
                if (!shape_.slopes.empty())
                    scores[i] += shape_.slopes[h] * static_cast<float>(at - query.position);
            }
            softmaxMean(scores, slots, {valueAt(query.block, head, 0), shape_.valueDim},
                        output.subspan(h * shape_.valueDim, shape_.valueDim));
        }
    }

    /// How many of these rows the layer holds.
    std::size_t rowsHeld(std::size_t block, RowRange rows) const {
        std::size_t count = 0;
        forEachHeld(block, rows, [&](std::size_t) { ++count; });
        return count;
    }

    /// Copies the rows that the layer holds, oldest first. The spans are as long as rowsHeld says.
    void read(std::size_t block, RowRange rows, RowsOut out) const {
        std::size_t i = 0;
        auto key = out.keys.begin();
        auto value = out.values.begin();
        forEachHeld(block, rows, [&](std::size_t row) {
            std::size_t const slot = slotOf(row);
            out.positions[i++] = positions_[block * slots() + slot];
            for (std::size_t head = 0; head < shape_.kvHeads; ++head) {
                key = std::copy_n(keyAt(block, head, slot), shape_.keyDim, key);
                value = std::copy_n(valueAt(block, head, slot), shape_.valueDim, value);
            }
        });
    }

    /// Whether every one of these rows is still in its slot.
    bool holdsAll(std::size_t block, RowRange rows) const {
        std::size_t const held = std::min(marks_[block].held, rows.end);
        return std::max(rows.begin, pinned_) >= held;
    }

    /// Takes back all rows from `kept` on.
    void rollback(std::size_t block, std::size_t kept) {
        Marks& marks = marks_[block];
        std::size_t const readable =
            Decisions::readableAfterRollback({.rows = marks.readable, .kept = kept});
        refill(block, {readable, marks.readable});
        marks = {.held = std::min(marks.held, readable), .readable = readable};
    }

    /// Drops these rows, which are the oldest.
    void evict(std::size_t block, RowRange dropped) {
        refill(block, dropped);
        marks_[block].held = std::max(marks_[block].held, dropped.end);
    }

    /// Whether each of these rows may stand `delta` further.
    bool canShift(std::size_t block, RowRange rows, std::int64_t delta) const {
        bool can = true;
        forEachHeld(block, rows, [&](std::size_t row) {
            std::int64_t const at = positionAt({block, row});
            can = can && (delta < 0 ? at >= -delta : at < shape_.positions() - delta);
        });
        return can;
    }

    /// Moves these rows by `delta` positions and turns keys that are stored rotated.
    void shift(std::size_t block, RowRange rows, std::int64_t delta) {
        forEachHeld(block, rows, [&](std::size_t row) {
            std::size_t const slot = slotOf(row);
            positions_[block * slots() + slot] += delta;
            if (shape_.keyStorage == KeyStorage::rotated)
                for (std::size_t head = 0; head < shape_.kvHeads; ++head)
                    rotate(shape_, turnBy(delta), {keyAt(block, head, slot), shape_.keyDim});
        });
    }

    /// Makes block `to` a copy of block `from`.
    void copy(std::size_t from, std::size_t to) {
        copyBlock(keys_, keysPerBlock(), from, to);
        copyBlock(values_, valuesPerBlock(), from, to);
        copyBlock(positions_, slots(), from, to);
        marks_[to] = marks_[from];
    }

    /// Empties a block.
    void clear(std::size_t block) {
        std::fill_n(keyAt(block, 0, 0), keysPerBlock(), fill_);
        std::fill_n(valueAt(block, 0, 0), valuesPerBlock(), fill_);
        marks_[block] = {};
    }

   private:
    struct Marks {
        std::size_t held = 0, readable = 0;
    };

    std::size_t keysPerBlock() const { return shape_.kvHeads * slots() * shape_.keyDim; }
    std::size_t valuesPerBlock() const { return shape_.kvHeads * slots() * shape_.valueDim; }

    std::size_t slotOf(std::size_t row) const {
        if (row < pinned_)
            return row;
        Place const place{row - pinned_, ring_};
        std::size_t const inRing =
            shape_.retained == 0 ? Decisions::slot(place) : Decisions::ringSlot(place);
        assert(inRing < ring_);
        return pinned_ + inRing;
    }

    float const* keyAt(std::size_t block, std::size_t head, std::size_t slot) const {
        return &keys_[block * keysPerBlock() + (head * slots() + slot) * shape_.keyDim];
    }
    float* keyAt(std::size_t block, std::size_t head, std::size_t slot) {
        return &keys_[block * keysPerBlock() + (head * slots() + slot) * shape_.keyDim];
    }
    float const* valueAt(std::size_t block, std::size_t head, std::size_t slot) const {
        return &values_[block * valuesPerBlock() + (head * slots() + slot) * shape_.valueDim];
    }
    float* valueAt(std::size_t block, std::size_t head, std::size_t slot) {
        return &values_[block * valuesPerBlock() + (head * slots() + slot) * shape_.valueDim];
    }

    /// The first of the last `ring` rows before `end`; older ones have been overwritten.
    std::size_t lastRows(std::size_t end) const { return end - std::min(end, ring_); }

    /// Calls f(row) for each of these rows that the layer holds, oldest first. There are at most
    /// as many as slots, whatever the marks say.
    template <class F>
    void forEachHeld(std::size_t block, RowRange rows, F f) const {
        for (std::size_t row = rows.begin; row < std::min(rows.end, pinned_); ++row)
            f(row);
        std::size_t row = std::max(std::max(rows.begin, pinned_),
                                   std::max(marks_[block].held, lastRows(rows.end)));
        for (; row < rows.end; ++row)
            f(row);
    }

    /// The slots of the rows that a query sees.
    std::span<std::size_t const> seenSlots(Query const& query, Workspace& work) const {
        std::size_t count = 0;
        forEachHeld(
            query.block, {query.oldestRow, marks_[query.block].readable}, [&](std::size_t row) {
                std::size_t const slot = slotOf(row);
                if (Decisions::visible({.queryPosition = query.position,
                                        .keyPosition = positions_[query.block * slots() + slot],
                                        .index = row - query.oldestRow,
                                        .window = shape_.window,
                                        .sinks = shape_.sinks}))
                    work.slots[count++] = slot;
            });
        return std::span(work.slots).first(count);
    }

    /// A stored key as attention reads it: turned to its position, if it is stored raw.
    float const* seenKey(float const* stored, std::int64_t position, Workspace& work) const {
        if (shape_.keyStorage == KeyStorage::rotated || !shape_.rotates())
            return stored;
        auto const turned = std::span(work.turnedKey).first(shape_.keyDim);
        std::copy_n(stored, shape_.keyDim, turned.begin());
        rotate(shape_, {position}, turned);
        return turned.data();
    }

    void refill(std::size_t block, RowRange rows) {
        forEachHeld(block, rows, [&](std::size_t row) {
            for (std::size_t head = 0; head < shape_.kvHeads; ++head) {
                std::fill_n(keyAt(block, head, slotOf(row)), shape_.keyDim, fill_);
                std::fill_n(valueAt(block, head, slotOf(row)), shape_.valueDim, fill_);
            }
        });
    }

    static void copyBlock(auto& array, std::size_t size, std::size_t from, std::size_t to) {
        auto const at = [&](std::size_t block) {
            return array.begin() + static_cast<std::ptrdiff_t>(block * size);
        };
        std::copy_n(at(from), size, at(to));
    }

    LayerShape shape_;
    std::size_t pinned_;  // slots of the first rows
    std::size_t ring_;    // slots behind them
    float fill_;
    std::vector<float> keys_, values_;
    std::vector<std::int64_t> positions_;
    std::vector<Marks> marks_;
};

}  // namespace kv::impl

// layer: know which rows of a sequence a layer holds, and in which slots.
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
// Per block two marks say which rows are really there:
//
//     row    0 .. held-1             held .. readable-1     readable ..
//            overwritten or dropped  attention may read     never written, or taken back
//
// Not said here: how a slot is laid out (storage.hpp), and what a block is used for
// (contiguous.hpp).
#pragma once
#include "decisions.hpp"
#include "saved.hpp"
#include "storage.hpp"

#include <concepts>

namespace kv::impl {

/// What a layer has to have room for, and what stands where nothing is stored.
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

/// One token's query heads [queryHeads][keyDim], not rotated, and what they look at.
struct Query {
    std::size_t block;
    std::size_t oldestRow;  ///< of the sequence: the row of index 0
    std::int64_t position;
    std::size_t chunk;  ///< tokens stored by the call that asks; 0: it only asks
    std::span<float const> heads;
};

/// Whether a query reads this row.
template <std::derived_from<Standard> Decisions>
bool isShown(Seen const& s) {
    return Decisions::visible(s) && (s.chunk == 0 || Decisions::isInChunk(s));
}

/// The first `count` spots of the workspace, turned to begin where the sum of this query does.
template <std::derived_from<Standard> Decisions>
std::span<Spot const> inOrderOfSum(Query const& query, std::size_t count, Workspace& work) {
    auto const spots = std::span(work.spots).first(count);
    std::size_t const begin = Decisions::firstOfSum({.rows = count,
                                                     .block = query.block,
                                                     .chunk = query.chunk,
                                                     .answered = work.answered++});
    assert(begin <= count);
    std::rotate(spots.begin(), spots.begin() + std::ptrdiff_t(begin), spots.end());
    return spots;
}

/// Answers one token's query heads from these rows into `output` [queryHeads][valueDim].
template <std::derived_from<Standard> Decisions>
void attendHeads(Storage const& storage, Query const& query, std::span<Spot const> spots,
                 Workspace& work, std::span<float> output) {
    LayerShape const& shape = storage.shape();
    for (std::size_t h = 0; h < shape.queryHeads; ++h) {
        std::optional<float> sink;
        if (!shape.sinkLogits.empty())
            sink = Decisions::sinkScore({shape.sinkLogits[h], shape.scale, query.chunk});
        storage.attend({.queryHead = h,
                        .kvHead = Decisions::kvHead({h, shape.queryHeads, shape.kvHeads}),
                        .position = query.position,
                        .components = query.heads.subspan(h * shape.keyDim, shape.keyDim),
                        .sinkLogit = sink},
                       spots, work, output.subspan(h * shape.valueDim, shape.valueDim));
    }
}

template <std::derived_from<Standard> Decisions>
class Layer {
   public:
    /// Takes all storage that the layer will ever use. The shape is valid (shape.hpp).
    Layer(LayerShape const& shape, Room room)
        : pinned_(shape.retained == 0 ? 0 : std::min(shape.sinks, room.capacity)),
          ring_(shape.retained == 0 ? room.capacity : std::min(shape.retained, room.capacity)),
          storage_(shape, {room.sequences, pinned_ + ring_, room.fill}),
          marks_(room.sequences) {}

    LayerShape const& shape() const { return storage_.shape(); }
    std::size_t slots() const { return storage_.slots(); }
    bool pinsSinks() const { return pinned_ != 0; }

    /// A raw key [kvHeads][keyDim] as this layer stores it, written to `scratch`.
    KeyRow storedKey(std::span<float const> raw, std::int64_t position,
                     std::span<float> scratch) const {
        return storage_.storedKey(raw, position, scratch);
    }

    void writeKey(Cell cell, KeyRow key) { storage_.writeKey(spotOf(cell), key); }

    /// Writes a value [kvHeads][valueDim] and its position; from now on attention reads the row.
    void writeValue(Cell cell, std::int64_t position, std::span<float const> value) {
        storage_.writeValue(spotOf(cell), value);
        storage_.setPosition(spotOf(cell), position);
        Marks& marks = marks_[cell.block];
        marks.held = std::max(marks.held, lastRows(cell.row + 1));
        marks.readable = std::max(marks.readable, cell.row + 1);
    }

    /// The position of a row that the layer holds.
    std::int64_t positionAt(Cell cell) const { return storage_.position(spotOf(cell)); }

    /// Answers one token's query heads into `output` [queryHeads][valueDim].
    void attend(Query const& query, Workspace& work, std::span<float> output) const {
        assert(query.heads.size() == shape().queryHeads * shape().keyDim);
        assert(output.size() == shape().queryHeads * shape().valueDim);
        attendHeads<Decisions>(storage_, query, seenSpots(query, work), work, output);
    }

    /// How many of these rows the layer holds.
    std::size_t rowsHeld(std::size_t block, RowRange rows) const {
        std::size_t count = 0;
        forEachHeld(block, rows, [&](Spot, std::size_t) { ++count; });
        return count;
    }

    /// Copies the rows that the layer holds, oldest first. The spans are as long as rowsHeld says.
    void read(std::size_t block, RowRange rows, RowsOut const& out) const {
        std::size_t place = 0;
        forEachHeld(block, rows,
                    [&](Spot spot, std::size_t) { storage_.read(spot, place++, out); });
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

    /// Drops rows first .. last - 1 of these, none of which is lost; those behind them move down.
    void remove(std::size_t block, RowRange rows, RowRange dropped) {
        std::size_t const gap = dropped.end - dropped.begin;
        for (std::size_t row = dropped.end; row < rows.end; ++row)
            storage_.copyRow(spotOf({block, row}), spotOf({block, row - gap}).slot);
        refill(block, {rows.end - gap, rows.end});
        Marks& marks = marks_[block];
        marks = {.held = std::min(marks.held, rows.end - gap), .readable = rows.end - gap};
    }

    /// Whether the layer keeps the newest rows only and has overwritten some of these.
    bool hasLost(std::size_t block, RowRange rows) const {
        return shape().retained != 0 && !holdsAll(block, rows);
    }

    /// Whether each of these rows may stand `delta` further.
    bool canShift(std::size_t block, RowRange rows, std::int64_t delta) const {
        bool can = true;
        forEachHeld(block, rows, [&](Spot spot, std::size_t) {
            std::int64_t const at = storage_.position(spot);
            can = can && (delta < 0 ? at >= -delta : at < shape().positions() - delta);
        });
        return can;
    }

    /// Moves these rows by `delta` positions and turns keys that are stored rotated.
    void shift(std::size_t block, RowRange rows, std::int64_t delta) {
        forEachHeld(block, rows, [&](Spot spot, std::size_t) { storage_.shift(spot, delta); });
    }

    /// Makes block `to` a copy of block `from`.
    void copy(std::size_t from, std::size_t to) {
        storage_.copyBlock(from, to);
        marks_[to] = marks_[from];
    }

    /// Copies the rows of these that the layer holds out of its storage.
    void save(std::size_t block, RowRange rows, SavedLayer& copy) const {
        copy.firstRow = rows.begin;
        read(block, rows, copy.roomFor(shape(), rowsHeld(block, rows)));
    }

    /// Makes a block hold these `length` rows from row 0 on, of which the copy lacks those that a
    /// ring had lost.
    void restore(std::size_t block, std::size_t length, SavedLayer const& copy) {
        clear(block);
        std::size_t const first = std::min(length, pinned_), lost = length - copy.rows();
        for (std::size_t i = 0; i < copy.rows(); ++i) {
            std::size_t const row = Decisions::rowOfRestored(
                {.index = i < first ? i : i + lost, .firstSaved = copy.firstRow});
            restoreRow<Decisions>(storage_, spotOf({block, row}), copy, i);
        }
        marks_[block] = {.held = lost == 0 ? 0 : first + lost, .readable = length};
    }

    /// Empties a block.
    void clear(std::size_t block) {
        storage_.refillBlock(block);
        marks_[block] = {};
    }

   private:
    struct Marks {
        std::size_t held = 0, readable = 0;
    };

    Spot spotOf(Cell cell) const {
        if (cell.row < pinned_)
            return {cell.block, cell.row};
        Place const place{cell.row - pinned_, ring_};
        std::size_t const inRing =
            shape().retained == 0 ? Decisions::slot(place) : Decisions::ringSlot(place);
        assert(inRing < ring_);
        return {cell.block, pinned_ + inRing};
    }

    /// The first of the last `ring` rows before `end`; older ones have been overwritten.
    std::size_t lastRows(std::size_t end) const { return end - std::min(end, ring_); }

    /// Calls f(spot, row) for each of these rows that the layer holds, oldest first. There are at
    /// most as many as slots, whatever the marks say.
    template <class F>
    void forEachHeld(std::size_t block, RowRange rows, F f) const {
        for (std::size_t row = rows.begin; row < std::min(rows.end, pinned_); ++row)
            f(spotOf({block, row}), row);
        std::size_t row = std::max(std::max(rows.begin, pinned_),
                                   std::max(marks_[block].held, lastRows(rows.end)));
        for (; row < rows.end; ++row)
            f(spotOf({block, row}), row);
    }

    /// Where the rows are that a query sees, in the order in which they are summed.
    std::span<Spot const> seenSpots(Query const& query, Workspace& work) const {
        std::size_t count = 0;
        RowRange const rows{query.oldestRow, marks_[query.block].readable};
        forEachHeld(query.block, rows, [&](Spot spot, std::size_t row) {
            if (isShown<Decisions>({.queryPosition = query.position,
                                    .keyPosition = storage_.position(spot),
                                    .index = row - query.oldestRow,
                                    .window = shape().window,
                                    .sinks = shape().sinks,
                                    .chunk = static_cast<std::int64_t>(shape().chunk)}))
                work.spots[count++] = spot;
        });
        return inOrderOfSum<Decisions>(query, count, work);
    }

    void refill(std::size_t block, RowRange rows) {
        forEachHeld(block, rows, [&](Spot spot, std::size_t) { storage_.refill(spot); });
    }

    std::size_t pinned_;  // slots of the first rows
    std::size_t ring_;    // slots behind them
    Storage storage_;
    std::vector<Marks> marks_;
};

}  // namespace kv::impl

// storage: keep the rows of one layer in slots, and work on them by slot.
//
// Storage is taken once. It is cut into blocks, one per sequence; in a block each kv head owns an
// array of slots, and a slot holds one row. So the rows of one head lie side by side, which is how
// attention reads them.
//
//     keys       [block][kvHead][slot][keyDim]      components of a row touch, then slots
//     values     [block][kvHead][slot][valueDim]
//     positions  [block][slot]
//
//     block 0                              block 1
//     +-----------------+-----------------+-----------------+----
//     | head 0          | head 1          | head 0          |
//     | slot 0 1 2 ...  | slot 0 1 2 ...  | slot 0 1 2 ...  |
//     +-----------------+-----------------+-----------------+----
//
// Slots that hold no row hold `fill`.
//
// Not said here: which row is in which slot (layer.hpp).
#pragma once
#include "kernels.hpp"
#include "rotary.hpp"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

namespace kv::impl {

/// How much to take, and what stands where nothing is stored.
struct StorageSize {
    std::size_t blocks, slots;
    float fill;
};

/// One slot of one block.
struct Spot {
    std::size_t block, slot;
};

/// A key of any layer, [heads][components], as it is to be stored.
struct KeyRow {
    std::span<float const> data;
    std::size_t heads, components;
};

/// One query head [keyDim], not rotated, and what it reads.
struct HeadQuery {
    std::size_t queryHead, kvHead;
    std::int64_t position;
    std::span<float const> components;
    std::optional<float> sinkLogit;  ///< a score without a key
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
    std::vector<Spot> spots;
    std::size_t answered = 0;  ///< sums so far

    void growFor(LayerShape const& layer, std::size_t rows) {
        grow(key, layer.kvHeads * layer.keyDim);
        grow(turnedQuery, layer.keyDim);
        grow(turnedKey, layer.keyDim);
        grow(scores, rows + 1);
        grow(spots, rows);
    }

   private:
    static void grow(auto& array, std::size_t size) { array.resize(std::max(array.size(), size)); }
};

class Storage {
   public:
    Storage(LayerShape shape, StorageSize size)
        : shape_(std::move(shape)),
          size_(size),
          keys_(size.blocks * keysPerBlock(), size.fill),
          values_(size.blocks * valuesPerBlock(), size.fill),
          positions_(size.blocks * size.slots) {}

    LayerShape const& shape() const { return shape_; }
    std::size_t slots() const { return size_.slots; }

    /// A raw key [kvHeads][keyDim] as this layer stores it, written to `scratch`: turned to its
    /// position, or as it is.
    KeyRow storedKey(std::span<float const> raw, std::int64_t position,
                     std::span<float> scratch) const {
        assert(raw.size() == shape_.kvHeads * shape_.keyDim && raw.size() <= scratch.size());
        std::copy(raw.begin(), raw.end(), scratch.begin());
        if (shape_.keyStorage == KeyStorage::rotated)
            for (std::size_t head = 0; head < shape_.kvHeads; ++head)
                rotate(shape_, {position}, scratch.subspan(head * shape_.keyDim, shape_.keyDim));
        return {scratch.first(raw.size()), shape_.kvHeads, shape_.keyDim};
    }

    /// Writes what fits of a key; a key of this layer fits exactly.
    void writeKey(Spot spot, KeyRow key) {
        std::size_t const components = std::min(key.components, shape_.keyDim);
        for (std::size_t head = 0; head < std::min(key.heads, shape_.kvHeads); ++head)
            std::copy_n(key.data.subspan(head * key.components).begin(), components,
                        keyAt(spot, head).begin());
    }

    /// Writes a value [kvHeads][valueDim].
    void writeValue(Spot spot, std::span<float const> value) {
        assert(value.size() == shape_.kvHeads * shape_.valueDim);
        for (std::size_t head = 0; head < shape_.kvHeads; ++head)
            std::copy_n(value.subspan(head * shape_.valueDim).begin(), shape_.valueDim,
                        valueAt(spot, head).begin());
    }

    /// One head of a row: its key as it is stored, and its value.
    struct HeadRow {
        std::span<float const> key, value;
    };
    void writeHead(Spot spot, std::size_t head, HeadRow const& row) {
        std::ranges::copy(row.key, keyAt(spot, head).begin());
        std::ranges::copy(row.value, valueAt(spot, head).begin());
    }

    std::int64_t position(Spot spot) const {
        return positions_[spot.block * size_.slots + spot.slot];
    }
    void setPosition(Spot spot, std::int64_t position) {
        positions_[spot.block * size_.slots + spot.slot] = position;
    }

    /// Answers one query head from these rows into `output` [valueDim].
    void attend(HeadQuery const& query, std::span<Spot const> spots, Workspace& work,
                std::span<float> output) const {
        assert(query.kvHead < shape_.kvHeads && query.components.size() == shape_.keyDim);
        auto const turned = std::span(work.turnedQuery).first(shape_.keyDim);
        std::copy(query.components.begin(), query.components.end(), turned.begin());
        rotate(shape_, {query.position}, turned);
        std::size_t const sinks = query.sinkLogit ? 1 : 0;
        auto const scores = std::span(work.scores).first(spots.size() + sinks);
        for (std::size_t i = 0; i < spots.size(); ++i) {
            scores[i] = dot(turned, seenKey(spots[i], query.kvHead, work)) * shape_.scale;
            if (!shape_.slopes.empty())
                scores[i] += shape_.slopes[query.queryHead] *
                             static_cast<float>(position(spots[i]) - query.position);
        }
        if (query.sinkLogit)
            scores.back() = *query.sinkLogit;
        softmaxMean(
            scores, spots.size(),
            [&](std::size_t i) { return valueAt(spots[i], query.kvHead).data(); }, output);
    }

    /// Copies a row to place `row` of a read-back.
    void read(Spot spot, std::size_t row, RowsOut const& out) const {
        out.positions[row] = position(spot);
        for (std::size_t head = 0; head < shape_.kvHeads; ++head) {
            std::size_t const place = row * shape_.kvHeads + head;
            std::ranges::copy(keyAt(spot, head), out.keys.subspan(place * shape_.keyDim).begin());
            std::ranges::copy(valueAt(spot, head),
                              out.values.subspan(place * shape_.valueDim).begin());
        }
    }

    /// Moves a row by `delta` positions, and turns its key if it is stored rotated.
    void shift(Spot spot, std::int64_t delta) {
        setPosition(spot, position(spot) + delta);
        if (shape_.keyStorage == KeyStorage::rotated)
            for (std::size_t head = 0; head < shape_.kvHeads; ++head)
                rotate(shape_, turnBy(delta), keyAt(spot, head));
    }

    /// Makes slot `to` a copy of another one of its block.
    void copyRow(Spot from, std::size_t to) {
        Spot const target{from.block, to};
        setPosition(target, position(from));
        for (std::size_t head = 0; head < shape_.kvHeads; ++head) {
            std::ranges::copy(keyAt(from, head), keyAt(target, head).begin());
            std::ranges::copy(valueAt(from, head), valueAt(target, head).begin());
        }
    }

    /// Makes a slot as if nothing had been stored.
    void refill(Spot spot) {
        for (std::size_t head = 0; head < shape_.kvHeads; ++head) {
            std::ranges::fill(keyAt(spot, head), size_.fill);
            std::ranges::fill(valueAt(spot, head), size_.fill);
        }
    }
    void refillBlock(std::size_t block) {
        std::ranges::fill(blockOf(keys_, block, keysPerBlock()), size_.fill);
        std::ranges::fill(blockOf(values_, block, valuesPerBlock()), size_.fill);
    }

    /// Makes block `to` a copy of block `from`, if it is another one.
    void copyBlock(std::size_t from, std::size_t to) {
        if (from == to)
            return;
        auto const copy = [&](auto& array, std::size_t size) {
            std::ranges::copy(blockOf(array, from, size), blockOf(array, to, size).begin());
        };
        copy(keys_, keysPerBlock());
        copy(values_, valuesPerBlock());
        copy(positions_, size_.slots);
    }

   private:
    std::size_t keysPerBlock() const { return shape_.kvHeads * size_.slots * shape_.keyDim; }
    std::size_t valuesPerBlock() const { return shape_.kvHeads * size_.slots * shape_.valueDim; }

    /// Counts rows of one head from the start of the storage.
    std::size_t rowAt(Spot spot, std::size_t head) const {
        assert(spot.block < size_.blocks && spot.slot < size_.slots && head < shape_.kvHeads);
        return (spot.block * shape_.kvHeads + head) * size_.slots + spot.slot;
    }
    std::span<float const> keyAt(Spot spot, std::size_t head) const {
        return {&keys_[rowAt(spot, head) * shape_.keyDim], shape_.keyDim};
    }
    std::span<float> keyAt(Spot spot, std::size_t head) {
        return {&keys_[rowAt(spot, head) * shape_.keyDim], shape_.keyDim};
    }
    std::span<float const> valueAt(Spot spot, std::size_t head) const {
        return {&values_[rowAt(spot, head) * shape_.valueDim], shape_.valueDim};
    }
    std::span<float> valueAt(Spot spot, std::size_t head) {
        return {&values_[rowAt(spot, head) * shape_.valueDim], shape_.valueDim};
    }

    /// A stored key as attention reads it: turned to its position, if it is stored raw.
    float const* seenKey(Spot spot, std::size_t head, Workspace& work) const {
        auto const stored = keyAt(spot, head);
        if (shape_.keyStorage == KeyStorage::rotated || !shape_.rotates())
            return stored.data();
        auto const turned = std::span(work.turnedKey).first(shape_.keyDim);
        std::ranges::copy(stored, turned.begin());
        rotate(shape_, {position(spot)}, turned);
        return turned.data();
    }

    template <class T>
    static std::span<T> blockOf(std::vector<T>& array, std::size_t block, std::size_t size) {
        return std::span(array).subspan(block * size, size);
    }

    LayerShape shape_;
    StorageSize size_;
    std::vector<float> keys_, values_;
    std::vector<std::int64_t> positions_;
};

}  // namespace kv::impl

// request: say what a caller asks of an engine, and whether its arrays have the right shape.
//
// Every engine of ours takes the same requests. All rows are dense, [token][head][component]; a
// request that touches every layer has one entry per layer, and is looked at whole before anything
// is done.
//
// Not said here: whether there is room for it (contiguous.hpp, paged.hpp).
#pragma once
#include "decisions.hpp"
#include "shape.hpp"

#include <algorithm>
#include <limits>
#include <span>
#include <stdexcept>

namespace kv::impl {

enum class SequenceId : std::size_t {};
enum class LayerIndex : std::size_t {};

constexpr std::size_t indexOf(auto id) { return static_cast<std::size_t>(id); }

/// What stands in storage that holds no row. Not-a-number makes a read beyond the length loud.
struct Options {
    float fill = std::numeric_limits<float>::quiet_NaN();
};

/// The rows of `count` tokens in one layer; `queries` is empty where nothing is asked.
struct Rows {
    std::span<float const> keys;     ///< [count][kvHeads][keyDim]
    std::span<float const> values;   ///< [count][kvHeads][valueDim]
    std::span<float const> queries;  ///< [count][queryHeads][keyDim]
};

/// One entry per layer.
using RowsOfLayers = std::span<Rows const>;
using QueriesOfLayers = std::span<std::span<float const> const>;  ///< [queryHeads][keyDim]
using OutputsOfLayers = std::span<std::span<float> const>;        ///< [..][queryHeads][valueDim]

/// What a sequence is, apart from its rows.
struct SequenceState {
    std::size_t length = 0;
    std::int64_t nextPosition = 0;
    friend bool operator==(SequenceState const&, SequenceState const&) = default;
};

/// `count` rows of a sequence, from index `first`.
struct RowsAt {
    std::size_t first, count;
};

/// The empty sequence `to` becomes a copy of `from`.
struct Fork {
    SequenceId from, to;
};

/// The empty sequence `to` becomes what was last saved of `from`.
struct Restoration {
    SequenceId from, to;
};

/// Tokens that are stored together, and what for.
struct Chunk {
    std::size_t count;
    Purpose purpose;
    /// How many of them ask.
    std::size_t asked() const { return purpose == Purpose::prefill ? count : 0; }
};

/// What one row of a batch brings: `count` tokens of a sequence, and where their outputs go. One
/// entry of each per layer, as for a prefill. No token: the row is inactive.
struct BatchItem {
    SequenceId sequence;
    std::size_t count;
    RowsOfLayers rows;
    OutputsOfLayers outputs;
    Chunk chunk() const { return {count, Purpose::prefill}; }
};
using Batch = std::span<BatchItem const>;

/// Whether an item before this one names the same sequence.
inline bool isNamedBefore(Batch batch, std::size_t item) {
    return std::ranges::any_of(batch.first(item), [&](BatchItem const& other) {
        return other.sequence == batch[item].sequence;
    });
}

/// Whose tokens an item brings.
template <class Decisions>
std::size_t placeOf(Batch batch, std::size_t item) {
    return Decisions::sequenceOfItem({.item = item, .sequence = indexOf(batch[item].sequence)});
}

/// Elements of one token in one layer.
inline std::size_t keyElements(LayerShape const& l) { return l.kvHeads * l.keyDim; }
inline std::size_t valueElements(LayerShape const& l) { return l.kvHeads * l.valueDim; }
inline std::size_t queryElements(LayerShape const& l) { return l.queryHeads * l.keyDim; }
inline std::size_t outputElements(LayerShape const& l) { return l.queryHeads * l.valueDim; }

/// size == count * each, without a product that could overflow.
constexpr bool isDense(std::size_t size, std::size_t count, std::size_t each) {
    return size % each == 0 && size / each == count;
}

/// The part of token i of an array with so many elements for each.
constexpr auto partOf(auto array, std::size_t i, std::size_t elements) {
    return array.subspan(i * elements, elements);
}

/// Whether a chunk fits one layer; `outputs` counts elements.
inline bool fitsLayer(LayerShape const& layer, Chunk chunk, Rows const& rows,
                      std::size_t outputs) {
    return isDense(rows.keys.size(), chunk.count, keyElements(layer)) &&
           isDense(rows.values.size(), chunk.count, valueElements(layer)) &&
           isDense(rows.queries.size(), chunk.asked(), queryElements(layer)) &&
           isDense(outputs, chunk.asked(), outputElements(layer));
}

/// Whether a chunk fits every layer. Layer l has the shape layers[l].shape().
template <class Layers>
bool fitsLayers(Layers const& layers, Chunk chunk, RowsOfLayers rows, OutputsOfLayers outputs) {
    bool const asks = chunk.purpose == Purpose::prefill;
    if (rows.size() != layers.size() || (asks && outputs.size() != layers.size()))
        return false;
    for (std::size_t l = 0; l < layers.size(); ++l)
        if (!fitsLayer(layers[l].shape(), chunk, rows[l], asks ? outputs[l].size() : 0))
            return false;
    return true;
}

/// Whether there is a query and an output for every layer.
template <class Layers>
bool asksLayers(Layers const& layers, QueriesOfLayers queries, OutputsOfLayers outputs) {
    if (queries.size() != layers.size() || outputs.size() != layers.size())
        return false;
    for (std::size_t l = 0; l < layers.size(); ++l)
        if (queries[l].size() != queryElements(layers[l].shape()) ||
            outputs[l].size() != outputElements(layers[l].shape()))
            return false;
    return true;
}

/// Whether every layer has a position for each of these tokens.
template <class Layers>
bool hasPositions(Layers const& layers, std::int64_t next, std::size_t count) {
    for (auto const& layer : layers)
        if (count > 0 && std::cmp_greater(count, layer.shape().positions() - next))
            return false;
    return true;
}

/// The shape itself. Throws std::invalid_argument, with a sentence, where it contradicts itself.
inline Shape const& validated(Shape const& shape) {
    if (char const* why = whyInvalid(shape))
        throw std::invalid_argument(why);
    return shape;
}

}  // namespace kv::impl

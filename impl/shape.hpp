// shape: say how large an engine is and what each of its layers asks for.
//
// A shape is data, given once at construction. Layers may differ in everything; sequences are all
// alike. A shape that contradicts itself is found before any storage is taken.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace kv::impl {

/// Which components form one rotation plane: plane i is (x[i], x[i + R/2]) or (x[2i], x[2i + 1]).
/// Su et al., RoFormer, arXiv 2104.09864, section 3.4.2.
enum class RotaryLayout : std::uint8_t { none, halfSplit, interleaved };

/// Whether keys are stored after their rotation or before it.
enum class KeyStorage : std::uint8_t { rotated, raw };

/// One layer. Sizes count elements or rows.
struct LayerShape {
    std::size_t queryHeads = 1;  ///< a multiple of kvHeads
    std::size_t kvHeads = 1;
    std::size_t keyDim = 1;
    std::size_t valueDim = 1;
    float scale = 1;           ///< factor of every score
    std::size_t window = 0;    ///< keys that one query sees, itself included; 0: all
    std::size_t sinks = 0;     ///< first rows that stay visible behind the window
    std::size_t retained = 0;  ///< rows of the ring, sinks not counted; 0: every row is kept
    KeyStorage keyStorage = KeyStorage::rotated;
    RotaryLayout rotaryLayout = RotaryLayout::none;
    std::size_t rotaryDim = 0;    ///< leading components that rotate; even, at most keyDim
    std::vector<float> cosine{};  ///< [positions][rotaryDim / 2]
    std::vector<float> sine{};    ///< same shape
    std::vector<float> slopes{};  ///< ALiBi, one per query head (arXiv 2108.12409); empty: none
    std::size_t chunk = 0;  ///< positions of one chunk: a query sees its own only; 0: one for all
    std::vector<float> sinkLogits{};  ///< scores without a key, one per query head; empty: none

    bool rotates() const { return rotaryLayout != RotaryLayout::none; }
    /// Positions that this layer can give to a token: 0 .. positions() - 1. Without a table there
    /// are so many that a position plus a shift is still a number.
    std::int64_t positions() const {
        return rotates() ? static_cast<std::int64_t>(cosine.size() / (rotaryDim / 2))
                         : std::numeric_limits<std::int64_t>::max() / 2;
    }
};

/// The whole engine.
struct Shape {
    std::size_t sequences = 1;  ///< ids 0 .. sequences - 1
    std::size_t capacity = 1;   ///< rows of one sequence
    std::vector<LayerShape> layers{};
};

/// What is wrong with a shape, as a sentence; nullptr: nothing.
inline char const* whyInvalid(Shape const& shape);

/// The storage that sequences may share.
struct PoolShape {
    std::size_t blockRows, blocks;
};
/// What is wrong with a pool for a valid shape, as a sentence; nullptr: nothing.
inline char const* whyInvalid(PoolShape pool, Shape const& shape);

namespace detail {

/// Sizes that are multiplied into one array of floats.
struct Extents {
    std::size_t sequences, heads, rows, components;
};

inline bool fitsInMemory(Extents const& e) {
    std::size_t room = std::numeric_limits<std::ptrdiff_t>::max() / sizeof(float);
    for (std::size_t size : {e.sequences, e.heads, e.rows, e.components}) {
        if (size > room)
            return false;
        room /= size;
    }
    return true;
}

inline char const* whyInvalidRotation(LayerShape const& layer) {
    if (!layer.rotates())
        return nullptr;
    if (layer.rotaryDim == 0 || layer.rotaryDim % 2 != 0 || layer.rotaryDim > layer.keyDim)
        return "rotaryDim must be even, at least 2 and at most keyDim";
    if (layer.cosine.empty() || layer.cosine.size() % (layer.rotaryDim / 2) != 0)
        return "cosine must hold [positions][rotaryDim / 2] numbers, at least one position";
    if (layer.sine.size() != layer.cosine.size())
        return "sine must be as long as cosine";
    return nullptr;
}

inline char const* whyInvalidLayer(Shape const& shape, LayerShape const& layer) {
    if (layer.kvHeads == 0 || layer.queryHeads == 0 || layer.queryHeads % layer.kvHeads != 0)
        return "queryHeads must be a multiple of kvHeads, both at least 1";
    if (layer.keyDim == 0 || layer.valueDim == 0)
        return "keyDim and valueDim must be at least 1";
    if (layer.retained != 0 && layer.retained < layer.window)
        return "retained must be 0 or at least window: a ring holds what its window shows";
    if (layer.retained != 0 && layer.window == 0 && layer.retained < shape.capacity)
        return "retained must be 0 or at least capacity where no window hides older rows";
    if (!layer.slopes.empty() && layer.slopes.size() != layer.queryHeads)
        return "slopes must be empty or hold one number per query head";
    if (!layer.sinkLogits.empty() && layer.sinkLogits.size() != layer.queryHeads)
        return "sinkLogits must be empty or hold one number per query head";
    std::size_t const rows = 2 * shape.capacity;  // pinned sinks and the ring, each clipped to it
    if (!fitsInMemory({shape.sequences, layer.kvHeads, rows, layer.keyDim}) ||
        !fitsInMemory({shape.sequences, layer.kvHeads, rows, layer.valueDim}) ||
        !fitsInMemory({1, 1, layer.queryHeads, layer.keyDim}))
        return "the storage of a layer must fit the address space";
    return whyInvalidRotation(layer);
}

}  // namespace detail

inline char const* whyInvalid(Shape const& shape) {
    if (shape.sequences == 0)
        return "sequences must be at least 1";
    if (shape.capacity == 0)
        return "capacity must be at least 1";
    if (shape.capacity > std::numeric_limits<std::size_t>::max() / 2)
        return "the storage of a layer must fit the address space";
    if (shape.layers.empty())
        return "layers must hold at least one layer";
    for (LayerShape const& layer : shape.layers)
        if (char const* why = detail::whyInvalidLayer(shape, layer))
            return why;
    return nullptr;
}

inline char const* whyInvalid(PoolShape pool, Shape const& shape) {
    if (pool.blockRows == 0 ||
        pool.blocks < shape.capacity / pool.blockRows + (shape.capacity % pool.blockRows != 0))
        return "blockRows must be at least 1, and the blocks enough for capacity rows";
    for (LayerShape const& layer : shape.layers) {
        if (layer.retained != 0)
            return "retained must be 0: a pool keeps every row";
        for (std::size_t components : {layer.keyDim, layer.valueDim})
            if (!detail::fitsInMemory({pool.blocks, layer.kvHeads, pool.blockRows, components}))
                return "the storage of a layer must fit the address space";
    }
    return nullptr;
}

}  // namespace kv::impl

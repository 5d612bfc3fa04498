// memory: count the bytes that a cache takes.
//
// A model keeps a key and a value of every past token, in each layer and for each kv head. How many
// sequences are served at once, and how long they may grow, is decided by what that costs. Shape
// and formats of a declaration fix the cost of a row; a Holding says how many there are.
//
//     memory : [LayerDeclaration] x Holding -> bytes
//
//     kept(layer) = rows, or min(rows, retained + sinks) where the layer retains
//     held(layer) = up(kept, blockRows)               a block that is partly filled counts whole
//     memory      = sum of layers: sequences * held * (row(keys) + row(values)) + shared
//
// with row and shared of row_bytes.hpp. In the plain case that is nothing but
//
//     2 * layers * kv heads * head dim * rows * sequences * bytes of an element
//
// Refused with a ShapeError: what row_bytes.hpp refuses, and a block of 0 rows.
// Checked by the compiler in proofs/memory.cpp, for real formats in tests/memory_test.cpp.
// Not said here: tables of blocks, blocks that sequences share, blocks behind a window that are
// kept while one of their rows is seen, caches whose values are a part of their keys (latents).
#pragma once
#include "row_bytes.hpp"
#include "theorem.hpp"

#include <algorithm>
#include <array>

namespace kv {

/// How much is held, and how it lies in storage.
struct Holding {
    Bytes sequences = 1;
    Bytes rows = 0;       ///< that each sequence was given
    Bytes blockRows = 1;  ///< storage is taken for so many at once; 1: not paged
    Bytes alignment = 1;  ///< bytes, of a row as its codec takes it (row_bytes.hpp)
};

/// Rows of one sequence for which a layer has storage.
constexpr Bytes heldRows(LayerDeclaration const& l, Holding const& h) {
    Bytes const most = l.retained == 0 ? h.rows : detail::plus(l.retained, l.sinks);
    return detail::up(std::min(h.rows, most), h.blockRows);
}
constexpr Bytes memoryOf(LayerDeclaration const& l, Holding const& h) {
    Bytes const rows = detail::times(h.sequences, heldRows(l, h));
    return detail::plus(detail::times(rows, tokenBytes(l, h.alignment)), sharedBytes(l));
}
constexpr Bytes memoryOf(std::span<LayerDeclaration const> layers, Holding const& h) {
    Bytes all = 0;
    for (auto const& layer : layers) all = detail::plus(all, memoryOf(layer, h));
    return all;
}

namespace detail {

/// The same by a walk over storage.
constexpr Bytes countedBytes(std::span<LayerDeclaration const> layers, Holding const& h) {
    Bytes all = 0;
    for (auto const& l : layers) {
        Cursor at;
        for (Bytes s = 0; s < h.sequences; ++s) {
            Bytes slots = 0;
            auto const slot = [&] {
                at.token(l.keyFormat, l.kvHeads, l.keyDim, h.alignment);
                at.token(l.valueFormat, l.kvHeads, l.valueDim, h.alignment);
                ++slots;
            };
            for (Bytes j = 0; j < h.rows; ++j)
                if (l.retained == 0 || j < l.sinks || h.rows - j <= l.retained) slot();
            while (slots % h.blockRows != 0) slot();
        }
        at.shared(l.keyFormat, l.kvHeads, l.keyDim);
        at.shared(l.valueFormat, l.kvHeads, l.valueDim);
        all += at.bits / 8;
    }
    return all;
}

/// A ring of a world's sizes, in multiples of what the codecs take, and a layer without a ring
/// whose dims are exchanged and whose codecs see whole tokens. Values are in the codec after that
/// of the keys.
constexpr auto storedLayers(auto const& shape, std::size_t codec) {
    std::size_t const next = (codec + 1) % std::size(everyCodec), one = 1;
    std::size_t const keyGroup = std::max(everyCodec[codec]->group, one);
    std::size_t const valueGroup = std::max(everyCodec[next]->group, one);
    std::size_t const dims[] = {shape.keyDim, shape.valueDim};
    LayerDeclaration ring{};
    ring.queryHeads = shape.queryHeads, ring.kvHeads = shape.kvHeads;
    ring.keyDim = dims[0] * keyGroup, ring.valueDim = dims[1] * valueGroup;
    ring.retained = shape.mask.keys, ring.sinks = shape.mask.sinks;
    ring.keyFormat.codec = StoredAs(codec), ring.valueFormat.codec = StoredAs(next);
    LayerDeclaration other = ring;
    other.keyDim = dims[1] * keyGroup, other.valueDim = dims[0] * valueGroup;
    other.retained = 0, other.keyFormat.rotation = StoredRotation{1, 0, {1}};
    other.keyFormat.row = other.valueFormat.row = CodecRow::token;
    return std::array{ring, other};
}

}  // namespace detail

inline constexpr Theorem memory_counts_every_number{
    "memory_counts_every_number", "bytes are those of every stored number", ofSpec, free,
    Owed::moves, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        Bytes const n = world.length();
        for (std::size_t codec = 0; codec < std::size(everyCodec); ++codec) {
            auto const layers = detail::storedLayers(world.layer(), codec);
            for (auto const& h : {Holding{1, n, 1, 1}, Holding{2, n + 1, 3, 16}})
                equation.numbers({.what = What::bytes, .row = codec},
                                 std::int64_t(subject.memory(layers, h)),
                                 std::int64_t(detail::countedBytes(layers, h)));
        }
        return equation;
    }};

inline constexpr Theorem memory_grows_by_blocks{
    "memory_grows_by_blocks", "one more row takes a block or nothing", ofSpec, free, Owed::moves,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        Bytes const n = world.length();
        for (std::size_t codec = 0; codec < std::size(everyCodec); ++codec)
            for (Bytes const block : {1, 3}) {
                auto const layers = detail::storedLayers(world.layer(), codec);
                Bytes taken = 0;
                for (auto const& l : layers)
                    if (n % block == 0 && (l.retained == 0 || n < l.retained + l.sinks))
                        taken += 2 * block * tokenBytes(l);
                auto const more = subject.memory(layers, Holding{2, n + 1, block, 1}) -
                                  subject.memory(layers, Holding{2, n, block, 1});
                equation.numbers({.what = What::bytes, .row = codec}, std::int64_t(more),
                                 std::int64_t(taken));
            }
        return equation;
    }};

namespace examples {

/// 32 layers of 32 kv heads of 128 components in f16.
constexpr Bytes modelBytes(Bytes sequences, Bytes rows) {
    LayerDeclaration l{};
    l.queryHeads = l.kvHeads = 32, l.keyDim = l.valueDim = 128;
    l.keyFormat.codec = l.valueFormat.codec = StoredAs::f16;
    return memoryOf(std::vector(32, l), {sequences, rows});
}
inline constexpr Bytes GiB = Bytes{1} << 30;
static_assert(modelBytes(1, 4096) == 2 * GiB && modelBytes(8, 4096) == 16 * GiB);
static_assert(modelBytes(32, 8192) == 128 * GiB && modelBytes(128, 32768) == 2048 * GiB);

}  // namespace examples

}  // namespace kv

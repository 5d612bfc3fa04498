// row_bytes: say how many bytes a stored row takes.
//
// A row is stored as codes and, in many formats, as a scale for each group of them and a zero. All
// of that has a width in bits that its codec fixes (codec.hpp), and a group takes whole bytes:
//
//     group(c)  = whole(elements * bits of a code) + whole(bits of a scale) + whole(bits of a zero)
//     row(f)    = codec rows * up(groups of one * group(c), alignment)
//
// in bytes, where whole rounds bits up to bytes and up(n, m) is the least multiple of m from n on.
// So 32 elements take 34 bytes in q8_0, 18 in q4_0 and 17 in mxfp4, and 16 take 9 in nvfp4.
//
// A scale or a zero that the codec computes stands with its group. Scales that are given, and the
// scale of a tensor, serve all tokens: keys, or values, of a layer hold them once (shared), and so
// they do the matrix of a rotation, in f32.
//
// Refused with a ShapeError: a row that groups do not divide, an alignment of 0, and a number of
// bytes beyond 64 bits, which is never wrapped.
//
// Checked beside the numbers that quantize makes in tests/memory_test.cpp.
// Not said here: the order of codes and scales in a row, and how many rows there are (memory.hpp).
#pragma once
#include "storage.hpp"

#include <bit>

namespace kv {

using Bytes = std::uint64_t;

/// Bits of one code. The code of 0 that a span stores is one too.
constexpr Bytes codeBits(Format const& f) { return std::bit_width(f.codes() - 1); }
constexpr Bytes codeBits(Codec const& c) {
    if (auto const* format = std::get_if<Format>(&c.element)) return codeBits(*format);
    auto const& n = std::get<Integers>(c.element);
    return std::bit_width(static_cast<std::uint32_t>(n.highest - n.lowest));
}
/// Whether every group of every token has a scale of its own.
constexpr bool storesScales(Codec const& c) {
    return c.scale != ScaleRule::none && c.scale != ScaleRule::given;
}

namespace detail {

[[noreturn]] inline void refuseSum() {
    throw ShapeError("memory: more bytes than 64 bits can count; expected smaller sizes");
}
constexpr Bytes plus(Bytes a, Bytes b) {
    if (a > ~b) refuseSum();
    return a + b;
}
constexpr Bytes times(Bytes a, Bytes b) {
    if (b != 0 && a > ~Bytes{0} / b) refuseSum();
    return a * b;
}
constexpr Bytes up(Bytes n, Bytes step) {
    if (step == 0)
        throw ShapeError("memory: a block of 0 rows or an alignment of 0; expected at least 1");
    return n % step == 0 ? n : plus(n, step - n % step);
}
constexpr Bytes wholeBytes(Bytes bits) { return up(bits, 8) / 8; }
/// Of so many codes; eight of them take whole bytes, so that no number of bits is too large.
constexpr Bytes wholeBytes(Bytes count, Bytes width) {
    return plus(times(count / 8, width), wholeBytes(count % 8 * width));
}

}  // namespace detail

/// The codes of a group, its scale and its zero.
constexpr Bytes groupBytes(Codec const& c, Bytes elements) {
    using namespace detail;
    Bytes const codes = wholeBytes(elements, codeBits(c));
    Bytes const scale = storesScales(c) ? wholeBytes(codeBits(c.scaleFormat)) : 0;
    return plus(codes, scale + (c.scale == ScaleRule::span ? wholeBytes(codeBits(c)) : 0));
}

/// The keys, or the values, of one token. `alignment` in bytes: what the codec takes for a row
/// begins at a multiple of it.
constexpr Bytes rowBytes(StoredFormat const& f, std::size_t heads, std::size_t dim,
                         Bytes alignment = 1) {
    Bytes const elements = detail::times(heads, dim);
    Bytes const length = rowLength(f, heads, dim);
    Bytes const group = detail::groupOf(codecOf(f.codec), length);
    Bytes const bytes = detail::times(length / group, groupBytes(codecOf(f.codec), group));
    return detail::times(elements / length, detail::up(bytes, alignment));
}

/// What the keys, or the values, of a layer hold once for all tokens.
constexpr Bytes sharedBytes(StoredFormat const& f, std::size_t heads, std::size_t dim) {
    Codec const& c = codecOf(f.codec);
    Bytes const elements = detail::times(heads, dim);
    Bytes const group = detail::groupOf(c, rowLength(f, heads, dim));
    Bytes const given = c.scale == ScaleRule::given ? elements / group : 0;
    Bytes const numbers = (c.tensorScale ? 1 : 0) + f.rotation.matrix.size();
    return detail::plus(detail::times(given, detail::wholeBytes(codeBits(c.scaleFormat))),
                        detail::times(numbers, detail::wholeBytes(codeBits(formats::f32))));
}

/// Both, in one layer.
constexpr Bytes tokenBytes(LayerDeclaration const& l, Bytes alignment = 1) {
    return detail::plus(rowBytes(l.keyFormat, l.kvHeads, l.keyDim, alignment),
                        rowBytes(l.valueFormat, l.kvHeads, l.valueDim, alignment));
}
constexpr Bytes sharedBytes(LayerDeclaration const& l) {
    return detail::plus(sharedBytes(l.keyFormat, l.kvHeads, l.keyDim),
                        sharedBytes(l.valueFormat, l.kvHeads, l.valueDim));
}

namespace detail {

/// A place in storage, in bits from its start, that walks over what is stored.
struct Cursor {
    Bytes bits = 0;
    constexpr void fill(Bytes bytes) {
        while (bits % 8 != 0) ++bits;
        while (bits % (8 * bytes) != 0) bits += 8;
    }
    constexpr void number(Bytes width) { bits += width, fill(1); }
    /// One token, element by element; a group begins with what its elements share.
    constexpr void token(StoredFormat const& f, std::size_t heads, std::size_t dim, Bytes align) {
        Codec const& c = codecOf(f.codec);
        std::size_t const group = groupLength(f, heads, dim), length = rowLength(f, heads, dim);
        for (std::size_t i = 0; i < heads * dim; ++i) {
            if (i % group == 0 && storesScales(c)) number(codeBits(c.scaleFormat));
            if (i % group == 0 && c.scale == ScaleRule::span) number(codeBits(c));
            bits += codeBits(c);
            if ((i + 1) % group == 0) fill(1);
            if ((i + 1) % length == 0) fill(align);
        }
    }
    constexpr void shared(StoredFormat const& f, std::size_t heads, std::size_t dim) {
        Codec const& c = codecOf(f.codec);
        for (std::size_t i = 0; c.scale == ScaleRule::given && i < heads * dim; ++i)
            if (i % groupLength(f, heads, dim) == 0) number(codeBits(c.scaleFormat));
        if (c.tensorScale) number(codeBits(formats::f32));
        for (std::size_t i = 0; i < f.rotation.matrix.size(); ++i)
            number(codeBits(formats::f32));
    }
};

}  // namespace detail

static_assert(groupBytes(codecs::q8_0, 32) == 34 && groupBytes(codecs::q4_0, 32) == 18);
static_assert(groupBytes(codecs::mxfp4, 32) == 17 && groupBytes(codecs::nvfp4, 16) == 9);
static_assert(groupBytes(codecs::int4ZeroPoint, 32) == 21);  // 16 of codes, an f32 and a zero

}  // namespace kv

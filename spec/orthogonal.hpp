// orthogonal: turn a row before it is quantised, and back after it was read.
//
// Keys have a few components far larger than the rest; whatever shares a scale with one of them
// loses its bits. Engines therefore multiply a row by an orthogonal matrix first, which spreads it
// and changes no dot product with a row that was turned too; Hadamard matrices are the usual ones,
// since their entries are all of one size.
//
//     turned(x)[i] = 2^-down * sum over j of m[i][j] * x[j]
//     undone(y)[j] = 2^-(log2 size - down) * sum over i of m[i][j] * y[i]     Hadamard
//     undone(turned(x)) = x
//
//     Hadamard: m[i][j] = -1 to the number of bits that i and j share; m m = size * identity
//
// Half of log2 size in each direction makes it orthogonal; a size of an odd power of two cannot be
// split so without roots, and engines then store rounded entries: such a matrix is given as data,
// down is 0, its transpose undoes it, and undone(turned(x)) = x only as far as the data allow.
//
// An engine adds in an order of its own, so the result is certain only where it is exact in every
// order: each term a multiple of 2^g and their magnitudes together at most 2^(g + 24), rule R5 of
// rounding.hpp. Everything else is refused with a ShapeError, never rounded by a guess. Small
// integers, the usual probes, pass; arbitrary floats mostly do not, dequantised rows often.
//
// Sources: Sylvester 1867 for the matrix; QuaRot, arXiv 2404.00456, for its use on caches;
// ggml_gen_hadamard in llama.cpp, src/llama-kv-cache.cpp, with sizes of 64 and more.
// Checked in tests/quantize_test.cpp.
// Not said here: rotary embeddings, which depend on the position (rotation.hpp).
#pragma once
#include "minifloat.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace kv {

/// A row is cut into pieces of `size` elements, each is turned alone. size 0: nothing is turned.
struct Orthogonal {
    std::size_t size = 0;
    int down = 0;                     ///< Hadamard: the forward factor is 2^-down
    std::span<float const> matrix{};  ///< [size][size] by rows; empty: the Hadamard matrix
};

/// Entry (i, j), without the factor.
constexpr Dyadic entryOf(Orthogonal const& o, std::size_t i, std::size_t j) {
    if (!o.matrix.empty()) return exactly(o.matrix[i * o.size + j]);
    return whole(std::popcount(i & j) % 2 == 0 ? 1 : -1);
}

/// Throws a ShapeError unless the record is a matrix and cuts a row of this length.
constexpr void requireOrthogonal(Orthogonal const& o, std::size_t length) {
    bool const square = o.matrix.size() == o.size * o.size;
    if (o.matrix.empty() ? !std::has_single_bit(o.size) : !square)
        throw ShapeError("a rotation of size " + std::to_string(o.size) +
                         "; a power of two, or a matrix of size * size numbers");
    int const most = o.matrix.empty() ? static_cast<int>(std::bit_width(o.size)) - 1 : 0;
    if (o.down < 0 || o.down > most)
        throw ShapeError("a rotation by 2^-" + std::to_string(o.down) +
                         "; 0 to log2 of the size for Hadamard, 0 for a matrix");
    if (length % o.size != 0)
        throw ShapeError("a row of " + std::to_string(length) +
                         " elements; the rotation takes multiples of " + std::to_string(o.size));
}

/// The sum of a row of terms times 2^-down, if every order of additions in f32 gives it exactly.
constexpr float exactSum(std::span<Dyadic const> terms, int down) {
    int lowest = 1024, highest = -1024;
    for (auto const& t : terms) {
        if (t.kind != Kind::finite) throw ShapeError("a rotation of a row with infinities or NaN");
        if (t.significand == 0) continue;
        lowest = t.exponent < lowest ? t.exponent : lowest;
        highest = t.lead() > highest ? t.lead() : highest;
    }
    if (highest < lowest) return 0;
    std::uint64_t total = 0;
    std::int64_t sum = 0;
    for (auto const& t : terms) {
        if (highest - lowest > 24 || t.significand == 0) continue;
        auto const units = t.significand << (t.exponent - lowest);
        total += units;
        sum += t.negative ? -static_cast<std::int64_t>(units) : static_cast<std::int64_t>(units);
    }
    if (highest - lowest > 24 || total > (1u << 24) || lowest - down < -126 || lowest + 24 > 127)
        throw ShapeError("a rotation that f32 cannot add exactly in every order: terms from 2^" +
                         std::to_string(highest) + " down to units of 2^" +
                         std::to_string(lowest) + "; give multiples of one unit, in all 2^24");
    auto const size = static_cast<std::uint64_t>(sum < 0 ? -sum : sum);
    return toFloat(dyadic(sum < 0, size, lowest - down));
}

namespace detail {
/// Each piece of a row times the matrix, or its transpose.
constexpr std::vector<float> multiplied(Orthogonal const& o, std::span<float const> row,
                                        bool transposed, int down) {
    requireOrthogonal(o, row.size());
    std::vector<float> result;
    std::vector<Dyadic> terms(o.size);
    for (std::size_t k = 0; k < row.size(); ++k) {
        std::size_t const i = k % o.size, begin = k - i;
        for (std::size_t j = 0; j < o.size; ++j) {
            auto const entry = transposed ? entryOf(o, j, i) : entryOf(o, i, j);
            terms[j] = entry * exactly(row[begin + j]);
        }
        result.push_back(exactSum(terms, down));
    }
    return result;
}
}  // namespace detail

/// What the codec gets. Throws a ShapeError where it is not exact.
constexpr std::vector<float> turned(Orthogonal const& o, std::span<float const> row) {
    return detail::multiplied(o, row, false, o.down);
}
/// What a reader of the cache gets. Throws a ShapeError where it is not exact.
constexpr std::vector<float> undone(Orthogonal const& o, std::span<float const> row) {
    int const back = o.matrix.empty() ? static_cast<int>(std::bit_width(o.size)) - 1 - o.down : 0;
    return detail::multiplied(o, row, true, back);
}

namespace examples {
inline constexpr float spike[] = {8, 0, 0, 0};
static_assert(turned({.size = 4, .down = 1}, spike) == std::vector<float>{4, 4, 4, 4});
static_assert(undone({.size = 4, .down = 1}, turned({.size = 4, .down = 1}, spike))[0] == 8);
}  // namespace examples

}  // namespace kv

// rotary: turn a head by the angle of a position.
//
// Row p of a layer's table holds the cosine and the sine of each plane at position p. Turning
// forward by row p places a raw key at position p; turning by row d, forward or backward, moves a
// placed key by d positions.
//
//     table   [positions][plane]
//     head    [ the first rotaryDim components, pair by pair | the others, which stay ]
//
//     forward   (x, y) -> (x c - y s, x s + y c)
//     backward  (x, y) -> (x c + y s, y c - x s)
//
// Two products and one sum per component, each rounded to f32; the build must not fuse them
// (-ffp-contract=off), because stored keys are compared bit for bit.
#pragma once
#include "shape.hpp"

#include <algorithm>
#include <cassert>
#include <span>

namespace kv::impl {

enum class Direction : std::uint8_t { forward, backward };

/// A row of the table and the way to turn.
struct Turn {
    std::int64_t row;
    Direction direction = Direction::forward;
};

/// The turn that moves a key by `delta` positions.
constexpr Turn turnBy(std::int64_t delta) {
    return delta < 0 ? Turn{-delta, Direction::backward} : Turn{delta, Direction::forward};
}

/// Turns one head [keyDim] in place; nothing happens in a layer that does not rotate. Engines
/// refuse positions outside the table. Should a wrong decision let one through, the nearest row of
/// the table is taken: a bug has to be wrong, not undefined.
inline void rotate(LayerShape const& layer, Turn turn, std::span<float> head) {
    assert(head.size() == layer.keyDim);
    if (!layer.rotates())
        return;
    std::size_t const planes = layer.rotaryDim / 2;
    auto const row =
        static_cast<std::size_t>(std::clamp<std::int64_t>(turn.row, 0, layer.positions() - 1));
    float const* const cosine = layer.cosine.data() + row * planes;
    float const* const sine = layer.sine.data() + row * planes;
    bool const halves = layer.rotaryLayout == RotaryLayout::halfSplit;
    for (std::size_t plane = 0; plane < planes; ++plane) {
        float& first = head[halves ? plane : 2 * plane];
        float& second = head[halves ? plane + planes : 2 * plane + 1];
        float const x = first, y = second, c = cosine[plane], s = sine[plane];
        if (turn.direction == Direction::forward) {
            first = x * c - y * s;
            second = x * s + y * c;
        } else {
            first = x * c + y * s;
            second = y * c - x * s;
        }
    }
}

}  // namespace kv::impl

// rotation: turn a key by where its token stands.
//
// Rotary embedding (Su et al., arXiv 2104.09864, section 3.4.2) groups the first R components of a
// head into R / 2 planes and turns plane i of the token at position p by the angle p * w[i]. The
// frequencies are data: the law holds a table of cos(p * w[i]) and sin(p * w[i]), so every scaling
// scheme fits and no angle is ever computed here.
//
//     turn(p) (x, y) = (x cos - y sin, x sin + y cos)
//
// halfSplit: plane i is (x[i], x[i + R/2]); interleaved: (x[2i], x[2i + 1]). Components from R on
// stay. A cache holds a key after its rotation (`rotated`) or before it (`raw`, turned at each
// read); both give the same scores. ALiBi (Press et al., arXiv 2108.12409) turns nothing and adds
// slope[h] * (p_key - p_query) to the score instead.
//
// Not said here: which position a token has (position.hpp).
#pragma once
#include "cache.hpp"
#include "numerics.hpp"
#include "scalar.hpp"

namespace kv {

template <class R>
concept RopeNeedsAnEvenRotaryDim = Extent<R> && mayDivide<Nat<2>, R>;
template <class R, class D>
concept RotaryDimFitsTheHead = Extent<R> && Extent<D> && mayBeAtMost<R, D>;

/// `Table` answers cosine(p, i) and sine(p, i) for positions p >= 0 and planes i < R / 2.
template <class S, class Table, Extent R>
struct PositionLaw {
    RotaryLayout layout = RotaryLayout::none;
    KeyStorage storage = KeyStorage::rotated;
    R rotaryDim{};
    Table table{};
    Seq<S, Dyn> slopes{};  ///< ALiBi, one per query head; empty: no bias
};

template <class S>
struct Plane {
    S x, y;
};
/// Turns one plane by the angle of position `by`; a negative one turns back.
template <class S>
struct Rotation {
    template <class Table>
    static constexpr Plane<S> turn(Table const& table, std::size_t plane, Position by,
                                   Plane<S> const& v) {
        S const c = table.cosine(by < 0 ? -by : by, plane);
        S const s = table.sine(by < 0 ? -by : by, plane);
        if (by < 0) return {v.x * c + v.y * s, v.y * c - v.x * s};
        return {v.x * c - v.y * s, v.x * s + v.y * c};
    }
};

/// One head turned by the angle of position `by`.
template <class S, class Table, Extent R, Extent D>
    requires RopeNeedsAnEvenRotaryDim<R> && RotaryDimFitsTheHead<R, D>
constexpr Vec<S, D> rotate(PositionLaw<S, Table, R> const& law, Vec<S, D> head, Position by) {
    std::size_t const dim = law.rotaryDim;
    if (dim % 2 != 0) throw ShapeError("the rotary dim must be even");
    if (law.layout == RotaryLayout::none) return head;
    bool const halves = law.layout == RotaryLayout::halfSplit;
    for (std::size_t plane = 0; plane < dim / 2; ++plane) {
        std::size_t const first = halves ? plane : 2 * plane;
        std::size_t const second = halves ? plane + dim / 2 : 2 * plane + 1;
        auto const turned = Rotation<S>::turn(law.table, plane, by, {head[first], head[second]});
        head[first] = turned.x;
        head[second] = turned.y;
    }
    return head;
}
/// Every head of a row.
template <class S, class Table, Extent R, Extent G, Extent D>
    requires RopeNeedsAnEvenRotaryDim<R> && RotaryDimFitsTheHead<R, D>
constexpr Heads<S, G, D> rotateRow(PositionLaw<S, Table, R> const& law,
                                   Heads<S, G, D> const& row, Position by) {
    return tabulate(row.size(), [&](std::size_t h) { return rotate(law, row[h], by); });
}

/// What a raw query asks with: every head of it turned.
template <class S, class Table, Extent R, Extent H, Extent D>
    requires RopeNeedsAnEvenRotaryDim<R> && RotaryDimFitsTheHead<R, D>
constexpr Heads<S, H, D> turnedQuery(PositionLaw<S, Table, R> const& law,
                                     Heads<S, H, D> const& query, Position at) {
    return rotateRow(law, query, at);
}

/// What the cache holds of a raw key, and what attention reads of a held one.
constexpr auto storedKey(auto const& law, auto key, Position at) {
    if (law.storage == KeyStorage::rotated) key = rotateRow(law, key, at);
    return key;
}
constexpr auto seenKey(auto const& law, auto held, Position at) {
    if (law.storage == KeyStorage::raw) held = rotateRow(law, held, at);
    return held;
}

}  // namespace kv

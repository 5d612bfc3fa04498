// lift: hand a declaration and its f32 rows to the spec as exact numbers.
//
// An engine declares its layers as plain records and hands over plain floats. The spec wants a
// Layer and rows of scalars. This file is the bridge, and it decides nothing: each number of the
// declaration or of a row becomes the enclosure that holds it alone, each size an extent of the
// run.
//
//     layerOf(declaration, numerics)     the spec's layer: heads, scale, mask, position law
//     lift(row, {heads, dim}, numerics)  one row of one token, [heads][dim] floats
//     layerOf<float>, lift<float>        the same text in f32, where bits are compared
//
// Both readings of a declared rotation are here. `asWritten` fixes every rounding, so a turned key
// is one float; `contracted` leaves it open whether a product is fused into the sum, so a turned
// key is an interval.
//
// Not said here: which rows an engine holds (judge.hpp), what a recording says
// (oracle/verify.hpp).
#pragma once
#include "spec/attention.hpp"
#include "spec/enclosure.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace kv {

/// Turning by a declared rotation. It stands here and not in the spec, because only a declaration
/// says which of the two it is. `asWritten` needs f32: any other format is bounded.
template <>
struct Rotation<Enclosure> {
    template <class Table>
    static Plane<Enclosure> turn(Table const& table, std::size_t plane, Position by,
                                 Plane<Enclosure> const& v);
};

namespace properties {

/// Whether the declaration fixes each bit of a key that is turned. Otherwise its bits, and the sign
/// of a zero, are the engine's own.
constexpr bool fixesTurns(Numerics const& n) {
    return n.rotation == RotationRounding::asWritten && n.compute == precisions::f32;
}

/// The rotary table of a layer, read as exact numbers of type S (float or Enclosure). Copies share
/// it. An empty table belongs to a layer that does not rotate, or whose rows come from elsewhere.
template <class S>
class DeclaredTable {
   public:
    DeclaredTable() = default;
    /// Both refer to `numerics`, which must outlive every number that is read here.
    DeclaredTable(LayerDeclaration const& layer, Numerics const& numerics)
        : DeclaredTable({layer.cosine, layer.sine, layer.rotaryDim / 2}, numerics) {}

    /// [positions][planes] each.
    struct Columns {
        std::vector<float> cosine, sine;
        std::size_t planes = 0;
    };
    DeclaredTable(Columns columns, Numerics const& numerics)
        : columns_(std::make_shared<Columns const>(std::move(columns))), numerics_(&numerics) {}

    /// Throw std::out_of_range for a position or plane that is not in the table.
    S cosine(Position position, std::size_t plane) const {
        return number(columns_->cosine, position, plane);
    }
    S sine(Position position, std::size_t plane) const {
        return number(columns_->sine, position, plane);
    }

   private:
    S number(std::vector<float> const& column, Position position, std::size_t plane) const;

    std::shared_ptr<Columns const> columns_ = std::make_shared<Columns const>();
    Numerics const* numerics_ = &numericsF32;
};

/// A float as a scalar of type S, nothing added.
template <class S>
S liftNumber(float x, Numerics const& numerics) {
    if constexpr (std::same_as<S, Enclosure>)
        return exactly(double(x), numerics);
    else
        return S(x);
}
template <class S>
S liftNumber(float x, Numerics const&& numerics) = delete;

/// The spec's layer over S with every length a number of the run.
template <class S>
using LayerOver = Layer<S, Dyn, Dyn, Dyn, Dyn, Window<Dyn, Dyn, Dyn>,
                        PositionLaw<S, DeclaredTable<S>, Dyn>>;
using LiftedLayer = LayerOver<Enclosure>;
using LiftedHeads = Heads<Enclosure, Dyn, Dyn>;

/// The layer that a declaration describes, to be computed with S. `numerics` must outlive it.
template <class S = Enclosure>
LayerOver<S> layerOf(LayerDeclaration const& d, Numerics const& numerics) {
    LayerOver<S> layer{.queryHeads = d.queryHeads,
                       .kvHeads = d.kvHeads,
                       .keyDim = d.keyDim,
                       .valueDim = d.valueDim,
                       .scale = {},
                       .mask = {.keys = d.window, .sinks = d.sinks, .chunk = d.chunk.value_or(0)},
                       .position = {.layout = d.rotaryLayout,
                                    .storage = d.keyStorage,
                                    .rotaryDim = d.rotaryDim,
                                    .table = {d, numerics},
                                    .slopes = {}},
                       .sinkLogits = {}};
    if constexpr (std::same_as<S, Enclosure>)
        layer.scale = exactly(d.scale, numerics);
    else
        layer.scale = S(d.scale);
    layer.position.slopes = tabulate(
        d.slopes.size(), [&](std::size_t h) { return liftNumber<S>(d.slopes[h], numerics); });
    if (d.sinkLogits)
        layer.sinkLogits = tabulate(d.sinkLogits->size(), [&](std::size_t h) {
            return liftNumber<S>((*d.sinkLogits)[h], numerics);
        });
    return layer;
}
template <class S = Enclosure>
LayerOver<S> layerOf(LayerDeclaration const&, Numerics const&&) = delete;

/// The shape of one row.
struct RowShape {
    std::size_t heads = 0;
    std::size_t dim = 0;
    constexpr std::size_t size() const { return heads * dim; }
};

/// One row, [heads][dim]. Throws ShapeError for a row of another size. `numerics` must outlive it.
template <class S = Enclosure>
Heads<S, Dyn, Dyn> lift(std::span<float const> row, RowShape shape, Numerics const& numerics) {
    if (row.size() != shape.size())
        throw ShapeError("a row holds heads times dim numbers");
    return tabulate(shape.heads, [&](std::size_t h) {
        return tabulate(shape.dim, [&](std::size_t d) {
            return liftNumber<S>(row[h * shape.dim + d], numerics);
        });
    });
}
template <class S = Enclosure>
Heads<S, Dyn, Dyn> lift(std::span<float const>, RowShape, Numerics const&&) = delete;

/// The way back: a number for each scalar of a row.
template <class S, class Number = std::identity>
std::vector<float> flat(Heads<S, Dyn, Dyn> const& heads, Number number = {}) {
    std::vector<float> row;
    for (std::size_t h = 0; h < heads.size(); ++h)
        for (std::size_t d = 0; d < heads[h].size(); ++d) row.push_back(number(heads[h][d]));
    return row;
}

/// Row `index` of many, [rows][heads][dim].
inline std::span<float const> rowAt(std::span<float const> rows, RowShape shape,
                                    std::size_t index) {
    return rows.subspan(index * shape.size(), shape.size());
}

template <class S>
S DeclaredTable<S>::number(std::vector<float> const& column, Position position,
                           std::size_t plane) const {
    if (plane >= columns_->planes || position < 0)
        throw std::out_of_range("the rotary table has no such position or plane");
    return liftNumber<S>(column.at(std::size_t(position) * columns_->planes + plane), *numerics_);
}

}  // namespace properties

namespace detail {
/// Two products and one sum, each rounded to f32; a negative sine turns back.
inline Plane<float> turnInF32(Plane<float> const& cosineSine, Plane<float> const& v) {
    auto const [c, s] = cosineSine;
    return {v.x * c - v.y * s, v.x * s + v.y * c};
}
inline Plane<float> inF32(Enclosure const& x, Enclosure const& y) {
    return {static_cast<float>(x.center), static_cast<float>(y.center)};
}
}  // namespace detail

template <class Table>
Plane<Enclosure> Rotation<Enclosure>::turn(Table const& table, std::size_t plane, Position by,
                                           Plane<Enclosure> const& v) {
    Enclosure const c = table.cosine(by < 0 ? -by : by, plane);
    Enclosure s = table.sine(by < 0 ? -by : by, plane);
    if (by < 0)
        s.center = -s.center;
    Numerics const& n = *detail::shared(c, v.x);
    bool const isNumber = v.x.radius == 0 && v.y.radius == 0 && c.radius == 0 && s.radius == 0;
    if (isNumber && properties::fixesTurns(n)) {
        auto const turned = detail::turnInF32(detail::inF32(c, s), detail::inF32(v.x, v.y));
        return {exactly(double(turned.x), n), exactly(double(turned.y), n)};
    }
    return {v.x * c - v.y * s, v.x * s + v.y * c};
}

}  // namespace kv

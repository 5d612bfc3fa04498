// storing: hold the rows of the spec as a declaration stores them.
//
// The spec's rows are exact numbers, or intervals where the declaration leaves open how a key is
// turned. What stands in a cache is one or the other again, once they went through the declared
// format:
//
//     f32                         the row as it came
//     another format, exact row   the dequantised row, exact, and its codes
//     the same, an open key       the interval between the images of both ends, if the codec is
//                                 monotone: no computed scale. Otherwise nothing is known of it.
//
// A shift turns what was read and stores it again. Where nothing turns (no shift at all, a group of
// components behind the rotary ones) an engine may as well leave the codes; that row is known if
// both come to the same.
//
// Not said here: what a format does to a row (spec/storage.hpp).
#pragma once
#include "lift.hpp"
#include "spec/storage.hpp"

#include <optional>
#include <vector>

namespace kv::properties {

/// The keys, or the values, of one token in one layer, as its cache holds them.
struct HeldRow {
    std::vector<float> read;           ///< what a reader gets; of an open row, the centers
    LiftedHeads exact;                 ///< the same as exact numbers, or intervals
    std::optional<Quantized> codes{};  ///< of a row whose format has codes and which is not open
    bool isOpen = false;               ///< the declaration does not fix its bits
    bool isUndefined = false;          ///< nor any bound of them
    bool isFinite = true;              ///< each number of it
    bool hasOpenZeros = false;         ///< it was turned: of a zero the sign is the engine's own
    /// Whether attention over it is defined.
    bool isReadable() const { return !isUndefined && isFinite; }
};

/// What the format of a layer's keys, or of its values, makes of rows. What it refers to must
/// outlive it.
class Storage {
   public:
    Storage(StoredFormat const& format, RowShape shape, Numerics const& numerics)
        : format_(&format), shape_(shape), numerics_(&numerics) {}

    /// A row that comes from outside; `isOpen` if its bits are the engine's own.
    HeldRow held(LiftedHeads const& row, bool isOpen = false) const;
    /// A row that was held, then turned; `turns` tells which components of a head did.
    template <class Turns>
    HeldRow heldAgain(HeldRow const& before, LiftedHeads const& turned, Turns turns) const {
        HeldRow after = held(turned, before.isOpen);
        after.isUndefined = after.isUndefined || before.isUndefined;
        for (std::size_t i = 0; !after.isUndefined && i < after.read.size(); i += together())
            after.isUndefined = !anyTurns(i, turns) && !isSame(before, after, i);
        return after;
    }

    /// Elements that share a scale.
    std::size_t group() const {
        return isConverted(*format_) ? groupLength(*format_, shape_.heads, shape_.dim)
                                     : shape_.size();
    }
    StoredFormat const& format() const { return *format_; }
    RowShape shape() const { return shape_; }

   private:
    /// Elements whose codes depend on each other.
    std::size_t together() const {
        return isConverted(*format_) ? togetherLength(*format_, shape_.heads, shape_.dim)
                                     : group();
    }
    template <class Turns>
    bool anyTurns(std::size_t first, Turns turns) const {
        for (std::size_t i = first; i < first + together(); ++i)
            if (turns(i % shape_.dim)) return true;
        return !isConverted(*format_);
    }
    /// Those that begin at `first`.
    bool isSame(HeldRow const& a, HeldRow const& b, std::size_t first) const;
    HeldRow between(std::vector<float> const& low, std::vector<float> const& high) const;

    StoredFormat const* format_;
    RowShape shape_;
    Numerics const* numerics_;
};

/// Whether a key is turned before it is stored.
inline bool storesTurned(LayerDeclaration const& d) {
    return d.rotaryLayout != RotaryLayout::none && d.keyStorage == KeyStorage::rotated;
}
/// Whether the declaration then leaves open how.
inline bool leavesTurnsOpen(LayerDeclaration const& d, Numerics const& numerics) {
    return storesTurned(d) && !fixesTurns(numerics);
}
/// Whether a turned key is converted when it is stored; to turn it again is then no more exact.
inline bool convertsTurned(LayerDeclaration const& d) {
    return storesTurned(d) && isConverted(d.keyFormat);
}

inline Storage keyStorageOf(LayerDeclaration const& d, Numerics const& numerics) {
    return {d.keyFormat, {d.kvHeads, d.keyDim}, numerics};
}
inline Storage valueStorageOf(LayerDeclaration const& d, Numerics const& numerics) {
    return {d.valueFormat, {d.kvHeads, d.valueDim}, numerics};
}
/// What becomes of a turned query before it meets a key; it is stored nowhere.
inline Storage queryStorageOf(LayerDeclaration const& d, Numerics const& numerics) {
    return {d.queryFormat, {d.queryHeads, d.keyDim}, numerics};
}
/// Whether the declaration leaves open how queries turn.
inline bool leavesQueriesOpen(LayerDeclaration const& d, Numerics const& numerics) {
    return d.rotaryLayout != RotaryLayout::none && !fixesTurns(numerics);
}
Storage queryStorageOf(LayerDeclaration const&, Numerics const&&) = delete;
Storage keyStorageOf(LayerDeclaration const&, Numerics const&&) = delete;
Storage valueStorageOf(LayerDeclaration const&, Numerics const&&) = delete;

/// The position law of a layer whose keys are stored after they turn: to turn a key is to store it
/// again. Queries, which nobody stores, are converted after they turn, where a format is declared.
struct StoringLaw : PositionLaw<Enclosure, DeclaredTable<Enclosure>, Dyn> {
    Storage const* keys = nullptr;  ///< nothing: a turned key is held as it is
    bool isOpen = false;
    Storage const* queries = nullptr;  ///< nothing: a turned query asks as it is
    bool opensQueries = false;         ///< the bits of a turned query are the engine's own
};
/// Throw NoStoredRow where the declaration gives no row.
LiftedHeads rotateRow(StoringLaw const& law, LiftedHeads const& row, Position by);
LiftedHeads turnedQuery(StoringLaw const& law, LiftedHeads const& query, Position at);

/// The spec's layer over exact numbers, with rows as they are stored.
using StoringLayer = Layer<Enclosure, Dyn, Dyn, Dyn, Dyn, Window<Dyn, Dyn, Dyn>, StoringLaw>;
/// The layer of a declaration; what it refers to must outlive it. No `keys`: keys that turn are
/// stored elsewhere.
inline StoringLayer storingLayer(LayerDeclaration const& d, Numerics const& numerics,
                                 Storage const* keys, Storage const* queries) {
    auto const plain = layerOf(d, numerics);
    return {.queryHeads = plain.queryHeads,
            .kvHeads = plain.kvHeads,
            .keyDim = plain.keyDim,
            .valueDim = plain.valueDim,
            .scale = plain.scale,
            .mask = plain.mask,
            .position = {plain.position, convertsTurned(d) ? keys : nullptr,
                         leavesTurnsOpen(d, numerics),
                         isConverted(d.queryFormat) ? queries : nullptr,
                         leavesQueriesOpen(d, numerics)},
            .sinkLogits = plain.sinkLogits};
}

struct NoStoredRow : std::runtime_error {
    NoStoredRow()
        : std::runtime_error("the declared format has no finite codes for these rows") {}
};

}  // namespace kv::properties

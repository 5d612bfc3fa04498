// saved: keep a copy of a sequence outside of the cache.
//
// A copy owes nothing to the storage that it was taken from. It holds the rows that a layer holds,
// oldest first and token by token, so that a sequence comes back into whatever blocks, slots or
// turns of a ring are free then.
//
//     positions  [row]
//     keys       [row][kvHead][keyDim]       as stored: rotated or raw
//     values     [row][kvHead][valueDim]
//
// The memory of a copy is its own, taken when it is saved. Not said here: which rows a layer holds
// (layer.hpp), when they are saved (contiguous.hpp, paged.hpp).
#pragma once
#include "decisions.hpp"
#include "storage.hpp"

#include <concepts>
#include <vector>

namespace kv::impl {

/// The rows of one layer.
struct SavedLayer {
    std::size_t firstRow = 0;  ///< of the sequence, when it was saved
    std::vector<std::int64_t> positions{};
    std::vector<float> keys{}, values{};

    std::size_t rows() const { return positions.size(); }

    /// Room for so many rows, to be read into.
    RowsOut roomFor(LayerShape const& shape, std::size_t rows) {
        positions.resize(rows);
        keys.resize(rows * shape.kvHeads * shape.keyDim);
        values.resize(rows * shape.kvHeads * shape.valueDim);
        return {positions, keys, values};
    }
};

struct SavedSequence {
    bool isThere = false;
    std::vector<std::int64_t> positions{};  ///< of all rows, of those that rings have lost too
    std::int64_t next = 0;                  ///< position of the token that would be appended
    std::vector<SavedLayer> layers{};

    std::size_t length() const { return positions.size(); }
};

/// Writes one row of a copy to this place.
template <std::derived_from<Standard> Decisions>
void restoreRow(Storage& to, Spot spot, SavedLayer const& from, std::size_t row) {
    LayerShape const& shape = to.shape();
    to.setPosition(spot, from.positions[row]);
    for (std::size_t head = 0; head < shape.kvHeads; ++head) {
        std::size_t const place = Decisions::placeInCopy(
            {.row = row, .rows = from.rows(), .head = head, .heads = shape.kvHeads});
        to.writeHead(spot, head,
                     {std::span(from.keys).subspan(place * shape.keyDim, shape.keyDim),
                      std::span(from.values).subspan(place * shape.valueDim, shape.valueDim)});
    }
}

}  // namespace kv::impl

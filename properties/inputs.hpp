// inputs: which lengths and values are worth trying on an engine.
//
// Painted first, then swept, then sampled. Lengths are all small ones and every boundary of the
// declaration with its neighbors: a window, a ring, the capacity. Each stem's header says which of
// them its laws need, and keeps everything else out of the picture, so that a law breaks for its
// own reason: a law about forks is tried inside the window and with equal heads.
#pragma once
#include "spec/numerics.hpp"
#include "values.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace kv::properties {

struct Inputs {
    std::vector<std::size_t> lengths;  ///< of the past, before the tokens that a claim adds
    std::vector<Family> families;
    HeadContent heads = HeadContent::distinct;
    std::string why{};  ///< where there is no length: why the law says nothing of such a layer
};

/// One layer of a declaration, and how many rows a sequence can hold.
struct LayerDomain {
    LayerDeclaration const& layer;
    std::size_t capacity;
    std::size_t blockRows = 0;  ///< of the pool; 0 where none is declared
    /// Lengths at which blocks are full; none where no pool is declared.
    std::vector<std::size_t> blockEnds() const {
        if (blockRows == 0) return {};
        return {blockRows, 2 * blockRows};
    }
    /// So many rows that a window one key too narrow would still show them all.
    std::size_t insideWindow() const {
        std::size_t const shown = layer.chunk.value_or(layer.window);
        return shown == 0 ? capacity : std::min(capacity, shown - 1);
    }
};

/// 0 .. 4 and each boundary - 1, boundary, boundary + 1, as far as they stay at most `most`.
inline std::vector<std::size_t> lengthsUpTo(std::size_t most,
                                            std::vector<std::size_t> const& boundaries = {}) {
    std::vector<std::size_t> all{0, 1, 2, 3, 4, most};
    for (std::size_t b : boundaries)
        for (std::size_t n : {b + 1, b, b == 0 ? 0 : b - 1}) all.push_back(n);
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    std::erase_if(all, [&](std::size_t n) { return n > most; });
    return all;
}

/// Room that a claim which stores `more` tokens behind its past leaves for that past.
inline std::size_t roomFor(std::size_t more, std::size_t rows) {
    return rows > more ? rows - more : 0;
}

}  // namespace kv::properties

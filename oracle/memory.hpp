// memory: say how many bytes a declared cache takes, layer by layer.
//
// The sizes come from an engine that the command knows, from the header of a trace, or from what
// was typed; the count is that of spec/memory.hpp. Layers that are alike form a group.
//
// Not said here: what a running engine has allocated. These are the bytes that its declaration
// comes to.
#pragma once
#include "oracle/json.hpp"
#include "spec/memory.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace kv::oracle {

/// The most layers that may be typed. No model comes near it.
inline constexpr std::size_t mostLayers = std::size_t{1} << 16;

/// What was typed. Sizes are counts; what is left out is told by the declaration of `of`.
struct MemoryQuery {
    std::string of;  ///< an engine or a trace; empty: plain sizes
    std::optional<std::size_t> layers, kvHeads, headDim, valueDim, retained, sinks;
    std::string format, valuesFormat, codecRow;  ///< names of codecs; head or token
    std::optional<std::size_t> sequences, length;
    std::optional<std::size_t> blockRows;  ///< left out: of the declared pool, or 1
    std::size_t alignment = 1;
};

/// Layers that take the same. In bytes.
struct LayerGroup {
    std::vector<std::size_t> layers;  ///< their numbers in the model, ascending
    LayerDeclaration like;
    Bytes heldRows = 0;     ///< of one sequence
    Bytes tokenBytes = 0;   ///< of one layer
    Bytes sharedBytes = 0;  ///< of one layer
    Bytes layerBytes = 0;   ///< of one layer
    Bytes bytes = 0;        ///< of all of them
};

/// One declaration. In bytes.
struct MemoryReport {
    std::string of;
    Holding holding;
    std::vector<LayerGroup> groups;  ///< in the order of their first layers
    Bytes total = 0;
};

/// One report for a trace or for plain sizes; for an engine one for each shape that a check tries.
/// Throws BadArgument or BadInput for what cannot be meant, for groups that do not divide a row,
/// and for a number of bytes beyond 64 bits.
std::vector<MemoryReport> memoryFor(MemoryQuery const& query);

std::string print(std::vector<MemoryReport> const& all);
/// "kvspec-memory" is the version of this layout.
OrderedJson toJson(std::vector<MemoryReport> const& all);

}  // namespace kv::oracle

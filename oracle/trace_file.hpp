// trace_file: keep a counterexample or a recording in a file that anybody can write.
//
// A trace file is JSON lines in UTF-8. The first line is the header: the format's name and version,
// the declaration of the engine, and where values come from. Each further line is one verb:
//
//     {"kvspec-trace":1,"kind":"counterexample","declaration":{...},"law":"","values":{...}}
//     {"verb":"append","sequence":0,"count":2}
//     {"verb":"observe","sequence":0}
//
// A *counterexample* is what the judge did to an engine: at least one verb, small integers and a
// family of values from which `replay` rebuilds every row. A *recording* is what a real engine did
// to its own cache: per update and layer the names of tensors in a safetensors file that lies
// beside the trace. A recording may lack any tensor; `verify` says which laws each missing one
// costs. But the file of tensors may hold none that the trace does not name, since otherwise a
// trace that was cut behind some line would pass for a shorter one.
//
// The rows of cosines and sines that turned the tokens are recorded as the engine used them. Two
// more keys of the header say which rows are right:
//
//     "frequencies":"NAME"  or  ["NAME",null,...]    radians per position, one number per plane
//     "attentionFactor":1.5  or  [1.5,1,...]         multiplies cosines and sines; 1 if missing
//     cosine[i][p] = factor * cos(position(i) * frequency[p]), and sine alike
//
// One name or number serves all recorded layers; a list has one for each, and null where a layer
// does not rotate or its frequencies are not known. The factor is what YaRN (Peng et al., arXiv
// 2309.00071, section 3.4) and longrope make of the temperature of attention; transformers calls it
// attention_scaling.
//
// A file is read completely or refused with a BadInput that names the line.
//
// Not said here: how a declaration or a float is spelled (json.hpp), how tensors are stored
// (safetensors.hpp), which declarations contradict themselves (properties/declaration.hpp).
#pragma once
#include "oracle/json.hpp"
#include "oracle/safetensors.hpp"
#include "properties/check.hpp"
#include "properties/trace.hpp"
#include "spec/numerics.hpp"

#include <boost/hana.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kv::oracle {

/// The version that this reader reads and this writer writes.
inline constexpr std::size_t traceVersion = 1;
/// The most elements (keys, values and queries of all layers) that one line may hand over: 1 GiB.
inline constexpr std::size_t largestStep = std::size_t{1} << 28;
/// The most stored elements (sequences x capacity x rows of all layers) of an engine that a
/// counterexample describes, so that a replay asks for no more memory than 16 GiB.
inline constexpr std::size_t largestEngine = std::size_t{1} << 32;

/// What a header's "fill" says; a header without it means the loudest that is allowed.
template <>
inline constexpr std::array<Spelling<properties::Fill>, 3> everySpelling<properties::Fill>{
    {{properties::Fill::poison, "poison"},
     {properties::Fill::zero, "zero"},
     {properties::Fill::loud, "loud"}}};

/// What the judge did to an engine, and the theorem that broke.
struct CounterexampleFile {
    Declaration declaration;
    std::string law;  ///< empty where it is not known
    properties::Trace trace;
    properties::Fill fill = properties::Fill::loud;  ///< of storage that was never written
    friend bool operator==(CounterexampleFile const&, CounterexampleFile const&) = default;
};

/// What one layer did in one update of n tokens: names of tensors, or digests of tensors.
/// planes = rotaryDim / 2. A row of cosines or sines has a number per plane, or one per component
/// of the part that rotates or of the whole head: there both components of a plane, which stand
/// where rotaryLayout says, carry the same number, and what does not rotate is not read.
struct LayerTensors {
    using Name = std::optional<std::string>;
    BOOST_HANA_DEFINE_STRUCT(LayerTensors,              //
                             (Name, queryRaw),          // [n, queryHeads, keyDim] before rotation
                             (Name, query),             // the same after rotation
                             (Name, keyRaw),            // [n, kvHeads, keyDim] before rotation
                             (Name, key),               // the same after rotation
                             (Name, value),             // [n, kvHeads, valueDim]
                             (Name, cosine),            // [n, planes or rotaryDim or keyDim]
                             (Name, sine),              // the same shape
                             (Name, cacheKey),          // [rows, kvHeads, keyDim] after the update
                             (Name, cacheValue),        // [rows, kvHeads, valueDim]
                             (Name, cacheKeySha256),    // sha256HexOfFloats of what cacheKey is
                             (Name, cacheValueSha256),  //
                             (Name, output));           // [n, queryHeads, valueDim]
    friend bool operator==(LayerTensors const&, LayerTensors const&) = default;
};

/// What a real engine did. `declaration.layers` are the recorded layers; their cosine and sine
/// tables are empty, since positions are read from the tensors.
struct RecordingFile {
    struct Update {
        Verb verb = Verb::append;  ///< prefill or append
        std::size_t sequence = 0;
        std::size_t count = 0;             ///< n, at least 1
        std::vector<LayerTensors> layers;  ///< one per recorded layer
        std::size_t line = 0;              ///< of the trace file
        friend bool operator==(Update const&, Update const&) = default;
    };
    std::string file;  ///< the name it was read under, for messages
    Declaration declaration;
    std::vector<std::size_t> layerIndices;  ///< of each recorded layer in the model, ascending
    std::string tensors;                    ///< file name of the tensors, beside the trace
    std::string model;                      ///< free text
    std::string note;                       ///< free text
    /// Per recorded layer the tensor [planes], radians per position; empty: no layer has one.
    std::vector<LayerTensors::Name> frequencies;
    /// Per recorded layer, of its cosines and sines; finite and positive. Empty: all are 1.
    std::vector<double> attentionFactors;
    std::vector<Update> updates;  ///< at least one
    friend bool operator==(RecordingFile const&, RecordingFile const&) = default;
};

using TraceFile = std::variant<CounterexampleFile, RecordingFile>;

/// Both throw BadInput unless the whole file is a valid trace of version 1.
TraceFile readTrace(std::filesystem::path const& path);
/// The same for a text; `name` stands for the file in messages.
TraceFile parseTrace(std::string_view text, std::string_view name);

/// The text of a file, last newline included. parseTrace reads it back equal (a recording: apart
/// from `file`, and with the line numbers of this text). Fields that a verb or a family does not
/// use are not written. Throws std::invalid_argument, with the reader's complaint, for a value that
/// parseTrace would refuse.
std::string writeTrace(CounterexampleFile const& file);
std::string writeTrace(RecordingFile const& file);

/// Throws BadInput, at the line of the trace, unless every tensor that the recording names is in
/// `tensors` as F32 with the shape it must have, and every tensor there is named. How many rows
/// cacheKey and cacheValue have is the engine's answer and not checked here.
void checkTensors(RecordingFile const& recording, SafeTensors const& tensors);

}  // namespace kv::oracle

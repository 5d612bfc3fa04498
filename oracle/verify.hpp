// verify: hold a recording of a real engine against the spec.
//
// Nobody drives the engine here. It ran on its own, somebody wrote down what its cache was given
// and what it answered, and this file asks whether that can be right. For every update, every
// recorded layer and every head:
//
//     the cache after it = the rows before ++ the rows of this update     bits, or their digest
//                          in the declared format, as a reader gets them
//     key = rotate(keyRaw, row), query = rotate(queryRaw, row)            bits, or an interval
//     row = factor * (cos, sin)(position * frequency), and of no other    an interval
//     output = attention of the query over the rows that it may see       an interval
//
// The right sides are computed by the text of the spec: rotateRow and attendRows, in f32 and in
// enclosures. No tolerance is chosen; each interval follows from the declared numerics. An interval
// that is as wide as the data proves nothing, and is called vacuous, not held.
//
// A violation names the place, and what happened there as far as a search over plain accidents can
// tell: rows swapped, doubled, missing or stale, heads swapped, a window too short, one bit.
//
// Every tensor of a recording is optional. What is missing costs laws, and the report says which,
// and whether the rest could have shown a wrong cache (reachesEnough).
//
// Not said here: how a recording is written (trace_file.hpp), laws about verbs that a recording
// does not have (rollback, fork, evict, shift, reset, refusals).
#pragma once
#include "oracle/json.hpp"
#include "oracle/safetensors.hpp"
#include "oracle/trace_file.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kv::oracle {

struct VerifyOptions {
    std::string command = "kvspec verify";  ///< what a person types before the trace's name
};

enum class VerifyOutcome : std::uint8_t {
    held,          ///< at every place where the tensors are there
    violated,      ///<
    vacuous,       ///< not violated, but some interval is as wide as the data
    notReachable,  ///< no place has the tensors that the law needs
};
template <>
inline constexpr std::array<Spelling<VerifyOutcome>, 4> everySpelling<VerifyOutcome>{
    {{VerifyOutcome::held, "held"},
     {VerifyOutcome::violated, "violated"},
     {VerifyOutcome::vacuous, "vacuous"},
     {VerifyOutcome::notReachable, "not reachable"}}};

/// Where in a recording. What does not apply is empty: a length has no head.
struct RecordedPlace {
    std::size_t step = 0;                  ///< index of the update, from 0
    std::size_t line = 0;                  ///< of the trace file
    std::size_t sequence = 0;
    std::size_t layer = 0;                 ///< index in the model
    std::optional<std::size_t> row;        ///< of the read-back, or else the token's, from 0
    std::optional<std::size_t> head;       ///< kv head of a row, query head of a query or output
    std::optional<std::size_t> component;  ///< of the head; for a rotary row, the plane
    std::string tensor;                    ///< name in the tensor file, or the key in the trace
    friend bool operator==(RecordedPlace const&, RecordedPlace const&) = default;
};

struct RecordedViolation {
    RecordedPlace place;
    std::string what;  ///< what happened, as far as it can be told
    std::string got, want;
};

/// How wide an interval is: its half-width, also in units of the root mean square of the recorded
/// outputs of the same layer and head.
struct Width {
    double radius = 0;
    double relative = 0;
    std::optional<RecordedPlace> place;  ///< empty: no interval was computed
};

/// What the recording says about one law. A place of a law is one update in one layer.
struct VerifiedLaw {
    std::string name, sentence;
    VerifyOutcome outcome = VerifyOutcome::notReachable;
    std::size_t places = 0;                      ///< at which it could be checked, were all there
    std::size_t reached = 0;                     ///< at which it was checked
    std::map<std::string, std::size_t> missing;  ///< tensor: places that its absence cost
    std::size_t violations = 0;                  ///< places at which it broke
    std::optional<RecordedViolation> first;      ///< in the order of the trace
    std::string note;                            ///< why it has no place, or what it leaves open
};

struct VerifyReport {
    std::string trace, tensors, engine, model, command;
    std::size_t steps = 0, tokens = 0, layers = 0, heads = 0;  ///< heads: query heads of all layers
    std::size_t bitwise = 0;   ///< numbers compared bit for bit, those behind a digest included
    std::size_t interval = 0;  ///< numbers compared with an interval
    Width widest;              ///< of the attention outputs
    std::vector<VerifiedLaw> laws;

    /// No law is violated or vacuous, and at least one is held.
    bool holds() const;
    /// The recording could have shown a wrong cache: the newest key, the newest value and the rows
    /// before them were compared somewhere, and so was an output. Otherwise that it holds says
    /// little.
    bool reachesEnough() const;
    VerifiedLaw const* find(std::string_view law) const;
};

/// Throws BadInput where the tensors do not fit the trace (checkTensors), or a sequence grows
/// beyond the declared capacity or 65,536 tokens, or raw keys are stored in another format than f32
/// and turn when they are read.
VerifyReport verify(RecordingFile const& recording, SafeTensors const& tensors,
                    VerifyOptions const& options = {});

/// For a person at a terminal; the last line is the verdict.
std::string print(VerifyReport const& report);
/// One violation in five lines: the sentence; where; got and want; trace and tensor; the command.
std::string print(VerifyReport const& report, VerifiedLaw const& law);
OrderedJson toJson(VerifyReport const& report);

}  // namespace kv::oracle

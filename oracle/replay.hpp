// replay: keep a violation in a file, and show it again from that file.
//
// A saved trace carries all that a verdict needs: the declaration, under whose name the engine is
// found again, what fills fresh storage, the verbs, and the family and seed of the values (or the
// values themselves). Replaying it judges the trace anew, so it says what the engine does now.
//
// Not said here: the format of the file (trace_file.hpp).
#pragma once
#include "oracle/trace_file.hpp"
#include "properties/check.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kv::oracle {

/// "bugs/slot_reused", "appendKV_prefix" -> "bugs-slot_reused-appendKV_prefix.trace": letters,
/// digits, '_' and '.' stay, every other character becomes '-'.
std::string traceFileName(std::string_view engine, std::string_view law);

/// Writes the trace of a violation to `directory`, which is made if it is missing, under
/// traceFileName(engine, label). Returns the path. Throws std::runtime_error where it cannot.
std::filesystem::path saveTrace(std::filesystem::path const& directory, std::string_view label,
                                properties::Violation const& violation,
                                properties::Setup const& setup);

/// What a shell must be given: "kvspec replay FILE".
std::string replayCommand(std::filesystem::path const& file);

struct Replay {
    std::optional<properties::Violation> violation;  ///< under its most specific law
    properties::Coverage coverage;
};

/// Judges the trace on a fresh engine of the candidate that declaration.engine names, and names a
/// violation as check does. Throws BadInput, at the header of `name`, where there is no such
/// candidate or its engine cannot be built.
Replay replay(CounterexampleFile const& file, std::string_view name,
              std::vector<properties::Candidate> const& candidates);

/// The five lines, or what was looked at and held. `path` is the file that was replayed.
std::string printReplay(Replay const& replay, CounterexampleFile const& file,
                        std::filesystem::path const& path);

}  // namespace kv::oracle

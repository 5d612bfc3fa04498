// report: say what a check found, to a person, to a program and to a CI server.
//
// Each law ends in one of six outcomes, never in a bare "passed": held on what was tried, refused
// by the engine, not reachable on it, violated; undefined or vacuous where the declaration leaves
// the answers open. Beside them stands how each was judged, and what the run could have shown: the
// share of the zoo's bugs in its reach, and how often each pair of verbs came up.
//
// A violation is five lines: the law; where it broke; got and want, and which instrument says so;
// the shortest trace that shows it; the command that shows it again.
//
//     VIOLATED rollback_append: a rollback undoes appends
//       where  verb 2 of 3, observe(s0): sequence 0, length
//       got    2   want 1   (exact: one answer is right, bit for bit)
//       trace  append(s0, 2) rollback(s0, to 1) observe(s0)  [3 verbs, painted values]
//       again  kvspec replay kvspec-out/ENGINE-rollback_append.trace
//
// Not said here: how a verdict is reached (properties/judge.hpp), how it is kept (replay.hpp).
#pragma once
#include "oracle/json.hpp"
#include "properties/check.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kv::oracle {

/// What a check returned and what it had been asked for.
struct CheckRun {
    properties::CheckReport report;
    std::vector<Verb> verbs;  ///< that the engine offers
    std::size_t cases = 0;    ///< asked for; fewer were tried if a budget ended or a law broke
    std::string law;          ///< the only law that was asked; empty: all, and random traces
    std::size_t require = 0;  ///< percent of the zoo's bugs that the run must have in reach
    std::string again;        ///< the command that shows the violation again
    bool power = false;       ///< whether the text lists the zoo, bug by bug
};

/// What the command's exit code says.
enum class Exit : std::uint8_t {
    held = 0,
    violated = 1,
    badInput = 2,  ///< or usage
    tooLittle = 3  ///< not violated, but no law was held or too few bugs were in reach
};
Exit exitOf(CheckRun const& run);

/// Which counts of ordered pairs of verbs a report prints.
enum class Pairs : std::uint8_t { smallest, all };

/// The whole report as text.
std::string printReport(CheckRun const& run, Pairs pairs);
/// The five lines of one violation. `again` is the command that shows it again.
std::string printVerdict(properties::Violation const& violation, std::string const& again);

/// Everything in the report; "kvspec-report" is the version of this layout.
OrderedJson reportToJson(CheckRun const& run);
/// JUnit's XML: one testcase per law, a failure with the five lines, skipped where a law has
/// neither held nor failed.
std::string reportToJunit(CheckRun const& run);

/// The text as it may stand in XML 1.0, in an attribute or between tags. What XML cannot hold
/// (control characters, bytes that are no UTF-8) becomes '?'.
std::string xmlEscaped(std::string_view text);

}  // namespace kv::oracle

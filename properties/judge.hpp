// judge: drive a live engine beside the spec.
//
// This is the only file in which engines and the spec meet. It does two things. It runs a trace on
// an engine and, step by step, on the spec, and reports the first answer that the engine's
// declaration does not allow. And it makes an engine a subject (spec/subject.hpp), so that every
// claim of the registry can be put to it directly; the first one that breaks, in the order of the
// registry, is the most specific name for what went wrong.
//
// Read-backs are compared bit for bit. Outputs are compared with the certified enclosure of the
// spec; on probe values that enclosure holds exactly one float, and then the verdict is exact.
#pragma once
#include "engine.hpp"
#include "play.hpp"
#include "spec/ball.hpp"
#include "state.hpp"
#include "trace.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kv::properties {

/// A new engine, empty, as often as asked.
using MakeEngine = std::function<std::unique_ptr<AnyEngine>()>;

enum class Instrument : std::uint8_t {
    exact,       ///< one float was right, or bits were compared
    bounded,     ///< the answer lies outside of the certified interval
    permission,  ///< the engine accepted what it must refuse, or refused what it must accept
    metamorphic  ///< two answers differ that are the same by declaration; no oracle is asked
};

/// One answer that the declaration does not allow.
struct Violation {
    std::string law;       ///< name of the law that breaks
    std::string sentence;  ///< of that law
    Instrument instrument{};
    std::size_t step = 0;  ///< index of the step whose answer it was
    std::string where;     ///< sequence, layer, row or query head, component
    std::string got;
    std::string want;
    Trace trace;
};

/// What a run has looked at; added up over cases.
struct Coverage {
    std::size_t cases = 0, steps = 0, refusals = 0;
    std::size_t casesWithProbe = 0;  ///< in which an output had exactly one right float
    std::size_t outputs = 0, exactOutputs = 0, rows = 0;
    std::size_t vacuousOutputs = 0;    ///< interval wider than the values it averages
    std::size_t undefinedOutputs = 0;  ///< the declared arithmetic may have overflowed
    std::size_t undefinedRows = 0;     ///< keys or values that the declared format does not give
    std::array<std::array<std::size_t, std::size(everyVerb)>, std::size(everyVerb)> pairs{};
    void add(Coverage const& other);
};

/// Runs the steps of a trace; nothing if every answer is allowed. `calls`, if there is one, gets
/// the verbs that were accepted.
std::optional<Violation> judge(AnyEngine& engine, Trace const& trace, Coverage& coverage,
                               std::vector<Call>* calls = nullptr);

enum class Outcome : std::uint8_t {
    held,          ///< on the inputs that were tried
    violated,      ///< certainly: the answer violates the declaration
    refused,       ///< legally, and nothing changed
    notReachable,  ///< the declaration has nothing that the law speaks of
    undefined,     ///< the declared arithmetic does not say what comes out
    vacuous        ///< the interval is wider than the values: more has to be declared
};

/// What the answers to one law were held against; added up over worlds.
struct Evidence {
    std::size_t rows = 0;      ///< numbers of keys and values
    std::size_t exact = 0;     ///< outputs with one right float
    std::size_t bounded = 0;   ///< outputs with an interval
    std::size_t open = 0;      ///< outputs that may overflow, or of a vacuous interval
    double widest = 0;         ///< interval, in units of the largest value it averages
    /// Intervals that accept less than 2^i numbers of the output's precision, at index i.
    std::array<std::size_t, 34> answers{};
    std::array<std::size_t, ruleCount> rules{};  ///< intervals by the rule that widens them most
    /// Half of the intervals accept at most so many numbers, up to a factor of two.
    std::uint64_t typicalAnswers() const;
    void add(Evidence const& other);
};

/// What one law says of one engine.
struct LawResult {
    std::string law, sentence;
    Outcome outcome = Outcome::notReachable;
    std::string why;        ///< for every outcome but held and violated
    std::size_t inputs = 0;  ///< worlds at which the claim was decided
    std::size_t undefinedInputs = 0;  ///< in which no row is stored, by the declaration
    Evidence evidence{};
    std::optional<Violation> violation;
};

/// Puts the claims of scope engine to fresh engines: every layer, the lengths and values that the
/// headers of the stems name. `law` empty: all of them, in the order of the registry.
std::vector<LawResult> conformance(MakeEngine const& make, std::string const& law = "");

/// The first law of the registry that one of these engines violates; later ones are not tried.
std::optional<LawResult> firstBroken(std::vector<MakeEngine> const& engines);

/// "sequence 1", or "sequences 2 0": whom a step is about.
std::string sequencesOf(Step const& step);
/// "rollback(s0, 1) append(s0, 2)": a trace in one line.
std::string brief(Trace const& trace);
/// The sentence of a law, or nothing if there is none of that name.
std::optional<std::string> sentenceOf(std::string const& law);

}  // namespace kv::properties

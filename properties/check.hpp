// check: try a candidate on every law.
//
// A check puts the claims of the registry to an engine and then runs random traces on it, beside
// the spec. RapidCheck draws the setup, the trace and the family of values, and shrinks what
// fails; the values are expanded from a seed. The report says for each law whether it held on these
// inputs, was refused, was not reachable or was violated, and what the run could have shown.
#pragma once
#include "judge.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kv::properties {

/// What stands in storage that was never written, or was given back.
enum class Fill : std::uint8_t {
    poison,  ///< not-a-number, for engines that never read it
    zero,    ///< scores 0, as much as the winners of most probes
    loud     ///< `loudNumber`, for engines that read it and mask it
};
/// A key of it scores as high as a query of a one-hot probe allows, and no higher than the rows of
/// that probe score low, so that no sum overflows which those do not overflow too.
inline constexpr float loudNumber = 1;

/// What may stand there by the declaration, the loudest first.
std::vector<Fill> fillsFor(Declaration const& declaration);

struct Setup {
    Declaration declaration;
    Fill fill = Fill::poison;
};

/// One case: an engine's setup, and what is done to it.
struct Case {
    Setup setup;
    Trace trace;
};

/// An engine to be checked. One whose shape is fixed says so; for the others shapes are drawn.
struct Candidate {
    std::string name;
    std::function<std::unique_ptr<AnyEngine>(Setup const&)> make;
    std::optional<Declaration> fixed;
    Numerics numerics = numericsF32;  ///< declared at every shape that is drawn
    std::optional<Promises> promises{};  ///< so are these
    /// In which formats it can store rows, at every shape that is drawn; empty: as they are given.
    /// Scales that a codec takes are drawn, too.
    std::vector<StoredFormat> formats{};
    /// Makes of any declaration one that the engine can be: without verbs, rings or storage that it
    /// does not have. Empty: it can be everything.
    std::function<void(Declaration&)> adapt{};
    /// Into which it can convert queries, like `formats`.
    std::vector<StoredFormat> queryFormats{};
};

struct Progress {
    std::size_t cases = 0;
    double share = 0;  ///< of the cases, or of the budget where that is further; at most 1
};

struct CheckOptions {
    std::size_t cases = 10000;
    std::uint64_t seed = 1;
    int maxSize = 100;  ///< RapidCheck's size; it rises from case to case and starts anew
    std::optional<std::chrono::seconds> budget;    ///< no new case is begun after it
    std::string law;                               ///< only this one; empty: all, and traces
    bool triesTraces() const { return law.empty() || law == "trace_eq_spec"; }
    /// Engines with a bug. Each is put to the first cases of the same run, at the same shapes, to
    /// see what the run could have shown.
    std::vector<Candidate> zoo;
    std::function<void(Progress const&)> onProgress;
    /// The first failing case, before it shrinks, so that nothing is lost if shrinking crashes.
    std::function<void(Violation const&, Setup const&)> onFirstFailure;
};

/// Whether a run would have shown a bug, and after how many of its cases.
struct Reach {
    std::string bug;
    std::optional<std::size_t> cases;  ///< 1: the first one, or the equation of the law itself
    bool breaksEquation = false;       ///< where a thousand cases do not show it, but some law does
    bool isShown() const { return cases.has_value() || breaksEquation; }
};

struct CheckReport {
    std::string engine;
    std::uint64_t seed = 0;
    std::vector<LawResult> laws;   ///< in the order of the registry
    Coverage coverage;             ///< of the random traces
    double seconds = 0;            ///< wall time of the random traces
    std::optional<Violation> violation;  ///< shrunk, under its most specific law
    Setup setup;                   ///< in which the violation shows
    std::size_t casesToFailure = 0;
    std::vector<Reach> reach;      ///< of the zoo, in its order
    std::vector<std::string> blindSpots;  ///< what the declared shapes kept the run from showing

    std::size_t count(Outcome outcome) const;
    std::size_t zooInReach() const;  ///< bugs that this run shows
    bool isViolated() const { return violation.has_value(); }
};

/// Throws std::invalid_argument, and begins nothing, where a fixed declaration contradicts itself,
/// offers no verb, or is not the one that the engine answers with.
CheckReport check(Candidate const& candidate, CheckOptions const& options);

/// The setups at which claims are evaluated when the shape is not fixed; together they show every
/// law: windows with and without rings, rotations of both layouts, ALiBi, raw and rotated keys. Of
/// the formats that the candidate can store, keys and values take one after the other.
std::vector<Setup> standardSetups(Candidate const& candidate);
/// Those of an engine that promises nothing and stores rows as they are given.
std::vector<Setup> standardSetups(std::string const& engine, Numerics const& numerics);

/// One case on new engines: beside the spec, and varied where the declaration promises that it
/// does not matter.
std::optional<Violation> judge(Candidate const& candidate, Case const& tried, Coverage& coverage);

/// The setups at which the claims are put to this candidate: its own, or the standard ones.
std::vector<Setup> setupsFor(Candidate const& candidate);

/// The same violation under the first law of the registry whose claim breaks, on fresh engines of
/// the setup in which it was found or of setupsFor; under its own law if no claim does.
Violation underMostSpecificLaw(Candidate const& candidate, Setup const& setup,
                               Violation violation);

/// Draws the case that belongs to this seed at this size (0 .. 100).
Case drawn(Candidate const& candidate, std::uint64_t seed, int size);
/// Cases that are a little smaller than this one and may fail too.
std::vector<Case> smaller(Case const& c, Candidate const& candidate);

}  // namespace kv::properties

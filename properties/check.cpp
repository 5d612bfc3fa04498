#include "check.hpp"

#include "declaration.hpp"
#include "values.hpp"
#include "variation.hpp"

#include <fmt/format.h>
#include <rapidcheck.h>

#include <algorithm>

namespace kv::properties {

namespace {

/// RapidCheck's view of a case: drawn from one random number, shrunk by `smaller`.
rc::Gen<Case> cases(Candidate const& candidate) {
    return [&candidate](rc::Random const& random, int size) {
        auto source = random;
        return rc::shrinkable::shrinkRecur(
            drawn(candidate, source.next(), size), [&candidate](Case const& c) {
                return rc::seq::fromContainer(smaller(c, candidate));
            });
    };
}

/// Stops a campaign whose time is over; the cases that are left count as not tried.
struct Campaign {
    Candidate const& candidate;
    CheckOptions const& options;
    CheckReport& report;
    std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
    std::optional<Violation> last{};
    Setup setup{};

    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
    /// How much of the budget is spent.
    double spent() const {
        return options.budget ? seconds() / double(options.budget->count()) : 0;
    }
    /// Whether the case holds; remembers the last one that did not.
    bool holds(Case const& c) {
        bool const isFirst = !last;
        Coverage shrinking;
        auto violation = judge(candidate, c, last ? shrinking : report.coverage);
        if (!violation) return true;
        last = std::move(violation);
        setup = c.setup;
        if (isFirst && options.onFirstFailure) options.onFirstFailure(*last, setup);
        return false;
    }
};

/// The case that comes i-th in a run. The first ones are small, so that the first failure is short;
/// sizes start anew, so that a run that is cut off has tried long ones too.
rc::Shrinkable<Case> caseAt(std::size_t i, rc::Random& random, CheckOptions const& options,
                            rc::Gen<Case> const& generator) {
    auto const sizes = static_cast<std::size_t>(options.maxSize) + 1;
    return generator(random.split(), static_cast<int>(i % sizes));
}

void tryTraces(Candidate const& candidate, CheckOptions const& options, CheckReport& report) {
    Campaign campaign{candidate, options, report};
    auto const generator = cases(candidate);
    rc::Random random(options.seed);
    for (std::size_t i = 0; i < options.cases && campaign.spent() <= 1; ++i) {
        auto failing = caseAt(i, random, options, generator);
        if (options.onProgress) {
            double const tried = double(i + 1) / double(options.cases);
            options.onProgress({i + 1, std::min(1.0, std::max(tried, campaign.spent()))});
        }
        if (campaign.holds(failing.value())) continue;
        auto candidates = failing.shrinks();
        while (auto less = candidates.next())
            if (!campaign.holds(less->value())) candidates = less->shrinks();
        break;
    }
    report.seconds = campaign.seconds();
    if (!campaign.last) return;
    report.casesToFailure = report.coverage.cases;
    report.violation = campaign.last;
    report.setup = campaign.setup;
}

/// Violated if any input violates it, held if any could be evaluated, else why not.
LawResult merged(LawResult a, LawResult const& b) {
    auto const rank = [](Outcome o) {
        switch (o) {
            case Outcome::violated: return 5;
            case Outcome::held: return 4;
            case Outcome::refused: return 3;
            case Outcome::undefined: return 2;
            case Outcome::vacuous: return 1;
            case Outcome::notReachable: break;
        }
        return 0;
    };
    a.inputs += b.inputs;
    a.evidence.add(b.evidence);
    if (rank(b.outcome) > rank(a.outcome)) {
        a.outcome = b.outcome;
        a.violation = b.violation;
        a.why = b.why;
    }
    if (a.why.empty()) a.why = b.why;
    return a;
}

void mergeInto(std::vector<LawResult>& all, std::vector<LawResult> const& more) {
    if (all.empty()) all.resize(more.size());
    for (std::size_t i = 0; i < more.size(); ++i)
        all[i] = all[i].law.empty() ? more[i] : merged(all[i], more[i]);
}

/// A bug that so many cases do not show is put to the equations of the laws.
constexpr std::size_t casesForEachBug = 1000;

/// Whether an equation of this law breaks, or of any.
bool breaksEquation(Candidate const& bug, std::string const& law) {
    std::vector<MakeEngine> engines;
    for (auto const& setup : setupsFor(bug))
        engines.push_back([&bug, setup] { return bug.make(setup); });
    if (law.empty()) return firstBroken(engines).has_value();
    return std::ranges::any_of(engines, [&](MakeEngine const& make) {
        return conformance(make, law).front().outcome == Outcome::violated;
    });
}

/// After how many of its first cases the run that these options describe convicts the engine.
std::optional<std::size_t> casesToConvict(Candidate const& bug, CheckOptions const& options) {
    if (!options.triesTraces())
        return breaksEquation(bug, options.law) ? std::optional<std::size_t>(1) : std::nullopt;
    auto const generator = cases(bug);
    rc::Random random(options.seed);
    for (std::size_t i = 0; i < std::min(options.cases, casesForEachBug); ++i) {
        auto const tried = caseAt(i, random, options, generator).value();
        Coverage coverage;
        if (judge(bug, tried, coverage)) return i + 1;
    }
    return {};
}

/// Puts every bug into the place of the candidate.
void measureReach(Candidate const& candidate, CheckOptions const& options, CheckReport& report) {
    for (Candidate bug : options.zoo) {
        bug.fixed = candidate.fixed;
        // An engine of another make cannot stand in the place of this one.
        if (bug.fixed && bug.adapt) {
            auto adapted = *bug.fixed;
            bug.adapt(adapted);
            if (adapted != *bug.fixed) continue;
        }
        // A bug computes and stores as it says, whatever the candidate promises.
        if (bug.fixed) {
            bug.fixed->numerics = bug.numerics;
            for (auto& layer : bug.fixed->layers) {
                layer.keyFormat = layer.valueFormat = layer.queryFormat = {};
                layer.numerics.reset();
            }
        }
        report.reach.push_back({bug.name, casesToConvict(bug, options)});
        auto& reach = report.reach.back();
        reach.breaksEquation = !reach.cases && options.cases >= casesForEachBug &&
                               breaksEquation(bug, options.law);
        if (!reach.isShown())
            report.blindSpots.push_back(bug.name + " would not have been noticed");
    }
}

/// Random traces are evidence for trace_eq_spec, also where its claim needs more verbs.
void creditTraces(CheckReport& report) {
    auto const& c = report.coverage;
    if (report.violation || c.rows + c.outputs == 0) return;
    for (auto& law : report.laws)
        if (law.law == "trace_eq_spec" && law.outcome != Outcome::violated) {
            law.outcome = Outcome::held;
            law.inputs += c.cases;
            law.why.clear();
        }
}

/// The law that broke is in the report, also where another one was asked.
void nameBroken(CheckReport& report) {
    auto const& broken = *report.violation;
    if (std::ranges::any_of(report.laws,
                            [](LawResult const& l) { return l.outcome == Outcome::violated; }))
        return;
    LawResult law{.law = broken.law, .sentence = broken.sentence, .why = {}, .violation = {}};
    law.outcome = Outcome::violated;
    report.laws.push_back(std::move(law));
}

void refuseBadDeclaration(Candidate const& candidate) {
    if (!candidate.fixed) return;
    auto const& declaration = *candidate.fixed;
    auto const refuse = [&](std::string const& what) {
        throw std::invalid_argument(
            fmt::format("the declaration of {}: {}", candidate.name, what));
    };
    if (auto const complaint = contradiction(declaration, RotaryTables::declared))
        refuse(*complaint);
    if (declaration.verbs.empty()) refuse("verbs is empty; expected those that the engine offers");
    if (candidate.make({declaration, Fill::zero})->declaration() != declaration)
        refuse("the engine answers with another one; expected declaration() to return it");
}

/// Rules of the generator that a fixed shape makes impossible.
std::vector<std::string> blindSpotsOf(Declaration const& d) {
    std::vector<std::string> all;
    auto const say = [&](bool isBlind, std::string const& what) {
        if (isBlind) all.push_back(what);
    };
    say(d.layers.size() < 2, "one layer only: rows of another layer cannot show up in it");
    say(d.sequences < 2, "one sequence only: forks and leaks between sequences are not reachable");
    say(paintedTokens(d) < d.capacity,
        fmt::format("painted rows repeat after {} tokens: more is not written in 24 bits",
                    paintedTokens(d)));
    say(d.promised().addressing == Addressing::byValue,
        "rows are kept by their values: a probe speaks for its own values alone");
    for (std::size_t l = 0; l < d.layers.size(); ++l) {
        auto const& layer = d.layers[l];
        auto const at = fmt::format("layer {}: ", l);
        say(layer.kvHeads == 1 || layer.kvHeads == layer.queryHeads,
            at + "every map from query to kv heads looks the same");
        say(layer.keyDim < 3, at + "head dim below 3: no one-hot probe, the interval alone speaks");
        say(layer.keyDim == layer.valueDim, at + "keys and values have one size");
        say(isConverted(layer.keyFormat) || isConverted(layer.valueFormat),
            at + "painted rows are rounded when they are stored, and may coincide");
    }
    return all;
}

}  // namespace

std::size_t CheckReport::count(Outcome outcome) const {
    return static_cast<std::size_t>(
        std::ranges::count(laws, outcome, [](LawResult const& l) { return l.outcome; }));
}

std::optional<Violation> judge(Candidate const& candidate, Case const& tried, Coverage& coverage) {
    auto elsewhere = tried.setup;
    auto const fills = fillsFor(tried.setup.declaration);
    elsewhere.fill = tried.setup.fill == fills.front() ? fills.back() : fills.front();
    return judgeAndVary({[&] { return candidate.make(tried.setup); },
                         [&] { return candidate.make(elsewhere); }},
                        tried.trace, coverage);
}

std::size_t CheckReport::zooInReach() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(reach, [](Reach const& one) { return one.isShown(); }));
}

std::vector<Fill> fillsFor(Declaration const& declaration) {
    if (declaration.promised().maskedSlots == MaskedSlots::neverRead)
        return {Fill::poison, Fill::zero};
    return {Fill::loud, Fill::zero};
}

std::vector<Setup> setupsFor(Candidate const& candidate) {
    if (!candidate.fixed)
        return standardSetups(candidate);
    std::vector<Setup> all;
    for (Fill const fill : fillsFor(*candidate.fixed)) all.push_back({*candidate.fixed, fill});
    return all;
}

Violation underMostSpecificLaw(Candidate const& candidate, Setup const& setup,
                               Violation violation) {
    auto setups = setupsFor(candidate);
    setups.push_back(setup);
    std::vector<MakeEngine> engines;
    for (Setup const& at : setups) engines.push_back([&] { return candidate.make(at); });
    if (auto const broken = firstBroken(engines)) {
        violation.law = broken->law;
        violation.sentence = broken->sentence;
    }
    return violation;
}

CheckReport check(Candidate const& candidate, CheckOptions const& options) {
    refuseBadDeclaration(candidate);
    CheckReport report;
    report.engine = candidate.name;
    report.seed = options.seed;
    if (options.triesTraces()) tryTraces(candidate, options, report);
    for (Setup const& setup : setupsFor(candidate))
        mergeInto(report.laws, conformance([&] { return candidate.make(setup); }, options.law));
    if (report.violation) {
        report.violation = underMostSpecificLaw(candidate, report.setup, *report.violation);
        for (auto& law : report.laws)
            if (law.law == report.violation->law ||
                (law.law == "trace_eq_spec" &&
                 report.violation->instrument != Instrument::metamorphic))
                law.outcome = Outcome::violated;
        nameBroken(report);
    } else {
        for (auto const& law : report.laws)
            if (law.violation && !report.violation) report.violation = law.violation;
    }
    creditTraces(report);
    if (candidate.fixed) report.blindSpots = blindSpotsOf(*candidate.fixed);
    measureReach(candidate, options, report);
    return report;
}

}  // namespace kv::properties

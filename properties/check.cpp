#include "check.hpp"

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
    bool isOver() const {
        return options.budget && seconds() > double(options.budget->count());
    }
    /// Whether the case holds; remembers the last one that did not.
    bool holds(Case const& c) {
        auto const engine = candidate.make(c.setup);
        bool const isFirst = !last;
        Coverage shrinking;
        auto violation = judge(*engine, c.trace, last ? shrinking : report.coverage);
        if (!violation) return true;
        last = std::move(violation);
        setup = c.setup;
        if (isFirst && options.onFirstFailure) options.onFirstFailure(*last, setup);
        return false;
    }
};

void tryTraces(Candidate const& candidate, CheckOptions const& options, CheckReport& report) {
    Campaign campaign{candidate, options, report};
    auto const generator = cases(candidate);
    rc::Random random(options.seed);
    for (std::size_t i = 0; i < options.cases && !campaign.isOver(); ++i) {
        // Sizes rise with the cases, so that the first failure is a short one.
        auto const size = static_cast<int>(std::size_t(options.maxSize) * i / options.cases);
        auto failing = generator(random.split(), size);
        if (options.onProgress) options.onProgress({i + 1, options.cases});
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
        return o == Outcome::violated ? 3 : o == Outcome::held ? 2 : o == Outcome::refused ? 1 : 0;
    };
    a.inputs += b.inputs;
    if (rank(b.outcome) > rank(a.outcome)) {
        a.outcome = b.outcome;
        a.violation = b.violation;
    }
    if (a.why.empty()) a.why = b.why;
    return a;
}

void mergeInto(std::vector<LawResult>& all, std::vector<LawResult> const& more) {
    if (all.empty()) all.resize(more.size());
    for (std::size_t i = 0; i < more.size(); ++i)
        all[i] = all[i].law.empty() ? more[i] : merged(all[i], more[i]);
}

/// Rules of the generator that a fixed shape makes impossible.
std::vector<std::string> blindSpotsOf(Declaration const& d) {
    std::vector<std::string> all;
    auto const say = [&](bool isBlind, std::string const& what) {
        if (isBlind) all.push_back(what);
    };
    say(d.layers.size() < 2, "one layer only: rows of another layer cannot show up in it");
    say(d.sequences < 2, "one sequence only: forks and leaks between sequences are not reachable");
    for (std::size_t l = 0; l < d.layers.size(); ++l) {
        auto const& layer = d.layers[l];
        auto const at = fmt::format("layer {}: ", l);
        say(layer.kvHeads == 1 || layer.kvHeads == layer.queryHeads,
            at + "every map from query to kv heads looks the same");
        say(layer.keyDim < 3, at + "head dim below 3: no one-hot probe, the interval alone speaks");
        say(layer.keyDim == layer.valueDim, at + "keys and values have one size");
    }
    return all;
}

}  // namespace

std::size_t CheckReport::count(Outcome outcome) const {
    return static_cast<std::size_t>(
        std::ranges::count(laws, outcome, [](LawResult const& l) { return l.outcome; }));
}

std::vector<Setup> setupsFor(Candidate const& candidate) {
    if (!candidate.fixed) return standardSetups(candidate.name);
    return {{*candidate.fixed, Fill::poison}, {*candidate.fixed, Fill::zero}};
}

Violation underMostSpecificLaw(Candidate const& candidate, Setup const& setup,
                               Violation violation) {
    auto setups = setupsFor(candidate);
    setups.push_back(setup);
    std::vector<LawResult> merge;
    for (Setup const& at : setups)
        mergeInto(merge, conformance([&] { return candidate.make(at); }));
    auto const first = std::ranges::find(merge, Outcome::violated,
                                         [](LawResult const& law) { return law.outcome; });
    if (first == merge.end()) return violation;
    violation.law = first->law;
    violation.sentence = first->sentence;
    return violation;
}

CheckReport check(Candidate const& candidate, CheckOptions const& options) {
    CheckReport report;
    report.engine = candidate.name;
    report.seed = options.seed;
    bool const isTraced = options.law.empty() || options.law == "trace_eq_spec";
    if (isTraced) tryTraces(candidate, options, report);
    for (Setup const& setup : setupsFor(candidate))
        mergeInto(report.laws, conformance([&] { return candidate.make(setup); }, options.law));
    if (report.violation) {
        report.violation = underMostSpecificLaw(candidate, report.setup, *report.violation);
        for (auto& law : report.laws)
            if (law.law == report.violation->law || law.law == "trace_eq_spec")
                law.outcome = Outcome::violated;
    } else {
        for (auto const& law : report.laws)
            if (law.violation && !report.violation) report.violation = law.violation;
    }
    if (candidate.fixed) report.blindSpots = blindSpotsOf(*candidate.fixed);
    report.zooSize = options.zooLaws.size();
    for (auto const& law : report.laws)
        if (law.outcome == Outcome::held || law.outcome == Outcome::violated)
            report.zooInReach +=
                static_cast<std::size_t>(std::ranges::count(options.zooLaws, law.law));
    return report;
}

}  // namespace kv::properties

// soundness: run conforming engines against the enclosure, and count how often it convicts one.
//
// usage: kvspec_soundness [--seconds S | --runs N] [--seed SEED] [--json FILE] [--only TEXT]
//        kvspec_soundness --replay SEED         one problem again
//        kvspec_soundness --underdeclared [K]   engines that keep something to themselves
//        kvspec_soundness --answers [K]         how many answers each level of a declaration allows
//        kvspec_soundness --cost                what an interval costs beside a plain reference
//
// A run is one engine on one problem, all components of its output at once. Exit 1: an engine that
// keeps its declaration was convicted; the smallest such problem that was found is printed.
#include "tests/answers.hpp"
#include "tests/cost.hpp"
#include "tests/underdeclared.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <fstream>

namespace {

using namespace kv;
using namespace kv::soundness;

/// What was seen of one declaration. Answers are components of runs, outputs those of problems.
struct Tally {
    BOOST_HANA_DEFINE_STRUCT(Tally,
        (std::size_t, problems), (std::size_t, runs), (std::size_t, falseAlarms),
        (std::size_t, outputs), (std::size_t, undefined), (std::size_t, vacuous),
        (std::size_t, probeOutputs), (std::size_t, exactProbes), (std::size_t, exactAnswers),
        (std::size_t, bitForBit));
    Tally& operator+=(Tally const& other) {
        boost::hana::for_each(boost::hana::accessors<Tally>(), [&](auto field) {
            auto const get = boost::hana::second(field);
            get(*this) += get(other);
        });
        return *this;
    }
};

/// One engine that was convicted though it keeps its declaration.
struct Alarm {
    Case where;
    Style style;
};

class Campaign {
   public:
    void run(std::uint64_t seed) {
        auto const c = caseOf(seed, among);
        auto const& p = c.problem;
        Random random(seed + 1);
        auto const e = enclose(p);
        Tally now = seen(c, e);
        std::size_t const size = p.n * (p.d + p.e);
        std::size_t const engines = std::clamp<std::size_t>((1 << 17) / size, 4, 24);
        for (std::size_t k = 0; k < engines; ++k) {
            auto const style = randomStyle(random, *p.numerics);
            auto const y = Engine(p, style).run();
            ++now.runs;
            for (std::size_t i = 0; isProbe(c.input) && i < p.e; ++i) {
                if (!single(e[i])) continue;
                ++now.exactAnswers;
                now.bitForBit += y[i] == nearestFloat(e[i].low()) ? 1 : 0;
            }
            if (accepts(e, y)) continue;
            ++now.falseAlarms;
            if (alarms.size() < 4) alarms.push_back({c, style});
        }
        counts[c.semantics->name][std::string(c.storage.name)] += now;
        runs += now.runs;
    }

    std::map<std::string, std::map<std::string, Tally>> counts;
    std::vector<Alarm> alarms;
    std::size_t runs = 0;
    std::string among;  ///< part of the name of a declaration

   private:
    static Tally seen(Case const& c, Seq<Enclosure, Dyn> const& e) {
        auto const& p = c.problem;
        Tally now{};
        now.problems = 1;
        float largest = 0;
        for (float const v : p.v) largest = std::max(largest, std::abs(v));
        for (std::size_t i = 0; i < p.e; ++i, ++now.outputs) {
            bool const isOne = single(e[i]);
            now.undefined += e[i].isUndefined() ? 1 : 0;
            now.vacuous += !e[i].isUndefined() && width(e[i]) > double(largest) ? 1 : 0;
            now.probeOutputs += isProbe(c.input) ? 1 : 0;
            now.exactProbes += isProbe(c.input) && isOne ? 1 : 0;
        }
        return now;
    }
};

double percent(std::size_t part, std::size_t whole) {
    return 100 * double(part) / double(std::max<std::size_t>(whole, 1));
}
void printLine(std::string const& name, Tally const& t) {
    std::printf("%-41s %9zu %7zu %9zu %7.1f%% %10zu %10zu %6.1f%% %6.1f%%\n", name.c_str(), t.runs,
                t.falseAlarms, t.probeOutputs, percent(t.exactProbes, t.probeOutputs),
                t.exactAnswers, t.bitForBit, percent(t.undefined, t.outputs),
                percent(t.vacuous, t.outputs));
}
/// Rows of a table, summed over the other key.
Tally print(Campaign const& campaign) {
    std::printf("%-41s %9s %7s %9s %8s %10s %10s %7s %7s\n", "declared", "runs", "alarms", "probes",
                "exact", "answers", "bit = bit", "undef.", "vacuous");
    Tally total{};
    std::map<std::string, Tally> stored;
    for (auto const& [name, formats] : campaign.counts) {
        Tally sum{};
        for (auto const& [format, tally] : formats) sum += tally, stored[format] += tally;
        printLine(name, sum);
        total += sum;
    }
    for (auto const& [format, tally] : stored) printLine("  stored as " + format, tally);
    printLine("total", total);
    if (total.falseAlarms == 0)
        std::printf("0 in %zu runs: at most %.2g at 95 %% for this distribution\n", total.runs,
                    3 / double(std::max<std::size_t>(total.runs, 1)));
    return total;
}

/// Fewer rows and fewer components, as long as the engine is still convicted.
bool isConvicted(Problem const& p, Style const& style) {
    return !accepts(enclose(p), Engine(p, style).run());
}
Problem without(Problem p, std::size_t first, std::size_t rows) {
    auto const cut = [&](Floats& x, std::size_t width) {
        auto const at = x.begin() + std::ptrdiff_t(first * width);
        x.erase(at, at + std::ptrdiff_t(rows * width));
    };
    cut(p.k, p.d), cut(p.v, p.e);
    p.n -= rows;
    return p;
}
Problem withoutLane(Problem const& p, std::size_t lane) {
    Problem fewer = p;
    --fewer.d;
    fewer.q.erase(fewer.q.begin() + std::ptrdiff_t(lane));
    for (std::size_t j = p.n; j-- > 0;)
        fewer.k.erase(fewer.k.begin() + std::ptrdiff_t(j * p.d + lane));
    return fewer;
}
Problem shrunk(Problem p, Style const& style) {
    for (std::size_t rows = p.n / 2; rows > 0; rows /= 2)
        for (std::size_t first = 0; first + rows <= p.n && rows < p.n;) {
            auto const fewer = without(p, first, rows);
            if (isConvicted(fewer, style)) p = fewer;
            else first += rows;
        }
    for (std::size_t lane = p.d; lane-- > 0 && p.d > 1;)
        if (auto const fewer = withoutLane(p, lane); isConvicted(fewer, style)) p = fewer;
    return p;
}

void print(char const* name, Floats const& x) {
    std::printf("  %s", name);
    for (float const y : x) std::printf(" %a", double(y));
    std::printf("\n");
}
void print(Alarm const& alarm) {
    auto const& [c, s] = alarm;
    std::printf("\nFALSE ALARM: %s, stored as %s, %s, n %zu, d %zu; again: --replay %llu\n",
                c.semantics->name.c_str(), std::string(c.storage.name).c_str(),
                std::string(inputNames[std::size_t(c.input)]).c_str(), c.problem.n, c.problem.d,
                static_cast<unsigned long long>(c.seed));
    auto const p = shrunk(c.problem, s);
    std::printf("  style: order %d, scale %d, exp %d, form %d, division %d, block %zu, lanes %zu, "
                "fuses %d, flushes %d, rises %d, dividesNarrow %d, addsRounded %d, seed %llu\n",
                int(s.order), int(s.scale), int(s.exp), int(s.form), int(s.division), s.block,
                s.lanes, s.fuses, s.flushes, s.rises, s.dividesNarrow, s.addsRounded,
                static_cast<unsigned long long>(s.seed));
    std::printf("  shrunk to n %zu, d %zu, e %zu, scale %a\n", p.n, p.d, p.e, double(p.scale));
    print("q", p.q), print("k", p.k), print("v", p.v);
    auto const y = Engine(p, s).run();
    auto const e = enclose(p);
    for (std::size_t i = 0; i < p.e; ++i)
        std::printf("  y[%zu] = %a, allowed %a to %a (center %.17g, radius %.17g)\n", i,
                    double(y[i]), e[i].low(), e[i].high(), e[i].center, e[i].radius);
}

void write(Campaign const& campaign, std::string const& file) {
    nlohmann::ordered_json all;
    for (auto const& [name, formats] : campaign.counts)
        for (auto const& [format, tally] : formats)
            boost::hana::for_each(tally, [&, &name = name, &format = format](auto field) {
                auto const key = boost::hana::to<char const*>(boost::hana::first(field));
                all[name][format][key] = boost::hana::second(field);
            });
    std::ofstream(file) << all.dump(2) << "\n";
}

struct Arguments {
    double seconds = 60;
    std::size_t runs = 0;
    std::uint64_t seed = 1, replay = 0;
    std::string json, only;
    std::size_t problems = 0;
};
int campaign(Arguments const& a) {
    using Clock = std::chrono::steady_clock;
    auto const start = Clock::now();
    Campaign campaign;
    campaign.among = a.only;
    Random seeds(a.seed);
    auto const isOver = [&] {
        if (a.replay != 0) return campaign.runs > 0;
        std::chrono::duration<double> const passed = Clock::now() - start;
        return a.runs > 0 ? campaign.runs >= a.runs : passed.count() >= a.seconds;
    };
    while (!isOver()) campaign.run(a.replay != 0 ? a.replay : seeds());
    auto const total = print(campaign);
    for (auto const& alarm : campaign.alarms) print(alarm);
    if (!a.json.empty()) write(campaign, a.json);
    return total.falseAlarms == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments a;
    CLI::App app{"Runs conforming engines against the enclosure and counts false alarms"};
    app.add_option("--seconds", a.seconds, "How long (60)")->check(CLI::NonNegativeNumber);
    app.add_option("--runs", a.runs, "How many engine runs, however long it takes")
        ->excludes("--seconds");
    app.add_option("--seed", a.seed, "The same seed draws the same problems (1)");
    app.add_option("--replay", a.replay, "Run the problem of this seed only");
    app.add_option("--json", a.json, "Write the counts there as JSON")->type_name("FILE");
    app.add_option("--underdeclared", a.problems,
                   "Print which undeclared habits are convicted, of so many problems each (10)")
        ->expected(0, 1)
        ->default_str("10");
    app.add_option("--only", a.only, "Only declarations whose name has this in it")
        ->check([](std::string const& part) {
            return kv::soundness::semanticsWith(part).empty() ? "no declaration is named so" : "";
        });
    app.add_option("--answers", a.problems,
                   "Print how many answers each level of a declaration allows, of so many queries "
                   "each (1)")
        ->expected(0, 1)
        ->default_str("1");
    app.add_flag("--cost")->description("What an interval costs beside a plain reference");
    CLI11_PARSE(app, argc, argv);
    if (app.count("--cost") > 0) {
        kv::cost::print(a.seed);
        return 0;
    }
    if (app.count("--answers") > 0) {
        kv::answers::print(a.problems == 0 ? 1 : a.problems, a.seed);
        return 0;
    }
    if (app.count("--underdeclared") > 0) {
        kv::underdeclared::print(a.problems == 0 ? 10 : a.problems, a.seed);
        return 0;
    }
    return campaign(a);
}

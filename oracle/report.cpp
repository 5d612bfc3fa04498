#include "oracle/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kv::oracle {

namespace {

using properties::Coverage;
using properties::Instrument;
using properties::LawResult;
using properties::Outcome;
using properties::Violation;

using properties::Evidence;

/// In the order of the headline; the last two are there only where they occur.
constexpr Outcome everyOutcome[] = {Outcome::held,     Outcome::refused,   Outcome::notReachable,
                                    Outcome::violated, Outcome::undefined, Outcome::vacuous};

std::string_view wordFor(Outcome outcome) {
    switch (outcome) {
        case Outcome::held:
            return "held";
        case Outcome::refused:
            return "refused";
        case Outcome::notReachable:
            return "not reachable";
        case Outcome::undefined:
            return "undefined";
        case Outcome::vacuous:
            return "vacuous";
        case Outcome::violated:
            break;
    }
    return "VIOLATED";
}

std::string_view wordFor(Instrument instrument) {
    switch (instrument) {
        case Instrument::exact:
            return "exact";
        case Instrument::bounded:
            return "bounded";
        case Instrument::metamorphic:
            return "metamorphic";
        case Instrument::permission:
            break;
    }
    return "permission";
}

std::string_view meaningOf(Instrument instrument) {
    switch (instrument) {
        case Instrument::exact:
            return "one answer is right, bit for bit";
        case Instrument::bounded:
            return "outside of the certified interval";
        case Instrument::metamorphic:
            return "two answers that must have the same bits";
        case Instrument::permission:
            break;
    }
    return "what must be accepted or refused";
}

/// One verb of a trace, spelled as in the whole trace.
std::string briefStep(properties::Trace const& trace, std::size_t step) {
    return properties::brief({{}, {trace.steps[step]}});
}

/// The place, behind the verb that answered it. A claim has no trace, hence no verb.
std::string whereOf(Violation const& v) {
    std::size_t const verbs = v.trace.steps.size();
    if (verbs == 0)
        return v.where;
    if (v.step >= verbs)
        return fmt::format("after the last of {} verbs: {}", verbs, v.where);
    return fmt::format("verb {} of {}, {}: {}", v.step + 1, verbs, briefStep(v.trace, v.step),
                       v.where);
}

std::string traceOf(Violation const& v) {
    std::size_t const verbs = v.trace.steps.size();
    if (verbs == 0)
        return "none: the equation of the law itself, put to fresh engines";
    return fmt::format("{}  [{} verb{}, {} values]", properties::brief(v.trace), verbs,
                       verbs == 1 ? "" : "s", oracle::nameOf(v.trace.values.family));
}

std::string percent(std::size_t part, std::size_t whole) {
    if (whole == 0)
        return "none";
    return fmt::format("{:.1f} %", 100.0 * double(part) / double(whole));
}

std::string headline(CheckRun const& run) {
    auto const& r = run.report;
    std::string text = r.engine + ":";
    for (Outcome outcome : everyOutcome) {
        bool const isRare = outcome == Outcome::undefined || outcome == Outcome::vacuous;
        if (isRare && r.count(outcome) == 0)
            continue;
        text += fmt::format("{} {} {}", outcome == everyOutcome[0] ? "" : " /",
                            outcome == Outcome::violated ? "violated" : wordFor(outcome),
                            r.count(outcome));
    }
    text += fmt::format("\ncould have shown {} of {} bugs of the zoo", r.zooInReach(),
                        r.reach.size());
    if (r.reach.empty())
        text += ", none of which breaks this law";
    if (exitOf(run) == Exit::tooLittle)
        text += r.count(Outcome::held) == 0
                    ? ": too little, since no law could be decided"
                    : fmt::format(": too little, --require asks for {} %", run.require);
    return text + "\n";
}

/// Wide enough for the title of a column of laws, and for each of them.
std::size_t widthOfLaws(properties::CheckReport const& report, std::string_view title) {
    std::size_t width = title.size();
    for (auto const& law : report.laws)
        width = std::max(width, law.law.size());
    return width;
}

std::string lawLines(properties::CheckReport const& report) {
    auto const width = widthOfLaws(report, "law");
    std::string text = fmt::format("  {:<{}}  {:<13}  {:>6}  {}\n", "law", width, "outcome",
                                   "inputs", "sentence, or why not");
    for (auto const& law : report.laws) {
        bool const isDecided = law.outcome == Outcome::held || law.outcome == Outcome::violated;
        text += fmt::format("  {:<{}}  {:<13}  {:>6}  {}\n", law.law, width, wordFor(law.outcome),
                            law.inputs, isDecided || law.why.empty() ? law.sentence : law.why);
    }
    return text;
}

/// What a bound is made of, in the words of the declaration's fields.
std::string_view wordsFor(Rule rule) {
    switch (rule) {
        case Rule::scores:
            return "rounded scores, R6";
        case Rule::exponents:
            return "exponentials, R7 to R11";
        case Rule::merges:
            return "merged parts, R9";
        case Rule::sums:
            return "sums, R13";
        case Rule::weights:
            return "rounded weights, R14";
        case Rule::division:
            return "the division, R15";
        case Rule::flushing:
            return "flushing, R1";
        case Rule::none:
            break;
    }
    return "the output's rounding, R16";
}

Rule mostOf(Evidence const& evidence) {
    auto const most = std::ranges::max_element(evidence.rules);
    return static_cast<Rule>(most - evidence.rules.begin());
}

/// How each law was judged: by bits, by one right float, or by an interval of that width.
std::string instrumentLines(properties::CheckReport const& report) {
    std::string_view const title = "judged by";
    auto const width = widthOfLaws(report, title);
    std::string text;
    for (auto const& law : report.laws) {
        auto const& e = law.evidence;
        if (e.rows + e.exact + e.bounded == 0)
            continue;
        text += fmt::format("  {:<{}}  {:>8} {:>8} {:>8} {:>6}", law.law, width, e.rows, e.exact,
                            e.bounded, e.open);
        if (e.bounded > 0)
            text += fmt::format("  {:8.1e} {:>9}  {}", e.widest, e.typicalAnswers(),
                                wordsFor(mostOf(e)));
        text += "\n";
    }
    if (text.empty())
        return "";
    return fmt::format("  {:<{}}  {:>8} {:>8} {:>8} {:>6}  {:>8} {:>9}  mostly\n", title, width,
                       "rows", "exact", "interval", "open", "widest", "answers") +
           text +
           "  open: outputs of which nothing can be said; widest: of the largest value;\n"
           "  answers: half of the intervals accept at most so many\n\n";
}

struct PairCount {
    Verb first{}, second{};
    std::size_t count = 0;
};
/// The ordered pairs of verbs that the engine offers, the rarest first.
std::vector<PairCount> pairsOf(CheckRun const& run) {
    std::vector<PairCount> all;
    for (Verb a : run.verbs)
        for (Verb b : run.verbs)
            all.push_back({a, b, run.report.coverage.pairs[std::size_t(a)][std::size_t(b)]});
    std::ranges::stable_sort(all, {}, &PairCount::count);
    return all;
}

std::string pairTable(CheckRun const& run) {
    std::string text = "\nhow often the verb of a row was followed by the verb of a column\n";
    text += fmt::format("{:<8}", "");
    for (Verb b : run.verbs)
        text += fmt::format(" {:>8}", nameOf(b));
    for (Verb a : run.verbs) {
        text += fmt::format("\n{:<8}", nameOf(a));
        for (Verb b : run.verbs)
            text +=
                fmt::format(" {:>8}", run.report.coverage.pairs[std::size_t(a)][std::size_t(b)]);
    }
    return text + "\n";
}

std::size_t casesPerSecond(properties::CheckReport const& report) {
    if (!(report.seconds > 0))
        return 0;
    return static_cast<std::size_t>(std::llround(double(report.coverage.cases) / report.seconds));
}

std::string coverageLines(CheckRun const& run, Pairs pairs) {
    Coverage const& c = run.report.coverage;
    if (c.cases == 0)
        return "coverage  no random traces, only the equations of the laws\n";
    std::string end;
    if (run.report.casesToFailure > 0)
        end = ", the last of which broke a law";
    else if (c.cases < run.cases)
        end = ", then the budget ended";
    std::string text =
        fmt::format("coverage  {} cases from seed {} in {:.1f} s, {} a second{}\n", c.cases,
                    run.report.seed, run.report.seconds, casesPerSecond(run.report), end);
    text +=
        fmt::format("          {} verbs, {} of them refused; a probe spoke in {} of the cases\n",
                    c.steps, percent(c.refusals, c.steps), percent(c.casesWithProbe, c.cases));
    text += fmt::format(
        "          {} rows read back bit for bit{}\n", c.rows,
        c.undefinedRows == 0 ? "" : fmt::format("; {} keys or values have no declared codes",
                                                c.undefinedRows));
    text += fmt::format(
        "          {} outputs: {} had one right float, {} an interval, {} of those vacuous{}\n",
        c.outputs, c.exactOutputs, c.outputs - c.exactOutputs - c.undefinedOutputs,
        c.vacuousOutputs,
        c.undefinedOutputs == 0 ? "" : fmt::format(", {} were undefined", c.undefinedOutputs));
    auto const all = pairsOf(run);
    if (!all.empty())
        text += fmt::format("          {} ordered pairs of verbs, the rarest {} times: {}, {}\n",
                            all.size(), all.front().count, nameOf(all.front().first),
                            nameOf(all.front().second));
    return text + (pairs == Pairs::all ? pairTable(run) : "");
}

std::string blindLines(properties::CheckReport const& report) {
    std::string text;
    for (auto const& spot : report.blindSpots)
        text += fmt::format("{:<9} {}\n", text.empty() ? "blind" : "", printable(spot));
    return text;
}

/// After how many cases each bug of the zoo would have shown.
std::string powerLines(CheckRun const& run) {
    std::string text;
    if (!run.power)
        return text;
    std::size_t width = 0;
    for (auto const& one : run.report.reach)
        width = std::max(width, one.bug.size());
    for (auto const& one : run.report.reach)
        text += fmt::format("{:<9} {:<{}}  {}\n", text.empty() ? "power" : "", one.bug, width,
                            one.cases            ? fmt::format("shown by case {}", *one.cases)
                            : one.breaksEquation ? "shown by the equation of a law"
                                                 : "not shown");
    return text;
}

OrderedJson toJson(Violation const& v, std::string const& again) {
    OrderedJson out;
    out["law"] = v.law;
    out["sentence"] = v.sentence;
    out["instrument"] = std::string(wordFor(v.instrument));
    out["where"] = whereOf(v);
    out["got"] = v.got;
    out["want"] = v.want;
    out["trace"] = properties::brief(v.trace);
    out["verbs"] = v.trace.steps.size();
    out["family"] = std::string(oracle::nameOf(v.trace.values.family));
    out["again"] = again;
    return out;
}

OrderedJson toJson(LawResult const& law) {
    OrderedJson out;
    out["law"] = law.law;
    out["sentence"] = law.sentence;
    out["outcome"] =
        std::string(law.outcome == Outcome::violated ? "violated" : wordFor(law.outcome));
    out["inputs"] = law.inputs;
    if (!law.why.empty())
        out["why"] = law.why;
    auto const& e = law.evidence;
    out["judgedBy"] = {
        {"rows", e.rows}, {"exact", e.exact}, {"interval", e.bounded}, {"open", e.open}};
    if (e.bounded > 0) {
        out["judgedBy"]["widest"] = e.widest;
        out["judgedBy"]["answers"] = e.typicalAnswers();
        out["judgedBy"]["mostly"] = std::string(wordsFor(mostOf(e)));
    }
    return out;
}

OrderedJson coverageToJson(CheckRun const& run) {
    Coverage const& c = run.report.coverage;
    OrderedJson out;
    out["casesAskedFor"] = run.cases;
    out["cases"] = c.cases;
    out["seconds"] = run.report.seconds;
    out["casesPerSecond"] = casesPerSecond(run.report);
    out["verbs"] = c.steps;
    out["refusals"] = c.refusals;
    out["casesWithProbe"] = c.casesWithProbe;
    out["rows"] = c.rows;
    out["outputs"] = c.outputs;
    out["exactOutputs"] = c.exactOutputs;
    out["vacuousOutputs"] = c.vacuousOutputs;
    out["undefinedOutputs"] = c.undefinedOutputs;
    out["undefinedRows"] = c.undefinedRows;
    out["smallestPair"] = run.verbs.empty() ? 0 : pairsOf(run).front().count;
    OrderedJson& pairs = out["pairs"] = OrderedJson::object();
    for (Verb a : run.verbs)
        for (Verb b : run.verbs)
            pairs[std::string(nameOf(a))][std::string(nameOf(b))] =
                c.pairs[std::size_t(a)][std::size_t(b)];
    return out;
}

/// What a law's failure says: the shrunk violation under its name, or its own equation.
std::string failureOf(CheckRun const& run, LawResult const& law) {
    auto const& shrunk = run.report.violation;
    bool const isOwn = law.violation && !(shrunk && shrunk->law == law.law);
    if (isOwn)
        return printVerdict(*law.violation,
                            fmt::format("kvspec check {} --law {}", run.report.engine, law.law));
    return shrunk ? printVerdict(*shrunk, run.again) : "";
}

/// Bytes of the UTF-8 character at the front of the text; 0 where none stands there.
std::size_t characterLength(std::string_view text) {
    auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    std::size_t const length = byte(0) < 0x80                      ? 1
                               : byte(0) >= 0xc2 && byte(0) < 0xe0 ? 2
                               : (byte(0) & 0xf0) == 0xe0          ? 3
                               : byte(0) >= 0xf0 && byte(0) < 0xf5 ? 4
                                                                   : 0;
    if (length == 0 || length > text.size())
        return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
    // Too long a spelling, a surrogate, U+FFFE and U+FFFF are no characters of XML.
    if ((byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xf0 && byte(1) < 0x90))
        return 0;
    if ((byte(0) == 0xed && byte(1) >= 0xa0) || (byte(0) == 0xf4 && byte(1) >= 0x90))
        return 0;
    if (byte(0) == 0xef && byte(1) == 0xbf && byte(2) >= 0xbe)
        return 0;
    return length;
}

}  // namespace

Exit exitOf(CheckRun const& run) {
    auto const& r = run.report;
    if (r.isViolated())
        return Exit::violated;
    if (r.count(Outcome::held) == 0)
        return Exit::tooLittle;
    return 100 * r.zooInReach() < run.require * r.reach.size() ? Exit::tooLittle : Exit::held;
}

std::string printReport(CheckRun const& run, Pairs pairs) {
    auto const& r = run.report;
    std::string text =
        headline(run) + "\n" + lawLines(r) + "\n" + instrumentLines(r) +
        coverageLines(run, pairs) + powerLines(run) + blindLines(r);
    if (r.violation)
        text += "\n" + printVerdict(*r.violation, run.again);
    return text;
}

std::string printVerdict(Violation const& v, std::string const& again) {
    return fmt::format(
        "VIOLATED {}: {}\n  where  {}\n  got    {}   want {}   ({}: {})\n  trace  {}\n  again  "
        "{}\n",
        v.law, v.sentence, printable(whereOf(v)), printable(v.got), printable(v.want),
        wordFor(v.instrument), meaningOf(v.instrument), traceOf(v), again);
}

OrderedJson reportToJson(CheckRun const& run) {
    auto const& r = run.report;
    OrderedJson out;
    out["kvspec-report"] = 1;
    out["engine"] = r.engine;
    out["seed"] = r.seed;
    out["exit"] = static_cast<int>(exitOf(run));
    if (!run.law.empty())
        out["onlyLaw"] = run.law;
    out["held"] = r.count(Outcome::held);
    out["refused"] = r.count(Outcome::refused);
    out["notReachable"] = r.count(Outcome::notReachable);
    out["violated"] = r.count(Outcome::violated);
    out["undefined"] = r.count(Outcome::undefined);
    out["vacuous"] = r.count(Outcome::vacuous);
    out["couldHaveShown"] = {
        {"bugs", r.zooInReach()}, {"of", r.reach.size()}, {"requiredPercent", run.require}};
    out["power"] = OrderedJson::array();
    for (auto const& one : r.reach) {
        OrderedJson entry{{"bug", one.bug}};
        if (one.cases)
            entry["cases"] = *one.cases;
        if (one.breaksEquation)
            entry["breaksEquation"] = true;
        out["power"].push_back(entry);
    }
    out["laws"] = OrderedJson::array();
    for (auto const& law : r.laws) {
        out["laws"].push_back(toJson(law));
        if (law.violation)
            out["laws"].back()["violation"] =
                toJson(*law.violation, fmt::format("kvspec check {} --law {}", r.engine, law.law));
    }
    out["coverage"] = coverageToJson(run);
    out["blindSpots"] = r.blindSpots;
    if (r.violation) {
        out["violation"] = toJson(*r.violation, run.again);
        out["violation"]["casesToFailure"] = r.casesToFailure;
    }
    return out;
}

std::string reportToJunit(CheckRun const& run) {
    auto const& r = run.report;
    std::string cases;
    for (auto const& law : r.laws) {
        std::string const open = fmt::format("    <testcase classname=\"kvspec.{}\" name=\"{}\"",
                                             xmlEscaped(r.engine), xmlEscaped(law.law));
        if (law.outcome == Outcome::held)
            cases += open + "/>\n";
        else if (law.outcome == Outcome::violated)
            cases +=
                fmt::format("{}>\n      <failure message=\"{}\">\n{}</failure>\n    </testcase>\n",
                            open, xmlEscaped(law.sentence), xmlEscaped(failureOf(run, law)));
        else
            cases += fmt::format("{}>\n      <skipped message=\"{}: {}\"/>\n    </testcase>\n",
                                 open, wordFor(law.outcome), xmlEscaped(law.why));
    }
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites>\n  <testsuite name=\"kvspec check {}\" time=\"{:.3f}\"\n"
        "             tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">\n"
        "    <properties>\n"
        "      <property name=\"seed\" value=\"{}\"/>\n"
        "      <property name=\"cases\" value=\"{}\"/>\n"
        "      <property name=\"bugs that could have been shown\" value=\"{} of {}\"/>\n"
        "    </properties>\n{}  </testsuite>\n</testsuites>\n",
        xmlEscaped(r.engine), r.seconds, r.laws.size(), r.count(Outcome::violated),
        r.laws.size() - r.count(Outcome::held) - r.count(Outcome::violated), r.seed,
        r.coverage.cases,
        r.zooInReach(), r.reach.size(), cases);
}

std::string xmlEscaped(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        std::size_t const length = characterLength(text);
        char const c = text.front();
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&apos;";
                break;
            case '\n':
                out += '\n';
                break;
            default:
                if (length == 0 || static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
                    out += '?';
                else
                    out += text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

}  // namespace kv::oracle

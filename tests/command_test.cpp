// The command's texts: what is printed is compared to the letter, what is written parses, and a
// saved trace replays to the verdict that it was saved for.
#include "oracle/candidates.hpp"
#include "oracle/catalog.hpp"
#include "oracle/replay.hpp"
#include "oracle/report.hpp"
#include "sanitized.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace kv;
using namespace kv::oracle;
using properties::Family;
using properties::Instrument;
using properties::LawResult;
using properties::Outcome;
using properties::Violation;

// --- A registry of two laws and a zoo of two bugs.

ProvedShape shape(std::size_t length) {
    return {.law = "first_law", .length = length, .queryHeads = 1, .kvHeads = 1, .keyDim = 1,
            .valueDim = 2, .window = 0, .sinks = 0, .rotaryDim = 0, .layout = RotaryLayout::none,
            .storage = KeyStorage::rotated, .slopes = false};
}

Catalog smallCatalog() {
    ProvedShape wide = shape(4);
    wide.queryHeads = 4;
    wide.kvHeads = 2;
    wide.window = 3;
    wide.sinks = 1;
    wide.rotaryDim = 2;
    wide.layout = RotaryLayout::interleaved;
    wide.storage = KeyStorage::raw;
    wide.slopes = true;
    return {{{.stem = "one", .name = "first_law", .sentence = "a row stays", .scope = Scope::engine,
              .modulo = "", .owed = Owed::moves, .shapes = {shape(1), shape(0), wide}},
             {.stem = "two", .name = "second_law", .sentence = "angles add up",
              .scope = Scope::spec, .modulo = "rotations compose", .owed = Owed::computes,
              .shapes = {shape(2)}}},
            {{"bug_a", "first_law", "a row is lost", "someone/engine #1"},
             {"bug_b", "first_law", "a row is doubled", ""}}};
}

TEST(Laws, the_table_is_the_documented_one) {
    EXPECT_EQ(printLaws(smallCatalog(), ShapeList::summed),
              R"(2 theorems in 2 stems; a theorem of STEM stands in spec/STEM.hpp

  theorem    sentence      scope  proved owed     at

one
  first_law  a row stays   engine free   moves    A
      kills bug_a, bug_b

two
  second_law angles add up spec   T1     computes B
      kills none yet

scope     spec: it relates the spec to itself; engine: it can convict an engine
proved    free: both sides are the same term, so equal in every number system
          T1: modulo "rotations compose", a law of the real numbers
owed      moves: rows only move, the same bits; computes: as exactly as declared
          repeats, batches: the bits of another run, or batch, where declared
at        the compiler that built this program proved it at these shapes, over symbols
          A: lengths 0 1 4; up to 4:2 heads; rope; raw keys; alibi; window 3; sink 1
          B: length 2; up to 1:1 heads
)");
}

TEST(Laws, every_shape_is_printed_when_asked_for) {
    std::string const text = printLaws(smallCatalog(), ShapeList::full);
    EXPECT_NE(text.find("      length 4, heads 4:2, key dim 1, value dim 2, interleaved 2, raw "
                        "keys, alibi, window 3, sinks 1\n"),
              text.npos);
    EXPECT_NE(text.find("      length 0, heads 1:1, key dim 1, value dim 2\n"), text.npos);
}

TEST(Laws, a_program_without_proofs_says_so) {
    Catalog bare = smallCatalog();
    for (auto& law : bare.laws) law.shapes.clear();
    std::string const text = printLaws(bare, ShapeList::summed);
    EXPECT_NE(text.find("  first_law  a row stays   engine free   moves    -\n"), text.npos);
    EXPECT_NE(text.find("linked without proofs/"), text.npos);
    EXPECT_NE(explain(bare, "first_law").find("at no shape"), std::string::npos);
}

TEST(Laws, json_holds_every_shape_and_kill) {
    auto const json = Json::parse(lawsToJson(smallCatalog()).dump());
    ASSERT_EQ(json.size(), 2u);
    EXPECT_EQ(json[0]["law"], "first_law");
    EXPECT_EQ(json[0]["free"], true);
    EXPECT_EQ(json[0]["shapes"].size(), 3u);
    EXPECT_EQ(json[0]["shapes"][2]["rotaryLayout"], "interleaved");
    EXPECT_EQ(json[0]["kills"], Json({"bug_a", "bug_b"}));
    EXPECT_EQ(json[1]["modulo"], "rotations compose");
    EXPECT_EQ(json[1]["scope"], "spec");
}

// The real registry: nothing is lost between spec/laws.hpp and the table, and it fits a terminal.
TEST(Laws, the_registry_is_listed_whole_and_fits_100_columns) {
    Catalog const all = catalog();
    EXPECT_EQ(all.laws.size(), lawCount);
    std::string const text = printLaws(all, ShapeList::summed);
    for (auto const& law : all.laws)
        EXPECT_NE(text.find("\n  " + law.name + " "), text.npos) << law.name;
    std::size_t kills = 0;
    for (auto const& law : all.laws) kills += all.killedBy(law.name).size();
    EXPECT_EQ(kills, all.bugs.size()) << "a bug names a theorem that does not exist";
    std::string explained;
    for (auto const& law : all.laws) explained += explain(all, law.name);
    for (std::string const& page : {text, explained})
        for (std::size_t from = 0; from < page.size();) {
            std::size_t const end = page.find('\n', from);
            EXPECT_LE(end - from, 100u) << page.substr(from, end - from);
            from = end + 1;
        }
}

TEST(Explain, an_entry_says_everything) {
    EXPECT_EQ(explain(smallCatalog(), "first_law"), R"(first_law: a row stays

  scope     engine. An engine can break it: kvspec check ENGINE --law first_law
  proved    free. Both sides are the same term, so they are equal in every number system
  owed      moves. Rows are stored and read back, so an engine owes the same bits
  compiled  at 3 shapes: lengths 0 1 4; up to 4:2 heads; rope; raw keys; alibi; window 3; sink 1
  kills     bugs/bug_a: a row is lost
              a relative in the wild: someone/engine #1
            bugs/bug_b: a row is doubled
  written   spec/one.hpp: the verb, the equation and the claim
            proofs/one.cpp: the proof, by the compiler
            properties/one.hpp: the inputs that an engine is asked at
)");
    EXPECT_EQ(explain(smallCatalog(), "second_law"), R"(second_law: angles add up

  scope     spec. It relates the spec to itself: no engine can break it, a wrong spec can
  proved    modulo "rotations compose". Both sides are equal once that law of the real numbers is
            granted; in floats it may hold only approximately
  owed      computes. An engine owes the exact answer on probes, and elsewhere one in the interval
            that its declared numerics certify
  compiled  at 1 shapes: length 2; up to 1:1 heads
  kills     none yet: no bug of the zoo breaks this law first
  written   spec/two.hpp: the verb, the equation and the claim
            proofs/two.cpp: the proof, by the compiler
)");
}

std::string complaintOf(auto const& act) {
    try {
        act();
    } catch (std::exception const& complaint) {
        return complaint.what();
    }
    return "accepted";
}

TEST(Explain, an_unknown_name_is_refused_with_near_misses) {
    EXPECT_EQ(complaintOf([] { explain(smallCatalog(), "frist_law"); }),
              "\"frist_law\" is no theorem; expected one that kvspec laws lists, perhaps "
              "first_law");
    EXPECT_EQ(complaintOf([] { explain(smallCatalog(), "gravity"); }),
              "\"gravity\" is no theorem; expected one that kvspec laws lists");
    EXPECT_THROW(explain(smallCatalog(), ""), BadArgument);
}

TEST(Explain, near_misses_come_nearest_first_and_at_most_three) {
    std::vector<std::string> const names{"rollback", "rollforward", "fork",
                                         "forks",    "folk",        "fort"};
    EXPECT_EQ(nearMisses("fork", names), (std::vector<std::string>{"fork", "forks", "folk"}));
    EXPECT_EQ(nearMisses("roll", names), (std::vector<std::string>{"rollback", "rollforward"}));
    EXPECT_TRUE(nearMisses("attention", names).empty());
}

TEST(Wrapped, breaks_at_blanks_only) {
    EXPECT_EQ(wrapped("aaa bbb ccc", 2, 7), "aaa bbb\n  ccc");
    EXPECT_EQ(wrapped("aaa bbb ccc", 2, 11), "aaa bbb ccc");
    EXPECT_EQ(wrapped("  aaaaaaaaaa bb", 2, 6), "  aaaaaaaaaa\n  bb");
    EXPECT_EQ(wrapped("", 2, 6), "");
}

// --- A report with each outcome.

Violation violation() {
    return {.law = "broken_law", .sentence = "rows stay & <stay>", .instrument = Instrument::exact,
            .step = 1, .where = "sequence 0, length", .got = "2", .want = "1",
            .trace = {{.family = Family::oneHot, .seed = 5, .tokens = {}},
                      {{.verb = Verb::append, .sequence = 0, .count = 2},
                       {.verb = Verb::observe, .sequence = 0}}}};
}

LawResult law(std::string name, Outcome outcome, std::string why, std::size_t inputs) {
    return {std::move(name), "rows stay & <stay>", outcome, std::move(why), inputs, 0, {}, {}};
}

CheckRun heldRun() {
    CheckRun run;
    auto& r = run.report;
    r.engine = "an/engine";
    r.seed = 9;
    r.laws = {law("good_law", Outcome::held, "", 12)};
    r.coverage.cases = 40;
    r.coverage.steps = 200;
    r.coverage.refusals = 25;
    r.coverage.casesWithProbe = 10;
    r.coverage.outputs = 100;
    r.coverage.exactOutputs = 60;
    r.coverage.rows = 77;
    r.coverage.vacuousOutputs = 3;
    auto const count = [&](Verb first, Verb second) -> std::size_t& {
        return r.coverage.pairs[std::size_t(first)][std::size_t(second)];
    };
    count(Verb::append, Verb::append) = 6;
    count(Verb::append, Verb::attend) = 7;
    count(Verb::attend, Verb::append) = 5;
    count(Verb::attend, Verb::attend) = 8;
    r.seconds = 2;
    for (std::size_t i = 0; i < 12; ++i)
        r.reach.push_back(
            {fmt::format("bugs/b{}", i), i < 6 ? std::optional(i + 1) : std::nullopt});
    run.verbs = {Verb::append, Verb::attend};
    run.cases = 40;
    run.require = 50;
    return run;
}

CheckRun brokenRun() {
    CheckRun run = heldRun();
    run.report.laws.push_back(law("shy_law", Outcome::refused, "no \"room\"", 0));
    run.report.laws.push_back(law("far_law", Outcome::notReachable, "fork is not offered", 0));
    run.report.laws.push_back(law("broken_law", Outcome::violated, "", 3));
    run.report.violation = violation();
    run.report.casesToFailure = 40;
    run.cases = 100;
    run.again = "kvspec replay out/x.trace";
    return run;
}

constexpr std::string_view heldText =
    R"(an/engine: held 1 / refused 0 / not reachable 0 / violated 0
could have shown 6 of 12 bugs of the zoo

  law       outcome        inputs  sentence, or why not
  good_law  held               12  rows stay & <stay>

coverage  40 cases from seed 9 in 2.0 s, 20 a second
          200 verbs, 12.5 % of them refused; a probe spoke in 25.0 % of the cases
          77 rows read back bit for bit
          100 outputs: 60 had one right float, 40 an interval, 3 of those vacuous
          4 ordered pairs of verbs, the rarest 5 times: attend, append
)";

TEST(Report, a_check_that_held) {
    EXPECT_EQ(printReport(heldRun(), Pairs::smallest), heldText);
}

TEST(Report, the_table_of_pairs) {
    EXPECT_EQ(printReport(heldRun(), Pairs::all), std::string(heldText) + R"(
how often the verb of a row was followed by the verb of a column
           append   attend
append          6        7
attend          5        8
)");
}

TEST(Report, a_check_that_convicts) {
    EXPECT_EQ(printReport(brokenRun(), Pairs::smallest),
              R"(an/engine: held 1 / refused 1 / not reachable 1 / violated 1
could have shown 6 of 12 bugs of the zoo

  law         outcome        inputs  sentence, or why not
  good_law    held               12  rows stay & <stay>
  shy_law     refused             0  no "room"
  far_law     not reachable       0  fork is not offered
  broken_law  VIOLATED            3  rows stay & <stay>

coverage  40 cases from seed 9 in 2.0 s, 20 a second, the last of which broke a law
          200 verbs, 12.5 % of them refused; a probe spoke in 25.0 % of the cases
          77 rows read back bit for bit
          100 outputs: 60 had one right float, 40 an interval, 3 of those vacuous
          4 ordered pairs of verbs, the rarest 5 times: attend, append

VIOLATED broken_law: rows stay & <stay>
  where  verb 2 of 2, observe(s0): sequence 0, length
  got    2   want 1   (exact: one answer is right, bit for bit)
  trace  append(s0, 2) observe(s0)  [2 verbs, oneHot values]
  again  kvspec replay out/x.trace
)");
}

TEST(Report, a_law_says_how_it_was_judged) {
    auto run = heldRun();
    auto& laws = run.report.laws;
    laws.push_back(law("open_law", Outcome::undefined, "may overflow", 0));
    laws.push_back(law("wide_law", Outcome::vacuous, "declare more", 0));
    auto& evidence = laws[0].evidence;
    evidence.rows = 30;
    evidence.exact = 20;
    evidence.bounded = 10;
    evidence.open = 4;
    evidence.widest = 2;
    evidence.answers[3] = 6;
    evidence.answers[9] = 4;
    evidence.rules[std::size_t(Rule::sums)] = 4;
    evidence.rules[std::size_t(Rule::scores)] = 6;
    auto const text = printReport(run, Pairs::smallest);
    EXPECT_TRUE(text.starts_with("an/engine: held 1 / refused 0 / not reachable 0 / violated 0 / "
                                 "undefined 1 / vacuous 1\n"))
        << text;
    EXPECT_NE(text.find("  open_law  undefined           0  may overflow\n"
                        "  wide_law  vacuous             0  declare more\n"),
              text.npos)
        << text;
    EXPECT_NE(text.find(R"(
  judged by      rows    exact interval   open    widest   answers  mostly
  good_law         30       20       10      4   2.0e+00         7  rounded scores, R6
  open: outputs of which nothing can be said; widest: of the largest value;
  answers: half of the intervals accept at most so many
)"),
              text.npos)
        << text;
    auto const json = Json::parse(reportToJson(run).dump());
    EXPECT_EQ(json["undefined"], 1);
    EXPECT_EQ(json["vacuous"], 1);
    EXPECT_EQ(json["laws"][0]["judgedBy"]["exact"], 20);
    EXPECT_EQ(json["laws"][0]["judgedBy"]["mostly"], "rounded scores, R6");
    EXPECT_NE(reportToJunit(run).find("<skipped message=\"vacuous: declare more\"/>"), text.npos);
}

TEST(Report, each_instrument_has_its_words) {
    auto const thirdLine = [](Instrument instrument) {
        Violation v = violation();
        v.instrument = instrument;
        std::string const text = printVerdict(v, "x");
        std::size_t const from = text.find("  got"), end = text.find('\n', from);
        return text.substr(from, end - from);
    };
    EXPECT_EQ(thirdLine(Instrument::bounded),
              "  got    2   want 1   (bounded: outside of the certified interval)");
    EXPECT_EQ(thirdLine(Instrument::permission),
              "  got    2   want 1   (permission: what must be accepted or refused)");
}

TEST(Report, a_verdict_has_five_lines_whatever_an_engine_says) {
    Violation v = violation();
    v.got = "refused: no\nroom\x1b[31m";
    v.where = "a\r\nplace";
    EXPECT_EQ(printVerdict(v, "x"), R"(VIOLATED broken_law: rows stay & <stay>
  where  verb 2 of 2, observe(s0): a\x0d\nplace
  got    refused: no\nroom\x1b[31m   want 1   (exact: one answer is right, bit for bit)
  trace  append(s0, 2) observe(s0)  [2 verbs, oneHot values]
  again  x
)");
    v.step = 2;
    EXPECT_NE(printVerdict(v, "x").find("after the last of 2 verbs: a"), std::string::npos);
    v.trace.steps.clear();
    EXPECT_EQ(printVerdict(v, "kvspec check e --law l"), R"(VIOLATED broken_law: rows stay & <stay>
  where  a\x0d\nplace
  got    refused: no\nroom\x1b[31m   want 1   (exact: one answer is right, bit for bit)
  trace  none: the equation of the law itself, put to fresh engines
  again  kvspec check e --law l
)");
}

TEST(Report, the_exit_code_says_what_was_shown) {
    CheckRun run = heldRun();
    EXPECT_EQ(exitOf(run), Exit::held);
    run.require = 51;
    EXPECT_EQ(exitOf(run), Exit::tooLittle);
    EXPECT_NE(printReport(run, Pairs::smallest).find("of the zoo: too little, --require asks for "
                                                     "51 %\n"),
              std::string::npos);
    run.report.violation = violation();
    EXPECT_EQ(exitOf(run), Exit::violated);
    run = heldRun();
    run.report.reach.clear();
    EXPECT_EQ(exitOf(run), Exit::held);
    EXPECT_NE(printReport(run, Pairs::smallest).find("0 of 0 bugs of the zoo, none of which breaks "
                                                     "this law\n"),
              std::string::npos);
    // An engine that refuses everything has not conformed.
    run.require = 0;
    run.report.laws[0].outcome = Outcome::refused;
    EXPECT_EQ(exitOf(run), Exit::tooLittle);
    EXPECT_NE(printReport(run, Pairs::smallest).find(": too little, since no law could be decided"),
              std::string::npos);
}

TEST(Report, the_power_of_a_run_is_listed_where_asked) {
    CheckRun run = heldRun();
    EXPECT_EQ(printReport(run, Pairs::smallest).find("power"), std::string::npos);
    run.power = true;
    run.report.reach = {{"bugs/a", 17}, {"bugs/long", {}}};
    EXPECT_NE(printReport(run, Pairs::smallest)
                  .find("power     bugs/a     shown by case 17\n          bugs/long  not shown\n"),
              std::string::npos);
    EXPECT_EQ(reportToJson(run)["power"].dump(),
              R"([{"bug":"bugs/a","cases":17},{"bug":"bugs/long"}])");
}

TEST(Report, what_was_not_tried_is_said) {
    CheckRun run = heldRun();
    run.cases = 41;
    run.report.blindSpots = {"one layer only", "no window"};
    std::string const text = printReport(run, Pairs::smallest);
    EXPECT_NE(text.find("20 a second, then the budget ended\n"), text.npos);
    EXPECT_NE(text.find("\nblind     one layer only\n          no window\n"), text.npos);
    run.report.coverage = {};
    EXPECT_NE(printReport(run, Pairs::all).find("\ncoverage  no random traces, only the equations"),
              std::string::npos);
}

TEST(Report, json_holds_everything) {
    auto const json = Json::parse(reportToJson(brokenRun()).dump());
    EXPECT_EQ(json["kvspec-report"], 1);
    EXPECT_EQ(json["engine"], "an/engine");
    EXPECT_EQ(json["seed"], 9);
    EXPECT_EQ(json["exit"], 1);
    EXPECT_EQ(json["held"], 1);
    EXPECT_EQ(json["refused"], 1);
    EXPECT_EQ(json["notReachable"], 1);
    EXPECT_EQ(json["violated"], 1);
    EXPECT_EQ(json["couldHaveShown"]["bugs"], 6);
    EXPECT_EQ(json["couldHaveShown"]["of"], 12);
    ASSERT_EQ(json["laws"].size(), 4u);
    EXPECT_EQ(json["laws"][2]["outcome"], "not reachable");
    EXPECT_EQ(json["laws"][2]["why"], "fork is not offered");
    EXPECT_EQ(json["coverage"]["pairs"]["attend"]["append"], 5);
    EXPECT_EQ(json["coverage"]["smallestPair"], 5);
    EXPECT_EQ(json["coverage"]["vacuousOutputs"], 3);
    EXPECT_EQ(json["coverage"]["casesPerSecond"], 20);
    EXPECT_EQ(json["violation"]["law"], "broken_law");
    EXPECT_EQ(json["violation"]["trace"], "append(s0, 2) observe(s0)");
    EXPECT_EQ(json["violation"]["again"], "kvspec replay out/x.trace");
    EXPECT_EQ(json["violation"]["casesToFailure"], 40);
}

TEST(Report, junit_has_one_testcase_per_law) {
    EXPECT_EQ(reportToJunit(brokenRun()), R"(<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="kvspec check an/engine" time="2.000"
             tests="4" failures="1" errors="0" skipped="2">
    <properties>
      <property name="seed" value="9"/>
      <property name="cases" value="40"/>
      <property name="bugs that could have been shown" value="6 of 12"/>
    </properties>
    <testcase classname="kvspec.an/engine" name="good_law"/>
    <testcase classname="kvspec.an/engine" name="shy_law">
      <skipped message="refused: no &quot;room&quot;"/>
    </testcase>
    <testcase classname="kvspec.an/engine" name="far_law">
      <skipped message="not reachable: fork is not offered"/>
    </testcase>
    <testcase classname="kvspec.an/engine" name="broken_law">
      <failure message="rows stay &amp; &lt;stay&gt;">
VIOLATED broken_law: rows stay &amp; &lt;stay&gt;
  where  verb 2 of 2, observe(s0): sequence 0, length
  got    2   want 1   (exact: one answer is right, bit for bit)
  trace  append(s0, 2) observe(s0)  [2 verbs, oneHot values]
  again  kvspec replay out/x.trace
</failure>
    </testcase>
  </testsuite>
</testsuites>
)");
}

// A law whose own equation broke is reported with that, not with the shrunk trace of another law.
TEST(Report, junit_gives_each_law_its_own_failure) {
    CheckRun run = brokenRun();
    run.report.laws[0].outcome = Outcome::violated;
    run.report.laws[0].violation = violation();
    run.report.laws[0].violation->law = "good_law";
    run.report.laws[0].violation->trace.steps.clear();
    std::string const xml = reportToJunit(run);
    EXPECT_NE(xml.find("again  kvspec check an/engine --law good_law"), xml.npos);
    EXPECT_NE(xml.find("again  kvspec replay out/x.trace"), xml.npos);
}

TEST(Report, xml_holds_what_xml_can_hold) {
    EXPECT_EQ(xmlEscaped("a<b>&\"'\n"), "a&lt;b&gt;&amp;&quot;&apos;\n");
    EXPECT_EQ(xmlEscaped("\u00e9\u2028\U0001F600"), "\u00e9\u2028\U0001F600");
    EXPECT_EQ(xmlEscaped(std::string_view("\x1b[31m\0\r\x7f", 8)), "?[31m???");
    // A byte alone, a cut character, '/' spelled too long, a surrogate, U+FFFE, above U+10FFFF.
    EXPECT_EQ(xmlEscaped("\xff x\xe2\x82"), "? x??");
    EXPECT_EQ(xmlEscaped("\xc0\xaf \xe0\x80\xaf \xed\xa0\x80"), "?? ??? ???");
    EXPECT_EQ(xmlEscaped("\xef\xbf\xbe \xf4\x90\x80\x80"), "??? ????");
}

TEST(Candidates, are_found_by_their_names) {
    std::vector<properties::Candidate> const two{{"a", {}, {}}, {"b", {}, {}}};
    EXPECT_EQ(candidateNamed(two, "b").name, "b");
    EXPECT_EQ(complaintOf([&] { candidateNamed(two, "c"); }),
              "\"c\" is no engine; expected a or b");
    EXPECT_EQ(candidates().front().name, "contiguous");
    EXPECT_EQ(candidates()[1].name, "paged");
    EXPECT_EQ(candidates().size(), 2 + zooBugs().size());
}

// --- Saved traces.

class SavedTrace : public testing::Test {
   protected:
    void SetUp() override {
        directory = std::filesystem::temp_directory_path() /
                    ("kvspec_command_test_" + std::to_string(getpid()));
    }
    void TearDown() override { std::filesystem::remove_all(directory); }
    std::filesystem::path directory;
};

// All bugs, or a third where the sanitizers watch: what check says, replay says, word for word.
TEST_F(SavedTrace, of_each_bug_replays_to_the_same_verdict) {
    std::size_t bugs = 0;
    for (auto const& bug : zooBugs()) {
        if (bugs++ % 3 != 0 && tests::isSanitized)
            continue;
        auto const& candidate = candidateNamed(candidates(), "bugs/" + bug.name);
        std::optional<std::filesystem::path> first;
        properties::CheckOptions options;
        options.law = "trace_eq_spec";  // as by default, but for claims that no trace shows
        options.onFirstFailure = [&](Violation const& v, properties::Setup const& setup) {
            first = saveTrace(directory, "first", v, setup);
        };
        auto const report = properties::check(candidate, options);
        ASSERT_TRUE(report.violation) << candidate.name;
        ASSERT_TRUE(first) << candidate.name;
        EXPECT_EQ(report.violation->law, bug.theorem) << candidate.name;
        EXPECT_LE(report.violation->trace.steps.size(), 6u) << candidate.name;
        auto const path =
            saveTrace(directory, report.violation->law, *report.violation, report.setup);
        auto const file = std::get<CounterexampleFile>(readTrace(path));
        EXPECT_EQ(file.law, report.violation->law);
        EXPECT_EQ(file.fill, report.setup.fill);
        auto const again = replay(file, path.string(), candidates());
        EXPECT_EQ(printReplay(again, file, path),
                  printVerdict(*report.violation, "kvspec replay " + path.string()))
            << candidate.name;
        auto const unshrunk = std::get<CounterexampleFile>(readTrace(*first));
        properties::Coverage coverage;
        properties::Setup const setup{unshrunk.declaration, unshrunk.fill};
        EXPECT_TRUE(properties::judge(candidate, {setup, unshrunk.trace}, coverage))
            << candidate.name;
    }
}

CounterexampleFile counterexample(std::string engine, properties::Trace trace) {
    auto declaration = properties::standardSetups(engine, numericsF32Plain).front().declaration;
    return {std::move(declaration), "rollback_append", std::move(trace), properties::Fill::zero};
}

TEST(Replay, uses_the_declaration_and_the_fill_of_the_file) {
    std::optional<properties::Setup> seen;
    std::vector<properties::Candidate> const mine{
        {"mine", [&](properties::Setup const& setup) {
             if (!seen) seen = setup;
             return candidates().front().make(setup);
         }, {}}};
    auto file = counterexample("mine", violation().trace);
    file.declaration.capacity = 5;
    auto const result = replay(file, "f", mine);
    EXPECT_FALSE(result.violation);
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->fill, properties::Fill::zero);
    EXPECT_EQ(seen->declaration, file.declaration);
}

TEST(Replay, says_what_held) {
    auto const file = counterexample("contiguous", violation().trace);
    auto const result = replay(file, "f", candidates());
    std::string const text = printReplay(result, file, "f");
    EXPECT_EQ(text, "held on this trace: 2 verbs, 0 refused; 4 rows and 0 outputs compared, 0 of "
                    "them with one right float\n"
                    "the file was saved as a violation of rollback_append\n");
}

// The values stand in the file: two tokens whose rows are counted through.
TEST(Replay, takes_inlined_values) {
    properties::Values const two{.family = Family::inlined, .seed = 0, .tokens = {2, {}}};
    properties::Trace trace{two,
                            {{.verb = Verb::append, .sequence = 0, .count = 2},
                             {.verb = Verb::rollback, .sequence = 0, .length = 1},
                             {.verb = Verb::observe, .sequence = 0}}};
    auto file = counterexample("bugs/stale_length_after_rollback", trace);
    float next = 0;
    for (auto const& layer : file.declaration.layers) {
        auto const rows = [&](std::size_t width) {
            std::vector<float> all;
            for (std::size_t i = 0; i < 2 * width; ++i) all.push_back(next += 1);
            return all;
        };
        file.trace.values.tokens.layers.push_back({rows(layer.kvHeads * layer.keyDim),
                                                   rows(layer.kvHeads * layer.valueDim),
                                                   rows(layer.queryHeads * layer.keyDim)});
    }
    auto const back = std::get<CounterexampleFile>(parseTrace(writeTrace(file), "f"));
    auto const result = replay(back, "f", candidates());
    ASSERT_TRUE(result.violation);
    EXPECT_EQ(result.violation->law, "rollback_append");
    EXPECT_EQ(printReplay(result, back, "f"), R"(VIOLATED rollback_append: a rollback undoes appends
  where  verb 3 of 3, observe(s0): sequence 0, length
  got    2   want 1   (exact: one answer is right, bit for bit)
  trace  append(s0, 2) rollback(s0, to 1) observe(s0)  [3 verbs, inlined values]
  again  kvspec replay f
)");
}

TEST(Replay, refuses_engines_that_it_does_not_have) {
    auto const file = counterexample("nobody", violation().trace);
    EXPECT_EQ(complaintOf([&] { replay(file, "f", {{"a", {}, {}}, {"b", {}, {}}}); }),
              "f:1: declaration.engine is \"nobody\"; expected a or b");
    std::vector<properties::Candidate> const broken{
        {"nobody", [](properties::Setup const&) -> std::unique_ptr<properties::AnyEngine> {
             throw std::invalid_argument("no heads");
         }, {}}};
    EXPECT_EQ(complaintOf([&] { replay(file, "f", broken); }),
              "f:1: the engine \"nobody\" cannot be built: no heads; expected a declaration that "
              "it supports");
}

TEST_F(SavedTrace, has_a_plain_name) {
    EXPECT_EQ(traceFileName("bugs/slot_reused", "appendKV_prefix"),
              "bugs-slot_reused-appendKV_prefix.trace");
    EXPECT_EQ(traceFileName("../my engine\n", "law"), "engine..-my-engine--law.trace");
    EXPECT_EQ(replayCommand("out/a-b.trace"), "kvspec replay out/a-b.trace");
    EXPECT_EQ(replayCommand("my out/it's.trace"), "kvspec replay 'my out/it'\\''s.trace'");
}

TEST_F(SavedTrace, that_cannot_be_written_is_said) {
    std::filesystem::create_directories(directory);
    auto const file = directory / "file";
    std::ofstream(file) << "x";
    auto const setup = properties::standardSetups("contiguous", numericsF32Plain).front();
    EXPECT_EQ(complaintOf([&] { saveTrace(file / "sub", "law", violation(), setup); }),
              (file / "sub" / "contiguous-law.trace").string() +
                  " cannot be written; expected a directory that may be made and written "
                  "(--save DIR)");
}

}  // namespace

// probe_test: every probe has one right answer, and shows what it is for.
#include "properties/probe.hpp"

#include "decoding.hpp"
#include "oracle/candidates.hpp"
#include "properties/check.hpp"
#include "properties/spelling.hpp"
#include "properties/values.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

namespace kv::tests {

namespace {

using namespace properties;

Candidate decoding(Wrong const& wrong) {
    return {"decoding",
            [wrong](properties::Setup const& setup) {
                return std::make_unique<Decoding>(setup, wrong);
            },
            {},
            numericsF32Plain};
}

/// The case that is drawn for this seed, with values of this family; nothing where no layer fits.
std::optional<Case> drawnWith(Candidate const& candidate, Family family, std::uint64_t seed) {
    Case c = drawn(candidate, mixed(seed), int(seed % 101));
    c.trace.values.family = family;
    auto const& layers = c.setup.declaration.layers;
    if (std::ranges::none_of(layers, [&](auto const& l) { return speaks(family, l); })) return {};
    return c;
}

/// The first conviction by an output, not by a read-back, and after how many cases.
struct Conviction {
    std::size_t cases = 0;
    Violation violation;
};
std::optional<Conviction> firstConviction(Candidate const& candidate, Family family) {
    constexpr std::uint64_t most = 1000;
    for (std::uint64_t seed = 1; seed <= most; ++seed) {
        auto const c = drawnWith(candidate, family, seed);
        if (!c) continue;
        Coverage coverage;
        auto violation = judge(*candidate.make(c->setup), c->trace, coverage);
        if (violation && violation->where.find("query head") != std::string::npos)
            return Conviction{std::size_t(seed), std::move(*violation)};
    }
    return {};
}

/// One layer with this rotation and storage, wide enough for every probe.
struct Turned {
    RotaryLayout layout;
    KeyStorage storage;
};
properties::Setup setupWith(Turned const& turned) {
    auto setup = standardSetups("probe", numericsF32Plain).back();
    auto& layer = setup.declaration.layers[0];
    layer.window = layer.retained = 0;
    layer.keyDim = 8;
    layer.valueDim = 5;
    layer.rotaryLayout = turned.layout;
    layer.keyStorage = turned.storage;
    setup.declaration.layers.resize(1);
    return setup;
}

/// Stores some tokens and asks for each of them.
Trace asksForEach(Family family, std::size_t tokens) {
    Trace trace{{family, 3, {}}, {{.verb = Verb::append, .count = tokens}}};
    for (std::size_t t = 0; t < tokens; ++t)
        trace.steps.push_back({.verb = Verb::attend, .target = t});
    return trace;
}

TEST(Probe, is_listed_once_with_bugs_that_exist) {
    std::set<Family> listed;
    for (auto const& probe : everyProbe()) {
        EXPECT_TRUE(listed.insert(probe.family).second) << nameOf(probe.family);
        for (auto bug : probe.bugs)
            EXPECT_NO_THROW(
                oracle::candidateNamed(oracle::candidates(), "bugs/" + std::string(bug)));
    }
    // What is painted, sampled or written down is no probe.
    EXPECT_EQ(listed.size() + 3, everySpelling<Family>.size());
}

TEST(Probe, has_one_right_answer) {
    for (auto const& probe : everyProbe())
        for (RotaryLayout layout : {RotaryLayout::halfSplit, RotaryLayout::interleaved})
            for (KeyStorage storage : {KeyStorage::rotated, KeyStorage::raw}) {
                auto const setup = setupWith({layout, storage});
                Coverage coverage;
                auto const engine = oracle::ours("contiguous").make(setup);
                EXPECT_FALSE(judge(*engine, asksForEach(probe.family, 8), coverage));
                bool const isBounded = probe.family == Family::balance;
                EXPECT_EQ(coverage.exactOutputs, isBounded ? 0 : coverage.outputs)
                    << nameOf(probe.family);
                EXPECT_EQ(coverage.outputs, 8 * 4 * 5u);
                EXPECT_EQ(coverage.vacuousOutputs, 0u);
            }
}

// The largest score is 0 since all its products are: then the form of the exponent is no matter.
TEST(Probe, of_one_hot_keys_is_exact_in_every_declared_form) {
    auto setup = setupWith({RotaryLayout::interleaved, KeyStorage::raw});
    setup.declaration.numerics = numericsF32;
    Coverage coverage;
    auto const engine = oracle::ours("contiguous").make(setup);
    EXPECT_FALSE(judge(*engine, asksForEach(Family::oneHot, 8), coverage));
    EXPECT_EQ(coverage.exactOutputs, coverage.outputs);
}

/// Our engine, whose first output is off by a little.
class OffByALittle : public oracle::Ours<> {
   public:
    using Ours::Ours;
    Answer attend(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        auto const answer = Ours::attend(s, tokens, outputs);
        if (answer) outputs.front().front() += 1 / static_cast<float>(1 << 18);
        return answer;
    }
};

TEST(Probe, of_balance_is_narrow) {
    OffByALittle engine(setupWith({RotaryLayout::halfSplit, KeyStorage::rotated}));
    Coverage coverage;
    auto const violation = judge(engine, asksForEach(Family::balance, 12), coverage);
    ASSERT_TRUE(violation);
    EXPECT_EQ(violation->instrument, Instrument::bounded);
}

TEST(Probe, of_each_family_holds_where_nothing_is_wrong) {
    for (auto const& probe : everyProbe()) {
        if (probe.family == Family::quantiserStep) continue;  // of formats: storing_test.cpp
        Coverage coverage;
        for (Candidate const& candidate : {oracle::ours("contiguous"), decoding({})})
            for (std::uint64_t seed = 0; seed < 500; ++seed)
                if (auto const c = drawnWith(candidate, probe.family, seed)) {
                    EXPECT_FALSE(judge(*candidate.make(c->setup), c->trace, coverage))
                        << nameOf(probe.family) << ": " << brief(c->trace);
                }
        EXPECT_GT(coverage.outputs, 1000u);
        EXPECT_EQ(coverage.vacuousOutputs, 0u) << nameOf(probe.family);
        fmt::print("{:12} {:7} outputs, {:7} exact\n", nameOf(probe.family), coverage.outputs,
                   coverage.exactOutputs);
    }
}

TEST(Probe, shows_the_mistake_it_is_for) {
    struct Mistake {
        Family family;
        Wrong wrong;
        std::string_view name;
    };
    for (auto const& mistake : std::vector<Mistake>{
             {Family::mean, {.sumBits = 11}, "values are added in f16"},
             {Family::wideSum, {.sumBits = 8}, "values are added in bf16"},
             {Family::wideSum, {.sumBits = 14}, "values are added in 14 bits"},
             {Family::wideSum, {.sumBits = 18}, "values are added in 18 bits"},
             {Family::oneHot, {.swapsValues = true}, "two values are swapped"},
             {Family::groupSelect, {.hasStaleKey = true}, "a key is stale"},
             {Family::groupSelect, {.swapsValues = true}, "two values are swapped"},
             {Family::knifeEdge, {.query = -1}, "the query is one position behind"},
             {Family::knifeEdge, {.newestKey = -1}, "the newest key is one position behind"},
             {Family::equalKeys, {.query = -1}, "the query is one position behind"},
             {Family::equalKeys, {.newestKey = -1}, "the newest key is one position behind"},
             {Family::ladder, {.keepsOldSums = true}, "sums are not rescaled"},
             {Family::balance, {.moreDims = 1}, "the scale is that of a wider head"}}) {
        auto const conviction = firstConviction(decoding(mistake.wrong), mistake.family);
        ASSERT_TRUE(conviction) << nameOf(mistake.family) << ": " << mistake.name;
        if (mistake.family == Family::balance) {
            EXPECT_EQ(conviction->violation.instrument, Instrument::bounded);
        }
        fmt::print("{:12} {:38} case {}\n", nameOf(mistake.family), mistake.name,
                   conviction->cases);
    }
}

TEST(Probe, shows_the_bugs_it_is_for) {
    for (auto const& probe : everyProbe())
        for (auto bug : probe.bugs) {
            auto const& candidate =
                oracle::candidateNamed(oracle::candidates(), "bugs/" + std::string(bug));
            auto const conviction = firstConviction(candidate, probe.family);
            ASSERT_TRUE(conviction) << nameOf(probe.family) << ": " << bug;
            fmt::print("{:12} {:38} case {}\n", nameOf(probe.family), bug, conviction->cases);
        }
}

// A row of zeros scores 0, as much as the winners: what must not be read is loud without a family.
TEST(Probe, hears_a_row_of_zeros) {
    auto const setup = setupWith({RotaryLayout::halfSplit, KeyStorage::rotated});
    for (Family family : {Family::oneHot, Family::mean, Family::wideSum, Family::groupSelect,
                          Family::knifeEdge}) {
        Coverage coverage;
        auto const violation = judge(*decoding({.readsZeros = true}).make(setup),
                                     asksForEach(family, 8), coverage);
        ASSERT_TRUE(violation) << nameOf(family);
        EXPECT_EQ(violation->instrument, Instrument::exact) << nameOf(family);
    }
}

}  // namespace

}  // namespace kv::tests

// variation_test: what is promised not to matter is tried, and what is not promised is not asked.
#include "oracle/candidates.hpp"
#include "oracle/engines/ours.hpp"
#include "properties/variation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace kv::tests {

namespace {

using namespace properties;

CheckReport checked(Candidate const& candidate) {
    CheckOptions options;
    options.cases = 100;
    return check(candidate, options);
}

LawResult const& resultOf(CheckReport const& report, std::string_view law) {
    return *std::ranges::find(report.laws, law, &LawResult::law);
}

TEST(Variation, nothing_is_owed_that_is_not_promised) {
    for (char const* bug : {"sum_begins_where_the_last_ended", "sum_begins_at_its_block",
                            "sum_begins_midway_in_chunks"}) {
        auto candidate = oracle::candidateNamed(oracle::candidates(), std::string("bugs/") + bug);
        candidate.promises = {};
        auto const report = checked(candidate);
        EXPECT_FALSE(report.isViolated()) << bug;
        for (char const* law : {"repeat_same_bits", "chunk_same_bits", "copy_same_bits"})
            EXPECT_EQ(resultOf(report, law).outcome, Outcome::notReachable) << law;
        EXPECT_EQ(resultOf(report, "chunk_same_bits").why,
                  "the engine does not declare itself batch invariant");
        candidate.promises = Promises{};
        candidate.promises->deterministic = true;
        bool const isRepeatable = std::string_view(bug) != "sum_begins_where_the_last_ended";
        EXPECT_EQ(checked(candidate).isViolated(), !isRepeatable) << bug;
    }
}

TEST(Variation, a_verdict_names_the_verb_and_the_bits) {
    auto const report =
        checked(oracle::candidateNamed(oracle::candidates(), "bugs/sum_begins_midway_in_chunks"));
    ASSERT_TRUE(report.isViolated());
    EXPECT_EQ(report.violation->law, "chunk_same_bits");
    EXPECT_EQ(report.violation->instrument, Instrument::metamorphic);
    EXPECT_EQ(report.violation->trace.steps.at(report.violation->step).verb, Verb::prefill);
    EXPECT_NE(report.violation->where.find("token by token"), std::string::npos);
    EXPECT_NE(report.violation->got.find("bits "), std::string::npos);
    // No oracle was asked, so it has not answered no.
    EXPECT_EQ(resultOf(report, "trace_eq_spec").outcome, Outcome::held);
}

TEST(Variation, a_law_that_broke_is_reported_where_another_was_asked) {
    CheckOptions options;
    options.cases = 100;
    options.law = "trace_eq_spec";
    auto const& bug = oracle::candidateNamed(oracle::candidates(), "bugs/sum_begins_at_its_block");
    auto const report = check(bug, options);
    EXPECT_EQ(report.count(Outcome::violated), 1u);
    EXPECT_EQ(resultOf(report, "copy_same_bits").outcome, Outcome::violated);
}

TEST(Variation, rows_that_are_kept_by_their_values_are_a_blind_spot) {
    auto candidate = oracle::ours("contiguous");
    candidate.fixed = standardSetups(candidate).front().declaration;
    candidate.fixed->promises->addressing = Addressing::byValue;
    auto const report = checked(candidate);
    EXPECT_NE(std::ranges::find(report.blindSpots, "rows are kept by their values: a probe speaks "
                                                   "for its own values alone"),
              report.blindSpots.end());
}

/// What stands in storage comes into each output, times zero.
class Touching : public oracle::Ours<> {
   public:
    explicit Touching(properties::Setup const& setup)
        : Ours(setup), there_(setup.fill == Fill::poison ? std::nanf("") : 1.0f) {}
    Answer attend(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        auto const answer = Ours::attend(s, tokens, outputs);
        for (auto& layer : outputs)
            for (float& x : layer) x += 0 * there_;
        return answer;
    }

   private:
    float there_;
};

TEST(Variation, storage_holds_no_more_than_the_declaration_allows) {
    auto const make = [](auto const& setup) { return std::make_unique<Touching>(setup); };
    Candidate touching{"touching", make, {}, numericsF32Plain};
    EXPECT_FALSE(checked(touching).isViolated());
    touching.promises = Promises{};
    touching.promises->maskedSlots = MaskedSlots::neverRead;
    EXPECT_TRUE(checked(touching).isViolated());
}

/// The verdict on a few verbs of our engine's first standard setup.
std::optional<Violation> verdictOn(Candidate const& candidate, std::vector<Step> steps) {
    Coverage coverage;
    return judge(candidate, {standardSetups(candidate).front(), {{Family::sampled, 1, {}}, steps}},
                 coverage);
}

TEST(Variation, a_chunk_of_no_tokens_has_no_bits_to_compare) {
    EXPECT_FALSE(verdictOn(oracle::ours("contiguous"),
                           {{.verb = Verb::append, .count = 1}, {.verb = Verb::prefill}}));
}

/// On storage of zeros it loses a part of what it is asked for.
class Losing : public oracle::Ours<> {
   public:
    enum class Part : std::uint8_t { length, next, layers, rows, keys, outputs };
    Losing(properties::Setup const& setup, Part part)
        : Ours(setup), part_(part), loses_(setup.fill == Fill::zero) {}
    Answer observe(SequenceId s, Content& content) override {
        auto const answer = Ours::observe(s, content);
        if (!answer || !loses_) return answer;
        if (part_ == Part::length) --content.length;
        if (part_ == Part::next) --content.nextPosition;
        if (part_ == Part::layers) content.layers.pop_back();
        if (part_ == Part::rows) content.layers[0].positions.pop_back();
        if (part_ == Part::keys) content.layers[0].keys.pop_back();
        return answer;
    }
    Answer prefill(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        auto const answer = Ours::prefill(s, tokens, outputs);
        if (answer && loses_ && part_ == Part::outputs) outputs[0].resize(outputs[0].size() / 2);
        return answer;
    }

   private:
    Part part_;
    bool loses_;
};

TEST(Variation, what_is_missing_in_a_second_run_is_noticed) {
    using enum Losing::Part;
    for (auto const part : {length, next, layers, rows, keys, outputs}) {
        auto const make = [=](auto const& setup) { return std::make_unique<Losing>(setup, part); };
        Candidate losing{"losing", make, {}, numericsF32Plain, Promises{}};
        std::vector<Step> const steps{{.verb = Verb::prefill, .count = 2}, {.verb = Verb::observe}};
        EXPECT_FALSE(verdictOn(losing, steps));
        losing.promises->deterministic = true;
        auto const violation = verdictOn(losing, steps);
        ASSERT_TRUE(violation) << int(part);
        EXPECT_EQ(violation->law, "repeat_same_bits");
    }
}

/// Keys that were turned by an angle have another last bit in sequences of an odd number.
class Nudging : public oracle::Ours<> {
   public:
    using Ours::Ours;
    Answer observe(SequenceId s, Content& content) override {
        auto const answer = Ours::observe(s, content);
        if (!answer || s % 2 == 0) return answer;
        auto const& layer = declaration().layers[0];
        auto& held = content.layers[0];
        for (std::size_t i = 0; i < held.keys.size(); ++i)
            if (held.positions[i / layer.kvHeads / layer.keyDim] != 0 &&
                i % layer.keyDim < layer.rotaryDim)
                held.keys[i] = std::nextafter(held.keys[i], 0.0f);
        return answer;
    }
};

TEST(Variation, keys_that_are_turned_as_an_engine_likes_are_turned_alike) {
    auto declaration = standardSetups("nudging", numericsF32Plain).back().declaration;
    ASSERT_GT(declaration.layers[0].rotaryDim, 0u);
    declaration.layers.resize(1);
    declaration.sequences = 2;
    declaration.numerics = everywhere(precisions::bf16, numericsF32Plain);
    declaration.numerics.output = precisions::f32;
    declaration.numerics.rotation = RotationRounding::contracted;
    auto const make = [](auto const& setup) { return std::make_unique<Nudging>(setup); };
    Candidate nudging{"nudging", make, declaration};
    EXPECT_FALSE(checked(nudging).isViolated());
    nudging.fixed->promises = Promises{};
    nudging.fixed->promises->deterministic = nudging.fixed->promises->batchInvariant = true;
    auto const report = checked(nudging);
    ASSERT_TRUE(report.isViolated());
    EXPECT_EQ(report.violation->law, "copy_same_bits") << report.violation->where;
    EXPECT_NE(report.violation->where.find(", key at position "), std::string::npos);
}

/// Adds in another order, as far as anybody can see, in sequences that were restored.
class Reviving : public oracle::Ours<> {
   public:
    using Ours::Ours;
    Answer restore(SequenceId from, SequenceId to) override {
        restored_.insert(to);
        return Ours::restore(from, to);
    }
    Answer attend(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        auto const answer = Ours::attend(s, tokens, outputs);
        for (auto& layer : outputs)
            for (float& x : layer)
                if (restored_.contains(s)) x = std::nextafter(x, 0.0f);
        return answer;
    }

   private:
    std::set<SequenceId> restored_;
};

TEST(Variation, a_restored_copy_gives_the_bits_of_the_original) {
    auto const make = [](auto const& setup) { return std::make_unique<Reviving>(setup); };
    Candidate reviving{"reviving", make, {}, numericsF32Plain, Promises{}};
    std::vector<Step> const steps{{.verb = Verb::append, .count = 3},
                                  {.verb = Verb::save},
                                  {.verb = Verb::reset},
                                  {.verb = Verb::restore, .to = 1},
                                  {.verb = Verb::attend, .sequence = 1}};
    EXPECT_FALSE(verdictOn(reviving, steps));
    reviving.promises->batchInvariant = true;
    auto const violation = verdictOn(reviving, steps);
    ASSERT_TRUE(violation);
    EXPECT_EQ(violation->law, "copy_same_bits");
    EXPECT_NE(violation->where.find("stored alone"), std::string::npos) << violation->where;
    EXPECT_FALSE(verdictOn(oracle::ours("contiguous"), steps));
}

/// Wrong at one length, where a kernel for long pasts would take over.
class Switching : public oracle::Ours<> {
   public:
    using Ours::Ours;
    static constexpr std::size_t threshold = 21;
    Answer attend(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        auto const answer = Ours::attend(s, tokens, outputs);
        Content content;
        if (answer && Ours::observe(s, content) && content.length == threshold)
            for (float& x : outputs[0]) x = -x;
        return answer;
    }
};

TEST(Variation, lengths_around_a_threshold_are_tried) {
    auto declaration = standardSetups("switching", numericsF32Plain).front().declaration;
    declaration.layers.resize(1);
    declaration.capacity = 60;
    auto const outcome = [&] {
        properties::Setup const setup{declaration, Fill::zero};
        return conformance([&] { return std::make_unique<Switching>(setup); },
                           "decodeWithCache_eq_fullAttention")
            .front()
            .outcome;
    };
    EXPECT_EQ(outcome(), Outcome::held);
    declaration.promises = Promises{};
    declaration.promises->thresholds = {Switching::threshold};
    EXPECT_EQ(outcome(), Outcome::violated);
}

}  // namespace

}  // namespace kv::tests

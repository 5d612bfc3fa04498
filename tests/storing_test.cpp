// storing_test: engines are held to the formats that they declare, and to no other.
#include "storing.hpp"

#include "oracle/json.hpp"
#include "properties/declaration.hpp"
#include "properties/judge.hpp"
#include "properties/spelling.hpp"
#include "properties/values.hpp"
#include "recording.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace kv::tests {

namespace {

using namespace properties;

StoredFormat format(StoredAs codec, CodecRow row = CodecRow::head, ReadAs into = ReadAs::f32) {
    StoredFormat f{};
    f.codec = codec, f.row = row, f.into = into;
    return f;
}
/// Every format but f32, by heads, by tokens, and rounded again when it is read.
std::vector<StoredFormat> everyFormat() {
    std::vector<StoredFormat> all;
    for (auto const& spelling : everySpelling<StoredAs>) {
        if (spelling.value == StoredAs::f32) continue;
        all.push_back(format(spelling.value));
        all.push_back(format(spelling.value, CodecRow::token, ReadAs::bf16));
    }
    all.push_back(format(StoredAs::nvfp4));
    all.back().tensorScale = static_cast<float>(1) / 300;
    return all;
}
std::string nameOf(StoredFormat const& f) {
    return fmt::format("{} {} {}", properties::nameOf(f.codec), properties::nameOf(f.row),
                       properties::nameOf(f.into));
}

std::string told(Violation const& v) {
    return fmt::format("{}: {}: {}, not {}; {} {}", v.law, v.where, v.got, v.want,
                       properties::nameOf(v.trace.values.family), brief(v.trace));
}

enum class ReadBacks : std::uint8_t { compared, none };

/// Cases that are drawn for a candidate, one after the other, until one convicts it.
std::optional<Violation> tried(Candidate const& candidate, std::size_t cases, Coverage& coverage,
                               ReadBacks readBacks = ReadBacks::compared) {
    for (std::uint64_t seed = 1; seed <= cases; ++seed) {
        auto c = drawn(candidate, mixed(seed), int(seed % 40));
        if (readBacks == ReadBacks::none)
            std::erase_if(c.trace.steps, [](Step const& s) { return s.verb == Verb::observe; });
        if (c.trace.steps.empty()) continue;
        if (auto violation = judge(*candidate.make(c.setup), c.trace, coverage)) return violation;
    }
    return {};
}
std::optional<Violation> tried(Candidate const& candidate, ReadBacks readBacks) {
    Coverage coverage;
    return tried(candidate, 1000, coverage, readBacks);
}

TEST(Storing, holds_in_every_format) {
    for (auto const& f : everyFormat())
        for (bool showsCodes : {false, true}) {
            Coverage c;
            auto const v = tried(storing({f}, {.wrong = {}, .showsCodes = showsCodes}), 150, c);
            ASSERT_FALSE(v) << nameOf(f) << ": " << told(*v);
            EXPECT_LT(5 * c.undefinedRows, c.rows) << nameOf(f);
            EXPECT_LT(2 * c.undefinedOutputs, c.outputs) << nameOf(f);
            EXPECT_GT(3 * c.exactOutputs, c.outputs) << nameOf(f);
            if (showsCodes) continue;
            fmt::print("{:28} {:4} rows, {:2} undefined, {:6} outputs, {:6} exact, {:4} open\n",
                       nameOf(f), c.rows, c.undefinedRows, c.outputs, c.exactOutputs,
                       c.undefinedOutputs);
        }
}

// Turns that are left open: intervals of what may be stored, or nothing.
TEST(Storing, holds_where_turns_are_open) {
    auto numerics = numericsF32Plain;
    numerics.rotation = RotationRounding::contracted;
    for (auto codec : {StoredAs::f16, StoredAs::bf16, StoredAs::e4m3, StoredAs::int8PerChannel,
                       StoredAs::int8PerToken, StoredAs::nvfp4})
        for (bool fuses : {false, true}) {
            Coverage c;
            auto const v = tried(storing({format(codec)}, {.wrong = {}, .showsCodes = true,
                                                           .fuses = fuses}, numerics), 120, c);
            ASSERT_FALSE(v) << nameOf(format(codec)) << ": " << told(*v);
            bool const isMonotone = kv::isMonotone(codecOf(codec));
            EXPECT_EQ(c.undefinedRows > 0, !isMonotone) << nameOf(format(codec));
        }
}

// Which laws can be put to formats, and hold.
TEST(Storing, keeps_the_laws) {
    auto formats = everyFormat();
    for (std::size_t turn : {0, 1}) {
        std::rotate(formats.begin(), formats.begin() + 11, formats.end());
        auto const engine = storing(formats);
        std::size_t held = 0;
        for (properties::Setup const& setup : setupsFor(engine)) {
            if (setup.fill == Fill::zero) continue;
            for (auto const& law : conformance([&] { return engine.make(setup); })) {
                held += law.outcome == Outcome::held;
                EXPECT_NE(law.outcome, Outcome::violated)
                    << turn << ": " << (law.violation ? told(*law.violation) : law.law);
            }
        }
        EXPECT_GT(held, 40u);
        fmt::print("turn {}: {} laws held in three setups\n", turn, held);
    }
}

struct Mistake {
    std::string_view name;
    StoredAs codec;
    Misstored wrong;
};

TEST(Storing, shows_what_is_stored_wrong) {
    for (auto const& m : std::vector<Mistake>{
             {"codes are cut off", StoredAs::int8PerToken, {.truncates = true}},
             {"codes are cut off", StoredAs::f16, {.truncates = true}},
             {"codes are cut off", StoredAs::q4_0, {.truncates = true}},
             {"codes are cut off", StoredAs::mxfp4, {.truncates = true}},
             {"scales of the row before", StoredAs::q8_0, {.hasScaleBefore = true}},
             {"scales of another head", StoredAs::int8PerTokenHead, {.hasOtherHeadsScale = true}},
             {"values made with the scales of keys", StoredAs::e4m3, {.valuesHaveKeyScale = true}},
             {"rows are stored again on read", StoredAs::int4ZeroPoint, {.storesOnRead = true}},
             {"keys are stored before they turn", StoredAs::q8_0, {.turnsAfter = true}},
             {"rows are not converted", StoredAs::bf16, {.keepsFloats = true}}}) {
        auto engine = storing({format(m.codec)}, {.wrong = m.wrong});
        if (m.wrong.valuesHaveKeyScale) {
            engine.formats.push_back(format(m.codec));
            engine.formats.back().row = CodecRow::token;
        }
        auto const seen = tried(engine, ReadBacks::compared);
        ASSERT_TRUE(seen) << m.name;
        // Outputs alone show it, too.
        auto const heard = tried(engine, ReadBacks::none);
        ASSERT_TRUE(heard) << m.name;
        EXPECT_NE(heard->where.find("query head"), std::string::npos);
        fmt::print("{:36} {:18} read: {}; output by {}\n", m.name, properties::nameOf(m.codec),
                   seen->where, properties::nameOf(heard->trace.values.family));
    }
}

StoredFormat rotated(StoredFormat f, StoredRotation rotation) {
    f.rotation = std::move(rotation);
    return f;
}
/// Formats behind a rotation of f32: pieces smaller and larger than a group, and a matrix.
std::vector<StoredFormat> everyRotated() {
    return {rotated(format(StoredAs::q8_0), {8, 1, {}}),
            rotated(format(StoredAs::int8PerToken), {8, 2, {}}),
            rotated(format(StoredAs::int8PerTokenHead, CodecRow::token), {8, 0, {}}),
            rotated(format(StoredAs::q4_0, CodecRow::token), {64, 3, {}}),
            rotated(format(StoredAs::bf16), {4, 1, {}}),
            rotated(format(StoredAs::e4m3, CodecRow::head, ReadAs::bf16), {2, 1, {}}),
            rotated(format(StoredAs::nvfp4), {4, 1, {}}),
            rotated(format(StoredAs::mxfp4), {2, 0, {0, -1, 1, 0}})};
}

TEST(Storing, holds_behind_a_rotation) {
    for (auto const& f : everyRotated())
        for (bool showsCodes : {false, true}) {
            Coverage c;
            auto const v = tried(storing({f}, {.wrong = {}, .showsCodes = showsCodes}), 150, c);
            ASSERT_FALSE(v) << nameOf(f) << ": " << told(*v);
            EXPECT_LT(c.undefinedRows, c.rows) << nameOf(f) << " " << c.rows;
            EXPECT_GT(c.exactOutputs, 0u) << nameOf(f);
            if (showsCodes) continue;
            fmt::print("{:28} by {:2}: {:4} rows, {:4} undefined, {:6} outputs, {:6} exact, {:6} "
                       "open\n",
                       nameOf(f), f.rotation.size, c.rows, c.undefinedRows, c.outputs,
                       c.exactOutputs, c.undefinedOutputs);
        }
}

TEST(Storing, keeps_the_laws_behind_a_rotation) {
    auto const engine = storing(everyRotated());
    std::size_t held = 0;
    for (properties::Setup const& setup : setupsFor(engine)) {
        if (setup.fill == Fill::zero) continue;
        for (auto const& law : conformance([&] { return engine.make(setup); })) {
            held += law.outcome == Outcome::held;
            EXPECT_NE(law.outcome, Outcome::violated)
                << (law.violation ? told(*law.violation) : law.law);
        }
    }
    EXPECT_GT(held, 20u);
}

TEST(Storing, shows_a_rotation_that_is_forgotten_or_another_one) {
    for (auto const& f : everyRotated())
        for (Misstored const wrong : {Misstored{.forgetsRotation = true},
                                      Misstored{.rotationSize = f.rotation.size == 4 ? 2u : 4u}}) {
            if (wrong.rotationSize > 2 && f.rotation.size == 2) continue;
            auto const engine = storing({f}, {.wrong = wrong, .showsCodes = true});
            EXPECT_TRUE(tried(engine, ReadBacks::compared)) << nameOf(f);
        }
    for (auto const codec : {StoredAs::q8_0, StoredAs::int8PerToken}) {
        auto const f = rotated(format(codec), {8, 1, {}});
        auto const hidden = storing({f}, {.wrong = {.forgetsRotation = true}});
        EXPECT_TRUE(tried(hidden, ReadBacks::compared));
        auto const heard = tried(hidden, ReadBacks::none);
        ASSERT_TRUE(heard);
        EXPECT_NE(heard->where.find("query head"), std::string::npos);
    }
}

// A spike of 127 steps comes back as it went, turned or not: the codes alone tell.
TEST(Storing, codes_show_a_rotation_where_read_backs_do_not) {
    for (auto const codec : {StoredAs::q8_0, StoredAs::int8PerToken}) {
        auto const f = rotated(format(codec), {8, 0, {}});
        auto const setup = setupsFor(storing({f})).front();
        Trace trace{{Family::inlined, 0, {}},
                    {{.verb = Verb::append, .count = 1}, {.verb = Verb::observe}}};
        trace.values.tokens.count = 1;
        for (auto const& l : setup.declaration.layers) {
            std::vector<float> values(l.kvHeads * l.valueDim);
            for (std::size_t i = 0; i < values.size(); i += 8) values[i] = 127;
            trace.values.tokens.layers.push_back(
                {std::vector<float>(l.kvHeads * l.keyDim), values,
                 std::vector<float>(l.queryHeads * l.keyDim)});
        }
        auto const violationOf = [&](Misstored wrong, bool showsCodes) {
            StoringEngine engine(setup, {.wrong = wrong, .showsCodes = showsCodes});
            Coverage coverage;
            auto const violation = judge(engine, trace, coverage);
            EXPECT_EQ(coverage.undefinedRows, 0u);
            return violation;
        };
        for (Misstored const wrong :
             {Misstored{.forgetsRotation = true}, Misstored{.rotationSize = 4}}) {
            EXPECT_FALSE(violationOf(wrong, false));
            auto const violation = violationOf(wrong, true);
            ASSERT_TRUE(violation);
            EXPECT_EQ(violation->instrument, Instrument::exact);
            EXPECT_TRUE(violation->where.ends_with("code")) << violation->where;
        }
        EXPECT_FALSE(violationOf({}, true));
    }
}

std::vector<StoredFormat> everyQueryFormat() {
    return {format(StoredAs::f16), format(StoredAs::bf16), format(StoredAs::q8_0Avx),
            format(StoredAs::e4m3, CodecRow::token), format(StoredAs::int8PerToken),
            rotated(format(StoredAs::q8_0), {8, 1, {}})};
}

TEST(Storing, queries_are_converted_before_they_meet_a_key) {
    for (auto const& f : everyQueryFormat()) {
        Coverage c;
        auto const v = tried(asking({f}), 200, c);
        ASSERT_FALSE(v) << nameOf(f) << ": " << told(*v);
        EXPECT_LT(2 * c.undefinedOutputs, c.outputs) << nameOf(f);
        EXPECT_GT(3 * c.exactOutputs, c.outputs) << nameOf(f);
    }
    Coverage c;  // ggml with a cache of q8_0
    auto const q8 = format(StoredAs::q8_0Avx);
    auto const v = tried(asking({q8}, {}, {q8}), 200, c);
    ASSERT_FALSE(v) << told(*v);
    EXPECT_GT(3 * c.exactOutputs, c.outputs);
}

TEST(Storing, keeps_the_laws_with_converted_queries) {
    auto const engine = asking(everyQueryFormat());
    std::size_t held = 0;
    for (properties::Setup const& setup : setupsFor(engine)) {
        if (setup.fill == Fill::zero) continue;
        for (auto const& law : conformance([&] { return engine.make(setup); })) {
            held += law.outcome == Outcome::held;
            EXPECT_NE(law.outcome, Outcome::violated)
                << (law.violation ? told(*law.violation) : law.law);
        }
    }
    EXPECT_GT(held, 40u);
}

TEST(Storing, shows_queries_that_are_converted_otherwise) {
    struct Wrong {
        std::string_view name;
        std::vector<StoredFormat> declared;
        Misstored how;
    };
    for (auto const& w : std::vector<Wrong>{
             {"declared f32, rounded to f16", {}, {.roundsQueries = true}},
             {"declared bf16, as given", {format(StoredAs::bf16)}, {.keepsQueries = true}},
             {"declared q8_0, as given", {format(StoredAs::q8_0)}, {.keepsQueries = true}},
             {"converted before it turns", {format(StoredAs::q8_0)}, {.convertsFirst = true}}}) {
        auto const seen = tried(asking(w.declared, {.wrong = w.how}), ReadBacks::compared);
        ASSERT_TRUE(seen) << w.name;
        EXPECT_NE(seen->where.find("query head"), std::string::npos) << w.name;
        EXPECT_EQ(seen->instrument, Instrument::bounded) << w.name;
    }
    EXPECT_FALSE(tried(asking({format(StoredAs::f16)}, {.wrong = {.roundsQueries = true}}),
                       ReadBacks::compared));
}

// The law that is sure to see it: one query against one or more keys.
TEST(Storing, a_rounded_query_breaks_the_law_of_decoding) {
    auto const outcomeOf = [](std::vector<StoredFormat> declared) {
        auto const engine = asking(std::move(declared), {.wrong = {.roundsQueries = true}});
        std::size_t violated = 0;
        for (auto const& setup : setupsFor(engine))
            violated += conformance([&] { return engine.make(setup); },
                                    "decodeWithCache_eq_fullAttention")
                            .front()
                            .outcome == Outcome::violated;
        return violated;
    };
    EXPECT_GT(outcomeOf({}), 0u);
    EXPECT_EQ(outcomeOf({format(StoredAs::f16)}), 0u);
}

// Where the format gives no query nothing is judged: f16 makes infinity of it.
TEST(Storing, a_query_that_its_format_does_not_give_convicts_nobody) {
    auto const setup = setupsFor(asking({format(StoredAs::f16)})).front();
    Trace trace{{Family::inlined, 0, {}},
                {{.verb = Verb::append, .count = 2}, {.verb = Verb::attend}}};
    trace.values.tokens.count = 2;
    for (auto const& l : setup.declaration.layers)
        trace.values.tokens.layers.push_back(
            {std::vector<float>(2 * l.kvHeads * l.keyDim, 1),
             std::vector<float>(2 * l.kvHeads * l.valueDim, 1),
             std::vector<float>(2 * l.queryHeads * l.keyDim, 70000)});
    StoringEngine engine(setup, {});
    Coverage coverage;
    EXPECT_FALSE(judge(engine, trace, coverage));
    EXPECT_EQ(coverage.undefinedOutputs, coverage.outputs);
    EXPECT_GT(coverage.outputs, 0u);
}

Candidate answeringNoRow(EmptyRow row, Storing how = {}) {
    auto candidate = storing({}, how);
    candidate.promises = Promises{};
    candidate.promises->emptyRow = row;
    return candidate;
}
Trace askingNoRow() {
    return {{Family::oneHot, 1, {}}, {{.verb = Verb::attend}}};
}

TEST(Storing, attention_over_no_row_is_what_is_promised) {
    for (auto row : {EmptyRow::refused, EmptyRow::zero, EmptyRow::notANumber}) {
        Coverage c;
        auto const v = tried(answeringNoRow(row), 300, c);
        ASSERT_FALSE(v) << told(*v);
        auto const engine = answeringNoRow(row);
        auto const setup = setupsFor(engine).front();
        for (auto const& law : conformance([&] { return engine.make(setup); }))
            EXPECT_NE(law.outcome, Outcome::violated) << law.law;
        Coverage alone;
        EXPECT_FALSE(judge(*engine.make(setup), askingNoRow(), alone));
        EXPECT_EQ(alone.outputs > 0, row != EmptyRow::refused);
        EXPECT_EQ(alone.refusals, row == EmptyRow::refused ? 1u : 0u);
        if (row == EmptyRow::refused) continue;
        auto const garbage = answeringNoRow(row, {.wrong = {.answersNothing = true}});
        auto const seen = tried(garbage, ReadBacks::compared);
        ASSERT_TRUE(seen);
        EXPECT_EQ(seen->instrument, Instrument::exact);
        EXPECT_EQ(seen->want, row == EmptyRow::zero ? "0" : "not a number");
        EXPECT_NE(seen->where.find("no row"), std::string::npos) << seen->where;
    }
}

/// Says one thing of the empty row and does another.
std::optional<Violation> promisingAndDoing(EmptyRow promised, EmptyRow done) {
    auto const doing = setupsFor(answeringNoRow(done)).front();
    struct Engine : StoringEngine {
        Engine(properties::Setup const& setup, Declaration d)
            : StoringEngine(setup, {}), said(std::move(d)) {}
        Declaration const& declaration() const override { return said; }
        Declaration said;
    } engine(doing, setupsFor(answeringNoRow(promised)).front().declaration);
    Coverage coverage;
    return judge(engine, askingNoRow(), coverage);
}

TEST(Storing, another_answer_to_no_row_is_a_violation) {
    using enum EmptyRow;
    EXPECT_EQ(promisingAndDoing(zero, notANumber)->got, "nan");
    EXPECT_EQ(promisingAndDoing(notANumber, zero)->got, "0");
    EXPECT_EQ(promisingAndDoing(refused, zero)->got, "accepted");
    EXPECT_EQ(promisingAndDoing(zero, refused)->want, "accepted");
    EXPECT_EQ(promisingAndDoing(refused, zero)->law, "capacity_refuses_unchanged");
    EXPECT_FALSE(promisingAndDoing(zero, zero));
}

// A matrix may make zeros of either sign, by the order of a sum.
TEST(Storing, a_zero_that_was_turned_has_any_sign) {
    for (auto const codec : {StoredAs::bf16, StoredAs::q4_0, StoredAs::q8_0}) {
        auto const f = rotated(format(codec), {2, 0, {0, -1, 1, 0}});
        auto const setup = setupsFor(storing({f})).front();
        Trace trace{{Family::inlined, 0, {}},
                    {{.verb = Verb::append, .count = 1}, {.verb = Verb::observe}}};
        trace.values.tokens.count = 1;
        for (auto const& l : setup.declaration.layers) {
            std::vector<float> values(l.kvHeads * l.valueDim);
            for (std::size_t i = 0; i < values.size() / 2; i += 2) values[i] = -4;
            trace.values.tokens.layers.push_back(
                {std::vector<float>(l.kvHeads * l.keyDim), values,
                 std::vector<float>(l.queryHeads * l.keyDim)});
        }
        StoringEngine engine(setup, {.wrong = {}, .showsCodes = true});
        Coverage coverage;
        auto const violation = judge(engine, trace, coverage);
        EXPECT_FALSE(violation) << told(*violation);
        EXPECT_EQ(coverage.undefinedRows, 0u);
    }
}

TEST(Storing, a_truncating_quantiser_breaks_the_law_of_the_newest_value) {
    auto const engine =
        storing({format(StoredAs::int8PerToken)}, {.wrong = {.truncates = true}});
    auto const setup = setupsFor(engine).front();
    auto const laws = conformance([&] { return engine.make(setup); }, "appendKV_last_value");
    ASSERT_EQ(laws.front().outcome, Outcome::violated);
    auto const output = conformance([&] { return engine.make(setup); },
                                    "decodeWithCache_eq_fullAttention");
    EXPECT_EQ(output.front().outcome, Outcome::violated);
}

/// One layer of this format, and the outputs of one probe.
Coverage spoken(StoredFormat const& f, Family family) {
    auto setup = setupsFor(storing({f})).front();
    auto& layers = setup.declaration.layers;
    layers.resize(1);
    Trace trace{{family, 3, {}}, {{.verb = Verb::append, .count = 8}}};
    for (std::size_t t = 0; t < 8; ++t) trace.steps.push_back({.verb = Verb::attend, .target = t});
    Coverage coverage;
    StoringEngine engine(setup, {});
    auto const violation = judge(engine, trace, coverage);
    EXPECT_FALSE(violation) << nameOf(f);
    return coverage;
}

TEST(Storing, probes_keep_one_right_answer) {
    for (auto const& f : everyFormat()) {
        std::string line = fmt::format("{:28}", nameOf(f));
        for (auto family : {Family::oneHot, Family::mean, Family::wideSum, Family::groupSelect,
                            Family::ladder, Family::quantiserStep}) {
            auto const c = spoken(f, family);
            bool const isExact = c.exactOutputs == c.outputs;
            // A sum of numbers in units of 1/300 is rounded.
            bool const isOwed = family == Family::oneHot || family == Family::quantiserStep ||
                                (family == Family::mean && !f.tensorScale);
            EXPECT_TRUE(isExact || !isOwed) << nameOf(f) << " " << properties::nameOf(family);
            line += fmt::format("  {} {:.0f} %", properties::nameOf(family),
                                100 * double(c.exactOutputs) / double(c.outputs));
        }
        fmt::print("{}\n", line);
    }
}

// A quarter of a step is nothing that a quantiser may make a step of.
TEST(Storing, steps_tell_truncation_from_rounding) {
    for (auto const& f : everyFormat()) {
        if (f.codec == StoredAs::nvfp4 && f.tensorScale) continue;
        auto const engine = storing({f}, {.wrong = {.truncates = true}});
        auto const setup = setupsFor(engine).front();
        Trace trace{{Family::quantiserStep, 1, {}}, {{.verb = Verb::append, .count = 4}}};
        for (std::size_t t = 0; t < 4; ++t)
            trace.steps.push_back({.verb = Verb::attend, .target = t});
        Coverage coverage;
        auto const violation = judge(*engine.make(setup), trace, coverage);
        ASSERT_TRUE(violation) << nameOf(f);
        EXPECT_EQ(violation->instrument, Instrument::exact) << nameOf(f);
    }
}

/// Our own engine of codes, one of which is off by one.
class OffByOne : public StoringEngine {
   public:
    using StoringEngine::StoringEngine;
    Answer observe(SequenceId s, Content& content) override {
        auto const answer = StoringEngine::observe(s, content);
        if (isScale) content.layers[0].keyCodes.scales[5] ^= 1;
        else ++content.layers[0].valueCodes.codes[70];
        return answer;
    }
    bool isScale = false;
};

TEST(Storing, compares_codes_and_scales_of_who_shows_them) {
    auto setup = setupsFor(storing({format(StoredAs::q8_0)})).front();
    Trace const trace{{Family::sampled, 3, {}},
                      {{.verb = Verb::append, .count = 3}, {.verb = Verb::observe}}};
    OffByOne engine(setup, {.wrong = {}, .showsCodes = true});
    Coverage coverage;
    auto const code = judge(engine, trace, coverage);
    ASSERT_TRUE(code);
    EXPECT_EQ(code->where, "sequence 0, layer 0, value row 1, head 0, component 6, code");
    EXPECT_EQ(std::stoi(code->got), std::stoi(code->want) + 1);
    OffByOne other(setup, {.wrong = {}, .showsCodes = true});
    other.isScale = true;
    auto const scale = judge(other, trace, coverage);
    ASSERT_TRUE(scale);
    EXPECT_EQ(scale->where, "sequence 0, layer 0, key row 2, head 1, component 0, scale");
}

/// On storage of zeros it shows another code.
class Recoding : public StoringEngine {
   public:
    explicit Recoding(properties::Setup const& setup)
        : StoringEngine(setup, {.wrong = {}, .showsCodes = true}),
          recodes_(setup.fill == properties::Fill::zero) {}
    Answer observe(SequenceId s, Content& content) override {
        auto const answer = StoringEngine::observe(s, content);
        if (answer && recodes_) ++content.layers[0].keyCodes.codes.back();
        return answer;
    }

   private:
    bool recodes_;
};

TEST(Storing, codes_of_a_second_run_are_the_same_where_that_is_promised) {
    auto engine = storing({format(StoredAs::q8_0)});
    engine.make = [](properties::Setup const& setup) { return std::make_unique<Recoding>(setup); };
    engine.promises = Promises{};
    Trace const trace{{Family::sampled, 3, {}},
                      {{.verb = Verb::append, .count = 2}, {.verb = Verb::observe}}};
    Coverage coverage;
    EXPECT_FALSE(judge(engine, {setupsFor(engine).front(), trace}, coverage));
    engine.promises->deterministic = true;
    auto const violation = judge(engine, {setupsFor(engine).front(), trace}, coverage);
    ASSERT_TRUE(violation);
    EXPECT_EQ(violation->law, "repeat_same_bits");
}

// A computed scale and an open turn fix no code: a law over such keys decides nothing.
TEST(Storing, a_law_over_rows_without_codes_is_undefined) {
    auto const engine = storing({format(StoredAs::q8_0)});
    auto setup = setupsFor(engine).back();
    setup.declaration.layers.resize(1);
    setup.declaration.numerics.rotation = RotationRounding::contracted;
    ASSERT_GT(setup.declaration.layers[0].rotaryDim, 0u);
    auto const key = conformance([&] { return engine.make(setup); }, "appendKV_last_key").front();
    EXPECT_EQ(key.outcome, Outcome::undefined) << key.inputs << " " << key.undefinedInputs;
    EXPECT_EQ(key.why, "the declared format has no finite codes for these rows");
    setup.declaration.layers[0].keyFormat = format(StoredAs::bf16);
    auto const rounded =
        conformance([&] { return engine.make(setup); }, "appendKV_last_key").front();
    EXPECT_EQ(rounded.outcome, Outcome::held) << rounded.why;
}

TEST(Storing, painted_rows_that_are_rounded_are_a_blind_spot) {
    auto engine = storing({format(StoredAs::bf16)});
    engine.fixed = setupsFor(engine).front().declaration;
    properties::CheckOptions options;
    options.cases = 1;
    auto const spots = check(engine, options).blindSpots;
    EXPECT_NE(std::ranges::find(spots, "layer 0: painted rows are rounded when they are stored, "
                                       "and may coincide"),
              spots.end());
}

// A row that a format does not define is no alarm, whatever stands in its place.
TEST(Storing, a_row_without_codes_convicts_nobody) {
    auto const setup = setupsFor(storing({format(StoredAs::q8_0)})).front();
    auto const& layers = setup.declaration.layers;
    Trace trace{{Family::inlined, 0, {}},
                {{.verb = Verb::append, .count = 1}, {.verb = Verb::observe},
                 {.verb = Verb::attend}}};
    trace.values.tokens.count = 1;
    for (auto const& l : layers)
        trace.values.tokens.layers.push_back(
            {std::vector<float>(l.kvHeads * l.keyDim, std::numeric_limits<float>::min() / 8),
             std::vector<float>(l.kvHeads * l.valueDim, 1),
             std::vector<float>(l.queryHeads * l.keyDim, 1)});
    StoringEngine engine(setup, {});
    Coverage coverage;
    EXPECT_FALSE(judge(engine, trace, coverage));
    EXPECT_EQ(coverage.undefinedRows, layers.size());
    EXPECT_EQ(coverage.undefinedOutputs, coverage.outputs);
    EXPECT_GT(coverage.outputs, 0u);
}

std::string complaintOf(void (*change)(LayerDeclaration&)) {
    auto d = standardSetups("wrong", numericsF32Plain).front().declaration;
    change(d.layers[0]);
    return contradiction(d).value_or("");
}

TEST(Storing, contradictions_name_both_fields) {
    using L = LayerDeclaration;
    EXPECT_EQ(complaintOf([](L& l) { l.keyFormat.codec = StoredAs::q8_0; }),
              "layers[0].keyFormat.codec is q8_0, whose groups have 32 elements, and "
              "layers[0].keyDim is 8; expected a row of a multiple of 32");
    EXPECT_EQ(complaintOf([](L& l) {
                  l.valueFormat.codec = StoredAs::nvfp4, l.valueFormat.row = CodecRow::token;
              }),
              "layers[0].valueFormat.codec is nvfp4, whose groups have 16 elements, and "
              "layers[0].valueDim is 5 for each of 2 kvHeads; expected a row of a multiple of 16");
    EXPECT_EQ(complaintOf([](L& l) { l.keyFormat.codec = StoredAs::e4m3; }),
              "layers[0].keyFormat.scales has 0 numbers and layers[0].keyFormat.codec is e4m3, "
              "which takes 2; expected [codec rows of a token][groups]");
    EXPECT_EQ(complaintOf([](L& l) { l.keyFormat.scales = {1}; }),
              "layers[0].keyFormat.scales has 1 numbers and layers[0].keyFormat.codec is f32, "
              "which takes none; expected none");
    EXPECT_EQ(complaintOf([](L& l) {
                  l.valueFormat.codec = StoredAs::e4m3, l.valueFormat.row = CodecRow::token;
                  l.valueFormat.scales = {0};
              }),
              "layers[0].valueFormat.scales[0] is 0; expected a positive number");
    EXPECT_EQ(complaintOf([](L& l) {
                  l.keyFormat.codec = StoredAs::f16, l.keyFormat.tensorScale = 2;
              }),
              "layers[0].keyFormat.tensorScale is 2 and layers[0].keyFormat.codec is f16, which "
              "has none; expected none");
    EXPECT_EQ(complaintOf([](L& l) { l.keyFormat.into = ReadAs::bf16; }),
              "layers[0].keyFormat.into is bf16 and layers[0].keyFormat.codec is f32, whose rows "
              "are read as they were given; expected f32");
    EXPECT_EQ(complaintOf([](L& l) { l.keyFormat.codec = StoredAs::f16; }), "");
}

/// Of a key of f16 in the first layer, whose head dim is 8.
std::string complaintOf(StoredRotation const& rotation) {
    auto d = standardSetups("wrong", numericsF32Plain).front().declaration;
    d.layers[0].keyFormat.codec = StoredAs::f16;
    d.layers[0].keyFormat.rotation = rotation;
    return contradiction(d).value_or("");
}

TEST(Storing, contradictions_of_a_query_format_name_both_fields) {
    EXPECT_EQ(complaintOf([](LayerDeclaration& l) { l.queryFormat.codec = StoredAs::q8_0; }),
              "layers[0].queryFormat.codec is q8_0, whose groups have 32 elements, and "
              "layers[0].keyDim is 8; expected a row of a multiple of 32");
    EXPECT_EQ(complaintOf([](LayerDeclaration& l) {
                  l.queryFormat.codec = StoredAs::nvfp4, l.queryFormat.row = CodecRow::token;
                  l.keyDim = 3, l.queryFormat.into = ReadAs::bf16;
              }),
              "layers[0].queryFormat.codec is nvfp4, whose groups have 16 elements, and "
              "layers[0].keyDim is 3 for each of 4 queryHeads; expected a row of a multiple of 16");
    EXPECT_EQ(complaintOf([](LayerDeclaration& l) { l.queryFormat.codec = StoredAs::f16; }), "");
}

TEST(Storing, contradictions_of_a_rotation_name_both_fields) {
    std::string const at = "layers[0].keyFormat.rotation.";
    EXPECT_EQ(complaintOf([](LayerDeclaration& l) {
                  l.keyFormat.rotation = StoredRotation{8, 1, {}};
              }),
              at + "size is 8 and layers[0].keyFormat.codec is f32, whose rows are stored as they "
                   "were given; expected no rotation");
    EXPECT_EQ(complaintOf({0, 1, {}}), at + "size is 0; expected at least 1");
    EXPECT_EQ(complaintOf({16, 0, {}}),
              at + "size is 16 and layers[0].keyDim is 8; expected a row of a multiple of 16");
    EXPECT_EQ(complaintOf([](LayerDeclaration& l) {
                  l.valueFormat.codec = StoredAs::f16, l.valueFormat.row = CodecRow::token;
                  l.valueFormat.rotation = StoredRotation{4, 1, {}};
              }),
              "layers[0].valueFormat.rotation.size is 4 and layers[0].valueDim is 5 for each of 2 "
              "kvHeads; expected a row of a multiple of 4");
    EXPECT_EQ(complaintOf({4, 3, {}}), at + "down is 3 and " + at + "size is 4; expected 0 to 2");
    EXPECT_EQ(complaintOf({4, -1, {}}), at + "down is -1 and " + at + "size is 4; expected 0 to 2");
    EXPECT_EQ(complaintOf({2, 1, {0, -1, 1, 0}}),
              at + "down is 1 and " + at + "matrix is not empty; expected 0 to 0");
    EXPECT_EQ(complaintOf({2, 0, {0, -1, 1}}),
              at + "matrix has 3 numbers and " + at + "size is 2; expected none or [size][size], "
                                                      "4");
    EXPECT_EQ(complaintOf({2, 0, {0, -1, 1, std::numeric_limits<float>::infinity()}}),
              at + "matrix[3] is inf; expected a finite number");
    auto d = standardSetups("wrong", numericsF32Plain).front().declaration;
    d.layers[0].keyDim = 6, d.layers[0].keyFormat = rotated(format(StoredAs::f16), {3, 0, {}});
    EXPECT_EQ(contradiction(d), at + "size is 3 and " + at + "matrix is empty, which is Hadamard; "
                                                             "expected a power of two");
    EXPECT_EQ(complaintOf({8, 3, {}}), "");
    EXPECT_EQ(complaintOf({2, 0, {0, -1, 1, 0}}), "");
}

StoredFormat parsed(std::string const& text) {
    oracle::Place const place{"a file", 1};
    auto const object = oracle::parseObject("{\"f\":" + text + "}", place);
    return oracle::read<StoredFormat>(oracle::Node(object.value, place).at("f"));
}

TEST(Storing, what_is_left_out_of_files_is_the_default) {
    auto d = standardSetups("plain", numericsF32Plain).front().declaration;
    d.promises = Promises{};
    EXPECT_EQ(oracle::dump(oracle::write(d)).find("emptyRow"), std::string::npos);
    d.promises->emptyRow = EmptyRow::notANumber;
    d.layers[0].queryFormat = format(StoredAs::f16);
    auto const text = oracle::dump(oracle::write(d));
    EXPECT_NE(text.find(R"("emptyRow":"notANumber")"), std::string::npos);
    EXPECT_NE(text.find(R"("queryFormat":"f16")"), std::string::npos);
    oracle::Place const place{"a file", 1};
    auto const object = oracle::parseObject("{\"d\":" + text + "}", place);
    EXPECT_EQ(oracle::read<Declaration>(oracle::Node(object.value, place).at("d")), d);
}

TEST(Storing, formats_stand_in_files) {
    auto f = format(StoredAs::e4m3, CodecRow::token, ReadAs::bf16);
    f.scales = {2};
    EXPECT_EQ(oracle::dump(oracle::write(f)),
              R"({"codec":"e4m3","row":"token","into":"bf16","scales":[2.0]})");
    EXPECT_EQ(parsed(oracle::dump(oracle::write(f))), f);
    EXPECT_EQ(oracle::dump(oracle::write(format(StoredAs::q4_0))), R"("q4_0")");
    EXPECT_EQ(parsed(R"("q4_0")"), format(StoredAs::q4_0));
    EXPECT_EQ(parsed(R"({"codec":"q4_0"})"), format(StoredAs::q4_0));
    EXPECT_EQ(parsed("{}"), StoredFormat{});
    auto const turns = rotated(format(StoredAs::q8_0), {8, 1, {}});
    EXPECT_EQ(oracle::dump(oracle::write(turns)),
              R"({"codec":"q8_0","row":"head","into":"f32","scales":[],)"
              R"("rotation":{"size":8,"down":1,"matrix":[]}})");
    EXPECT_EQ(parsed(oracle::dump(oracle::write(turns))), turns);
    EXPECT_EQ(parsed(R"({"codec":"q8_0","rotation":{"size":8,"down":1}})"), turns);
    EXPECT_THROW(parsed(R"({"rotation":{"sizes":8}})"), oracle::BadInput);
    EXPECT_THROW(parsed(R"("q9_0")"), oracle::BadInput);
    EXPECT_THROW(parsed(R"({"code":"q4_0"})"), oracle::BadInput);
    // A declaration that says nothing of formats is written as it always was.
    auto d = standardSetups("plain", numericsF32Plain).front().declaration;
    auto const text = oracle::dump(oracle::write(d));
    EXPECT_EQ(text.find("Format"), std::string::npos);
    d.layers[0].valueFormat = f;
    EXPECT_NE(oracle::dump(oracle::write(d)).find(R"("valueFormat":{"codec":"e4m3")"),
              std::string::npos);
}

/// What q8_0 makes of a row of groups of 32, by the formula of the engine.
void throughQ8(std::span<float> row) {
    for (std::size_t at = 0; at < row.size(); at += 32) {
        auto const group = row.subspan(at, 32);
        auto const q = formulas::engineQ8({group.begin(), group.end()});
        float const scale = toFloat(decode(formats::f16, q->scales[0]));
        for (std::size_t i = 0; i < 32; ++i) group[i] = static_cast<float>(q->codes[i]) * scale;
    }
}

/// A recording whose cache was q8_0: what was given stays, what was read back and answered is new.
Recorded quantised(Recorded const& given) {
    auto read = given, all = given;
    auto const& updates = given.file.updates;
    for (std::size_t u = 0; u < updates.size(); ++u)
        for (std::size_t i = 0; i < updates[u].count; ++i)
            for (auto member : {&LayerTensors::key, &LayerTensors::value})
                throughQ8(read.row({u, 0}, member, i));
    for (std::size_t u = 0; u < updates.size(); ++u) {
        for (auto half : {Half::key, Half::value})
            all.setCache({u, 0}, half, read.cache({u, 0}, half));
        if (!updates[u].layers[0].output) continue;
        read.attendAgain({u, 0});
        all.tensor({u, 0}, &LayerTensors::output) = read.tensor({u, 0}, &LayerTensors::output);
    }
    return all;
}

TEST(Storing, recordings_are_held_to_the_declared_format) {
    auto const given =
        Recorded::read(std::filesystem::path(KVSPEC_SOURCE_DIR) / "tests/data/smollm2.trace")
            .only(0);
    ASSERT_TRUE(given.verify().holds());
    auto const outcome = [](Recorded const& r, std::string_view law) {
        return r.verify().find(law)->outcome;
    };
    auto declared = quantised(given);
    EXPECT_EQ(outcome(declared, "appendKV_last_key"), oracle::VerifyOutcome::violated);
    auto& layer = declared.file.declaration.layers[0];
    layer.keyFormat = layer.valueFormat = format(StoredAs::q8_0, CodecRow::token);
    EXPECT_TRUE(declared.verify().holds());
    auto undeclared = given;
    undeclared.file.declaration.layers[0].valueFormat = format(StoredAs::q8_0);
    EXPECT_EQ(outcome(undeclared, "appendKV_last_value"), oracle::VerifyOutcome::violated);
    EXPECT_EQ(outcome(undeclared, "decodeWithCache_eq_fullAttention"),
              oracle::VerifyOutcome::violated);
    layer.keyStorage = KeyStorage::raw;
    EXPECT_THROW(declared.verify(), oracle::BadInput);
}

}  // namespace

}  // namespace kv::tests

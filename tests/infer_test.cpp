// infer_test: what is proposed is what the engine does, whatever the engine says of itself.
#include "oracle/candidates.hpp"
#include "oracle/catalog.hpp"
#include "oracle/engines/ours.hpp"
#include "oracle/infer.hpp"
#include "oracle/meter.hpp"
#include "properties/declaration.hpp"
#include "spec/presets.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numbers>
#include <tuple>

namespace kv::tests {

namespace {

using namespace properties;
using oracle::Comparison;
using oracle::Element;
using oracle::Finding;
using oracle::Inference;

Finding const& at(Inference const& inference, std::string const& field) {
    auto const found = std::ranges::find(inference.findings, field, &Finding::field);
    if (found == inference.findings.end()) throw std::out_of_range(field);
    return *found;
}

/// "field: value" of everything that differs.
std::vector<std::string> differences(Inference const& inference) {
    std::vector<std::string> all;
    for (auto const& f : inference.findings)
        if (f.comparison == Comparison::differs) all.push_back(f.field + ": " + f.value);
    return all;
}

using Texts = std::vector<std::string>;

TEST(Infer, our_engine_differs_nowhere) {
    auto const all = oracle::inferAll(oracle::ours("contiguous"), std::nullopt);
    ASSERT_EQ(all.size(), 4u);
    for (auto const& one : all) {
        EXPECT_EQ(differences(one), Texts{});
        EXPECT_GE(one.count(Comparison::agrees), 20 * one.declaration.layers.size());
        EXPECT_EQ(contradiction(one.declaration), std::nullopt);
        for (auto const& f : one.findings) EXPECT_FALSE(f.how.empty()) << f.field;
    }
    EXPECT_EQ(oracle::exitOf(all), oracle::Exit::held);
    // All that its declaration says comes out again.
    EXPECT_EQ(at(all[0], "layers[1].keyStorage").value, "raw");
    EXPECT_EQ(at(all[1], "layers[0].keyStorage").value, "rotated");
    EXPECT_EQ(at(all[1], "layers[1].retained").value, "3");
    EXPECT_EQ(at(all[3], "layers[0].numerics.rotation").value, "asWritten");
    EXPECT_EQ(at(all[3], "layers[1].slopes").value, "0.5 0.25 0.125 0.0625");
    EXPECT_EQ(at(all[2], "layers[0].chunk").value, "3");
    EXPECT_EQ(at(all[2], "layers[0].sinkLogits").value, "0 -inf 1 0");
    EXPECT_EQ(all[3].declaration, oracle::setupsToInfer(oracle::ours("contiguous"))[3].declaration);
}

TEST(Infer, drawn_shapes_differ_nowhere) {
    auto const candidate = oracle::ours("contiguous");
    for (std::uint64_t seed = 0; seed < 60; ++seed)
        EXPECT_EQ(differences(oracle::infer(candidate, drawn(candidate, seed, 50).setup)), Texts{})
            << seed;
}

TEST(Infer, bugs_show_where_they_are) {
    std::map<std::string, std::pair<std::size_t, std::string>> const expected{
        {"fork_aliases", {1, "fork: an append to the parent changes the child"}},
        {"key_written_into_every_layer",
         {1, "layers[0].storedRows: changed by those of other layers"}},
        {"capacity_wraps_silently", {1, "capacity: more than 12"}},
        {"kv_head_by_modulo", {1, "layers[0].kvHeadOfQueryHead: 0 1 0 1"}},
        {"mask_one_key_too_narrow", {1, "layers[1].window: 3"}},
        {"mask_one_key_too_wide", {1, "layers[1].window: 5"}},
        {"position_off_by_one_after_eviction",
         {1, "evict: length 2, next position 2, rows at 1 2"}},
        {"position_restarts_after_prefill",
         {1, "prefill: length 3, next position 0, rows at 0 1 2"}},
        {"ring_off_by_one_at_wrap", {4, "layers[0].retained: 4"}},
        {"rolled_back_row_visible", {1, "layers[0].rolledBackRows: seen"}},
        {"slot_reused", {1, "append: length 3, next position 3, rows at 1 1 2"}},
        {"stale_length_after_rollback",
         {1, "rollback: length 3, next position 1, rows at 0 1 2"}}};
    for (auto const& [bug, what] : expected) {
        auto const all = oracle::inferAll(
            oracle::candidateNamed(oracle::candidates(), "bugs/" + bug), what.first);
        ASSERT_EQ(all.size(), 1u);
        auto const found = differences(all.front());
        EXPECT_NE(std::ranges::find(found, what.second), found.end()) << bug;
        EXPECT_EQ(oracle::exitOf(all), oracle::Exit::violated);
    }
}

/// Two layers with full rotations of two planes and more, so that every layout is visible.
Declaration rotating(RotaryLayout layout, KeyStorage storage) {
    auto d = standardSetups("turning", numericsF32Plain).front().declaration;
    for (auto& layer : d.layers) {
        layer.keyDim = layer.rotaryDim = 8;
        layer.scale = double(1 / std::sqrt(float(layer.keyDim)));
        layer.rotaryLayout = layout;
        layer.keyStorage = storage;
        layer.cosine.clear(), layer.sine.clear();
        for (std::size_t p = 0; p < 20; ++p)
            for (std::size_t plane = 0; plane < 4; ++plane) {
                double const angle = double(p) / double(plane + 1);
                layer.cosine.push_back(float(std::cos(angle)));
                layer.sine.push_back(float(std::sin(angle)));
            }
    }
    return d;
}

/// Our engine at one shape, declaring another of the same sizes.
class Liar : public oracle::Ours<> {
   public:
    Liar(Declaration const& truth, Declaration told)
        : Ours({truth, Fill::poison}), told_(std::move(told)) {}
    Declaration const& declaration() const override { return told_; }

   private:
    Declaration told_;
};

Inference inferLiar(Declaration const& truth, Declaration const& told) {
    Candidate const candidate{"liar",
                              [&](Setup const&) { return std::make_unique<Liar>(truth, told); },
                              told};
    return oracle::inferAll(candidate, std::nullopt).front();
}

TEST(Infer, layouts_and_storage_are_seen_and_not_read) {
    using enum RotaryLayout;
    for (KeyStorage storage : {KeyStorage::rotated, KeyStorage::raw})
        for (RotaryLayout layout : {halfSplit, interleaved}) {
            auto const truth = rotating(layout, storage);
            EXPECT_EQ(differences(inferLiar(truth, truth)), Texts{});
            auto const told = rotating(layout == halfSplit ? interleaved : halfSplit,
                                       storage == KeyStorage::raw ? KeyStorage::rotated
                                                                  : KeyStorage::raw);
            auto const inference = inferLiar(truth, told);
            EXPECT_EQ(at(inference, "layers[0].rotaryLayout").comparison, Comparison::differs);
            EXPECT_EQ(at(inference, "layers[0].keyStorage").comparison, Comparison::differs);
            EXPECT_EQ(at(inference, "layers[0].rotaryDim").value, "8");
            EXPECT_EQ(inference.declaration.layers, truth.layers);
        }
}

TEST(Infer, one_lie_is_one_difference) {
    auto const truth = rotating(RotaryLayout::halfSplit, KeyStorage::rotated);
    auto const liesOf = [&](auto change) {
        auto told = truth;
        change(told.layers[0]);
        auto const inference = inferLiar(truth, told);
        EXPECT_EQ(inference.declaration.layers[0], truth.layers[0]);
        return differences(inference);
    };
    using L = LayerDeclaration;
    EXPECT_EQ(liesOf([](L& l) { l.window = 5; }), Texts{"layers[0].window: 0, all of 12 rows"});
    EXPECT_EQ(liesOf([](L& l) { l.cosine[9] = 0; }),
              Texts{"layers[0].cosine, sine: 12 positions of 4 planes"});
    EXPECT_EQ(liesOf([](L& l) { l.slopes = {1, 1, 1, 1}; }), Texts{"layers[0].slopes: none"});
    auto const scale = liesOf([](L& l) { l.scale = double(float(1 / std::sqrt(9.0))); });
    ASSERT_EQ(scale.size(), 1u);
    EXPECT_EQ(scale[0].find("layers[0].scale: 0.353553385"), 0u) << scale[0];
    auto told = truth;
    told.verbs = {Verb::append, Verb::attend};
    EXPECT_EQ(differences(inferLiar(truth, told)).size(), 1u);
}

TEST(Infer, sinks_and_slopes_are_seen) {
    auto truth = standardSetups("sinks", numericsF32Plain).front().declaration;
    truth.layers[0].window = truth.layers[0].retained = 4;
    truth.layers[0].sinks = 2;
    for (int h = 0; h < 6; ++h) truth.layers[1].slopes.push_back(std::ldexp(1.0f, -h));
    truth.layers[0].sinkLogits = {-512, 0, 2, 1};
    EXPECT_EQ(differences(inferLiar(truth, truth)), Texts{});
    auto told = truth;
    told.layers[0].sinks = 1;
    told.layers[0].sinkLogits = {-512, 1, 2, 1};
    told.layers[1].slopes.clear();
    told.layers[1].sinkLogits = {-99, -99, -99, -99, -99, 0};
    auto const found = differences(inferLiar(truth, told));
    EXPECT_EQ(found, (Texts{"layers[0].sinks: 2", "layers[0].sinkLogits: -inf 0 2 1",
                            "layers[1].slopes: 1 0.5 0.25 0.125 0.0625 0.03125",
                            "layers[1].sinkLogits: none"}));
}

TEST(Infer, chunks_are_told_from_windows) {
    auto const setups = standardSetups("chunks", numericsF32Plain);
    auto const hasChunks = [](auto const& s) { return s.declaration.layers[0].chunk.has_value(); };
    auto truth = std::ranges::find_if(setups, hasChunks)->declaration;
    for (std::size_t chunk : {1, 2, 3, 4, 5, 11, 12, 13}) {
        SCOPED_TRACE(chunk);
        truth.layers[0].chunk = chunk;
        EXPECT_EQ(differences(inferLiar(truth, truth)), Texts{});
    }
    truth.layers[0].chunk = 5;
    auto told = truth;
    told.layers[0].chunk.reset();
    told.layers[0].window = 2;
    EXPECT_EQ(differences(inferLiar(truth, told)),
              (Texts{"layers[0].window: 0, all of 12 rows", "layers[0].chunk: 5"}));
}

/// What an engine of one layer without angles computes otherwise than in f32.
struct Ways {
    Element sum = Element::f32, weight = Element::f32, output = Element::f32;
    Element query = Element::f32, score = Element::f32;
    ExponentForm exponent = ExponentForm::subtracted;
    std::size_t part = 0;  ///< rows of a part, merged by log-sum-exp; 0: no parts
    bool seesItself = true;
    bool isFickle = false;  ///< answers other bits each time
    bool isTruncating = false;  ///< sums become the neighbor toward zero
    bool isFlushing = false;    ///< outputs below the normal ones become zero
};

class OtherWays : public AnyEngine {
   public:
    OtherWays(Declaration declared, Ways ways) : declared_(std::move(declared)), ways_(ways) {}
    Declaration const& declaration() const override { return declared_; }

    Answer append(SequenceId, Tokens const& tokens) override {
        if (count_ + tokens.count > declared_.capacity) return Answer::refused("full");
        auto const& rows = tokens.layers[0];
        keys_.insert(keys_.end(), rows.keys.begin(), rows.keys.end());
        values_.insert(values_.end(), rows.values.begin(), rows.values.end());
        count_ += tokens.count;
        return Answer::accepted();
    }
    Answer attend(SequenceId, Tokens const& tokens, Outputs& outputs) override {
        std::size_t const rows = count_ - (ways_.seesItself || count_ == 0 ? 0 : 1);
        auto const& l = declared_.layers[0];
        outputs.assign(1, {});
        for (std::size_t h = 0; h < l.queryHeads; ++h)
            for (float x : head(h, rows, tokens.layers[0].queries))
                outputs[0].push_back(ways_.isFlushing && std::fpclassify(x) == FP_SUBNORMAL
                                         ? 0
                                         : oracle::roundedTo(x, ways_.output));
        if (ways_.isFickle) outputs[0][0] += float(++answered);
        return Answer::accepted();
    }

   private:
    struct Part {
        float largest = 0, sum = 0;
        std::vector<float> mean;
    };
    float exponential(float score, float largest) const {
        if (ways_.exponent == ExponentForm::subtracted) return std::exp(score - largest);
        auto const c = std::numbers::log2e_v<float>;
        return std::exp2(std::fma(score, c, -(largest * c)));
    }
    float sum(float a, float b) const {
        if (!ways_.isTruncating) return oracle::roundedTo(a + b, ways_.sum);
        auto const near = float(double(a) + double(b));
        bool const isAway = std::abs(double(near)) > std::abs(double(a) + double(b));
        return isAway ? std::nextafter(near, 0.0f) : near;
    }
    Part mean(std::vector<float> const& scores, std::size_t first, std::size_t end,
              std::size_t head) const {
        auto const& l = declared_.layers[0];
        Part part{*std::max_element(scores.begin() + std::ptrdiff_t(first),
                                    scores.begin() + std::ptrdiff_t(end)),
                  0, std::vector<float>(l.valueDim)};
        for (std::size_t j = first; j < end; ++j) {
            float const weight = exponential(scores[j], part.largest);
            part.sum += weight;
            for (std::size_t d = 0; d < l.valueDim; ++d)
                part.mean[d] = sum(part.mean[d],
                                   oracle::roundedTo(weight, ways_.weight) *
                                       values_[(j * l.kvHeads + head) * l.valueDim + d]);
        }
        for (float& x : part.mean) x /= part.sum;
        return part;
    }
    std::vector<float> head(std::size_t h, std::size_t rows,
                            std::vector<float> const& queries) const {
        auto const& l = declared_.layers[0];
        std::size_t const g = h * l.kvHeads / l.queryHeads;
        if (rows == 0) return std::vector<float>(l.valueDim);
        std::vector<float> scores(rows);
        for (std::size_t j = 0; j < rows; ++j) {
            for (std::size_t d = 0; d < l.keyDim; ++d)
                scores[j] += oracle::roundedTo(queries[h * l.keyDim + d], ways_.query) *
                             keys_[(j * l.kvHeads + g) * l.keyDim + d];
            scores[j] = oracle::roundedTo(scores[j] * float(l.scale), ways_.score);
        }
        if (ways_.part == 0) return mean(scores, 0, rows, g).mean;
        std::vector<Part> parts;
        std::vector<float> logs;
        for (std::size_t j = 0; j < rows; j += ways_.part) {
            parts.push_back(mean(scores, j, std::min(rows, j + ways_.part), g));
            logs.push_back(parts.back().largest + std::log(parts.back().sum));
        }
        float const top = *std::ranges::max_element(logs);
        float sum = 0;
        for (float e : logs) sum += std::exp(e - top);
        float const whole = top + std::log(sum);
        std::vector<float> merged(l.valueDim);
        for (std::size_t i = 0; i < parts.size(); ++i)
            for (std::size_t d = 0; d < l.valueDim; ++d)
                merged[d] += std::exp(logs[i] - whole) * parts[i].mean[d];
        return merged;
    }

    Declaration declared_;
    Ways ways_;
    std::vector<float> keys_, values_;
    std::size_t count_ = 0;
    static inline std::size_t answered = 0;  // of all engines
};

Inference inferWays(Ways const& ways, Numerics const& numerics = numericsF32Plain) {
    auto d = standardSetups("ways", numerics).front().declaration;
    d.layers.resize(1);
    d.verbs = {Verb::append, Verb::attend};
    Candidate const candidate{
        "ways", [=](Setup const&) { return std::make_unique<OtherWays>(d, ways); }, d};
    return oracle::inferAll(candidate, std::nullopt).front();
}

std::string valueOf(Inference const& inference, std::string const& field) {
    return at(inference, "layers[0]." + field).value;
}

/// Fields of numerics that differ, with what was seen first: "weights: 8 bits".
Texts differingNumerics(Inference const& inference) {
    Texts all;
    std::string const at = "layers[0].numerics.";
    for (auto const& text : differences(inference))
        if (text.starts_with(at)) all.push_back(text.substr(at.size(), text.find(',') - at.size()));
    return all;
}

TEST(Infer, each_stage_is_seen_under_its_name) {
    auto const plain = inferWays({});
    EXPECT_EQ(differences(plain), (Texts{"layers[0].emptyRow: zeros"}));
    EXPECT_EQ(valueOf(plain, "retained"), "") << "nothing is read back";
    EXPECT_EQ(plain.declaration.numerics, numericsF32Plain);
    struct Case {
        std::string field;
        Ways ways;
        Precision Numerics::*stage;
    };
    for (auto const& [element, name, bits] :
         {std::tuple{Element::bf16, "bf16", "8 bits"}, std::tuple{Element::f16, "f16", "11 bits"}})
        for (Case const& c : {Case{"query", {.query = element}, &Numerics::query},
                              Case{"scores", {.score = element}, &Numerics::scores},
                              Case{"weights", {.weight = element}, &Numerics::weights},
                              Case{"accumulate", {.sum = element}, &Numerics::accumulate},
                              Case{"output", {.output = element}, &Numerics::output}}) {
            auto const one = inferWays(c.ways);
            EXPECT_EQ(differingNumerics(one), Texts{c.field + ": " + bits}) << name;
            EXPECT_EQ(contradiction(one.declaration), std::nullopt);
            // The proposal narrows this stage alone, and what is declared so differs nowhere.
            auto const& stage = one.declaration.numerics.*c.stage;
            EXPECT_EQ(fmt::format("{} bits", stage.significandBits), bits) << c.field;
            auto widened = one.declaration.numerics;
            widened.*c.stage = precisions::f32;
            EXPECT_EQ(widened, numericsF32Plain) << c.field;
            EXPECT_EQ(differingNumerics(inferWays(c.ways, one.declaration.numerics)), Texts{});
            // The interval widens with what the outputs show, and holds the scale all the same.
            EXPECT_NE(at(one, "layers[0].scale").comparison, Comparison::differs);
        }
    for (Ways const& ways : {Ways{.sum = Element::f16}, Ways{.output = Element::f16}}) {
        auto const& n = inferWays(ways).declaration.numerics;
        EXPECT_EQ(ways.sum == Element::f16 ? n.accumulate : n.output, precisions::f16);
    }
}

TEST(Infer, a_record_that_promises_less_is_allowed) {
    auto const all = everywhere(precisions::bf16, numericsF32Plain);
    auto const inference = inferWays({}, all);
    EXPECT_EQ(differingNumerics(inference), Texts{});
    EXPECT_EQ(at(inference, "layers[0].numerics.output").declared, "bf16, which allows it");
    EXPECT_EQ(inference.declaration.numerics, all) << "the engine's own word stays";
}

TEST(Infer, truncation_and_flushing_are_seen) {
    EXPECT_EQ(valueOf(inferWays({}), "numerics.rounding"), "nearest");
    EXPECT_EQ(differingNumerics(inferWays({.isTruncating = true})), Texts{"rounding: towardZero"});
    auto kept = numericsF32Plain;
    kept.subnormals = Subnormals::kept;
    EXPECT_EQ(differingNumerics(inferWays({}, kept)), Texts{});
    EXPECT_EQ(differingNumerics(inferWays({.isFlushing = true}, kept)),
              Texts{"subnormals: flushed"});
}

TEST(Infer, every_field_of_numerics_is_listed) {
    auto const inference = inferWays({});
    for (auto const key : oracle::keysOf<Numerics>())
        EXPECT_EQ(std::ranges::count_if(inference.findings,
                                        [&](Finding const& f) {
                                            return f.field.ends_with("numerics." +
                                                                     std::string(key));
                                        }),
                  1)
            << key;
    EXPECT_EQ(at(inference, "numerics.dotBlock").how, "no probe sees blocks");
}

TEST(Infer, presets_promise_no_more_than_was_seen) {
    auto const has = [](Inference const& inference, std::string const& name) {
        return std::ranges::find(inference.presets, name) != inference.presets.end();
    };
    auto const asGiven = std::ranges::count(everyPreset, StoredAs::f32, &Preset::query);
    EXPECT_EQ(std::ssize(inferWays({}).presets), asGiven) << "f32 keeps most";
    auto const output = inferWays({.output = Element::bf16});
    EXPECT_TRUE(has(output, "torch.sdpa_math.bf16"));
    EXPECT_FALSE(has(output, "torch.sdpa_math.f32"));
    auto const sum = inferWays({.sum = Element::f16});
    EXPECT_TRUE(has(sum, "ggml.flash_attn_ext_x86.f16"));
    EXPECT_FALSE(has(sum, "torch.flash_cpu.f32"));
}

TEST(Infer, narrow_stages_hide_each_other_and_nothing_else) {
    for (auto const& [element, precision] : {std::pair{Element::bf16, precisions::bf16},
                                             std::pair{Element::f16, precisions::f16}}) {
        auto const declared = everywhere(precision, numericsF32Plain);
        Ways const ways{.sum = element, .weight = element, .output = element,
                        .query = element, .score = element};
        EXPECT_EQ(differingNumerics(inferWays(ways, declared)), Texts{});
        auto const inference = inferWays(ways);
        EXPECT_EQ(inference.declaration.numerics.output, precision);
        EXPECT_EQ(valueOf(inference, "numerics.rounding"), "") << "outputs round the sums again";
        EXPECT_EQ(contradiction(inference.declaration), std::nullopt);
        EXPECT_EQ(differingNumerics(inferWays(ways, inference.declaration.numerics)), Texts{});
    }
}

/// Our engine, whose second layer hands out bf16.
class OneLayerRounds : public oracle::Ours<> {
   public:
    explicit OneLayerRounds(Declaration const& d) : Ours({d, Fill::poison}) {}
    Answer attend(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        auto const answer = Ours::attend(s, tokens, outputs);
        if (answer)
            for (float& x : outputs[1]) x = oracle::roundedTo(x, Element::bf16);
        return answer;
    }
};

TEST(Infer, layers_that_differ_are_proposed_one_by_one) {
    auto const told = standardSetups("layers", numericsF32Plain).front().declaration;
    Candidate const candidate{
        "layers",
        [&](properties::Setup const&) { return std::make_unique<OneLayerRounds>(told); }, told};
    auto const inference = oracle::inferAll(candidate, std::nullopt).front();
    EXPECT_EQ(at(inference, "layers[0].numerics.output").comparison, Comparison::agrees);
    EXPECT_EQ(at(inference, "layers[1].numerics.output").comparison, Comparison::differs);
    auto expected = told;
    expected.layers[1].numerics = told.numerics;
    expected.layers[1].numerics->output = precisions::bf16;
    EXPECT_EQ(inference.declaration, expected);
    auto overridden = told;
    overridden.numerics.output = precisions::bf16;
    overridden.layers[1].numerics = numericsF32;
    EXPECT_EQ(inferLiar(told, overridden).declaration, overridden) << "both allow what was seen";
}

TEST(Infer, forms_of_softmax_are_seen) {
    auto const fused = inferWays({.exponent = ExponentForm::fused});
    EXPECT_EQ(valueOf(fused, "numerics.exponent"), "fused");
    EXPECT_EQ(valueOf(fused, "numerics.merge"), "") << "scores far from 0 show the form alone";
    EXPECT_EQ(fused.declaration.numerics.exponent, ExponentForm::fused);
    for (std::size_t part : {1, 2, 3, 5}) {
        auto const merged = inferWays({.part = part});
        EXPECT_EQ(valueOf(merged, "numerics.merge"), "logSumExp") << part;
        EXPECT_EQ(valueOf(merged, "numerics.exponent"), "subtracted") << part;
        EXPECT_EQ(differingNumerics(merged), Texts{"merge: logSumExp"}) << part;
        EXPECT_EQ(at(merged, "layers[0].scale").comparison, Comparison::agrees) << part;
        EXPECT_EQ(contradiction(merged.declaration), std::nullopt);
    }
}

TEST(Infer, what_is_not_visible_is_unknown) {
    auto const blind = inferWays({.seesItself = false});
    EXPECT_EQ(valueOf(blind, "causal"), "not its own token");
    EXPECT_EQ(at(blind, "layers[0].causal").comparison, Comparison::differs);
    for (char const* field : {"scale", "slopes", "rotaryLayout", "numerics.merge"})
        EXPECT_EQ(valueOf(blind, field), "") << field;
    EXPECT_EQ(valueOf(inferWays({.isFickle = true}), "deterministic"), "other bits");
}

/// Refuses everything, as an engine does that is not yet written.
struct Silent : AnyEngine {
    Declaration declared = standardSetups("silent", numericsF32Plain).front().declaration;
    Declaration const& declaration() const override { return declared; }
};

TEST(Infer, a_silent_engine_shows_that_it_is_silent) {
    Silent silent;
    silent.declared.verbs.clear();
    Candidate const candidate{
        "silent",
        [&](properties::Setup const&) {
            auto engine = std::make_unique<Silent>();
            engine->declared = silent.declared;
            return engine;
        },
        silent.declared};
    auto const all = oracle::inferAll(candidate, std::nullopt);
    EXPECT_EQ(all.front().inferred(), 0u);
    EXPECT_EQ(oracle::exitOf(all), oracle::Exit::tooLittle);
    EXPECT_EQ(all.front().declaration, silent.declared);
}

TEST(Infer, the_proposal_is_no_evidence_and_parses) {
    auto const all = oracle::inferAll(oracle::ours("contiguous"), 2);
    EXPECT_EQ(all.front().setup, 2u);
    EXPECT_NE(oracle::print(all).find("no evidence of conformance"), std::string::npos);
    auto const json = oracle::toJson(all);
    oracle::Json const parsed = oracle::Json::parse(json.dump());
    oracle::Place const place{"proposal"};
    auto const& declaration = parsed["setups"][0]["declaration"];
    EXPECT_EQ(oracle::read<Declaration>(oracle::Node(declaration, place)),
              all.front().declaration);
    EXPECT_EQ(parsed["exit"], 0);
    EXPECT_FALSE(parsed["setups"][0]["unknown"].empty());
    EXPECT_THROW(oracle::inferAll(oracle::ours("contiguous"), 5), oracle::BadArgument);
}

}  // namespace

}  // namespace kv::tests

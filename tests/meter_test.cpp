// The meter must show that fixed tolerances accept accidents, that their own kind decides how, and
// that the judge beside them convicts every accident and no engine that conforms.
#include "oracle/catalog.hpp"
#include "oracle/meter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace {

using namespace kv;
using namespace kv::oracle;

std::vector<Rule> shipped() { return readRules(shippedRulesText, "oracle/rules.json"); }

/// A short and a longer cache, all shipped rules and two that nobody would ship.
MeterReport const& report() {
    static MeterReport const once = [] {
        MeterOptions options{.rules = shipped(), .lengths = {16, 512}};
        options.rules.push_back(typedRule("atol=0,rtol=0"));
        options.rules.push_back(typedRule("atol=1000000,rtol=0"));
        return meter(options);
    }();
    return once;
}
std::vector<MeterRow> shippedRows() {
    auto rows = report().rows;
    rows.resize(rows.size() - 3);
    return rows;
}
MeterRow const& strictest() { return report().rows[report().rows.size() - 3]; }
MeterRow const& loosest() { return report().rows[report().rows.size() - 2]; }
MeterRow const& judge() { return report().rows.back(); }

std::size_t indexOf(Accident accident) {
    auto const at = std::find_if(everyAccident.begin(), everyAccident.end(),
                                 [&](auto const& one) { return one.first == accident; });
    return std::size_t(at - everyAccident.begin());
}

TEST(Meter, every_shipped_rule_says_where_it_stands) {
    auto const rules = shipped();
    EXPECT_GE(rules.size(), 12u);
    std::set<std::string> names;
    std::map<std::string, int> projects;
    for (auto const& rule : rules) {
        EXPECT_TRUE(names.insert(rule.name).second) << rule.name << " stands twice";
        EXPECT_NE(rule.project.find('/'), std::string::npos) << rule.name;
        EXPECT_NE(rule.file.find('.'), std::string::npos) << rule.name;
        EXPECT_FALSE(rule.numbers.isEmpty()) << rule.name;
        EXPECT_EQ(rule.commit.size(), 40u) << rule.name;
        ++projects[rule.project];
    }
    EXPECT_GE(projects["vllm-project/vllm"], 3);
    EXPECT_GE(projects["flashinfer-ai/flashinfer"], 3);
    for (auto const* project :
         {"ggml-org/llama.cpp", "Dao-AILab/flash-attention", "microsoft/onnxruntime",
          "pytorch/pytorch", "ScalingIntelligence/KernelBench", "huggingface/transformers"})
        EXPECT_GE(projects[project], 1) << project;
}

TEST(Meter, the_judge_convicts_every_accident_and_no_conforming_engine) {
    for (auto const& cell : judge().cells) {
        for (std::size_t i = 0; i < everyAccident.size(); ++i) {
            EXPECT_EQ(cell.accepted[i].of, 3u) << everyAccident[i].second;
            EXPECT_EQ(cell.accepted[i].count, 0u) << everyAccident[i].second << cell.length;
        }
        for (std::size_t i = 0; i < everyForm.size(); ++i) {
            EXPECT_EQ(cell.rejected[i].of, 3u) << everyForm[i].second;
            EXPECT_EQ(cell.rejected[i].count, 0u) << everyForm[i].second << cell.length;
        }
    }
}

/// Short inputs alone would convict each accident too, and say nothing of the length in the table.
TEST(Meter, inputs_of_the_full_length_convict_every_accident) {
    for (auto const& cell : judge().cells)
        for (std::size_t i = 0; i < everyAccident.size(); ++i) {
            EXPECT_EQ(cell.acceptedWithoutShort[i].of, 3u) << everyAccident[i].second;
            EXPECT_EQ(cell.acceptedWithoutShort[i].count, 0u)
                << everyAccident[i].second << ", " << cell.length;
        }
}

TEST(Meter, an_engine_is_held_to_what_it_declares) {
    for (auto const& [form, name] : everyForm) {
        auto const& numerics = numericsOf(form);
        EXPECT_EQ(numerics.exponent == ExponentForm::fused, form == EngineForm::fused) << name;
        EXPECT_EQ(numerics.merge == PartMerge::logSumExp, form == EngineForm::partsByLogSumExp)
            << name;
    }
}

/// A tight rule may accept as little as the judge on the inputs that it was tuned for, never less.
TEST(Meter, the_judge_accepts_less_than_the_rules) {
    std::size_t weaker = 0;
    auto const ours = judge().accepted().share();
    for (auto const& row : shippedRows()) {
        EXPECT_GE(row.accepted().share(), ours) << row.rule->name;
        EXPECT_GT(row.accepted().of, 0u) << row.rule->name;
        weaker += row.accepted().share() > ours ? 1 : 0;
    }
    EXPECT_GE(weaker, 12u);
}

TEST(Meter, fixed_tolerances_rot_with_the_length) {
    std::size_t rotting = 0;
    for (auto const& row : shippedRows())
        rotting += acceptedOf(row.cells.front()).share() < acceptedOf(row.cells.back()).share();
    EXPECT_GE(rotting, 12u);
}

TEST(Meter, an_output_of_zeros_passes_a_shipped_rule_and_not_the_judge) {
    auto const zero = indexOf(Accident::zeroOutput);
    std::size_t accepted = 0;
    for (auto const& row : shippedRows())
        for (auto const& cell : row.cells)
            accepted += cell.accepted[zero].count;
    EXPECT_GT(accepted, 0u);
    for (auto const& cell : judge().cells)
        EXPECT_EQ(cell.accepted[zero].count, 0u);
}

TEST(Meter, bit_equality_rejects_engines_and_a_huge_tolerance_accepts_everything) {
    EXPECT_GT(strictest().rejected().count, 0u);
    EXPECT_EQ(strictest().accepted().count, 0u);
    EXPECT_GT(loosest().accepted().of, 0u);
    EXPECT_EQ(loosest().accepted().count, loosest().accepted().of);
    EXPECT_EQ(loosest().rejected().count + loosest().loud().count, 0u);
}

/// Tight rules hold on the inputs of tests only.
TEST(Meter, a_tight_rule_convicts_conforming_engines_where_queries_are_loud) {
    auto const rows = shippedRows();
    auto const row = std::find_if(rows.begin(), rows.end(), [](MeterRow const& one) {
        return one.rule->name == "PyTorch default f32";
    });
    ASSERT_NE(row, rows.end());
    EXPECT_GT(row->loud().count, 0u);
}

TEST(Meter, the_seed_decides_everything) {
    auto const measured = [](std::uint64_t seed) {
        MeterOptions options{.rules = {typedRule("nmse=0.001")}, .lengths = {64}, .seed = seed};
        auto json = toJson(meter(options));
        json.erase("seed");
        return json.dump();
    };
    EXPECT_EQ(measured(1), measured(1));
    EXPECT_NE(judgedInputs(16, 1)[0].input.queries, judgedInputs(16, 2)[0].input.queries);
}

TEST(Meter, a_probe_has_one_right_float_and_every_engine_returns_it) {
    std::size_t exact = 0, oneHot = 0;
    for (auto const& [name, isExact, input] : judgedInputs(64, 5)) {
        auto const allowed = certify(input, numericsOf(EngineForm::naive));
        ASSERT_EQ(allowed.size(), input.queryHeads * input.dim);
        exact += isExact ? 1 : 0;
        for (std::size_t i = 0; i < allowed.size(); ++i) {
            EXPECT_LE(allowed[i].low, allowed[i].high) << name;
            EXPECT_TRUE(std::isfinite(allowed[i].low) && std::isfinite(allowed[i].high)) << name;
            EXPECT_TRUE(!isExact || allowed[i].low == allowed[i].high) << name;
        }
        for (auto const& [form, engine] : everyForm) {
            if (!isExact || form == EngineForm::partsByLogSumExp) continue;
            auto const y = decode(input, form);
            for (std::size_t i = 0; i < y.size(); ++i)
                EXPECT_EQ(y[i], allowed[i].low) << name << ", " << engine;
        }
        if (name != "one-hot, slot 63") continue;
        ++oneHot;
        for (std::size_t h = 0; h < input.queryHeads; ++h)
            for (std::size_t c = 0; c < input.dim; ++c)
                EXPECT_EQ(allowed[h * input.dim + c].low, input.value(h, 63)[c]);
    }
    EXPECT_GE(exact, 16u);
    EXPECT_EQ(oneHot, 1u);
}

/// Where two slots hold the same value, taking one for the other is no mistake.
TEST(Meter, no_two_slots_hold_the_same_value) {
    for (auto const& [name, isExact, input] : judgedInputs(64, 5))
        for (std::size_t g = 0; g < input.kvHeads; ++g) {
            std::set<std::vector<float>> values;
            for (std::size_t slot = 0; slot < input.length + 2; ++slot)
                values.emplace(input.value(g, slot), input.value(g, slot) + input.dim);
            EXPECT_EQ(values.size(), input.length + 2) << name << ", kv head " << g;
        }
}

/// An accident that no input shows would be accepted by right.
TEST(Meter, every_accident_changes_an_output_and_no_other_form_does) {
    auto const inputs = judgedInputs(32, 7);
    for (auto const& [accident, name] : everyAccident) {
        bool isShown = false;
        for (auto const& one : inputs)
            isShown = isShown || decode(one.input, formOf(accident), accident) !=
                                     decode(one.input, formOf(accident));
        EXPECT_TRUE(isShown) << name;
    }
}

bool isPosition(Accident accident) {
    return accident == Accident::queryPosition || accident == Accident::newestKeyPosition;
}

/// What normal rows show is not asked here: in long caches they show less and less.
TEST(Meter, probes_alone_convict_every_accident_of_structure) {
    auto const inputs = judgedInputs(1024, 3);
    std::map<Accident, bool> isConvicted;
    for (auto const& [name, isExact, input] : inputs) {
        bool const isOfPosition = name.starts_with("position");
        if (!isExact && !isOfPosition) continue;
        auto const allowed = certify(input, numericsOf(EngineForm::naive));
        for (auto const& [accident, words] : everyAccident) {
            if (isPosition(accident) != isOfPosition || isConvicted[accident]) continue;
            auto const y = decode(input, formOf(accident), accident);
            for (std::size_t i = 0; i < y.size(); ++i)
                if (!(allowed[i].low <= y[i] && y[i] <= allowed[i].high))
                    isConvicted[accident] = true;
        }
    }
    for (auto const& [accident, words] : everyAccident)
        EXPECT_EQ(isConvicted[accident],
                  accident != Accident::wrongScale && accident != Accident::roundedWeights)
            << words;
}

TEST(Meter, outputs_are_rounded_to_nearest_even) {
    EXPECT_EQ(roundedTo(257, Element::bf16), 256);
    EXPECT_EQ(roundedTo(259, Element::bf16), 260);
    EXPECT_EQ(roundedTo(-2049, Element::f16), -2048);
    EXPECT_EQ(roundedTo(2051, Element::f16), 2052);
    EXPECT_EQ(roundedTo(17, Element::e4m3fn), 16);
    EXPECT_EQ(roundedTo(19, Element::e4m3fn), 20);
    EXPECT_EQ(roundedTo(16777217.f, Element::f32), 16777216);
    int const unit = -24;  // of the smallest numbers of f16
    EXPECT_EQ(roundedTo(std::scalbn(3.f, unit - 1), Element::f16), std::scalbn(1.f, unit + 1));
    EXPECT_EQ(roundedTo(std::scalbn(1.f, unit - 1), Element::f16), 0);
    EXPECT_TRUE(std::isnan(roundedTo(std::numeric_limits<float>::quiet_NaN(), Element::f16)));
}

Rule referenceRule() {
    Rule rule{.name = "reference", .kind = RuleKind::reference};
    rule.numbers.factor = 2;
    rule.numbers.shift = 0;
    return rule;
}

TEST(MeterRule, each_kind_judges_by_its_own_formula) {
    Expected const two{{4, 8}, {5, 8}, 1};
    auto const holds = [&](Rule const& rule, std::vector<float> const& y) {
        return accepts(rule, y, two);
    };
    EXPECT_TRUE(holds(typedRule("atol=1,rtol=0.25"), {2, 11}));
    EXPECT_FALSE(holds(typedRule("atol=1,rtol=0.25"), {4, 12}));
    EXPECT_TRUE(holds(typedRule("nmse=0.2"), {4, 12}));    // 16 of 80
    EXPECT_FALSE(holds(typedRule("nmse=0.19"), {4, 12}));
    EXPECT_TRUE(holds(typedRule("match=0.5,atol=1,rtol=0"), {5, 80}));
    EXPECT_FALSE(holds(typedRule("match=0.6,atol=1,rtol=0"), {5, 80}));
    EXPECT_TRUE(holds(typedRule("match=1,atol=0,rtol=0.25"), {5, 10}));
    EXPECT_TRUE(holds(referenceRule(), {6, 6}));
    EXPECT_FALSE(holds(referenceRule(), {7, 8}));
    auto cosine = typedRule("atol=100,rtol=0");
    cosine.numbers.cosine = 1;
    cosine.numbers.cosine = *cosine.numbers.cosine / 2;
    EXPECT_TRUE(holds(cosine, {4, 8}));
    EXPECT_FALSE(holds(cosine, {-8, 4}));
    EXPECT_FALSE(holds(cosine, {0, 0}));
}

TEST(MeterRule, a_share_is_counted_per_kv_head) {
    Expected const heads{{1, 1, 1, 1}, {}, 2};
    EXPECT_TRUE(accepts(typedRule("match=0.5,atol=0,rtol=0"), {1, 9, 9, 1}, heads));
    EXPECT_FALSE(accepts(typedRule("match=0.5,atol=0,rtol=0"), {1, 1, 9, 9}, heads));
}

TEST(MeterRule, no_kind_accepts_a_nan) {
    float const nan = std::numeric_limits<float>::quiet_NaN();
    Expected const two{{4, 8}, {5, 8}, 1};
    for (auto const& rule : {typedRule("atol=100,rtol=100"), typedRule("nmse=100"),
                             typedRule("match=1,atol=100,rtol=100"), referenceRule()}) {
        EXPECT_FALSE(accepts(rule, {4, nan}, two)) << rule.name;
        EXPECT_FALSE(accepts(rule, {nan, 8}, two)) << rule.name;
    }
}

std::string refusalOf(std::string const& typed) {
    try {
        typedRule(typed);
    } catch (BadArgument const& refusal) {
        return refusal.what();
    }
    return "accepted";
}

TEST(MeterRule, a_typed_rule_is_read_or_refused_in_one_line) {
    auto const rule = typedRule("match=0.75,atol=2,rtol=3");
    EXPECT_EQ(rule.kind, RuleKind::matching);
    EXPECT_EQ(*rule.numbers.share * 4, 3);
    EXPECT_EQ(*rule.numbers.absolute, 2);
    EXPECT_EQ(*rule.numbers.relative, 3);
    EXPECT_EQ(typedRule("rtol=1e-3,atol=0").kind, RuleKind::elementwise);
    EXPECT_EQ(typedRule("nmse=1").kind, RuleKind::meanSquare);
    for (auto const* typed : {"", "atol=1", "rtol=1", "match=1", "match=1,atol=1", "nmse=1,atol=1",
                              "nmse=", "nmse=x", "nmse=-1", "nmse=nan", "nmse=inf", "nmse=1x",
                              "nmse=1,nmse=1", "atol=1,rtol=1,", "match=2,atol=1,rtol=1",
                              "cosine=1", "factor=2", "nmse", "nmse=1\n"}) {
        auto const refusal = refusalOf(typed);
        EXPECT_NE(refusal.find("expected atol=A,rtol=R or nmse=X or match=SHARE,atol=A,rtol=R"),
                  std::string::npos)
            << typed << ": " << refusal;
        EXPECT_EQ(refusal.find('\n'), std::string::npos) << typed;
    }
    EXPECT_EQ(refusalOf("nmse=x"),
              "--rule \"nmse=x\": \"x\" is no such number; expected atol=A,rtol=R or nmse=X or "
              "match=SHARE,atol=A,rtol=R, each a number from 0 on, SHARE at most 1");
}

std::string complaintOf(std::string const& text) {
    try {
        readRules(text, "r");
    } catch (BadInput const& refusal) {
        return refusal.what();
    }
    return "accepted";
}

TEST(MeterRule, a_file_of_rules_is_read_strictly) {
    std::string const good =
        R"({"rules": [{"name": "n", "project": "p/q", "file": "f", "commit": "c", "note": "",
        "kind": "nmse", "dtype": "f32", "cache": "f32", "reference": "stored",
        "numbers": {"nmse": 1},
        "inputs": {"family": "normal", "unit": "one", "query": 1, "key": 1, "value": 1}}]})";
    EXPECT_EQ(complaintOf(good), "accepted");
    auto const broken = [&](std::string const& from, std::string const& to) {
        auto text = good;
        text.replace(text.find(from), from.size(), to);
        return complaintOf(text);
    };
    EXPECT_EQ(broken(R"("nmse": 1)", ""), "r:1: rules[0].numbers holds no number; expected those "
                                          "that upstream's test has");
    EXPECT_EQ(broken(R"("kind": "nmse")", R"("kind": "match")"),
              "r:1: rules[0].numbers lacks a number; expected match, atol and rtol for kind match");
    EXPECT_NE(broken(R"("dtype": "f32")", R"("dtype": "f31")").find("rules[0].dtype"),
              std::string::npos);
    EXPECT_NE(broken(R"("project": "p/q",)", "").find("project"), std::string::npos);
}

TEST(Meter, the_table_fits_100_columns_and_names_every_rule) {
    MeterReport drawn = report();
    drawn.options.lengths = {16, 256, 1024, 4096};
    for (auto& row : drawn.rows)
        row.cells.resize(4, row.cells.front());
    std::erase_if(drawn.rows, [](MeterRow const& row) {
        return row.rule && row.rule->project.empty();
    });
    auto const text = print(drawn);
    for (std::size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1)
        EXPECT_LE(text.find('\n', begin) - begin, 100u) << text.substr(begin, 120);
    for (auto const& rule : shipped())
        EXPECT_NE(text.find("\n" + rule.name + " "), std::string::npos) << rule.name;
    EXPECT_NE(text.find("\nkvspec "), std::string::npos);
    EXPECT_NE(text.find("an output of zeros is accepted by "), std::string::npos);
}

}  // namespace

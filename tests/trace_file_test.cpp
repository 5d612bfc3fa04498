// Trace files: what is written reads back equal, and each way to be wrong has its own sentence.
#include "oracle/trace_file.hpp"

#include "oracle/sha256.hpp"
#include "properties/declaration.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace kv;
using namespace kv::oracle;
using properties::Family;
using properties::Step;

// Two layers that differ in every field; capacity 4; 28 elements a token.
Declaration fullDeclaration() {
    LayerDeclaration rotating{.queryHeads = 4,
                              .kvHeads = 2,
                              .keyDim = 3,
                              .valueDim = 1,
                              .scale = std::bit_cast<double>(0x3fb999999999999aul),
                              .window = 2,
                              .sinks = 1,
                              .retained = 3,
                              .keyStorage = KeyStorage::raw,
                              .rotaryLayout = RotaryLayout::interleaved,
                              .rotaryDim = 2,
                              .cosine = {1, std::bit_cast<float>(0x3dcccccdu), -0.0f,
                                         std::numeric_limits<float>::denorm_min()},
                              .sine = {0, 1, std::numeric_limits<float>::max(),
                                       std::numeric_limits<float>::min()},
                              .slopes = {},
                              .keyFormat = {},
                              .valueFormat = {},
                              .queryFormat = {},
                              .numerics = {},
                              .sinkLogits = {},
                              .chunk = {}};
    LayerDeclaration plain{.queryHeads = 2,
                           .kvHeads = 1,
                           .keyDim = 2,
                           .valueDim = 4,
                           .scale = 1,
                           .window = 0,
                           .sinks = 0,
                           .retained = 0,
                           .keyStorage = KeyStorage::rotated,
                           .rotaryLayout = RotaryLayout::none,
                           .rotaryDim = 0,
                           .cosine = {},
                           .sine = {},
                           .slopes = {std::bit_cast<float>(0x3f000000u),
                                      std::bit_cast<float>(0x3e800000u)},
                           .keyFormat = {},
                           .valueFormat = {},
                           .queryFormat = {},
                           .numerics = {},
                           .sinkLogits = std::vector<float>{-2, 8},
                           .chunk = {}};
    return {.engine = "an engine \"of\" ours\n\u00e9",
            .sequences = 3,
            .capacity = 4,
            .verbs = {std::begin(everyVerb), std::end(everyVerb)},
            .layers = {rotating, plain},
            .numerics = numericsF32,
            .promises = {}, .pool = {}};
}

std::vector<Step> everyStep() {
    return {{.verb = Verb::append, .sequence = 1, .count = 2},
            {.verb = Verb::prefill, .sequence = 2, .count = 1, .target = 1},
            {.verb = Verb::step, .batch = {{2, 2}, {0, 0}, {1, 1}}, .target = 1},
            {.verb = Verb::attend, .sequence = 1, .target = 2},
            {.verb = Verb::observe, .sequence = 2},
            {.verb = Verb::rollback, .sequence = 1, .length = 1},
            {.verb = Verb::fork, .sequence = 1, .to = 0},
            {.verb = Verb::evict, .sequence = 1, .count = 1},
            {.verb = Verb::remove, .sequence = 0, .first = 1, .count = 2},
            {.verb = Verb::shift, .sequence = 1, .delta = -7},
            {.verb = Verb::reorder, .parents = {2, 0, 0}},
            {.verb = Verb::save, .sequence = 2},
            {.verb = Verb::restore, .sequence = 2, .to = 1},
            {.verb = Verb::release, .sequence = 2},
            {.verb = Verb::keep, .sequence = 1},
            {.verb = Verb::reset}};
}

properties::Values inlinedValues() {
    properties::Values values;
    values.family = Family::inlined;
    values.tokens.count = 6;
    float next = 0;
    for (LayerDeclaration const& layer : fullDeclaration().layers) {
        properties::LayerRows rows;
        auto const fill = [&](std::vector<float>& row, std::size_t width) {
            for (std::size_t i = 0; i < values.tokens.count * width; ++i)
                row.push_back(next += 1);
        };
        fill(rows.keys, layer.kvHeads * layer.keyDim);
        fill(rows.values, layer.kvHeads * layer.valueDim);
        fill(rows.queries, layer.queryHeads * layer.keyDim);
        values.tokens.layers.push_back(rows);
    }
    return values;
}

CounterexampleFile counterexample(Family family) {
    CounterexampleFile file{fullDeclaration(), "rollback_append", {}};
    file.trace.steps = everyStep();
    file.trace.values = {.family = family, .seed = ~std::uint64_t{0}, .tokens = {}};
    if (family == Family::inlined)
        file.trace.values = inlinedValues();
    return file;
}

RecordingFile recording() {
    RecordingFile file{.file = "r.trace",
                       .declaration = fullDeclaration(),
                       .layerIndices = {0, 7},
                       .tensors = "r.safetensors",
                       .model = "a model",
                       .note = "",
                       .frequencies = {"f", {}},
                       .attentionFactors = {},
                       .updates = {}};
    file.declaration.layers[0].cosine.clear();
    file.declaration.layers[0].sine.clear();
    LayerTensors all{.queryRaw = "a",
                     .query = "b",
                     .keyRaw = "c",
                     .key = "d",
                     .value = "e",
                     .cosine = "cos",
                     .sine = "sin",
                     .cacheKey = "g",
                     .cacheValue = "h",
                     .cacheKeySha256 = std::string(64, '0'),
                     .cacheValueSha256 = std::string(64, 'f'),
                     .output = "i"};
    file.updates = {{.verb = Verb::prefill,
                     .sequence = 0,
                     .count = 2,
                     .layers = {all, LayerTensors{}},
                     .line = 2},
                    {.verb = Verb::append,
                     .sequence = 0,
                     .count = 1,
                     .layers = {LayerTensors{}, LayerTensors{}},
                     .line = 3}};
    file.updates[1].layers[1].value = "j";
    return file;
}

std::string complaintOf(std::string const& text) {
    try {
        parseTrace(text, "t.trace");
    } catch (BadInput const& complaint) {
        return complaint.what();
    }
    return "accepted";
}

// The text with one place changed; the place must be there exactly once.
std::string changed(std::string text, std::string const& from, std::string const& to) {
    auto const at = text.find(from);
    EXPECT_NE(at, text.npos) << from;
    EXPECT_EQ(text.find(from, at + 1), text.npos) << from;
    if (at == text.npos)
        return text;
    return text.replace(at, from.size(), to);
}

// A header whose layer is minimal, cut into pieces that the cases replace.
std::string const layerText =
    R"({"queryHeads":2,"kvHeads":1,"keyDim":2,"valueDim":1,"scale":0.5,"window":0,"sinks":0,)"
    R"("retained":0,"keyStorage":"raw","rotaryLayout":"halfSplit","rotaryDim":2,)"
    R"("cosine":[1.0,0.5],"sine":[0.0,0.25],"slopes":[]})";
std::string const numericsText =
    R"({"compute":{"significandBits":24,"minExponent":-126,"maxExponent":128},"scoreRoundings":6,)"
    R"("expUlps":4,)"
    R"("expFlushExponent":-125,"normRoundings":3,"rotation":"asWritten",)"
    R"("exponent":"subtracted","merge":"weights","parts":1})";
std::string const declarationText =
    R"({"engine":"e","sequences":2,"capacity":2,"verbs":["append","prefill","attend","observe",)"
    R"("rollback","fork","shift","reset"],"layers":[)" +
    layerText + R"(],"numerics":)" + numericsText + "}";
std::string const headerText = R"({"kvspec-trace":1,"kind":"counterexample","declaration":)" +
                               declarationText +
                               R"(,"law":"","values":{"family":"painted","seed":5}})" + "\n";
std::string const inlinedText =
    changed(headerText, R"({"family":"painted","seed":5})",
            R"({"family":"inlined","tokens":[[{"keys":[1,2],"values":[3],"queries":[4,5,6,7]}]]})");
std::string const recordingText =
    changed(changed(changed(headerText, "counterexample", "recording"),
                    R"("law":"","values":{"family":"painted","seed":5})",
                    R"("layerIndices":[3],"tensors":"t.safetensors","model":"m","note":"n")"),
            R"("cosine":[1.0,0.5],"sine":[0.0,0.25])", R"("cosine":[],"sine":[])") +
    R"({"verb":"append","sequence":0,"count":1,"layers":[{"key":"k"}]})" + "\n";

// The header with one more line.
std::string line(std::string const& text) { return headerText + text + "\n"; }
std::string header(std::string const& from, std::string const& to) {
    return changed(headerText, from, to);
}
std::string recordingWith(std::string const& from, std::string const& to) {
    return changed(recordingText, from, to);
}

struct BadCase {
    std::string text;
    std::string complaint;
};

void expectComplaints(std::vector<BadCase> const& cases) {
    for (BadCase const& bad : cases)
        EXPECT_EQ(complaintOf(bad.text), bad.complaint);
}

TEST(TraceFile, each_family_and_verb_reads_back_equal) {
    for (auto const& spelled : properties::everySpelling<Family>) {
        CounterexampleFile const file = counterexample(spelled.value);
        std::string const text = writeTrace(file);
        TraceFile const back = parseTrace(text, "t.trace");
        ASSERT_TRUE(std::holds_alternative<CounterexampleFile>(back));
        EXPECT_EQ(std::get<CounterexampleFile>(back), file);
        EXPECT_EQ(writeTrace(std::get<CounterexampleFile>(back)), text);
    }
}

TEST(TraceFile, a_recording_reads_back_equal) {
    RecordingFile const file = recording();
    TraceFile const back = parseTrace(writeTrace(file), "r.trace");
    ASSERT_TRUE(std::holds_alternative<RecordingFile>(back));
    EXPECT_EQ(std::get<RecordingFile>(back), file);
}

// The header of a recording whose three layers rotate, do not, and rotate.
RecordingFile threeLayers() {
    RecordingFile file = recording();
    file.declaration.layers.push_back(file.declaration.layers[0]);
    file.layerIndices = {0, 7, 9};
    file.updates.resize(1);
    file.updates[0].layers.resize(3);
    return file;
}

TEST(TraceFile, frequencies_and_attention_factors_read_back_equal) {
    struct Case {
        std::vector<LayerTensors::Name> frequencies;
        std::vector<double> factors;
        std::string text;
    };
    for (Case const& good : std::vector<Case>{
             {{}, {}, R"("note":""})"},
             {{"f", {}, "f"}, {}, R"("note":"","frequencies":"f"})"},
             {{"f", {}, "g"}, {}, R"("note":"","frequencies":["f",null,"g"]})"},
             {{{}, {}, "g"}, {}, R"("note":"","frequencies":[null,null,"g"]})"},
             {{"f", {}, {}}, {}, R"("note":"","frequencies":["f",null,null]})"},
             {{}, {2, 2, 2}, R"("note":"","attentionFactor":2.0})"},
             {{"f", {}, "f"},
              {1, 1, 3},
              R"("note":"","frequencies":"f","attentionFactor":[1.0,1.0,3.0]})"}}) {
        RecordingFile file = threeLayers();
        file.frequencies = good.frequencies;
        file.attentionFactors = good.factors;
        std::string const text = writeTrace(file);
        EXPECT_NE(text.find(good.text), text.npos) << text;
        EXPECT_EQ(std::get<RecordingFile>(parseTrace(text, "r.trace")), file) << text;
    }
    RecordingFile file = threeLayers();
    file.frequencies = {"f"};
    EXPECT_THROW(writeTrace(file), std::invalid_argument);
    file.frequencies = {"f", "f", "f"};  // the second layer does not rotate
    EXPECT_THROW(writeTrace(file), std::invalid_argument);
    file.frequencies = {};
    file.attentionFactors = {1, 1, 1, 1};
    EXPECT_THROW(writeTrace(file), std::invalid_argument);
}

TEST(TraceFile, frequencies_and_attention_factors_that_do_not_fit) {
    RecordingFile file = threeLayers();
    file.frequencies = {};
    std::string const text = writeTrace(file);
    auto const with = [&](std::string const& more) {
        return changed(text, R"("note":"")", R"("note":"",)" + more);
    };
    std::string const number = "; expected a positive number within the range of f32";
    EXPECT_EQ(complaintOf(with(R"("frequencies":[null,null,null])")), "accepted");
    expectComplaints({
        {with(R"("frequencies":["f","g"])"),
         "t.trace:1: frequencies has 2 elements and declaration.layers has 3; expected one per "
         "recorded layer"},
        {with(R"("frequencies":["f","g","h"])"),
         "t.trace:1: frequencies[1] is \"g\"; expected null, since the layer does not rotate"},
        {with(R"("frequencies":["",null,"h"])"),
         "t.trace:1: frequencies[0] is \"\"; expected the name of a tensor"},
        {with(R"("frequencies":null)"), "t.trace:1: frequencies is null; expected a string"},
        {with(R"("attentionFactor":[1,2])"),
         "t.trace:1: attentionFactor has 2 elements and declaration.layers has 3; expected one per "
         "recorded layer"},
        {with(R"("attentionFactor":0)"), "t.trace:1: attentionFactor is 0" + number},
        {with(R"("attentionFactor":-1)"), "t.trace:1: attentionFactor is -1" + number},
        {with(R"("attentionFactor":1e39)"), "t.trace:1: attentionFactor is 1e+39" + number},
        {with(R"("attentionFactor":[1,2,-3])"), "t.trace:1: attentionFactor[2] is -3" + number},
        {with(R"("attentionFactor":[1,null,3])"),
         "t.trace:1: attentionFactor[1] is null; expected a number"},
        {with(R"("attentionFactor":NaN)"),
         "t.trace:1: NaN is no JSON number after the key \"attentionFactor\"; expected a finite "
         "number"},
        {changed(recordingWith("\"halfSplit\",\"rotaryDim\":2", "\"none\",\"rotaryDim\":0"),
                 "\"note\":\"n\"", "\"note\":\"n\",\"attentionFactor\":2"),
         "t.trace:1: attentionFactor is 2; expected no attentionFactor, since no layer declares a "
         "rotaryLayout"},
    });
}

TEST(TraceFile, the_fill_reads_back_equal_and_is_the_loudest_where_it_is_missing) {
    CounterexampleFile file = counterexample(Family::painted);
    std::string const loud = writeTrace(file);
    EXPECT_EQ(loud.find("\"fill\""), loud.npos);
    file.fill = properties::Fill::zero;
    std::string const zeroed = writeTrace(file);
    EXPECT_NE(zeroed.find("\"fill\":\"zero\""), zeroed.npos);
    auto const fillOf = [](std::string const& text) {
        return std::get<CounterexampleFile>(parseTrace(text, "t.trace")).fill;
    };
    EXPECT_EQ(fillOf(loud), properties::Fill::loud);
    EXPECT_EQ(fillOf(zeroed), properties::Fill::zero);
    EXPECT_EQ(complaintOf(changed(zeroed, "\"zero\"", "\"poison\"")),
              "t.trace:1: fill is poison and declaration.promises.maskedSlots is readAndMasked; "
              "expected zero or loud");
    file.declaration.promises = Promises{};
    file.declaration.promises->maskedSlots = MaskedSlots::neverRead;
    file.declaration.promises->deterministic = true;
    file.declaration.promises->thresholds = {2, 3};
    file.declaration.pool = Pool{.blockRows = 3, .blocks = 7};
    EXPECT_EQ(fillOf(changed(writeTrace(file), "\"zero\"", "\"poison\"")),
              properties::Fill::poison);
    auto const again = parseTrace(writeTrace(file), "t.trace");
    EXPECT_EQ(std::get<CounterexampleFile>(again).declaration, file.declaration);
}

// Equality of floats does not see the sign of a zero.
TEST(TraceFile, floats_keep_every_bit) {
    CounterexampleFile file = counterexample(Family::painted);
    auto const back = std::get<CounterexampleFile>(parseTrace(writeTrace(file), "t.trace"));
    auto const bits = [](std::vector<float> const& numbers) {
        std::vector<std::uint32_t> out;
        for (float number : numbers)
            out.push_back(std::bit_cast<std::uint32_t>(number));
        return out;
    };
    EXPECT_EQ(bits(back.declaration.layers[0].cosine), bits(file.declaration.layers[0].cosine));
    EXPECT_EQ(bits(back.declaration.layers[0].sine), bits(file.declaration.layers[0].sine));
    // A negative zero written without a fraction, as other writers do.
    std::string const negative = header("\"sine\":[0.0,", "\"sine\":[-0,");
    auto const short0 = std::get<CounterexampleFile>(
        parseTrace(negative + "{\"verb\":\"reset\"}\n", "t.trace"));
    EXPECT_TRUE(std::signbit(short0.declaration.layers[0].sine[0]));
}

TEST(TraceFile, the_text_is_the_documented_one) {
    CounterexampleFile file{fullDeclaration(), "", {}};
    file.declaration.layers.erase(file.declaration.layers.begin());
    file.declaration.engine = "e";
    file.declaration.verbs = {Verb::fork, Verb::shift};
    file.trace.values = {.family = Family::oneHot, .seed = 9, .tokens = {}};
    file.trace.steps = {{.verb = Verb::fork, .sequence = 0, .to = 2},
                        {.verb = Verb::shift, .sequence = 2, .delta = -1}};
    EXPECT_EQ(writeTrace(file),
              R"({"kvspec-trace":1,"kind":"counterexample","declaration":{"engine":"e",)"
              R"("sequences":3,"capacity":4,"verbs":["fork","shift"],"layers":[{"queryHeads":2,)"
              R"("kvHeads":1,"keyDim":2,"valueDim":4,"scale":1.0,"window":0,"sinks":0,)"
              R"("retained":0,"keyStorage":"rotated","rotaryLayout":"none","rotaryDim":0,)"
              R"("cosine":[],"sine":[],"slopes":[0.5,0.25],"sinkLogits":[-2.0,8.0]}],)"
              R"("numerics":{"compute":"f32",)"
              R"("query":"f32","scores":"f32","weights":"f32","accumulate":"f32","output":"f32",)"
              R"("rounding":"nearest","subnormals":"flushed","dotBlock":0,"keyBlock":0,)"
              R"("fmaTerms":0,"fmaBits":0,"scoreRoundings":6,"expUlps":4,)"
              R"("expFlushExponent":-125,"normRoundings":3,"rotation":"asWritten",)"
              R"("exponent":"fused","merge":"logSumExp","parts":16,"keyOrder":"any",)"
              R"("weightSum":"any","blockSum":"inPlace"}},"law":"",)"
              R"("values":{"family":"oneHot","seed":9}})"
              "\n"
              R"({"verb":"fork","sequence":0,"to":2})"
              "\n"
              R"({"verb":"shift","sequence":2,"delta":-1})"
              "\n");
}

// What the table of bad files changes is good before the change.
TEST(TraceFile, the_unchanged_texts_are_accepted) {
    std::string const reset = "{\"verb\":\"reset\"}\n";
    EXPECT_EQ(complaintOf(headerText + reset), "accepted");
    EXPECT_EQ(complaintOf(inlinedText + reset), "accepted");
    EXPECT_EQ(complaintOf(recordingText), "accepted");
    EXPECT_EQ(complaintOf(line(R"( {"verb":"reset"})").replace(headerText.size(), 1, "")),
              "accepted");
    EXPECT_EQ(complaintOf(line("{\"verb\" : \"reset\" }\t\r")), "accepted");
    EXPECT_EQ(
        complaintOf(inlinedText + R"({"verb":"prefill","sequence":0,"count":1,"target":0})" + "\n"),
        "accepted");
}

TEST(TraceFile, what_is_no_trace_at_all) {
    std::string const start = R"(a header that starts with {"kvspec-trace":1)";
    expectComplaints({
        {"", "t.trace:1: the file is empty; expected " + start},
        {"GGUF\x03\n", "t.trace:1: the file is no trace; expected " + start},
        {"\xef\xbb\xbf" + headerText, "t.trace:1: the file is no trace; expected " + start},
        {"{\"version\":1,\"kvspec-trace\":1}\n",
         "t.trace:1: the first key is \"version\"; expected " + start},
        {"{}\n", "t.trace:1: the first key is \"\"; expected " + start},
        {"{\"\":0,\"kvspec-trace\":1}\n", "t.trace:1: the first key is \"\"; expected " + start},
        {header("trace\":1", "trace\":2"),
         "t.trace:1: kvspec-trace is 2; expected 1, since this kvspec reads version 1"},
        {header("trace\":1", "trace\":0"),
         "t.trace:1: kvspec-trace is 0; expected 1, since this kvspec reads version 1"},
        {header("trace\":1", "trace\":1.0"),
         "t.trace:1: kvspec-trace is 1.0; expected 1, since this kvspec reads version 1"},
        {header("trace\":1", "trace\":\"1\""),
         "t.trace:1: kvspec-trace is \"1\"; expected 1, since this kvspec reads version 1"},
        {header("counterexample", "video"),
         "t.trace:1: kind is \"video\"; expected counterexample or recording"},
    });
}

TEST(TraceFile, truncated_or_broken_lines) {
    expectComplaints({
        {headerText, "t.trace:2: the counterexample has no verb; expected at least one verb"},
        {headerText.substr(0, headerText.size() - 1),
         "t.trace:1: the last line has no newline, so the file is cut off; expected a newline at "
         "the end"},
        {headerText + R"({"verb":"re)",
         "t.trace:2: the last line has no newline, so the file is cut off; expected a newline at "
         "the end"},
        {line(R"({"verb":"rollback","sequence":0)"),
         "t.trace:2: the JSON object ends too early after the key \"sequence\"; expected it "
         "complete on one line"},
        {line("{"), "t.trace:2: the JSON object ends too early; expected it complete on one line"},
        {line(""), "t.trace:2: the line is blank; expected one JSON object"},
        {line(R"({"verb":"reset"})") + "\r\n",
         "t.trace:3: the line is blank; expected one JSON object"},
        {line("[]"), "t.trace:2: the JSON does not start with {; expected one JSON object"},
        {line(" {\"verb\":\"reset\"}"),
         "t.trace:2: the JSON does not start with {; expected one JSON object"},
        {line(R"({"verb":"reset"}{"verb":"reset"})"),
         "t.trace:2: the JSON breaks at byte 17 after the key \"verb\"; expected one JSON object "
         "in UTF-8"},
        {line(R"({"verb":"reset",})"),
         "t.trace:2: the JSON breaks at byte 17 after the key \"verb\"; expected one JSON object "
         "in UTF-8"},
        {line(R"({"verb":"reset" /* why */})"),
         "t.trace:2: the JSON breaks at byte 17 after the key \"verb\"; expected one JSON object "
         "in UTF-8"},
        {line("{\"verb\":\"\xff\"}"),
         "t.trace:2: the JSON breaks at byte 10 after the key \"verb\"; expected one JSON object "
         "in UTF-8"},
        {line(std::string(R"({"verb":"reset"})") + '\0' + "hidden"),
         "t.trace:2: byte 17 is zero; expected one JSON object in UTF-8"},
        {line(R"({"verb":)" + std::string(100000, '[')),
         "t.trace:2: the JSON is nested deeper than 16 levels; expected at most that many"},
        {line(R"({"verb":"reset","verb":"reset"})"),
         "t.trace:2: the key \"verb\" stands twice in one object; expected each key once"},
        {header("\"keyDim\":2", "\"keyDim\":2,\"keyDim\":2"),
         "t.trace:1: the key \"keyDim\" stands twice in one object; expected each key once"},
    });
}

TEST(TraceFile, numbers_that_are_none_or_do_not_fit) {
    std::string const range = "; expected an integer from 0 to 4294967296";
    auto const append = [](std::string const& count) {
        return line(R"({"verb":"append","sequence":0,"count":)" + count + "}");
    };
    expectComplaints({
        {append("NaN"),
         "t.trace:2: NaN is no JSON number after the key \"count\"; expected a "
         "finite number"},
        {append("nan"),
         "t.trace:2: nan is no JSON number after the key \"count\"; expected a "
         "finite number"},
        {append("Infinity"),
         "t.trace:2: Infinity is no JSON number after the key \"count\"; "
         "expected a finite number"},
        {append("-Infinity"),
         "t.trace:2: -Infinity is no JSON number after the key \"count\"; "
         "expected a finite number"},
        {append("1e999"),
         "t.trace:2: the number \"1e999\" is too large after the key \"count\"; "
         "expected a finite number"},
        {append("-1"), "t.trace:2: count is -1" + range},
        {append("-0"), "t.trace:2: count is -0.0" + range},
        {append("1.5"), "t.trace:2: count is 1.5" + range},
        {append("1e0"), "t.trace:2: count is 1.0" + range},
        {append("1000000000000000000"), "t.trace:2: count is 1000000000000000000" + range},
        {append("99999999999999999999"), "t.trace:2: count is 1e+20" + range},
        {append("38347923"),
         "t.trace:2: count is 38347923; expected at most 38347922, so that one "
         "line hands over at most 268435456 elements"},
        {append("\"1\""), "t.trace:2: count is \"1\"" + range},
        {append("null"), "t.trace:2: count is null" + range},
        {append("[1]"), "t.trace:2: count is an array" + range},
        {line(R"({"verb":"shift","sequence":0,"delta":4294967297})"),
         "t.trace:2: delta is 4294967297; expected an integer from -4294967296 to 4294967296"},
        {line(R"({"verb":"shift","sequence":0,"delta":18446744073709551615})"),
         "t.trace:2: delta is 18446744073709551615; expected an integer from -4294967296 to "
         "4294967296"},
        {line(R"({"verb":"rollback","sequence":0,"length":NaN})"),
         "t.trace:2: NaN is no JSON number after the key \"length\"; expected a finite number"},
        {header("\"seed\":5", "\"seed\":-5"),
         "t.trace:1: values.seed is -5; expected an integer from 0 to 18446744073709551615"},
        {header("\"scale\":0.5", "\"scale\":\"0.5\""),
         "t.trace:1: declaration.layers[0].scale is \"0.5\"; expected a number"},
        {header("\"cosine\":[1.0,", "\"cosine\":[1e39,"),
         "t.trace:1: declaration.layers[0].cosine[0] is 1e+39; expected a number within the range "
         "of f32"},
        {header("\"minExponent\":-126", "\"minExponent\":-2147483649"),
         "t.trace:1: declaration.numerics.compute.minExponent is -2147483649; expected an integer "
         "from -2147483648 to 2147483647"},
        {header("\"expUlps\":4", "\"expUlps\":4294967296"),
         "t.trace:1: declaration.numerics.expUlps is 4294967296; expected an integer from 0 to "
         "4294967295"},
    });
}

TEST(TraceFile, verbs_and_their_arguments) {
    expectComplaints({
        {line(R"({"sequence":0})"), "t.trace:2: the line lacks the key \"verb\"; expected it"},
        {line(R"({"verb":"fly"})"),
         "t.trace:2: verb is \"fly\"; expected append, prefill, step, attend, observe, rollback, "
         "fork, evict, remove, shift, reorder, save, restore, release, keep or reset"},
        {line(R"({"verb":7})"),
         "t.trace:2: verb is 7; expected append, prefill, step, attend, observe, rollback, fork, "
         "evict, remove, shift, reorder, save, restore, release, keep or reset"},
        {line(R"({"verb":"remove","sequence":0,"count":1})"),
         "t.trace:2: verb is \"remove\", which declaration.verbs lacks; expected append, prefill, "
         "attend, observe, rollback, fork, shift or reset"},
        {line(R"({"verb":"evict","sequence":0,"count":1})"),
         "t.trace:2: verb is \"evict\", which declaration.verbs lacks; expected append, prefill, "
         "attend, observe, rollback, fork, shift or reset"},
        {line(R"({"verb":"append","sequence":0})"),
         "t.trace:2: the line lacks the key \"count\"; expected it"},
        {line(R"({"verb":"append","sequence":0,"count":1,"target":0})"),
         "t.trace:2: the line has the unknown key \"target\"; expected verb, sequence or count"},
        {line(R"({"verb":"reset","sequence":0})"),
         "t.trace:2: the line has the unknown key \"sequence\"; expected verb"},
        {line(R"({"verb":"observe","sequence":2})"),
         "t.trace:2: sequence is 2 and declaration.sequences is 2; expected at most 1"},
        {line(R"({"verb":"reset"})") + R"({"verb":"fork","sequence":0,"to":9})" + "\n",
         "t.trace:3: to is 9 and declaration.sequences is 2; expected at most 1"},
        {inlinedText + R"({"verb":"append","sequence":0,"count":1})" + "\n" +
             R"({"verb":"append","sequence":0,"count":1})" + "\n",
         "t.trace:3: count is 1, which makes 2 tokens so far, and values.tokens has 1; expected no "
         "more than those"},
        {inlinedText + R"({"verb":"attend","sequence":0,"target":1})" + "\n",
         "t.trace:2: target is 1 and values.tokens has 1; expected one of those, counted from 0"},
    });
}

TEST(TraceFile, batches_that_do_not_fit) {
    auto const batch = [](std::string const& items) {
        return header("\"prefill\"", "\"step\"") + R"({"verb":"step","batch":)" + items +
               ",\"target\":0}\n";
    };
    EXPECT_EQ(complaintOf(batch(R"([{"sequence":1,"count":0}])")), "accepted");
    expectComplaints({
        {batch(R"([{"sequence":0,"count":1},{"sequence":0,"count":0}])"),
         "t.trace:2: batch[1].sequence is 0, which an item before it names; expected each sequence "
         "once"},
        {batch(R"([{"sequence":0,"count":-1}])"),
         "t.trace:2: batch[0].count is -1; expected an integer from 0 to 4294967296"},
        {batch(R"([{"sequence":2,"count":1}])"),
         "t.trace:2: batch[0].sequence is 2 and declaration.sequences is 2; expected at most 1"},
        {batch("[]"),
         "t.trace:2: batch has 0 items and declaration.sequences is 2; expected one for each "
         "sequence at most, and at least one"},
        {batch(R"([{},{},{}])"),
         "t.trace:2: batch has 3 items and declaration.sequences is 2; expected one for each "
         "sequence at most, and at least one"},
        {batch(R"([{"sequence":0}])"), "t.trace:2: batch[0] lacks the key \"count\"; expected it"},
        {batch(R"([{"sequence":0,"count":1,"target":0}])"),
         "t.trace:2: batch[0] has the unknown key \"target\"; expected sequence or count"},
        {batch("0"), "t.trace:2: batch is 0; expected an array"},
        {batch(R"([{"sequence":0,"count":4294967296},{"sequence":1,"count":4294967295}])"),
         "t.trace:2: batch stores 8589934591; expected at most 38347922, so that one line hands "
         "over at most 268435456 elements"},
        {changed(inlinedText, "\"prefill\"", "\"step\"") +
             R"({"verb":"step","batch":[{"sequence":1,"count":1},{"sequence":0,"count":1}],)" +
             "\"target\":0}\n",
         "t.trace:2: batch stores 2, which makes 2 tokens so far, and values.tokens has 1; "
         "expected no more than those"},
    });
}

TEST(TraceFile, headers_that_do_not_fit) {
    expectComplaints({
        {header("\"law\":\"\",", ""), "t.trace:1: the line lacks the key \"law\"; expected it"},
        {header("\"law\":\"\",", "\"law\":null,"), "t.trace:1: law is null; expected a string"},
        {header("\"law\":", "\"model\":\"\",\"law\":"),
         "t.trace:1: the line has the unknown key \"model\"; expected kvspec-trace, kind, "
         "declaration, law, values or fill"},
        {header("\"law\":", "\"a\\u001b[31m\\n\\u2028\\u0085\":\"\",\"law\":"),
         "t.trace:1: the line has the unknown key \"a\\x1b[31m\\n\\u2028\\u0085\"; expected "
         "kvspec-trace, kind, declaration, law, values or fill"},
        {header("\"law\":", "\"" + std::string(1000, 'a') + "\":\"\",\"law\":"),
         "t.trace:1: the line has the unknown key \"" + std::string(60, 'a') +
             "...\"; expected kvspec-trace, kind, declaration, law, values or fill"},
        {header("\"engine\":\"e\"", "\"engine\":\"e\",\"promises\":{\"deterministic\":1}"),
         "t.trace:1: declaration.promises.deterministic is 1; expected true or false"},
        {header("\"law\":", "\"fill\":\"ones\",\"law\":"),
         "t.trace:1: fill is \"ones\"; expected poison, zero or loud"},
        {header("\"painted\"", "\"inlined\""),
         "t.trace:1: values has the unknown key \"seed\"; expected family or tokens"},
        {header("\"painted\"", "\"random\""),
         "t.trace:1: values.family is \"random\"; expected painted, oneHot, mean, wideSum, "
         "groupSelect, knifeEdge, equalKeys, ladder, balance, quantiserStep, sampled or "
         "inlined"},
        {header("{\"family\":\"painted\",\"seed\":5}", "[]"),
         "t.trace:1: values is an array; expected an object"},
        {changed(inlinedText, "\"keys\":[1,2]", "\"keys\":[1]"),
         "t.trace:1: values.tokens[0][0].keys has 1 numbers; expected 2, as the layer declares"},
        {changed(inlinedText, "\"queries\":[4,5,6,7]", "\"queries\":[]"),
         "t.trace:1: values.tokens[0][0].queries has 0 numbers; expected 4, as the layer declares"},
        {changed(inlinedText, "\"values\":[3]", "\"values\":[null]"),
         "t.trace:1: values.tokens[0][0].values[0] is null; expected a number"},
        {changed(inlinedText, "[[{", "[[],[{"),
         "t.trace:1: values.tokens[0] has 0 layers; expected 1, as declared"},
        {header("\"engine\":\"e\",", ""),
         "t.trace:1: declaration lacks the key \"engine\"; expected it"},
        {header("\"engine\":\"e\"", "\"motor\":\"e\""),
         "t.trace:1: declaration has the unknown key \"motor\"; expected engine, sequences, "
         "capacity, verbs, layers, numerics, promises or pool"},
        {header("\"raw\"", "\"cooked\""),
         "t.trace:1: declaration.layers[0].keyStorage is \"cooked\"; expected rotated or raw"},
        {header("\"rollback\"", "\"append\""),
         "t.trace:1: declaration.verbs[0] and verbs[4] are the same; expected each verb once"},
        {header("\"kvHeads\":1", "\"kvHeads\":3"),
         "t.trace:1: declaration.layers[0].kvHeads is 3 and layers[0].queryHeads is 2; expected "
         "queryHeads to be a multiple of kvHeads"},
        {header("\"sequences\":2,\"capacity\":2", "\"sequences\":1073741825,\"capacity\":2"),
         "t.trace:1: declaration has 1073741825 sequences of capacity 2 with 3 elements a row; "
         "expected at most 4294967296 elements in all"},
        {header("\"keyDim\":2,\"valueDim\":1", "\"keyDim\":2,\"valueDim\":4294967296"),
         "t.trace:1: declaration.layers describe more than 4294967296 elements per token, heads x "
         "dims of keys, values and queries; expected at most that many"},
    });
}

TEST(TraceFile, recordings_that_do_not_fit) {
    std::string const digest = "64 lowercase hexadecimal digits";
    expectComplaints({
        {recordingText.substr(0, recordingText.find('\n') + 1),
         "t.trace:2: the recording has no update; expected a prefill or an append"},
        {recordingWith("\"note\":\"n\"", "\"law\":\"n\""),
         "t.trace:1: the line has the unknown key \"law\"; expected kvspec-trace, kind, "
         "declaration, layerIndices, tensors, model, note, frequencies or attentionFactor"},
        {recordingWith(",\"note\":\"n\"", ""),
         "t.trace:1: the line lacks the key \"note\"; expected it"},
        {recordingWith("\"cosine\":[]", "\"cosine\":[1.0]"),
         "t.trace:1: declaration.layers[0].cosine has 1 numbers although the recording carries the "
         "rows it used; expected none"},
        {recordingWith("\"layerIndices\":[3]", "\"layerIndices\":[3,4]"),
         "t.trace:1: layerIndices has 2 indices and declaration.layers has 1; expected one per "
         "recorded layer"},
        {changed(recordingWith("\"layerIndices\":[3]", "\"layerIndices\":[3,3]"),
                 layerText.substr(0, 15),
                 changed(layerText, "\"cosine\":[1.0,0.5],\"sine\":[0.0,0.25]",
                         "\"cosine\":[],\"sine\":[]") +
                     "," + layerText.substr(0, 15)),
         "t.trace:1: layerIndices has 3 after 3; expected ascending indices"},
        {recordingWith("\"t.safetensors\"", "\"../t.safetensors\""),
         "t.trace:1: tensors is \"../t.safetensors\"; expected NAME.safetensors, a file beside the "
         "trace"},
        {recordingWith("\"t.safetensors\"", "\".safetensors\""),
         "t.trace:1: tensors is \".safetensors\"; expected NAME.safetensors, a file beside the "
         "trace"},
        {recordingWith("\"t.safetensors\"", "\"t.bin\""),
         "t.trace:1: tensors is \"t.bin\"; expected NAME.safetensors, a file beside the trace"},
        {changed(recordingWith("\"halfSplit\",\"rotaryDim\":2", "\"none\",\"rotaryDim\":0"),
                 "\"note\":\"n\"", "\"note\":\"n\",\"frequencies\":\"f\""),
         "t.trace:1: frequencies is \"f\"; expected no frequencies, since no layer declares a "
         "rotaryLayout"},
        {recordingWith("{\"verb\":\"append\"", "{\"verb\":\"observe\""),
         "t.trace:2: verb is \"observe\"; expected append or prefill, the verbs of a recording"},
        {recordingWith("\"count\":1", "\"count\":0"), "t.trace:2: count is 0; expected at least 1"},
        {recordingWith("[{\"key\":\"k\"}]", "[]"),
         "t.trace:2: layers has 0 elements and declaration.layers has 1; expected one per recorded "
         "layer"},
        {recordingWith("{\"key\":\"k\"}", "{\"keys\":\"k\"}"),
         "t.trace:2: layers[0] has the unknown key \"keys\"; expected queryRaw, query, keyRaw, "
         "key, value, cosine, sine, cacheKey, cacheValue, cacheKeySha256, cacheValueSha256 or "
         "output"},
        {recordingWith("\"k\"", "\"\""),
         "t.trace:2: layers[0].key is \"\"; expected the name of a tensor"},
        {recordingWith("\"k\"", "null"), "t.trace:2: layers[0].key is null; expected a string"},
        {recordingWith("\"key\":\"k\"", "\"cacheKeySha256\":\"abc\""),
         "t.trace:2: layers[0].cacheKeySha256 is \"abc\"; expected " + digest},
        {recordingWith("\"key\":\"k\"", "\"cacheValueSha256\":\"" + std::string(63, '0') + "F\""),
         "t.trace:2: layers[0].cacheValueSha256 is \"" + std::string(60, '0') + "...\"; expected " +
             digest},
    });
}

std::map<std::string, Tensor> tensorsOf(std::map<std::string, std::vector<std::size_t>> shapes) {
    std::map<std::string, Tensor> tensors;
    for (auto const& [name, shape] : shapes) {
        std::size_t count = 1;
        for (std::size_t extent : shape)
            count *= extent;
        tensors[name] = {shape, std::vector<float>(count)};
    }
    return tensors;
}

// The tensors of recording(): two tokens in layer 0, one in layer 1.
std::map<std::string, std::vector<std::size_t>> rightShapes() {
    return {{"a", {2, 4, 3}}, {"b", {2, 4, 3}}, {"c", {2, 2, 3}}, {"d", {2, 2, 3}},
            {"e", {2, 2, 1}}, {"cos", {2, 1}},  {"sin", {2, 3}},  {"g", {2, 2, 3}},
            {"h", {9, 2, 1}}, {"i", {2, 4, 1}}, {"f", {1}},       {"j", {1, 1, 4}}};
}

std::string tensorComplaint(std::map<std::string, std::vector<std::size_t>> const& shapes) {
    auto const file = SafeTensors::parse(writeSafeTensors(tensorsOf(shapes)), "r.safetensors");
    try {
        checkTensors(recording(), file);
    } catch (BadInput const& complaint) {
        return complaint.what();
    }
    return "accepted";
}

TEST(TraceFile, tensors_must_be_there_in_shape) {
    EXPECT_EQ(tensorComplaint(rightShapes()), "accepted");
    struct Case {
        std::string name;
        std::vector<std::size_t> shape;
        std::string complaint;
    };
    for (Case const& bad : std::vector<Case>{
             {"f", {2}, "1: frequencies names the tensor \"f\" of shape [2]; expected [1]"},
             {"a",
              {1, 4, 3},
              "2: layers[0].queryRaw names the tensor \"a\" of shape [1, 4, 3]; expected "
              "[2, 4, 3]"},
             {"b",
              {2, 4},
              "2: layers[0].query names the tensor \"b\" of shape [2, 4]; expected "
              "[2, 4, 3]"},
             {"c",
              {2, 4, 3},
              "2: layers[0].keyRaw names the tensor \"c\" of shape [2, 4, 3]; "
              "expected [2, 2, 3]"},
             {"d",
              {2, 2, 1},
              "2: layers[0].key names the tensor \"d\" of shape [2, 2, 1]; "
              "expected [2, 2, 3]"},
             {"e",
              {2, 2, 3},
              "2: layers[0].value names the tensor \"e\" of shape [2, 2, 3]; "
              "expected [2, 2, 1]"},
             {"cos",
              {2, 4},
              "2: layers[0].cosine names the tensor \"cos\" of shape [2, 4]; "
              "expected [2, 3] or [2, 2] or [2, 1]"},
             {"sin",
              {1, 3},
              "2: layers[0].sine names the tensor \"sin\" of shape [1, 3]; "
              "expected [2, 3] or [2, 2] or [2, 1]"},
             {"g",
              {2, 3, 2},
              "2: layers[0].cacheKey names the tensor \"g\" of shape [2, 3, 2]; "
              "expected [rows, 2, 3]"},
             {"h",
              {},
              "2: layers[0].cacheValue names the tensor \"h\" of shape []; expected "
              "[rows, 2, 1]"},
             {"i",
              {2, 2, 1},
              "2: layers[0].output names the tensor \"i\" of shape [2, 2, 1]; "
              "expected [2, 4, 1]"},
             {"j",
              {2, 1, 4},
              "3: layers[1].value names the tensor \"j\" of shape [2, 1, 4]; "
              "expected [1, 1, 4]"},
         }) {
        auto shapes = rightShapes();
        shapes[bad.name] = bad.shape;
        EXPECT_EQ(tensorComplaint(shapes), "r.trace:" + bad.complaint);
    }
    auto shapes = rightShapes();
    shapes["cos"] = {2, 2};  // as many as rotate
    EXPECT_EQ(tensorComplaint(shapes), "accepted");
    shapes = rightShapes();
    shapes.erase("g");
    EXPECT_EQ(tensorComplaint(shapes),
              "r.trace:2: layers[0].cacheKey names the tensor \"g\", which r.safetensors lacks; "
              "expected one of shape [rows, 2, 3]");
}

// A trace that ends too early names fewer tensors than its file holds, and nothing else is wrong.
TEST(TraceFile, every_tensor_must_be_named) {
    auto shapes = rightShapes();
    shapes["stray"] = {1};
    EXPECT_EQ(tensorComplaint(shapes),
              "r.trace:3: 1 tensor of r.safetensors is named by no line, \"stray\": the trace is "
              "truncated or not of this file; expected every tensor to be named");
    shapes["0/late"] = {1};
    std::string const two =
        "2 tensors of r.safetensors are named by no line, the first is \"0/late\": the trace is "
        "truncated or not of this file; expected every tensor to be named";
    EXPECT_EQ(tensorComplaint(shapes), "r.trace:3: " + two);
    // A digest is no name.
    shapes = rightShapes();
    shapes[std::string(64, '0')] = {1};
    EXPECT_NE(tensorComplaint(shapes), "accepted");
    // What the cut lines named.
    RecordingFile cut = recording();
    cut.updates.pop_back();
    auto const bytes = writeSafeTensors(tensorsOf(rightShapes()));
    EXPECT_THROW(checkTensors(cut, SafeTensors::parse(bytes, "r.safetensors")), BadInput);
}

TEST(TraceFile, only_f32_tensors_serve) {
    std::string const header = R"({"f":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})";
    std::vector<std::byte> bytes(8 + header.size() + 2);
    bytes[0] = static_cast<std::byte>(header.size());
    for (std::size_t i = 0; i < header.size(); ++i)
        bytes[8 + i] = static_cast<std::byte>(header[i]);
    try {
        checkTensors(recording(), SafeTensors::parse(bytes, "r.safetensors"));
        ADD_FAILURE() << "accepted";
    } catch (BadInput const& complaint) {
        EXPECT_STREQ(complaint.what(),
                     "r.trace:1: frequencies names the tensor \"f\" of dtype F16; expected F32");
    }
}

TEST(TraceFile, what_could_not_be_read_is_not_written) {
    auto const complaint = [](CounterexampleFile const& file) -> std::string {
        try {
            writeTrace(file);
        } catch (std::invalid_argument const& error) {
            return error.what();
        }
        return "written";
    };
    auto file = counterexample(Family::inlined);
    file.trace.values.tokens.layers[1].values[2] = std::numeric_limits<float>::infinity();
    EXPECT_EQ(complaint(file), "inf has no JSON spelling; expected a finite number");
    file = counterexample(Family::inlined);
    file.trace.values.tokens.layers[0].queries.pop_back();
    EXPECT_EQ(complaint(file),
              "values.tokens has too few rows; expected count rows of keys, "
              "values and queries in each layer");
    file = counterexample(Family::painted);
    file.law = "\xff";
    EXPECT_EQ(complaint(file), "a string is not UTF-8; expected UTF-8, as JSON demands");
    file = counterexample(Family::painted);
    file.trace.steps[0].sequence = 3;
    EXPECT_EQ(complaint(file),
              "trace:2: sequence is 3 and declaration.sequences is 3; expected at most 2");
}

class TraceFileOnDisk : public testing::Test {
   protected:
    void SetUp() override {
        directory_ = std::filesystem::temp_directory_path() /
                     ("kvspec_trace_file_test_" + std::to_string(::getpid()));
        std::filesystem::create_directories(directory_);
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    std::string complaint(std::filesystem::path const& path) const {
        try {
            readTrace(path);
        } catch (BadInput const& complaint) {
            return complaint.what();
        }
        return "accepted";
    }
    std::filesystem::path directory_;
};

TEST_F(TraceFileOnDisk, a_file_is_read_as_its_text) {
    auto const path = directory_ / "a.trace";
    std::ofstream(path) << writeTrace(counterexample(Family::mean));
    EXPECT_EQ(std::get<CounterexampleFile>(readTrace(path)), counterexample(Family::mean));
    std::ofstream(path) << line("{}");
    EXPECT_EQ(complaint(path), path.string() + ":2: the line lacks the key \"verb\"; expected it");
}

TEST_F(TraceFileOnDisk, what_cannot_be_read_is_said) {
    auto const missing = directory_ / "no\nsuch.trace";
    EXPECT_EQ(complaint(missing), directory_.string() +
                                      "/no\\nsuch.trace:1: the file does not "
                                      "exist; expected a readable file");
    EXPECT_EQ(complaint(directory_), directory_.string() +
                                         ":1: it is not a regular file; expected "
                                         "a readable file");
    // A sparse file: the size is refused before anything is read.
    auto const huge = directory_ / "huge.trace";
    std::ofstream(huge) << "{";
    std::filesystem::resize_file(huge, (std::size_t{1} << 28) + 1);
    EXPECT_EQ(complaint(huge),
              huge.string() + ":1: the file has 268435457 bytes; expected at most 268435456");
}

// The seeds of the fuzzer stay what their names say: a seed that rots finds nothing.
TEST(Corpus, good_seeds_are_accepted_and_bad_ones_refused) {
    std::size_t good = 0, bad = 0;
    std::filesystem::path const corpus =
        std::filesystem::path(KVSPEC_SOURCE_DIR) / "tests/data/corpus/fuzz_files";
    for (auto const& entry : std::filesystem::directory_iterator(corpus)) {
        std::string const name = entry.path().filename().string();
        std::vector<std::byte> const bytes = readFile(entry.path(), 4096);
        auto const rest = std::span(bytes).subspan(1);
        bool accepted = true;
        try {
            if (name.starts_with("trace_"))
                parseTrace({reinterpret_cast<char const*>(rest.data()), rest.size()}, name);
            else
                SafeTensors::parse(rest, name);
        } catch (BadInput const&) {
            accepted = false;
        }
        EXPECT_EQ(accepted, name.find("_good_") != name.npos) << name;
        EXPECT_EQ(std::to_integer<int>(bytes[0]) % 2 == 0, name.starts_with("trace_")) << name;
        ++(accepted ? good : bad);
    }
    EXPECT_GE(good, 8u);
    EXPECT_GE(bad, 20u);
}

// FIPS 180-4 publishes these two; the third is the empty message's.
TEST(Sha256, published_digests) {
    auto const hex = [](std::string_view text) {
        return sha256Hex(std::as_bytes(std::span(text.data(), text.size())));
    };
    EXPECT_EQ(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, floats_are_little_endian) {
    std::vector<std::byte> const bytes{std::byte{0}, std::byte{0}, std::byte{0x80},
                                       std::byte{0x3f}};
    EXPECT_EQ(sha256HexOfFloats(std::vector<float>{1}), sha256Hex(bytes));
}

TEST(Contradiction, names_the_fields) {
    using Change = void (*)(Declaration&);
    struct Case {
        Change change;
        char const* complaint;
    };
    auto const nan = [](std::vector<float>& numbers) {
        numbers.back() = std::numeric_limits<float>::quiet_NaN();
    };
    EXPECT_EQ(properties::contradiction(fullDeclaration()), std::nullopt);
    for (Case const& bad : std::vector<Case>{
             {[](Declaration& d) { d.sequences = 0; }, "sequences is 0; expected at least 1"},
             {[](Declaration& d) { d.capacity = 0; }, "capacity is 0; expected at least 1"},
             {[](Declaration& d) { d.capacity = properties::largestSize + 1; },
              "capacity is 4294967297; expected at most 4294967296"},
             {[](Declaration& d) { d.layers.clear(); },
              "layers is empty; expected at least one layer"},
             {[](Declaration& d) { d.layers[1].keyDim = 0; },
              "layers[1].keyDim is 0; expected at least 1"},
             {[](Declaration& d) { d.layers[1].valueDim = 0; },
              "layers[1].valueDim is 0; expected at least 1"},
             {[](Declaration& d) { d.layers[1].kvHeads = 0; },
              "layers[1].kvHeads is 0; expected at least 1"},
             {[](Declaration& d) { d.layers[1].queryHeads = 0; },
              "layers[1].queryHeads is 0; expected at least 1"},
             {[](Declaration& d) { d.layers[1].window = std::size_t(-1); },
              "layers[1].window is 18446744073709551615; expected at most 4294967296"},
             {[](Declaration& d) { d.layers[0].kvHeads = 3; },
              "layers[0].kvHeads is 3 and layers[0].queryHeads is 4; expected queryHeads to be a "
              "multiple of kvHeads"},
             {[](Declaration& d) { d.layers[0].retained = 1; },
              "layers[0].retained is 1 and layers[0].window is 2; expected retained to be 0 or at "
              "least window"},
             {[](Declaration& d) { d.layers[1].retained = 3; },
              "layers[1].retained is 3 and layers[1].window is 0, which shows all 4 rows of "
              "capacity; expected retained to be 0 or at least capacity"},
             {[](Declaration& d) { d.layers[0].rotaryDim = 1; },
              "layers[0].rotaryDim is 1; expected an even number, two components per plane"},
             {[](Declaration& d) { d.layers[0].rotaryDim = 4; },
              "layers[0].rotaryDim is 4 and layers[0].keyDim is 3; expected rotaryDim to be at "
              "most keyDim"},
             {[](Declaration& d) { d.layers[0].rotaryDim = 0; },
              "layers[0].rotaryDim is 0 and layers[0].rotaryLayout is not none; expected at least "
              "2"},
             {[](Declaration& d) { d.layers[1].rotaryDim = 2; },
              "layers[1].rotaryDim is 2 and layers[1].rotaryLayout is none; expected rotaryDim to "
              "be 0"},
             {[](Declaration& d) { d.layers[1].sine = {1}; },
              "layers[1].sine has 1 numbers although rotaryLayout is none; expected none"},
             {[](Declaration& d) { d.layers[0].sine.pop_back(); },
              "layers[0].cosine has 4 numbers and layers[0].sine has 3; expected as many sines as "
              "cosines"},
             {[](Declaration& d) {
                  d.layers[0].keyDim = 4;
                  d.layers[0].rotaryDim = 4;
                  d.layers[0].cosine.resize(9);
                  d.layers[0].sine.resize(9);
              },
              "layers[0].cosine has 9 numbers and layers[0].rotaryDim is 4; expected "
              "[positions][2], a multiple of 2"},
             {[](Declaration& d) { d.capacity = 5; },
              "layers[0].cosine has 4 positions and capacity is 5; expected a position for each "
              "row of capacity"},
             {[](Declaration& d) { d.layers[1].slopes.push_back(0); },
              "layers[1].slopes has 3 numbers and layers[1].queryHeads is 2; expected none or one "
              "per query head"},
             {[](Declaration& d) { d.layers[1].chunk = 0; },
              "layers[1].chunk is 0; expected at least 1"},
             {[](Declaration& d) { d.layers[1].chunk = 2, d.layers[1].window = 3; },
              "layers[1].chunk is 2 and layers[1].window is 3; expected one of them"},
             {[](Declaration& d) { d.layers[1].chunk = 2; },
              "layers[1].chunk is 2 and verbs has shift; expected no shift: it moves rows into "
              "other chunks"},
             {[](Declaration& d) { d.layers[1].sinkLogits = {0}; },
              "layers[1].sinkLogits has 1 numbers and layers[1].queryHeads is 2; expected one per "
              "query head, or no sinkLogits"},
             {[](Declaration& d) { d.layers[1].sinkLogits = {0, -INFINITY}; },
              "layers[1].sinkLogits[1] is -inf; expected a finite number"},
             {[](Declaration& d) {
                  std::erase(d.verbs, Verb::shift);
                  d.layers[1].chunk = 2;
                  d.layers[1].sinkLogits.reset();
                  d.layers[0].window = d.layers[0].sinks = d.layers[0].retained = 0;
                  d.numerics = numericsF32Plain;
                  d.numerics.keyOrder = KeyOrder::ascending;
                  d.numerics.keyBlock = 16;
              },
              "layers[1].chunk is 2 and its numerics.keyOrder is ascending; expected any: blocks "
              "are counted from the first key that a query sees, and in a chunk a kernel may count "
              "from elsewhere"},
             {[](Declaration& d) {
                  d.layers[1].queryFormat.codec = StoredAs::f16;
                  d.numerics.query = precisions::bf16;
              },
              "layers[1].queryFormat is there and its numerics.query has 8 significand bits; "
              "expected 24: the format says how queries are rounded"},
             {[](Declaration& d) {
                  d.layers[1].sinkLogits = {0, 1};
                  d.layers[0].window = d.layers[0].sinks = d.layers[0].retained = 0;
                  d.numerics = numericsF32Plain;
                  d.numerics.keyOrder = KeyOrder::ascending;
                  d.numerics.keyBlock = 16;
              },
              "layers[1].sinkLogits is there and its numerics.keyOrder is ascending; expected any: "
              "a kernel may begin with the sink, or end with it"},
             {[](Declaration& d) { d.layers[1].scale = std::numeric_limits<double>::infinity(); },
              "layers[1].scale is inf; expected a finite number"},
             {[](Declaration& d) { d.numerics.compute.significandBits = 0; },
              "numerics.compute.significandBits is 0; expected 1 to 113"},
             {[](Declaration& d) { d.numerics.output.minExponent = 128; },
              "numerics.output.minExponent is 128 and numerics.output.maxExponent is 128; expected "
              "minExponent to be smaller"},
             {[](Declaration& d) { d.numerics.accumulate.minExponent = -16383; },
              "numerics.accumulate.minExponent is -16383; expected at least -16382"},
             {[](Declaration& d) { d.numerics.scores.maxExponent = 16385; },
              "numerics.scores.maxExponent is 16385; expected at most 16384"},
             {[](Declaration& d) { d.numerics.expFlushExponent = 1; },
              "numerics.expFlushExponent is 1; expected at most 0"},
             {[](Declaration& d) { d.numerics.compute = precisions::bf16; },
              "numerics.query has 24 significand bits and numerics.compute has 8; expected at "
              "most as many, since query is used in it"},
             {[](Declaration& d) {
                  d.layers[1].numerics = everywhere(precisions::f16, numericsF32);
                  d.layers[1].numerics->weights = precisions::f32;
              },
              "layers[1].numerics.weights has 24 significand bits and layers[1].numerics.compute "
              "has 11; expected at most as many, since weights is used in it"},
             {[](Declaration& d) { d.numerics.fmaTerms = 16; },
              "numerics.fmaTerms is 16 and numerics.fmaBits is 0; expected both, or both 0"},
             {[](Declaration& d) { d.numerics.fmaTerms = 8, d.numerics.fmaBits = 114; },
              "numerics.fmaBits is 114; expected at most 113"},
             {[](Declaration& d) {
                  d.numerics.fmaTerms = d.numerics.dotBlock = 16, d.numerics.fmaBits = 23;
              },
              "numerics.fmaTerms is 16 and numerics.dotBlock is 16; expected dotBlock to be 0, "
              "since fmaTerms says how products are added"},
             {[](Declaration& d) { d.numerics.parts = 0; },
              "numerics.parts is 0; expected at least 1, which is no part at all"},
             {[](Declaration& d) { d.numerics.keyOrder = KeyOrder::ascending; },
              "numerics.keyOrder is ascending and numerics.keyBlock is 0; expected the keys of a "
              "block, 1 if the maximum moves key by key"},
             {[](Declaration& d) {
                  d.numerics.keyOrder = KeyOrder::ascending, d.numerics.keyBlock = 64;
              },
              "numerics.keyOrder is ascending and numerics.parts is 16; expected 1, since each "
              "part has a maximum of its own"},
             {[](Declaration& d) {
                  d.layers[0].numerics = numericsF32Plain;
                  d.layers[0].numerics->keyOrder = KeyOrder::ascending;
                  d.layers[0].numerics->keyBlock = 64;
                  d.layers[0].window = 2;
              },
              "layers[0].window is 2 and its numerics.keyOrder is ascending; expected any: blocks "
              "are counted from the first key that a query sees, and in a window a kernel may "
              "count from elsewhere"},
             {[](Declaration& d) {
                  d.promises = Promises{};
                  d.promises->batchInvariant = true;
              },
              "promises.batchInvariant is true and promises.deterministic is false; expected both "
              "to be true, for a run repeats nothing that another batch would"},
             {[](Declaration& d) {
                  d.promises = Promises{};
                  d.promises->thresholds = {1, d.capacity + 1};
              },
              "promises.thresholds[1] is 5 and capacity is 4; expected 1 to 4, a length that a "
              "sequence can have"},
             {[](Declaration& d) { d.pool = Pool{.blockRows = 0, .blocks = 4}; },
              "pool.blockRows is 0; expected at least 1"},
             {[](Declaration& d) { d.pool = Pool{.blockRows = 2, .blocks = 0}; },
              "pool.blocks is 0; expected at least 1"},
             {[](Declaration& d) { d.pool = Pool{.blockRows = 3, .blocks = 1}; },
              "pool.blocks is 1 with pool.blockRows 3 and capacity is 4; expected enough blocks "
              "for the rows of one full sequence"},
             {[](Declaration& d) { d.numerics.parts = 1; },
              "numerics.merge is logSumExp and numerics.parts is 1; expected at least 2 parts, or "
              "weights"},
         }) {
        Declaration declaration = fullDeclaration();
        bad.change(declaration);
        EXPECT_EQ(properties::contradiction(declaration), bad.complaint);
    }
    Declaration declaration = fullDeclaration();
    nan(declaration.layers[0].sine);
    EXPECT_EQ(properties::contradiction(declaration),
              "layers[0].sine[3] is nan; expected a finite number");
    declaration = fullDeclaration();
    nan(declaration.layers[1].slopes);
    EXPECT_EQ(properties::contradiction(declaration),
              "layers[1].slopes[1] is nan; expected a finite number");
}

TEST(Contradiction, a_recording_carries_its_own_rows) {
    Declaration declaration = fullDeclaration();
    EXPECT_EQ(properties::contradiction(declaration, properties::RotaryTables::recorded),
              "layers[0].cosine has 4 numbers although the recording carries the rows it used; "
              "expected none");
    declaration.layers[0].cosine.clear();
    declaration.layers[0].sine.clear();
    EXPECT_EQ(properties::contradiction(declaration, properties::RotaryTables::recorded),
              std::nullopt);
    EXPECT_EQ(properties::contradiction(declaration),
              "layers[0].cosine has 0 positions and capacity is 4; expected a position for each "
              "row of capacity");
}

TEST(Contradiction, sizes_of_a_token_never_overflow) {
    Declaration declaration = fullDeclaration();
    declaration.layers[1].sinkLogits.reset();
    EXPECT_EQ(properties::elementsPerToken(declaration), 2 * (3 + 1) + 4 * 3 + (2 + 4) + 2 * 2u);
    declaration.layers[1].kvHeads = declaration.layers[1].queryHeads = properties::largestSize;
    declaration.layers[1].keyDim = declaration.layers[1].valueDim = properties::largestSize;
    declaration.layers[1].slopes.clear();
    EXPECT_EQ(properties::contradiction(declaration),
              "layers describe more than 4294967296 elements per token, heads x dims of keys, "
              "values and queries; expected at most that many");
}

}  // namespace

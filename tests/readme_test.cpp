// readme_test: the code that README shows is this code, and it does what README says.
//
// Each block between two marks below stands in README.md, letter by letter.
// [adapter]
#include "properties/check.hpp"

#include <memory>

using namespace kv::properties;

kv::Declaration const about = [] {
    kv::LayerDeclaration layer{};  // one kv head: a key of 3 floats, a value of 2
    layer.queryHeads = layer.kvHeads = 1, layer.keyDim = 3, layer.valueDim = 2, layer.scale = 1;
    return kv::Declaration{.engine = "list", .sequences = 1, .capacity = 8,
                           .verbs = {kv::Verb::append, kv::Verb::observe},
                           .layers = {layer}, .numerics = kv::numericsF32, .promises = {},
                           .pool = {}};
}();

struct ListEngine : AnyEngine {
    std::vector<float> keys, values;
    kv::Declaration const& declaration() const override { return about; }
    Answer append(SequenceId, Tokens const& tokens) override {
        auto const& rows = tokens.layers[0];
        if (rows.keys.size() != 3 * tokens.count || keys.size() + rows.keys.size() > 3 * 8)
            return Answer::refused("full, or rows of another shape");
        keys.insert(keys.end(), rows.keys.begin(), rows.keys.end());
        values.insert(values.end(), rows.values.begin(), rows.values.end());
        return Answer::accepted();
    }
    Answer observe(SequenceId, Content& seen) override {
        seen = {keys.size() / 3, std::int64_t(keys.size() / 3), {{{}, keys, values}}};
        for (std::int64_t i = 0; i < seen.nextPosition; ++i) seen.layers[0].positions.push_back(i);
        return Answer::accepted();
    }
};

CheckReport judgeList() {  // .laws: what became of each; .violation: the shortest trace, if any
    return check({"list", [](Setup const&) { return std::make_unique<ListEngine>(); }, about}, {});
}
// [adapter]

#include "oracle/candidates.hpp"
#include "oracle/replay.hpp"
#include "properties/lift.hpp"
#include "spec/kv.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace {

// [appendKV]
using Key = kv::Vec<float, kv::Nat<4>>;    // head dim 4
using Value = kv::Vec<float, kv::Nat<2>>;  // values may be of another size

constexpr auto empty = kv::emptyCache<Key, Value>();
constexpr auto one = kv::appendKV(empty, Key{}, Value{});
static_assert(std::same_as<decltype(one), kv::Cache<Key, Value, kv::Nat<1>> const>);
// kv::appendKV(one, kv::Vec<float, kv::Nat<3>>{}, Value{});  // does not compile:
//                                                            // KeyHasTheCachesHeadDim
// [appendKV]

std::string fileText(std::string const& path) {
    std::ifstream in(std::string(KVSPEC_SOURCE_DIR) + "/" + path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

TEST(Readme, shows_the_code_of_this_file) {
    std::string const readme = fileText("README.md"), source = fileText("tests/readme_test.cpp");
    for (std::string const mark : {"// [appendKV]\n", "// [adapter]\n"}) {
        auto const begin = source.find(mark) + mark.size();
        auto const block = source.substr(begin, source.find(mark, begin) - begin);
        EXPECT_NE(readme.find(block), std::string::npos) << "README.md lacks the block " << mark;
    }
}

TEST(Readme, shows_the_verdict_that_is_printed) {
    std::string const path = "bugs/stale_length_after_rollback.trace";
    auto const file = std::get<kv::oracle::CounterexampleFile>(
        kv::oracle::readTrace(std::string(KVSPEC_SOURCE_DIR) + "/" + path));
    auto const replay = kv::oracle::replay(file, path, kv::oracle::candidates());
    EXPECT_NE(fileText("README.md").find(kv::oracle::printReplay(replay, file, path)),
              std::string::npos)
        << kv::oracle::printReplay(replay, file, path);
}

TEST(Readme, adapter_is_judged) {
    auto const report = judgeList();
    EXPECT_FALSE(report.violation) << report.violation->where << report.violation->got;
    EXPECT_EQ(report.count(Outcome::held), 5u);
    EXPECT_EQ(report.count(Outcome::violated), 0u);
    EXPECT_GT(report.count(Outcome::notReachable), 0u);
    EXPECT_FALSE(report.blindSpots.empty());
}

/// The same list, but for a value that enters at the wrong end.
struct TurnedList : ListEngine {
    Answer append(SequenceId s, Tokens const& tokens) override {
        auto const answer = ListEngine::append(s, tokens);
        if (answer) std::rotate(values.begin(), values.end() - 2, values.end());
        return answer;
    }
};

TEST(Readme, adapter_with_a_mistake_is_convicted) {
    auto const make = [](auto const&) { return std::make_unique<TurnedList>(); };
    auto const report = check({"list", make, about}, {});
    ASSERT_TRUE(report.violation);
    EXPECT_EQ(report.violation->law, "appendKV_last_value");
    EXPECT_LE(report.violation->trace.steps.size(), 3u);
}

}  // namespace

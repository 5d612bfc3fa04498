// readme_test: the code that README shows is this code, and it does what README says.
//
// Each block between two marks below stands in README.md, letter by letter.
#include "oracle/engines/ours.hpp"
#include "oracle/replay.hpp"
#include "properties/check.hpp"
#include "properties/lift.hpp"
#include "spec/kv.hpp"

#include <gtest/gtest.h>

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

kv::Declaration listDeclaration() {
    kv::LayerDeclaration layer{};
    layer.queryHeads = 2;
    layer.kvHeads = 1;
    layer.keyDim = 3;
    layer.valueDim = 2;
    layer.scale = 1;
    kv::Declaration d{};
    d.engine = "list";
    d.sequences = 1;
    d.capacity = 8;
    d.verbs = {kv::Verb::append, kv::Verb::rollback, kv::Verb::observe};
    d.layers = {layer};
    d.numerics = kv::numericsF32;
    return d;
}

// [adapter]
using namespace kv::properties;

struct ListEngine : AnyEngine {  // one layer, one kv head: rows of 3 and of 2 floats
    kv::Declaration about = listDeclaration();
    std::vector<float> keys, values;
    std::size_t length() const { return keys.size() / 3; }

    kv::Declaration const& declaration() const override { return about; }
    Answer append(SequenceId, Tokens const& tokens) override {
        auto const& rows = tokens.layers[0];
        if (rows.keys.size() != 3 * tokens.count || length() + tokens.count > about.capacity)
            return Answer::refused("full, or rows of another shape");
        keys.insert(keys.end(), rows.keys.begin(), rows.keys.end());
        values.insert(values.end(), rows.values.begin(), rows.values.end());
        return Answer::accepted();
    }
    Answer rollback(SequenceId, std::size_t left) override {
        if (left > length()) return Answer::refused("a rollback does not grow");
        keys.resize(3 * left), values.resize(2 * left);
        return Answer::accepted();
    }
    Answer observe(SequenceId, Content& seen) override {
        seen = {length(), std::int64_t(length()), {{{}, keys, values}}};
        for (std::size_t i = 0; i < length(); ++i) seen.layers[0].positions.push_back(i);
        return Answer::accepted();
    }
};
// [adapter]

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
    auto const replay = kv::oracle::replay(file, path, kv::oracle::ourCandidates());
    EXPECT_NE(fileText("README.md").find(kv::oracle::printReplay(replay, file, path)),
              std::string::npos)
        << kv::oracle::printReplay(replay, file, path);
}

CheckReport checkedList() {
    auto const make = [](kv::properties::Setup const&) { return std::make_unique<ListEngine>(); };
    Candidate const list{"list", make, listDeclaration()};
    CheckOptions options;
    options.cases = 1000;
    return check(list, options);
}

TEST(Readme, adapter_is_judged) {
    auto const report = checkedList();
    EXPECT_FALSE(report.violation) << report.violation->where << report.violation->got;
    EXPECT_EQ(report.count(Outcome::held), 5u);
    EXPECT_EQ(report.count(Outcome::violated), 0u);
    EXPECT_FALSE(report.blindSpots.empty());
}

}  // namespace

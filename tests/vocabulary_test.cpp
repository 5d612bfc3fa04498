// vocabulary_test: what the map names exists, and nothing that exists is missing from it.
#include "oracle/catalog.hpp"
#include "oracle/vocabulary.hpp"
#include "spec/memory.hpp"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace kv::tests {

namespace {

using namespace oracle;

std::vector<Word> everyWord() {
    auto all = operations();
    all.insert(all.end(), attentionVariants().begin(), attentionVariants().end());
    return all;
}

/// Every field that a declaration has, at any depth.
std::set<std::string_view> everyField() {
    std::set<std::string_view> all;
    for (auto const& keys :
         {keysOf<Declaration>(), keysOf<LayerDeclaration>(), keysOf<StoredFormat>(),
          keysOf<Numerics>(), keysOf<Promises>(), keysOf<Pool>()})
        all.insert(keys.begin(), keys.end());
    return all;
}

TEST(Vocabulary, what_the_map_names_exists) {
    auto const known = catalog();
    auto const fields = everyField();
    for (Word const& word : everyWord()) {
        SCOPED_TRACE(std::string(word.name));
        for (auto const law : word.laws) EXPECT_NE(known.find(law), nullptr) << law;
        for (auto const field : word.fields) EXPECT_TRUE(fields.contains(field)) << field;
        EXPECT_TRUE(word.isExpressible() || !word.limit.empty()) << "neither how nor why not";
    }
}

TEST(Vocabulary, every_verb_every_law_and_every_field_of_a_layer_is_on_the_map) {
    std::set<Verb> verbs;
    std::set<std::string_view> laws, fields;
    for (Word const& word : everyWord()) {
        verbs.insert(word.verbs.begin(), word.verbs.end());
        laws.insert(word.laws.begin(), word.laws.end());
        fields.insert(word.fields.begin(), word.fields.end());
    }
    for (Verb verb : everyVerb) EXPECT_TRUE(verbs.contains(verb)) << nameOf(verb);
    for (auto const& law : catalog().laws) EXPECT_TRUE(laws.contains(law.name)) << law.name;
    for (auto const& keys :
         {keysOf<LayerDeclaration>(), keysOf<StoredFormat>(), keysOf<Promises>(), keysOf<Pool>()})
        for (auto const field : keys) EXPECT_TRUE(fields.contains(field)) << field;
}

TEST(Vocabulary, the_table_fits_100_columns_and_names_each_row_once) {
    std::istringstream lines(printVocabulary());
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
    std::set<std::string_view> names;
    for (Word const& word : everyWord())
        EXPECT_TRUE(names.insert(word.name).second) << word.name;
    EXPECT_EQ(vocabularyToJson()["operations"].size(), operations().size());
}

}  // namespace

}  // namespace kv::tests

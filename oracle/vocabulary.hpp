// vocabulary: say how the words of engines are written here.
//
// An engine calls it crop, seq_rm, trim or rewind; here it is a rollback. `kvspec laws --map` lists
// what engines do with their caches and which attention they compute, and for each the verb, the
// theorems and the fields of a declaration that express it, or why nothing does. An adapter is
// written with this table beside it.
//
// The rows are the work of hands. That each verb, theorem and field that they name exists, and that
// no verb, no theorem and no field of a layer, a format, a promise or a pool is missing, is a test
// (tests/vocabulary_test.cpp).
//
// Not said here: what a theorem claims (catalog.hpp).
#pragma once
#include "oracle/json.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kv::oracle {

/// One operation or one variant of attention. Where no verb, theorem or field stands, `limit` says
/// why it cannot be expressed; elsewhere it says what of it cannot, if anything.
struct Word {
    std::string_view name;     ///< in the field's words
    std::string_view engines;  ///< what some engines call it
    std::vector<Verb> verbs{};
    std::vector<std::string_view> laws{};
    std::vector<std::string_view> fields{};  ///< of the records of a declaration
    std::string_view limit{};

    bool isExpressible() const { return !(verbs.empty() && laws.empty() && fields.empty()); }
};

/// What caches are asked to do, and what attention is computed over them.
std::vector<Word> const& operations();
std::vector<Word> const& attentionVariants();

/// The table of `kvspec laws --map`, at most 100 columns wide.
std::string printVocabulary();
OrderedJson vocabularyToJson();

}  // namespace kv::oracle

// meter: measure how strong a test is.
//
// A test of attention compares two outputs and forgives a difference: a number that somebody chose.
// This file says what such a number forgives. Small engines that conform, and the same engine with
// one accident each, decode one query over a cache, on the inputs that the test itself uses. The
// rule judges all of them, and two shares come out:
//
//     accepted    of the accidents whose output differs, how many the rule lets pass
//     rejected    of the conforming engines, how many it convicts
//     loud        the same with queries 32 times as large, as models have them and tests do not
//
// A softmax mean over n keys hides one key as 1/n, so what a fixed number accepts grows with n.
// The last row is kvspec's own judge. It has no number: its inputs are exact probes, where one
// float is right (a one-hot code per slot, means over 2^k slots, keys that differ by position
// alone), and normal rows, and its bounds are those of spec/enclosure.hpp for what each engine
// declares.
//
// The reference of a rule is computed in double and rounded to the rule's dtype, which favours the
// rule. An accident that changes no bit of the output on its inputs is not counted for a rule.
// Rules of other projects are data: oracle/rules.json.
//
// Not said here: how the engines compute (meter_engines.cpp), how the table looks
// (meter_print.cpp), what is blind in whole engines (`kvspec check`).
#pragma once
#include "oracle/json.hpp"
#include "spec/numerics.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv::oracle {

/// What outputs and stored rows are rounded to: nearest, ties to even; spec/format.hpp says what
/// becomes of a number that is too large.
enum class Element : std::uint8_t { f32, f16, bf16, e4m3fn };

float roundedTo(float x, Element element);

/// What a rule computes from two outputs.
enum class RuleKind : std::uint8_t {
    elementwise,  ///< |y - r| <= absolute + relative |r| everywhere
    matching,     ///< per kv head, a share of elements within absolute or within relative
    meanSquare,   ///< sum (y - r)^2 <= nmse sum r^2
    reference     ///< max |y - r| <= factor max |p - r| + 2 max |(r + shift) - shift - r|
};

/// The numbers of a rule; those that its kind does not read are empty.
struct RuleNumbers {
    std::optional<double> absolute, relative, nmse, share, factor, shift, cosine;
    bool isEmpty() const {
        return !absolute && !relative && !nmse && !share && !factor && !shift && !cosine;
    }
};

/// How the rows of a rule's test are drawn.
enum class InputFamily : std::uint8_t { normal, uniform };
enum class InputUnit : std::uint8_t { one, rsqrtDim };
/// Which rows the reference reads: those that were handed over, or what the cache holds of them.
enum class ReadRows : std::uint8_t { given, stored };
struct RuleInputs {
    InputFamily family = InputFamily::normal;
    InputUnit unit = InputUnit::one;
    double query = 1, key = 1, value = 1;  ///< standard deviation, or half width, in units
    friend bool operator==(RuleInputs const&, RuleInputs const&) = default;
};

struct Rule {
    std::string name{}, project{}, file{}, commit{}, note{};
    RuleKind kind = RuleKind::elementwise;
    Element dtype = Element::f32;  ///< of queries, given rows and outputs
    Element cache = Element::f32;  ///< of stored rows
    ReadRows reference = ReadRows::stored;
    RuleNumbers numbers{};
    RuleInputs inputs{};
};

template <>
inline constexpr std::array<Spelling<Element>, 4> everySpelling<Element>{
    {{Element::f32, "f32"},
     {Element::f16, "f16"},
     {Element::bf16, "bf16"},
     {Element::e4m3fn, "e4m3fn"}}};
template <>
inline constexpr std::array<Spelling<RuleKind>, 4> everySpelling<RuleKind>{
    {{RuleKind::elementwise, "allclose"},
     {RuleKind::matching, "match"},
     {RuleKind::meanSquare, "nmse"},
     {RuleKind::reference, "reference"}}};
template <>
inline constexpr std::array<Spelling<InputFamily>, 2> everySpelling<InputFamily>{
    {{InputFamily::normal, "normal"}, {InputFamily::uniform, "uniform"}}};
template <>
inline constexpr std::array<Spelling<InputUnit>, 2> everySpelling<InputUnit>{
    {{InputUnit::one, "one"}, {InputUnit::rsqrtDim, "rsqrtDim"}}};
template <>
inline constexpr std::array<Spelling<ReadRows>, 2> everySpelling<ReadRows>{
    {{ReadRows::given, "given"}, {ReadRows::stored, "stored"}}};

/// The text of oracle/rules.json, compiled in.
extern std::string_view const shippedRulesText;

/// Reads such a text. Throws BadInput for anything that is no list of rules.
std::vector<Rule> readRules(std::string_view text, std::string_view name);

/// A rule as it is typed: atol=A,rtol=R or nmse=X or match=SHARE,atol=A,rtol=R. It judges f32
/// outputs of normal rows. Throws BadArgument that says what is allowed.
Rule typedRule(std::string const& text);

/// Rows of a cache, [kvHeads][length + 2][dim]. Behind the visible ones lie what a rolled back
/// token has left, and what slot length / 2 held before it was written again.
struct CacheRows {
    std::vector<float> keys, values;
};

/// One query per head over a cache.
struct DecodeInput {
    std::size_t length = 0, dim = 0, queryHeads = 0, kvHeads = 0;
    std::size_t first = 0;  ///< the window begins here; rows first .. length - 1 are visible
    float scale = 1;
    std::vector<float> queries{};  ///< [queryHeads][dim]
    std::shared_ptr<CacheRows const> rows{};

    std::size_t kvHeadOf(std::size_t head) const { return head * kvHeads / queryHeads; }
    float const* query(std::size_t head) const { return &queries[head * dim]; }
    float const* key(std::size_t kvHead, std::size_t slot) const {
        return &rows->keys[(kvHead * (length + 2) + slot) * dim];
    }
    float const* value(std::size_t kvHead, std::size_t slot) const {
        return &rows->values[(kvHead * (length + 2) + slot) * dim];
    }
};

/// Ways to compute the same; what each declares is numericsOf.
enum class EngineForm : std::uint8_t {
    naive, reversed, pairwise, blocked, fused, partsByWeights, partsByLogSumExp, perKey
};
inline constexpr std::array<std::pair<EngineForm, std::string_view>, 8> everyForm{
    {{EngineForm::naive, "naive"},
     {EngineForm::reversed, "reversed"},
     {EngineForm::pairwise, "pairwise"},
     {EngineForm::blocked, "blocked online softmax"},
     {EngineForm::fused, "blocked, fused exp2"},
     {EngineForm::partsByWeights, "split KV, merged as (m, l, acc)"},
     {EngineForm::partsByLogSumExp, "split KV, merged by log-sum-exp"},
     {EngineForm::perKey, "per-key online softmax"}}};

/// One accident each.
enum class Accident : std::uint8_t {
    none, oneKeyTooMany, lastMissing, firstMissing, staleKey, staleValue, keyTwice, wrongKvHead,
    droppedBlock, missingRescale, swappedValuePage, wrongScale, queryPosition, newestKeyPosition,
    zeroOutput, maskTooWide, roundedWeights
};
inline constexpr std::array<std::pair<Accident, std::string_view>, 16> everyAccident{
    {{Accident::oneKeyTooMany, "one key too many"},
     {Accident::lastMissing, "last key missing"},
     {Accident::firstMissing, "first key missing"},
     {Accident::staleKey, "stale K slot"},
     {Accident::staleValue, "stale V slot"},
     {Accident::keyTwice, "key counted twice"},
     {Accident::wrongKvHead, "wrong kv head"},
     {Accident::droppedBlock, "dropped block"},
     {Accident::missingRescale, "missing rescale"},
     {Accident::swappedValuePage, "V page swapped"},
     {Accident::wrongScale, "scale 1/sqrt(d+1)"},
     {Accident::queryPosition, "position of q off by one"},
     {Accident::newestKeyPosition, "position of newest k off by one"},
     {Accident::zeroOutput, "output all zero"},
     {Accident::maskTooWide, "mask one too wide at a window"},
     {Accident::roundedWeights, "undeclared bf16 weights"}}};

/// The form in which an accident is built.
constexpr EngineForm formOf(Accident accident) {
    return accident == Accident::missingRescale ? EngineForm::blocked : EngineForm::naive;
}
Numerics const& numericsOf(EngineForm form);

/// The output in f32, [queryHeads][dim].
std::vector<float> decode(DecodeInput const& input, EngineForm form,
                          Accident accident = Accident::none);

/// The same in double, and as a program that keeps every tensor in one dtype computes it.
std::vector<double> exactDecode(DecodeInput const& input);
std::vector<float> sameDtypeDecode(DecodeInput const& input, Element dtype);

/// What a rule compares with.
struct Expected {
    std::vector<double> exact;       ///< rounded to the rule's dtype
    std::vector<float> sameDtype{};  ///< only for rules of kind reference
    std::size_t kvHeads = 1;
};
/// `output` is rounded to the rule's dtype.
bool accepts(Rule const& rule, std::vector<float> const& output, Expected const& expected);

/// One float from low to high is accepted, a NaN is not.
struct Certificate {
    float low, high;
};
/// One for each component of an output, for any engine of these numerics.
std::vector<Certificate> certify(DecodeInput const& input, Numerics const& numerics);

/// The inputs of kvspec's own judge at one length, and behind them a few short ones, since rounding
/// errors hide in long sums. `isExact` ones have one right float wherever parts are not merged by
/// log-sum-exp and the length is a power of two.
struct JudgedInput {
    std::string name;
    bool isExact;
    DecodeInput input;
};
std::vector<JudgedInput> judgedInputs(std::size_t length, std::uint64_t seed);

struct Tally {
    std::size_t of = 0, count = 0;
    void add(bool isCounted) { ++of, count += isCounted ? 1 : 0; }
    Tally& operator+=(Tally const& other) {
        of += other.of, count += other.count;
        return *this;
    }
    double share() const { return of == 0 ? 0 : double(count) / double(of); }
};

/// A rule at one length.
struct MeterCell {
    std::size_t length = 0;
    std::array<Tally, everyAccident.size()> accepted{};  ///< in the order of everyAccident
    /// kvspec's only: what its inputs of this very length would accept, without the short ones.
    std::array<Tally, everyAccident.size()> acceptedWithoutShort{};
    std::array<Tally, everyForm.size()> rejected{};      ///< in the order of everyForm
    std::array<Tally, everyForm.size()> loud{};          ///< the same, of loud queries
};
struct MeterRow {
    std::optional<Rule> rule;  ///< empty: kvspec's own judge
    std::vector<MeterCell> cells{};
    Tally accepted() const;
    Tally rejected() const;
    Tally loud() const;
};
Tally acceptedOf(MeterCell const& cell);

/// Shortest and longest cache that can be measured: codes of slots need two components a bit.
inline constexpr std::size_t shortestMetered = 8, longestMetered = 16384;

struct MeterOptions {
    std::vector<Rule> rules{};
    std::vector<std::size_t> lengths{16, 256, 1024, 4096};
    std::uint64_t seed = 1;
};
struct MeterReport {
    MeterOptions options;
    std::vector<MeterRow> rows;  ///< one a rule, and kvspec's at the end
    double seconds = 0;
};
MeterReport meter(MeterOptions const& options);

std::string print(MeterReport const& report);
OrderedJson toJson(MeterReport const& report);

}  // namespace kv::oracle

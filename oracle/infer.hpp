// infer: propose the declaration of an engine by asking the engine.
//
// An author who meets kvspec has to declare an engine that somebody else may have written. This
// file asks that engine small questions with plain answers (which of two keys weighs more, what is
// read back of a unit vector) and proposes what to declare. Only sizes are given: sequences,
// capacity, layers, heads and dims, without which no row can be handed over. By its type no probe
// sees more of the declaration than that.
//
//     Candidate x Setup  ->  Seen         what the probes saw, from sizes alone
//     Seen x Declaration ->  Inference    the proposal, and where the engine says otherwise
//
// Each field is *inferred*, with one line on how, or *unknown*, with the reason. An inferred field
// agrees with what the engine declares (for a convention: with what properties/engine.hpp asks of
// every engine), or differs from it. A declaration that allows more than was seen agrees: fused
// allows subtracted, since it is the looser of the two, and bf16 allows whatever keeps more bits.
//
// Numbers that come out of an exponential are intervals: the error counts are those of numericsF32,
// the unit in the last place is the one that the probes saw at the outputs.
//
// An inference is no evidence of conformance. A few questions were asked in a few states; an engine
// that answers them as declared may violate every law elsewhere. `kvspec check` judges.
//
// Not said here: how rows are handed over (infer_parts.hpp), what a field means
// (spec/numerics.hpp).
#pragma once
#include "oracle/json.hpp"
#include "oracle/report.hpp"
#include "properties/check.hpp"
#include "spec/numerics.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace kv::oracle {

/// What is taken from the declaration, in elements and rows.
struct LayerSizes {
    std::size_t queryHeads = 0, kvHeads = 0, keyDim = 0, valueDim = 0;
};
struct Given {
    std::size_t sequences = 0, capacity = 0;
    std::vector<LayerSizes> layers;
};
Given givenBy(Declaration const& declaration);

/// A value with one line on how it was seen; without a value the line says why not.
template <class T>
struct Guess {
    std::optional<T> value;
    std::string how;

    static Guess seen(T value, std::string how) { return {std::move(value), std::move(how)}; }
    static Guess unknown(std::string why) { return {std::nullopt, std::move(why)}; }
    explicit operator bool() const { return value.has_value(); }
    T const& operator*() const { return *value; }
};

/// A number that is known to lie in [low, high]; `likely` is the one to declare.
struct Measured {
    double low = 0, high = 0, likely = 0;
    bool holds(double x) const { return low <= x && x <= high; }
};

/// A rotary table as it was read back, [positions][planes], and the pairs it turns.
struct SeenTable {
    std::vector<float> cosine, sine;
    std::size_t planes = 0;
    std::size_t positions() const { return planes == 0 ? 0 : cosine.size() / planes; }
};

/// Which layouts the coupled components allow; with a single plane both are the same.
struct SeenLayout {
    bool none = false, halfSplit = false, interleaved = false;
    bool allows(RotaryLayout layout) const {
        return layout == RotaryLayout::none        ? none
               : layout == RotaryLayout::halfSplit ? halfSplit
                                                   : interleaved;
    }
};

/// Something that every engine is asked for, or that no field declares.
struct Convention {
    std::string field;
    Guess<std::string> seen;
    std::string specified{};  ///< empty: nothing is specified, the finding only informs
};

/// A bound of a format. What follows a stage may hide the rest: then it keeps this much or more.
struct SeenLimit {
    int value = 0;
    bool isOrMore = false;
};

/// What one stage keeps of a number; a bound that nobody asked for is left out.
struct SeenPrecision {
    BOOST_HANA_DEFINE_STRUCT(SeenPrecision, (std::optional<SeenLimit>, significandBits),
                             (std::optional<SeenLimit>, minExponent),
                             (std::optional<SeenLimit>, maxExponent));
};

/// How one layer computes: the fields of Numerics that a probe asks for, by their names there.
struct SeenNumerics {
    BOOST_HANA_DEFINE_STRUCT(SeenNumerics, (Guess<SeenPrecision>, query),
                             (Guess<SeenPrecision>, scores), (Guess<SeenPrecision>, weights),
                             (Guess<SeenPrecision>, accumulate), (Guess<SeenPrecision>, output),
                             (Guess<OperationRounding>, rounding),
                             (Guess<Subnormals>, subnormals), (Guess<RotationRounding>, rotation),
                             (Guess<ExponentForm>, exponent), (Guess<PartMerge>, merge));
    unsigned valueBits = 0;   ///< of one stored value that comes back; 0: none does
    unsigned outputBits = 0;  ///< the most that any output showed
};

struct SeenLayer {
    Guess<std::size_t> window, sinks, retained;  ///< 0 as in LayerDeclaration
    Guess<std::size_t> chunk;                    ///< 0: there are none
    std::size_t triedRows = 0;                   ///< a longer window or ring looks like none
    std::size_t visibleRows = 0;  ///< newest rows, its own included, that a query surely sees
    Guess<KeyStorage> keyStorage;
    Guess<SeenLayout> layout;
    Guess<std::size_t> rotaryDim;
    Guess<SeenTable> table;
    Guess<Measured> scale;
    Guess<std::vector<Measured>> slopes;  ///< empty: no ALiBi
    Guess<std::vector<Measured>> sinkLogits;  ///< per query head; without a lower end: none is seen
    SeenNumerics numerics;
    std::vector<Convention> conventions;
};

/// Everything that the probes saw.
struct Seen {
    Guess<std::vector<Verb>> verbs;
    std::vector<Convention> conventions;
    std::vector<SeenLayer> layers;
};

/// Asks engines that `candidate` makes. The declaration inside of `setup` goes to the engine only.
Seen probe(properties::Candidate const& candidate, properties::Setup const& setup,
           Given const& given);

enum class Comparison : std::uint8_t {
    agrees,
    differs,
    none  ///< unknown, or nothing is declared or specified
};

/// One field of a proposal.
struct Finding {
    std::string field;     ///< its path, as in layers[0].window
    std::string value;     ///< empty: unknown
    std::string how;       ///< how it was seen, or why it is unknown
    std::string declared;  ///< in the same words; of a convention, what is specified
    Comparison comparison = Comparison::none;
    bool isConvention = false;  ///< specified for every engine, or only for information
    bool isInferred() const { return !value.empty(); }
};

/// What is proposed for one setup. The engine's own word stays where it is unknown and where it
/// allows what was seen: a proposal promises nothing that no probe saw and nobody declared.
struct Inference {
    std::string engine;
    std::size_t setup = 1, setups = 1;  ///< number of this one, from 1, and how many there are
    Given given{};
    Declaration declaration{};
    std::vector<Finding> findings{};
    std::vector<std::string> presets{};  ///< that promise no more than was seen

    std::size_t count(Comparison comparison) const {
        return static_cast<std::size_t>(std::ranges::count_if(findings, [&](Finding const& f) {
            return f.isInferred() && f.comparison == comparison;
        }));
    }
    std::size_t inferred() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            findings, [](Finding const& f) { return f.isInferred(); }));
    }
};

/// The setups that are asked about: those of a check, once for every shape.
std::vector<properties::Setup> setupsToInfer(properties::Candidate const& candidate);

/// Throws what candidate.make throws.
Inference infer(properties::Candidate const& candidate, properties::Setup const& setup);

/// Every setup, or the one of that number, from 1. Throws BadArgument for a number that is none.
std::vector<Inference> inferAll(properties::Candidate const& candidate,
                                std::optional<std::size_t> setup);

/// violated where an inferred field differs, tooLittle where nothing was inferred.
Exit exitOf(std::vector<Inference> const& all);

std::string print(std::vector<Inference> const& all);
/// "kvspec-infer" is the version of this layout; `declaration` is written as in trace files.
OrderedJson toJson(std::vector<Inference> const& all);

}  // namespace kv::oracle

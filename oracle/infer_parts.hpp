// infer_parts: hand rows to an engine of which only the sizes are known.
//
// A probe looks at one layer; the others get zeros. It stores a few tokens in a fresh engine and
// asks the newest of them, so no probe can spoil the next.
//
// Not said here: what is concluded (infer_rows.cpp, infer_attention.cpp, infer_numerics.cpp,
// infer_softmax.cpp), how it is compared with a declaration (infer.cpp, infer_stages.cpp).
#pragma once
#include "oracle/infer.hpp"
#include "properties/values.hpp"

#include <functional>
#include <memory>

namespace kv::oracle::inference {

/// The longest sequence that is asked about, and the positions of a table that are read back.
inline constexpr std::size_t mostRows = 256, mostPositions = 64;
/// Loud enough to be seen in a score of any format, and finite in each: half of f16's largest.
inline constexpr float loud = 4096;

/// Components of rows by token, head and component; an empty function is zero everywhere.
using Entry = std::function<float(std::size_t token, std::size_t head, std::size_t lane)>;
struct Rows {
    std::size_t count = 1;
    Entry key{}, value{}, query{};  ///< of the newest token only: query is asked with token 0
};

using Output = std::optional<std::vector<float>>;  ///< [queryHeads][valueDim] of one layer

class Prober {
   public:
    Prober(properties::MakeEngine make, Given given);

    Given const& given() const { return given_; }
    std::vector<Verb> const& verbs() const { return verbs_; }
    bool offers(Verb verb) const;

    /// A fresh engine.
    std::unique_ptr<properties::AnyEngine> engine() const { return make_(); }
    properties::Tokens tokens(std::size_t layer, Rows const& rows) const;
    /// Stores rows in sequence 0 by whichever verb there is.
    bool store(properties::AnyEngine& engine, std::size_t layer, Rows const& rows);
    /// The same of rows that are filled in already.
    bool store(properties::AnyEngine& engine, properties::Tokens stored,
               properties::SequenceId sequence = 0);
    /// What the newest token's query is answered over rows that are stored in sequence 0.
    Output ask(properties::AnyEngine& engine, std::size_t layer, Rows const& rows);
    /// The same on a fresh engine, rows stored first.
    Output answer(std::size_t layer, Rows const& rows);
    /// One sequence, read back.
    std::optional<properties::Content> content(properties::AnyEngine& engine,
                                               properties::SequenceId sequence = 0);
    /// The most significant bits that an output of this layer has had so far.
    unsigned shownBits(std::size_t layer) const { return shownBits_[layer]; }
    /// Why the last of these calls gave nothing.
    std::string const& why() const { return why_; }

   private:
    bool accept(properties::Answer const& answer);
    Output of(std::size_t layer, properties::Outputs const& outputs, std::size_t rows);
    properties::Tokens queriesOf(std::size_t layer, Rows const& rows) const;

    properties::MakeEngine make_;
    Given given_;
    std::vector<Verb> verbs_;
    std::vector<unsigned> shownBits_;
    std::string why_;
};

/// "refused: ", and why the last call gave nothing.
std::string refusal(Prober const& prober);
/// IEEE 754-2019, table 3.5: outputs show no more.
inline constexpr int floatBits = 24;
/// Bits of a number from the first one that is set to the last; 0 for those that are not normal.
unsigned bitsOf(float x);
/// Whether two answers have the same bits.
bool isSame(std::vector<float> const& a, std::vector<float> const& b);

/// Pairs of components that mix, and components that change at all.
struct Mixing {
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    std::vector<bool> moved;
    bool isStill() const { return std::ranges::find(moved, true) == moved.end(); }
    std::size_t last() const {
        std::size_t last = 0;
        for (std::size_t d = 0; d < moved.size(); ++d)
            if (moved[d])
                last = d;
        return last;
    }
};

/// Which layouts pair components like this, and over how many of them.
struct Explained {
    SeenLayout layout;
    std::size_t rotaryDim = 0;
};
/// Nothing where no layout does, or where components change and none mixes.
std::optional<Explained> explained(Mixing const& mixing);
/// "0-4 1-5", or none.
std::string pairsOf(Mixing const& mixing);
/// Why a layout is unknown as long as no angle was seen.
inline constexpr char const* noAngle =
    "no key is read back turned, and attention shows no angle between two keys";

/// Rows 1, the newest, and 0: the smallest state in which weights can be seen.
struct Pair {
    std::size_t lane = 0;   ///< of the keys: one that does not rotate, if there is one
    double turned = 1;      ///< what turning adds to the product of two components: c c + s s
    bool isTurned = false;
};

/// What rows show: verbs, positions, storage, rotation.
void probeRows(Prober& prober, Seen& seen);
/// What attention shows without a word on sizes of weights: masks, heads, raw keys.
void probeAttention(Prober& prober, std::size_t layer, SeenLayer& seen);
/// What roundings show: how many bits each stage keeps.
void probeNumerics(Prober& prober, std::size_t layer, SeenLayer& seen);
/// What roundings show of the form of the softmax.
void probeForms(Prober& prober, std::size_t layer, SeenLayer& seen);
/// What ratios of weights show: biases and the scale.
void probeScores(Prober& prober, std::size_t layer, SeenLayer& seen);

/// What was seen of one layer, in the words of Numerics: one finding for each field that a probe
/// asks for, in their order.
std::vector<Finding> numericsFindings(std::string const& at, Numerics const& declared,
                                      SeenNumerics const& seen);
/// A finding for every other field of Numerics, with the reason that it is unknown.
std::vector<Finding> unseenNumerics();
/// The record, as it stands where it allows what was seen.
Numerics proposedNumerics(Numerics declared, SeenNumerics const& seen);
/// Names of the presets that promise no more than was seen of this layer.
std::vector<std::string> presetsFor(SeenNumerics const& seen);

/// The keys that rows 0 and 1 of two can be given so that rotation plays no part.
Pair pairOf(SeenLayer const& seen, LayerSizes const& sizes);
/// The rows of a pair: the newest key has a one on the lane, the older is zero. `value` is 1 in the
/// row of that index and 0 in the other, the query is `amplitude` on the lane.
Rows pairRows(Pair const& pair, std::size_t valuedRow, float amplitude);
/// ln of the newest row's weight over the older one's, per query head; nothing where a weight
/// vanishes or there is no answer.
std::optional<std::vector<double>> logRatios(Prober& prober, std::size_t layer, Pair const& pair,
                                             float amplitude);
/// An amplitude at which these ratios, less those at 0, are at least four nats for head 0; negative
/// where the scale is, so that the newest row gains.
std::optional<float> amplitudeFor(Prober& prober, std::size_t layer, Pair const& pair);
/// Whether rows 0 and 1 of two weigh the same for a query of zeros, for which no bias may be seen.
bool weighsEqually(Prober& prober, std::size_t layer);
inline constexpr char const* notEqual = "a query of zeros does not weigh two rows the same";
/// The probes of weights need two rows that a query sees, one of them its own.
inline constexpr char const* onePairOnly =
    "a query does not see two rows of which the newest is its own";

}  // namespace kv::oracle::inference

// verify_parts: what the checks of a recording share.
//
// A recording is walked update by update, and in each update layer by layer. What the layer was
// given so far stands in a History; one update of one layer is a Visit; what a law has to say at
// one place is a Finding, and the Ledger adds findings up into the report. The checks themselves
// are three: rows that move (verify_rows.cpp), rows that turn (verify_rotation.cpp), outputs that
// are computed (verify_attention.cpp).
//
// Not said here: anything that a user of verify.hpp needs.
#pragma once
#include "oracle/verify.hpp"
#include "properties/lift.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv::oracle::detail {

/// [heads][dim] of one token, or planes of a rotary row. Empty: not known.
using Row = std::vector<float>;

/// Rows of many tokens, oldest first.
struct RowTable {
    properties::RowShape shape;
    std::vector<Row> rows;
    /// Whether none of the rows first .. last - 1 is unknown.
    bool knows(std::size_t first, std::size_t last) const;
};

/// What one layer of one sequence was given, row i by token i.
struct History {
    RowTable stored;         ///< keys as its cache holds them
    RowTable raw, turned;    ///< keys before and after their rotation
    RowTable values;
    RowTable queries;        ///< after their rotation
    RowTable rawQueries;
    RowTable outputs;
    RowTable cosine, sine;   ///< [1][planes]
    std::vector<properties::LiftedHeads> liftedKeys, liftedValues;  ///< empty heads: not known
    bool explainedKeys = false, explainedValues = false;  ///< one digest was searched already
    bool isPuzzling = false;  ///< a wrong output was searched, and no accident explains it
};

/// One update in one layer.
struct Visit {
    RecordingFile const& recording;
    SafeTensors const& tensors;
    std::size_t update = 0;  ///< index in recording.updates
    std::size_t layer = 0;   ///< index in declaration.layers
    std::size_t first = 0;   ///< rows of the sequence before this update

    RecordingFile::Update const& line() const { return recording.updates[update]; }
    LayerTensors const& named() const { return line().layers[layer]; }
    LayerDeclaration const& declared() const { return recording.declaration.layers[layer]; }
    Numerics const& numerics() const { return recording.declaration.numericsOf(layer); }
    std::size_t total() const { return first + line().count; }
    properties::RowShape keyShape() const { return {declared().kvHeads, declared().keyDim}; }
    properties::RowShape valueShape() const { return {declared().kvHeads, declared().valueDim}; }
    properties::RowShape queryShape() const { return {declared().queryHeads, declared().keyDim}; }
    properties::RowShape outputShape() const {
        return {declared().queryHeads, declared().valueDim};
    }
    /// A place in this update and layer; row, head and component are added by the caller.
    RecordedPlace place(std::string tensor) const;
    /// The rows of a tensor, or nothing where it is not named.
    std::optional<RowTable> rows(LayerTensors::Name const& name,
                                 properties::RowShape shape) const;
};

/// What a law says at one place: that something is missing, that it broke, or that it held.
struct Finding {
    std::vector<std::string> missing;
    std::optional<RecordedViolation> violation;
};

/// Adds findings up.
class Ledger {
   public:
    explicit Ledger(VerifyReport& report) : report_(report) {}
    void add(std::string_view law, Finding const& finding);
    void note(std::string_view law, std::string text);
    /// Nothing was wrong, but nothing was shown either.
    void vacuous(std::string_view law, std::string why);
    void countBitwise(std::size_t numbers) { report_.bitwise += numbers; }
    void countInterval(std::size_t numbers) { report_.interval += numbers; }

   private:
    VerifiedLaw& lawOf(std::string_view name);
    VerifyReport& report_;
};

/// Checks the rows that the cache returned, and adds this update's rows to the history first.
/// appendKV_length, appendKV_last_key, appendKV_last_value, appendKV_prefix.
void checkRows(Visit const& visit, History& history, Ledger& ledger);

/// What factor * cos and factor * sin of position times frequency may be, for each position and
/// plane.
struct Angles {
    std::vector<std::vector<Enclosure>> cosine, sine;  ///< [positions][planes]
};
/// Sine and cosine err by as many units in the last place as the declaration gives to exp.
Angles anglesOf(std::span<float const> frequencies, double factor, std::size_t positions,
                Numerics const& numerics);

/// Checks that the rotary rows are those of their positions, and of no other that the recording
/// reaches: position_append_is_next. `angles` is empty where the layer has no frequencies.
void checkPositions(Visit const& visit, History& history, std::optional<Angles> const& angles,
                    Ledger& ledger);
/// Checks that keys and queries are turned by those rows, or by none where the layer does not
/// rotate: position_storage_agrees.
void checkRotation(Visit const& visit, History& history, Ledger& ledger);

/// The widest interval of one query head, and the outputs that it is compared with.
struct HeadWidth {
    double squares = 0, outputs = 0;
    double radius[2] = {0, 0};  ///< of prefill and of append
    RecordedPlace place[2];
    bool seen[2] = {false, false};
};
/// Checks the outputs: decodeWithCache_eq_fullAttention, prefill_eq_appends, fullAttention_causal,
/// heads_gqa_eq_repeated where heads share, window_eq_masked_full where a window hides a row.
/// `widths` has one entry per query head.
void checkAttention(Visit const& visit, History& history, std::vector<HeadWidth>& widths,
                    Ledger& ledger);

/// Whether two floats are the same 32 bits.
bool sameBits(float a, float b);
bool sameBits(std::span<float const> a, std::span<float const> b);
std::size_t differentBits(std::span<float const> a, std::span<float const> b);
/// "0.25 (0x3e800000)"
std::string bitsText(float x);

/// Where two rows differ first.
struct Difference {
    std::size_t head = 0, component = 0;
    float got = 0, want = 0;
};
std::optional<Difference> firstDifference(Row const& got, Row const& want,
                                          properties::RowShape shape);

}  // namespace kv::oracle::detail

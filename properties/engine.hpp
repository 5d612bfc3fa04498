// engine: what a cache engine must offer to be judged.
//
// An adapter derives from AnyEngine, fills in a Declaration (spec/numerics.hpp) and overrides the
// verbs its engine has. A verb answers "accepted" or "refused, because ..."; a refusal must leave
// the engine as it was. Every verb that is not overridden is refused as not offered.
//
// All rows are f32, dense, in the order [token][head][component]. Keys and queries are handed over
// raw: the engine rotates them by its own table, at the position it gives to the token. A sequence
// starts empty at position 0; each stored token takes the next position; dropping rows frees none.
#pragma once
#include "spec/numerics.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kv::properties {

using SequenceId = std::size_t;

/// The rows of `count` tokens in one layer. `queries` is empty where a verb takes none.
struct LayerRows {
    std::vector<float> keys;     ///< [count][kvHeads][keyDim], before rotation
    std::vector<float> values;   ///< [count][kvHeads][valueDim]
    std::vector<float> queries;  ///< [count][queryHeads][keyDim], before rotation
    friend bool operator==(LayerRows const&, LayerRows const&) = default;
};

/// The rows of `count` tokens in every layer.
struct Tokens {
    std::size_t count = 0;
    std::vector<LayerRows> layers;
    friend bool operator==(Tokens const&, Tokens const&) = default;
};

/// What one row of a batch brings: the next tokens of a sequence. None: the row is inactive.
struct BatchTokens {
    SequenceId sequence = 0;
    Tokens tokens;
};

/// Attention outputs per layer, [count][queryHeads][valueDim].
using Outputs = std::vector<std::vector<float>>;

/// Codes as they are stored (spec/quantize.hpp), of an engine that shows them; else all is empty.
struct StoredCodes {
    std::vector<std::int32_t> codes{};    ///< [rows][kvHeads][dim]; integers, or bits of a format
    std::vector<std::uint32_t> scales{};  ///< [rows][groups], bits of the scale's format
    std::vector<std::int32_t> zeros{};    ///< [rows][groups], the code of 0, of codecs that have it
    friend bool operator==(StoredCodes const&, StoredCodes const&) = default;
};

/// What one layer holds of one sequence, oldest row first. The floats are what attention reads: the
/// row as it was stored, dequantised where the declared format is not f32.
struct LayerContent {
    std::vector<std::int64_t> positions;  ///< one per row the layer still holds, ascending
    std::vector<float> keys;              ///< [rows][kvHeads][keyDim]
    std::vector<float> values;            ///< [rows][kvHeads][valueDim]
    StoredCodes keyCodes{}, valueCodes{};
    friend bool operator==(LayerContent const&, LayerContent const&) = default;
};

/// What a read-back of one sequence gives. A layer that declares `retained` may hold fewer rows
/// than `length`; it must hold those that its window and its sinks still show.
struct Content {
    std::size_t length = 0;          ///< rows of the sequence
    std::int64_t nextPosition = 0;   ///< position of the token that would be appended next
    std::vector<LayerContent> layers;
    friend bool operator==(Content const&, Content const&) = default;
};

/// `count` rows from index `first`; index 0 is the oldest row that is still there.
struct RowRange {
    std::size_t first = 0;
    std::size_t count = 0;
};

/// Accepted, or refused with a sentence.
class [[nodiscard]] Answer {
   public:
    static Answer accepted() { return {}; }
    static Answer refused(std::string why) {
        Answer answer;
        answer.why_ = std::move(why);
        return answer;
    }
    explicit operator bool() const { return !why_; }
    std::string const& why() const { return *why_; }

   private:
    std::optional<std::string> why_;
};

class AnyEngine {
   public:
    virtual ~AnyEngine() = default;
    virtual Declaration const& declaration() const = 0;

    /// Stores the tokens behind the last row of the sequence.
    virtual Answer append(SequenceId, Tokens const&) { return notOffered(); }
    /// Stores the tokens and answers each query as if its own token were the newest.
    virtual Answer prefill(SequenceId, Tokens const&, Outputs&) { return notOffered(); }
    /// Prefills every item of a batch, all of them or none; no two name the same sequence. There is
    /// room in `outputs` for one of each item; that of an inactive one stays empty.
    virtual Answer step([[maybe_unused]] std::vector<BatchTokens> const& items,
                        [[maybe_unused]] std::vector<Outputs>& outputs) {
        return notOffered();
    }
    /// Answers one query per layer (tokens.count = 1, queries only) at the newest row's position.
    virtual Answer attend(SequenceId, Tokens const&, Outputs&) { return notOffered(); }
    /// Reads the sequence back without changing it.
    virtual Answer observe(SequenceId, Content&) { return notOffered(); }
    /// Forgets the newest rows until `length` are left; the next position goes back to that of the
    /// first row that is forgotten.
    virtual Answer rollback(SequenceId, [[maybe_unused]] std::size_t length) {
        return notOffered();
    }
    /// Makes the empty sequence `to` equal to `from`; both continue independently.
    virtual Answer fork([[maybe_unused]] SequenceId from, [[maybe_unused]] SequenceId to) {
        return notOffered();
    }
    /// Forgets the `count` oldest rows; the others keep their positions.
    virtual Answer evict(SequenceId, [[maybe_unused]] std::size_t count) { return notOffered(); }
    /// Forgets these rows; the others keep their positions, and so does the next token.
    virtual Answer remove(SequenceId, RowRange) { return notOffered(); }
    /// Adds `delta` to every position of the sequence and re-rotates what was stored rotated.
    virtual Answer shift(SequenceId, [[maybe_unused]] std::int64_t delta) { return notOffered(); }
    /// Makes every sequence s equal to what sequence parents[s] was; all continue independently.
    /// There is one parent for each sequence.
    virtual Answer reorder([[maybe_unused]] std::vector<SequenceId> const& parents) {
        return notOffered();
    }
    /// Makes a copy of the sequence outside of the cache, in place of the last one of it. There is
    /// room for one of each.
    virtual Answer save(SequenceId) { return notOffered(); }
    /// Makes the empty sequence `to`, which may be `from`, equal to what was last saved of `from`,
    /// whatever has become of it since. The copy stays; a reset does not empty it either. Where
    /// nothing was saved, it refuses.
    virtual Answer restore([[maybe_unused]] SequenceId from, [[maybe_unused]] SequenceId to) {
        return notOffered();
    }
    /// Empties one sequence: length 0, next position 0.
    virtual Answer release(SequenceId) { return notOffered(); }
    /// Empties every sequence but one, which stays as it is.
    virtual Answer keep(SequenceId) { return notOffered(); }
    /// Empties every sequence.
    virtual Answer reset() { return notOffered(); }

   protected:
    static Answer notOffered() { return Answer::refused("not offered"); }
};

}  // namespace kv::properties

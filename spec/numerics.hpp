// numerics: declare what an engine is, so that nobody has to tune what it may do.
//
// A verdict needs two things from an engine that no test can guess: what it promises to compute
// (its shape, its masks, its positions) and how exactly (its formats and roundings). Both stand in
// one record, written by whoever knows the engine. Every bound the oracle uses is derived from it,
// and "violates" always means "violates this declaration".
//
//     Declaration = engine, sequences, capacity, verbs, layers[L], numerics, promises, pool
//
// Only the fields that something reads are here. Each says its unit, its conservative default and
// its effect.
//
// Not said here: the fields of numerics (arithmetic.hpp), promises and pools (promises.hpp), what
// the fields mean for a result (attention.hpp, position.hpp, window.hpp), how a bound follows from
// them (enclosure.hpp), how a row becomes codes (codec.hpp, storage.hpp).
#pragma once
#include "arithmetic.hpp"
#include "promises.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace kv {

/// Which components of a head form one rotation plane. Rotary embedding: Su et al., RoFormer,
/// arXiv 2104.09864, section 3.4.2.
enum class RotaryLayout : std::uint8_t {
    none,         ///< no rotary embedding
    halfSplit,    ///< plane i is (x[i], x[i + R/2]); GPT-NeoX, Llama in transformers
    interleaved,  ///< plane i is (x[2i], x[2i + 1]); GPT-J, RoFormer, llama2.c
};

/// Whether a key enters the cache before or after its rotation.
enum class KeyStorage : std::uint8_t { rotated, raw };

/// In which format rows are stored: the codec of that name in codec.hpp.
enum class StoredAs : std::uint8_t {
    f32,  ///< as they are given, bit for bit
    f16, bf16, e4m3, e5m2, e4m3fnuz, int8PerToken, int8PerTokenHead, int8PerChannel, q8_0, q8_0Avx,
    q8_0Neon, q4_0, mxfp4, mxfp8e4m3, mxfp8e5m2, nvfp4, int4ZeroPoint
};
/// What the codec takes for one row: one kv head of one token, or all of them, one behind another.
enum class CodecRow : std::uint8_t { head, token };
/// To which format a reader rounds what was stored, once.
enum class ReadAs : std::uint8_t { f32, f16, bf16 };

/// An orthogonal matrix that turns a codec row before it is quantised; reading multiplies by its
/// transpose, and nobody checks that this undoes it (orthogonal.hpp). Engines that turn queries
/// too, and undo nothing, read back other rows: ggml_gen_hadamard in llama.cpp,
/// src/llama-kv-cache.cpp, is not declared so.
struct StoredRotation {
    BOOST_HANA_DEFINE_STRUCT(
        StoredRotation,
        (std::size_t, size),            // elements that are turned together; 0: nothing turns
        (int, down),                    // Hadamard: the factor is 2^-down; with a matrix 0
        (std::vector<float>, matrix));  // [size][size] by rows; empty: the Hadamard matrix
    friend bool operator==(StoredRotation const&, StoredRotation const&) = default;
};

/// How keys, or values, are stored (storage.hpp). What is left empty is f32, as given.
struct StoredFormat {
    BOOST_HANA_DEFINE_STRUCT(
        StoredFormat,
        (StoredAs, codec),             //
        (CodecRow, row),               // where one scale serves a whole row, this says which row
        (ReadAs, into),                //
        (std::vector<float>, scales),  // [codec rows of a token][groups], where a codec takes them
        (std::optional<float>, tensorScale),  // where a codec has one; nothing: 1
        (StoredRotation, rotation));   // before the codec
    friend bool operator==(StoredFormat const&, StoredFormat const&) = default;
};

/// What one layer of the model asks of its cache. All sizes are counts of elements or of rows.
struct LayerDeclaration {
    BOOST_HANA_DEFINE_STRUCT(
        LayerDeclaration,
        (std::size_t, queryHeads),        // H, a multiple of kvHeads
        (std::size_t, kvHeads),           // G
        (std::size_t, keyDim),            // components of one key or query head
        (std::size_t, valueDim),          // components of one value head
        (double, scale),                  // factor of every score; 1/sqrt(keyDim) in most models
        (std::size_t, window),            // keys one query sees, itself included; 0: all of them
        (std::size_t, sinks),             // first tokens that stay visible behind the window
        (std::size_t, retained),          // live rows it keeps, sinks not counted; 0: all
        (KeyStorage, keyStorage),         // rotated: re-rotated by a shift; raw: rotated when read
        (RotaryLayout, rotaryLayout),     //
        (std::size_t, rotaryDim),         // leading components that rotate; even, at most keyDim
        (std::vector<float>, cosine),     // [positions][rotaryDim / 2], the engine's own table
        (std::vector<float>, sine),       // same shape
        (std::vector<float>, slopes),     // ALiBi, one per query head; empty: no bias
        (StoredFormat, keyFormat),        // of a key as it is stored: turned first, if `rotated`
        (StoredFormat, valueFormat),      //
        (StoredFormat, queryFormat),      // into which a turned query is converted before it meets
                                          // a key, unscaled; f32: it is asked as given
        (std::optional<Numerics>, numerics),  // where this layer computes in its own way
        (std::optional<std::vector<float>>, sinkLogits),  // one per query head (sink.hpp):
                                                          // as a score is, after its scale
        (std::optional<std::size_t>, chunk));  // positions of one chunk: a query sees its own only
    friend bool operator==(LayerDeclaration const&, LayerDeclaration const&) = default;
};

/// The verbs of the interface, spelled as in traces.
enum class Verb : std::uint8_t {
    append, prefill, step, attend, observe, rollback, fork, evict, remove, shift, reorder, save,
    restore, release, keep, reset
};
inline constexpr Verb everyVerb[] = {Verb::append,   Verb::prefill, Verb::step,    Verb::attend,
                                     Verb::observe,  Verb::rollback, Verb::fork,   Verb::evict,
                                     Verb::remove,   Verb::shift,   Verb::reorder, Verb::save,
                                     Verb::restore,  Verb::release, Verb::keep,    Verb::reset};

/// The whole record.
struct Declaration {
    BOOST_HANA_DEFINE_STRUCT(
        Declaration,
        (std::string, engine),                       // its name in verdicts
        (std::size_t, sequences),                    // ids 0 .. sequences-1, all empty at first
        (std::size_t, capacity),                     // rows one sequence can hold
        (std::vector<Verb>, verbs),                  // offered; others are reported not reachable
        (std::vector<LayerDeclaration>, layers),     //
        (Numerics, numerics),                        // of every layer that names no other
        (std::optional<Promises>, promises),         //
        (std::optional<Pool>, pool));                // nothing: each sequence has its own room
    friend bool operator==(Declaration const&, Declaration const&) = default;

    /// How layer l computes. The declaration must outlive the result.
    Numerics const& numericsOf(std::size_t l) const {
        return layers[l].numerics ? *layers[l].numerics : numerics;
    }
    /// What is promised; nothing, where nothing is said.
    Promises promised() const { return promises.value_or(Promises{}); }
};

}  // namespace kv

// numerics: declare what an engine is, so that nobody has to tune what it may do.
//
// A verdict needs two things from an engine that no test can guess: what it promises to compute
// (its shape, its masks, its positions) and how exactly (its formats and roundings). Both stand in
// one record, written by whoever knows the engine. Every bound the oracle uses is derived from it,
// and "violates" always means "violates this declaration".
//
//     Declaration = engine, sequences, capacity, verbs, layers[L], numerics
//
// Only the fields that something reads are here. Each says its unit, its conservative default and
// its effect.
//
// Not said here: what the fields mean for a result (attention.hpp, position.hpp, window.hpp), how a
// bound follows from them (enclosure.hpp).
#pragma once
#include <boost/hana.hpp>

#include <cstddef>
#include <cstdint>
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

/// How an engine evaluates the rotation of one plane.
enum class RotationRounding : std::uint8_t {
    asWritten,  ///< two products and one sum, each rounded: keys are compared bit for bit
    contracted  ///< may fuse a product into the sum: keys are compared with an interval
};

/// How an engine computes the exponential of a score s below the maximum m.
enum class ExponentForm : std::uint8_t {
    subtracted,  ///< exp(s - m): the exponent of the largest score is 0
    fused        ///< exp2(fma(s, log2(e), -(m log2(e)))): rounding the product m log2(e) stays
};

/// How an engine joins the means of parts of the keys (split KV, ring attention).
enum class PartMerge : std::uint8_t {
    weights,   ///< as (m, l, acc): sums that are normalised once, at the end; or no parts at all
    logSumExp  ///< as (mean, m + log l): each part is normalised, then weighed by its log-sum-exp
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
        (std::size_t, retained),          // rows the layer keeps, sinks not counted; 0: all
        (KeyStorage, keyStorage),         // rotated: re-rotated by a shift; raw: rotated when read
        (RotaryLayout, rotaryLayout),     //
        (std::size_t, rotaryDim),         // leading components that rotate; even, at most keyDim
        (std::vector<float>, cosine),     // [positions][rotaryDim / 2], the engine's own table
        (std::vector<float>, sine),       // same shape
        (std::vector<float>, slopes));    // ALiBi, one per query head; empty: no bias
    friend bool operator==(LayerDeclaration const&, LayerDeclaration const&) = default;
};

/// How the engine computes. The defaults are those of the least that an f32 engine may promise;
/// each field names the rule of enclosure.hpp that reads it.
struct Numerics {
    BOOST_HANA_DEFINE_STRUCT(
        Numerics,
        (unsigned, significandBits),       // p of storage and accumulation; u = 2^-p (R1)
        (int, minExponent),                // 2^minExponent is the smallest normal number (R1)
        (int, maxExponent),                // values stay below 2^maxExponent (R17)
        (unsigned, scoreRoundings),        // roundings of a score besides its dot product (R6)
        (unsigned, expUlps),               // error of exp in units of the last place (R10)
        (int, expFlushExponent),           // exp below 2^this may be flushed to zero (R10)
        (unsigned, normRoundings),         // roundings of the final division (R15)
        (RotationRounding, rotation),      //
        (ExponentForm, exponent),          // fused: a largest score other than 0 is inexact (R8)
        (PartMerge, merge),                // logSumExp: a mean over several keys is inexact (R9)
        (unsigned, parts));                // most parts merged by logSumExp, in any order (R9)
    friend bool operator==(Numerics const&, Numerics const&) = default;
};

/// Storage and accumulation in f32, summation in any order, every declared count conservative.
/// IEEE 754-2019 table 3.5 for the format; 4 ulp covers each exp variant measured so far. An engine
/// that subtracts the maximum, or does not merge by log-sum-exp, may declare it and is held to it.
inline constexpr Numerics numericsF32{.significandBits = 24,
                                      .minExponent = -126,
                                      .maxExponent = 128,
                                      .scoreRoundings = 6,
                                      .expUlps = 4,
                                      .expFlushExponent = -125,
                                      .normRoundings = 3,
                                      .rotation = RotationRounding::asWritten,
                                      .exponent = ExponentForm::fused,
                                      .merge = PartMerge::logSumExp,
                                      .parts = 16};

/// The same for an engine that computes exp(s - m) and normalises once.
inline constexpr Numerics numericsF32Plain = [] {
    Numerics n = numericsF32;
    n.exponent = ExponentForm::subtracted;
    n.merge = PartMerge::weights;
    n.parts = 1;
    return n;
}();

/// The verbs of the interface, spelled as in traces.
enum class Verb : std::uint8_t {
    append, prefill, attend, observe, rollback, fork, evict, shift, release, reset
};
inline constexpr Verb everyVerb[] = {Verb::append, Verb::prefill, Verb::attend,  Verb::observe,
                                     Verb::rollback, Verb::fork,  Verb::evict,   Verb::shift,
                                     Verb::release,  Verb::reset};

/// The whole record.
struct Declaration {
    BOOST_HANA_DEFINE_STRUCT(
        Declaration,
        (std::string, engine),                       // its name in verdicts
        (std::size_t, sequences),                    // ids 0 .. sequences-1, all empty at first
        (std::size_t, capacity),                     // rows one sequence can hold
        (std::vector<Verb>, verbs),                  // offered; others are reported not reachable
        (std::vector<LayerDeclaration>, layers),     //
        (Numerics, numerics));                       //
    friend bool operator==(Declaration const&, Declaration const&) = default;
};

}  // namespace kv

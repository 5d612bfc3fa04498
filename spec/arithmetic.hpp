// arithmetic: declare how exactly an engine computes.
//
// An engine may add in any order, keep its sums in sixteen bits, or round the weights before they
// meet the values; all of that is right, if it is what the engine promises. So it promises, field
// by field, and every bound is derived from the promise. Where numericsF32 is loose (summation, the
// exponential's form, merges, flushing) not knowing costs width only; precisions, rounding, tensor
// cores, the turning of keys, the error of exp and the number of parts have to be known.
//
//     score    = dot(q, k) in `compute`, q rounded to `query`, the score to `scores`
//     weight   = exp(score - max) in `compute`, rounded to `weights`
//     output   = sum(weight value) in `accumulate` / sum(weight) in `compute`, rounded to `output`
//
// Three levels: formats alone (any order of summation); also how sums are divided into blocks, so
// that a term meets fewer additions (R3); also the schedule, keyOrder ascending, so that the
// rounding of each weight is replayed (R14). Conversions between formats round to nearest, ties to
// even (IEEE 754-2019, section 4.3.1).
//
// Each field names the rule of rounding.hpp or softmax_*.hpp that reads it. Not said here: what is
// computed (attention.hpp), presets for real engines (presets.hpp).
#pragma once
#include <boost/hana.hpp>

#include <cstdint>

namespace kv {

/// The numbers a format holds: p significant bits, normal from 2^minExponent, below 2^maxExponent.
struct Precision {
    BOOST_HANA_DEFINE_STRUCT(Precision, (unsigned, significandBits), (int, minExponent),
                             (int, maxExponent));
    friend constexpr bool operator==(Precision const&, Precision const&) = default;
};

/// IEEE 754-2019, table 3.5; bf16 is the upper half of an f32.
namespace precisions {
inline constexpr Precision f64{53, -1022, 1024}, f32{24, -126, 128}, f16{11, -14, 16},
    bf16{8, -126, 128};
}

/// Of every product, sum and fused multiply-add. Conversions round to nearest.
enum class OperationRounding : std::uint8_t {
    nearest,    ///< u = 2^-p
    towardZero  ///< u = 2^(1-p): sums of tensor cores
};

/// Whether numbers below the normal ones survive.
enum class Subnormals : std::uint8_t { flushed, kept };

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

/// In which order an engine meets the keys that a query sees. Ascending, by position: in blocks of
/// keyBlock from the first of them on, each of which moves the one running maximum before its own
/// weights are taken below it and rounded; the sums are divided at the end.
enum class KeyOrder : std::uint8_t { any, ascending };

/// Which weights an engine adds up: those that meet the values, or as they are in `compute`.
enum class WeightSum : std::uint8_t { any, rounded, unrounded };

/// How weights and weighted values of a block of keys are added: each into the sums so far, as by a
/// matrix product into its accumulator; or among themselves, and what comes of it once.
enum class BlockSum : std::uint8_t { inPlace, apart };

/// How an engine computes. Counts are of elements, roundings or units in the last place.
struct Numerics {
    BOOST_HANA_DEFINE_STRUCT(
        Numerics,
        (Precision, compute),             // of all that no other field names (R1)
        (Precision, query),               // a query, as it is given, is rounded to it (R6)
        (Precision, scores),              // a finished score is rounded to it (R6)
        (Precision, weights),             // a weight, once, before it meets a value (R14)
        (Precision, accumulate),          // sums of weighted values (R13)
        (Precision, output),              // what is handed out (R16)
        (OperationRounding, rounding),    // towardZero: twice the unit, nothing is absorbed (R1)
        (Subnormals, subnormals),         // flushed: results below the normal ones may be 0 (R1)
        (unsigned, dotBlock),             // terms a block of a dot product, or lanes; 0: any (R3)
        (unsigned, keyBlock),             // keys a move of the running maximum; 0: any (R3, R10)
        (unsigned, fmaTerms),             // products that a tensor core adds at once; or 0 (R3b)
        (unsigned, fmaBits),              // fraction bits to which it aligns and truncates (R3b)
        (unsigned, scoreRoundings),       // roundings of a score besides its dot product (R6)
        (unsigned, expUlps),              // relative error of exp, in units of 2^(1-p) (R10)
        (int, expFlushExponent),          // exp below 2^this may be flushed to zero (R10)
        (unsigned, normRoundings),        // roundings of the division; by 2^k it is exact (R15)
        (RotationRounding, rotation),     //
        (ExponentForm, exponent),         // fused: a largest score other than 0 is inexact (R8)
        (PartMerge, merge),               // logSumExp: a mean over several keys is inexact (R9)
        (unsigned, parts),                // most parts of the keys that are merged (R3, R9)
        (KeyOrder, keyOrder),             // ascending: narrower weights are replayed (R14)
        (WeightSum, weightSum),           // only read there (R14)
        (BlockSum, blockSum));            // apart: a key meets the later blocks, not keys (R3)
    friend constexpr bool operator==(Numerics const&, Numerics const&) = default;
};

/// The same precision at every place.
constexpr Numerics everywhere(Precision const& p, Numerics n) {
    n.compute = n.query = n.scores = n.weights = n.accumulate = n.output = p;
    return n;
}

/// The least that an engine of f32 may promise. 4 ulp covers each exp variant measured so far. An
/// engine that knows more about itself may declare it, and is held to it.
inline constexpr Numerics numericsF32{.compute = precisions::f32,
                                      .query = precisions::f32,
                                      .scores = precisions::f32,
                                      .weights = precisions::f32,
                                      .accumulate = precisions::f32,
                                      .output = precisions::f32,
                                      .rounding = OperationRounding::nearest,
                                      .subnormals = Subnormals::flushed,
                                      .dotBlock = 0,
                                      .keyBlock = 0,
                                      .fmaTerms = 0,
                                      .fmaBits = 0,
                                      .scoreRoundings = 6,
                                      .expUlps = 4,
                                      .expFlushExponent = -125,
                                      .normRoundings = 3,
                                      .rotation = RotationRounding::asWritten,
                                      .exponent = ExponentForm::fused,
                                      .merge = PartMerge::logSumExp,
                                      .parts = 16,
                                      .keyOrder = KeyOrder::any,
                                      .weightSum = WeightSum::any,
                                      .blockSum = BlockSum::inPlace};

/// The same for an engine that computes exp(s - m) and normalises once.
inline constexpr Numerics numericsF32Plain = [] {
    Numerics n = numericsF32;
    n.exponent = ExponentForm::subtracted;
    n.merge = PartMerge::weights;
    n.parts = 1;
    return n;
}();

}  // namespace kv

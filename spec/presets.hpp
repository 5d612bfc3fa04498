// presets: the declarations of paths that real engines take.
//
// Few people know by heart how an attention kernel rounds. These are the declarations of paths as
// the named files have them, to start from: at level 0 the formats, at level 1 also the blocks in
// which sums are made. A preset promises no more than the named file shows; what the file leaves to
// a compiler, a BLAS or a tensor core is left open here too.
//
// No attention kernel shows how keys were turned, so that is left open (`contracted`). ggml adds
// products of f16 in f16 on some ARM machines: hence x86 in the name.
//
// Whoever knows the engine better declares more, and is held to it. A preset that does not describe
// the engine convicts it: that is a finding about the declaration.
//
// A preset that converts queries otherwise than by a rounding of `query` names the codec: a layer
// declares it as queryFormat, beside the preset.
//
// Not said here: what the fields mean (arithmetic.hpp), shapes and masks (numerics.hpp).
#pragma once
#include "numerics.hpp"

#include <string_view>

namespace kv {

struct Preset {
    std::string_view name;      ///< library.path.format
    unsigned level;             ///< 0: formats; 1: blocks too
    std::string_view upstream;  ///< the file that justifies it
    std::string_view says;      ///< what that file shows
    Numerics numerics;
    StoredAs query = StoredAs::f32;  ///< what such a layer declares as queryFormat
};

namespace detail {
inline constexpr Numerics openTurns = [] {
    Numerics n = numericsF32Plain;
    n.rotation = RotationRounding::contracted;
    return n;
}();
/// f32 inside; weights as they meet the values, and outputs, in other precisions.
constexpr Numerics rounding(Precision const& weights, Precision const& output) {
    Numerics n = openTurns;
    n.weights = weights;
    n.output = output;
    return n;
}
/// torch: a cubic exponential, 788 units of 2^-23 over all f32 in [-87, -2^-30], 1 at 0, flushed
/// below 2^-126; keys in blocks of 512, weights summed before they are rounded.
constexpr Numerics torchFlash(Precision const& weights, Precision const& output) {
    Numerics n = rounding(weights, output);
    n.expUlps = 1024;
    n.keyBlock = 512;
    return n;
}
/// ggml: the query in the precision of the keys, scores scaled after the dot product, one key after
/// the other.
constexpr Numerics ggmlFlash(Precision const& query, Precision const& accumulate) {
    Numerics n = openTurns;
    n.query = query;
    n.accumulate = accumulate;
    return n;
}
/// Tensor cores: products of 16 bits are exact, sums may be truncated, the exponent is fused.
constexpr Numerics tensorCores(Precision const& stored) {
    Numerics n = rounding(stored, stored);
    n.rounding = OperationRounding::towardZero;
    n.exponent = ExponentForm::fused;
    n.merge = PartMerge::logSumExp;
    n.parts = 16;
    return n;
}
}  // namespace detail

inline constexpr Preset everyPreset[] = {
    {"torch.sdpa_math.f32", 0, "aten/src/ATen/native/transformers/attention.cpp",
     "the root of the scale on query and key, two matrix products around a softmax",
     detail::openTurns},
    {"torch.sdpa_math.bf16", 0, "aten/src/ATen/native/transformers/attention.cpp",
     "computes in f32 and converts its result",
     detail::rounding(precisions::f32, precisions::bf16)},
    {"torch.flash_cpu.f32", 1, "aten/src/ATen/native/cpu/FlashAttentionKernel.cpp",
     "exp_u20 below the running maximum of blocks of 512 keys",
     detail::torchFlash(precisions::f32, precisions::f32)},
    {"torch.flash_cpu.bf16", 1, "aten/src/ATen/native/cpu/FlashAttentionKernel.cpp",
     "the same; weights stored as bf16; both products return f32, as those of MKL do",
     detail::torchFlash(precisions::bf16, precisions::bf16)},
    {"ggml.flash_attn_ext_x86.f16", 0, "ggml/src/ggml-cpu/ops.cpp",
     "query converted to f16, scores in f32, values of type f16 accumulated in f16, key by key",
     detail::ggmlFlash(precisions::f16, precisions::f16)},
    {"ggml.flash_attn_ext_x86.f32", 0, "ggml/src/ggml-cpu/ops.cpp",
     "the same with keys and values of type f32, accumulated in f32",
     detail::ggmlFlash(precisions::f32, precisions::f32)},
    {"ggml.flash_attn_ext_x86.q8_0", 0, "ggml/src/ggml-cpu/ops.cpp",
     "q_to_vec_dot turns a query into the type that its keys are multiplied with, q8_0 for keys of "
     "q8_0, by AVX; values of q8_0 are accumulated in f32",
     detail::ggmlFlash(precisions::f32, precisions::f32), StoredAs::q8_0Avx},
    {"onnxruntime.gqa_cpu.f32", 0, "onnxruntime/contrib_ops/cpu/bert/gqa_attention_base.h",
     "scale inside the first matrix product, a softmax, a second product; f16 goes through f32",
     detail::openTurns},
    {"vllm.unified_attention.bf16", 0,
     "vllm/v1/attention/ops/triton_unified_attention.py",
     "scores and sums in f32 by tensor cores, weights cast to the values' type, parts merged",
     detail::tensorCores(precisions::bf16)},
    {"all.bf16", 0, "no single file: every intermediate is a bf16 tensor",
     "scores, weights, sums and output, each rounded to bf16",
     everywhere(precisions::bf16, detail::openTurns)}};

/// The preset of this name, or nothing.
constexpr Preset const* presetOf(std::string_view name) {
    for (auto const& preset : everyPreset)
        if (preset.name == name) return &preset;
    return nullptr;
}

static_assert(presetOf("torch.flash_cpu.bf16")->numerics.keyBlock == 512);

}  // namespace kv

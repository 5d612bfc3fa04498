// codec: declare how a row becomes codes that share scales.
//
// Few bits hold few magnitudes, so elements are stored relative to a scale: one for a row, for 16
// or 32 neighbours, or one given from outside for a column. Two engines that both say "int8" still
// differ in codes: one divides and one multiplies by a reciprocal, one rounds ties to even and one
// away, one uses the scale as stored and one as computed. So a codec is a record with all of that
// in it, and every operation it names is rounded to f32 at once, as written.
//
//     s     = its scale rule applied to the group            rounded
//     s'    = s as stored in scaleFormat, times the tensor's scale if there is one     rounded
//     t     = x / d,  x * (1 / d),  or  x * (divisor / m)    d = s or s', m = max |x|
//     code  = t rounded into the element's format, or to an integer plus zero, clamped
//     value = (code - zero) * stored scale * tensor's scale  exact, then rounded once
//
// Below is what the engines do, each with its source. What they leave undefined is refused
// (quantize.hpp). NVFP4 kernels use approximate reciprocals; declared here is the paper's formula.
//
// Checked in tests/quantize_test.cpp.
// Not said here: the arithmetic (quantize.hpp), which bytes the codes are packed into.
#pragma once
#include "orthogonal.hpp"

#include <variant>

namespace kv {

/// Codes that are integers: `lowest` to `highest`, and the code of 0.
struct Integers {
    std::int32_t lowest, highest, zero = 0;
    /// Add zero + 1/2 in f32 and truncate, instead of rounding.
    bool addsHalf = false;
};

/// Where the scale of a group comes from. In fractions, the divisor is the codec's.
enum class ScaleRule : std::uint8_t {
    none,           ///< elements are stored as they are
    given,          ///< by the caller, one for each group
    largest,        ///< max |x| / divisor
    signedLargest,  ///< x / divisor for the first x of largest magnitude
    powerOfTwo,     ///< the power of two at or below max |x|, over that of the largest element
    span            ///< (max(x, 0) - min(x, 0)) / divisor; zero is round(-min(x, 0) / s), clamped
};

/// How an element is divided by the scale.
enum class Division : std::uint8_t {
    divide,      ///< x / d
    reciprocal,  ///< x * (1 / d), or x * 0 where d is 0
    inverse      ///< x * (divisor / max |x|), or x * 0 where that maximum is 0
};

/// Which scale the codes are made with.
enum class Basis : std::uint8_t { computed, stored };

struct Codec {
    std::string_view name;
    std::variant<Format, Integers> element;
    std::size_t group = 0;                  ///< elements with one scale; 0: the row
    ScaleRule scale = ScaleRule::none;
    std::int32_t divisor = 1;
    Format scaleFormat = formats::f32;
    std::uint32_t leastScale = 0;           ///< code in f32; a computed scale is no smaller
    bool tensorScale = false;               ///< whether a second scale, in f32, is given for all
    Basis basis = Basis::stored;
    Division division = Division::divide;
    Round rounding = Round::nearestEven;    ///< of the codes; scales round to nearest even
    Orthogonal rotation{};
};

/// The same codec behind a rotation.
constexpr Codec rotatedBy(Codec codec, Orthogonal const& rotation) {
    codec.rotation = rotation;
    return codec;
}

namespace codecs {

inline constexpr Codec f16{.name = "f16", .element = formats::f16};
inline constexpr Codec bf16{.name = "bf16", .element = formats::bf16};

/// vLLM, csrc/quantization/w8a8/fp8/nvidia/quant_utils.cuh: x / scale, to nearest even, saturating.
inline constexpr Codec e4m3{.name = "e4m3", .element = saturating(formats::e4m3fn),
                            .scale = ScaleRule::given};
inline constexpr Codec e5m2{.name = "e5m2", .element = saturating(formats::e5m2),
                            .scale = ScaleRule::given};
/// The same on hardware whose fp8 is fnuz: vLLM, w8a8/fp8/amd/quant_utils.cuh.
inline constexpr Codec e4m3fnuz{.name = "e4m3fnuz", .element = saturating(formats::e4m3fnuz),
                                .scale = ScaleRule::given};

/// round(x / s) clamped to 8 bits, s = max |x| / 127: the reference in vLLM, pull request 45361.
inline constexpr Codec int8PerToken{.name = "int8PerToken", .element = Integers{-128, 127},
                                    .scale = ScaleRule::largest, .divisor = 127};
/// vLLM, v1/attention/ops/triton_reshape_and_cache_flash.py: a scale of 1e-6 or more (its f32
/// code is here), and a reciprocal. Before pull request 45361 its codes were truncated.
inline constexpr Codec int8PerTokenHead{
    .name = "int8PerTokenHead", .element = Integers{-128, 127}, .scale = ScaleRule::largest,
    .divisor = 127, .leastScale = 0x358637BD, .division = Division::reciprocal};
/// One given scale for each column: KIVI, arXiv 2402.02750, groups keys this way; the rounding is
/// that of ONNX QuantizeLinear.
inline constexpr Codec int8PerChannel{.name = "int8PerChannel", .element = Integers{-128, 127},
                                      .group = 1, .scale = ScaleRule::given};

/// ggml/src/ggml-quants.c, quantize_row_q8_0_ref: codes use the scale before it is stored.
inline constexpr Codec q8_0{
    .name = "q8_0", .element = Integers{-128, 127}, .group = 32, .scale = ScaleRule::largest,
    .divisor = 127, .scaleFormat = formats::f16, .basis = Basis::computed,
    .division = Division::reciprocal, .rounding = Round::nearestAway};
/// ggml/src/ggml-cpu/arch/x86/quants.c, quantize_row_q8_0 with AVX: other codes than the above.
inline constexpr Codec q8_0Avx{
    .name = "q8_0Avx", .element = Integers{-128, 127}, .group = 32, .scale = ScaleRule::largest,
    .divisor = 127, .scaleFormat = formats::f16, .basis = Basis::computed,
    .division = Division::inverse};
/// ggml/src/ggml-cpu/arch/arm/quants.c, quantize_row_q8_0 with NEON: ties to even instead.
inline constexpr Codec q8_0Neon = [] {
    Codec c = q8_0;
    c.name = "q8_0Neon", c.rounding = Round::nearestEven;
    return c;
}();
/// ggml/src/ggml-quants.c, quantize_row_q4_0_ref: the largest becomes -8, so the scale has a sign;
/// that of a group of zeros is -0.
inline constexpr Codec q4_0{
    .name = "q4_0", .element = Integers{0, 15, 8, true}, .group = 32,
    .scale = ScaleRule::signedLargest, .divisor = -8, .scaleFormat = formats::f16,
    .basis = Basis::computed, .division = Division::reciprocal, .rounding = Round::towardZero};

/// OCP Microscaling Formats (MX) 1.0, sections 5.2 and 6.3. An exponent below the range of e8m0 is
/// clamped, so zeros get its smallest scale, 2^-127: microxcaling, mx/mx_ops.py, does the same.
/// Not ggml's: quantize_row_mxfp4_ref breaks ties toward zero and stores no -0.
inline constexpr Codec mxfp4{.name = "mxfp4", .element = formats::e2m1, .group = 32,
                             .scale = ScaleRule::powerOfTwo, .scaleFormat = formats::e8m0};
inline constexpr Codec mxfp8e4m3{.name = "mxfp8e4m3", .element = saturating(formats::e4m3fn),
                                 .group = 32, .scale = ScaleRule::powerOfTwo,
                                 .scaleFormat = formats::e8m0};
inline constexpr Codec mxfp8e5m2{.name = "mxfp8e5m2", .element = saturating(formats::e5m2),
                                 .group = 32, .scale = ScaleRule::powerOfTwo,
                                 .scaleFormat = formats::e8m0};
/// NVIDIA, arXiv 2509.25149, appendix on NVFP4 quantization; the tensor's scale is for decoding.
inline constexpr Codec nvfp4{
    .name = "nvfp4", .element = formats::e2m1, .group = 16, .scale = ScaleRule::largest,
    .divisor = 6, .scaleFormat = saturating(formats::e4m3fn), .tensorScale = true,
    .division = Division::reciprocal};

/// ONNX DynamicQuantizeLinear-11, for codes of 4 bits and groups.
inline constexpr Codec int4ZeroPoint{.name = "int4ZeroPoint", .element = Integers{0, 15},
                                     .group = 32, .scale = ScaleRule::span, .divisor = 15};

}  // namespace codecs

static_assert(std::get<Integers>(codecs::q4_0.element).zero == 8);

}  // namespace kv

// storage: keep the row of a token in the declared format, and read it back.
//
// Attention never sees the keys and values that a token brought. It sees what the cache made of
// them: codes, and numbers that follow from the codes. A declaration names the format of the keys
// and of the values of each layer, and here is what then stands in the cache.
//
//     held(x)  = quantize(codec, x), one codec row after the other      codes, scales, zeros
//     read(x)  = dequantize(codec, held(x)), rounded once to `into`     what attention sees
//
// With a rotation a codec row is turned before it is quantised, and turned back when it is read.
//
// What a codec takes for a row is one kv head of one token, or with `row` = token all kv heads of
// it, one behind another: one scale for the whole token, or groups that run across heads. A given
// scale belongs to a group of such a row and is the same for every token.
//
// No token shares a computed scale with another one, and a row is read as it is stored from the
// step on that stores it: a prefill that reads its own chunk before it is quantised does something
// else, for which there is no field.
//
// Nothing is stored, by the declaration, where the codec refuses the row (quantize.hpp), or where
// subnormal numbers of f32 decide and an engine may have flushed them.
//
// Not said here: when a key is turned (rotation.hpp), what a codec does (codec.hpp), how codes are
// packed into bytes.
#pragma once
#include "numerics.hpp"
#include "quantize.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

namespace kv {

namespace codecs {
inline constexpr Codec f32{.name = "f32", .element = formats::f32};
}

/// The codec of each StoredAs, in its order.
inline constexpr Codec const* everyCodec[] = {
    &codecs::f32,          &codecs::f16,              &codecs::bf16,
    &codecs::e4m3,         &codecs::e5m2,             &codecs::e4m3fnuz,
    &codecs::int8PerToken, &codecs::int8PerTokenHead, &codecs::int8PerChannel,
    &codecs::q8_0,         &codecs::q8_0Avx,          &codecs::q8_0Neon,
    &codecs::q4_0,         &codecs::mxfp4,            &codecs::mxfp8e4m3,
    &codecs::mxfp8e5m2,    &codecs::nvfp4,            &codecs::int4ZeroPoint};
constexpr Codec const& codecOf(StoredAs as) { return *everyCodec[static_cast<std::size_t>(as)]; }

constexpr Format const& formatOf(ReadAs into) {
    return into == ReadAs::f16    ? formats::f16
           : into == ReadAs::bf16 ? formats::bf16
                                  : formats::f32;
}

/// Whether rows are something else in the cache than they were outside.
constexpr bool isConverted(StoredFormat const& f) { return f.codec != StoredAs::f32; }

/// The codec behind the declared rotation. The format must outlive it.
constexpr Codec codecOf(StoredFormat const& f) {
    return rotatedBy(codecOf(f.codec), {f.rotation.size, f.rotation.down, f.rotation.matrix});
}

/// Whether a larger number never gets a smaller one, whatever stands beside it.
constexpr bool isMonotone(Codec const& c) {
    return (c.scale == ScaleRule::none || c.scale == ScaleRule::given) && c.rotation.size == 0;
}
constexpr bool isMonotone(StoredFormat const& f) { return isMonotone(codecOf(f)); }

/// Elements of one codec row, and of one group in it, where a token has heads * dim of them.
constexpr std::size_t rowLength(StoredFormat const& f, std::size_t heads, std::size_t dim) {
    return f.row == CodecRow::token ? heads * dim : dim;
}
constexpr std::size_t groupLength(StoredFormat const& f, std::size_t heads, std::size_t dim) {
    std::size_t const group = codecOf(f.codec).group;
    return group == 0 ? rowLength(f, heads, dim) : group;
}
/// Elements whose codes depend on each other: those of groups that a piece of a rotation joins.
constexpr std::size_t togetherLength(StoredFormat const& f, std::size_t heads, std::size_t dim) {
    std::size_t const group = isMonotone(codecOf(f.codec)) ? 1 : groupLength(f, heads, dim);
    return std::lcm(group, std::max<std::size_t>(f.rotation.size, 1));
}

/// One token as it is stored: the codes of all codec rows, [heads][dim], their scales and zeros one
/// a group, and what a reader gets.
struct StoredToken {
    Quantized stored;
    std::vector<float> read;
};

namespace detail {

constexpr bool isSubnormal(float x) {
    auto const d = exactly(x);
    return d.kind == Kind::finite && d.significand != 0 && d.lead() < -126;
}
/// Whether a scale that divides a group may be flushed, or its reciprocal. Zeros need no scale.
inline bool mayBeFlushed(Codec const& c, std::uint32_t scale, std::span<float const> group) {
    auto const s = decode(c.scaleFormat, scale);
    bool const isSafe = s.kind != Kind::finite || s.significand == 0 ||
                        (s.lead() >= -126 && s.lead() <= 116);
    return !isSafe && std::ranges::any_of(group, [](float x) { return x != 0; });
}
inline bool dependsOnFlushing(Codec const& c, std::span<float const> given, Quantized const& q,
                              std::span<float const> read) {
    auto const row = c.rotation.size == 0 ? std::vector(given.begin(), given.end())
                                          : turned(c.rotation, given);
    std::size_t const group = q.scales.empty() ? 0 : row.size() / q.scales.size();
    for (std::size_t g = 0; g < q.scales.size(); ++g)
        if (mayBeFlushed(c, q.scales[g], std::span(row).subspan(g * group, group))) return true;
    return std::ranges::any_of(given, isSubnormal) || std::ranges::any_of(row, isSubnormal) ||
           std::ranges::any_of(read, isSubnormal);
}

}  // namespace detail

/// A row of `heads` heads in a converted format; nothing where the declaration gives none.
inline std::optional<StoredToken> stored(StoredFormat const& f, std::size_t heads,
                                         std::span<float const> row, Subnormals subnormals) {
    Codec const c = codecOf(f);
    std::size_t const length = rowLength(f, heads, row.size() / heads);
    std::size_t const scales = f.scales.size() / (row.size() / length);
    StoredToken all;
    all.stored.tensor = f.tensorScale.value_or(1);
    auto const put = [](auto& to, auto const& from) {
        to.insert(to.end(), from.begin(), from.end());
    };
    for (std::size_t i = 0; i < row.size() / length; ++i) try {
        auto const piece = row.subspan(i * length, length);
        Given const given{std::span(f.scales).subspan(i * scales, scales), all.stored.tensor};
        auto const q = quantize(c, piece, given);
        auto const read = dequantize(c, q, formatOf(f.into));
        if (subnormals == Subnormals::flushed && detail::dependsOnFlushing(c, piece, q, read))
            return {};
        put(all.stored.codes, q.codes);
        put(all.stored.scales, q.scales);
        put(all.stored.zeros, q.zeros);
        put(all.read, read);
    } catch (ShapeError const&) {
        return {};
    }
    return all;
}

static_assert(std::size(everyCodec) == static_cast<std::size_t>(StoredAs::int4ZeroPoint) + 1);
static_assert(codecOf(StoredAs::nvfp4).name == "nvfp4" && codecOf({}).name == "f32");

}  // namespace kv

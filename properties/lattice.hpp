// lattice: choose numbers that a format stores exactly, or a quarter of a step beside them.
//
// A probe wants to know what it will read back. In a format with few bits that takes care: an
// integer is stored as it is only if it is small, and only if the scale of its group is such that a
// step is one. Where the scale is computed from the group, a marker decides it: one element, larger
// than all others, at the head of each group. Its size changes from token to token and from group
// to group, by a power of two, so that a scale that belongs to another row is seen.
//
//     format                        integers up to      marker of a group      a step
//     f16, bf16, given scales       2^p, or the codes   none                   1, the given scale
//     int8, q8_0, 4 bits            codes               the divisor * 2^e      2^e
//     MX, nvfp4                     2^p                 2^top, divisor         2^e, of the tensor
//     with a zero point             half of the codes   both ends              2^e
//
// Behind a rotation these are the numbers of the turned row; values.hpp turns them back.
//
// Not said here: what a codec does (spec/codec.hpp). Nothing depends on the numbers being exact:
// outputs are compared with what the spec makes of them.
#pragma once
#include "spec/storage.hpp"

#include <cmath>
#include <optional>

namespace kv::properties {

/// One component of one row. The head is a kv head.
struct LatticeEntry {
    std::size_t serial, head, lane;
};

/// The numbers of the values, or keys, of one layer. The format must outlive it.
class Lattice {
   public:
    Lattice(StoredFormat const& format, std::size_t heads, std::size_t dim)
        : format_(&format),
          codec_(&codecOf(format.codec)),
          dim_(dim),
          group_(groupLength(format, heads, dim)) {}

    bool isConverted() const { return kv::isConverted(*format_); }
    /// Whether a group has an element besides its markers.
    bool hasSteps() const { return isConverted() && group_ > markers(); }

    /// The element that decides the scale of its group, if this is one.
    std::optional<float> marker(LatticeEntry const& e) const {
        std::size_t const at = indexOf(e) % group_;
        if (at >= markers()) return {};
        bool const isOdd = (e.serial + at) % 2 != 0;
        float const size = markerSize(isOdd) * unit(e);
        return isOdd ? -size : size;
    }
    /// Integers up to it are stored as they are.
    std::size_t largest() const {
        if (auto const* f = std::get_if<Format>(&codec_->element))
            return std::size_t{2} << f->mantissaBits;
        auto const& n = std::get<Integers>(codec_->element);
        auto const below = codec_->scale == ScaleRule::span ? (n.highest - n.lowest) / 2
                                                            : n.highest - n.zero;
        return static_cast<std::size_t>(below - (markers() > 0 ? 1 : 0));
    }
    /// The number that is stored as n steps.
    float on(LatticeEntry const& e, int n) const { return static_cast<float>(n) * unit(e); }
    /// A quarter or three quarters of a step beside such a number, never half of one.
    float off(LatticeEntry const& e, std::uint64_t hash, bool isNegative) const {
        // Numbers of a format are one step apart from 2^p to 2^(p+1).
        bool const isFloat = std::holds_alternative<Format>(codec_->element);
        std::size_t const half = largest() / 2, least = isFloat ? half : 0;
        std::size_t const most = isFloat ? half : largest();
        auto const quarters = 4 * (least + (hash >> 8) % most) + (hash % 2 == 0 ? 1 : 3);
        float const x = static_cast<float>(quarters) / 4 * unit(e);
        return isNegative ? -x : x;
    }

   private:
    std::size_t indexOf(LatticeEntry const& e) const {
        return format_->row == CodecRow::token ? e.head * dim_ + e.lane : e.lane;
    }
    std::size_t markers() const {
        if (codec_->scale == ScaleRule::span) return 2;
        return codec_->scale == ScaleRule::none || codec_->scale == ScaleRule::given ? 0 : 1;
    }
    /// Of the one end or, with a zero point, of the other.
    float markerSize(bool isOdd) const {
        auto const divisor = static_cast<float>(std::abs(codec_->divisor));
        if (codec_->scale == ScaleRule::span) return std::floor((divisor + (isOdd ? 0 : 1)) / 2);
        if (codec_->scale != ScaleRule::powerOfTwo) return divisor;
        auto const& format = std::get<Format>(codec_->element);
        return std::ldexp(static_cast<float>(1), decode(format, format.largestCode()).lead());
    }
    /// One step of the group that this element is in.
    float unit(LatticeEntry const& e) const {
        std::size_t const rowsBefore = format_->row == CodecRow::token ? 0 : e.head * dim_;
        std::size_t const group = (rowsBefore + indexOf(e)) / group_;
        if (codec_->scale == ScaleRule::none) return 1;
        if (codec_->scale == ScaleRule::given) return format_->scales[group];
        auto const tensor = format_->tensorScale.value_or(1);
        return std::ldexp(tensor, static_cast<int>((e.serial + group) % 3));
    }

    StoredFormat const* format_;
    Codec const* codec_;
    std::size_t dim_, group_;
};

inline Lattice latticeOf(LayerDeclaration const& layer) {
    return {layer.valueFormat, layer.kvHeads, layer.valueDim};
}

}  // namespace kv::properties

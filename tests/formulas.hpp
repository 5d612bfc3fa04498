// formulas: what engines compute when they store a row, as plain floats.
//
// Each function here is the text of one engine, source named at its codec in spec/codec.hpp,
// written with the machine's own operations. Nothing of it goes through spec/quantize.hpp, which it
// is compared with; formats of few bits are searched for the nearest of all their numbers.
//
// Not said here: what is compared (quantize_test.cpp, storing_test.cpp).
#pragma once
#include "spec/quantize.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kv::formulas {

using Floats = std::vector<float>;
using Codes = std::vector<std::int32_t>;

inline float asFloat(std::uint32_t bits) { return std::bit_cast<float>(bits); }
inline std::uint32_t bitsOf(float x) { return std::bit_cast<std::uint32_t>(x); }
inline bool sameFloat(float a, float b) {
    return std::isnan(a) ? std::isnan(b) : bitsOf(a) == bitsOf(b);
}
inline double powerOf(int exponent) {
    double const one = 1;
    return std::ldexp(one, exponent);
}
inline float fraction(int over, int under) { return float(over) / float(under); }

/// x rounded by comparing it with all numbers of a format, which are told in doubles.
class Nearest {
   public:
    explicit Nearest(Format const& f) : f_(f) {
        for (std::uint64_t code = 0; code <= f.largestCode(); ++code) {
            auto const x = decode(f, code);
            numbers_.push_back(double(x.significand) * powerOf(x.exponent));
        }
    }
    /// For a finite x; nothing where it overflows.
    std::optional<std::uint64_t> operator()(float x, Round rule) const {
        double const size = std::fabs(double(x));
        auto const at = std::upper_bound(numbers_.begin(), numbers_.end(), size);
        auto code = std::uint64_t(at == numbers_.begin() ? 0 : at - numbers_.begin() - 1);
        double const low = numbers_[code];
        bool const last = at == numbers_.end();
        double const high = last ? 2 * low - numbers_[code - 1] : *at;
        if (rule != Round::towardZero && size > low) {
            bool const away = rule == Round::nearestAway || code % 2 == 1;
            double const left = size - low, right = high - size;
            code += left > right || (left == right && away) ? 1 : 0;
        }
        if (code == numbers_.size()) return std::nullopt;
        bool const plusZero = f_.special == Special::onlyMinusZero && code == 0;
        return code | (std::signbit(x) && !plusZero ? f_.signBit() : 0);
    }

   private:
    Format f_;
    std::vector<double> numbers_;
};

#if defined(__x86_64__)
/// clang 14 cannot ask for F16C by name; each processor with AVX2 has it.
inline bool hasHalf() { return __builtin_cpu_supports("avx2"); }
__attribute__((target("avx,f16c"))) inline float hardwareFloat(std::uint32_t code) {
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(int(code))));
}
__attribute__((target("avx,f16c"))) inline std::uint32_t hardwareHalf(float x) {
    return std::uint32_t(_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(x), 0))) & 0xFFFF;
}
__attribute__((target("avx,f16c"))) inline std::uint32_t hardwareHalfTruncated(float x) {
    return std::uint32_t(_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(x), 3))) & 0xFFFF;
}
#else
inline bool hasHalf() { return false; }
inline float hardwareFloat(std::uint32_t) { return 0; }
inline std::uint32_t hardwareHalf(float) { return 0; }
inline std::uint32_t hardwareHalfTruncated(float) { return 0; }
#endif

inline std::uint32_t halfOf(float x) {
    return hasHalf() ? hardwareHalf(x) : std::uint32_t(encode(formats::f16, exactly(x)));
}
inline float largestOf(Floats const& row) {
    float m = 0;
    for (float x : row) m = std::max(m, std::fabs(x));
    return m;
}
inline std::int32_t clamped(float x, float low, float high) {
    return std::int32_t(std::min(std::max(x, low), high));
}

/// What an engine stores of one group; nothing where its code has no defined result.
using Stored = std::optional<Quantized>;
using Engine = std::function<Stored(Floats const&)>;

inline Stored engineQ8(Floats const& x) {  // quantize_row_q8_0_ref
    float const d = largestOf(x) / 127;
    float const id = d != 0 ? 1 / d : 0;
    if (std::isinf(id)) return {};
    Quantized q{{}, {halfOf(d)}, {}, 1};
    for (float v : x) q.codes.push_back(std::int32_t(std::round(v * id)));
    return q;
}
inline Stored engineQ8Neon(Floats const& x) {  // quantize_row_q8_0 with NEON
    auto q = engineQ8(x);
    float const d = largestOf(x) / 127;
    for (std::size_t i = 0; q && i < x.size(); ++i)
        q->codes[i] = std::int32_t(std::nearbyint(x[i] * (d != 0 ? 1 / d : 0)));
    return q;
}
inline Stored engineQ8Avx(Floats const& x) {  // quantize_row_q8_0 with AVX
    float const m = largestOf(x);
    float const id = m != 0 ? 127 / m : 0;
    if (std::isinf(id)) return {};
    Quantized q{{}, {halfOf(m / 127)}, {}, 1};
    for (float v : x) q.codes.push_back(std::int32_t(std::nearbyint(v * id)));
    return q;
}
inline Stored engineQ4(Floats const& x) {  // quantize_row_q4_0_ref
    float size = 0, top = 0;
    for (float v : x)
        if (size < std::fabs(v)) size = std::fabs(v), top = v;
    float const d = top / -8;
    float const id = d != 0 ? 1 / d : 0;
    if (std::isinf(id)) return {};
    Quantized q{{}, {halfOf(d)}, {}, 1};
    for (float v : x) {
        float const t = v * id;
        q.codes.push_back(std::min(15, std::int32_t(t + fraction(17, 2))));
    }
    return q;
}
inline Stored engineInt8(Floats const& x) {
    float const s = largestOf(x) / 127;
    Quantized q{{}, {bitsOf(s)}, {}, 1};
    for (float v : x) q.codes.push_back(s == 0 ? 0 : clamped(std::nearbyint(v / s), -128, 127));
    return q;
}
inline Stored engineInt8Head(Floats const& x) {  // triton_reshape_and_cache_flash.py
    float const s = std::max(largestOf(x) / 127, float(1) / 1000000);
    float const by = 1 / s;
    Quantized q{{}, {bitsOf(s)}, {}, 1};
    for (float v : x) q.codes.push_back(clamped(std::nearbyint(v * by), -128, 127));
    return q;
}
inline Stored engineInt4(Floats const& x) {  // DynamicQuantizeLinear
    float low = 0, high = 0;
    for (float v : x) low = std::min(low, v), high = std::max(high, v);
    float const s = (high - low) / 15;
    if (std::isinf(s)) return {};
    auto const zero = s == 0 ? 0 : clamped(std::nearbyint(-low / s), 0, 15);
    Quantized q{{}, {bitsOf(s)}, {zero}, 1};
    for (float v : x)
        q.codes.push_back(s == 0 ? 0 : clamped(std::nearbyint(v / s) + float(zero), 0, 15));
    return q;
}
inline std::uint64_t nearestCode(Nearest const& nearest, Format const& f, float x) {
    auto const code = nearest(x, Round::nearestEven);
    return code ? *code : f.largestCode() | (std::signbit(x) ? f.signBit() : 0);
}
/// MX, section 6.3: in doubles, so that nothing underflows on the way.
inline Engine engineMx(Format const& f) {
    return [f, nearest = Nearest(f), top = std::ilogb(double(toFloat(decode(f, f.largestCode()))))](
               Floats const& x) -> Stored {
        float const m = largestOf(x);
        int const e = m == 0 ? -127 : std::max(std::ilogb(m) - top, -127);
        Quantized q{{}, {std::uint32_t(e + 127)}, {}, 1};
        for (float v : x) {
            auto const t = float(std::ldexp(double(v), -e));
            q.codes.push_back(std::int32_t(nearestCode(nearest, f, t)));
        }
        return q;
    };
}
/// arXiv 2509.25149, with a tensor's scale for decoding.
inline Engine engineNvfp4(float tensor) {
    auto const e4m3 = formats::e4m3fn, e2m1 = formats::e2m1;
    return [=, scales = Nearest(e4m3), elements = Nearest(e2m1)](Floats const& x) -> Stored {
        auto const code = nearestCode(scales, e4m3, largestOf(x) / 6 / tensor);
        float const d = toFloat(decode(e4m3, code)) * tensor;
        float const by = d != 0 ? 1 / d : 0;
        if (std::isinf(by)) return {};
        Quantized q{{}, {std::uint32_t(code)}, {}, tensor};
        for (float v : x) {
            float const t = v * by;
            q.codes.push_back(std::int32_t(nearestCode(elements, e2m1, t)));
        }
        return q;
    };
}

}  // namespace kv::formulas

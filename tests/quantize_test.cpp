// quantize_test: formats, roundings and codecs are those of the standards, the hardware and the
// engines.
//
// Nothing here trusts the code that it tests. Formats are compared with tables worked out by hand,
// with a search for the nearest of all their numbers, and with the machine's own conversions;
// operations with the machine's own floats; codecs with the engines' formulas, written as plain
// float code. At the end the same checks meet formats and codecs with one field wrong, and must
// object to each.
#include "formulas.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <random>

namespace {

using namespace kv;
using namespace kv::formulas;
using Random = std::mt19937_64;

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

constexpr Format small[] = {formats::e5m2,     formats::e4m3fn, formats::e5m2fnuz,
                            formats::e4m3fnuz, formats::e2m1,   formats::e8m0};
constexpr Format wide[] = {formats::f16, formats::bf16};

// Formats.

/// A number of a format, by hand from its standard: `over` * 2^exponent.
struct Known {
    std::uint64_t code;
    int over, exponent;
};

/// Each code encodes to itself, NaN to NaN; the number of codes that are NaN, and that are infinite
/// is as expected; the hand-made table holds.
bool isFormat(Format const& f, std::size_t nans, std::size_t infinities,
              std::vector<Known> const& table) {
    std::size_t seenNaN = 0, seenInfinity = 0;
    for (std::uint64_t code = 0; code < f.codes(); ++code) {
        auto const x = decode(f, code);
        seenNaN += x.kind == Kind::notANumber;
        seenInfinity += x.kind == Kind::infinite;
        if (x.kind == Kind::notANumber && decode(f, encode(f, x)).kind != Kind::notANumber)
            return false;
        if (x.kind == Kind::infinite && f.overflow != Overflow::toInfinity) continue;
        if (x.kind == Kind::notANumber) continue;
        for (auto rule : {Round::nearestEven, Round::nearestAway, Round::towardZero})
            if (encode(f, x, rule) != code) return false;
    }
    for (auto const& [code, over, exponent] : table) {
        auto const x = dyadic(over < 0, std::uint64_t(std::abs(over)), exponent);
        if (decode(f, code) != x || encode(f, x) != code) return false;
    }
    return seenNaN == nans && seenInfinity == infinities;
}

/// One, the largest, the smallest normal and the smallest number, from each standard's table.
bool isTheStandards(Format const& f, std::string_view name) {
    if (name == "f16")
        return isFormat(f, 2046, 2, {{0x3C00, 1, 0}, {0x7BFF, 2047, 5}, {0x0400, 1, -14},
                                     {0x0001, 1, -24}, {0xC000, -2, 0}});
    if (name == "bf16")
        return isFormat(f, 254, 2, {{0x3F80, 1, 0}, {0x7F7F, 255, 120}, {0x0080, 1, -126},
                                    {0x0001, 1, -133}, {0xC000, -2, 0}});
    if (name == "e5m2")
        return isFormat(f, 6, 2, {{0x3C, 1, 0}, {0x7B, 7, 13}, {0x04, 1, -14}, {0x01, 1, -16},
                                  {0xBE, -3, -1}});
    if (name == "e4m3fn")
        return isFormat(f, 2, 0, {{0x38, 1, 0}, {0x7E, 7, 6}, {0x08, 1, -6}, {0x01, 1, -9},
                                  {0xC5, -13, -2}});
    if (name == "e5m2fnuz")
        return isFormat(f, 1, 0, {{0x40, 1, 0}, {0x7F, 7, 13}, {0x04, 1, -15}, {0x01, 1, -17},
                                  {0xC2, -3, -1}});
    if (name == "e4m3fnuz")
        return isFormat(f, 1, 0, {{0x40, 1, 0}, {0x7F, 15, 4}, {0x08, 1, -7}, {0x01, 1, -10},
                                  {0xCD, -13, -2}});
    if (name == "e2m1")
        return isFormat(f, 0, 0, {{0, 0, 0}, {1, 1, -1}, {2, 1, 0}, {3, 3, -1}, {4, 2, 0},
                                  {5, 3, 0}, {6, 4, 0}, {7, 6, 0}, {9, -1, -1}, {15, -6, 0}});
    return isFormat(f, 1, 0, {{0, 1, -127}, {127, 1, 0}, {254, 1, 127}, {130, 8, 0}});
}

TEST(Minifloat, each_code_of_each_small_format) {
    for (auto const& f : small) EXPECT_TRUE(isTheStandards(f, f.name)) << f.name;
    for (auto const& f : wide) EXPECT_TRUE(isTheStandards(f, f.name)) << f.name;
    EXPECT_TRUE(isTheStandards(saturating(formats::e4m3fn), "e4m3fn"));
    EXPECT_TRUE(isTheStandards(saturating(formats::e5m2), "e5m2"));
}

/// Every f16 as a float, and floats on both sides of each.
Floats const& probes() {
    static Floats const all = [] {
        Floats v;
        for (std::uint32_t h = 0; h < 65536; ++h) {
            auto const x = decode(formats::f16, h);
            if (x.kind != Kind::finite) continue;
            float const value = toFloat(x);
            v.push_back(value);
            v.push_back(std::nextafter(value, inf));
        }
        return v;
    }();
    return all;
}

/// The format rounds each probe as the search among its numbers does.
bool roundsToNearest(Format const& f, Format const& standard, Round rule, Round asked) {
    Nearest const nearest(standard);
    auto const overflow = [&](bool negative) { return encode(standard, infinity(negative)); };
    for (float x : probes()) {
        auto const want = nearest(x, rule);
        if (encode(f, exactly(x), asked) != (want ? *want : overflow(std::signbit(x))))
            return false;
    }
    return true;
}

TEST(Minifloat, small_formats_round_to_the_nearest_of_their_numbers) {
    for (auto const& f : small) {
        if (f == formats::e8m0) continue;  // no zero, no sign: below
        for (auto rule : {Round::nearestEven, Round::nearestAway, Round::towardZero})
            EXPECT_TRUE(roundsToNearest(f, f, rule, rule)) << f.name << int(rule);
    }
    EXPECT_TRUE(roundsToNearest(saturating(formats::e4m3fn), saturating(formats::e4m3fn),
                                Round::nearestEven, Round::nearestEven));
}

TEST(Minifloat, scales_of_e8m0_are_powers_of_two) {
    auto const& f = formats::e8m0;
    for (std::uint64_t code = 0; code < 255; ++code) {
        int const e = int(code) - 127;
        for (std::uint64_t eighths = 8; eighths < 16; ++eighths) {
            auto const x = dyadic(false, eighths, e - 3);
            EXPECT_EQ(encode(f, x, Round::towardZero), code);
            bool const up = eighths >= 12;  // the larger of two equally near: one bit has no even
            EXPECT_EQ(encode(f, x), std::min<std::uint64_t>(code + (up ? 1 : 0), 254));
        }
    }
    EXPECT_EQ(encode(f, {}), 0u);
    EXPECT_EQ(encode(f, whole(-1)), 255u);
    EXPECT_EQ(encode(f, notANumber), 255u);
    EXPECT_EQ(encode(f, dyadic(false, 1, -300)), 0u);
}

TEST(Minifloat, overflow_is_declared) {
    auto const e4m3 = formats::e4m3fn, e5m2 = formats::e5m2;
    EXPECT_EQ(encode(e4m3, whole(464)), 0x7Eu);  // the tie between 448 and what would be 480
    EXPECT_EQ(encode(e4m3, whole(465)), 0x7Fu);
    EXPECT_EQ(encode(e4m3, whole(-465)), 0xFFu);
    EXPECT_EQ(encode(e4m3, infinity(false)), 0x7Fu);
    EXPECT_EQ(encode(e4m3, whole(465), Round::towardZero), 0x7Eu);
    EXPECT_EQ(encode(saturating(e4m3), whole(-465)), 0xFEu);
    EXPECT_EQ(encode(saturating(e4m3), infinity(false)), 0x7Eu);
    EXPECT_EQ(encode(saturating(e4m3), notANumber), 0x7Fu);
    EXPECT_EQ(encode(e5m2, whole(61439)), 0x7Bu);
    EXPECT_EQ(encode(e5m2, whole(61440)), 0x7Cu);
    EXPECT_EQ(encode(e5m2, infinity(true)), 0xFCu);
    EXPECT_EQ(encode(saturating(e5m2), infinity(true)), 0xFBu);
    EXPECT_EQ(encode(formats::e4m3fnuz, whole(-1000)), 0x80u);
    EXPECT_EQ(encode(formats::e4m3fnuz, dyadic(true, 1, -20)), 0u);
    EXPECT_EQ(encode(formats::e2m1, infinity(true)), 15u);
    EXPECT_EQ(encode(formats::f16, whole(65520)), 0x7C00u);
    EXPECT_EQ(encode(formats::f16, whole(65519)), 0x7BFFu);
}

/// What is said when something is refused; nothing if it is not.
std::string refusal(std::function<void()> const& action) {
    try {
        action();
    } catch (ShapeError const& error) {
        return error.what();
    }
    return "";
}

TEST(Minifloat, what_has_no_code_is_refused) {
    EXPECT_EQ(refusal([] { encode(formats::e2m1, notANumber); }), "e2m1: has no code for NaN");
    EXPECT_EQ(refusal([] { decode(formats::e2m1, 16); }), "e2m1: code 16, which is not below 16");
    auto f = formats::e2m1;
    f.overflow = Overflow::toInfinity;
    EXPECT_EQ(refusal([&] { encode(f, whole(7)); }),
              "e2m1: has no code for an overflow; only saturation is possible");
    auto const third = whole(1) / whole(3);
    EXPECT_NE(refusal([&] { third* whole(3); }), "");
    EXPECT_NE(refusal([&] { third + whole(3); }), "");
    EXPECT_NE(refusal([&] { third / whole(3); }), "");
}

TEST(Minifloat, bf16_is_the_upper_half_of_f32) {
    for (std::uint32_t code = 0; code < 65536; ++code)
        ASSERT_TRUE(sameFloat(toFloat(decode(formats::bf16, code)), asFloat(code << 16))) << code;
    for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 4093) {
        auto const b = std::uint32_t(bits);
        if (std::isnan(asFloat(b))) continue;
        ASSERT_EQ(encode(formats::bf16, exactly(asFloat(b))), (b + 0x7FFF + (b >> 16 & 1)) >> 16);
        ASSERT_EQ(encode(formats::bf16, exactly(asFloat(b)), Round::towardZero), b >> 16);
    }
}

// f16 against the hardware, and against the compiler's own type where it has one.

#if defined(__GNUC__) && !defined(__clang__) && defined(__FLT16_MANT_DIG__)
constexpr bool hasHalfType = true;
__extension__ using HalfType = _Float16;
#else
constexpr bool hasHalfType = false;
using HalfType = float;
#endif

bool isHalfNaN(std::uint32_t code) { return (code & 0x7FFF) > 0x7C00; }
bool sameHalf(std::uint32_t a, std::uint32_t b) {
    return isHalfNaN(a) ? isHalfNaN(b) : a == b;
}

/// Every f16, the midpoint to the next one, and the floats beside both; then every stride-th float.
template <class Visit>
bool allNearHalves(std::uint64_t stride, Visit visit) {
    for (std::uint32_t code = 0; code < 65536; ++code) {
        if (isHalfNaN(code) || (code & 0x7FFF) == 0x7C00) continue;
        float const value = toFloat(decode(formats::f16, code));
        bool const last = (code & 0x7FFF) == 0x7BFF;
        float const next = last ? std::copysign(float(65536), value)
                                : toFloat(decode(formats::f16, code + 1));
        float const middle = value + (next - value) / 2;
        for (float x : {value, std::nextafter(value, inf), std::nextafter(value, -inf), middle,
                        std::nextafter(middle, inf), std::nextafter(middle, -inf)})
            if (!visit(x)) return false;
    }
    for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += stride)
        if (!visit(asFloat(std::uint32_t(bits)))) return false;
    return true;
}

bool isHardwaresHalf(Format const& f, Round nearest, std::uint64_t stride) {
    for (std::uint32_t code = 0; code < 65536; ++code)
        if (!sameFloat(toFloat(decode(f, code)), hardwareFloat(code))) return false;
    return allNearHalves(stride, [&](float x) {
        return sameHalf(std::uint32_t(encode(f, exactly(x), nearest)), hardwareHalf(x));
    });
}

TEST(Minifloat, f16_is_the_hardwares) {
    if (!hasHalf()) GTEST_SKIP() << "this processor has no F16C conversions to compare with";
    EXPECT_TRUE(isHardwaresHalf(formats::f16, Round::nearestEven, 4093));
    EXPECT_TRUE(allNearHalves(20411, [](float x) {
        auto const ours = encode(formats::f16, exactly(x), Round::towardZero);
        return sameHalf(std::uint32_t(ours), hardwareHalfTruncated(x));
    }));
}

TEST(Minifloat, f16_is_the_compilers) {
    if (!hasHalfType) GTEST_SKIP() << "this compiler has no _Float16 for this target";
    for (std::uint32_t code = 0; code < 65536; ++code) {
        auto const half = std::bit_cast<std::conditional_t<hasHalfType, HalfType, std::uint16_t>>(
            std::uint16_t(code));
        ASSERT_TRUE(sameFloat(toFloat(decode(formats::f16, code)), float(half))) << code;
    }
    EXPECT_TRUE(allNearHalves(20411, [](float x) {
        auto const half = std::conditional_t<hasHalfType, HalfType, std::uint16_t>(x);
        return sameHalf(std::uint32_t(encode(formats::f16, exactly(x))),
                        std::bit_cast<std::uint16_t>(half));
    }));
}

// Operations, against the machine's own.

/// Two floats: any bits, or of near exponents, where sums cancel, or subnormal.
std::pair<float, float> twoFloats(Random& random) {
    auto const a = std::uint32_t(random()), b = std::uint32_t(random());
    switch (random() % 4) {
        case 0: return {asFloat(a), asFloat(b)};
        case 1: return {asFloat(a), asFloat((a & 0x7F800000) ^ (b & 0x80FFFFFF))};
        case 2: return {asFloat(a & 0x80FFFFFF), asFloat(b)};
        default: return {asFloat(a & 0xFFF80000), asFloat(b & 0xFFFC0000)};  // ties
    }
}

template <class Ours, class Machines>
bool isTheMachines(std::size_t count, Ours ours, Machines machines) {
    Random random(1);
    for (std::size_t i = 0; i < count; ++i) {
        auto const [a, b] = twoFloats(random);
        if (!sameFloat(toFloat(ours(exactly(a), exactly(b))), machines(a, b))) return false;
    }
    float const special[] = {0,    -0.0f, 1,   -1,  inf, -inf, nan, asFloat(1), asFloat(0x807FFFFF),
                             asFloat(0x00800000), asFloat(0x7F7FFFFF), asFloat(0xFF7FFFFF)};
    for (float a : special)
        for (float b : special)
            if (!sameFloat(toFloat(ours(exactly(a), exactly(b))), machines(a, b))) return false;
    return true;
}

constexpr std::size_t many = 500000, few = 20000;
float product(float a, float b) { return a * b; }
float quotient(float a, float b) { return a / b; }
float plus(float a, float b) { return a + b; }
float minus(float a, float b) { return a - b; }

/// Quotients a / b as near to half way between two floats as they come, 1 / (b * 2^25) from it:
/// m is odd with m * b = a * 2^25 + r, r = 1 or -1.
template <class Ours>
bool hardQuotients(Ours ours) {
    Random random(6);
    for (int k = 0; k < 20000; ++k) {
        std::uint64_t const b = (random() % 8388608 + 8388608) | 1, r = k % 2 == 0 ? 1 : -1;
        std::uint64_t inverse = b;  // modulo 8, and each step doubles the bits
        for (int step = 0; step < 4; ++step) inverse *= 2 - b * inverse;
        auto const m = (r * inverse) % 33554432, a = (m * b - r) / 33554432;
        float const x = float(a), y = float(b);
        if (!sameFloat(toFloat(ours(exactly(x), exactly(y))), quotient(x, y))) return false;
    }
    return true;
}

TEST(Dyadic, products_quotients_sums_and_differences_are_the_machines) {
    auto const& x = many;
    EXPECT_TRUE(isTheMachines(x, [](auto a, auto b) { return a * b; }, product));
    EXPECT_TRUE(isTheMachines(x, [](auto a, auto b) { return a / b; }, quotient));
    EXPECT_TRUE(hardQuotients([](auto a, auto b) { return a / b; }));
    EXPECT_TRUE(isTheMachines(x, [](auto a, auto b) { return a + b; }, plus));
    EXPECT_TRUE(isTheMachines(x, [](auto a, auto b) { return a - b; }, minus));
}

/// In f16 a float can be half way between two numbers, and then the tail of a sum decides.
template <class Ours>
bool keepsTails(Ours plus) {
    auto const tail = dyadic(false, 1, -90), tie = dyadic(false, 2049, -11);
    auto const next = dyadic(false, 2051, -11);
    auto const half = [](Dyadic const& x) { return encode(formats::f16, x); };
    return half(tie) == 0x3C00 && half(plus(tie, tail)) == 0x3C01 &&
           half(plus(tie, -tail)) == 0x3C00 && half(next) == 0x3C02 &&
           half(plus(next, -tail)) == 0x3C01 && half(plus(-tail, next)) == 0x3C01;
}

TEST(Dyadic, a_forgotten_tail_or_sign_is_seen) {
    auto const tailless = [](Dyadic x) {
        x.sticky = false;
        return x;
    };
    auto const cut = [](Dyadic x) {
        if (x.kind == Kind::finite) x.significand &= ~std::uint64_t{1};
        return x;
    };
    EXPECT_FALSE(isTheMachines(few, [&](auto a, auto b) { return cut(a * b); }, product));
    EXPECT_FALSE(isTheMachines(few, [](auto a, auto b) { return magnitude(a) * b; }, product));
    EXPECT_FALSE(isTheMachines(few, [](auto a, auto b) { return b + -a; }, minus));
    EXPECT_FALSE(hardQuotients([&](auto a, auto b) { return tailless(a / b); }));
    EXPECT_TRUE(keepsTails([](auto a, auto b) { return a + b; }));
    EXPECT_FALSE(keepsTails([&](auto a, auto b) { return tailless(a + b); }));
}

TEST(Dyadic, rounding_to_integers) {
    auto const rounded = [](int halves, Round rule) {
        return roundedInteger(whole(halves) * dyadic(false, 1, -1), rule, -128, 127);
    };
    for (int halves = -400; halves <= 400; ++halves) {
        double const x = double(halves) / 2;
        auto const clamped = [](double v) { return int(std::clamp<double>(v, -128, 127)); };
        ASSERT_EQ(rounded(halves, Round::nearestEven), clamped(std::nearbyint(x)));
        ASSERT_EQ(rounded(halves, Round::nearestAway), clamped(std::round(x)));
        ASSERT_EQ(rounded(halves, Round::towardZero), clamped(std::trunc(x)));
    }
    EXPECT_EQ(roundedInteger(infinity(true), Round::nearestEven, -8, 7), -8);
    EXPECT_EQ(roundedInteger(exactly(asFloat(0x7F7FFFFF)), Round::nearestEven, -8, 7), 7);
    EXPECT_EQ(roundedInteger(exactly(asFloat(1)), Round::nearestAway, -8, 7), 0);
}

// Rows, and the engines' formulas in plain floats.

/// A row of half steps of a scale, as rounded as the scale is, for integers or for e2m1.
Floats halfSteps(std::size_t length, Random& random, bool integers) {
    float const tensor = random() % 2 ? fraction(1, 300) : 1;
    auto const e4m3 = toFloat(decode(formats::e4m3fn, 8 + random() % 112)) * tensor;
    float const scale = integers ? std::ldexp(float(random() % 16777216), -20) : e4m3;
    static constexpr int quarters[] = {1, 3, 5, 7, 10, 14, 20, 24};
    Floats row;
    for (std::size_t i = 0; i < length; ++i) {
        float const step = integers ? fraction(int(random() % 254) * 2 - 253, 2)
                                    : fraction(quarters[random() % 8], random() % 2 ? 4 : -4);
        row.push_back(step * scale);
    }
    row[random() % length] = float(integers ? 127 : 6) * scale;
    return row;
}

/// Rows on which codecs differ: ties, spikes, subnormals, huge numbers, zeros of both signs.
std::vector<Floats> rowsOf(std::size_t length, std::size_t count, std::uint64_t seed) {
    Random random(seed);
    std::normal_distribution<float> normal;
    std::vector<Floats> rows{Floats(length, 0), Floats(length, -0.0f), Floats(length, asFloat(1)),
                             Floats(length, asFloat(0x7F7FFFFF)), Floats(length, -1)};
    while (rows.size() < count) {
        Floats row;
        auto const kind = random() % 10;
        int const exponent = int(random() % 40) - 20;
        for (std::size_t i = 0; i < length; ++i) {
            float x = normal(random);
            auto const bits = std::uint32_t(random());
            if (kind == 1) x = std::ldexp(float(int(bits % 509) - 254), exponent);  // ties of 127
            if (kind == 2) x = std::ldexp(float(int(bits % 33) - 16), exponent);    // ties of 8
            if (kind == 3) x = asFloat(bits & 0x801FFFFF);                          // subnormals
            if (kind == 4) x = asFloat(bits % 0x7F800000);                          // all exponents
            if (kind == 5) x = bits % 4 ? std::copysign(0.0f, x) : x;
            if (kind == 6 && i == length / 2) x *= 1000;
            if (kind == 7) x = std::ldexp(x, 100 + int(bits % 26));  // huge
            row.push_back(x);
        }
        if (kind > 7) row = halfSteps(length, random, kind == 8);
        if (kind == 2) row[random() % length] = std::ldexp(float(-16), exponent);
        if (kind == 1) row[random() % length] = std::ldexp(float(254), exponent);
        rows.push_back(std::move(row));
    }
    return rows;
}

/// The codec says what the engine does, group by group; where the engine's result is undefined, the
/// codec refuses.
bool agrees(Codec const& c, Engine const& engine, std::vector<Floats> const& rows,
            float tensor = 1) {
    Given const given{.scales = {}, .tensor = tensor};
    std::size_t refused = 0;
    for (auto const& row : rows) {
        auto const want = engine(row);
        Stored got;
        try {
            got = quantize(c, row, given);
        } catch (ShapeError const&) {
            ++refused;
        }
        if (got != want) return false;
    }
    return refused < rows.size() / 2;
}

struct Pair {
    Codec codec;
    Engine engine;
    float tensor = 1;
};
std::vector<Pair> const& pairs() {
    static std::vector<Pair> const all{
        {codecs::q8_0, engineQ8},
        {codecs::q8_0Avx, engineQ8Avx},
        {codecs::q8_0Neon, engineQ8Neon},
        {codecs::q4_0, engineQ4},
        {codecs::int8PerToken, engineInt8},
        {codecs::int8PerTokenHead, engineInt8Head},
        {codecs::int4ZeroPoint, engineInt4},
        {codecs::mxfp4, engineMx(formats::e2m1)},
        {codecs::mxfp8e4m3, engineMx(formats::e4m3fn)},
        {codecs::mxfp8e5m2, engineMx(formats::e5m2)},
        {codecs::nvfp4, engineNvfp4(1)},
        {codecs::nvfp4, engineNvfp4(fraction(1, 300)), fraction(1, 300)},
    };
    return all;
}
std::vector<Floats> const& groups(std::size_t length) {
    static std::vector<Floats> const of16 = rowsOf(16, 2000, 2), of32 = rowsOf(32, 2000, 3);
    return length == 16 ? of16 : of32;
}

TEST(Quantize, codecs_are_the_engines_formulas) {
    for (auto const& [codec, engine, tensor] : pairs())
        EXPECT_TRUE(agrees(codec, engine, groups(codec.group), tensor)) << codec.name;
}

TEST(Quantize, groups_of_a_row_are_quantised_alone) {
    Floats row;
    for (std::size_t g = 0; g < 4; ++g)
        row.insert(row.end(), groups(32)[40 + g].begin(), groups(32)[40 + g].end());
    auto const whole = quantize(codecs::int4ZeroPoint, row);
    for (std::size_t g = 0; g < 4; ++g) {
        auto const part = quantize(codecs::int4ZeroPoint, groups(32)[40 + g]);
        EXPECT_EQ(whole.scales[g], part.scales[0]);
        EXPECT_EQ(whole.zeros[g], part.zeros[0]);
        EXPECT_TRUE(std::equal(part.codes.begin(), part.codes.end(),
                               whole.codes.begin() + std::ptrdiff_t(32 * g)));
    }
}

TEST(Quantize, given_scales) {
    Random random(4);
    Nearest const e4m3(formats::e4m3fn);
    for (int k = 0; k < 200; ++k) {
        auto const& row = groups(32)[std::size_t(k)];
        float const scale = std::ldexp(float(1 + random() % 999), int(random() % 20) - 10);
        auto const fp8 = quantize(codecs::e4m3, row, {.scales = {&scale, 1}});
        Floats scales;
        for (std::size_t i = 0; i < 32; ++i) scales.push_back(scale * float(i + 1));
        auto const channels = quantize(codecs::int8PerChannel, row, {.scales = scales});
        for (std::size_t i = 0; i < 32; ++i) {
            float const t = std::clamp<float>(row[i] / scale, -1000, 1000);  // 448 is the largest
            ASSERT_EQ(std::uint64_t(fp8.codes[i]), nearestCode(e4m3, formats::e4m3fn, t));
            ASSERT_EQ(channels.codes[i], clamped(std::nearbyint(row[i] / scales[i]), -128, 127));
        }
    }
}

TEST(Quantize, reading_back_rounds_once) {
    for (auto const& row : groups(32)) {
        auto const q8 = engineQ8(row);
        if (!q8) continue;
        auto const values = dequantize(codecs::q8_0, *q8);
        auto const shorts = dequantize(codecs::q8_0, *q8, formats::bf16);
        float const d = toFloat(decode(formats::f16, q8->scales[0]));
        for (std::size_t i = 0; i < 32; ++i) {
            float const want = float(q8->codes[i]) * d;  // 7 + 11 bits: exact
            ASSERT_TRUE(sameFloat(values[i], want)) << want;
            auto const half = encode(formats::bf16, exactly(want));
            ASSERT_TRUE(sameFloat(shorts[i], asFloat(std::uint32_t(half) << 16)));
        }
        auto const q4 = engineQ4(row), int4 = engineInt4(row);
        auto const fours = dequantize(codecs::q4_0, *q4);
        auto const spans = int4 ? dequantize(codecs::int4ZeroPoint, *int4) : Floats(32);
        for (std::size_t i = 0; i < 32; ++i) {
            float const e = toFloat(decode(formats::f16, q4->scales[0]));
            ASSERT_TRUE(sameFloat(fours[i], float(q4->codes[i] - 8) * e));
            if (!int4) continue;
            float const steps = float(int4->codes[i] - int4->zeros[0]);
            ASSERT_TRUE(sameFloat(spans[i], steps * asFloat(int4->scales[0])));
        }
    }
    // 3 * 448 * t has 26 bits for this t: two roundings in a row would give another float.
    Quantized q{Codes(16, 5), {0x7E}, {}, asFloat(0x3F800003)};
    EXPECT_EQ(dequantize(codecs::nvfp4, q)[0], float(3.0 * 448 * double(q.tensor)));
}

/// Quantising what was read back gives the codes that were read, where `counts` says it should.
bool isIdempotent(
    Codec const& c, std::vector<Floats> const& rows, float tensor = 1,
    std::span<float const> scales = {},
    std::function<bool(Quantized const&)> const& counts = [](auto const&) { return true; }) {
    Given const given{.scales = scales, .tensor = tensor};
    for (auto const& row : rows) {
        Quantized first;
        try {
            first = quantize(c, row, given);
        } catch (ShapeError const&) {
            continue;
        }
        auto const stored = first.scales.empty() ? whole(1)
                                                 : decode(c.scaleFormat, first.scales[0]);
        if (c.scaleFormat == formats::f16 && (stored.isZero() || stored.kind != Kind::finite))
            continue;
        if (c.scaleFormat == formats::f32 && stored.lead() < -120) continue;  // subnormal products
        auto const values = dequantize(c, first);
        if (std::any_of(values.begin(), values.end(), [](float x) { return std::isinf(x); }) &&
            c.scale != ScaleRule::none)
            continue;
        if (counts(first) && quantize(c, values, given).codes != first.codes) return false;
    }
    return true;
}

TEST(Quantize, reading_and_storing_again_changes_no_code) {
    float const scale = fraction(3, 7);
    std::vector<Floats> const some(groups(32).begin(), groups(32).begin() + 600);
    for (auto const& c : {codecs::f16, codecs::bf16, codecs::int8PerToken, codecs::q8_0,
                          codecs::int8PerTokenHead, codecs::q8_0Avx, codecs::q8_0Neon,
                          codecs::q4_0, codecs::mxfp4, codecs::mxfp8e4m3, codecs::mxfp8e5m2})
        EXPECT_TRUE(isIdempotent(c, some)) << c.name;
    for (auto const& c : {codecs::e4m3, codecs::e5m2, codecs::e4m3fnuz})
        EXPECT_TRUE(isIdempotent(c, some, 1, {&scale, 1})) << c.name;
    EXPECT_TRUE(isIdempotent(codecs::int8PerChannel, some, 1, Floats(32, scale)));
    auto const normalScale = [](Quantized const& q) { return q.scales[0] >= 8; };
    auto const wholeSpan = [](Quantized const& q) { return std::ranges::count(q.codes, 15) > 0; };
    EXPECT_TRUE(isIdempotent(codecs::nvfp4, groups(16), 1, {}, normalScale));
    EXPECT_TRUE(isIdempotent(codecs::nvfp4, groups(16), fraction(1, 300), {}, normalScale));
    EXPECT_FALSE(isIdempotent(codecs::nvfp4, groups(16)));
    EXPECT_TRUE(isIdempotent(codecs::int4ZeroPoint, some, 1, {}, wholeSpan));
    EXPECT_FALSE(isIdempotent(codecs::int4ZeroPoint, some));
}

TEST(Quantize, where_storing_again_changes_codes) {
    // NVFP4: 9.6 / 6 units of the smallest scale become 2 units; the 4 read back asks for 1 unit.
    Floats row(16, 0);
    row[3] = std::ldexp(fraction(96, 10), -9);
    auto const first = quantize(codecs::nvfp4, row);
    auto const second = quantize(codecs::nvfp4, dequantize(codecs::nvfp4, first));
    EXPECT_EQ(first.scales[0], 2u);
    EXPECT_EQ(first.codes[3], 6);   // 4
    EXPECT_EQ(second.scales[0], 1u);
    EXPECT_EQ(second.codes[3], 7);  // 6, for 8
    // Zero points: a span of 15 whose ends are both ties keeps 14 steps.
    Floats ends(32, 0);
    ends[0] = fraction(-5, 2), ends[1] = fraction(25, 2);
    auto const wide = quantize(codecs::int4ZeroPoint, ends);
    auto const narrow = quantize(codecs::int4ZeroPoint, dequantize(codecs::int4ZeroPoint, wide));
    EXPECT_EQ(wide.codes[1], 14);
    EXPECT_EQ(narrow.codes[1], 15);
}

// Known answers, by hand from the standards.

Floats halves(std::initializer_list<int> list, std::size_t length) {
    Floats row(length, 0);
    std::transform(list.begin(), list.end(), row.begin(), [](int n) { return fraction(n, 2); });
    return row;
}
Codes padded(Codes codes, std::size_t length) {
    codes.resize(length);
    return codes;
}

TEST(Quantize, mxfp4_by_hand) {
    // The largest is 15 = 1.875 * 2^3, that of e2m1 is 1.5 * 2^2: the scale is 2^(3 - 2).
    auto const q = quantize(codecs::mxfp4, halves({30, 26, 18, 20, 6, 1, 3, 5, 7, 10, 14, 28, -26,
                                                   -1, -2, 12, 8}, 32));
    // Over the scale: 7.5, 6.5, 4.5, 5, 1.5, .25, .75, 1.25, 1.75, 2.5, 3.5, 7, -6.5, -.25, -.5,
    // 3, 2. Ties: 5 to 4, .25 to 0, .75 to 1, 1.25 to 1, 1.75 to 2, 2.5 to 2, 3.5 to 4.
    EXPECT_EQ(q.scales, std::vector<std::uint32_t>{128});
    EXPECT_EQ(q.codes, padded({7, 7, 6, 6, 3, 0, 2, 2, 4, 4, 6, 7, 15, 8, 9, 5, 4}, 32));
    auto const values = dequantize(codecs::mxfp4, q);
    EXPECT_EQ(values[0], 12);
    EXPECT_EQ(values[4], 3);
    EXPECT_EQ(values[12], -12);
}

TEST(Quantize, mxfp8_by_hand) {
    // 1 = 2^0; the largest of e4m3 is 1.75 * 2^8: the scale is 2^-8. 31/16 saturates at 448.
    Floats row(32, 0);
    row[0] = 1, row[1] = fraction(31, 16), row[2] = fraction(7, 4), row[3] = -fraction(29, 16);
    row[4] = fraction(1, 256), row[5] = fraction(1, 1 << 18), row[6] = fraction(3, 1 << 18);
    auto const q = quantize(codecs::mxfp8e4m3, row);
    EXPECT_EQ(q.scales, std::vector<std::uint32_t>{119});
    // 256, 496, 448, -464 (a tie, to 448), 1, 2^-10 (a tie, to 0), 3 * 2^-10 (a tie, to 2 * 2^-9)
    EXPECT_EQ(q.codes, padded({0x78, 0x7E, 0x7E, 0xFE, 0x38, 0, 2}, 32));
    // The largest of e5m2 is 1.75 * 2^15: the scale is 2^-15.
    Floats other(32, 0);
    other[0] = 1, other[1] = fraction(15, 8), other[2] = fraction(-13, 8);
    other[3] = fraction(9, 8);
    auto const r = quantize(codecs::mxfp8e5m2, other);
    EXPECT_EQ(r.scales, std::vector<std::uint32_t>{112});
    // 32768, 61440 (saturates at 57344), -53248 (a tie, to 49152), 36864 (a tie, to 32768)
    EXPECT_EQ(r.codes, padded({0x78, 0x7B, 0xFA, 0x78}, 32));
}

TEST(Quantize, nvfp4_by_hand) {
    // 12 / 6 = 2, over a tensor's scale of 1/2: 4, which e4m3 holds; elements are divided by 2.
    auto const half = fraction(1, 2);
    auto const q = quantize(codecs::nvfp4, halves({24, 2, -6, 20, 10, 3, 1}, 16), {{}, half});
    EXPECT_EQ(q.scales, std::vector<std::uint32_t>{0x48});
    EXPECT_EQ(q.codes, padded({7, 1, 11, 6, 4, 2, 0}, 16));  // 6, .5, -1.5, 5 (tie), 2.5, .75, .25
    EXPECT_EQ(dequantize(codecs::nvfp4, q)[2], -3);
    EXPECT_EQ(q.tensor, half);
}

TEST(Quantize, groups_of_zeros) {
    Floats const zeros(32, 0);
    for (auto const& c : {codecs::q8_0, codecs::q8_0Avx, codecs::int8PerToken, codecs::mxfp4,
                          codecs::int4ZeroPoint}) {
        auto const q = quantize(c, zeros);
        EXPECT_EQ(q.codes, Codes(32, 0)) << c.name;
        EXPECT_EQ(q.scales[0], 0u) << c.name;
        EXPECT_EQ(dequantize(c, q), zeros) << c.name;
    }
    EXPECT_EQ(quantize(codecs::q4_0, zeros).codes, Codes(32, 8));
    EXPECT_EQ(quantize(codecs::q4_0, zeros).scales[0], 0x8000u);  // 0 / -8
    EXPECT_EQ(quantize(codecs::int8PerTokenHead, zeros).scales[0], bitsOf(float(1) / 1000000));
    EXPECT_EQ(quantize(codecs::nvfp4, Floats(16, 0)).codes, Codes(16, 0));
}

TEST(Quantize, refusals_say_what_and_where) {
    Floats const row(32, 1);
    auto const with = [&](float x) {
        Floats v = row;
        v[5] = x;
        return v;
    };
    auto const said = [](Codec const& c, Floats const& v, Given const& given = {}) {
        return refusal([&] { quantize(c, v, given); });
    };
    float const two[] = {1, 2}, none[] = {0};
    EXPECT_EQ(said(codecs::q8_0, Floats(40)),
              "q8_0: a row of 40 elements; it takes multiples of 32, at least one");
    EXPECT_EQ(said(codecs::int8PerToken, {}),
              "int8PerToken: a row of 0 elements; it takes multiples of 1, at least one");
    EXPECT_EQ(said(codecs::q8_0, with(nan)),
              "q8_0: NaN at element 5; its codes are of finite numbers");
    EXPECT_EQ(said(codecs::mxfp8e4m3, with(-inf)),
              "mxfp8e4m3: an infinity at element 5; its codes are of finite numbers");
    EXPECT_EQ(said(codecs::e4m3, row, {two}), "e4m3: 2 scales given; it takes 1");
    EXPECT_EQ(said(codecs::q8_0, row, {two}), "q8_0: 2 scales given; it takes 0");
    EXPECT_EQ(said(codecs::e4m3, row, {none}),
              "e4m3: a scale that is no positive number; give one");
    EXPECT_EQ(said(codecs::nvfp4, row, {{}, nan}),
              "nvfp4: a tensor's scale that is no positive number; give one");
    EXPECT_EQ(said(codecs::q8_0, row, {{}, 2}), "q8_0: a tensor's scale, where it has none");
    EXPECT_EQ(said(codecs::q8_0, Floats(32, std::ldexp(float(1), -122))),
              "q8_0: a scale, or its reciprocal, beyond f32; its codes are undefined");
    Floats ends = with(asFloat(0x7F7FFFFF));
    ends[6] = -ends[5];
    EXPECT_EQ(said(codecs::int4ZeroPoint, ends),
              "int4ZeroPoint: a scale, or its reciprocal, beyond f32; its codes are undefined");
    EXPECT_EQ(said(codecs::f16, with(nan)), "");
    EXPECT_EQ(quantize(codecs::f16, with(nan)).codes[5], 0x7E00);
    EXPECT_EQ(quantize(codecs::f16, with(-inf)).codes[5], 0xFC00);
    EXPECT_EQ(quantize(codecs::e4m3, with(inf), {{two, 1}}).codes[5], 0x7E);
    auto q = quantize(codecs::q4_0, row);
    q.codes[7] = 16;
    EXPECT_EQ(refusal([&] { dequantize(codecs::q4_0, q); }), "q4_0: code 16; it is out of range");
    q.scales.clear();
    EXPECT_EQ(refusal([&] { dequantize(codecs::q4_0, q); }),
              "q4_0: scales or zeros that are not one a group; it has 1 groups");
}

TEST(Quantize, rotations_are_exact_or_refused) {
    Orthogonal const four{.size = 4, .down = 1}, big{.size = 64, .down = 3};
    EXPECT_EQ(turned(four, Floats{8, 0, 0, 0}), (Floats{4, 4, 4, 4}));
    EXPECT_EQ(turned(four, Floats{1, 2, 3, 4}), (Floats{5, -1, -2, 0}));
    Random random(5);
    Floats row;
    for (int i = 0; i < 128; ++i) row.push_back(float(int(random() % 2001) - 1000));
    auto const there = turned(big, row);
    EXPECT_EQ(undone(big, there), row);
    double before = 0, after = 0;  // orthogonal: no length changes
    for (std::size_t i = 0; i < 64; ++i) before += double(row[i]) * row[i];
    for (std::size_t i = 0; i < 64; ++i) after += double(there[i]) * there[i];
    EXPECT_EQ(before, after);
    for (std::size_t i = 0; i < 64; ++i) {  // the definition, in whole numbers
        int sum = 0;
        for (std::size_t j = 0; j < 64; ++j)
            sum += (std::popcount(i & j) % 2 != 0 ? -1 : 1) * int(row[j]);
        ASSERT_EQ(there[i], std::ldexp(float(sum), -3));
    }
    // Data: a turn by a quarter, undone by its transpose.
    float const quarter[] = {0, -1, 1, 0};
    Orthogonal const data{.size = 2, .down = 0, .matrix = quarter};
    EXPECT_EQ(turned(data, Floats{3, 5}), (Floats{-5, 3}));
    EXPECT_EQ(undone(data, Floats{-5, 3}), (Floats{3, 5}));
    // A spike of 127 * 16 is spread: every code is used, and what is read is what was written.
    auto const codec = rotatedBy(codecs::int8PerToken, {.size = 16, .down = 2});
    Floats spike(16, 0);
    spike[5] = 127 * 4;
    auto const q = quantize(codec, spike);
    EXPECT_EQ(std::abs(q.codes[0]), 127);
    EXPECT_EQ(dequantize(codec, q), spike);
    auto const said = [](Orthogonal const& o, Floats const& v) {
        return refusal([&] { turned(o, v); });
    };
    EXPECT_EQ(said(four, Floats{1, asFloat(0x3F800001), 0, 0}),
              "a rotation that f32 cannot add exactly in every order: terms from 2^0 down to units "
              "of 2^-23; give multiples of one unit, in all 2^24");
    EXPECT_EQ(said(four, Floats{1, 2, nan, 0}), "a rotation of a row with infinities or NaN");
    EXPECT_EQ(said(four, Floats(6)), "a row of 6 elements; the rotation takes multiples of 4");
    EXPECT_EQ(said({.size = 6}, Floats(6)),
              "a rotation of size 6; a power of two, or a matrix of size * size numbers");
    EXPECT_EQ(said({.size = 4, .down = 3}, Floats(4)),
              "a rotation by 2^-3; 0 to log2 of the size for Hadamard, 0 for a matrix");
    EXPECT_NE(said(four, Floats{asFloat(1), 0, 0, 0}), "");  // subnormal: an engine may flush it
}

// The same checks, on formats and codecs with one field wrong.

TEST(Mutants, of_formats_are_rejected) {
    auto const mutated = [](Format f, auto change) {
        change(f);
        return f;
    };
    std::vector<Format> all(std::begin(small), std::end(small));
    all.insert(all.end(), std::begin(wide), std::end(wide));
    for (auto const& f : all) {
        auto const rejected = [&](auto change) {
            return !isTheStandards(mutated(f, change), f.name);
        };
        EXPECT_TRUE(isTheStandards(f, f.name)) << f.name;
        EXPECT_TRUE(rejected([](Format& m) { ++m.bias; })) << f.name;
        EXPECT_TRUE(rejected([](Format& m) { --m.bias; })) << f.name;
        if (f == formats::e8m0) continue;
        EXPECT_TRUE(rejected([](Format& m) { ++m.exponentBits, --m.mantissaBits; })) << f.name;
        EXPECT_TRUE(rejected([](Format& m) { --m.exponentBits, ++m.mantissaBits; })) << f.name;
        for (auto special : {Special::ieee, Special::onlyAllOnes, Special::onlyMinusZero,
                             Special::none, Special::scaleOnly}) {
            if (special == f.special) continue;
            EXPECT_TRUE(rejected([=](Format& m) { m.special = special; }))
                << f.name << int(special);
        }
        for (auto asked : {Round::nearestAway, Round::towardZero})
            EXPECT_FALSE(f.mantissaBits < 7 && roundsToNearest(f, f, Round::nearestEven, asked))
                << f.name << int(asked);
    }
    auto wrong = formats::f16;
    EXPECT_FALSE(roundsToNearest(saturating(formats::e4m3fn), formats::e4m3fn, Round::nearestEven,
                                 Round::nearestEven));
    if (!hasHalf()) GTEST_SKIP() << "this processor has no F16C conversions to compare with";
    EXPECT_FALSE(isHardwaresHalf(formats::f16, Round::nearestAway, 65521));
    EXPECT_FALSE(isHardwaresHalf(formats::f16, Round::towardZero, 65521));
    wrong.bias = 16;
    EXPECT_FALSE(isHardwaresHalf(wrong, Round::nearestEven, 65521));
    wrong = saturating(formats::f16);
    EXPECT_FALSE(isHardwaresHalf(wrong, Round::nearestEven, 65521));
}

/// A codec with one field wrong, what was changed, and the codec that it was.
struct Mutant {
    std::string change;
    Codec codec;
};

std::vector<Mutant> mutantsOf(Codec const& c, float tensor) {
    std::vector<Mutant> all;
    auto const add = [&](std::string change, auto edit) {
        Codec m = c;
        edit(m);
        all.push_back({std::string(c.name) + ", " + std::move(change), m});
    };
    for (auto r : {Round::nearestEven, Round::nearestAway, Round::towardZero})
        if (r != c.rounding)
            add("rounding " + std::to_string(int(r)), [=](Codec& m) { m.rounding = r; });
    if (c.scale != ScaleRule::powerOfTwo) {
        add("divisor + 1", [](Codec& m) { ++m.divisor; });
        add("scale as bf16", [](Codec& m) { m.scaleFormat = formats::bf16; });
        add("no scale", [](Codec& m) { m.scale = ScaleRule::none; });
    }
    auto const other = c.basis == Basis::stored ? Basis::computed : Basis::stored;
    if (c.scaleFormat != formats::f32 && c.scale == ScaleRule::largest &&
        c.division != Division::inverse)
        add("basis", [=](Codec& m) { m.basis = other; });
    for (auto d : {Division::divide, Division::reciprocal, Division::inverse})
        if (d != c.division && c.scale == ScaleRule::largest)
            add("division " + std::to_string(int(d)), [=](Codec& m) { m.division = d; });
    if (std::holds_alternative<Integers>(c.element)) {
        auto const n = std::get<Integers>(c.element);
        auto const with = [&](std::string change, Integers codes) {
            add(std::move(change), [=](Codec& m) { m.element = codes; });
        };
        with("highest - 1", {n.lowest, n.highest - 1, n.zero, n.addsHalf});
        with("zero + 1", {n.lowest, n.highest, n.zero + 1, n.addsHalf});
        if (n.addsHalf) with("adds no half", {n.lowest, n.highest, n.zero, false});
    } else {
        for (auto const& f : {formats::e2m1, formats::e4m3fn, formats::e5m2})
            if (saturating(f) != std::get<Format>(c.element))
                add("element " + std::string(f.name),
                    [=](Codec& m) { m.element = saturating(f); });
    }
    if (c.group == 32) add("group", [](Codec& m) { m.group = 16; });
    if (c.leastScale != 0) add("no least scale", [](Codec& m) { m.leastScale = 0; });
    if (tensor != 1) add("no tensor scale", [](Codec& m) { m.tensorScale = false; });
    if (c.scale == ScaleRule::signedLargest)
        add("unsigned", [](Codec& m) { m.scale = ScaleRule::largest; });
    return all;
}

TEST(Mutants, of_codecs_are_rejected) {
    std::size_t count = 0;
    for (auto const& [codec, engine, tensor] : pairs())
        for (auto const& [change, mutant] : mutantsOf(codec, tensor)) {
            EXPECT_FALSE(agrees(mutant, engine, groups(codec.group), tensor)) << change;
            ++count;
        }
    EXPECT_GT(count, 80u);
    auto truncated = codecs::int8PerTokenHead;  // vllm pull request 45361
    truncated.rounding = Round::towardZero;
    EXPECT_FALSE(agrees(truncated, engineInt8Head, groups(32)));
}

}  // namespace

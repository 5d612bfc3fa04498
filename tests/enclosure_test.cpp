// The enclosure of an attention output must hold what every conforming engine computes, and little
// else. Engines in miniature are run on the same rows as the spec text.
#include "tests/conforming.hpp"

#include <gtest/gtest.h>

#include <cstdio>

namespace {

using namespace kv;
using namespace kv::conforming;

TEST(Enclosure, holdsEveryConformingEngine) {
    Random random(1);
    std::size_t runs = 0, escapes[families] = {}, components = 0, exact = 0, undefined = 0;
    for (int i = 0; i < 5100; ++i) {
        auto const family = Family(i % families);
        auto const p = problemOf(family, random);
        auto const e = enclose(p);
        auto const text = attend<float>(p, [](float x) { return x; });
        Floats written;
        for (std::size_t c = 0; c < p.e; ++c) written.push_back(text[c]);
        escapes[int(family)] += accepts(e, written) ? 0 : 1;
        for (std::size_t c = 0; c < p.e; ++c) {
            exact += single(e[c]) ? 1 : 0;
            undefined += e[c].isUndefined() ? 1 : 0;
            ++components;
        }
        for (int k = 0; k < 10; ++k) {
            auto const style = randomStyle(random, *p.numerics);
            bool const holds = accepts(e, Engine(p, style).run());
            escapes[int(family)] += holds ? 0 : 1;
        }
        runs += 11;
    }
    for (int f = 0; f < families; ++f) EXPECT_EQ(escapes[f], 0u) << "family " << f;
    EXPECT_EQ(undefined, 0u) << "an enclosure that accepts everything tests nothing";
    std::printf("%zu runs, %zu of %zu components have one accepted float\n", runs, exact,
                components);
}

/// The same for each declared precision, and for sums of declared shape.
TEST(Enclosure, holdsEveryEngineOfEverySemantics) {
    Random random(12);
    for (auto const& semantics : everySemantics()) {
        std::size_t escapes = 0, runs = 0, exact = 0, undefined = 0, components = 0;
        for (int i = 0; i < 60; ++i) {
            auto const p = problemFor(semantics.numerics, random);
            auto const e = enclose(p);
            for (std::size_t c = 0; c < p.e; ++c) {
                exact += single(e[c]) ? 1 : 0;
                undefined += e[c].isUndefined() ? 1 : 0;
                ++components;
            }
            for (int k = 0; k < 8; ++k, ++runs)
                escapes += accepts(e, Engine(p, randomStyle(random, *p.numerics)).run()) ? 0 : 1;
        }
        std::printf("%-42s %zu runs, one answer in %zu of %zu, undefined %zu\n",
                    semantics.name.c_str(), runs, exact, components, undefined);
        EXPECT_EQ(escapes, 0u) << semantics.name;
    }
}

/// What is exact is kept as plain numbers, and that changes nothing.
TEST(Enclosure, ofARowOfNumbersIsThatOfItsElements) {
    Random random(13);
    for (auto const family : {Family::normal, Family::exactScores, Family::zeros, Family::outlier})
        for (int i = 0; i < 50; ++i) {
            auto p = drawn(random, 1 + below(random, 40), 1 + below(random, 40), 1);
            strainScores(p, family, random);
            p.numerics = &formOf(usual, random);
            std::vector<Enclosure> query, key;
            auto const lifted = [&](Floats const& x, std::vector<Enclosure>& plain) {
                for (std::size_t c = 0; c < p.d; ++c) plain.push_back(exactly(x[c], *p.numerics));
                return tabulate(Dyn{p.d}, [&](std::size_t c) { return plain[c]; });
            };
            auto const queryRow = lifted(p.q, query), keyRow = lifted(p.k, key);
            ASSERT_TRUE(queryRow.isExact() && keyRow.isExact());
            auto const one = Reduce<Enclosure>::dot(queryRow, keyRow);
            auto const other = Reduce<Enclosure>::dot(query, key);
            EXPECT_EQ(one.radius == 0, other.radius == 0);
            EXPECT_LE(one.low(), other.center);
            EXPECT_LE(other.center, one.high());
            EXPECT_LE(other.low(), one.center);
            EXPECT_LE(one.center, other.high());
            // The same sums in another order, each of positive doubles.
            EXPECT_LE(one.radius, other.radius * (1 + slack));
            EXPECT_LE(other.radius, one.radius * (1 + slack));
            EXPECT_LE(one.flushed, other.flushed * (1 + slack));
            EXPECT_LE(other.flushed, one.flushed * (1 + slack));
        }
}

TEST(Enclosure, ofARowKeepsWhatIsMoreThanANumber) {
    auto row = Seq<Enclosure, Dyn>::ofSize(Dyn{3});
    Numerics const other = numericsF32;
    for (std::size_t i = 0; i < 3; ++i) row[i] = exactly(double(i) + 1, other);
    EXPECT_TRUE(row.isExact());
    EXPECT_EQ(row.numbers().back(), 3);
    EXPECT_EQ(row[2], exactly(3, other));
    auto const before = row;
    row[1] = Enclosure{2, 3, 0, &other};
    EXPECT_FALSE(row.isExact());
    EXPECT_EQ(row[0], exactly(1, other));
    EXPECT_EQ(row[1].radius, 3);
    EXPECT_FALSE(row == before);
    row = before;
    row[0] = exactly(1, numericsF32);
    EXPECT_FALSE(row.isExact()) << "two kinds of arithmetic in one row";
    auto zeros = Seq<Enclosure, Dyn>::ofSize(Dyn{2});
    zeros[0] = exactly(0, other);
    zeros[1] = exactly(1, numericsF32);
    EXPECT_EQ(zeros[0].numerics, &other);
    EXPECT_EQ(zeros[1].numerics, &numericsF32);
    EXPECT_EQ(row[0].numerics, &numericsF32);
    EXPECT_EQ(row[2].numerics, &other);
    EXPECT_THROW(row[3], std::out_of_range);
    EXPECT_THROW(std::as_const(row)[3], std::out_of_range);
    EXPECT_THROW(before[3], std::out_of_range);
}

/// A column with an open value is bounded as if its row had been given element by element.
TEST(Enclosure, ofAMeanNeedsNoExactRow) {
    Random random(14);
    for (int i = 0; i < 50; ++i) {
        auto p = drawn(random, 1 + below(random, 20), 4, 2);
        p.numerics = &formOf(usual, random);
        auto const e = enclose(p);
        // One component more, which is open, leaves the others as they were.
        std::vector<Seq<Enclosure, Dyn>> values;
        for (std::size_t j = 0; j < p.n; ++j)
            values.push_back(tabulate(Dyn{3}, [&](std::size_t c) {
                return c < 2 ? exactly(p.v[j * 2 + c], *p.numerics)
                             : Enclosure{0, 1, 0, p.numerics};
            }));
        auto const wider = attend<Enclosure>(
            p, [&](float x) { return exactly(x, *p.numerics); },
            [&](std::size_t j) -> auto const& { return values[j]; });
        EXPECT_EQ(wider[0], e[0]);
        EXPECT_EQ(wider[1], e[1]);
        EXPECT_GE(wider[2].radius, 1);
    }
}

/// Every engine must return this, bit for bit, and the enclosure must know it.
void expectExactly(Problem const& p, Floats const& wanted, Random& random) {
    auto const e = enclose(p);
    for (std::size_t c = 0; c < p.e; ++c) {
        EXPECT_TRUE(single(e[c])) << "n " << p.n << ", radius " << e[c].radius;
        EXPECT_EQ(nearestFloat(e[c].low()), wanted[c]);
    }
    for (int k = 0; k < 20; ++k) {
        auto const style = randomStyle(random, *p.numerics);
        EXPECT_EQ(Engine(p, style).run(), wanted) << "n " << p.n << ", form " << int(style.form);
    }
}
Floats rowOf(Problem const& p, std::size_t j) {
    auto const begin = p.v.begin() + std::ptrdiff_t(j * p.e);
    return {begin, begin + std::ptrdiff_t(p.e)};
}
/// X1: bit i of slot j is -1 on rail 2i + bit; a query asks the other rail, so that only the slot
/// whose code matches scores 0. Each wrong bit costs `gap`.
Problem dualRail(Random& random, std::size_t n, std::size_t target, int gap) {
    std::size_t const codeBits = std::max<std::size_t>(1, std::size_t(std::bit_width(n - 1)));
    auto p = drawn(random, n, 2 * codeBits, 3);
    std::fill(p.q.begin(), p.q.end(), 0.f);
    std::fill(p.k.begin(), p.k.end(), 0.f);
    for (std::size_t i = 0; i < codeBits; ++i) {
        p.q[2 * i + 1 - (target >> i & 1)] = float(gap) / p.scale;
        for (std::size_t j = 0; j < n; ++j) p.k[j * p.d + 2 * i + (j >> i & 1)] = -1;
    }
    return p;
}

TEST(Enclosure, ofAOneHotReadIsTheStoredValue) {
    Random random(2);
    for (std::size_t n = 1; n <= 40; ++n)
        for (std::size_t target = 0; target < n; target += 1 + below(random, 5)) {
            auto p = dualRail(random, n, target, 150);
            p.v[target * p.e] = 0;
            p.numerics = &formOf(usual, random);
            expectExactly(p, rowOf(p, target), random);
        }
}

TEST(Enclosure, ofAOneHotReadAbsorbsWhatIsFarBelow) {
    Random random(3);
    for (std::size_t n = 2; n <= 40; ++n) {
        auto p = dualRail(random, n, n - 1, 60);
        expectExactly(p, rowOf(p, n - 1), random);
        // A value of 0 absorbs nothing: the others show through, and engines differ.
        p.v[(n - 1) * p.e] = 0;
        auto const e = enclose(p);
        EXPECT_FALSE(single(e[0]));
        for (int k = 0; k < 20; ++k) {
            auto const style = randomStyle(random, *p.numerics);
            EXPECT_TRUE(accepts(e, Engine(p, style).run()));
        }
    }
}

TEST(Enclosure, ofIntegerCodesIsTheStoredValue) {
    Random random(4);
    for (std::size_t n = 1; n <= 64; ++n) {
        auto const target = below(random, n);
        auto p = drawn(random, n, 3, 3);
        float const a = 300, t = float(target);
        p.q = {-a, 2 * a * t, -a * t * t};
        for (std::size_t j = 0; j < n; ++j) {
            p.k[3 * j] = float(j * j);
            p.k[3 * j + 1] = float(j);
            p.k[3 * j + 2] = 1;
        }
        // Where the scale is put on the query its score is only nearly 0: no probe when fused.
        p.numerics = coin(random) ? &usual.plain : &usual.merged;
        expectExactly(p, rowOf(p, target), random);
    }
}

TEST(Enclosure, ofAMeanOverAPowerOfTwoIsTheMean) {
    Random random(5);
    for (std::size_t n = 1; n <= 256; n *= 2) {
        auto p = drawn(random, n, 4, 3);
        std::fill(p.q.begin(), p.q.end(), 0.f);
        Floats wanted(p.e);
        for (std::size_t i = 0; i < p.v.size(); ++i) {
            p.v[i] = float(below(random, 2001)) - 1000;
            wanted[i % p.e] += p.v[i];
        }
        for (auto& w : wanted) w /= float(n);
        expectExactly(p, wanted, random);
        // log(2^k) is rounded, so parts that are merged by log-sum-exp give no such mean.
        p.numerics = &usual.merged;
        auto const e = enclose(p);
        EXPECT_EQ(single(e[0]), n == 1);
        for (int k = 0; k < 20; ++k)
            EXPECT_TRUE(accepts(e, Engine(p, randomStyle(random, *p.numerics)).run())) << n;
    }
}

/// A form that was not declared shows: fused where the largest score is not 0, merged in a mean.
TEST(Enclosure, convictsAnUndeclaredForm) {
    Random random(11);
    std::size_t fused = 0, merged = 0;
    for (int i = 0; i < 300; ++i) {
        auto p = drawn(random, 16, 1, 3);
        p.scale = p.q[0] = 1;
        for (std::size_t j = 0; j < p.n; ++j) p.k[j] = j == 3 ? 2001 : 1001;
        auto style = randomStyle(random, usual.fused);
        style.exp = Exp::fused;
        fused += accepts(enclose(p), Engine(p, style).run()) ? 0 : 1;
        p = drawn(random, 16, 4, 3);
        std::fill(p.q.begin(), p.q.end(), 0.f);
        for (auto& v : p.v) v = float(below(random, 2001)) - 1000;
        style = randomStyle(random, usual.plain);
        style.form = Form::merged;
        p.numerics = &usual.merged;  // it merges, and the spec is not told
        auto const y = Engine(p, style).run();
        p.numerics = &usual.plain;
        merged += accepts(enclose(p), y) ? 0 : 1;
    }
    std::printf("of 300 each: undeclared fusing %zu, undeclared merging %zu\n", fused, merged);
    EXPECT_GT(fused, 0u);
    EXPECT_GT(merged, 0u);
}

/// A weight that the denominator loses is missing from the mean all the same: where sums are
/// truncated it may be more than half of the last place of the output.
TEST(Enclosure, ofAWeightThatTheDenominatorLosesHoldsTheEngine) {
    static constexpr Numerics truncating = [] {
        auto n = numericsF32Plain;
        n.rounding = OperationRounding::towardZero;
        return n;
    }();
    Random random(13);
    for (int i = 0; i < 200; ++i) {
        Problem const p{2, 1, 1, 1, {1}, {0, -17}, {1 - power(-14), 0}, &truncating};
        EXPECT_TRUE(accepts(enclose(p), Engine(p, randomStyle(random, truncating)).run()));
    }
}

TEST(Enclosure, ofATieThatRoundsIsNotExact) {
    Random random(6);
    auto p = drawn(random, 2, 16, 1);
    std::copy_n(p.k.begin(), p.d, p.k.begin() + std::ptrdiff_t(p.d));
    EXPECT_FALSE(single(enclose(p)[0]));
}

Problem withoutLastRow(Problem p) {
    --p.n;
    return p;
}
Problem withOneMoreRow(Problem p, Random& random) {
    ++p.n;
    for (std::size_t i = 0; i < p.d; ++i) p.k.push_back(gauss(random));
    for (std::size_t c = 0; c < p.e; ++c) p.v.push_back(gauss(random));
    return p;
}
Problem withSwappedValues(Problem p) {
    for (std::size_t c = 0; c < p.e; ++c) std::swap(p.v[c], p.v[p.e + c]);
    return p;
}
Problem withAnotherScale(Problem p) {
    p.scale = float(1 / std::sqrt(double(p.d + 1)));
    return p;
}

TEST(Enclosure, convictsOneWrongRow) {
    Random random(7);
    std::size_t const cases = 300;
    std::size_t found[4] = {};
    for (std::size_t i = 0; i < cases; ++i) {
        auto const p = drawn(random, 2 + below(random, 15), 8, 4);
        auto const e = enclose(p);
        Problem const wrong[] = {withoutLastRow(p), withOneMoreRow(p, random),
                                 withSwappedValues(p), withAnotherScale(p)};
        for (std::size_t w = 0; w < 4; ++w) {
            auto const style = randomStyle(random, *p.numerics);
            found[w] += accepts(e, Engine(wrong[w], style).run()) ? 0 : 1;
        }
    }
    std::printf("of %zu: row dropped %zu, row added %zu, values swapped %zu, scale %zu\n", cases,
                found[0], found[1], found[2], found[3]);
    for (auto const f : found) EXPECT_GT(f, cases / 2);
}

/// Why the reductions are answered as a whole: a fold of the operators bounds one order only.
TEST(Enclosure, ofAFoldConvictsAConformingEngine) {
    Random random(8);
    std::size_t folded = 0, whole = 0;
    for (int i = 0; i < 500; ++i) {
        std::size_t const n = 512;
        Floats a(n), b(n);
        for (std::size_t j = 0; j < n; ++j) {
            a[j] = 1;
            b[j] = j % 2 == 0 ? gauss(random) * 1000 : gauss(random) - b[j - 1];
        }
        auto const at = [&](Floats const& x) {
            return tabulate(Dyn{n}, [&](std::size_t j) { return exactly(x[j], numericsF32); });
        };
        auto const fold = Reductions<Enclosure>::dot(at(a), at(b));
        auto const all = Reduce<Enclosure>::dot(at(a), at(b));
        std::shuffle(b.begin(), b.end(), random);
        float sum = 0;
        for (auto x : b) sum += x;
        folded += Agreement<float, Enclosure>::holds(sum, fold) ? 0 : 1;
        whole += Agreement<float, Enclosure>::holds(sum, all) ? 0 : 1;
    }
    std::printf("of 500 shuffled dots a fold convicts %zu, the reduction %zu\n", folded, whole);
    EXPECT_GT(folded, 0u);
    EXPECT_EQ(whole, 0u);
}

/// An engine in long double declares 64 bits; then nearly all of the radius is the error of the
/// oracle's own doubles.
TEST(Enclosure, holdsTheErrorOfItsOwnDoubles) {
    static constexpr Numerics extended = [] {
        auto n = everywhere({64, -16382, 16384}, numericsF32Plain);
        n.scoreRoundings = n.expUlps = n.normRoundings = 1;
        n.expFlushExponent = -16381;
        return n;
    }();
    Random random(9);
    double most = 0;
    for (int i = 0; i < 1700; ++i) {
        auto const p = problemOf(Family(i % families), random);
        auto const e = attend<Enclosure>(p, [](float x) { return exactly(x, extended); });
        auto const y = attend<long double>(p, [](float x) { return static_cast<long double>(x); });
        for (std::size_t c = 0; c < p.e; ++c) {
            EXPECT_GE(y[c], e[c].center - static_cast<long double>(e[c].radius)) << i;
            EXPECT_LE(y[c], e[c].center + static_cast<long double>(e[c].radius)) << i;
            if (e[c].radius == 0 || e[c].isUndefined()) continue;
            most = std::max(most, double(std::abs(y[c] - e[c].center)) / e[c].radius);
        }
    }
    std::printf("own error: at most %g of the radius\n", most);
}

TEST(Enclosure, isUndefinedWhereAnEngineMayOverflow) {
    auto const one = [](double x) { return exactly(x, numericsF32); };
    auto const large = tabulate(Dyn{2}, [&](std::size_t) { return one(powerOfTwo(100)); });
    auto const score = Reduce<Enclosure>::dot(large, large);
    EXPECT_TRUE(score.isUndefined());
    auto const zero = [&](std::size_t) { return one(0); };
    auto const rows = tabulate(Dyn{2}, [&](std::size_t j) {
        return tabulate(Dyn{1}, [&](std::size_t) { return one(j == 0 ? powerOfTwo(127) : 1); });
    });
    auto const values = [&](std::size_t j) -> auto const& { return rows[j]; };
    EXPECT_TRUE(Reduce<Enclosure>::softmaxMean(2, zero, values)[0].isUndefined());
    auto const nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE((Agreement<float, Enclosure>::holds(nan, score)));
    EXPECT_FALSE((Agreement<float, Enclosure>::holds(nan, one(1))));
    EXPECT_TRUE((Agreement<float, Enclosure>::holds(-0.f, one(0))));
    EXPECT_TRUE((score + one(1)).isUndefined() && (one(0) * score).isUndefined());
    EXPECT_TRUE((one(1) / one(0)).isUndefined() && Num<Enclosure>::exp(score).isUndefined());
}

/// R16: what lies between two floats is rounded to one of them, and no further.
TEST(Enclosure, acceptsTheRoundedEnds) {
    double third = 1;
    third /= 3;
    auto const accepts = [&](float y) {
        return Agreement<float, Enclosure>::holds(y, exactly(third, numericsF32));
    };
    auto const y = static_cast<float>(third);
    EXPECT_TRUE(accepts(y));
    EXPECT_FALSE(accepts(std::nextafter(y, 0.f)) || accepts(std::nextafter(y, 1.f)));
    EXPECT_TRUE(single(exactly(third, numericsF32)));
}

/// R14: what is normalised before it is rounded is flushed as a part of the whole.
TEST(Enclosure, holdsWeightsThatAreNormalisedBeforeTheyAreRounded) {
    Random random(14);
    static constexpr Numerics narrow = stages(precisions::f16, precisions::f32, precisions::f32);
    auto p = drawn(random, 80, 1, 1);
    p.scale = p.q[0] = 1;
    p.numerics = &narrow;
    for (std::size_t j = 0; j < p.n; ++j) {
        bool const isHeavy = j < 40;
        p.k[j] = isHeavy ? 0 : float(std::log(30 * powerOfTwo(narrow.weights.minExponent)));
        p.v[j] = isHeavy ? 0 : 1;
    }
    Style style;
    style.division = Division::first;
    style.flushes = true;
    auto const y = Engine(p, style).run();
    EXPECT_EQ(y[0], 0) << "nothing was flushed";
    EXPECT_TRUE(accepts(enclose(p), y));
    // 2^15 equal weights are each below the smallest normal number of f16.
    p = drawn(random, std::size_t{1} << 15, 1, 1);
    p.q[0] = 0;
    p.numerics = &narrow;
    for (auto& v : p.v) v = 1;
    EXPECT_TRUE(accepts(enclose(p), Engine(p, style).run()));
}

/// R17: an infinity in a narrow output is an overflow, and no interval that has grown too wide.
TEST(Enclosure, saysWhetherAnOutputOverflowsOrHasNoBound) {
    Random random(16);
    static constexpr Numerics narrow = stages(precisions::f32, precisions::f32, precisions::f16);
    static constexpr Numerics loose = [] {
        Numerics n = numericsF32;
        n.expUlps = 1u << 24;
        return n;
    }();
    auto p = drawn(random, 1, 1, 1);
    p.v[0] = 70000;
    p.numerics = &narrow;
    EXPECT_TRUE(enclose(p)[0].isOverflowed());
    p = drawn(random, 3, 4, 1);
    p.numerics = &loose;
    EXPECT_TRUE(enclose(p)[0].isUndefined() && !enclose(p)[0].isOverflowed());
}

/// R16: what is handed out may be flushed too, also where the mean itself is exact.
TEST(Enclosure, holdsAnOutputThatIsFlushed) {
    Random random(15);
    static constexpr Numerics narrow = stages(precisions::f32, precisions::f32, precisions::f16);
    auto p = drawn(random, 1, 1, 1);
    p.numerics = &narrow;
    p.v[0] = float(powerOfTwo(narrow.output.minExponent)) / 2;
    for (bool const flushes : {false, true}) {
        Style style;
        style.flushes = flushes;
        auto const y = Engine(p, style).run();
        EXPECT_EQ(y[0], flushes ? 0 : p.v[0]);
        EXPECT_TRUE(accepts(enclose(p), y));
    }
}

/// R16: an engine that declares an output of eight bits hands out no other numbers.
TEST(Enclosure, acceptsOnlyNumbersOfTheDeclaredOutput) {
    Random random(13);
    static constexpr Numerics narrow = stages(precisions::f32, precisions::f32, precisions::bf16);
    auto p = drawn(random, 200, 16, 1);
    p.numerics = &narrow;
    auto const e = enclose(p)[0];
    auto const holds = [&](double y) {
        return Agreement<float, Enclosure>::holds(float(y), e);
    };
    EXPECT_TRUE(holds(nearest(precisions::bf16, e.center)));
    // Also where several of its numbers are accepted: what lies between them is not.
    auto wide = e;
    wide.radius += 2 * lastPlace(precisions::bf16, e.center);
    double const number = nearest(precisions::bf16, e.center);
    double const between = number + lastPlace(precisions::bf16, number) / 2;
    EXPECT_TRUE((Agreement<float, Enclosure>::holds(float(number), wide)));
    EXPECT_FALSE((Agreement<float, Enclosure>::holds(float(between), wide)));
}

TEST(Enclosure, ofOneOperationHoldsTheFloat) {
    Random random(10);
    auto const one = [](float x) { return exactly(x, numericsF32); };
    auto const holds = [](float y, Enclosure const& e) {
        return Agreement<float, Enclosure>::holds(y, e);
    };
    for (int i = 0; i < 20000; ++i) {
        int const exponent = int(below(random, 60)) - 30;
        float const a = gauss(random) * power(exponent), b = gauss(random), c = gauss(random);
        EXPECT_TRUE(holds(a + b, one(a) + one(b)) && holds(a - b, one(a) - one(b)));
        EXPECT_TRUE(holds(a * b, one(a) * one(b)) && holds(a / b, one(a) / one(b)));
        EXPECT_TRUE(holds(std::exp(b), Num<Enclosure>::exp(one(b))));
        EXPECT_TRUE(holds((a + b) * c, (one(a) + one(b)) * one(c)));
        EXPECT_TRUE(holds(std::fma(a, b, c), one(a) * one(b) + one(c)));
        EXPECT_TRUE(holds(std::max(a * b, c), Num<Enclosure>::max(one(a) * one(b), one(c))));
        EXPECT_TRUE(holds(c * float(i), Num<Enclosure>::multiple(one(c), i)));
    }
    EXPECT_TRUE(single(one(3) * one(5)) && single(one(1) / one(8)) && !single(one(1) / one(3)));
}

}  // namespace

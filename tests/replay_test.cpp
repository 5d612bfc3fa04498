// Where an engine declares its schedule, the rounding of its weights is replayed: the enclosure
// must still hold every engine that keeps the declaration, and leave few answers else.
#include "tests/answers.hpp"

#include <gtest/gtest.h>

namespace {

using namespace kv;
using namespace kv::conforming;

/// One number for a row, so that nothing but its weight can be wrong.
Problem onBoundaries(Numerics const& numerics, Random& random) {
    auto p = drawnFor(numerics, random, 1 + below(random, 48), 1, 1);
    nearBoundary(p, numerics.weights, random);
    return p;
}

TEST(Replay, holdsWeightsAtABoundary) {
    Random random(1);
    for (auto const& semantics : replayedSemantics()) {
        ASSERT_TRUE(SoftmaxSchedule::isDeclared(semantics.numerics)) << semantics.name;
        std::size_t escapes = 0;
        for (int i = 0; i < 400; ++i) {
            auto const p = onBoundaries(semantics.numerics, random);
            auto const e = enclose(p);
            for (int k = 0; k < 8; ++k)
                escapes += accepts(e, Engine(p, randomStyle(random, *p.numerics)).run()) ? 0 : 1;
        }
        EXPECT_EQ(escapes, 0u) << semantics.name;
    }
}

/// Both bounds hold, so the narrower one is taken; what was exact stays exact.
TEST(Replay, widensNothing) {
    Random random(2);
    std::size_t narrower = 0;
    for (auto const& semantics : replayedSemantics())
        for (int i = 0; i < 40; ++i) {
            auto p = i % 2 == 0 ? problemFor(semantics.numerics, random)
                                : onBoundaries(semantics.numerics, random);
            auto const replayed = enclose(p);
            Numerics blocks = semantics.numerics;
            blocks.keyOrder = KeyOrder::any;
            p.numerics = &blocks;
            auto const wide = enclose(p);
            for (std::size_t c = 0; c < p.e; ++c) {
                EXPECT_EQ(replayed[c].isUndefined() && !wide[c].isUndefined(), false);
                if (wide[c].isUndefined()) continue;
                EXPECT_LE(replayed[c].radius, wide[c].radius) << semantics.name;
                narrower += replayed[c].radius < wide[c].radius ? 1 : 0;
            }
        }
    EXPECT_GT(narrower, 0u);
}

/// Of 4096 rows of normal numbers, the median output has one right value, and has had dozens.
TEST(Replay, leavesOneValueOfMost) {
    for (auto const& stored : answers::everyStored) {
        if (stored.codec != &codecs::bf16) continue;
        auto replayed = answers::answersOf(stored, answers::levels[2], 4096, 2, 1);
        auto blocks = answers::answersOf(stored, answers::levels[1], 4096, 1, 1);
        EXPECT_EQ(replayed.median(), 1) << stored.codec->name;
        EXPECT_GT(blocks.median(), 16) << stored.codec->name;
    }
}

/// One lane holds 1 and terms that it drops one by one, as many as a bound has to count.
TEST(Replay, ofALaneHoldsWhatItDrops) {
    Numerics n = numericsF32Plain;
    n.dotBlock = 8;
    n.scoreRoundings = 0;
    constexpr std::size_t terms = 128;
    float const unit = power(-24);
    Floats k(terms, 0);
    for (std::size_t i = 0; i < terms; i += n.dotBlock) k[i] = i == 0 ? 1 : unit;
    auto const lift = [&](float x) { return exactly(x, n); };
    auto const ones = tabulate(Dyn{terms}, [&](std::size_t) { return lift(1); });
    auto const row = tabulate(Dyn{terms}, [&](std::size_t i) { return lift(k[i]); });
    auto const e = Reduce<Enclosure>::dot(ones, row);
    float lane = 0;
    for (std::size_t i = 0; i < terms; i += n.dotBlock) lane += k[i];
    EXPECT_EQ(lane, 1.f);
    EXPECT_GT(e.center, 1.0);
    EXPECT_LE(e.low(), double(lane));
}

/// The same for the weighted values of blocks: each block, or each of its keys, adds what the sum
/// so far drops.
TEST(Replay, ofASumHoldsWhatLaterBlocksLose) {
    for (BlockSum const sums : {BlockSum::apart, BlockSum::inPlace}) {
        Numerics n = stages(precisions::bf16, precisions::f32, precisions::f32);
        n.keyOrder = KeyOrder::ascending;
        n.keyBlock = 4;
        n.weightSum = WeightSum::rounded;
        n.blockSum = sums;
        n.normRoundings = 0;
        n.scoreRoundings = 0;
        constexpr std::size_t rows = 128;  // all of weight 1, but for one that makes 127.5 of them
        Problem p{rows, 1, 1, 1, Floats(1, 1), Floats(rows, 0), Floats(rows, 0), &n};
        p.k[rows - 1] = -std::numbers::ln2_v<float>;
        bool const isApart = sums == BlockSum::apart;
        for (std::size_t j = 0; j < rows; ++j)
            p.v[j] = j == 0 ? 1 : j % 4 == 0 || !isApart ? power(-24) : 0;
        Style const style{.order = Order::forward, .form = Form::perBlock};
        EXPECT_TRUE(accepts(enclose(p), Engine(p, style).run())) << isApart;
    }
}

/// R3 is not owed by an engine that adds each key to all before it, whatever its blocks are.
TEST(Replay, ofBlocksInPlaceBoundsNoSums) {
    Numerics n = numericsF32Plain;
    n.keyBlock = 16;
    n.normRoundings = n.scoreRoundings = 0;
    constexpr std::size_t rows = 1024;
    Problem p{rows, 1, 1, 1, Floats(1, 1), Floats(rows, 0), Floats(rows, power(-24)), &n};
    p.k[rows - 1] = -std::numbers::ln2_v<float>;
    p.v[0] = 1;
    Style const style{.order = Order::forward, .form = Form::perBlock};
    EXPECT_TRUE(accepts(enclose(p), Engine(p, style).run()));
    n.blockSum = BlockSum::apart;
    auto const claimed = enclose(p);
    n.blockSum = BlockSum::inPlace;
    EXPECT_FALSE(accepts(claimed, Engine(p, style).run()));
}

}  // namespace

// lift_test: what the spec gets is what was declared, and turned as was declared.
#include "properties/lift.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace kv::tests {
namespace {

using properties::layerOf;
using properties::lift;

/// A layer in which every field differs from its default and from the others.
LayerDeclaration declared() {
    return {.queryHeads = 4,
            .kvHeads = 2,
            .keyDim = 6,
            .valueDim = 5,
            .scale = 3,
            .window = 7,
            .sinks = 1,
            .retained = 8,
            .keyStorage = KeyStorage::raw,
            .rotaryLayout = RotaryLayout::interleaved,
            .rotaryDim = 4,
            .cosine = {1, 1, std::cos(1.0f), std::cos(2.0f)},
            .sine = {0, 0, std::sin(1.0f), std::sin(2.0f)},
            .slopes = {-1, -2, -3, -4},
            .keyFormat = {},
            .valueFormat = {},
            .queryFormat = {},
            .numerics = {},
            .sinkLogits = std::vector<float>{5, 6, 7, 9},
            .chunk = 11};
}

std::vector<float> sampled(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<float> out(count);
    for (float& x : out) x = float(int(random() % 200'001) - 100'000) / 65'537;
    return out;
}

TEST(Lift, a_layer_carries_every_field) {
    auto const d = declared();
    auto const layer = layerOf(d, numericsF32);
    EXPECT_EQ(layer.queryHeads, 4u);
    EXPECT_EQ(layer.kvHeads, 2u);
    EXPECT_EQ(layer.keyDim, 6u);
    EXPECT_EQ(layer.valueDim, 5u);
    EXPECT_EQ(layer.scale, exactly(3, numericsF32));
    EXPECT_EQ(layer.mask.keys, 7u);
    EXPECT_EQ(layer.mask.sinks, 1u);
    EXPECT_EQ(layer.mask.chunk, 11u);
    EXPECT_EQ(layer.position.storage, KeyStorage::raw);
    EXPECT_EQ(layer.position.layout, RotaryLayout::interleaved);
    EXPECT_EQ(layer.position.rotaryDim, 4u);
    EXPECT_EQ(layer.position.slopes[3], exactly(-4, numericsF32));
    EXPECT_EQ(layer.sinkLogits[3], exactly(9, numericsF32));
    EXPECT_EQ(layer.position.table.cosine(1, 1).center, double(d.cosine[3]));
    EXPECT_EQ(layer.position.table.sine(1, 0).center, double(d.sine[2]));
    EXPECT_THROW(layer.position.table.cosine(2, 0), std::out_of_range);
    EXPECT_THROW(layer.position.table.cosine(0, 2), std::out_of_range);
    EXPECT_THROW(layer.position.table.sine(-1, 0), std::out_of_range);
}

TEST(Lift, a_row_is_exact_and_has_its_shape) {
    auto const row = sampled(12, 1);
    auto const lifted = lift(row, {2, 6}, numericsF32);
    for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t c = 0; c < 6; ++c)
            EXPECT_EQ(lifted[h][c], exactly(double(row[h * 6 + c]), numericsF32));
    EXPECT_THROW(lift(row, {3, 6}, numericsF32), ShapeError);
    EXPECT_EQ(properties::rowAt(row, {2, 3}, 1)[0], row[6]);
}

TEST(Lift, a_rotation_as_written_is_one_float) {
    Numerics numerics = numericsF32;
    auto const exact = layerOf<float>(declared(), numerics).position;
    auto const bounded = layerOf(declared(), numerics).position;
    for (unsigned seed = 0; seed < 100; ++seed)
        for (Position const by : {0, 1, -1}) {
            auto const row = sampled(12, seed);
            auto const want = rotateRow(exact, lift<float>(row, {2, 6}, numerics), by);
            auto const got = rotateRow(bounded, lift(row, {2, 6}, numerics), by);
            for (std::size_t h = 0; h < 2; ++h)
                for (std::size_t c = 0; c < 6; ++c)
                    EXPECT_EQ(got[h][c], exactly(double(want[h][c]), numerics));
        }
}

TEST(Lift, a_contracted_rotation_holds_both_ways_to_fuse) {
    Numerics numerics = numericsF32;
    numerics.rotation = RotationRounding::contracted;
    auto const layer = layerOf(declared(), numerics);
    std::size_t open = 0;
    for (unsigned seed = 0; seed < 100; ++seed) {
        auto const row = sampled(6, seed);
        float const c = declared().cosine[2], s = declared().sine[2];
        auto const got = rotateRow(layer.position, lift(row, {1, 6}, numerics), 1)[0];
        for (float const x : {std::fma(row[0], c, -(row[1] * s)), std::fma(-row[1], s, row[0] * c),
                              row[0] * c - row[1] * s})
            EXPECT_TRUE((Agreement<float, Enclosure>::holds(x, got[0])));
        open += single(got[0]) ? 0 : 1;
        // A component that does not rotate stays.
        EXPECT_EQ(got[5], exactly(double(row[5]), numerics));
    }
    EXPECT_GT(open, 0u);
}

TEST(Lift, another_format_than_f32_is_never_one_float) {
    Numerics numerics = numericsF32;
    numerics.compute.significandBits = 8;
    auto const layer = layerOf(declared(), numerics);
    auto const got = rotateRow(layer.position, lift(sampled(6, 3), {1, 6}, numerics), 1)[0];
    EXPECT_GT(got[0].radius, 0);
    EXPECT_EQ(got[0].numerics, &numerics);
}

}  // namespace
}  // namespace kv::tests

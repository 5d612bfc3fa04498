// sink_test: a logit that belongs to no key, however an engine brings it into the sum of weights.
#include "properties/lift.hpp"
#include "spec/presets.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace kv::tests {
namespace {

using properties::layerOf;
using properties::lift;
using properties::RowShape;

constexpr std::size_t dim = 8, width = 5;

LayerDeclaration declared(float logit) {
    LayerDeclaration d{};
    d.queryHeads = d.kvHeads = 1;
    d.keyDim = dim;
    d.valueDim = width;
    d.scale = double(static_cast<float>(1 / std::sqrt(double(dim))));
    d.sinkLogits = {logit};
    return d;
}

/// One query over some rows.
struct Question {
    std::vector<float> query, keys, values;
    std::size_t rows;

    Question(std::size_t n, unsigned seed) : rows(n) {
        std::mt19937 random(seed);
        auto const draw = [&](std::size_t count) {
            std::vector<float> all(count);
            for (float& x : all) x = float(int(random() % 200'001) - 100'000) / 131'072;
            return all;
        };
        query = draw(dim), keys = draw(n * dim), values = draw(n * width);
    }
    float score(std::size_t j, float scale) const {
        float sum = 0;
        for (std::size_t c = 0; c < dim; ++c) sum += query[c] * keys[j * dim + c];
        return sum * scale;
    }
};

/// What the declaration lets an engine answer.
std::vector<Enclosure> enclosed(LayerDeclaration const& d, Question const& q,
                                Numerics const& numerics) {
    auto const layer = layerOf(d, numerics);
    std::vector<properties::LiftedHeads> keys, values;
    for (std::size_t j = 0; j < q.rows; ++j) {
        keys.push_back(lift(properties::rowAt(q.keys, {1, dim}, j), {1, dim}, numerics));
        values.push_back(lift(properties::rowAt(q.values, {1, width}, j), {1, width}, numerics));
    }
    auto const output = attendRows(
        layer, Position(q.rows), lift(q.query, {1, dim}, numerics),
        Rows{q.rows, [](std::size_t j) { return Position(j); },
             [&](std::size_t j) -> auto const& { return keys[j]; },
             [&](std::size_t j) -> auto const& { return values[j]; },
             [](Sight const&) { return true; }});
    std::vector<Enclosure> all;
    for (std::size_t c = 0; c < width; ++c) all.push_back(output[0][c]);
    return all;
}

/// Running sums, in units of exp(top).
struct Sums {
    float top = -std::numeric_limits<float>::infinity(), total = 0;
    std::vector<float> means = std::vector<float>(width);

    void add(float score, float const* value) {
        float const rescale = score > top ? std::exp(top - score) : 1;
        top = std::max(top, score);
        float const weight = std::exp(score - top);
        total = total * rescale + weight;
        for (std::size_t c = 0; c < width; ++c)
            means[c] = means[c] * rescale + (value == nullptr ? 0 : weight * value[c]);
    }
    void merge(Sums const& other) {
        float const all = std::max(top, other.top);
        float const mine = std::exp(top - all), its = std::exp(other.top - all);
        for (std::size_t c = 0; c < width; ++c) means[c] = means[c] * mine + other.means[c] * its;
        total = total * mine + other.total * its;
        top = all;
    }
    std::vector<float> mean() const {
        auto all = means;
        for (float& x : all) x /= total;
        return all;
    }
};

/// Where an engine lets the sink in.
enum class Entry { first, last, belowTheMaximum, inOnePart, inEveryPart, never };

std::vector<float> answered(Question const& q, LayerDeclaration const& d, float logit,
                            Entry entry) {
    auto const scale = static_cast<float>(d.scale);
    Sums whole, part;
    if (entry == Entry::first || entry == Entry::inEveryPart) whole.add(logit, nullptr);
    if (entry == Entry::inOnePart || entry == Entry::inEveryPart) part.add(logit, nullptr);
    bool const hasParts = entry == Entry::inOnePart || entry == Entry::inEveryPart;
    for (std::size_t j = 0; j < q.rows; ++j)
        (hasParts && j % 2 == 0 ? part : whole).add(q.score(j, scale), &q.values[j * width]);
    if (hasParts) whole.merge(part);
    if (entry == Entry::last) whole.add(logit, nullptr);
    if (entry == Entry::belowTheMaximum) whole.total += std::exp(logit - whole.top);
    return whole.mean();
}

bool holds(std::vector<float> const& output, std::vector<Enclosure> const& allowed) {
    bool all = true;
    for (std::size_t c = 0; c < width; ++c)
        all = all && Agreement<float, Enclosure>::holds(output[c], allowed[c]);
    return all;
}

TEST(Sink, engines_that_let_it_in_anywhere_hold_and_those_that_do_not_are_convicted) {
    for (float logit : {-512.0f, -20.0f, -1.0f, 0.0f, 2.0f, 6.0f, 30.0f, 85.0f})
        for (unsigned seed = 0; seed < 40; ++seed) {
            SCOPED_TRACE(::testing::Message() << "logit " << logit << ", seed " << seed);
            Question const q(1 + seed, seed + 1);
            auto const d = declared(logit);
            auto const allowed = enclosed(d, q, numericsF32);
            for (Entry right : {Entry::first, Entry::last, Entry::belowTheMaximum,
                                Entry::inOnePart})
                EXPECT_TRUE(holds(answered(q, d, logit, right), allowed)) << int(right);
            if (std::abs(logit) > 2) continue;  // it weighs too little, or all
            EXPECT_FALSE(holds(answered(q, d, logit, Entry::never), allowed));
            EXPECT_FALSE(holds(answered(q, d, logit, Entry::inEveryPart), allowed));
            if (logit == 0) continue;  // scaled, it is the same
            EXPECT_FALSE(holds(answered(q, d, logit * float(d.scale), Entry::last), allowed));
        }
}

/// One in the denominator is a logit of 0: a row alone under a score of 0 gives half of its value.
TEST(Sink, equal_scores_leave_one_answer) {
    for (std::size_t rows : {1, 3, 7}) {
        Question q(rows, 5);
        q.query.assign(dim, 0);
        for (std::size_t j = 0; j < q.values.size(); ++j) q.values[j] = float(j % 11) - 4;
        auto const allowed = enclosed(declared(0), q, numericsF32Plain);
        for (std::size_t c = 0; c < width; ++c) {
            float sum = 0;
            for (std::size_t j = 0; j < rows; ++j) sum += q.values[j * width + c];
            EXPECT_TRUE(single(allowed[c])) << rows;
            EXPECT_EQ(allowed[c].center, double(sum) / double(rows + 1)) << rows;
        }
    }
}

}  // namespace
}  // namespace kv::tests

// answers: count the outputs that a declaration leaves open.
//
// The more an engine declares, the fewer outputs it may give. Here are three levels of one engine,
// as arithmetic.hpp has them: its formats; also its blocks; also its schedule, which replays the
// rounding of its weights. Rows are normal numbers, stored in a narrow format; weights and sums are
// those of the usual kernels: weights of 16 bits, sums in f32, an output of 16 bits.
//
// Not said here: whether conforming engines stay inside (soundness.hpp).
#pragma once
#include "tests/soundness.hpp"

#include <cstdio>

namespace kv::answers {

using namespace kv::soundness;

inline constexpr std::size_t width = 128, block = 64, lanes = 8;

/// Blocks, one multiplication by the scale, and an exponential that is measured.
inline void knowsItself(Numerics& n) {
    n.keyBlock = block, n.dotBlock = lanes;
    n.blockSum = BlockSum::apart;
    n.scoreRoundings = 1;
    n.expUlps = 2;
}
struct Level {
    std::string_view name;
    void (*declares)(Numerics&);
};
inline constexpr Level levels[] = {
    {"formats", [](Numerics&) {}},
    {"blocks", [](Numerics& n) { knowsItself(n); }},
    {"replay", [](Numerics& n) {
         knowsItself(n);
         n.keyOrder = KeyOrder::ascending;
         n.weightSum = WeightSum::unrounded;
     }}};

struct Stored {
    Codec const* codec;
    Precision weights, output;
};
inline Stored const everyStored[] = {
    {&codecs::bf16, precisions::bf16, precisions::bf16},
    {&codecs::f16, precisions::f16, precisions::f16},
    {&codecs::f16, precisions::bf16, precisions::bf16},
    {&codecs::e4m3, precisions::bf16, precisions::bf16}};

struct Answers {
    std::vector<double> counts;  ///< of accepted values, one for each output
    double widest = 0, squares = 0;

    void add(Enclosure const& e, Precision const& p) {
        bool const isOpen = e.isUndefined();
        counts.push_back(isOpen ? HUGE_VAL
                                : numbersBetween(p, nearestFloat(e.low()), nearestFloat(e.high())));
        widest = std::max(widest, isOpen ? HUGE_VAL : kv::width(e));
        squares += e.center * e.center;
    }
    double share(double most) const {
        auto const few = std::count_if(counts.begin(), counts.end(),
                                       [=](double count) { return count <= most; });
        return 100 * double(few) / double(counts.size());
    }
    double median() {
        auto const middle = counts.begin() + std::ptrdiff_t(counts.size() / 2);
        std::nth_element(counts.begin(), middle, counts.end());
        return *middle;
    }
    double relative() const { return widest / std::sqrt(squares / double(counts.size())); }
};

/// `queries` problems of n normal rows; the same ones at each level.
inline Answers answersOf(Stored const& stored, Level const& level, std::size_t n,
                         std::size_t queries, std::uint64_t seed) {
    Numerics numerics = stages(stored.weights, precisions::f32, stored.output);
    level.declares(numerics);
    Answers all;
    Random random(seed);
    for (std::size_t i = 0; i < queries; ++i) {
        auto p = drawn(random, n, width, width);
        p.numerics = &numerics;
        for (auto* rows : {&p.q, &p.k, &p.v})
            *rows = roundTrip(*stored.codec, *rows, precisions::f32, false);
        auto const outputs = enclose(p);
        for (std::size_t c = 0; c < width; ++c) all.add(outputs[c], stored.output);
    }
    return all;
}

inline void print(std::size_t queries, std::uint64_t seed) {
    std::printf("outputs of %zu queries of %zu components, normal rows: the share that has one "
                "right value,\nand at most two; the median number of right values; the widest "
                "interval by the rms\n%-6s %-7s %-6s %5s  %-8s %6s %6s %8s %10s\n",
                queries, width, "stored", "weights", "output", "n", "declared", "1", "1, 2",
                "median", "widest");
    for (auto const& stored : everyStored)
        for (std::size_t n = 16; n <= 4096; n *= 4)
            for (auto const& level : levels) {
                auto a = answersOf(stored, level, n, queries, seed);
                std::printf("%-6s %-7s %-6s %5zu  %-8s %5.1f%% %5.1f%% %8.0f %10.2g\n",
                            std::string(stored.codec->name).c_str(),
                            stored.weights == precisions::bf16 ? "bf16" : "f16",
                            stored.output == precisions::bf16 ? "bf16" : "f16", n,
                            std::string(level.name).c_str(), a.share(1), a.share(2), a.median(),
                            a.relative());
                std::fflush(stdout);
            }
}

}  // namespace kv::answers

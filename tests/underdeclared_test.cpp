// A declaration that is better than its engine must be convicted somewhere, or nobody has a reason
// to declare what costs width; and the declaration that describes the engine must never be.
#include "tests/underdeclared.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace {

using namespace kv;
using namespace kv::underdeclared;

constexpr std::size_t problems = 4;

/// What a habit is shown here, the rows on which it cannot hide, and at which length.
struct Showing {
    Rows rows;
    std::size_t n;
};
Showing showingOf(std::string_view habit) {
    static std::map<std::string_view, Showing> const all{
        {"values added in f16", {Rows::wideSum, 16}},
        {"values added in bf16", {Rows::mean, 256}},
        {"weights in bf16", {Rows::balance, 16}},
        {"cubic exp", {Rows::balance, 16}},
        {"fused exponent", {Rows::largeScore, 16}},
        {"merge by log-sum-exp", {Rows::tie, 16}},
        {"truncation", {Rows::negativeRest, 16}},
        {"no blocks of 512 keys", {Rows::stagnating, 4096}},
        {"scale 1/sqrt(d + 1)", {Rows::balance, 16}},
        {"blocks of 4, not 16", {Rows::random, 256}},
        {"keys from the last", {Rows::random, 256}},
        {"one maximum for all", {Rows::random, 256}},
        {"rounded weights added", {Rows::equal, 16}},
        {"weights not rounded", {Rows::random, 16}}};
    return all.at(habit);
}
/// What no rows can show. The error of a cubic exponential is 2^-11, and a weight in bf16 may be
/// off by 2^-8. 521 additions in bf16 may err by anything, with or without blocks. A score in bf16
/// may be off by far more than 1 / (2 d).
bool isHidden(std::string_view habit, std::string_view format) {
    static std::set<std::pair<std::string_view, std::string_view>> const all{
        {"cubic exp", "weights, output bf16"},
        {"no blocks of 512 keys", "all bf16"},
        {"scale 1/sqrt(d + 1)", "all bf16"}};
    return all.contains({habit, format});
}

TEST(Underdeclared, habitsAreConvictedAndTheirDeclarationsAreNot) {
    for (auto const& habit : everyHabit())
        for (auto const& format : formats()) {
            auto const [rows, n] = showingOf(habit.name);
            Count sum{};
            // Not each engine with a habit gives itself away, so there are several tries.
            for (std::uint64_t seed = 1; seed <= 5 && sum.convicted == 0; ++seed) {
                auto const c = countOf(habit, format.numerics, rows, n, problems, seed);
                sum.convicted += c.convicted, sum.falsely += c.falsely;
                sum.isDeclared = c.isDeclared;
            }
            EXPECT_EQ(sum.falsely, 0u) << habit.name << ", " << format.name;
            if (sum.isDeclared) continue;
            EXPECT_EQ(sum.convicted > 0, !isHidden(habit.name, format.name))
                << habit.name << ", " << format.name;
        }
}

/// Random rows find what is large, and only while there are few of them.
TEST(Underdeclared, randomRowsHideWhatProbesShow) {
    for (auto const& habit : everyHabit()) {
        if (habit.name != "truncation" && habit.name != "merge by log-sum-exp") continue;
        auto const& f32 = formats().front().numerics;
        EXPECT_EQ(countOf(habit, f32, Rows::random, 256, problems, 1).convicted, 0u) << habit.name;
        auto const shown = countOf(habit, f32, showingOf(habit.name).rows, 256, problems, 1);
        EXPECT_GT(shown.convicted, 0u) << habit.name;
    }
}

/// A block that is declared allows one row at a time as long as the block is not full.
TEST(Underdeclared, oneRowAtATimeConformsWithinABlock) {
    for (auto const& habit : everyHabit()) {
        if (habit.name != "no blocks of 512 keys") continue;
        for (std::size_t kind = 0; kind < rowKinds; ++kind)
            EXPECT_EQ(countOf(habit, numericsF32Plain, Rows(kind), 256, problems, 1).convicted, 0u)
                << rowNames[kind];
    }
}

}  // namespace

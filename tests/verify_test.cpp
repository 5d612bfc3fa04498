// verify_test: a real recording holds, and each damaged one is refused at the right place.
//
// A damage is made in three ways. In one read-back, as a cache would show it that was wrong once:
// step 16 has the whole cache, step 13 only a digest, which is written anew for the damaged rows.
// Or in the rows that the cache was given, with every read-back and digest rebuilt, so that no
// digest gives it away. Each test says which law catches it then, and at which place.
#include "tests/recording.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <iostream>
#include <set>

namespace kv::tests {
namespace {

using oracle::VerifyOutcome;
using oracle::VerifyReport;

constexpr std::size_t wholeStep = 16, digestStep = 13;
constexpr std::size_t middle = 0;  // the only layer of what is damaged

std::filesystem::path const& tracePath() {
    static auto const path =
        std::filesystem::path(KVSPEC_SOURCE_DIR) / "tests" / "data" / "smollm2.trace";
    return path;
}
Recorded const& whole() {
    static Recorded const recorded = Recorded::read(tracePath());
    return recorded;
}
/// One layer of it; the others are alike, and a test is faster.
Recorded const& original() {
    static Recorded const recorded = whole().only(1);
    return recorded;
}

/// The place and a part of the story; what is not set may be anything.
struct Expected {
    std::string law;
    std::size_t step = 0;
    std::optional<std::size_t> row{}, head{}, component{};
    std::string what{};
};

void expectViolation(VerifyReport const& report, Expected const& expected) {
    auto const* law = report.find(expected.law);
    ASSERT_NE(law, nullptr) << expected.law;
    ASSERT_TRUE(law->first) << expected.law << " holds\n" << print(report);
    EXPECT_FALSE(report.holds());
    EXPECT_EQ(law->outcome, VerifyOutcome::violated);
    auto const& place = law->first->place;
    EXPECT_EQ(place.step, expected.step) << print(report, *law);
    auto const expectSame = [&](auto const& got, auto const& want) {
        EXPECT_TRUE(!want || got == want) << *want << " expected\n" << print(report, *law);
    };
    expectSame(place.row, expected.row);
    expectSame(place.head, expected.head);
    expectSame(place.component, expected.component);
    EXPECT_NE(law->first->what.find(expected.what), std::string::npos) << print(report, *law);
}

/// The laws that broke, in the order of the report.
std::vector<std::string> broken(VerifyReport const& report) {
    std::vector<std::string> names;
    for (auto const& law : report.laws)
        if (law.outcome == VerifyOutcome::violated) names.push_back(law.name);
    return names;
}
using Laws = std::vector<std::string>;

void flipBit(float& x, int bit) {
    x = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) ^ (std::uint32_t{1} << bit));
}

void swapHeads(std::vector<float>& row, std::size_t dim) {
    std::swap_ranges(row.begin(), row.begin() + std::ptrdiff_t(dim),
                     row.begin() + std::ptrdiff_t(dim));
}

/// A copy in which one read-back of the middle layer is damaged.
template <class Damage>
VerifyReport damagedCache(std::size_t step, Half half, Damage damage) {
    Recorded r = original();
    Site const at{step, middle};
    CacheRows cache = r.cache(at, half);
    damage(cache);
    r.setCache(at, half, cache);
    return r.verify();
}

TEST(Verify, a_real_recording_holds) {
    ASSERT_TRUE(std::filesystem::exists(tracePath())) << "script/record writes it";
    auto const report = whole().verify();
    std::cout << print(report);
    EXPECT_TRUE(report.holds());
    EXPECT_TRUE(report.reachesEnough());
    for (auto const& law : report.laws) {
        bool const hasPlace = law.name != "window_eq_masked_full";
        EXPECT_EQ(law.outcome, hasPlace ? VerifyOutcome::held : VerifyOutcome::notReachable)
            << law.name;
        EXPECT_EQ(law.reached, law.places) << law.name;
        EXPECT_EQ(law.note, hasPlace ? "" : "no layer has a window") << law.name;
    }
    EXPECT_EQ(report.steps, whole().file.updates.size());
    EXPECT_EQ(report.tokens, whole().after(report.steps - 1));
    EXPECT_GE(report.tokens, 80u);
    EXPECT_GE(report.layers, 4u);
    // Every output of every head, and sine and cosine of every plane, was held against an interval.
    EXPECT_EQ(report.interval, report.tokens * (report.heads * 64 + report.layers * 2 * 32));
    ASSERT_TRUE(report.widest.place);
    EXPECT_GT(report.widest.relative, 0);
    EXPECT_LT(report.widest.relative, 1);
}

TEST(Verify, rebuilding_the_recording_changes_nothing) {
    // Otherwise the damages below would say more about this test than about verify.
    Recorded r = whole();
    for (std::size_t l = 0; l < r.file.declaration.layers.size(); ++l) r.rebuild(l);
    EXPECT_EQ(r.file, whole().file);
    EXPECT_EQ(r.tensors, whole().tensors);
}

TEST(Verify, one_bit_of_one_row_in_a_read_back) {
    auto const damage = [](CacheRows& cache) { flipBit(cache.rows[20][64 + 5], 3); };
    auto const kept = damagedCache(wholeStep, Half::key, damage);
    expectViolation(kept, {"appendKV_prefix", wholeStep, 20, 1, 5, "one bit of row 20"});
    EXPECT_EQ(broken(kept), Laws{"appendKV_prefix"});
    EXPECT_EQ(kept.find("appendKV_prefix")->violations, 1u);
    expectViolation(damagedCache(wholeStep, Half::value, damage),
                    {"appendKV_prefix", wholeStep, 20, 1, 5, "one bit of row 20"});
    // A digest names the step; which row it was is lost, for the next whole cache is right.
    auto const digest = damagedCache(digestStep, Half::key, damage);
    expectViolation(digest, {"appendKV_prefix", digestStep, {}, {}, {}, "only this step"});
    EXPECT_EQ(broken(digest), Laws{"appendKV_prefix"});
}

TEST(Verify, one_bit_of_one_row_that_was_given) {
    Recorded r = original();
    flipBit(r.head({5, middle}, &LayerTensors::key, 0, 2)[7], 0);
    // With its digest left in place, the newest row is not the last one. That it is row 53 stands
    // in the next whole cache.
    expectViolation(r.verify(), {"appendKV_last_key", 5, 53, 2, 7, "one bit of row 53"});
    expectViolation(r.verify(), {"position_storage_agrees", 5, 53, 2, 7, "one bit"});
    // With every digest made anew, its rotation still gives it away.
    r.rebuild(middle);
    expectViolation(r.verify(), {"position_storage_agrees", 5, 53, 2, 7, "one bit"});
    EXPECT_EQ(broken(r.verify()), Laws{"position_storage_agrees"});
}

TEST(Verify, two_rows_swapped) {
    auto const damage = [](CacheRows& cache) { std::swap(cache.rows[17], cache.rows[18]); };
    for (auto step : {wholeStep, digestStep}) {
        auto const report = damagedCache(step, Half::key, damage);
        expectViolation(report,
                        {"appendKV_prefix", step, 17, 0, 0, "rows 17 and 18 are swapped"});
        EXPECT_EQ(broken(report), Laws{"appendKV_prefix"});
    }
    expectViolation(damagedCache(digestStep, Half::value,
                                 [](CacheRows& c) { std::swap(c.rows[3], c.rows[40]); }),
                    {"appendKV_prefix", digestStep, 3, 0, 0, "rows 3 and 40 are swapped"});
    Recorded r = original();
    for (auto member : {&LayerTensors::key, &LayerTensors::value}) {
        auto const a = r.row({0, middle}, member, 17), b = r.row({0, middle}, member, 18);
        std::swap_ranges(a.begin(), a.end(), b.begin());
    }
    r.rebuild(middle);
    expectViolation(r.verify(), {"position_storage_agrees", 0, 17, 0, {},
                                 "the key of token 17 is that of token 18"});
}

TEST(Verify, a_row_doubled) {
    auto const over = [](CacheRows& cache) { cache.rows[18] = cache.rows[17]; };
    auto const between = [](CacheRows& cache) {
        cache.rows.insert(cache.rows.begin() + 18, cache.rows[17]);
    };
    auto const pushed = [&](CacheRows& cache) {
        between(cache);
        cache.rows.pop_back();
    };
    for (auto step : {wholeStep, digestStep}) {
        expectViolation(damagedCache(step, Half::key, over),
                        {"appendKV_prefix", step, 18, 0, 0, "row 17 is doubled"});
        expectViolation(damagedCache(step, Half::value, between),
                        {"appendKV_length", step, {}, {}, {}, "row 17 stands twice"});
        expectViolation(damagedCache(step, Half::value, between),
                        {"appendKV_prefix", step, 18, 0, 0, "row 17 stands twice"});
        expectViolation(damagedCache(step, Half::key, pushed),
                        {"appendKV_prefix", step, 18, 0, 0, "the newest is lost"});
    }
    Recorded r = original();
    for (auto member : {&LayerTensors::key, &LayerTensors::value}) {
        auto const a = r.row({0, middle}, member, 17), b = r.row({0, middle}, member, 18);
        std::copy(a.begin(), a.end(), b.begin());
    }
    r.rebuild(middle);
    expectViolation(r.verify(), {"position_storage_agrees", 0, 18, 0, {},
                                 "the key of token 18 is that of token 17"});
}

TEST(Verify, the_newest_row_missing) {
    for (auto step : {wholeStep, digestStep}) {
        auto const report =
            damagedCache(step, Half::key, [](CacheRows& cache) { cache.rows.pop_back(); });
        expectViolation(report, {"appendKV_length", step, {}, {}, {}, "the newest row is missing"});
        EXPECT_EQ(report.find("appendKV_length")->first->got, fmt::format("{} rows", 48 + step));
        EXPECT_EQ(report.find("appendKV_prefix")->outcome, VerifyOutcome::held);
    }
    // The cache is right, but attention did not look at its newest row.
    Recorded r = original();
    r.attendAgain({digestStep, middle},
                  [](std::size_t token, std::size_t row) { return row != token; });
    expectViolation(r.verify(), {"decodeWithCache_eq_fullAttention", digestStep, 61, 0, {},
                                 "row 61, the newest, is not seen"});
    EXPECT_EQ(broken(r.verify()), Laws{"decodeWithCache_eq_fullAttention"});
}

TEST(Verify, kv_heads_swapped) {
    auto const all = [](CacheRows& cache) {
        for (auto& row : cache.rows) swapHeads(row, 64);
    };
    auto const newest = [](CacheRows& cache) { swapHeads(cache.rows.back(), 64); };
    for (auto step : {wholeStep, digestStep}) {
        auto const rows = fmt::format("rows 0 to {}", 48 + step);
        expectViolation(damagedCache(step, Half::key, all),
                        {"appendKV_prefix", step, 0, 0, 0,
                         "kv heads 0 and 1 are swapped in " + rows});
        expectViolation(damagedCache(step, Half::value, newest),
                        {"appendKV_last_value", step, 48 + step, 0, 0,
                         fmt::format("kv heads 0 and 1 are swapped in row {}", 48 + step)});
    }
    // Swapped in all that the cache was given: nothing moved wrongly, but the groups read others.
    Recorded r = original();
    for (std::size_t u = 0; u < r.file.updates.size(); ++u)
        for (auto member : {&LayerTensors::key, &LayerTensors::keyRaw, &LayerTensors::value})
            for (std::size_t i = 0; i < r.file.updates[u].count; ++i) {
                auto const a = r.head({u, middle}, member, i, 0);
                auto const b = r.head({u, middle}, member, i, 1);
                std::swap_ranges(a.begin(), a.end(), b.begin());
            }
    r.rebuild(middle);
    expectViolation(r.verify(), {"heads_gqa_eq_repeated", 0, {}, 0, {},
                                 "query head 0 reads kv head 1 instead of 0"});
    EXPECT_EQ(broken(r.verify()), (Laws{"heads_gqa_eq_repeated", "prefill_eq_appends",
                                        "decodeWithCache_eq_fullAttention"}));
}

/// Every token from a step on stands one position further; what follows from it is made anew.
Recorded onePositionFurther(std::size_t from) {
    Recorded r = original();
    auto const& frequencies = r.tensors.at(*r.file.frequencies[0]).values;
    for (std::size_t u = from; u < r.file.updates.size(); ++u)
        for (std::size_t c = 0; c < 64; ++c) {
            // The rows are shared by all layers.
            float const angle = float(r.before(u) + 1) * frequencies[c % 32];
            r.row({u, 0}, &LayerTensors::cosine, 0)[c] = std::cos(angle);
            r.row({u, 0}, &LayerTensors::sine, 0)[c] = std::sin(angle);
        }
    auto const turn = [&](Site at, Member raw, Member turned, std::size_t heads) {
        auto const cosine = r.row(at, &LayerTensors::cosine, 0);
        auto const sine = r.row(at, &LayerTensors::sine, 0);
        for (std::size_t h = 0; h < heads; ++h) {
            auto const from_ = r.head(at, raw, 0, h), to = r.head(at, turned, 0, h);
            for (std::size_t p = 0; p < 32; ++p) {
                float const x = from_[p], y = from_[p + 32];
                to[p] = x * cosine[p] - y * sine[p];
                to[p + 32] = x * sine[p] + y * cosine[p];
            }
        }
    };
    for (std::size_t l = 0; l < r.file.declaration.layers.size(); ++l) {
        for (std::size_t u = from; u < r.file.updates.size(); ++u) {
            turn({u, l}, &LayerTensors::keyRaw, &LayerTensors::key, 3);
            turn({u, l}, &LayerTensors::queryRaw, &LayerTensors::query, 9);
        }
        for (std::size_t u = from; u < r.file.updates.size(); ++u) r.attendAgain({u, l});
        r.rebuild(l);
    }
    return r;
}

TEST(Verify, one_position_further_from_one_step_on) {
    Recorded r = onePositionFurther(12);
    auto const report = r.verify();
    expectViolation(report, {"position_append_is_next", 12, 60, {}, {},
                             "token 60 stands at position 61 instead of 60"});
    // All else follows from the wrong position, so this law alone sees it.
    EXPECT_EQ(broken(report), Laws{"position_append_is_next"});
    // With the rows as they should have been, the keys and queries give it away.
    for (std::size_t u = 12; u < r.file.updates.size(); ++u)
        for (auto member : {&LayerTensors::cosine, &LayerTensors::sine})
            r.tensor({u, 0}, member) = original().tensors.at(*(r.named({u, 0}).*member));
    expectViolation(r.verify(), {"position_storage_agrees", 12, 60, 0, 0, "key of token 60"});
    EXPECT_EQ(broken(r.verify()), Laws{"position_storage_agrees"});
    // Without them nothing in the recording says where a token stands, and that is said.
    for (auto& update : r.file.updates)
        for (auto& layer : update.layers) layer.cosine = layer.sine = {};
    auto const blind = r.verify();
    EXPECT_EQ(broken(blind), Laws{});
    for (auto const* law : {"position_append_is_next", "position_storage_agrees"})
        EXPECT_EQ(blind.find(law)->outcome, VerifyOutcome::notReachable) << law;
}

TEST(Verify, the_oldest_key_unseen) {
    Recorded r = original();
    for (std::size_t u = 3; u < r.file.updates.size(); ++u)
        r.attendAgain({u, middle}, [](std::size_t, std::size_t row) { return row > 0; });
    auto const report = r.verify();
    expectViolation(report, {"decodeWithCache_eq_fullAttention", 3, 51, 0, {},
                             "row 0, the oldest that it may see, is not seen"});
    EXPECT_EQ(report.find("decodeWithCache_eq_fullAttention")->violations,
              r.file.updates.size() - 3);
    // No layer has a window, so the law of windows has nothing to say.
    EXPECT_EQ(broken(report), Laws{"decodeWithCache_eq_fullAttention"});
}

TEST(Verify, a_stale_row_after_a_step) {
    auto const damage = [](CacheRows& cache) {
        cache.rows.back() = cache.rows[cache.rows.size() - 2];
    };
    for (auto step : {wholeStep, digestStep}) {
        auto const newest = 48 + step;
        auto const story = fmt::format("row {} holds row {} of the step before", newest,
                                       newest - 1);
        auto const report = damagedCache(step, Half::key, damage);
        expectViolation(report, {"appendKV_last_key", step, newest, 0, 0, story});
        EXPECT_EQ(broken(report), Laws{"appendKV_last_key"});
        expectViolation(damagedCache(step, Half::value, damage),
                        {"appendKV_last_value", step, newest, 0, 0, story});
    }
    Recorded r = original();
    for (auto member : {&LayerTensors::key, &LayerTensors::value}) {
        auto const a = r.row({12, middle}, member, 0), b = r.row({13, middle}, member, 0);
        std::copy(a.begin(), a.end(), b.begin());
    }
    r.rebuild(middle);
    expectViolation(r.verify(), {"position_storage_agrees", 13, 61, 0, {},
                                 "the key of token 61 is that of token 60"});
}

TEST(Verify, a_prefill_that_sees_later_tokens) {
    Recorded r = original();
    auto const all = [](std::size_t) { return true; };
    auto const output = r.attention({0, middle}, 10, all);
    auto const to = r.row({0, middle}, &LayerTensors::output, 10);
    std::copy(output.begin(), output.end(), to.begin());
    expectViolation(r.verify(), {"fullAttention_causal", 0, 10, 0, {}, "later rows up to 48"});
}

/// The interval of one output.
Enclosure intervalOf(Recorded& r, Site at, std::size_t head, std::size_t component) {
    auto const& numerics = r.file.declaration.numerics;
    auto layer = properties::layerOf(r.layer(at.layer), numerics);
    layer.position.layout = RotaryLayout::none;
    auto const rows = [&](CacheRows const& cache) {
        return tabulate(cache.rows.size(), [&](std::size_t i) {
            return properties::lift(cache.rows[i], cache.shape, numerics);
        });
    };
    auto const keys = rows(r.turned(at)), values = rows(r.cache(at, Half::value));
    auto const out = attendRows(
        layer, Position(r.before(at.step)),
        properties::lift(r.row(at, &LayerTensors::query, 0), {9, 64}, numerics),
        Rows{keys.size(), [](std::size_t j) { return Position(j); },
             [&](std::size_t j) -> auto const& { return keys[j]; },
             [&](std::size_t j) -> auto const& { return values[j]; },
             [](Sight const&) { return true; }});
    return out[head][component];
}

TEST(Verify, damage_inside_the_interval_is_not_seen) {
    Recorded r = original();
    Site const at{20, 0};
    auto const interval = intervalOf(r, at, 4, 9);
    float& output = r.head(at, &LayerTensors::output, 0, 4)[9];
    float const before = output, last = nearestFloat(interval.high());
    ASSERT_LT(before, last);
    output = last;
    EXPECT_TRUE(r.verify().holds());
    output = std::nextafter(last, HUGE_VALF);
    expectViolation(r.verify(), {"decodeWithCache_eq_fullAttention", 20, 68, 4, 9,
                                 "1 of 64 components"});
    std::cout << "not seen: an output of " << before << " that became " << last << ", "
              << (double(last) - double(before)) / double(before) * 100
              << " percent more; the next float is seen\n";
}

TEST(Verify, small_damage_to_a_value_is_not_seen) {
    // A value is computed before the recording begins. Where it is changed in all that was given
    // and returned, only the outputs can tell, and they have room for the low bits.
    int first = -1;
    for (int bit = 0; bit < 31 && first < 0; ++bit) {
        Recorded r = original();
        flipBit(r.head({5, middle}, &LayerTensors::value, 0, 2)[7], bit);
        r.rebuild(middle);
        auto const report = r.verify();
        EXPECT_TRUE(bit > 0 || report.holds());
        if (report.holds()) continue;
        first = bit;
        EXPECT_GE(report.find("decodeWithCache_eq_fullAttention")->first->place.step, 5u);
        EXPECT_EQ(report.find("decodeWithCache_eq_fullAttention")->first->place.component, 7u);
    }
    ASSERT_GT(first, 0);
    std::cout << "not seen: bits 0 to " << first - 1 << " of one value that was changed wherever "
              << "it stands; bit " << first << " is seen in the outputs\n";
}

}  // namespace
}  // namespace kv::tests

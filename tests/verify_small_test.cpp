// verify_small_test: what the real recording does not have.
//
// A small recording is made by the spec itself: three layers that differ in window, position and
// storage, two sequences, prefills, appends of one and of several tokens. It holds, and it breaks
// where it is damaged. Then tensors are taken away one after the other, and the report must say
// what each of them costs.
#include "tests/recording.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

namespace kv::tests {
namespace {

using oracle::VerifyOutcome;
using oracle::VerifyReport;

/// Updates of the small recording: which sequence, how many tokens, as one chunk or one by one.
struct Chunk {
    Verb verb;
    std::size_t sequence, count;
};
constexpr Chunk chunks[] = {{Verb::prefill, 0, 5}, {Verb::prefill, 1, 2}, {Verb::append, 0, 1},
                            {Verb::append, 1, 3},  {Verb::append, 0, 1},  {Verb::prefill, 0, 4},
                            {Verb::append, 1, 1}};
constexpr std::size_t rotaryDim = 4, windowed = 0, raw = 1, slanted = 2;

/// 0: a window with a sink in a ring, half of the head rotates. 1: stored raw, interleaved.
/// 2: no rotation, slopes, one kv head for each query head.
std::vector<LayerDeclaration> smallLayers() {
    LayerDeclaration layer{.queryHeads = 4,
                           .kvHeads = 2,
                           .keyDim = 6,
                           .valueDim = 5,
                           .scale = 1,
                           .window = 3,
                           .sinks = 1,
                           .retained = 4,
                           .keyStorage = KeyStorage::rotated,
                           .rotaryLayout = RotaryLayout::halfSplit,
                           .rotaryDim = rotaryDim,
                           .cosine = {},
                           .sine = {},
                           .slopes = {},
                           .keyFormat = {},
                           .valueFormat = {},
                           .queryFormat = {},
                           .numerics = {},
                           .sinkLogits = {},
                           .chunk = {}};
    std::vector<LayerDeclaration> layers(3, layer);
    layers[raw].window = layers[raw].sinks = layers[raw].retained = 0;
    layers[raw].keyDim = rotaryDim;
    layers[raw].keyStorage = KeyStorage::raw;
    layers[raw].rotaryLayout = RotaryLayout::interleaved;
    layers[slanted] = {.queryHeads = 2, .kvHeads = 2, .keyDim = 3, .valueDim = 2, .scale = 1,
                       .window = 0, .sinks = 0, .retained = 0,
                       .keyStorage = KeyStorage::rotated, .rotaryLayout = RotaryLayout::none,
                       .rotaryDim = 0, .cosine = {}, .sine = {}, .slopes = {-1, -2},
                       .keyFormat = {},
                       .valueFormat = {},
                       .queryFormat = {},
                       .numerics = {},
                       .sinkLogits = {},
                       .chunk = {}};
    return layers;
}

/// What a row of cosines or sines has a number for: planes, or components of what rotates, or of
/// the head.
enum class Columns { planes, rotary, head };
/// How the two layers that rotate come to their angles.
struct Angles {
    std::vector<LayerTensors::Name> frequencies{"frequencies", "frequencies", {}};
    std::vector<double> factors{};  ///< empty: 1
    Columns columns[2]{Columns::planes, Columns::head};
};

/// Makes the recording, layer by layer and update by update, with the text of the spec in f32.
class Maker {
   public:
    Maker() = default;
    explicit Maker(Angles angles) : angles_(std::move(angles)) {}

    Recorded make() {
        r_.file.file = "small.trace";
        r_.file.tensors = "small.safetensors";
        r_.file.declaration = {.engine = "spec", .sequences = 2, .capacity = 16,
                               .verbs = {Verb::append, Verb::prefill},
                               .layers = smallLayers(), .numerics = numericsF32Plain,
                               .promises = {}, .pool = {}};
        r_.file.layerIndices = {2, 3, 5};
        r_.file.frequencies = angles_.frequencies;
        r_.file.attentionFactors = angles_.factors;
        r_.tensors["frequencies"] = {{2}, {1, 1 / float(3)}};
        r_.tensors["slower"] = {{2}, {1 / float(2), 1 / float(7)}};
        for (std::size_t u = 0; u < std::size(chunks); ++u) {
            auto const& [verb, sequence, count] = chunks[u];
            r_.file.updates.push_back({verb, sequence, count, {}, u + 2});
            for (std::size_t l = 0; l < r_.file.declaration.layers.size(); ++l) update(u, l);
        }
        return std::move(r_);
    }

   private:
    struct Kept {
        std::vector<std::vector<float>> keys, turned, values;
    };

    float number() { return float(int(random_() % 4001) - 2000) / 1024; }
    std::vector<float> numbers(std::size_t count) {
        std::vector<float> out(count);
        for (float& x : out) x = number();
        return out;
    }
    std::string store(Site at, std::string const& what, Tensor tensor) {
        auto const name = fmt::format("{}/{}/{}", at.step, at.layer, what);
        r_.tensors[name] = std::move(tensor);
        return name;
    }

    /// The plane that a column of the angles belongs to. What does not rotate gets any number.
    static std::size_t planeOf(LayerDeclaration const& d, std::size_t width, std::size_t column) {
        std::size_t const planes = d.rotaryDim / 2;
        if (width == planes) return column;
        return d.rotaryLayout == RotaryLayout::halfSplit ? column % planes : column / 2 % planes;
    }
    /// [count][width], or nothing where the layer does not rotate.
    Tensor angles(std::size_t l, std::size_t first, std::size_t count, float (*f)(float)) {
        auto const& d = r_.file.declaration.layers[l];
        if (d.rotaryLayout == RotaryLayout::none) return {{count, 0}, {}};
        auto const columns = angles_.columns[l];
        std::size_t const width = columns == Columns::planes   ? d.rotaryDim / 2
                                  : columns == Columns::rotary ? d.rotaryDim
                                                               : d.keyDim;
        auto const& w = r_.tensors.at(*angles_.frequencies[l]).values;
        auto const factor = float(angles_.factors.empty() ? 1 : angles_.factors[l]);
        Tensor out{{count, width}, {}};
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t c = 0; c < width; ++c)
                out.values.push_back(factor * f(float(first + i) * w[planeOf(d, width, c)]));
        return out;
    }

    std::vector<float> turn(LayerDeclaration const& d, std::vector<float> row,
                            std::span<float const> cosine, std::span<float const> sine) {
        bool const halves = d.rotaryLayout == RotaryLayout::halfSplit;
        for (std::size_t h = 0; h < row.size() / d.keyDim; ++h)
            for (std::size_t p = 0; p < d.rotaryDim / 2; ++p) {
                float& x = row[h * d.keyDim + (halves ? p : 2 * p)];
                float& y = row[h * d.keyDim + (halves ? p + d.rotaryDim / 2 : 2 * p + 1)];
                bool const perPlane = cosine.size() == d.rotaryDim / 2;
                std::size_t const column = halves || perPlane ? p : 2 * p;
                float const c = cosine[column], s = sine[column], a = x, b = y;
                x = a * c - b * s;
                y = a * s + b * c;
            }
        return row;
    }

    /// The rows of one update in one layer.
    struct Fresh {
        Tensor rawKeys, keys, rawQueries, queries, values, cosine, sine;
    };
    Fresh rows(std::size_t l, std::size_t count, Kept& kept) {
        auto const& d = r_.file.declaration.layers[l];
        std::size_t const first = kept.values.size();
        Tensor const keys{{count, d.kvHeads, d.keyDim}, {}};
        Tensor const queries{{count, d.queryHeads, d.keyDim}, {}};
        Fresh fresh{keys, keys, queries, queries, {{count, d.kvHeads, d.valueDim}, {}},
                    angles(l, first, count, std::cos), angles(l, first, count, std::sin)};
        auto const add = [](Tensor& t, std::vector<float> const& row) {
            t.values.insert(t.values.end(), row.begin(), row.end());
        };
        for (std::size_t i = 0; i < count; ++i) {
            auto const key = numbers(d.kvHeads * d.keyDim);
            auto const query = numbers(d.queryHeads * d.keyDim);
            RowShape const width{1, fresh.cosine.shape[1]};
            auto const c = properties::rowAt(fresh.cosine.values, width, i);
            auto const s = properties::rowAt(fresh.sine.values, width, i);
            kept.values.push_back(numbers(d.kvHeads * d.valueDim));
            kept.turned.push_back(turn(d, key, c, s));
            kept.keys.push_back(d.keyStorage == KeyStorage::raw ? key : kept.turned.back());
            add(fresh.rawKeys, key);
            add(fresh.keys, kept.turned.back());
            add(fresh.rawQueries, query);
            add(fresh.queries, turn(d, query, c, s));
            add(fresh.values, kept.values.back());
        }
        return fresh;
    }

    void update(std::size_t u, std::size_t l) {
        auto const& d = r_.file.declaration.layers[l];
        Site const at{u, l};
        Kept& kept = kept_[{chunks[u].sequence, l}];
        std::size_t const first = kept.values.size();
        Fresh const fresh = rows(l, chunks[u].count, kept);
        LayerTensors names;
        names.queryRaw = store(at, "queryRaw", fresh.rawQueries);
        names.query = store(at, "query", fresh.queries);
        names.keyRaw = store(at, "keyRaw", fresh.rawKeys);
        names.key = store(at, "key", fresh.keys);
        names.value = store(at, "value", fresh.values);
        if (d.rotaryDim > 0) {
            names.cosine = store(at, "cosine", fresh.cosine);
            names.sine = store(at, "sine", fresh.sine);
        }
        names.output = store(at, "output", attend(d, kept, fresh.queries, first));
        // Whole at every second update; elsewhere setCache puts a digest in the place of the text.
        bool const isWhole = u % 2 == 0;
        (isWhole ? names.cacheKey : names.cacheKeySha256) = fmt::format("{}/{}/cacheKey", u, l);
        (isWhole ? names.cacheValue : names.cacheValueSha256) =
            fmt::format("{}/{}/cacheValue", u, l);
        r_.file.updates[u].layers.push_back(names);
        r_.setCache(at, Half::key, returned(d, {{d.kvHeads, d.keyDim}, kept.keys}));
        r_.setCache(at, Half::value, returned(d, {{d.kvHeads, d.valueDim}, kept.values}));
    }

    /// A ring returns its pinned sinks and what it still holds.
    static CacheRows returned(LayerDeclaration const& d, CacheRows cache) {
        auto& rows = cache.rows;
        std::size_t const room = d.sinks + d.retained;
        if (d.retained > 0 && rows.size() > room)
            rows.erase(rows.begin() + std::ptrdiff_t(d.sinks),
                       rows.end() - std::ptrdiff_t(d.retained));
        return cache;
    }

    Tensor attend(LayerDeclaration const& d, Kept const& kept, Tensor const& queries,
                  std::size_t first) {
        auto layer = properties::layerOf<float>(d, numericsF32);
        layer.position.layout = RotaryLayout::none;
        auto const lifted = [&](auto const& rows, std::size_t dim) {
            return tabulate(rows.size(), [&](std::size_t i) {
                return properties::lift<float>(rows[i], {d.kvHeads, dim}, numericsF32);
            });
        };
        auto const keys = lifted(kept.turned, d.keyDim), values = lifted(kept.values, d.valueDim);
        RowShape const shape{d.queryHeads, d.keyDim};
        Tensor out{{queries.shape[0], d.queryHeads, d.valueDim}, {}};
        for (std::size_t i = 0; i < queries.shape[0]; ++i) {
            auto const row = attendRows(
                layer, Position(first + i),
                properties::lift<float>(properties::rowAt(queries.values, shape, i), shape,
                                        numericsF32),
                Rows{keys.size(), [](std::size_t j) { return Position(j); },
                     [&](std::size_t j) -> auto const& { return keys[j]; },
                     [&](std::size_t j) -> auto const& { return values[j]; },
                     [&](Sight const& s) { return layer.mask.sees(s); }});
            for (std::size_t h = 0; h < row.size(); ++h)
                for (std::size_t c = 0; c < row[h].size(); ++c) out.values.push_back(row[h][c]);
        }
        return out;
    }

    Angles angles_{};
    Recorded r_;
    std::map<std::pair<std::size_t, std::size_t>, Kept> kept_;
    std::mt19937 random_{1};
};

Recorded const& small() {
    static Recorded const recorded = Maker().make();
    return recorded;
}

/// That law broke there, and the story holds these words.
void expectStory(Recorded const& r, std::string const& law, std::size_t step,
                 std::string const& words) {
    auto const report = r.verify();
    auto const* found = report.find(law);
    ASSERT_TRUE(found->first) << law << " holds\n" << print(report);
    EXPECT_EQ(found->first->place.step, step) << print(report, *found);
    EXPECT_NE(found->first->what.find(words), std::string::npos) << print(report, *found);
}

TEST(VerifySmall, windows_rings_slopes_and_two_sequences_hold) {
    auto const report = small().verify();
    EXPECT_TRUE(report.holds()) << print(report);
    for (auto const& law : report.laws) EXPECT_EQ(law.outcome, VerifyOutcome::held) << law.name;
    EXPECT_EQ(report.tokens, 17u);
    EXPECT_EQ(report.find("fullAttention_causal")->places, 9u);  // three prefills, three layers
    EXPECT_EQ(report.find("position_append_is_next")->places, 14u);  // two layers rotate
}

TEST(VerifySmall, a_contracted_rotation_is_held_in_an_interval) {
    Recorded r = small();
    r.file.declaration.numerics.rotation = RotationRounding::contracted;
    auto const report = r.verify();
    EXPECT_TRUE(report.holds()) << print(report);
    EXPECT_GT(report.interval, small().verify().interval);
    EXPECT_LT(report.bitwise, small().verify().bitwise);
    // The last bit is open then, and the others are not.
    float& x = r.head({2, windowed}, &LayerTensors::key, 0, 1)[0];
    x = -x;
    expectStory(r, "position_storage_agrees", 2, "one bit of the key of token 5");
}

TEST(VerifySmall, rows_of_angles_of_each_width_hold) {
    for (auto const a : {Columns::planes, Columns::rotary, Columns::head})
        for (auto const b : {Columns::planes, Columns::rotary}) {
            Recorded r = Maker({.columns = {a, b}}).make();
            auto const report = r.verify();
            EXPECT_TRUE(report.holds() && report.reachesEnough()) << print(report);
            EXPECT_EQ(report.find("position_append_is_next")->reached, 14u);
            for (std::size_t const l : {windowed, raw}) {
                // The second component of plane 0: halves apart, or its neighbour.
                bool const isPlanes = (l == windowed ? a : b) == Columns::planes;
                auto const at = isPlanes ? 1 : l == windowed ? rotaryDim / 2 : 1;
                Recorded damaged = r;
                float& x = damaged.row({3, l}, &LayerTensors::sine, 1)[at];
                x = -x;
                expectStory(damaged, "position_append_is_next", 3,
                            isPlanes ? "planes of token" : "the two components of plane 0");
            }
        }
}

TEST(VerifySmall, each_layer_has_its_frequencies_and_its_attention_factor) {
    // 6/5 and 4/3 are no numbers of f32, so the engine rounds them before it multiplies.
    Angles angles{.frequencies = {"frequencies", "slower", {}},
                  .factors = {6 / double(5), 4 / double(3), 1}};
    Recorded const right = Maker(angles).make();
    auto const report = right.verify();
    EXPECT_TRUE(report.holds()) << print(report);
    EXPECT_EQ(report.find("position_append_is_next")->outcome, VerifyOutcome::held);
    EXPECT_EQ(report.find("position_append_is_next")->reached, 14u);
    EXPECT_EQ(report.find("position_append_is_next")->note, "");
    // The bound grows and shrinks with the factor. Outputs say nothing where scores are so large.
    angles.factors = {1000 / double(3), 1 / double(3000), 1};
    auto const extreme = Maker(angles).make().verify();
    EXPECT_EQ(extreme.find("position_append_is_next")->outcome, VerifyOutcome::held);
    EXPECT_EQ(extreme.find("position_storage_agrees")->outcome, VerifyOutcome::held);
    auto const refuted = [&](auto change) {
        Recorded r = right;
        change(r.file);
        expectStory(r, "position_append_is_next", 0, "planes of token");
    };
    using File = oracle::RecordingFile;
    refuted([](File& file) { file.attentionFactors.clear(); });
    refuted([](File& file) { std::swap(file.attentionFactors[0], file.attentionFactors[1]); });
    refuted([](File& file) { std::swap(file.frequencies[0], file.frequencies[1]); });
    // The factor is held to a few units in the last place.
    for (std::size_t const l : {windowed, raw})
        refuted([&](File& file) {
            int const bits = int(precisions::f32.significandBits);
            file.attentionFactors[l] *= 1 + std::ldexp(1, 5 - bits);
        });
}

TEST(VerifySmall, a_layer_that_does_not_rotate_keeps_its_rows) {
    for (auto const& [member, words] :
         {std::pair{&LayerTensors::keyRaw, "the key of token 5 is not its keyRaw"},
          std::pair{&LayerTensors::queryRaw, "the query of token 5 is not its queryRaw"}}) {
        Recorded r = small();
        float& x = r.tensor({2, slanted}, member).values[3];
        x = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) ^ 1u);
        expectStory(r, "position_storage_agrees", 2, words);
    }
    Recorded r = small().only(slanted);
    EXPECT_EQ(r.verify().find("position_storage_agrees")->reached, 14u);
    for (auto& update : r.file.updates) update.layers[0].queryRaw = {};
    EXPECT_EQ(r.verify().find("position_storage_agrees")->places, 7u);
    for (auto& update : r.file.updates) update.layers[0].keyRaw = {};
    EXPECT_EQ(r.verify().find("position_storage_agrees")->note, "no layer rotates");
}

TEST(VerifySmall, laws_of_shapes_that_no_layer_has_are_not_reached) {
    auto const expectNone = [](Recorded const& r, std::string const& law, std::string const& why) {
        auto const report = r.verify();
        EXPECT_EQ(report.find(law)->outcome, VerifyOutcome::notReachable) << print(report);
        EXPECT_EQ(report.find(law)->places, 0u) << law;
        EXPECT_EQ(report.find(law)->note, why);
    };
    expectNone(small().only(raw), "window_eq_masked_full", "no layer has a window");
    expectNone(small().only(slanted), "heads_gqa_eq_repeated",
               "every query head has its own kv head");
    Recorded r = small().only(windowed);
    r.file.updates = {r.file.updates[1]};  // two tokens, and a window of three
    expectNone(r, "window_eq_masked_full", "no window hides a row");
    // A wide interval of another layer makes nothing of them vacuous.
    r = small().only(slanted);
    r.file.declaration.numerics.normRoundings = 1u << 23;
    expectNone(r, "window_eq_masked_full", "no layer has a window");
    r = small();
    EXPECT_EQ(r.verify().find("window_eq_masked_full")->places, 6u);
}

TEST(VerifySmall, what_could_have_shown_too_little_says_so) {
    EXPECT_TRUE(small().verify().reachesEnough());
    EXPECT_EQ(toJson(small().verify())["reachesEnough"], true);
    auto const expectTooLittle = [](Recorded const& r) {
        auto const report = r.verify();
        EXPECT_TRUE(report.holds()) << print(report);
        EXPECT_FALSE(report.reachesEnough()) << print(report);
        EXPECT_NE(print(report).find("\ntoo little: "), std::string::npos) << print(report);
        EXPECT_EQ(toJson(report)["reachesEnough"], false);
    };
    auto const each = [](auto change) {
        Recorded r = small();
        for (auto& update : r.file.updates)
            for (auto& layer : update.layers) change(layer);
        return r;
    };
    expectTooLittle(each([](LayerTensors& all) {
        LayerTensors one{};
        one.cacheKey = all.cacheKey;
        all = one;
    }));
    expectTooLittle(each([](LayerTensors& all) { all.key = all.keyRaw = {}; }));
    expectTooLittle(each([](LayerTensors& all) { all.value = {}; }));
    expectTooLittle(each([](LayerTensors& all) { all.output = {}; }));
    Recorded r = small();
    r.file.updates.resize(1);  // nothing was there before it
    expectTooLittle(r);
}

TEST(VerifySmall, a_window_one_key_off) {
    // The engine shows three keys and the sink; two and four are declared, without a ring.
    Recorded r = small();
    r.file.declaration.layers[windowed].window = 2;
    r.file.declaration.layers[windowed].retained = 0;
    for (auto& update : r.file.updates)
        for (auto name : {&LayerTensors::cacheKey, &LayerTensors::cacheValue,
                          &LayerTensors::cacheKeySha256, &LayerTensors::cacheValueSha256})
            update.layers[windowed].*name = {};
    expectStory(r, "window_eq_masked_full", 0, "row 1, which the window hides, is seen");
    r.file.declaration.layers[windowed].window = 4;
    expectStory(r, "window_eq_masked_full", 0, "is not seen: the window is one key short");
}

TEST(VerifySmall, a_ring_that_lost_what_its_window_shows) {
    Recorded r = small();
    Tensor& cache = r.tensor({4, windowed}, &LayerTensors::cacheKey);
    ASSERT_EQ(cache.shape[0], 5u);  // the sink and four rows
    cache.shape[0] = 3;
    cache.values.resize(3 * 2 * 6);
    expectStory(r, "appendKV_length", 4, "the cache has the wrong length");
}

TEST(VerifySmall, declarations_that_do_not_fit) {
    Recorded r = small();
    r.file.declaration.layers[raw].keyStorage = KeyStorage::rotated;
    expectStory(r, "appendKV_last_key", 0, "row 1 holds the key before its rotation");
    r = small();
    r.file.declaration.layers[raw].rotaryLayout = RotaryLayout::halfSplit;
    expectStory(r, "position_append_is_next", 0, "the two components of plane 0");
    r = small();
    r.file.declaration.layers[windowed].rotaryLayout = RotaryLayout::interleaved;
    expectStory(r, "position_storage_agrees", 0, "the key of token 1 are not as turned");
    r = small();
    r.file.declaration.layers[slanted].slopes = {};
    expectStory(r, "prefill_eq_appends", 0, "no plain accident");
}

TEST(VerifySmall, sequences_are_not_mixed_up) {
    Recorded r = small();
    std::swap(r.file.updates[4].sequence, r.file.updates[3].sequence);
    EXPECT_FALSE(r.verify().holds());
    r = small();
    r.tensor({6, slanted}, &LayerTensors::output) = r.tensor({4, slanted}, &LayerTensors::output);
    expectStory(r, "decodeWithCache_eq_fullAttention", 6, "");
    EXPECT_EQ(r.verify().find("decodeWithCache_eq_fullAttention")->first->place.sequence, 1u);
}

/// A tensor, and the law that must notice that one of its numbers has changed its sign.
struct Witness {
    Member member;
    std::string law;
    std::size_t step;
};

TEST(VerifySmall, each_number_has_a_law_that_watches_it) {
    for (auto const& [member, law, step] : std::vector<Witness>{
             {&LayerTensors::queryRaw, "position_storage_agrees", 2},
             {&LayerTensors::query, "position_storage_agrees", 2},
             {&LayerTensors::query, "decodeWithCache_eq_fullAttention", 2},
             {&LayerTensors::keyRaw, "position_storage_agrees", 2},
             {&LayerTensors::key, "position_storage_agrees", 2},
             {&LayerTensors::key, "appendKV_last_key", 2},
             {&LayerTensors::value, "appendKV_last_value", 2},
             {&LayerTensors::value, "decodeWithCache_eq_fullAttention", 2},
             {&LayerTensors::cosine, "position_append_is_next", 2},
             {&LayerTensors::sine, "position_append_is_next", 2},
             {&LayerTensors::cacheKey, "appendKV_prefix", 2},
             {&LayerTensors::cacheValue, "appendKV_prefix", 2},
             {&LayerTensors::output, "decodeWithCache_eq_fullAttention", 2},
             {&LayerTensors::output, "prefill_eq_appends", 5}}) {
        Recorded r = small();
        float& x = r.tensor({step, windowed}, member).values[0];
        ASSERT_NE(x, 0);
        x = -x;
        expectStory(r, law, step, "");
    }
    Recorded r = small();
    r.named({1, windowed}).cacheKeySha256->front() ^= 1;
    expectStory(r, "appendKV_last_key", 1, "no plain accident");
    // A digest beside a whole cache must be its own.
    r = small();
    r.named({2, windowed}).cacheKeySha256 = r.named({1, windowed}).cacheKeySha256;
    expectStory(r, "appendKV_prefix", 2, "the digest is not that of the rows beside it");
    r = small();
    r.named({0, windowed}).cacheKeySha256 = r.named({1, windowed}).cacheKeySha256;
    expectStory(r, "appendKV_last_key", 0, "the digest is not that of the rows beside it");
}

TEST(VerifySmall, a_sequence_beyond_its_capacity_is_bad_input) {
    Recorded r = small();
    r.file.declaration.capacity = 10;
    EXPECT_THROW(r.verify(), oracle::BadInput);
    r.file.declaration.capacity = 11;
    EXPECT_TRUE(r.verify().holds());
}

/// Names a law, or none, and how many of its places are lost.
struct Cost {
    Member member;
    std::string name;
    std::map<std::string, std::size_t> lost;
};

TEST(VerifySmall, each_missing_tensor_costs_what_the_report_says) {
    std::map<std::string, std::size_t> const outputs{
        {"heads_gqa_eq_repeated", 14}, {"window_eq_masked_full", 6},
        {"fullAttention_causal", 9},   {"prefill_eq_appends", 9},
        {"decodeWithCache_eq_fullAttention", 12}};
    auto const with = [](std::map<std::string, std::size_t> a,
                         std::map<std::string, std::size_t> const& b) {
        a.insert(b.begin(), b.end());
        return a;
    };
    // Two layers rotate. The third owes no query, but its queryRaw has nothing to be equal to then.
    std::map<std::string, std::size_t> const turned{{"position_storage_agrees", 14}};
    std::map<std::string, std::size_t> const unturned{{"position_storage_agrees", 21}};
    std::map<std::string, std::size_t> const angles{{"position_append_is_next", 14},
                                                    {"position_storage_agrees", 28}};
    for (auto const& [member, name, lost] : std::vector<Cost>{
             {&LayerTensors::queryRaw, "queryRaw", turned},
             {&LayerTensors::query, "query", with(unturned, outputs)},
             {&LayerTensors::cosine, "cosine", angles},
             {&LayerTensors::sine, "sine", angles},
             {&LayerTensors::output, "output", outputs}}) {
        Recorded r = small();
        for (auto& update : r.file.updates)
            for (auto& layer : update.layers) layer.*member = {};
        auto const report = r.verify();
        EXPECT_TRUE(report.holds()) << name << "\n" << print(report);
        for (auto const& law : report.laws) {
            std::size_t const cost = lost.contains(law.name) ? lost.at(law.name) : 0;
            EXPECT_EQ(law.places - law.reached, cost) << name << " " << law.name;
            EXPECT_EQ(law.missing.contains(name), cost > 0) << name << " " << law.name;
            EXPECT_EQ(law.outcome, cost == law.places ? VerifyOutcome::notReachable
                                                      : VerifyOutcome::held)
                << name << " " << law.name;
        }
    }
}

TEST(VerifySmall, a_missing_row_is_taken_from_the_cache_that_shows_it) {
    // Without `value`, the whole caches still give the rows, but nothing says which were new.
    Recorded r = small();
    for (auto& update : r.file.updates)
        for (auto& layer : update.layers) layer.value = {};
    auto const report = r.verify();
    EXPECT_TRUE(report.holds()) << print(report);
    EXPECT_EQ(report.find("appendKV_last_value")->outcome, VerifyOutcome::notReachable);
    EXPECT_EQ(report.find("appendKV_last_value")->missing.at("value"), 21u);
    auto const& decode = *report.find("decodeWithCache_eq_fullAttention");
    EXPECT_EQ(decode.outcome, VerifyOutcome::held);
    EXPECT_LT(decode.reached, decode.places);
    EXPECT_NE(print(report).find("missing   value, so not checked: "), std::string::npos);
}

TEST(VerifySmall, a_digest_says_nothing_where_a_row_is_not_known) {
    // The second sequence has digests at steps 1 and 3. The value of step 3 is known, those of
    // step 1 are not, so neither digest can be made.
    Recorded r = small().only(raw);
    r.named({1, 0}).value = {};
    auto const report = r.verify();
    EXPECT_TRUE(report.holds()) << print(report);
    for (auto const& [law, missing] : {std::pair{"appendKV_last_value", 2u},
                                       std::pair{"appendKV_length", 2u},
                                       std::pair{"appendKV_prefix", 2u}}) {
        EXPECT_EQ(report.find(law)->missing.at("value"), missing) << law;
        EXPECT_EQ(report.find(law)->places - report.find(law)->reached, missing) << law;
    }
}

TEST(VerifySmall, caches_and_frequencies_may_be_missing_too) {
    Recorded r = small();
    r.file.frequencies = {};
    for (auto& update : r.file.updates)
        for (auto& layer : update.layers)
            layer.cacheKey = layer.cacheValue = layer.cacheKeySha256 = layer.cacheValueSha256 = {};
    auto const report = r.verify();
    EXPECT_TRUE(report.holds());
    EXPECT_EQ(report.find("position_append_is_next")->missing.at("frequencies"), 14u);
    for (auto const* law : {"appendKV_length", "appendKV_last_key", "appendKV_last_value",
                            "appendKV_prefix", "position_append_is_next"})
        EXPECT_EQ(report.find(law)->outcome, VerifyOutcome::notReachable) << law;
    EXPECT_EQ(report.find("position_storage_agrees")->outcome, VerifyOutcome::held);
    // A recording with nothing in it is no recording that holds.
    for (auto& update : r.file.updates)
        for (auto& layer : update.layers) layer = {};
    EXPECT_FALSE(r.verify().holds());
}

TEST(VerifySmall, an_interval_as_wide_as_the_data_is_vacuous) {
    Recorded r = small();
    r.file.declaration.numerics.normRoundings = 1u << 23;
    auto const report = r.verify();
    EXPECT_FALSE(report.holds());
    for (auto const* law : {"decodeWithCache_eq_fullAttention", "prefill_eq_appends"}) {
        EXPECT_EQ(report.find(law)->outcome, VerifyOutcome::vacuous) << law;
        EXPECT_NE(report.find(law)->note.find("declare more"), std::string::npos);
    }
    EXPECT_EQ(report.find("appendKV_prefix")->outcome, VerifyOutcome::held);
    // So is a row of angles that would fit two positions.
    r = small();
    r.file.declaration.numerics.expUlps = 1u << 22;
    EXPECT_EQ(r.verify().find("position_append_is_next")->outcome, VerifyOutcome::vacuous);
    EXPECT_NE(r.verify().find("position_append_is_next")->note.find("not established"),
              std::string::npos);
}

TEST(VerifySmall, a_slow_plane_alone_leaves_the_position_open_and_says_so) {
    Recorded r = small().only(windowed);
    auto const& numerics = r.file.declaration.numerics;
    float const slow = float(std::ldexp(1.0, numerics.compute.minExponent));
    r.tensors["frequencies"].values[1] = slow;
    for (std::size_t u = 0; u < r.file.updates.size(); ++u) {
        auto& names = r.named({u, 0});
        names.keyRaw = names.queryRaw = {};
        for (std::size_t i = 0; i < r.file.updates[u].count; ++i) {
            r.row({u, 0}, &LayerTensors::cosine, i)[1] = 1;
            r.row({u, 0}, &LayerTensors::sine, i)[1] = 0;
        }
    }
    auto const report = r.verify();
    EXPECT_EQ(report.find("position_append_is_next")->outcome, VerifyOutcome::held);
    EXPECT_NE(report.find("position_append_is_next")->note.find(
                  "position not established in plane 1 of layer 2"),
              std::string::npos)
        << print(report);
}

TEST(VerifySmall, a_violation_is_five_lines_and_the_same_in_json) {
    Recorded r = small();
    float& x = r.head({4, windowed}, &LayerTensors::cacheKey, 2, 1)[3];
    x = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) ^ 1u);
    auto const report = r.verify();
    auto const& law = *report.find("appendKV_prefix");
    ASSERT_TRUE(law.first) << print(report);
    auto const text = print(report, law);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5) << text;
    for (auto const* words :
         {"appendKV_prefix: every earlier row is kept", "step 4, layer 2, row 2, head 1",
          "component 3: one bit of row 2 differs", "got ", "want ", "small.trace:6",
          "4/0/cacheKey in small.safetensors", "kvspec verify small.trace"})
        EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
    auto const json = toJson(report);
    EXPECT_EQ(json["holds"], false);
    EXPECT_EQ(json["laws"].size(), report.laws.size());
    EXPECT_EQ(json["laws"][3]["law"], "appendKV_prefix");
    EXPECT_EQ(json["laws"][3]["outcome"], "violated");
    EXPECT_EQ(json["laws"][3]["first"]["place"]["component"], 3);
    EXPECT_EQ(print(report, *report.find("appendKV_length")), "");
}

}  // namespace
}  // namespace kv::tests

// stories_test: a whole trained model, token by token through our engine, against the spec.
//
// The model writes 200 tokens greedily, each through the cache of our engine, layer by layer. Then
// the same tokens go once through the spec: the whole sequence at once, full attention in f32, no
// cache anywhere. Both must choose the same token each time. And each attention output of the
// engine must lie in the interval that the spec derives from that layer's own queries, keys and
// values. An engine that picks its kv heads wrongly fails both, which is shown, too.
#include "tests/stories.hpp"

#include "bugs/kv_head_by_modulo.hpp"
#include "impl/contiguous.hpp"
#include "properties/lift.hpp"
#include "spec/layers.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <optional>

namespace kv::tests {
namespace {

constexpr std::size_t length = 200;

/// The folder of the model: KVSPEC_STORIES, or where the project keeps data that it may not commit.
std::optional<std::filesystem::path> folder() {
    if (char const* given = std::getenv("KVSPEC_STORIES")) return given;
    auto const beside = std::filesystem::path(KVSPEC_SOURCE_DIR).parent_path() / "shared" / "data" /
                        "stories260K";
    return std::filesystem::exists(beside / "checkpoint.bin") ? std::optional(beside)
                                                              : std::nullopt;
}

LayerDeclaration declarationOf(StoryModel const& model) {
    auto const& c = model.config();
    return {.queryHeads = std::size_t(c.queryHeads),
            .kvHeads = std::size_t(c.kvHeads),
            .keyDim = model.headDim(),
            .valueDim = model.headDim(),
            .scale = double(1 / std::sqrt(float(model.headDim()))),
            .window = 0,
            .sinks = 0,
            .retained = 0,
            .keyStorage = KeyStorage::rotated,
            .rotaryLayout = RotaryLayout::interleaved,
            .rotaryDim = model.headDim(),
            .cosine = {model.cosine().begin(), model.cosine().end()},
            .sine = {model.sine().begin(), model.sine().end()},
            .slopes = {},
            .keyFormat = {},
            .valueFormat = {},
            .queryFormat = {},
            .numerics = {},
            .sinkLogits = {},
            .chunk = {}};
}

impl::Shape shapeOf(StoryModel const& model) {
    auto const d = declarationOf(model);
    impl::LayerShape const layer{.queryHeads = d.queryHeads,
                                 .kvHeads = d.kvHeads,
                                 .keyDim = d.keyDim,
                                 .valueDim = d.valueDim,
                                 .scale = float(d.scale),
                                 .rotaryLayout = impl::RotaryLayout::interleaved,
                                 .rotaryDim = d.rotaryDim,
                                 .cosine = d.cosine,
                                 .sine = d.sine};
    return {.sequences = 1, .capacity = length,
            .layers = std::vector<impl::LayerShape>(model.layers(), layer)};
}

/// What one token met in one layer.
struct Attended {
    Projected token;
    Vector output;
};

struct Story {
    std::vector<std::size_t> tokens{1};          ///< 1 begins a text; one more than was attended
    std::vector<std::vector<Attended>> layers;   ///< [layer][token]
};

/// Writes the story through the cache of an engine.
template <class Decisions>
Story write(StoryModel const& model) {
    impl::Contiguous<Decisions> engine(shapeOf(model));
    Story story;
    story.layers.resize(model.layers());
    for (std::size_t i = 0; i < length; ++i) {
        Vector x = model.embedding(story.tokens.back());
        for (std::size_t l = 0; l < model.layers(); ++l) {
            Attended step{model.project(l, x), Vector(std::size_t(model.config().dim))};
            auto const& [key, value, query] = step.token;
            auto const status = engine.stepLayer(impl::SequenceId{0}, impl::LayerIndex{l}, 1,
                                            {key, value, query}, step.output);
            if (!status) throw std::runtime_error(status.why());
            x = model.combine(l, x, step.output);
            story.layers[l].push_back(std::move(step));
        }
        story.tokens.push_back(model.next(x));
    }
    return story;
}

template <class S>
auto tokenOf(Projected const& token, LayerDeclaration const& d) {
    using L = properties::LayerOver<S>;
    properties::RowShape const row{d.kvHeads, d.keyDim};
    return Token<typename L::Key, typename L::Value, typename L::Query>{
        properties::lift<S>(token.key, row, numericsF32),
        properties::lift<S>(token.value, row, numericsF32),
        properties::lift<S>(token.query, {d.queryHeads, d.keyDim}, numericsF32)};
}

Vector flat(Heads<float, Dyn, Dyn> const& heads) {
    Vector out;
    for (std::size_t h = 0; h < heads.size(); ++h)
        for (std::size_t d = 0; d < heads[h].size(); ++d) out.push_back(heads[h][d]);
    return out;
}

/// The hidden vectors that leave the model, from the spec's `forward` over the whole sequence.
Seq<Vector, Dyn> fullPass(StoryModel const& model, std::vector<std::size_t> const& tokens) {
    auto const d = declarationOf(model);
    auto const layer = properties::layerOf<float>(d, numericsF32);
    auto xs = tabulate(length, [&](std::size_t i) { return model.embedding(tokens[i]); });
    for (std::size_t l = 0; l < model.layers(); ++l) {
        auto const project = [&](Vector const& x) {
            return tokenOf<float>(model.project(l, x), d);
        };
        auto const combine = [&](Vector const& x, auto const& output) {
            return model.combine(l, x, flat(output));
        };
        xs = forward(hana::make_tuple(Block{layer, project, combine}), xs);
    }
    return xs;
}

struct Inside {
    std::size_t outputs = 0, outside = 0;
    double widest = 0;  ///< half-width over the root mean square of the layer's outputs
};

/// Every output of one layer against the interval of its own rows.
Inside compare(LayerDeclaration const& d, std::vector<Attended> const& steps) {
    auto const layer = properties::layerOf(d, numericsF32Plain);
    auto const tokens = tabulate(steps.size(), [&](std::size_t i) {
        return tokenOf<Enclosure>(steps[i].token, d);
    });
    auto const want = fullAttention(layer, tokens);
    Inside inside;
    double squares = 0, radius = 0;
    for (std::size_t i = 0; i < steps.size(); ++i)
        for (std::size_t h = 0; h < d.queryHeads; ++h)
            for (std::size_t c = 0; c < d.valueDim; ++c) {
                float const y = steps[i].output[h * d.valueDim + c];
                inside.outputs += 1;
                inside.outside += Agreement<float, Enclosure>::holds(y, want[i][h][c]) ? 0 : 1;
                squares += double(y) * double(y);
                radius = std::max(radius, want[i][h][c].radius);
            }
    inside.widest = radius / std::sqrt(squares / double(inside.outputs));
    return inside;
}

/// At how many tokens the spec chooses another one than the engine did.
std::size_t disagreements(StoryModel const& model, Story const& story) {
    auto const last = fullPass(model, story.tokens);
    std::size_t count = 0;
    for (std::size_t i = 0; i < length; ++i)
        count += model.next(last[i]) == story.tokens[i + 1] ? 0 : 1;
    return count;
}

constexpr char const* absent =
    "stories260K is not there: set KVSPEC_STORIES to a folder with checkpoint.bin and tok512.bin";

TEST(Stories, the_engine_writes_what_the_spec_reads) {
    auto const at = folder();
    if (!at) GTEST_SKIP() << absent;
    StoryModel const model(*at / "checkpoint.bin");
    auto const story = write<impl::Standard>(model);
    StoryTokens const pieces(*at / "tok512.bin", std::size_t(model.config().vocabulary));
    std::cout << pieces.text(story.tokens) << "\n";
    EXPECT_EQ(disagreements(model, story), 0u);
    double widest = 0;
    for (std::size_t l = 0; l < model.layers(); ++l) {
        auto const inside = compare(declarationOf(model), story.layers[l]);
        EXPECT_EQ(inside.outputs, length * std::size_t(model.config().dim)) << "layer " << l;
        EXPECT_EQ(inside.outside, 0u) << "layer " << l;
        EXPECT_LT(inside.widest, 1) << "vacuous in layer " << l;
        widest = std::max(widest, inside.widest);
    }
    std::cout << length << " tokens, " << model.layers() << " layers; widest interval: +-" << widest
              << " of the outputs' rms\n";
}

TEST(Stories, a_wrong_engine_is_outside) {
    auto const at = folder();
    if (!at) GTEST_SKIP() << absent;
    StoryModel const model(*at / "checkpoint.bin");
    auto const story = write<bugs::KvHeadByModulo>(model);
    EXPECT_GT(disagreements(model, story), 0u);
    for (std::size_t l = 0; l < model.layers(); ++l)
        EXPECT_GT(compare(declarationOf(model), story.layers[l]).outside, 0u) << "layer " << l;
}

}  // namespace
}  // namespace kv::tests

// ours: let our engines, or one of their bugs, be judged.
//
// The adapter turns a Declaration into a shape, owning vectors into spans, and a Status into an
// Answer. It decides nothing. All engines of ours have one interface; some lack a verb.
#pragma once
#include "bugs/zoo.hpp"
#include "properties/check.hpp"

#include <concepts>
#include <limits>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

namespace kv::oracle {

/// The shape that an engine of ours has by this declaration.
inline impl::Shape shapeOf(Declaration const& d) {
    impl::Shape shape{.sequences = d.sequences, .capacity = d.capacity, .layers = {}};
    for (auto const& l : d.layers) {
        if (l.keyFormat.codec != StoredAs::f32 || l.valueFormat.codec != StoredAs::f32)
            throw std::invalid_argument(
                "keyFormat or valueFormat is not f32, the only format in which it stores");
        if (l.queryFormat.codec != StoredAs::f32)
            throw std::invalid_argument("queryFormat is not f32, the only one in which it asks");
        shape.layers.push_back({.queryHeads = l.queryHeads,
                                .kvHeads = l.kvHeads,
                                .keyDim = l.keyDim,
                                .valueDim = l.valueDim,
                                .scale = static_cast<float>(l.scale),
                                .window = l.window,
                                .sinks = l.sinks,
                                .retained = l.retained,
                                .keyStorage = impl::KeyStorage(l.keyStorage),
                                .rotaryLayout = impl::RotaryLayout(l.rotaryLayout),
                                .rotaryDim = l.rotaryDim,
                                .cosine = l.cosine,
                                .sine = l.sine,
                                .slopes = l.slopes,
                                .chunk = l.chunk.value_or(0),
                                .sinkLogits = l.sinkLogits.value_or(std::vector<float>{})});
    }
    return shape;
}

/// Whether an engine of ours keeps its rows in a pool of blocks.
template <class Engine>
inline constexpr bool isPaged =
    std::constructible_from<Engine, impl::Shape const&, impl::PoolShape, impl::Options>;

template <class Engine>
Engine engineOf(Declaration const& d, impl::Options options) {
    if constexpr (isPaged<Engine>) {
        if (!d.pool)
            throw std::invalid_argument("pool is missing; expected blockRows and blocks");
        return Engine(shapeOf(d), {d.pool->blockRows, d.pool->blocks}, options);
    } else {
        return Engine(shapeOf(d), options);
    }
}

template <class Engine = impl::Contiguous<>>
class Ours : public properties::AnyEngine {
   public:
    explicit Ours(properties::Setup const& setup)
        : declaration_(setup.declaration),
          engine_(engineOf<Engine>(declaration_, {.fill = numberOf(setup.fill)})) {}

    using Answer = properties::Answer;
    using Tokens = properties::Tokens;
    using Outputs = properties::Outputs;

    Declaration const& declaration() const override { return declaration_; }

    Answer append(properties::SequenceId s, Tokens const& tokens) override {
        return answer(engine_.append(id(s), tokens.count, rowsOf(tokens)));
    }
    Answer prefill(properties::SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        auto const into = room(outputs, tokens.count);
        return answer(engine_.prefill(id(s), tokens.count, rowsOf(tokens), into));
    }
    Answer step(std::vector<properties::BatchTokens> const& items,
                std::vector<Outputs>& outputs) override {
        // An item refers to these, so that none of them may move.
        std::vector<std::vector<impl::Rows>> rows;
        std::vector<std::vector<std::span<float>>> into;
        for (std::size_t i = 0; i < items.size(); ++i) {
            rows.push_back(rowsOf(items[i].tokens));
            into.push_back(room(outputs[i], items[i].tokens.count));
        }
        std::vector<impl::BatchItem> batch;
        for (std::size_t i = 0; i < items.size(); ++i)
            batch.push_back({id(items[i].sequence), items[i].tokens.count, rows[i], into[i]});
        return answer(engine_.step(batch));
    }
    Answer attend(properties::SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        std::vector<std::span<float const>> queries;
        for (auto const& layer : tokens.layers) queries.emplace_back(layer.queries);
        auto const into = room(outputs, 1);
        return answer(engine_.attend(id(s), queries, into));
    }
    Answer observe(properties::SequenceId s, properties::Content& content) override {
        impl::SequenceState state;
        if (auto const seen = engine_.observe(id(s), state); !seen) return answer(seen);
        content = {state.length, state.nextPosition, {}};
        for (std::size_t l = 0; l < declaration_.layers.size(); ++l) {
            auto const& layer = declaration_.layers[l];
            std::size_t rows = 0;
            if (auto const held = engine_.rowsHeld(id(s), impl::LayerIndex{l}, rows); !held)
                return answer(held);
            std::size_t const heads = rows * layer.kvHeads;
            properties::LayerContent seen{std::vector<std::int64_t>(rows),
                                          std::vector<float>(heads * layer.keyDim),
                                          std::vector<float>(heads * layer.valueDim)};
            auto const read = engine_.read(id(s), impl::LayerIndex{l},
                                           {seen.positions, seen.keys, seen.values});
            if (!read) return answer(read);
            content.layers.push_back(std::move(seen));
        }
        return Answer::accepted();
    }
    Answer rollback(properties::SequenceId s, std::size_t length) override {
        return answer(engine_.rollback(id(s), length));
    }
    Answer fork(properties::SequenceId from, properties::SequenceId to) override {
        return answer(engine_.fork({id(from), id(to)}));
    }
    Answer evict(properties::SequenceId s, std::size_t count) override {
        return answer(engine_.evict(id(s), count));
    }
    Answer remove(properties::SequenceId s, properties::RowRange rows) override {
        if constexpr (requires { engine_.remove(id(s), {}); })
            return answer(engine_.remove(id(s), {rows.first, rows.count}));
        else
            return AnyEngine::remove(s, rows);
    }
    Answer shift(properties::SequenceId s, std::int64_t delta) override {
        // Chunks forbid it by declaration; the engine itself would do it.
        if (std::ranges::find(declaration_.verbs, Verb::shift) == declaration_.verbs.end())
            return AnyEngine::shift(s, delta);
        if constexpr (requires { engine_.shift(id(s), delta); })
            return answer(engine_.shift(id(s), delta));
        else
            return AnyEngine::shift(s, delta);
    }
    Answer release(properties::SequenceId s) override { return answer(engine_.release(id(s))); }
    Answer reorder(std::vector<properties::SequenceId> const& parents) override {
        return answer(engine_.reorder(parents));
    }
    Answer save(properties::SequenceId s) override { return answer(engine_.save(id(s))); }
    Answer restore(properties::SequenceId from, properties::SequenceId to) override {
        return answer(engine_.restore({id(from), id(to)}));
    }
    Answer keep(properties::SequenceId s) override { return answer(engine_.keep(id(s))); }
    Answer reset() override {
        engine_.reset();
        return Answer::accepted();
    }

   private:
    static float numberOf(properties::Fill fill) {
        switch (fill) {
            case properties::Fill::zero: return 0;
            case properties::Fill::loud: return properties::loudNumber;
            case properties::Fill::poison: break;
        }
        return std::numeric_limits<float>::quiet_NaN();
    }
    static impl::SequenceId id(properties::SequenceId s) { return impl::SequenceId{s}; }
    static Answer answer(impl::Status const& status) {
        return status ? Answer::accepted() : Answer::refused(status.why());
    }
    static std::vector<impl::Rows> rowsOf(Tokens const& tokens) {
        std::vector<impl::Rows> rows;
        for (auto const& layer : tokens.layers)
            rows.push_back({layer.keys, layer.values, layer.queries});
        return rows;
    }
    std::vector<std::span<float>> room(Outputs& outputs, std::size_t count) const {
        outputs.clear();
        for (auto const& l : declaration_.layers)
            outputs.emplace_back(count * l.queryHeads * l.valueDim);
        return {outputs.begin(), outputs.end()};
    }

    Declaration declaration_;
    Engine engine_;
};

static_assert(int(impl::RotaryLayout::interleaved) == int(RotaryLayout::interleaved));
static_assert(int(impl::KeyStorage::raw) == int(KeyStorage::raw));

/// Without rings, middle removals and shifts; and with a pool in which one or two sequences have
/// room, and a few blocks more or none: a small pool runs dry while forks share, a large one lets a
/// law have its two sequences. A block holds 1 to 4 rows. The sizes of the layers say which.
inline void bePaged(Declaration& d) {
    std::erase_if(d.verbs, [](Verb v) { return v == Verb::remove || v == Verb::shift; });
    for (auto& layer : d.layers) layer.retained = 0;
    if (d.pool) return;
    std::size_t const rows = 1 + (d.capacity + d.layers.front().keyDim) % 4;
    std::size_t const spare = d.layers.back().keyDim % 5;
    std::size_t const sequences = 1 + d.layers.front().valueDim % 2;
    d.pool = Pool{.blockRows = rows,
                  .blocks = sequences * ((d.capacity + rows - 1) / rows) + spare};
}

/// An engine of ours, at any shape that it can have.
template <class Engine = impl::Contiguous<>>
properties::Candidate ours(std::string name) {
    return {.name = std::move(name),
            .make = [](properties::Setup const& s) { return std::make_unique<Ours<Engine>>(s); },
            .fixed = {},
            .numerics = numericsF32Plain,
            .promises = Promises{.deterministic = true,
                                 .batchInvariant = true,
                                 .addressing = Addressing::byPosition,
                                 .maskedSlots = MaskedSlots::neverRead,
                                 .thresholds = {},
                                 .emptyRow = EmptyRow::refused},
            .formats = {},
            .adapt = isPaged<Engine> ? bePaged : std::function<void(Declaration&)>{},
            .queryFormats = {}};
}

/// One part of the zoo, in its order: there are `bugParts` of them, each compiled in a file of its
/// own, for every bug is an engine.
inline constexpr std::size_t bugParts = 4;
template <std::size_t Part>
std::vector<properties::Candidate> bugsOfPart() {
    using Zoo = std::remove_cvref_t<decltype(bugs::zoo)>;
    constexpr std::size_t count = std::tuple_size_v<Zoo>;
    constexpr std::size_t begin = count * Part / bugParts, end = count * (Part + 1) / bugParts;
    return []<std::size_t... I>(std::index_sequence<I...>) {
        std::vector<properties::Candidate> all;
        auto const add = [&]<class Bug>(Bug const&) {
            all.push_back(ours<bugs::EngineWith<Bug>>("bugs/" + std::string(Bug::name)));
        };
        (add(std::get<begin + I>(bugs::zoo)), ...);
        return all;
    }(std::make_index_sequence<end - begin>());
}
extern template std::vector<properties::Candidate> bugsOfPart<0>();
extern template std::vector<properties::Candidate> bugsOfPart<1>();
extern template std::vector<properties::Candidate> bugsOfPart<2>();
extern template std::vector<properties::Candidate> bugsOfPart<3>();

}  // namespace kv::oracle

// ours: let our engine, or one of its bugs, be judged.
//
// The adapter turns a Declaration into a shape, owning vectors into spans, and a Status into an
// Answer. It decides nothing.
#pragma once
#include "bugs/zoo.hpp"
#include "impl/contiguous.hpp"
#include "properties/check.hpp"

#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

namespace kv::oracle {

template <class Decisions = impl::Standard>
class Ours : public properties::AnyEngine {
   public:
    explicit Ours(properties::Setup const& setup)
        : declaration_(setup.declaration),
          engine_(shapeOf(declaration_), {.fill = numberOf(setup.fill)}) {}

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
        return answer(engine_.remove(id(s), {rows.first, rows.count}));
    }
    Answer shift(properties::SequenceId s, std::int64_t delta) override {
        return answer(engine_.shift(id(s), delta));
    }
    Answer release(properties::SequenceId s) override { return answer(engine_.release(id(s))); }
    Answer reorder(std::vector<properties::SequenceId> const& parents) override {
        return answer(engine_.reorder(parents));
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
    static impl::Shape shapeOf(Declaration const& d) {
        impl::Shape shape{.sequences = d.sequences, .capacity = d.capacity, .layers = {}};
        for (auto const& l : d.layers) {
            if (l.keyFormat.codec != StoredAs::f32 || l.valueFormat.codec != StoredAs::f32)
                throw std::invalid_argument(
                    "keyFormat or valueFormat is not f32, the only format in which it stores");
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
                                    .slopes = l.slopes});
        }
        return shape;
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
    impl::Contiguous<Decisions> engine_;
};

static_assert(int(impl::RotaryLayout::interleaved) == int(RotaryLayout::interleaved));
static_assert(int(impl::KeyStorage::raw) == int(KeyStorage::raw));

/// Our engine with these decisions, at any shape.
template <class Decisions = impl::Standard>
properties::Candidate ours(std::string name) {
    return {std::move(name),
            [](properties::Setup const& setup) { return std::make_unique<Ours<Decisions>>(setup); },
            {},
            numericsF32Plain,
            Promises{.deterministic = true,
                     .batchInvariant = true,
                     .addressing = Addressing::byPosition,
                     .maskedSlots = MaskedSlots::neverRead,
                     .thresholds = {}}};
}

/// "contiguous", then "bugs/NAME" for every bug of the zoo.
inline std::vector<properties::Candidate> ourCandidates() {
    std::vector<properties::Candidate> all{ours("contiguous")};
    bugs::forEachBug([&]<class Bug>(Bug const&) {
        all.push_back(ours<Bug>("bugs/" + std::string(Bug::name)));
    });
    return all;
}

}  // namespace kv::oracle

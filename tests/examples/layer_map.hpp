// layer_map: a map from layers to tensors that were allocated at once, heads first.
//
//     cache.update(layer, keys, values)    [heads][tokens][dim], behind what is there
//     cache.get(layer)                     [heads][capacity][dim], of which seq_length count
//     cache.seq_length(layer), cache.reset()
//
// Its engine has one sequence and knows neither rollback nor fork; laws about those are not
// reachable. What could go wrong: an update that begins at a length which a reset has not touched.
#pragma once
#include "example.hpp"

#include <map>

namespace kv::examples {

class LayerMap {
   public:
    struct Tensors {
        std::size_t heads, keyDim, valueDim, length = 0;
        std::vector<float> keys, values;
    };

    LayerMap(std::size_t capacity, Accident accident) : capacity_(capacity), accident_(accident) {}

    void allocate(int layer, LayerDeclaration const& d) {
        layers_.insert({layer, {d.kvHeads, d.keyDim, d.valueDim, 0,
                                std::vector<float>(d.kvHeads * capacity_ * d.keyDim),
                                std::vector<float>(d.kvHeads * capacity_ * d.valueDim)}});
    }
    void update(int layer, std::vector<float> const& keys, std::vector<float> const& values) {
        Tensors& t = layers_.at(layer);
        std::size_t const tokens = keys.size() / (t.heads * t.keyDim);
        for (std::size_t h = 0; h < t.heads; ++h) {
            std::copy_n(&keys[h * tokens * t.keyDim], tokens * t.keyDim,
                        &t.keys[(h * capacity_ + t.length) * t.keyDim]);
            std::copy_n(&values[h * tokens * t.valueDim], tokens * t.valueDim,
                        &t.values[(h * capacity_ + t.length) * t.valueDim]);
        }
        t.length += tokens;
    }
    Tensors const& get(int layer) const { return layers_.at(layer); }
    std::size_t seq_length(int layer) const { return layers_.at(layer).length; }
    void reset() {
        for (auto& [layer, tensors] : layers_)
            if (accident_ == Accident::none || layer == 0) tensors.length = 0;
    }

   private:
    std::size_t capacity_;
    Accident accident_;
    std::map<int, Tensors> layers_;
};

class LayerMapEngine : public StoringEngine {
   public:
    explicit LayerMapEngine(Accident accident)
        : StoringEngine(declared("layer map", 1,
                                 {Verb::append, Verb::prefill, Verb::attend, Verb::observe,
                                  Verb::reset})),
          cache_(declaration().capacity, accident) {
        for (std::size_t l = 0; l < declaration().layers.size(); ++l)
            cache_.allocate(int(l), declaration().layers[l]);
    }

    Answer append(SequenceId, Tokens const& tokens) override {
        for (std::size_t l = 0; l < tokens.layers.size(); ++l)
            if (cache_.seq_length(int(l)) + tokens.count > declaration().capacity)
                return Answer::refused("more rows than capacity");
        for (std::size_t l = 0; l < tokens.layers.size(); ++l) {
            auto const& d = declaration().layers[l];
            auto const& rows = tokens.layers[l];
            cache_.update(int(l), exchanged(rows.keys, tokens.count, d.kvHeads, d.keyDim),
                          exchanged(rows.values, tokens.count, d.kvHeads, d.valueDim));
        }
        return Answer::accepted();
    }
    Answer observe(SequenceId, Content& seen) override {
        std::vector<LayerRows> all;
        std::size_t const length = cache_.seq_length(0);
        for (std::size_t l = 0; l < declaration().layers.size(); ++l) {
            auto const& t = cache_.get(int(l));
            LayerRows rows{exchanged(t.keys, t.heads, declaration().capacity, t.keyDim),
                           exchanged(t.values, t.heads, declaration().capacity, t.valueDim), {}};
            rows.keys.resize(length * t.heads * t.keyDim);
            rows.values.resize(length * t.heads * t.valueDim);
            all.push_back(std::move(rows));
        }
        seen = contentOf(length, std::move(all));
        return Answer::accepted();
    }
    Answer reset() override {
        cache_.reset();
        return Answer::accepted();
    }

   private:
    /// [a][b][dim] as [b][a][dim].
    static std::vector<float> exchanged(std::vector<float> const& rows, std::size_t as,
                                        std::size_t bs, std::size_t dim) {
        std::vector<float> out(rows.size());
        for (std::size_t a = 0; a < as; ++a)
            for (std::size_t b = 0; b < bs; ++b)
                std::copy_n(&rows[(a * bs + b) * dim], dim, &out[(b * as + a) * dim]);
        return out;
    }

    LayerMap cache_;
};

}  // namespace kv::examples

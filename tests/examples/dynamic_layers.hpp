// dynamic_layers: an entry for each layer that grows by concatenation, as positions say.
//
//     cache.update(keys, values, layer_idx, cache_position)    [tokens][heads][dim], appended
//     cache.get_seq_length(layer_idx = 0)
//     cache.crop(max_length)                                   of every layer
//
// `cache_position` holds the positions of the new tokens; here it must go on where the layer ends,
// and anything else is refused by the adapter, for nobody would notice it later. What could go
// wrong: a crop that looks at the first layer only.
#pragma once
#include "example.hpp"

#include <numeric>

namespace kv::examples {

class DynamicCache {
   public:
    explicit DynamicCache(Accident accident) : accident_(accident) {}

    void update(LayerRows const& rows, std::size_t layer_idx,
                std::vector<std::int64_t> const& cache_position) {
        if (layer_idx >= layers_.size()) layers_.resize(layer_idx + 1);
        Entry& e = layers_[layer_idx];
        e.positions.insert(e.positions.end(), cache_position.begin(), cache_position.end());
        e.keys.insert(e.keys.end(), rows.keys.begin(), rows.keys.end());
        e.values.insert(e.values.end(), rows.values.begin(), rows.values.end());
    }
    std::size_t get_seq_length(std::size_t layer_idx = 0) const {
        return layer_idx < layers_.size() ? layers_[layer_idx].positions.size() : 0;
    }
    void crop(std::size_t max_length) {
        for (Entry& e : layers_) {
            std::size_t const length = e.positions.size();
            if (length <= max_length) continue;
            e.keys.resize(e.keys.size() / length * max_length);
            e.values.resize(e.values.size() / length * max_length);
            e.positions.resize(max_length);
            if (accident_ != Accident::none) return;
        }
    }
    Content content(std::size_t layers) const {
        Content seen{get_seq_length(), std::int64_t(get_seq_length()), {}};
        for (std::size_t l = 0; l < layers; ++l) {
            Entry const e = l < layers_.size() ? layers_[l] : Entry{};
            seen.layers.push_back({e.positions, e.keys, e.values});
        }
        return seen;
    }

   private:
    struct Entry {
        std::vector<std::int64_t> positions;
        std::vector<float> keys, values;
    };
    Accident accident_;
    std::vector<Entry> layers_;
};

class DynamicLayersEngine : public StoringEngine {
   public:
    explicit DynamicLayersEngine(Accident accident)
        : StoringEngine(declared("dynamic layers", 3,
                                 {Verb::append, Verb::prefill, Verb::attend, Verb::observe,
                                  Verb::rollback, Verb::fork, Verb::reorder, Verb::release,
                                  Verb::reset})),
          empty_(accident),
          caches_(3, empty_) {}

    Answer append(SequenceId s, Tokens const& tokens) override {
        std::size_t const length = caches_.at(s).get_seq_length();
        if (length + tokens.count > declaration().capacity)
            return Answer::refused("more rows than capacity");
        std::vector<std::int64_t> cache_position(tokens.count);
        std::iota(cache_position.begin(), cache_position.end(), std::int64_t(length));
        for (std::size_t l = 0; l < tokens.layers.size(); ++l)
            caches_[s].update(tokens.layers[l], l, cache_position);
        return Answer::accepted();
    }
    Answer observe(SequenceId s, Content& seen) override {
        seen = caches_.at(s).content(declaration().layers.size());
        return Answer::accepted();
    }
    Answer rollback(SequenceId s, std::size_t length) override {
        if (length > caches_.at(s).get_seq_length()) return Answer::refused("there are fewer rows");
        caches_[s].crop(length);
        return Answer::accepted();
    }
    Answer fork(SequenceId from, SequenceId to) override {
        if (caches_.at(to).get_seq_length() != 0 || from == to)
            return Answer::refused("only into an empty sequence");
        caches_[to] = caches_.at(from);
        return Answer::accepted();
    }
    Answer reorder(std::vector<SequenceId> const& parents) override {
        auto const old = caches_;
        for (std::size_t s = 0; s < parents.size(); ++s) caches_[s] = old.at(parents[s]);
        return Answer::accepted();
    }
    Answer release(SequenceId s) override {
        caches_.at(s) = empty_;
        return Answer::accepted();
    }
    Answer reset() override {
        caches_.assign(caches_.size(), empty_);
        return Answer::accepted();
    }

   private:
    DynamicCache empty_;
    std::vector<DynamicCache> caches_;
};

}  // namespace kv::examples

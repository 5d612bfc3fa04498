// lockstep_batch: prompts of different lengths, then one token for each sequence that is active.
//
//     cache.decode(rows, active)    a row for every sequence; inactive ones are padding
//     cache.length(s)
//
// All sequences stand in one tensor [batch][capacity][heads * dim], and each keeps a length of its
// own. A prompt enters token by token while the other sequences are inactive. What could go wrong:
// padding that is counted.
//
// `Recomputing` is the same model without a cache: it remembers what every token brought and
// computes each answer from all of it. Both are judged alike.
#pragma once
#include "example.hpp"

namespace kv::examples {

/// Of one layer.
class LockstepCache {
   public:
    LockstepCache(std::size_t batch, std::size_t capacity, std::size_t keyWidth,
                  std::size_t valueWidth, Accident accident)
        : capacity_(capacity), keyWidth_(keyWidth), valueWidth_(valueWidth), accident_(accident),
          keys_(batch * capacity * keyWidth), values_(batch * capacity * valueWidth),
          lengths_(batch) {}

    /// Rows [batch][width]; those of inactive sequences hold anything.
    void decode(LayerRows const& rows, std::vector<bool> const& active) {
        for (std::size_t s = 0; s < lengths_.size(); ++s) {
            if (lengths_[s] == capacity_) continue;
            if (!active[s] && (accident_ == Accident::none || lengths_[s] == 0)) continue;
            std::copy_n(&rows.keys[s * keyWidth_], keyWidth_,
                        &keys_[(s * capacity_ + lengths_[s]) * keyWidth_]);
            std::copy_n(&rows.values[s * valueWidth_], valueWidth_,
                        &values_[(s * capacity_ + lengths_[s]) * valueWidth_]);
            ++lengths_[s];
        }
    }
    std::size_t length(std::size_t s) const { return lengths_[s]; }
    void finish(std::size_t s) { lengths_[s] = 0; }
    LayerRows rows(std::size_t s) const {
        auto const k = keys_.begin() + std::ptrdiff_t(s * capacity_ * keyWidth_);
        auto const v = values_.begin() + std::ptrdiff_t(s * capacity_ * valueWidth_);
        return {{k, k + std::ptrdiff_t(lengths_[s] * keyWidth_)},
                {v, v + std::ptrdiff_t(lengths_[s] * valueWidth_)},
                {}};
    }

   private:
    std::size_t capacity_, keyWidth_, valueWidth_;
    Accident accident_;
    std::vector<float> keys_, values_;
    std::vector<std::size_t> lengths_;
};

inline std::vector<Verb> lockstepVerbs() {
    return {Verb::append, Verb::prefill, Verb::step, Verb::attend, Verb::observe, Verb::release,
            Verb::reset};
}

/// A step is refused as a whole, before a row is stored; an append is a step of one sequence.
class BatchEngine : public StoringEngine {
   public:
    using StoringEngine::StoringEngine;

    Answer append(SequenceId s, Tokens const& tokens) override {
        if (s >= declaration().sequences) return Answer::refused("unknown sequence");
        if (lengthOf(s) + tokens.count > declaration().capacity)
            return Answer::refused("more rows than capacity");
        store({{s, tokens}});
        return Answer::accepted();
    }
    Answer step(std::vector<BatchTokens> const& items, std::vector<Outputs>& outputs) override {
        std::vector<bool> isNamed(declaration().sequences);
        std::vector<std::size_t> before;
        for (auto const& [s, tokens] : items) {
            if (s >= isNamed.size() || isNamed[s])
                return Answer::refused("unknown sequence, or one that is named twice");
            if (lengthOf(s) + tokens.count > declaration().capacity)
                return Answer::refused("more rows than capacity");
            isNamed[s] = true;
            before.push_back(lengthOf(s));
        }
        store(items);
        outputs.assign(items.size(), {});
        for (std::size_t i = 0; i < items.size(); ++i)
            if (items[i].tokens.count > 0)
                outputs[i] = answers(items[i].sequence, items[i].tokens, before[i]);
        return Answer::accepted();
    }

   private:
    virtual std::size_t lengthOf(SequenceId s) const = 0;
    virtual void store(std::vector<BatchTokens> const& items) = 0;
};

class LockstepEngine : public BatchEngine {
   public:
    explicit LockstepEngine(Accident accident)
        : BatchEngine(declared("lockstep batch", 3, lockstepVerbs())) {
        for (auto const& d : declaration().layers)
            layers_.push_back({declaration().sequences, declaration().capacity,
                               d.kvHeads * d.keyDim, d.kvHeads * d.valueDim, accident});
    }

    Answer observe(SequenceId s, Content& seen) override {
        std::vector<LayerRows> all;
        for (auto const& layer : layers_) all.push_back(layer.rows(s));
        seen = contentOf(layers_[0].length(s), std::move(all));
        return Answer::accepted();
    }
    Answer release(SequenceId s) override {
        for (auto& layer : layers_) layer.finish(s);
        return Answer::accepted();
    }
    Answer reset() override {
        for (SequenceId s = 0; s < declaration().sequences; ++s)
            if (auto const answer = release(s); !answer) return answer;
        return Answer::accepted();
    }

   private:
    std::size_t lengthOf(SequenceId s) const override { return layers_[0].length(s); }
    /// As many decodes as the longest item has tokens; who has none left is inactive.
    void store(std::vector<BatchTokens> const& items) override {
        std::size_t most = 0;
        for (auto const& item : items) most = std::max(most, item.tokens.count);
        for (std::size_t t = 0; t < most; ++t) {
            std::vector<bool> active(declaration().sequences);
            for (auto const& item : items) active.at(item.sequence) = t < item.tokens.count;
            for (std::size_t l = 0; l < layers_.size(); ++l)
                layers_[l].decode(padded(items, t, l), active);
        }
    }

    /// Token t of each sequence that has one, where its sequence stands in the batch.
    LayerRows padded(std::vector<BatchTokens> const& items, std::size_t t, std::size_t l) const {
        auto const& d = declaration().layers[l];
        std::size_t const batch = declaration().sequences;
        LayerRows rows{std::vector<float>(batch * d.kvHeads * d.keyDim, -1),
                       std::vector<float>(batch * d.kvHeads * d.valueDim, -1), {}};
        auto const put = [&](std::vector<float>& to, std::vector<float> const& from,
                             SequenceId s) {
            std::size_t const width = to.size() / batch;
            std::copy_n(&from[t * width], width, &to[s * width]);
        };
        for (auto const& item : items) {
            if (t >= item.tokens.count) continue;
            put(rows.keys, item.tokens.layers[l].keys, item.sequence);
            put(rows.values, item.tokens.layers[l].values, item.sequence);
        }
        return rows;
    }

    std::vector<LockstepCache> layers_;
};

class Recomputing : public BatchEngine {
   public:
    Recomputing() : BatchEngine(declared("recomputing", 3, lockstepVerbs())), past_(3) {}

    Answer observe(SequenceId s, Content& seen) override {
        std::vector<LayerRows> all(declaration().layers.size());
        for (auto const& token : past_.at(s))
            for (std::size_t l = 0; l < all.size(); ++l) {
                all[l].keys.insert(all[l].keys.end(), token[l].keys.begin(), token[l].keys.end());
                all[l].values.insert(all[l].values.end(), token[l].values.begin(),
                                     token[l].values.end());
            }
        seen = contentOf(past_[s].size(), std::move(all));
        return Answer::accepted();
    }
    Answer release(SequenceId s) override {
        past_.at(s).clear();
        return Answer::accepted();
    }
    Answer reset() override {
        past_.assign(past_.size(), {});
        return Answer::accepted();
    }

   private:
    std::size_t lengthOf(SequenceId s) const override { return past_[s].size(); }
    void store(std::vector<BatchTokens> const& items) override {
        for (auto const& [s, tokens] : items)
            for (std::size_t t = 0; t < tokens.count; ++t) {
                std::vector<LayerRows> token;
                for (auto const& rows : tokens.layers)
                    token.push_back({part(rows.keys, t, tokens.count),
                                     part(rows.values, t, tokens.count), {}});
                past_[s].push_back(std::move(token));
            }
    }
    static std::vector<float> part(std::vector<float> const& rows, std::size_t token,
                                   std::size_t count) {
        auto const width = std::ptrdiff_t(rows.size() / count);
        auto const first = rows.begin() + std::ptrdiff_t(token) * width;
        return {first, first + width};
    }

    std::vector<std::vector<std::vector<LayerRows>>> past_;  ///< [sequence][token][layer]
};

}  // namespace kv::examples

// start_position: a cache that is told where to write, and how far to read.
//
//     cache.update(k, v, start_pos)    rows start_pos, start_pos + 1, ..; allocates on first use
//     cache.get(end_pos)               rows 0 .. end_pos - 1, bit for bit as they came
//     cache.clear()                    gives the memory back
//
// The caller owns the length, so a rollback costs nothing: the next update begins further down.
// What could go wrong: a first allocation that an update does not outgrow, or as here, rows that
// are kept because they seem to be there already.
#pragma once
#include "example.hpp"

#include <optional>

namespace kv::examples {

/// Of one layer; a row holds all heads.
class StartPositionCache {
   public:
    explicit StartPositionCache(Accident accident) : accident_(accident) {}

    void update(std::span<float const> k, std::span<float const> v, std::size_t start_pos,
                std::size_t rows) {
        if (!storage_) storage_.emplace(Storage{k.size() / rows, v.size() / rows, {}, {}});
        auto const put = [&](std::vector<float>& to, std::span<float const> from,
                             std::size_t width) {
            std::size_t const first = start_pos * width;
            std::size_t const kept =
                accident_ == Accident::none ? first : std::max(first, to.size());
            to.resize(std::max(to.size(), first + from.size()));
            for (std::size_t i = kept; i < first + from.size(); ++i) to[i] = from[i - first];
        };
        put(storage_->k, k, storage_->keyWidth);
        put(storage_->v, v, storage_->valueWidth);
    }
    LayerRows get(std::size_t end_pos) const {
        if (!storage_) return {};
        auto const& s = *storage_;
        return {{s.k.begin(), s.k.begin() + std::ptrdiff_t(end_pos * s.keyWidth)},
                {s.v.begin(), s.v.begin() + std::ptrdiff_t(end_pos * s.valueWidth)},
                {}};
    }
    void clear() { storage_.reset(); }

   private:
    struct Storage {
        std::size_t keyWidth, valueWidth;
        std::vector<float> k, v;
    };
    Accident accident_;
    std::optional<Storage> storage_;
};

class StartPositionEngine : public StoringEngine {
   public:
    explicit StartPositionEngine(Accident accident)
        : StoringEngine(declared("start position", 1,
                                 {Verb::append, Verb::prefill, Verb::attend, Verb::observe,
                                  Verb::rollback, Verb::release, Verb::reset})),
          caches_(declaration().layers.size(), StartPositionCache(accident)) {}

    Answer append(SequenceId, Tokens const& tokens) override {
        if (length_ + tokens.count > declaration().capacity)
            return Answer::refused("more rows than capacity");
        for (std::size_t l = 0; l < caches_.size(); ++l)
            caches_[l].update(tokens.layers[l].keys, tokens.layers[l].values, length_,
                              tokens.count);
        length_ += tokens.count;
        return Answer::accepted();
    }
    Answer observe(SequenceId, Content& seen) override {
        std::vector<LayerRows> all;
        for (auto const& cache : caches_) all.push_back(cache.get(length_));
        seen = contentOf(length_, std::move(all));
        return Answer::accepted();
    }
    Answer rollback(SequenceId, std::size_t length) override {
        if (length > length_) return Answer::refused("there are fewer rows");
        length_ = length;
        return Answer::accepted();
    }
    Answer release(SequenceId) override { return reset(); }
    Answer reset() override {
        for (auto& cache : caches_) cache.clear();
        length_ = 0;
        return Answer::accepted();
    }

   private:
    std::size_t length_ = 0;
    std::vector<StartPositionCache> caches_;
};

}  // namespace kv::examples

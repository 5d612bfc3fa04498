// example: what the worked examples have in common.
//
// Each file beside this one holds a cache as people write it, with its own names and layouts, and
// an adapter that makes it an engine to be judged. None of them computes attention: their callers
// do, with what the cache gives back, and so it is done here, in the plainest way.
//
// Not said here: how a cache is adapted to the verbs; each example shows it.
#pragma once
#include "properties/check.hpp"
#include "spec/presets.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>

namespace kv::examples {

using properties::Answer;
using properties::AnyEngine;
using properties::BatchTokens;
using properties::Content;
using properties::LayerRows;
using properties::Outputs;
using properties::SequenceId;
using properties::Tokens;

/// Two layers of different sizes, grouped heads, no rotation, no window.
inline Declaration declared(std::string name, std::size_t sequences, std::vector<Verb> verbs) {
    Declaration d{};
    d.engine = std::move(name);
    d.sequences = sequences;
    d.capacity = 9;
    d.verbs = std::move(verbs);
    for (std::size_t kvHeads : {2, 3}) {
        LayerDeclaration layer{};
        layer.queryHeads = 2 * kvHeads;
        layer.kvHeads = kvHeads;
        layer.keyDim = 9 - kvHeads;
        layer.valueDim = 3 + kvHeads;
        layer.scale = double(static_cast<float>(1 / std::sqrt(double(layer.keyDim))));
        d.layers.push_back(layer);
    }
    d.numerics = numericsF32Plain;
    return d;
}

/// The rows that one query sees, [rows][kvHeads][dim].
struct Past {
    std::span<float const> keys, values;
    std::size_t rows;
};

/// One query, [queryHeads][keyDim], answered from the past.
inline std::vector<float> attention(LayerDeclaration const& d, Past const& past,
                                    std::span<float const> query) {
    std::vector<float> output(d.queryHeads * d.valueDim), weights(past.rows);
    for (std::size_t h = 0; h < d.queryHeads; ++h) {
        std::size_t const g = h / (d.queryHeads / d.kvHeads);
        float largest = -std::numeric_limits<float>::infinity(), sum = 0;
        for (std::size_t j = 0; j < past.rows; ++j) {
            float score = 0;
            for (std::size_t c = 0; c < d.keyDim; ++c)
                score += query[h * d.keyDim + c] * past.keys[(j * d.kvHeads + g) * d.keyDim + c];
            weights[j] = score * static_cast<float>(d.scale);
            largest = std::max(largest, weights[j]);
        }
        for (float& w : weights) sum += w = std::exp(w - largest);
        for (std::size_t j = 0; j < past.rows; ++j)
            for (std::size_t c = 0; c < d.valueDim; ++c)
                output[h * d.valueDim + c] +=
                    weights[j] * past.values[(j * d.kvHeads + g) * d.valueDim + c];
        for (std::size_t c = 0; c < d.valueDim; ++c) output[h * d.valueDim + c] /= sum;
    }
    return output;
}

/// An engine whose cache stores and gives back, and whose caller attends to what it gives.
class StoringEngine : public AnyEngine {
   public:
    explicit StoringEngine(Declaration d) : declaration_(std::move(d)) {}
    Declaration const& declaration() const override { return declaration_; }

    Answer prefill(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        Content before;
        if (!observe(s, before)) return Answer::refused("unknown sequence");
        if (auto const answer = append(s, tokens); !answer) return answer;
        outputs = answers(s, tokens, before.length);
        return Answer::accepted();
    }
    Answer attend(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        Content all;
        if (!observe(s, all) || all.length == 0) return Answer::refused("there is no row");
        outputs.clear();
        for (std::size_t l = 0; l < declaration_.layers.size(); ++l)
            outputs.push_back(answered(l, all, all.length, tokens, 0));
        return Answer::accepted();
    }

   protected:
    /// What the queries of tokens are answered that were stored behind `before` rows.
    Outputs answers(SequenceId s, Tokens const& tokens, std::size_t before) {
        Content all;
        if (!observe(s, all)) throw std::logic_error("rows that were stored are read back");
        Outputs outputs(declaration_.layers.size());
        for (std::size_t l = 0; l < outputs.size(); ++l)
            for (std::size_t t = 0; t < tokens.count; ++t) {
                auto const one = answered(l, all, before + t + 1, tokens, t);
                outputs[l].insert(outputs[l].end(), one.begin(), one.end());
            }
        return outputs;
    }
    /// A read-back of rows that stand at positions 0, 1, 2 and so on.
    static Content contentOf(std::size_t length, std::vector<LayerRows> rows) {
        Content seen{length, std::int64_t(length), {}};
        for (auto& r : rows) {
            seen.layers.push_back({{}, std::move(r.keys), std::move(r.values)});
            for (std::size_t i = 0; i < length; ++i)
                seen.layers.back().positions.push_back(std::int64_t(i));
        }
        return seen;
    }

   private:
    std::vector<float> answered(std::size_t l, Content const& all, std::size_t rows,
                                Tokens const& tokens, std::size_t token) const {
        auto const& d = declaration_.layers[l];
        std::size_t const width = d.queryHeads * d.keyDim;
        return attention(d, {all.layers[l].keys, all.layers[l].values, rows},
                         std::span(tokens.layers[l].queries).subspan(token * width, width));
    }

    Declaration declaration_;
};

/// What an example does wrong, to see that somebody notices.
enum class Accident { none, one };

}  // namespace kv::examples

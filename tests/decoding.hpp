// decoding: answer queries by one pass over what was stored, right or with one thing wrong.
//
// Our engine stores; the answer to a query is computed here from the read-back, row by row, with a
// running maximum and sums that are rescaled when it grows. That is how most kernels do it, and it
// has places to go wrong that our engine has not.
#pragma once
#include "oracle/engines/ours.hpp"
#include "properties/lift.hpp"

#include <cmath>
#include <utility>

namespace kv::tests {

/// What is done wrong; nothing, as it stands.
struct Wrong {
    unsigned sumBits = 24;       ///< significant bits of the sums of values
    bool keepsOldSums = false;   ///< a new maximum does not rescale the sum of values
    std::size_t moreDims = 0;    ///< the scale is that of a wider head
    Position query = 0;          ///< the query is turned too far by this
    Position newestKey = 0;      ///< so is the newest key
    bool hasStaleKey = false;    ///< the second row is found under the key of the first
    bool swapsValues = false;    ///< the first two rows have each other's values
    bool readsZeros = false;     ///< a row that was never written counts, in storage of zeros
};

class Decoding : public oracle::Ours<> {
   public:
    Decoding(properties::Setup const& setup, Wrong wrong) : Ours(setup), wrong_(wrong) {}

    Answer attend(properties::SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        auto const answer = Ours::attend(s, tokens, outputs);
        properties::Content content;
        if (!answer || !Ours::observe(s, content)) return answer;
        for (std::size_t l = 0; l < outputs.size(); ++l)
            outputs[l] = decoded(l, content, tokens.layers[l].queries);
        return answer;
    }

   private:
    using Row = Heads<float, Dyn, Dyn>;

    /// One query head after the other.
    std::vector<float> decoded(std::size_t l, properties::Content const& content,
                               std::vector<float> const& queries) const {
        auto const& d = declaration().layers[l];
        auto const layer = properties::layerOf<float>(d, numericsF32);
        auto const& positions = content.layers[l].positions;
        Position const at = positions.back();
        Position const turn = std::max<Position>(at + wrong_.query, 0);
        auto const query =
            rotateRow(layer.position,
                      properties::lift<float>(queries, {d.queryHeads, d.keyDim}, numericsF32),
                      turn);
        auto const keys = keysOf(d, content.layers[l]);
        std::vector<float> all;
        for (std::size_t h = 0; h < d.queryHeads; ++h) {
            Sums sums{wrong_, std::vector<float>(d.valueDim)};
            std::size_t const group = h * d.kvHeads / d.queryHeads;
            for (std::size_t r = 0; r < keys.size(); ++r) {
                Position const position = positions[r];
                // Rows that a ring has lost stood behind the sinks.
                std::size_t const lost = r < d.sinks ? 0 : content.length - keys.size();
                if (!layer.mask.sees({at, position, lost + r})) continue;
                float score = 0;
                for (std::size_t e = 0; e < d.keyDim; ++e) score += query[h][e] * keys[r][group][e];
                score *= scaleOf(d);
                if (!d.slopes.empty()) score += d.slopes[h] * static_cast<float>(position - at);
                sums.add(score, &content.layers[l].values[(from(r, keys.size()) * d.kvHeads +
                                                           group) * d.valueDim]);
            }
            if (d.sinkLogits) sums.add((*d.sinkLogits)[h], std::vector<float>(d.valueDim).data());
            if (wrong_.readsZeros) sums.add(0, std::vector<float>(d.valueDim).data());
            for (float sum : sums.values) all.push_back(sum / sums.weights);
        }
        return all;
    }

    /// As attention reads them.
    std::vector<Row> keysOf(LayerDeclaration const& d,
                            properties::LayerContent const& content) const {
        auto const law = properties::layerOf<float>(d, numericsF32).position;
        properties::RowShape const shape{d.kvHeads, d.keyDim};
        std::vector<Row> keys;
        for (std::size_t r = 0; r < content.positions.size(); ++r) {
            auto const key = properties::rowAt(content.keys, shape, r);
            keys.push_back(seenKey(law, properties::lift<float>(key, shape, numericsF32),
                                   content.positions[r]));
        }
        if (wrong_.hasStaleKey && keys.size() > 1) keys[1] = keys[0];
        if (!keys.empty()) keys.back() = rotateRow(law, keys.back(), wrong_.newestKey);
        return keys;
    }
    std::size_t from(std::size_t row, std::size_t rows) const {
        return wrong_.swapsValues && rows > 1 && row < 2 ? 1 - row : row;
    }
    float scaleOf(LayerDeclaration const& d) const {
        if (wrong_.moreDims == 0) return static_cast<float>(d.scale);
        return static_cast<float>(1 / std::sqrt(double(d.keyDim + wrong_.moreDims)));
    }

    /// The running sums of one query head.
    struct Sums {
        Wrong const& wrong;
        std::vector<float> values;
        float weights = 0, largest = -std::numeric_limits<float>::infinity();

        void add(float score, float const* value) {
            float const rescale = score > largest ? std::exp(largest - score) : 1;
            largest = std::max(largest, score);
            float const weight = std::exp(score - largest);
            weights = weights * rescale + weight;
            for (std::size_t e = 0; e < values.size(); ++e) {
                float const kept = wrong.keepsOldSums ? values[e] : values[e] * rescale;
                values[e] = rounded(kept + weight * value[e]);
            }
        }
        float rounded(float x) const {
            int exponent = 0;
            float const fraction = std::frexp(x, &exponent);
            int const bits = static_cast<int>(wrong.sumBits);
            return std::ldexp(std::nearbyint(std::ldexp(fraction, bits)), exponent - bits);
        }
    };

    Wrong wrong_;
};

}  // namespace kv::tests

// stories: read a small language model of llama2.c and run what lies around its attention.
//
// A checkpoint (legacy format, version 0) is seven integers and then the weights, f32, in the order
// of the fields below. Each layer is norm, projections, attention, projection, and norm, SwiGLU;
// both halves add to the hidden vector. Attention itself is not here: that is what the test asks.
// Format and model: https://github.com/karpathy/llama2.c.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace kv::tests {

using Vector = std::vector<float>;
using Weights = std::span<float const>;

/// The bytes of a file that lies where the stories are.
inline std::vector<char> bytesOf(std::filesystem::path const& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error(path.string() + " cannot be read");
    return {std::istreambuf_iterator<char>(in), {}};
}

/// rows x columns weights times a vector.
inline Vector times(Weights matrix, Vector const& x) {
    Vector out(matrix.size() / x.size());
    for (std::size_t r = 0; r < out.size(); ++r)
        for (std::size_t c = 0; c < x.size(); ++c) out[r] += matrix[r * x.size() + c] * x[c];
    return out;
}
inline Vector plus(Vector a, Vector const& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
}

/// One token of a layer before its attention, raw: [heads][dim] each.
struct Projected {
    Vector key, value, query;
};

class StoryModel {
   public:
    struct Config {
        std::int32_t dim, hidden, layers, queryHeads, kvHeads, vocabulary, positions;
    };

    explicit StoryModel(std::filesystem::path const& checkpoint) {
        auto const bytes = bytesOf(checkpoint);
        if (bytes.size() < sizeof(Config)) throw std::runtime_error("the checkpoint is cut off");
        std::memcpy(&config_, bytes.data(), sizeof(Config));
        weights_.resize((bytes.size() - sizeof(Config)) / sizeof(float));
        std::memcpy(weights_.data(), bytes.data() + sizeof(Config),
                    weights_.size() * sizeof(float));
        bool const sharesClassifier = config_.vocabulary > 0;
        config_.vocabulary = std::abs(config_.vocabulary);
        divide(sharesClassifier);
    }

    Config const& config() const { return config_; }
    std::size_t headDim() const { return size(config_.dim / config_.queryHeads); }
    std::size_t layers() const { return size(config_.layers); }
    /// [positions][headDim / 2]
    Weights cosine() const { return cosine_; }
    Weights sine() const { return sine_; }

    Vector embedding(std::size_t token) const {
        auto const row = embedding_.subspan(token * size(config_.dim), size(config_.dim));
        return {row.begin(), row.end()};
    }
    Projected project(std::size_t layer, Vector const& x) const {
        auto const normed = norm(x, part(attentionNorm_, layer));
        return {times(part(keys_, layer), normed), times(part(values_, layer), normed),
                times(part(queries_, layer), normed)};
    }
    /// What leaves the layer: `attended` is the output of its attention, all heads in a row.
    Vector combine(std::size_t layer, Vector const& x, Vector const& attended) const {
        auto const seen = plus(x, times(part(outputs_, layer), attended));
        auto const normed = norm(seen, part(hiddenNorm_, layer));
        auto gate = times(part(gates_, layer), normed);
        auto const up = times(part(ups_, layer), normed);
        for (std::size_t i = 0; i < gate.size(); ++i)
            gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
        return plus(seen, times(part(downs_, layer), gate));
    }
    /// The likeliest next token.
    std::size_t next(Vector const& x) const {
        auto const logits = times(classifier_, norm(x, lastNorm_));
        std::size_t best = 0;
        for (std::size_t i = 1; i < logits.size(); ++i)
            if (logits[best] < logits[i]) best = i;
        return best;
    }

   private:
    static std::size_t size(std::int32_t n) { return static_cast<std::size_t>(n); }
    Weights part(Weights all, std::size_t layer) const {
        std::size_t const one = all.size() / layers();
        return all.subspan(layer * one, one);
    }
    /// Root-mean-square norm; llama2.c adds one in 100,000 to the mean square.
    static Vector norm(Vector x, Weights weight) {
        float squares = 0;
        for (float const v : x) squares += v * v;
        float const mean = squares / float(x.size()), floor = 1 / float(100'000);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] *= weight[i] / std::sqrt(mean + floor);
        return x;
    }
    void divide(bool sharesClassifier) {
        std::size_t const n = layers(), d = size(config_.dim), h = size(config_.hidden);
        std::size_t const rows = size(config_.kvHeads) * headDim();
        std::size_t const angles = size(config_.positions) * headDim() / 2;
        Weights rest = weights_;
        auto const take = [&](Weights& field, std::size_t count) {
            if (rest.size() < count) throw std::runtime_error("the checkpoint is cut off");
            field = rest.first(count);
            rest = rest.subspan(count);
        };
        take(embedding_, size(config_.vocabulary) * d);
        take(attentionNorm_, n * d);
        take(queries_, n * d * d);
        take(keys_, n * rows * d);
        take(values_, n * rows * d);
        take(outputs_, n * d * d);
        take(hiddenNorm_, n * d);
        take(gates_, n * h * d);
        take(downs_, n * d * h);
        take(ups_, n * h * d);
        take(lastNorm_, d);
        take(cosine_, angles);
        take(sine_, angles);
        classifier_ = embedding_;
        if (!sharesClassifier) take(classifier_, embedding_.size());
        if (!rest.empty()) throw std::runtime_error("the checkpoint has weights to spare");
    }

    Config config_{};
    Vector weights_;
    Weights embedding_, attentionNorm_, queries_, keys_, values_, outputs_, hiddenNorm_, gates_,
        downs_, ups_, lastNorm_, cosine_, sine_, classifier_;
};

/// The text of token ids. A piece after the first token loses one leading blank.
class StoryTokens {
   public:
    StoryTokens(std::filesystem::path const& tokenizer, std::size_t count) {
        auto const bytes = bytesOf(tokenizer);
        std::size_t at = sizeof(std::int32_t);  // the longest piece, which nobody needs here
        auto const number = [&] {
            std::int32_t n = 0;
            if (at + sizeof(n) > bytes.size()) throw std::runtime_error("the tokens are cut off");
            std::memcpy(&n, bytes.data() + at, sizeof(n));
            at += sizeof(n);
            return static_cast<std::size_t>(n);
        };
        while (pieces_.size() < count) {
            at += sizeof(float);  // a score, for encoding
            std::size_t const length = number();
            if (at + length > bytes.size()) throw std::runtime_error("the tokens are cut off");
            pieces_.emplace_back(bytes.data() + at, length);
            at += length;
        }
    }
    std::string text(std::span<std::size_t const> tokens) const {
        std::string out;
        for (std::size_t i = 1; i < tokens.size(); ++i) {
            std::string piece = pieces_.at(tokens[i]);
            if (i == 1 && piece.starts_with(' ')) piece.erase(0, 1);
            unsigned byte = 0;
            bool const isByte = std::sscanf(piece.c_str(), "<0x%02X>", &byte) == 1;
            out += isByte ? std::string(1, static_cast<char>(byte)) : piece;
        }
        return out;
    }

   private:
    std::vector<std::string> pieces_;
};

}  // namespace kv::tests

// recording: a recording in memory that a test may damage.
//
// The trace and its tensors are plain values here. What a cache returned follows from the rows that
// it was given, so a damage to those rows can be carried on honestly: `rebuild` writes every
// read-back and every digest anew, and no digest gives the damage away.
#pragma once
#include "oracle/sha256.hpp"
#include "oracle/verify.hpp"
#include "properties/lift.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace kv::tests {

using oracle::LayerTensors;
using oracle::Tensor;
using properties::RowShape;

/// One update in one recorded layer, both counted from 0.
struct Site {
    std::size_t step = 0, layer = 0;
};
/// Which entry of a layer's tensors.
using Member = LayerTensors::Name LayerTensors::*;
enum class Half { key, value };

/// The rows of one read-back.
struct CacheRows {
    RowShape shape;
    std::vector<std::vector<float>> rows;
};

struct Recorded {
    oracle::RecordingFile file;
    std::map<std::string, Tensor> tensors;

    static Recorded read(std::filesystem::path const& path) {
        Recorded r{std::get<oracle::RecordingFile>(oracle::readTrace(path)), {}};
        auto const all = oracle::SafeTensors::read(path.parent_path() / r.file.tensors);
        for (auto const& name : all.names()) r.tensors[name] = all.tensor(name);
        return r;
    }
    /// The same with one recorded layer, and the tensors that are still named.
    Recorded only(std::size_t l) const {
        Recorded r{file, {}};
        r.file.declaration.layers = {file.declaration.layers[l]};
        r.file.layerIndices = {file.layerIndices[l]};
        auto const take = [&](LayerTensors::Name const& name) {
            if (name && tensors.contains(*name)) r.tensors[*name] = tensors.at(*name);
        };
        if (!file.frequencies.empty()) r.file.frequencies = {file.frequencies[l]};
        if (!file.attentionFactors.empty()) r.file.attentionFactors = {file.attentionFactors[l]};
        for (auto const& name : r.file.frequencies) take(name);
        for (auto& update : r.file.updates) {
            update.layers = {LayerTensors(update.layers[l])};
            boost::hana::for_each(boost::hana::members(update.layers[0]), take);
        }
        return r;
    }
    /// The tensors that are named; a test that takes a name away means its tensor, too.
    std::map<std::string, Tensor> namedTensors() const {
        std::map<std::string, Tensor> out;
        auto const take = [&](LayerTensors::Name const& name) {
            if (name && tensors.contains(*name)) out[*name] = tensors.at(*name);
        };
        for (auto const& name : file.frequencies) take(name);
        for (auto const& update : file.updates)
            for (auto const& layer : update.layers)
                boost::hana::for_each(boost::hana::members(layer), take);
        return out;
    }
    oracle::VerifyReport verify() const {
        auto const bytes = oracle::writeSafeTensors(namedTensors());
        return oracle::verify(file, oracle::SafeTensors::parse(bytes, file.tensors));
    }

    LayerTensors& named(Site at) { return file.updates.at(at.step).layers.at(at.layer); }
    LayerDeclaration const& layer(std::size_t l) const { return file.declaration.layers.at(l); }
    Tensor& tensor(Site at, Member member) { return tensors.at(*(named(at).*member)); }
    /// Head `head` of row `row` within its update.
    std::span<float> head(Site at, Member member, std::size_t row, std::size_t head) {
        Tensor& t = tensor(at, member);
        return std::span(t.values).subspan((row * t.shape[1] + head) * t.shape[2], t.shape[2]);
    }
    /// Row `row` of an update: all heads.
    std::span<float> row(Site at, Member member, std::size_t row) {
        Tensor& t = tensor(at, member);
        std::size_t const size = t.values.size() / t.shape[0];
        return std::span(t.values).subspan(row * size, size);
    }

    /// Tokens of sequence 0 before a step; the recordings that are damaged here have no other.
    std::size_t before(std::size_t step) const {
        std::size_t tokens = 0;
        for (std::size_t u = 0; u < step; ++u) tokens += file.updates[u].count;
        return tokens;
    }
    std::size_t after(std::size_t step) const { return before(step + 1); }

    /// What the cache holds after a step, from the rows that it was given.
    CacheRows cache(Site at, Half half) {
        auto const& d = layer(at.layer);
        bool const isRaw = d.keyStorage == KeyStorage::raw && d.rotaryDim != 0;
        Member const stored = isRaw ? &LayerTensors::keyRaw : &LayerTensors::key;
        Member const member = half == Half::key ? stored : &LayerTensors::value;
        CacheRows out{{d.kvHeads, half == Half::key ? d.keyDim : d.valueDim}, {}};
        for (std::size_t u = 0; u <= at.step; ++u)
            for (std::size_t i = 0; i < file.updates[u].count; ++i) {
                auto const r = row({u, at.layer}, member, i);
                out.rows.emplace_back(r.begin(), r.end());
            }
        return out;
    }

    /// Writes what a cache is said to hold after a step: the whole tensor, the digest, or both.
    void setCache(Site at, Half half, CacheRows const& cache) {
        std::vector<float> numbers;
        for (auto const& r : cache.rows) numbers.insert(numbers.end(), r.begin(), r.end());
        auto& names = named(at);
        auto& whole = half == Half::key ? names.cacheKey : names.cacheValue;
        auto& digest = half == Half::key ? names.cacheKeySha256 : names.cacheValueSha256;
        if (digest) *digest = oracle::sha256HexOfFloats(numbers);
        if (whole)
            tensors[*whole] = {{cache.rows.size(), cache.shape.heads, cache.shape.dim}, numbers};
    }

    /// Carries every row of a layer on into every read-back.
    void rebuild(std::size_t l) {
        for (std::size_t u = 0; u < file.updates.size(); ++u)
            for (auto half : {Half::key, Half::value})
                setCache({u, l}, half, cache({u, l}, half));
    }

    /// Attention of one token in double, rounded to f32 once; `sees(row)` says which rows.
    std::vector<float> attention(Site at, std::size_t token,
                                 std::function<bool(std::size_t)> const& sees) {
        auto layer = properties::layerOf<double>(this->layer(at.layer), file.declaration.numerics);
        layer.position.layout = RotaryLayout::none;
        auto const rows = [&](CacheRows const& cache) {
            return tabulate(cache.rows.size(), [&](std::size_t i) {
                return properties::lift<double>(cache.rows[i], cache.shape, numericsF32);
            });
        };
        auto const keys = rows(turned(at)), values = rows(cache(at, Half::value));
        RowShape const shape{layer.queryHeads, layer.keyDim};
        auto const query = properties::lift<double>(
            row(at, &LayerTensors::query, token - before(at.step)), shape, numericsF32);
        auto const out = attendRows(
            layer, Position(token), query,
            Rows{keys.size(), [](std::size_t j) { return Position(j); },
                 [&](std::size_t j) -> auto const& { return keys[j]; },
                 [&](std::size_t j) -> auto const& { return values[j]; },
                 [&](Sight const& s) { return sees(s.index); }});
        std::vector<float> flat;
        for (std::size_t h = 0; h < out.size(); ++h)
            for (std::size_t d = 0; d < out[h].size(); ++d) flat.push_back(float(out[h][d]));
        return flat;
    }
    /// Keys after their rotation, also where the cache holds them raw.
    CacheRows turned(Site at) {
        CacheRows out = cache(at, Half::key);
        std::size_t next = 0;
        for (std::size_t u = 0; u <= at.step; ++u)
            for (std::size_t i = 0; i < file.updates[u].count; ++i) {
                auto const r = row({u, at.layer}, &LayerTensors::key, i);
                out.rows[next++].assign(r.begin(), r.end());
            }
        return out;
    }
    /// Rewrites the outputs of a step: what the declared mask shows and `also(token, row)` allows.
    void attendAgain(Site at, std::function<bool(std::size_t, std::size_t)> const& also) {
        auto const mask =
            properties::layerOf<double>(layer(at.layer), file.declaration.numerics).mask;
        for (std::size_t t = before(at.step); t < after(at.step); ++t) {
            auto const output = attention(at, t, [&](std::size_t j) {
                return mask.sees({Position(t), Position(j), j}) && also(t, j);
            });
            auto const to = row(at, &LayerTensors::output, t - before(at.step));
            std::copy(output.begin(), output.end(), to.begin());
        }
    }
    void attendAgain(Site at) {
        attendAgain(at, [](std::size_t, std::size_t) { return true; });
    }
};

}  // namespace kv::tests

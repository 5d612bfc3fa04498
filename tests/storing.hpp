// storing: an engine in miniature that keeps rows in the declared formats, or has one thing wrong.
//
// It keeps every row of every sequence in a list, as codes that the formulas of engines made
// (formulas.hpp), and answers a query by one pass in f32. What it decides for itself is only when
// a row is converted, and with which scale: that is where engines go wrong.
#pragma once
#include "formulas.hpp"
#include "properties/check.hpp"
#include "spec/conversion.hpp"
#include "spec/storage.hpp"

#include <cmath>
#include <memory>
#include <utility>

namespace kv::tests {

/// What is done wrong; nothing, as it stands.
struct Misstored {
    bool truncates = false;          ///< codes are cut off and not rounded
    bool hasScaleBefore = false;     ///< a row is read with the scales of the row before it
    bool hasOtherHeadsScale = false; ///< a head is read with the scales of the next one
    bool valuesHaveKeyScale = false; ///< values are made with the given scales of the keys
    bool storesOnRead = false;       ///< a row is stored again whenever it is read
    bool turnsAfter = false;         ///< keys are stored before they turn, and turn when read
    bool keepsFloats = false;        ///< rows are not converted at all
    bool forgetsRotation = false;    ///< rows are not turned before the codec, nor after it
    std::size_t rotationSize = 0;    ///< they are, by a Hadamard matrix of this size
    bool keepsQueries = false;       ///< queries are not converted
    bool roundsQueries = false;      ///< queries are rounded to f16, declared or not
    bool convertsFirst = false;      ///< queries are converted before they turn
    bool answersNothing = false;     ///< attention over no rows is what the memory held before
};
struct Storing {
    Misstored wrong{};
    bool showsCodes = false;
    bool fuses = false;              ///< a turn fuses its second product into the sum
};

class StoringEngine : public properties::AnyEngine {
   public:
    using Answer = properties::Answer;
    using SequenceId = properties::SequenceId;
    using Tokens = properties::Tokens;
    using Outputs = properties::Outputs;
    using Floats = formulas::Floats;

    StoringEngine(properties::Setup const& setup, Storing how)
        : declaration_(setup.declaration),
          how_(how),
          state_(declaration_),
          rows_(declaration_.sequences) {}

    Declaration const& declaration() const override { return declaration_; }

    Answer append(SequenceId s, Tokens const& tokens) override {
        Step const step{.verb = Verb::append, .sequence = s, .count = tokens.count};
        if (!hasShape(tokens)) return Answer::refused("rows of another shape");
        if (!allows(step)) return Answer::refused("full");
        store(s, tokens);
        state_.apply(step);
        return Answer::accepted();
    }
    Answer prefill(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        Step const step{.verb = Verb::prefill, .sequence = s, .count = tokens.count};
        if (!hasShape(tokens)) return Answer::refused("rows of another shape");
        if (!allows(step)) return Answer::refused("full");
        store(s, tokens);
        state_.apply(step);
        outputs.assign(declaration_.layers.size(), {});
        for (std::size_t l = 0; l < outputs.size(); ++l)
            for (std::size_t i = 0; i < tokens.count; ++i) {
                auto const row = answer(s, l, rows_[s].size() - tokens.count + i,
                                        cut(tokens.layers[l].queries, tokens.count, i));
                outputs[l].insert(outputs[l].end(), row.begin(), row.end());
            }
        return Answer::accepted();
    }
    Answer step(std::vector<properties::BatchTokens> const& items,
                std::vector<Outputs>& outputs) override {
        Step step{.verb = Verb::step};
        for (auto const& [s, tokens] : items) {
            if (!hasShape(tokens)) return Answer::refused("rows of another shape");
            step.batch.push_back({s, tokens.count});
        }
        if (!allows(step)) return Answer::refused("an item does not fit");
        for (std::size_t i = 0; i < items.size(); ++i)
            if (!prefill(items[i].sequence, items[i].tokens, outputs[i]))
                return Answer::refused("an item fits that fits not alone");
        return Answer::accepted();
    }
    Answer attend(SequenceId s, Tokens const& tokens, Outputs& outputs) override {
        if (!allows({.verb = Verb::attend, .sequence = s})) return Answer::refused("empty");
        outputs.clear();
        for (std::size_t l = 0; l < declaration_.layers.size(); ++l)
            outputs.push_back(rows_[s].empty() ? ofNoRow(declaration_.layers[l])
                                               : answer(s, l, rows_[s].size() - 1,
                                                        tokens.layers[l].queries));
        return Answer::accepted();
    }
    Answer observe(SequenceId s, properties::Content& content) override {
        auto const& state = state_[s];
        content = {state.length(), state.next, {}};
        for (std::size_t l = 0; l < declaration_.layers.size(); ++l) {
            auto& seen = content.layers.emplace_back();
            for (std::size_t i = 0; i < rows_[s].size(); ++i) {
                seen.positions.push_back(positionOf(s, i));
                put(seen.keys, keyOf(s, l, i));
                put(seen.values, read(s, l, i, false));
                if (!how_.showsCodes) continue;
                show(seen.keyCodes, declaration_.layers[l].keyFormat, rows_[s][i][l].key);
                show(seen.valueCodes, declaration_.layers[l].valueFormat, rows_[s][i][l].value);
            }
        }
        return Answer::accepted();
    }
    Answer rollback(SequenceId s, std::size_t length) override {
        Step const step{.verb = Verb::rollback, .sequence = s, .length = length};
        if (!allows(step)) return Answer::refused("not so many rows");
        rows_[s].resize(length);
        state_.apply(step);
        return Answer::accepted();
    }
    Answer fork(SequenceId from, SequenceId to) override {
        Step const step{.verb = Verb::fork, .sequence = from, .to = to};
        if (!allows(step)) return Answer::refused("not empty");
        rows_[to] = rows_[from];
        state_.apply(step);
        return Answer::accepted();
    }
    Answer evict(SequenceId s, std::size_t count) override {
        Step const step{.verb = Verb::evict, .sequence = s, .count = count};
        if (!allows(step)) return Answer::refused("not so many rows");
        rows_[s].erase(rows_[s].begin(), rows_[s].begin() + std::ptrdiff_t(count));
        state_.apply(step);
        return Answer::accepted();
    }
    Answer remove(SequenceId s, properties::RowRange rows) override {
        Step const step{.verb = Verb::remove, .sequence = s, .first = rows.first,
                        .count = rows.count};
        if (!allows(step)) return Answer::refused("not so many rows");
        auto const from = rows_[s].begin() + std::ptrdiff_t(rows.first);
        rows_[s].erase(from, from + std::ptrdiff_t(rows.count));
        state_.apply(step);
        return Answer::accepted();
    }
    Answer shift(SequenceId s, std::int64_t delta) override {
        Step const step{.verb = Verb::shift, .sequence = s, .delta = delta};
        if (state_[s].length() == 0 || !allows(step)) return Answer::refused("beyond the table");
        for (std::size_t i = 0; i < rows_[s].size(); ++i)
            for (std::size_t l = 0; l < declaration_.layers.size(); ++l) {
                auto const& d = declaration_.layers[l];
                if (d.rotaryLayout == RotaryLayout::none || d.keyStorage == KeyStorage::raw)
                    continue;
                auto const turned = turn(d, read(s, l, i, true), delta);
                rows_[s][i][l].key = stored(d.keyFormat, d.kvHeads, turned, d.keyFormat.scales);
            }
        state_.apply(step);
        return Answer::accepted();
    }
    Answer release(SequenceId s) override {
        rows_[s].clear();
        state_.apply({.verb = Verb::release, .sequence = s});
        return Answer::accepted();
    }
    Answer reorder(std::vector<SequenceId> const& parents) override {
        Step const step{.verb = Verb::reorder, .parents = parents};
        if (!allows(step)) return Answer::refused("no map of sequences");
        auto const old = rows_;
        for (SequenceId s = 0; s < rows_.size(); ++s) rows_[s] = old[parents[s]];
        state_.apply(step);
        return Answer::accepted();
    }
    Answer save(SequenceId s) override {
        saved_.resize(rows_.size());
        saved_[s] = rows_[s];
        state_.apply({.verb = Verb::save, .sequence = s});
        return Answer::accepted();
    }
    Answer restore(SequenceId from, SequenceId to) override {
        Step const step{.verb = Verb::restore, .sequence = from, .to = to};
        if (!allows(step)) return Answer::refused("nothing saved, or not empty");
        rows_[to] = saved_[from];
        state_.apply(step);
        return Answer::accepted();
    }
    Answer keep(SequenceId s) override {
        for (SequenceId other = 0; other < rows_.size(); ++other)
            if (other != s) rows_[other].clear();
        state_.apply({.verb = Verb::keep, .sequence = s});
        return Answer::accepted();
    }
    Answer reset() override {
        for (auto& rows : rows_) rows.clear();
        state_.apply({.verb = Verb::reset});
        return Answer::accepted();
    }

   private:
    using Step = properties::Step;
    /// One key or value of one token: a Quantized for each codec row, or plain floats.
    struct Part {
        std::vector<Quantized> rows;
        Floats floats;
    };
    struct InLayer {
        Part key, value;
    };
    using Row = std::vector<InLayer>;

    bool allows(Step const& step) const {
        return state_.permission(step) != properties::Permission::mustRefuse;
    }
    bool hasShape(Tokens const& tokens) const {
        for (std::size_t l = 0; l < tokens.layers.size(); ++l) {
            auto const& d = declaration_.layers[l];
            if (tokens.layers[l].keys.size() != tokens.count * d.kvHeads * d.keyDim) return false;
        }
        return true;
    }
    std::int64_t positionOf(SequenceId s, std::size_t row) const {
        return state_[s].positions[row];
    }
    static void put(auto& to, auto const& from) { to.insert(to.end(), from.begin(), from.end()); }
    static Floats cut(Floats const& rows, std::size_t count, std::size_t i) {
        auto const width = std::ptrdiff_t(rows.size() / count), at = std::ptrdiff_t(i) * width;
        return {rows.begin() + at, rows.begin() + at + width};
    }

    void store(SequenceId s, Tokens const& tokens) {
        std::int64_t position = state_[s].next;
        for (std::size_t i = 0; i < tokens.count; ++i, ++position) {
            Row row;
            for (std::size_t l = 0; l < tokens.layers.size(); ++l) {
                auto const& d = declaration_.layers[l];
                auto key = cut(tokens.layers[l].keys, tokens.count, i);
                if (d.keyStorage == KeyStorage::rotated && !how_.wrong.turnsAfter)
                    key = turn(d, std::move(key), position);
                auto const value = cut(tokens.layers[l].values, tokens.count, i);
                auto const& scales = how_.wrong.valuesHaveKeyScale ? d.keyFormat.scales
                                                                   : d.valueFormat.scales;
                row.push_back({stored(d.keyFormat, d.kvHeads, key, d.keyFormat.scales),
                               stored(d.valueFormat, d.kvHeads, value, scales)});
            }
            rows_[s].push_back(std::move(row));
        }
    }

    /// Two products and a sum, each rounded; or the second product fused.
    Floats turn(LayerDeclaration const& d, Floats row, std::int64_t by) const {
        std::size_t const planes = d.rotaryDim / 2, at = std::size_t(std::abs(by)) * planes;
        if (d.rotaryLayout == RotaryLayout::none) return row;
        bool const halves = d.rotaryLayout == RotaryLayout::halfSplit;
        for (std::size_t h = 0; h < row.size() / d.keyDim; ++h)
            for (std::size_t p = 0; p < planes; ++p) {
                float& a = row[h * d.keyDim + (halves ? p : 2 * p)];
                float& b = row[h * d.keyDim + (halves ? p + planes : 2 * p + 1)];
                float const c = d.cosine[at + p], s = by < 0 ? -d.sine[at + p] : d.sine[at + p];
                float const x = a, y = b;
                a = how_.fuses ? std::fma(x, c, -(y * s)) : x * c - y * s;
                b = how_.fuses ? std::fma(x, s, y * c) : x * s + y * c;
            }
        return row;
    }

    static formulas::Stored group(StoredFormat const& f, Floats const& x, float scale) {
        using namespace formulas;
        switch (f.codec) {
            case StoredAs::q8_0: return engineQ8(x);
            case StoredAs::q8_0Avx: return engineQ8Avx(x);
            case StoredAs::q8_0Neon: return engineQ8Neon(x);
            case StoredAs::q4_0: return engineQ4(x);
            case StoredAs::int8PerToken: return engineInt8(x);
            case StoredAs::int8PerTokenHead: return engineInt8Head(x);
            case StoredAs::int4ZeroPoint: return engineInt4(x);
            case StoredAs::mxfp4:
            case StoredAs::mxfp8e4m3:
            case StoredAs::mxfp8e5m2: {
                static Engine const e2m1 = engineMx(formats::e2m1),
                                    e4m3 = engineMx(formats::e4m3fn),
                                    e5m2 = engineMx(formats::e5m2);
                return f.codec == StoredAs::mxfp4       ? e2m1(x)
                       : f.codec == StoredAs::mxfp8e4m3 ? e4m3(x)
                                                        : e5m2(x);
            }
            case StoredAs::nvfp4: return engineNvfp4(f.tensorScale.value_or(1))(x);
            default: break;
        }
        return elements(f, x, scale);
    }
    /// Of a format without a scale, or with a given one.
    static Quantized elements(StoredFormat const& f, Floats const& x, float scale) {
        using namespace formulas;
        auto const& c = codecOf(f.codec);
        Quantized q{{}, {}, {}, 1};
        if (c.scale == ScaleRule::given) q.scales.push_back(bitsOf(scale));
        for (float v : x)
            if (f.codec == StoredAs::f16) {
                q.codes.push_back(std::int32_t(halfOf(v)));
            } else if (f.codec == StoredAs::bf16) {
                auto const b = bitsOf(v);
                q.codes.push_back(std::int32_t((b + 0x7FFF + (b >> 16 & 1)) >> 16));
            } else if (f.codec == StoredAs::int8PerChannel) {
                q.codes.push_back(clamped(std::nearbyint(v / scale), -128, 127));
            } else {
                auto const& format = std::get<Format>(c.element);
                static Nearest const e4m3(formats::e4m3fn), e5m2(formats::e5m2),
                    fnuz(formats::e4m3fnuz);
                auto const& nearest = f.codec == StoredAs::e4m3   ? e4m3
                                      : f.codec == StoredAs::e5m2 ? e5m2
                                                                  : fnuz;
                q.codes.push_back(std::int32_t(nearestCode(nearest, format, v / scale)));
            }
        return q;
    }
    /// The mistake is made by the spec's own quantiser, told to truncate.
    static formulas::Stored truncated(StoredFormat const& f, Floats const& x, float scale) {
        Codec c = codecOf(f.codec);
        c.rounding = Round::towardZero;
        if (auto* n = std::get_if<Integers>(&c.element)) n->addsHalf = false;
        Given given{{}, f.tensorScale.value_or(1)};
        if (c.scale == ScaleRule::given) given.scales = {&scale, 1};
        return quantize(c, x, given);
    }

    /// Sums of f32 in the order of the row; a matrix of 2^k is that of Hadamard.
    static Floats multiplied(StoredRotation const& r, Floats const& row, bool undoes) {
        int const bits = r.matrix.empty() ? std::bit_width(r.size) - 1 : 0;
        Floats result(row.size(), -0.0f);  // as if each sum began with its first term
        for (std::size_t i = 0; i < row.size(); ++i)
            for (std::size_t j = 0; j < r.size; ++j) {
                std::size_t const at = i % r.size, a = undoes ? j : at, b = undoes ? at : j;
                float const entry = !r.matrix.empty()                ? r.matrix[a * r.size + b]
                                    : std::popcount(a & b) % 2 == 0 ? 1.0f
                                                                     : -1.0f;
                result[i] += entry * row[i - at + j];
            }
        for (float& x : result) x = std::ldexp(x, undoes ? r.down - bits : -r.down);
        return result;
    }
    Floats turnedByFormat(StoredFormat const& f, Floats const& row, bool undoes) const {
        if (f.rotation.size == 0 || how_.wrong.forgetsRotation) return row;
        auto rotation = f.rotation;
        if (how_.wrong.rotationSize != 0) rotation = {how_.wrong.rotationSize, 1, {}};
        return multiplied(rotation, row, undoes);
    }

    Part stored(StoredFormat const& f, std::size_t heads, Floats const& given,
                Floats const& scales) const {
        if (!isConverted(f) || how_.wrong.keepsFloats) return {{}, given};
        auto const row = turnedByFormat(f, given, false);
        std::size_t const length = rowLength(f, heads, row.size() / heads);
        std::size_t const size = groupLength(f, heads, row.size() / heads);
        Part part;
        for (std::size_t at = 0; at < row.size(); at += size) {
            if (at % length == 0) part.rows.emplace_back();
            Floats const x(row.begin() + std::ptrdiff_t(at),
                           row.begin() + std::ptrdiff_t(at + size));
            float const scale = scales.empty() ? 1 : scales[at / size % scales.size()];
            auto q = how_.wrong.truncates ? truncated(f, x, scale) : group(f, x, scale);
            if (!q) q = Quantized{formulas::Codes(size), {0}, {0}, 1};  // undefined: anything
            put(part.rows.back().codes, q->codes);
            put(part.rows.back().scales, q->scales);
            put(part.rows.back().zeros, q->zeros);
        }
        return part;
    }

    /// Exact in double, then rounded once.
    static float value(StoredFormat const& f, std::int32_t code, std::int32_t zero,
                       std::uint32_t scale) {
        auto const& c = codecOf(f.codec);
        double x = 0;
        if (auto const* format = std::get_if<Format>(&c.element)) {
            x = double(toFloat(decode(*format, std::uint64_t(code))));
        } else {
            auto const& n = std::get<Integers>(c.element);
            x = double(code - (c.scale == ScaleRule::span ? zero : n.zero));
        }
        if (c.scale != ScaleRule::none) x *= double(toFloat(decode(c.scaleFormat, scale)));
        if (c.tensorScale) x *= double(f.tensorScale.value_or(1));
        if (f.into == ReadAs::f32 || !std::isfinite(x)) return static_cast<float>(x);
        return static_cast<float>(
            nearest(f.into == ReadAs::f16 ? precisions::f16 : precisions::bf16, x));
    }

    Floats converted(LayerDeclaration const& d, Floats const& query) const {
        StoredFormat f = d.queryFormat;
        if (how_.wrong.roundsQueries) f.codec = StoredAs::f16;
        Part const part = stored(f, d.queryHeads, query, f.scales);
        if (part.rows.empty() || how_.wrong.keepsQueries) return query;
        std::size_t const size = groupLength(f, d.queryHeads, d.keyDim);
        Floats row;
        for (auto const& q : part.rows)
            for (std::size_t e = 0; e < q.codes.size(); ++e)
                row.push_back(value(f, q.codes[e], q.zeros.empty() ? 0 : q.zeros[e / size],
                                    q.scales.empty() ? 0 : q.scales[e / size]));
        return turnedByFormat(f, row, true);
    }

    Floats read(SequenceId s, std::size_t l, std::size_t i, bool isKey) {
        auto const& d = declaration_.layers[l];
        auto const& f = isKey ? d.keyFormat : d.valueFormat;
        auto const partOf = [&](std::size_t row) -> Part& {
            return isKey ? rows_[s][row][l].key : rows_[s][row][l].value;
        };
        Part& part = partOf(i);
        if (part.rows.empty()) return part.floats;
        Part const& scales = how_.wrong.hasScaleBefore && i > 0 ? partOf(i - 1) : part;
        std::size_t const size = groupLength(f, d.kvHeads, isKey ? d.keyDim : d.valueDim);
        Floats row;
        for (std::size_t r = 0; r < part.rows.size(); ++r) {
            auto const& q = part.rows[r];
            bool const isNext = how_.wrong.hasOtherHeadsScale;
            auto const& from = scales.rows[isNext ? (r + 1) % part.rows.size() : r];
            for (std::size_t e = 0; e < q.codes.size(); ++e)
                row.push_back(value(f, q.codes[e], q.zeros.empty() ? 0 : q.zeros[e / size],
                                    from.scales.empty() ? 0 : from.scales[e / size]));
        }
        row = turnedByFormat(f, row, true);
        if (how_.wrong.storesOnRead) part = stored(f, d.kvHeads, row, f.scales);
        return row;
    }
    /// As the cache holds it.
    Floats keyOf(SequenceId s, std::size_t l, std::size_t i) {
        auto const& d = declaration_.layers[l];
        auto key = read(s, l, i, true);
        bool const isLate = how_.wrong.turnsAfter && d.keyStorage == KeyStorage::rotated;
        return isLate ? turn(d, std::move(key), positionOf(s, i)) : key;
    }
    static void show(properties::StoredCodes& to, StoredFormat const& f, Part const& part) {
        if (!isConverted(f)) return;
        for (auto const& row : part.rows) {
            put(to.codes, row.codes);
            put(to.scales, row.scales);
            put(to.zeros, row.zeros);
        }
    }

    Floats ofNoRow(LayerDeclaration const& d) const {
        bool const isZero = declaration_.promised().emptyRow == EmptyRow::zero;
        float const none = how_.wrong.answersNothing ? properties::loudNumber
                           : isZero                  ? 0
                                    : std::numeric_limits<float>::quiet_NaN();
        return Floats(d.queryHeads * d.valueDim, none);
    }
    /// The outputs of all query heads, asked from row `at`.
    Floats answer(SequenceId s, std::size_t l, std::size_t at, Floats const& queries) {
        auto const& d = declaration_.layers[l];
        std::int64_t const position = positionOf(s, at);
        auto const query = how_.wrong.convertsFirst ? turn(d, converted(d, queries), position)
                                                    : converted(d, turn(d, queries, position));
        std::vector<std::size_t> shown;
        std::vector<Floats> keys, values;
        for (std::size_t i = 0; i <= at; ++i) {
            bool const isNear =
                d.window == 0 || position - positionOf(s, i) < std::int64_t(d.window);
            if (!isNear && i >= d.sinks) continue;
            auto const chunk = std::int64_t(d.chunk.value_or(0));
            if (chunk > 0 && position / chunk != positionOf(s, i) / chunk) continue;
            shown.push_back(i);
            keys.push_back(keyOf(s, l, i));
            if (d.keyStorage == KeyStorage::raw)
                keys.back() = turn(d, std::move(keys.back()), positionOf(s, i));
            values.push_back(read(s, l, i, false));
        }
        Floats all;
        for (std::size_t h = 0; h < d.queryHeads; ++h) {
            std::size_t const g = h * d.kvHeads / d.queryHeads;
            Floats scores;
            for (std::size_t j = 0; j < shown.size(); ++j) {
                float score = 0;
                for (std::size_t e = 0; e < d.keyDim; ++e)
                    score += query[h * d.keyDim + e] * keys[j][g * d.keyDim + e];
                score *= static_cast<float>(d.scale);
                if (!d.slopes.empty())
                    score += d.slopes[h] *
                             static_cast<float>(positionOf(s, shown[j]) - position);
                scores.push_back(score);
            }
            if (d.sinkLogits) scores.push_back((*d.sinkLogits)[h]);
            put(all, mean(scores, values, g * d.valueDim, d.valueDim));
        }
        return all;
    }
    static Floats mean(Floats scores, std::vector<Floats> const& values, std::size_t first,
                       std::size_t dim) {
        float const largest = *std::max_element(scores.begin(), scores.end());
        float sum = 0;
        Floats out(dim);
        for (std::size_t j = 0; j < scores.size(); ++j) {
            float const weight = std::exp(scores[j] - largest);
            sum += weight;
            for (std::size_t e = 0; e < dim && j < values.size(); ++e)
                out[e] += weight * values[j][first + e];
        }
        for (float& x : out) x /= sum;
        return out;
    }

    Declaration declaration_;
    Storing how_;
    properties::State state_;
    std::vector<std::vector<Row>> rows_, saved_;
};

/// The engine at every shape that is drawn, in these formats.
inline properties::Candidate storing(std::vector<StoredFormat> formats, Storing how = {},
                                     Numerics const& numerics = numericsF32Plain) {
    return {"storing",
            [how](properties::Setup const& setup) {
                return std::make_unique<StoringEngine>(setup, how);
            },
            {}, numerics, {}, std::move(formats)};
}
/// The same, with queries in these formats.
inline properties::Candidate asking(std::vector<StoredFormat> queryFormats, Storing how = {},
                                    std::vector<StoredFormat> formats = {}) {
    auto candidate = storing(std::move(formats), how);
    candidate.queryFormats = std::move(queryFormats);
    return candidate;
}

}  // namespace kv::tests

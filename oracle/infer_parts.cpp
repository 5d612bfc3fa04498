#include "oracle/infer_parts.hpp"

#include <numeric>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace kv::oracle::inference {

using properties::Answer;
using properties::AnyEngine;
using properties::Outputs;
using properties::Tokens;

namespace {

std::vector<float> expanded(std::size_t tokens, std::size_t heads, std::size_t dim,
                            Entry const& entry) {
    std::vector<float> rows(tokens * heads * dim);
    if (!entry)
        return rows;
    for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t h = 0; h < heads; ++h)
            for (std::size_t d = 0; d < dim; ++d)
                rows[(t * heads + h) * dim + d] = entry(t, h, d);
    return rows;
}

Answer call(AnyEngine& engine, Verb verb, Tokens const& stored, Tokens const& asked) {
    std::vector<properties::SequenceId> itself(engine.declaration().sequences);
    std::iota(itself.begin(), itself.end(), std::size_t{0});
    Outputs outputs;
    std::vector<Outputs> each(1);
    properties::Content content;
    switch (verb) {
        case Verb::append: return engine.append(0, stored);
        case Verb::prefill: return engine.prefill(0, asked, outputs);
        case Verb::step: return engine.step({{0, asked}}, each);
        case Verb::attend: return engine.attend(0, asked, outputs);
        case Verb::observe: return engine.observe(0, content);
        case Verb::rollback: return engine.rollback(0, 0);
        case Verb::fork: return engine.fork(0, 1);
        case Verb::evict: return engine.evict(0, 0);
        case Verb::remove: return engine.remove(0, {0, 0});
        case Verb::shift: return engine.shift(0, 0);
        case Verb::release: return engine.release(0);
        case Verb::reorder: return engine.reorder(itself);
        case Verb::save: return engine.save(0);
        case Verb::restore:
            // Whoever cannot save refuses both, each in its own words.
            (void)engine.save(0);
            return engine.restore(0, 1);
        case Verb::keep: return engine.keep(0);
        case Verb::reset: break;
    }
    return engine.reset();
}

}  // namespace

Prober::Prober(properties::MakeEngine make, Given given)
    : make_(std::move(make)), given_(std::move(given)), shownBits_(given_.layers.size()) {
    Tokens const stored = tokens(0, {});
    for (Verb verb : everyVerb) {
        auto asked = queriesOf(0, {});
        bool const isChunk = verb == Verb::prefill || verb == Verb::step;
        if (isChunk)
            for (std::size_t l = 0; l < given_.layers.size(); ++l)
                asked.layers[l] = {stored.layers[l].keys, stored.layers[l].values,
                                   asked.layers[l].queries};
        auto const fresh = make_();
        if (verb != Verb::append && !isChunk)
            store(*fresh, 0, {});
        // The default of AnyEngine refuses with these words.
        if (accept(call(*fresh, verb, stored, asked)) || why_ != "not offered")
            verbs_.push_back(verb);
    }
}

bool Prober::offers(Verb verb) const { return std::ranges::find(verbs_, verb) != verbs_.end(); }

bool Prober::accept(Answer const& answer) {
    why_ = answer ? "" : answer.why();
    return bool(answer);
}

Tokens Prober::tokens(std::size_t layer, Rows const& rows) const {
    Tokens tokens{.count = rows.count, .layers = {}};
    for (std::size_t l = 0; l < given_.layers.size(); ++l) {
        auto const& size = given_.layers[l];
        bool const isProbed = l == layer;
        tokens.layers.push_back(
            {expanded(rows.count, size.kvHeads, size.keyDim, isProbed ? rows.key : Entry{}),
             expanded(rows.count, size.kvHeads, size.valueDim, isProbed ? rows.value : Entry{}),
             {}});
    }
    return tokens;
}

Tokens Prober::queriesOf(std::size_t layer, Rows const& rows) const {
    Tokens tokens{.count = 1, .layers = {}};
    for (std::size_t l = 0; l < given_.layers.size(); ++l) {
        auto const& size = given_.layers[l];
        tokens.layers.push_back({{}, {}, expanded(1, size.queryHeads, size.keyDim,
                                                  l == layer ? rows.query : Entry{})});
    }
    return tokens;
}

bool Prober::store(AnyEngine& engine, std::size_t layer, Rows const& rows) {
    return store(engine, tokens(layer, rows));
}

bool Prober::store(AnyEngine& engine, Tokens stored, properties::SequenceId sequence) {
    if (offers(Verb::append) || verbs_.empty()) {
        if (accept(engine.append(sequence, stored)))
            return true;
        if (!offers(Verb::prefill) && !verbs_.empty())
            return false;
    }
    for (std::size_t l = 0; l < given_.layers.size(); ++l)
        stored.layers[l].queries.resize(stored.count * given_.layers[l].queryHeads *
                                        given_.layers[l].keyDim);
    Outputs unused;
    return accept(engine.prefill(sequence, stored, unused));
}

Output Prober::of(std::size_t layer, Outputs const& outputs, std::size_t rows) {
    auto const& size = given_.layers[layer];
    if (outputs.size() == given_.layers.size() &&
        outputs[layer].size() == rows * size.queryHeads * size.valueDim) {
        for (float x : outputs[layer])
            shownBits_[layer] = std::max(shownBits_[layer], bitsOf(x));
        return outputs[layer];
    }
    why_ = "the outputs have another shape than [queryHeads][valueDim]";
    return std::nullopt;
}

Output Prober::ask(AnyEngine& engine, std::size_t layer, Rows const& rows) {
    Outputs outputs;
    if (!accept(engine.attend(0, queriesOf(layer, rows), outputs)))
        return std::nullopt;
    return of(layer, outputs, 1);
}

Output Prober::answer(std::size_t layer, Rows const& rows) {
    auto const fresh = make_();
    if (offers(Verb::attend))
        return store(*fresh, layer, rows) ? ask(*fresh, layer, rows) : std::nullopt;
    Rows last = rows;
    last.count = 1;
    for (Entry* entry : {&last.key, &last.value})
        if (*entry)
            *entry = [old = *entry, newest = rows.count - 1](auto, auto h, auto d) {
                return old(newest, h, d);
            };
    Rows before = rows;
    if (--before.count > 0 && !store(*fresh, layer, before))
        return std::nullopt;
    auto asked = tokens(layer, last);
    auto const queries = queriesOf(layer, rows);
    for (std::size_t l = 0; l < given_.layers.size(); ++l)
        asked.layers[l].queries = queries.layers[l].queries;
    Outputs outputs;
    if (!accept(fresh->prefill(0, asked, outputs)))
        return std::nullopt;
    return of(layer, outputs, 1);
}

std::optional<properties::Content> Prober::content(AnyEngine& engine,
                                                   properties::SequenceId sequence) {
    properties::Content content;
    if (!accept(engine.observe(sequence, content)))
        return std::nullopt;
    bool isShaped = content.layers.size() == given_.layers.size();
    for (std::size_t l = 0; isShaped && l < content.layers.size(); ++l) {
        auto const& held = content.layers[l];
        std::size_t const heads = held.positions.size() * given_.layers[l].kvHeads;
        isShaped = held.keys.size() == heads * given_.layers[l].keyDim &&
                   held.values.size() == heads * given_.layers[l].valueDim;
    }
    if (isShaped)
        return content;
    why_ = "the read-back has another shape than its positions say";
    return std::nullopt;
}

std::string refusal(Prober const& prober) { return "refused: " + prober.why(); }

unsigned bitsOf(float x) {
    if (!std::isnormal(x))
        return 0;
    auto const fraction = std::bit_cast<std::uint32_t>(x) & ((1u << (floatBits - 1)) - 1);
    return fraction == 0 ? 1 : unsigned(floatBits - std::countr_zero(fraction));
}

bool isSame(std::vector<float> const& a, std::vector<float> const& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

Pair pairOf(SeenLayer const& seen, LayerSizes const& sizes) {
    std::size_t const turning = seen.rotaryDim ? *seen.rotaryDim : 0;
    if (turning < sizes.keyDim)
        return {.lane = sizes.keyDim - 1};
    Pair pair{.isTurned = true};
    // The newest of two rows stands at position 1; its plane 0 holds component 0 in every layout.
    if (seen.table && (*seen.table).positions() > 1) {
        double const c = (*seen.table).cosine[(*seen.table).planes];
        double const s = (*seen.table).sine[(*seen.table).planes];
        pair.turned = c * c + s * s;
    }
    return pair;
}

Rows pairRows(Pair const& pair, std::size_t valuedRow, float amplitude) {
    return {.count = 2,
            .key = [=](auto t, auto, auto d) { return t == 1 && d == pair.lane ? 1.0f : 0.0f; },
            .value = [=](auto t, auto, auto) { return t == valuedRow ? 1.0f : 0.0f; },
            .query = [=](auto, auto, auto d) { return d == pair.lane ? amplitude : 0.0f; }};
}

std::optional<std::vector<double>> logRatios(Prober& prober, std::size_t layer, Pair const& pair,
                                             float amplitude) {
    auto const older = prober.answer(layer, pairRows(pair, 0, amplitude));
    auto const newest = prober.answer(layer, pairRows(pair, 1, amplitude));
    if (!older || !newest)
        return std::nullopt;
    auto const& size = prober.given().layers[layer];
    std::vector<double> ratios;
    for (std::size_t h = 0; h < size.queryHeads; ++h) {
        double const ratio = std::log(double((*newest)[h * size.valueDim])) -
                             std::log(double((*older)[h * size.valueDim]));
        if (!std::isfinite(ratio))
            return std::nullopt;
        ratios.push_back(ratio);
    }
    return ratios;
}

std::optional<float> amplitudeFor(Prober& prober, std::size_t layer, Pair const& pair) {
    auto const still = logRatios(prober, layer, pair, 0);
    if (!still)
        return std::nullopt;
    constexpr int smallest = -12, largest = 16;
    for (int power = smallest; power <= largest; ++power) {
        float const amplitude = std::ldexp(1.0f, power);
        auto const moved = logRatios(prober, layer, pair, amplitude);
        if (!moved)
            return std::nullopt;
        if (double const nats = moved->front() - still->front(); std::abs(nats) >= 4)
            return nats > 0 ? amplitude : -amplitude;
    }
    return std::nullopt;
}

bool weighsEqually(Prober& prober, std::size_t layer) {
    auto const older = prober.answer(layer, pairRows({}, 0, 0));
    auto const newest = prober.answer(layer, pairRows({}, 1, 0));
    return older && newest && isSame(*older, *newest);
}

std::optional<Explained> explained(Mixing const& mixing) {
    if (mixing.isStill())
        return Explained{{.none = true}, 0};
    if (mixing.pairs.empty())
        return std::nullopt;
    std::size_t const half = mixing.pairs.front().second - mixing.pairs.front().first;
    bool isSplit = mixing.last() < 2 * half, isInterleaved = true;
    for (auto const& pair : mixing.pairs) {
        isSplit = isSplit && pair.second - pair.first == half && pair.first < half;
        isInterleaved =
            isInterleaved && pair.first % 2 == 0 && pair.second == pair.first + 1;
    }
    if (!isSplit && !isInterleaved)
        return std::nullopt;
    std::size_t const dim = isSplit ? 2 * half : (mixing.last() / 2 + 1) * 2;
    return Explained{{.halfSplit = isSplit, .interleaved = isInterleaved}, dim};
}

std::string pairsOf(Mixing const& mixing) {
    std::vector<std::string> all;
    for (auto const& pair : mixing.pairs)
        all.push_back(fmt::format("{}-{}", pair.first, pair.second));
    return all.empty() ? "none" : fmt::format("{}", fmt::join(all, " "));
}

}  // namespace kv::oracle::inference

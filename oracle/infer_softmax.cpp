// infer_softmax: ask for the form of the softmax, and what its scores are multiplied by.
#include "oracle/infer_parts.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace kv::oracle::inference {

namespace {

/// The i-th of a few amplitudes at which a key leaves one without a score no weight: at least 41
/// times four nats.
constexpr int amplitudes = 16;
float farAmplitude(float fourNats, std::size_t i) {
    constexpr std::size_t least = 41, step = 6;
    return fourNats * float(least + step * (i % amplitudes));
}

/// R8 of spec/softmax_form.hpp: what is fused does not give the largest score the weight 1. Where
/// that weight lifts a value over a power of two, the product with it rounds to half as many
/// places, and a division does not undo that. What is subtracted returns the value.
Guess<ExponentForm> exponentOf(Prober& prober, std::size_t layer, SeenLayer const& seen) {
    using Result = Guess<ExponentForm>;
    auto const& size = prober.given().layers[layer];
    auto const pair = pairOf(seen, size);
    auto const amplitude = amplitudeFor(prober, layer, pair);
    unsigned const bits = seen.numerics.valueBits;
    if (!amplitude || bits == 0)
        return Result::unknown("no score was found that outweighs another");
    std::size_t const most = (std::size_t{1} << bits) - 1;
    std::size_t asked = 0, inexact = 0;
    for (std::size_t i = 0; i < amplitudes; ++i) {
        auto const value = [=](std::size_t d) {
            return float(most - (properties::mixed(i * 64 + d) & most & 7));
        };
        Rows rows = pairRows(pair, 1, farAmplitude(*amplitude, i));
        rows.value = [=](auto t, auto, auto d) { return t == 1 ? value(d) : 0.0f; };
        auto const output = prober.answer(layer, rows);
        for (std::size_t j = 0; output && j < output->size(); ++j, ++asked)
            inexact += (*output)[j] != value(j % size.valueDim) ? 1 : 0;
    }
    if (inexact > 0)
        return Result::seen(ExponentForm::fused,
                            fmt::format("{} of {} values whose row alone weighs, at scores far "
                                        "from 0, do not come back exactly",
                                        inexact, asked));
    if (bits < floatBits)
        return Result::unknown(fmt::format("outputs of {} bits round a fused form away", bits));
    return Result::seen(ExponentForm::subtracted,
                        fmt::format("{} values whose row alone weighs, at scores far from 0, come "
                                    "back exactly",
                                    asked));
}

/// Means over 2^k rows of several, the others muted by scores far below. Keys are 1 more where a
/// row speaks; `floor` says whether the speaking ones score 0, or far above.
struct Means {
    Prober& prober;
    std::size_t layer, lane;
    float amplitude, floor;  ///< amplitude 0: nothing can be muted
    std::size_t tried = 0, inexact = 0, longest = 0;

    static std::vector<bool> speakers(std::size_t rows, std::size_t count, std::uint64_t seed) {
        std::vector<bool> speaks(rows);
        for (std::uint64_t at = properties::mixed(seed); count > 0; ++at)
            if (!speaks[at % rows] && properties::mixed(at) % 2 == 0)
                speaks[at % rows] = true, --count;
        return speaks;
    }
    void ask(std::size_t rows, std::size_t k, std::uint64_t seed) {
        auto const speaks = speakers(rows, std::size_t{1} << k, seed);
        auto const value = [=](std::size_t t, std::size_t d) {
            return speaks[t] ? float(properties::mixed(seed ^ (t * 64 + d)) % 2) : 0.0f;
        };
        float const asked = farAmplitude(amplitude, seed);
        auto const output = prober.answer(
            layer,
            {.count = rows,
             .key = [=, this](auto t, auto, auto d) {
                 return d == lane ? floor + (speaks[t] ? 1.0f : 0.0f) : 0.0f;
             },
             .value = [=](auto t, auto, auto d) { return value(t, d); },
             .query = [=, this](auto, auto, auto d) { return d == lane ? asked : 0.0f; }});
        auto const dim = prober.given().layers[layer].valueDim;
        for (std::size_t j = 0; output && j < output->size(); ++j, ++tried) {
            float sum = 0;
            for (std::size_t t = 0; t < rows; ++t)
                sum += value(t, j % dim);
            inexact += std::ldexp((*output)[j], int(k)) != sum ? 1 : 0;
        }
        longest = std::max(longest, rows);
    }
};

/// R9 of spec/softmax_form.hpp: m + log l is rounded at the size of m, so that means over 2^k rows
/// err where parts are merged by it. At m = 0, which is all that a fused form allows to ask, log of
/// a small count is so near to its float that they may not.
Guess<PartMerge> mergeOf(Prober& prober, std::size_t layer, SeenLayer const& seen) {
    using Result = Guess<PartMerge>;
    if (!weighsEqually(prober, layer))
        return Result::unknown(notEqual);
    auto const pair = pairOf(seen, prober.given().layers[layer]);
    auto const amplitude = amplitudeFor(prober, layer, pair);
    std::size_t const bits = seen.numerics.valueBits;
    auto const& form = seen.numerics.exponent;
    bool const isMutable = amplitude && !pair.isTurned;
    bool const isLifted = isMutable && form && *form == ExponentForm::subtracted;
    Means means{prober, layer, pair.lane, isMutable ? *amplitude : 0, isLifted ? 0.0f : -1.0f};
    for (std::size_t rows = 2; rows <= seen.visibleRows; rows += rows < 16 ? 1 : 15)
        for (std::size_t k = 1; k < bits && (std::size_t{1} << k) <= rows; ++k)
            if (isMutable || (std::size_t{1} << k) == rows)
                means.ask(rows, k, rows * 8 + k);
    auto const how =
        fmt::format("{} of {} means over 2^k of up to {} rows, at scores {}, are exact",
                    means.tried - means.inexact, means.tried, means.longest,
                    isLifted ? "far from 0" : "of 0");
    if (means.inexact > 0)
        return Result::seen(PartMerge::logSumExp, how);
    return isLifted ? Result::seen(PartMerge::weights, how)
                    : Result::unknown(how + ", where log-sum-exp hardly shows");
}

/// What ln of a ratio of two weights, `nats` apart, may err: the score (R6), its shift (R7), a
/// fused product (R8) and a merge (R9) at the size of the score; two exponentials (R10) and two
/// outputs (R15, R16) at size 1. The counts are those of numericsF32, u is what the outputs show.
double errorOf(double nats, SeenNumerics const& seen) {
    int bits = floatBits;
    for (auto const* stage :
         {&seen.query, &seen.scores, &seen.weights, &seen.accumulate, &seen.output})
        if (*stage && (**stage).significandBits && !(**stage).significandBits->isOrMore)
            bits = std::min(bits, (**stage).significandBits->value);
    double const unit = std::ldexp(1.0, -bits);
    auto const gamma = [&](double k) {
        return k * unit < 1 ? k * unit / (1 - k * unit) : std::numeric_limits<double>::infinity();
    };
    Numerics const& n = numericsF32;
    double const ofScore = gamma(n.scoreRoundings + 3 + 1 + 6);
    double const ofRatio = gamma(4 * n.expUlps + 2 * n.normRoundings + 6 + 2);
    return ofScore * std::abs(nats) + ofRatio;
}

void probeSlopes(Prober& prober, std::size_t layer, SeenLayer& seen) {
    using Result = Guess<std::vector<Measured>>;
    if (weighsEqually(prober, layer)) {
        seen.slopes = Result::seen({}, "a query of zeros weighs two rows the same, bit for bit");
        return;
    }
    auto const ratios = logRatios(prober, layer, {}, 0);
    if (!ratios) {
        seen.slopes = Result::unknown("the weights of two rows could not be compared");
        return;
    }
    std::vector<Measured> slopes;
    for (double const nats : *ratios) {
        double const error = errorOf(nats, seen.numerics);
        Measured slope{nats - error, nats + error, nats};
        // Most slopes are powers of two: Press, Smith and Lewis, arXiv 2108.12409.
        if (nats > 0)
            if (double const power = std::exp2(std::round(std::log2(nats))); slope.holds(power))
                slope.likely = power;
        slopes.push_back(slope);
    }
    seen.slopes = Result::seen(std::move(slopes),
                               "ln of the weights of two rows, one position apart, under a query "
                               "of zeros; that it grows with the distance was not tried");
}

/// A row that is alone under a score of 0 has the share 1 / (1 + exp(logit)) of the weight. What
/// its value became in the cache has to be read back.
void probeSinks(Prober& prober, std::size_t layer, SeenLayer& seen) {
    using Result = Guess<std::vector<Measured>>;
    LayerSizes const& size = prober.given().layers[layer];
    Rows const row{.value = [](auto, auto, auto) { return 1.0f; }};
    auto const engine = prober.engine();
    bool const isStored = prober.store(*engine, layer, row);
    auto const output = isStored ? prober.ask(*engine, layer, row) : std::nullopt;
    auto const content = output ? prober.content(*engine) : std::nullopt;
    if (!content) {
        seen.sinkLogits = Result::unknown(refusal(prober));
        return;
    }
    double const error = errorOf(0, seen.numerics);
    auto const logit = [](double share) {
        return share < 1 ? std::log(1 / share - 1) : -std::numeric_limits<double>::infinity();
    };
    std::vector<Measured> logits;
    auto const unknown = Result::unknown("the value of a single row does not come back, nor a part "
                                         "of it");
    auto const& values = content->layers[layer].values;
    for (std::size_t h = 0; h < size.queryHeads; ++h) {
        std::size_t const at = h * size.kvHeads / size.queryHeads * size.valueDim;
        double const held = at < values.size() ? double(values[at]) : 0;
        double const share = double((*output)[h * size.valueDim]) / held;
        if (!(share > 0 && share <= 1 && error < 1)) {
            seen.sinkLogits = unknown;
            return;
        }
        Measured one{logit(share * (1 + error)), logit(share * (1 - error)), logit(share)};
        // One that may be a whole number is taken for it.
        if (double const whole = std::round(one.likely); one.holds(whole))
            one.likely = whole;
        logits.push_back(one);
    }
    seen.sinkLogits = Result::seen(std::move(logits), "the part of the value of a single row that "
                                                      "comes back, under a query of zeros");
}

/// The usual factors of a score that lie in the interval: 1/sqrt(keyDim), and 1.
void chooseScale(Guess<Measured>& scale, std::size_t keyDim) {
    auto const inverseRoot = [](std::size_t d) { return 1 / std::sqrt(double(d)); };
    Measured& m = *scale.value;
    if (m.holds(inverseRoot(keyDim))) {
        if (m.holds(inverseRoot(keyDim + 1)))
            scale = Guess<Measured>::unknown(fmt::format(
                "it lies in [{:.9g}, {:.9g}], and so do 1/sqrt({}) and 1/sqrt({})", m.low, m.high,
                keyDim, keyDim + 1));
        else
            m.likely = double(float(inverseRoot(keyDim)));
    } else if (m.holds(1)) {
        m.likely = 1;
    }
}

void probeScale(Prober& prober, std::size_t layer, SeenLayer& seen) {
    using Result = Guess<Measured>;
    auto const& size = prober.given().layers[layer];
    auto const pair = pairOf(seen, size);
    auto const amplitude = amplitudeFor(prober, layer, pair);
    auto const still = amplitude ? logRatios(prober, layer, pair, 0) : std::nullopt;
    auto const moved = amplitude ? logRatios(prober, layer, pair, *amplitude) : std::nullopt;
    if (!still || !moved) {
        seen.scale = Result::unknown("no query moves the weight of a key by a few nats");
        return;
    }
    double const nats = moved->front() - still->front(), of = double(*amplitude) * pair.turned;
    double error = errorOf(moved->front(), seen.numerics) + errorOf(still->front(), seen.numerics);
    if (pair.isTurned)  // two components, each turned on both sides by rounded cosines and sines
        error += std::abs(nats) * errorOf(0, seen.numerics);
    double const a = (nats - error) / of, b = (nats + error) / of;
    if (!std::isfinite(error)) {
        seen.scale = Result::unknown("the outputs have too few bits to bound a ratio of weights");
        return;
    }
    seen.scale = Result::seen(
        {std::min(a, b), std::max(a, b), nats / of},
        fmt::format("a score of {:g} times the scale weighs a key exp({:.6f}) times{}", of,
                    nats, pair.isTurned ? ", for a key that turns with its query" : ""));
    chooseScale(seen.scale, size.keyDim);
}

}  // namespace

void probeForms(Prober& prober, std::size_t layer, SeenLayer& seen) {
    auto& n = seen.numerics;
    n.exponent = Guess<ExponentForm>::unknown(onePairOnly);
    n.merge = Guess<PartMerge>::unknown(onePairOnly);
    if (seen.visibleRows < 2)
        return;
    n.exponent = exponentOf(prober, layer, seen);
    n.merge = mergeOf(prober, layer, seen);
}

void probeScores(Prober& prober, std::size_t layer, SeenLayer& seen) {
    seen.scale = Guess<Measured>::unknown(onePairOnly);
    seen.slopes = Guess<std::vector<Measured>>::unknown(onePairOnly);
    probeSinks(prober, layer, seen);
    if (seen.visibleRows < 2)
        return;
    probeSlopes(prober, layer, seen);
    probeScale(prober, layer, seen);
}

}  // namespace kv::oracle::inference

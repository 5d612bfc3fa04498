// infer_numerics: ask how many bits each stage keeps, and how it rounds.
//
// A number passes several stages before anyone sees it: one that is lost was lost by any of them.
// So each probe also asks what would still come through if the stage in question were the narrow
// one; where that cannot be asked, the stage keeps so much "or more".
#include "oracle/infer_parts.hpp"

#include <fmt/format.h>

#include <cmath>

namespace kv::oracle::inference {

namespace {

/// The widest format below f32 has 11 bits; a stage that keeps so many is not rounded to any.
constexpr int enoughBits = 13;

float powerOf(int exponent) { return std::ldexp(1.0f, exponent); }

bool isEvery(Output const& output, float x) {
    return output && std::ranges::all_of(*output, [&](float y) { return y == x; });
}

/// The most bits, up to `limit`, for which `isKept(bits)` holds, and holds for each smaller number.
template <class Predicate>
int mostBits(int limit, Predicate isKept) {
    int bits = 0;
    while (bits < limit && isKept(bits + 1))
        ++bits;
    return bits;
}

Output oneRow(Prober& prober, std::size_t layer, float value) {
    return prober.answer(layer, {.value = [=](auto, auto, auto) { return value; }});
}

/// What the mean of two rows is, for a query of zeros.
Output meanOf(Prober& prober, std::size_t layer, float first, float second) {
    return prober.answer(
        layer,
        {.count = 2, .value = [=](auto t, auto, auto) { return t == 0 ? first : second; }});
}

bool isSame(Output const& a, Output const& b) { return a && b && inference::isSame(*a, *b); }

/// The same answers at another power of two.
Output scaled(Output output, int exponent) {
    if (output)
        for (float& x : *output)
            x = std::ldexp(x, exponent);
    return output;
}

/// One stored value, 1 + 2^(1 - bits), comes back.
unsigned valueBitsOf(Prober& prober, std::size_t layer) {
    return unsigned(mostBits(floatBits, [&](int p) {
        float const value = p == 1 ? 1 : 1 + powerOf(1 - p);
        return isEvery(oneRow(prober, layer, value), value);
    }));
}

/// Asks for means of odd values under odd weights, whose quotients have every bit there is.
void showBits(Prober& prober, std::size_t layer) {
    constexpr std::uint64_t times = 16, numbers = 2003;
    for (std::uint64_t i = 0; i < times; ++i) {
        auto const odd = [=](std::size_t t, std::size_t h, std::size_t d) {
            return float(properties::mixed(i * 4096 + t * 64 + h * 8 + d) % numbers) / numbers;
        };
        static_cast<void>(prober.answer(layer, {2, odd, odd, odd}));
    }
}

/// 2^-k of one row still moves the mean with the 1 of another. Whether that mean is exact is no
/// matter: a merge of parts may err.
int sumBitsOf(Prober& prober, std::size_t layer) {
    auto const alone = meanOf(prober, layer, 1, 0);
    return mostBits(floatBits, [&](int p) {
        auto const both = meanOf(prober, layer, 1, powerOf(1 - p));
        return alone && both && !isSame(alone, both);
    });
}

/// The powers of two between which a value of all bits comes back.
struct Range {
    int lowest = 0, highest = 0;
    bool endsAtF32Below = false, endsAtF32Above = false;
    /// Two rows tell stages apart: a sum is larger than its mean. Whether the mean of two values at
    /// `highest` is lost, and whether half a value at `lowest` is not.
    bool losesSum = false, outputGoesLower = false;
};

Range rangeOf(Prober& prober, std::size_t layer, int bits, bool hasEqualPair) {
    float const odd = bits == 1 ? 1 : 1 + powerOf(1 - bits);
    auto const at = [&](int exponent) { return std::ldexp(odd, exponent); };
    auto const isKept = [&](int e) { return isEvery(oneRow(prober, layer, at(e)), at(e)); };
    // Below the normal numbers, f32 itself drops the last bit.
    auto const isGiven = [&](int e) { return bits > 1 && at(e) > powerOf(e); };
    Range range;
    while (std::isfinite(at(range.highest + 1)) && isKept(range.highest + 1))
        ++range.highest;
    while (isGiven(range.lowest - 1) && isKept(range.lowest - 1))
        --range.lowest;
    range.endsAtF32Above = !std::isfinite(at(range.highest + 1));
    range.endsAtF32Below = !isGiven(range.lowest - 1);
    if (!hasEqualPair)
        return range;
    float const high = at(range.highest), low = at(range.lowest);
    range.losesSum = !isSame(scaled(meanOf(prober, layer, high, high), -range.highest),
                             meanOf(prober, layer, odd, odd));
    range.outputGoesLower =
        !range.endsAtF32Below && isSame(scaled(meanOf(prober, layer, low, 0), -range.lowest),
                                        meanOf(prober, layer, odd, 0));
    return range;
}

/// The output, and the sum before it.
void probeSums(Prober& prober, std::size_t layer, SeenNumerics& seen, bool hasEqualPair) {
    using Result = Guess<SeenPrecision>;
    int const shown = int(seen.outputBits), kept = int(seen.valueBits);
    Range const r = rangeOf(prober, layer, kept, hasEqualPair);
    SeenPrecision output{SeenLimit{shown, shown >= floatBits},
                         SeenLimit{r.lowest, r.endsAtF32Below},
                         SeenLimit{r.highest + 1, r.endsAtF32Above}};
    auto const how = fmt::format(
        "no output has more bits; values of {} bits of a single row come back from 2^{} to 2^{}",
        kept, r.lowest, r.highest);
    if (!hasEqualPair) {
        seen.output = Result::seen(output, how);
        return;
    }
    int const sumBits = sumBitsOf(prober, layer);
    SeenPrecision sum{std::nullopt, SeenLimit{r.lowest, true},
                      SeenLimit{r.highest + (r.losesSum ? 1 : 2), !r.losesSum}};
    if (sumBits > 0)
        sum.significandBits = SeenLimit{sumBits, sumBits >= shown};
    if (r.outputGoesLower) {
        output.minExponent = SeenLimit{r.lowest - 1, true};
        sum.minExponent = SeenLimit{r.lowest, false};
    }
    if (r.losesSum)
        output.maxExponent->isOrMore = true;
    seen.output = Result::seen(output, how);
    seen.accumulate = Result::seen(
        sum, fmt::format("2^-{} is the least power that moves the mean with a 1, or the least "
                         "asked; the mean of two values at 2^{} {}",
                         std::max(sumBits - 1, 0), r.highest,
                         r.losesSum ? "is lost" : "comes back"));
}

/// A number below the normal ones, alone and as the mean of two.
Guess<Subnormals> subnormalsOf(Prober& prober, std::size_t layer, SeenNumerics const& seen,
                               bool hasEqualPair) {
    using Result = Guess<Subnormals>;
    if (!seen.output || seen.valueBits < 2)
        return Result::unknown("no value comes back, so none is known to be normal");
    int lowest = (*seen.output).minExponent->value;
    if (seen.accumulate && !(*seen.accumulate).minExponent->isOrMore)
        lowest = (*seen.accumulate).minExponent->value;
    float const small = powerOf(lowest - 1);
    auto answers = std::vector{oneRow(prober, layer, small)};
    if (hasEqualPair)
        answers.push_back(meanOf(prober, layer, small, small));
    bool const isKept = std::ranges::all_of(answers, [](Output const& output) {
        return output && std::ranges::find(*output, 0.0f) == output->end();
    });
    return Result::seen(isKept ? Subnormals::kept : Subnormals::flushed,
                        fmt::format("2^{} comes back {}", lowest - 1,
                                    isKept ? "as more than 0" : "as 0, or not at all"));
}

/// A sum of two numbers of either sign, three quarters of a place above the smaller neighbor.
Guess<OperationRounding> roundingOf(Prober& prober, std::size_t layer, SeenNumerics const& seen) {
    using Result = Guess<OperationRounding>;
    auto const& bits = seen.accumulate ? (*seen.accumulate).significandBits : std::nullopt;
    if (!bits)
        return Result::unknown(seen.accumulate.how);
    if (bits->isOrMore && bits->value < floatBits)
        return Result::unknown(
            fmt::format("outputs of {} bits round the sums again", seen.outputBits));
    int const p = bits->value;
    std::size_t up = 0, down = 0;
    for (float sign : {1.0f, -1.0f}) {
        auto const sum = meanOf(prober, layer, sign, sign * 3 * powerOf(-p - 1));
        up += isSame(sum, meanOf(prober, layer, sign, sign * powerOf(1 - p))) ? 1 : 0;
        down += isSame(sum, meanOf(prober, layer, sign, 0)) ? 1 : 0;
    }
    auto const how = fmt::format("1 + 3 x 2^-{} and its opposite", p + 1);
    if (up == 2)
        return Result::seen(OperationRounding::nearest, how + " become the nearer number");
    if (up + down == 2)
        return Result::seen(OperationRounding::towardZero, how + " do not both become the nearer");
    return Result::unknown(how + " become neither neighbor");
}

/// x rounded to so many bits.
double roundedToBits(double x, int bits) {
    int exponent = 0;
    double const fraction = std::frexp(x, &exponent);
    return std::ldexp(std::nearbyint(std::ldexp(fraction, bits)), exponent - bits);
}

/// The outputs of two rows of values 0 and 1, at scores that differ by a little each.
struct WeightSeries {
    std::vector<double> ratios;  ///< of the smaller weight to the larger
    unsigned bits = 0;           ///< the most that any of the outputs has
};
std::optional<WeightSeries> weightSeries(Prober& prober, std::size_t layer, Pair const& pair,
                                         float amplitude) {
    constexpr int steps = 16, first = 37;
    WeightSeries series;
    for (int i = 0; i < steps; ++i) {
        float const a = amplitude * float(first + i) / first;
        auto const older = prober.answer(layer, pairRows(pair, 0, a));
        auto const newest = prober.answer(layer, pairRows(pair, 1, a));
        if (!older || !newest || !(older->front() > 0) || !(newest->front() > 0))
            return std::nullopt;
        double const x = older->front(), y = newest->front();
        series.ratios.push_back(std::min(x, y) / std::max(x, y));
        series.bits = std::max({series.bits, bitsOf(older->front()), bitsOf(newest->front())});
    }
    return series;
}

/// The larger of two weights is 1 before the sum divides both, so their ratio is the smaller one,
/// up to the roundings of two divisions and of two outputs.
Guess<SeenPrecision> weightsOf(Prober& prober, std::size_t layer, SeenLayer const& seen) {
    using Result = Guess<SeenPrecision>;
    auto const pair = pairOf(seen, prober.given().layers[layer]);
    auto const amplitude = amplitudeFor(prober, layer, pair);
    auto const series = amplitude ? weightSeries(prober, layer, pair, *amplitude) : std::nullopt;
    unsigned const shown = seen.numerics.outputBits;
    if (!series || shown == 0)
        return Result::unknown("no two scores were found whose weights differ and are not lost");
    auto const& sum = seen.numerics.accumulate;
    auto const limited = [&](int bits, std::string how) {
        bool const isHidden =
            sum && (*sum).significandBits && (*sum).significandBits->value <= bits;
        return Result::seen({SeenLimit{bits, isHidden || bits >= enoughBits}, {}, {}},
                            std::move(how));
    };
    if (series->bits == 0)
        return Result::unknown("no weight is a normal number");
    if (series->bits < shown)
        return limited(int(series->bits), "normalised weights of 16 pairs of scores have no more "
                                          "bits, though an output of more was seen");
    double const error = (2 * numericsF32.normRoundings + 2) * std::ldexp(1.0, -int(shown));
    // Where the error is no smaller than a quarter of the spacing, every ratio is near some weight.
    for (int bits = 2; bits < enoughBits && 4 * error < std::ldexp(1.0, -bits); ++bits)
        if (std::ranges::all_of(series->ratios, [&](double r) {
                return std::abs(r - roundedToBits(r, bits)) <= error * r;
            }))
            return limited(bits, "ratios of 16 pairs of weights are numbers of so few bits, up to "
                                 "the roundings of a division");
    if (4 * error >= std::ldexp(1.0, 1 - enoughBits))
        return Result::unknown(
            fmt::format("outputs of {} bits do not show whether a weight has fewer", shown));
    return limited(enoughBits, "ratios of 16 pairs of weights are no numbers of fewer bits");
}

/// Two rows whose keys have zeros and ones on the last two components, which do not turn.
class Lanes {
   public:
    Lanes(Prober& prober, std::size_t layer, SeenLayer const& seen)
        : prober_(prober), layer_(layer), last_(prober.given().layers[layer].keyDim - 1) {
        constexpr float largestStep = 8;  // f16 still holds 2^13 times as much
        std::size_t const turning = seen.rotaryDim ? *seen.rotaryDim : 0;
        if (turning + 2 > last_ + 1)
            why_ = "fewer than two components of a key stay as they are";
        else if (!weighsEqually(prober, layer))
            why_ = notEqual;
        else if (auto const amplitude = amplitudeFor(prober, layer, {.lane = last_}))
            step_ = *amplitude / 16;
        else
            why_ = "no query moves the weight of a key by a few nats";
        if (std::abs(step_) > largestStep)
            why_ = "the scale is so small that a query of f16 would overflow";
    }
    std::string const& why() const { return why_; }
    /// A component of a query that weighs a key of 1 by a quarter of a nat or more.
    float step() const { return step_; }
    /// Whether the two rows weigh differently. A sum that overflows weighs nothing.
    bool tells(float olderFirst, float first, float second) {
        auto const answer = [&](std::size_t valued) {
            return prober_.answer(
                layer_,
                {.count = 2,
                 .key = [=, this](auto t, auto, auto d) {
                     return d == last_ ? float(t) : d + 1 == last_ ? (t == 1 ? 1 : olderFirst) : 0;
                 },
                 .value = [=](auto t, auto, auto) { return t == valued ? 1.0f : 0.0f; },
                 .query = [=, this](auto, auto, auto d) {
                     return d == last_ ? second : d + 1 == last_ ? first : 0;
                 }});
        };
        auto const isNumber = [](Output const& output) {
            return output && std::ranges::all_of(*output, [](float x) { return std::isfinite(x); });
        };
        auto const older = answer(0), newest = answer(1);
        return isNumber(older) && isNumber(newest) && !isSame(older, newest);
    }

   private:
    Prober& prober_;
    std::size_t layer_, last_;
    float step_ = 0;
    std::string why_{};
};

Guess<SeenPrecision> stageOf(int bits, std::string how) {
    if (bits == 0)
        return Guess<SeenPrecision>::unknown("a query that moves a key alone does not do so here");
    return Guess<SeenPrecision>::seen({SeenLimit{bits, bits >= enoughBits}, {}, {}},
                                      std::move(how));
}

/// Two components of a query that cancel but for the last bit of one: 2^k + 1 and -2^k.
Guess<SeenPrecision> queryOf(Lanes lanes) {
    if (!lanes.why().empty())
        return Guess<SeenPrecision>::unknown(lanes.why());
    auto const bits = mostBits(enoughBits, [&](int p) {
        float const large = lanes.step() * powerOf(p - 1);
        return lanes.tells(0, large + lanes.step(), -large);
    });
    return stageOf(bits, "components 2^k + 1 and -2^k of a query, of which the 1 still weighs");
}

/// Two scores, 2^k and 2^k + 1 times as large: where they round to one number, they weigh the same.
/// Numbers with one bit too many are told apart by chance, so several are tried.
Guess<SeenPrecision> scoresOf(Lanes lanes) {
    if (!lanes.why().empty())
        return Guess<SeenPrecision>::unknown(lanes.why());
    constexpr int factors = 24, parts = 32;
    auto const bits = mostBits(enoughBits, [&](int p) {
        for (int i = 0; i < factors; ++i) {
            float const step = lanes.step() * float(parts + i) / parts;
            if (!lanes.tells(1, step * powerOf(p - 1), step))
                return false;
        }
        return true;
    });
    return stageOf(bits, "scores of 2^k and 2^k + 1 times the same, which still weigh differently");
}

}  // namespace

void probeNumerics(Prober& prober, std::size_t layer, SeenLayer& seen) {
    auto& n = seen.numerics;
    auto const unknown = Guess<SeenPrecision>::unknown(onePairOnly);
    n.query = n.scores = n.weights = n.accumulate = unknown;
    n.rounding = Guess<OperationRounding>::unknown(onePairOnly);
    n.output = Guess<SeenPrecision>::unknown("a query does not see its own row");
    bool const hasPair = seen.visibleRows > 1;
    bool const hasEqualPair = hasPair && weighsEqually(prober, layer);
    if (hasPair && !hasEqualPair)
        n.accumulate.how = notEqual;
    if (seen.visibleRows > 0)
        n.valueBits = valueBitsOf(prober, layer);
    if (hasPair && n.valueBits < unsigned(floatBits))
        showBits(prober, layer);
    n.outputBits = prober.shownBits(layer);
    if (n.valueBits > 0)
        probeSums(prober, layer, n, hasEqualPair);
    else if (seen.visibleRows > 0)
        n.output.how = n.accumulate.how = "attention over one row does not return its value";
    n.subnormals = subnormalsOf(prober, layer, n, hasEqualPair);
    if (!hasPair)
        return;
    n.rounding = roundingOf(prober, layer, n);
    n.weights = weightsOf(prober, layer, seen);
    n.query = queryOf({prober, layer, seen});
    n.scores = scoresOf({prober, layer, seen});
}

}  // namespace kv::oracle::inference

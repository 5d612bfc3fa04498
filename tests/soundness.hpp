// soundness: draw problems on which a conforming engine must not be convicted.
//
// A problem is one number: its seed says which numerics are declared, in which format the rows are
// stored, how many rows there are, how wide they are and what they look like. Rows pass through the
// codecs of the spec, and what a reader gets back is what the engines and the spec see.
//
// A format is paired with numerics that can compute with what it returns: a codec with scales
// returns its product rounded once into the numbers of `compute`; numbers stored as they are have
// to be numbers of `compute`.
//
// Not said here: codecs behind a rotation, which refuse rows that f32 cannot add exactly.
#pragma once
#include "spec/storage.hpp"
#include "tests/conforming.hpp"

#include <map>

namespace kv::soundness {

using namespace kv::conforming;

/// How rows are stored; without a codec, as they were drawn.
struct Storage {
    std::string_view name;
    Codec const* codec;
};
inline Format const& formatOf(Precision const& p) {
    return p == precisions::f16 ? formats::f16 : p == precisions::bf16 ? formats::bf16
                                                                        : formats::f32;
}
inline bool goesWith(Codec const& codec, Numerics const& n) {
    return codec.scale != ScaleRule::none || n.compute == precisions::f32 ||
           std::get<Format>(codec.element).name == formatOf(n.compute).name;
}
inline std::vector<Storage> storagesFor(Numerics const& n) {
    std::vector<Storage> these;
    for (auto const* codec : everyCodec)
        if (goesWith(*codec, n))
            these.push_back({codec->name, codec == &codecs::f32 ? nullptr : codec});
    return these;
}

/// What rows look like: as families of conforming.hpp, the first of which and the last of which are
/// in their order there; or probes, whose scores are 0 or far below.
enum class Input {
    normal, largeLogits, cancelling, outlier, nearTie, zeros, tiny, ladder, stagnating, faint,
    boundary, oneHot, mean, wideSum, groupSelect, balance,
    farTail, few, exactScores, lostWeights, flushedScores, absorbed, rescaled, roundedScores,
    shifted, constant
};
inline constexpr std::string_view inputNames[] = {
    "normal", "large logits", "cancelling", "outlier", "near tie", "zeros", "tiny", "ladder",
    "stagnating", "faint", "boundary", "one-hot", "mean", "wide sum", "group select", "balance",
    "far tail", "few", "exact scores", "lost weights", "flushed scores", "absorbed", "rescaled",
    "rounded scores", "shifted", "constant"};
inline constexpr std::size_t inputs = std::size(inputNames);
inline Family familyOf(Input input) {
    return Family(int(input) - (input < Input::farTail ? 0 : int(Input::farTail) -
                                                                 int(Family::farTail)));
}
inline bool isProbe(Input input) { return input >= Input::oneHot && input < Input::balance; }

struct Case {
    std::uint64_t seed;
    Semantics const* semantics;
    Storage storage;
    Input input;
    Problem problem;
};

/// A whole number from 1 to 2^octaves, its logarithm uniform.
inline std::size_t logUniform(Random& random, unsigned octaves) {
    double const exponent = octaves * std::generate_canonical<double, 53>(random);
    return std::size_t(std::floor(std::exp2(exponent)));
}
/// Beyond 256 rows a length is kept in inverse proportion to what it costs.
inline std::size_t lengthOf(Random& random) {
    constexpr std::size_t cheap = 256;
    for (;;) {
        std::size_t const n = logUniform(random, 14) + below(random, 2);
        if (n <= cheap || below(random, n) < cheap) return std::min<std::size_t>(n, 1 << 14);
    }
}

/// A gap beyond every exponential, in units of the query.
inline float farBelow(Problem const& p) { return 256 / p.scale; }

inline void askOneHot(Problem& p, Random& random) {
    std::size_t const bits = std::min(p.d / 2, std::size_t(std::bit_width(p.n)));
    std::size_t const target = below(random, p.n);
    for (std::size_t i = 0; i < bits; ++i) {
        p.q[2 * i + 1 - (target >> i & 1)] = farBelow(p);
        for (std::size_t j = 0; j < p.n; ++j) p.k[j * p.d + 2 * i + (j >> i & 1)] = -1;
    }
}
/// 2^k rows, wherever they stand, are of classes that the query selects.
inline void askGroups(Problem& p, Random& random) {
    std::size_t const half = p.d / 2, most = std::size_t(std::bit_width(p.n));
    std::size_t const selected = std::size_t{1} << below(random, most);
    for (std::size_t i = half; i < p.d; ++i) p.q[i] = -farBelow(p);
    std::vector<std::size_t> rows(p.n);
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    std::shuffle(rows.begin(), rows.end(), random);
    for (std::size_t i = 0; i < p.n; ++i)
        p.k[rows[i] * p.d + (i < selected ? 0 : half) + below(random, half)] = 1;
}
/// One row in four is hot and outweighs the others, which are 0 and lie below it by ln 3.
inline void askBalance(Problem& p) {
    p.q[0] = std::log(3.f) / p.scale;
    for (std::size_t j = 0; j < p.n; ++j) p.k[j * p.d] = j % 4 == 0 ? 0 : -1;
    for (std::size_t i = 0; i < p.v.size(); ++i) p.v[i] = i / p.e % 4 == 0 ? 3 : -3;
}
/// Whole numbers whose sum the declared accumulator holds, wide or small; most of them 0 where it
/// holds fewer than there are rows.
inline void wholeValues(Problem& p, Input input, Random& random) {
    int const rows = input == Input::oneHot ? 1 : int(std::bit_width(p.n));
    int const free = int(p.numerics->accumulate.significandBits) - rows;
    auto const most = std::size_t{1} << std::max(0, input == Input::wideSum ? free : free / 2);
    auto const every = std::size_t{1} << std::max(0, 4 - free);
    for (auto& v : p.v) {
        v = below(random, every) == 0 ? float(1 + below(random, most)) : 0;
        if (input != Input::wideSum && coin(random)) v = -v;
    }
}
inline void probe(Problem& p, Input input, Random& random) {
    std::fill(p.q.begin(), p.q.end(), 0.f);
    std::fill(p.k.begin(), p.k.end(), 0.f);
    if (input == Input::oneHot) askOneHot(p, random);
    if (input == Input::groupSelect) askGroups(p, random);
    if (input == Input::mean || input == Input::wideSum)
        for (auto& k : p.k) k = gauss(random);
    wholeValues(p, input, random);
    if (input == Input::balance) askBalance(p);
}

/// The element that makes the computed scale of a group `unit`, and for a span the one opposite.
inline std::pair<float, float> marker(Codec const& codec, float unit) {
    if (codec.scale == ScaleRule::span) return {8 * unit, -7 * unit};
    bool const isScaled = codec.scale != ScaleRule::none && codec.scale != ScaleRule::given;
    return {isScaled ? float(codec.divisor) * unit : 0, 0};
}
/// A row that is as wide as groups are, in which elements that are whole numbers stay such.
inline Floats marked(Codec const& codec, Floats row, std::size_t width) {
    float largest = 1, unit = 1;
    for (float const x : row) largest = std::max(largest, std::abs(x));
    while (7 * unit < largest && std::abs(marker(codec, unit).first) < largest) unit *= 2;
    row.resize(width);
    for (std::size_t i = 15; i < width; i += 16)
        std::tie(row[i], row[i - 1]) = marker(codec, unit);
    return row;
}

/// One row through the codec. Scales that an engine is given come from the row's largest element,
/// or are 1, as is a tensor's, where whole numbers have to stay such.
inline Floats roundTrip(Codec const& codec, Floats const& row, Precision const& compute,
                        bool isWhole) {
    float largest = 0;
    for (float const x : row) largest = std::max(largest, std::abs(x));
    std::size_t const group = codec.group == 0 ? row.size() : codec.group;
    Floats scales;
    if (codec.scale == ScaleRule::given)
        for (std::size_t g = 0; g < row.size() / group; ++g)
            scales.push_back(isWhole ? 1 : largest / float(97 + g % 31));
    Given given{scales, codec.tensorScale && !isWhole ? largest / 2688 : 1};
    for (auto& s : scales) s = std::max(s, power(-100));
    given.tensor = std::max(given.tensor, power(-100));
    return dequantize(codec, quantize(codec, row, given), formatOf(compute));
}

/// So many elements of one problem pass through the codec; the rows after them repeat what it
/// returned, times a sign and a power of two, which are codes of the same format again. Rows of
/// which each is a code of its own may not repeat; equal ones of them are coded once.
inline constexpr std::size_t codedElements = 1 << 12;

struct Rowwise {
    std::size_t kept, width;  ///< elements of a problem, and of the row of which they are the first
    bool mayRepeat, isWhole;
};
inline void store(Codec const& codec, Floats& rows, Rowwise const& by, Precision const& compute,
                  Random& random) {
    auto const kept = by.kept, n = rows.size() / kept;
    std::size_t const most = by.mayRepeat ? codedElements / by.width : n;
    std::map<Floats, Floats> known;
    for (std::size_t j = 0; j < n; ++j) {
        auto const begin = rows.begin() + std::ptrdiff_t(j * kept);
        if (j < most) {
            Floats row(begin, begin + std::ptrdiff_t(kept));
            if (by.isWhole) row = marked(codec, row, by.width);
            while (row.size() < by.width) row.push_back(row[row.size() % kept] / 2);
            auto const [at, isNew] = known.try_emplace(row);
            if (isNew) at->second = roundTrip(codec, row, compute, by.isWhole);
            std::copy_n(at->second.begin(), kept, begin);
        } else {
            float const sign = coin(random) ? 1.f : -1.f;
            float const turn = by.isWhole ? 1 : float(1 + below(random, 2)) * sign;
            auto const from = rows.begin() + std::ptrdiff_t(below(random, most) * kept);
            std::transform(from, from + std::ptrdiff_t(kept), begin,
                           [&](float x) { return x * turn; });
        }
    }
}
inline bool isFinite(Floats const& x) {
    return std::all_of(x.begin(), x.end(), [](float y) { return std::isfinite(y); });
}

/// Rows as they were drawn, before they are stored.
inline Problem rowsOf(Case const& c, std::size_t n, std::size_t d, Random& random) {
    bool const isSum = c.input == Input::mean || c.input == Input::wideSum;
    bool const isGap = c.input == Input::farTail || c.input >= Input::exactScores;
    if (c.input >= Input::farTail && coin(random)) n = std::min(n, 1 + below(random, 4));
    std::size_t const rows = isSum ? std::bit_floor(n) : n;
    auto p = drawnFor(c.semantics->numerics, random, rows, d, 1 + below(random, 3));
    if (isGap && c.input != Input::constant) gapScores(p, familyOf(c.input), random);
    p.numerics = &c.semantics->numerics;
    if (c.input >= Input::oneHot && c.input <= Input::balance) {
        probe(p, c.input, random);
    } else if (c.input == Input::faint) {
        faint(p, random);
    } else if (c.input == Input::boundary) {
        nearBoundary(p, p.numerics->weights, random);
    } else {
        strainScores(p, familyOf(c.input), random);
        strainValues(p, familyOf(c.input), random);
    }
    return p;
}
/// False where the codec refuses the rows or stores an infinity.
inline bool isStored(Case& c, Random& random) {
    auto& p = c.problem;
    auto const& compute = p.numerics->compute;
    if (c.storage.codec != nullptr) try {
            auto const& codec = *c.storage.codec;
            bool const isSum = c.input == Input::mean || c.input == Input::wideSum;
            bool const mayRepeat = isSum || c.input < Input::faint || c.input == Input::few;
            // A weight lies at a boundary only if its key is stored as it is.
            if (c.input != Input::boundary)
                store(codec, p.k, {p.d, std::max<std::size_t>(p.d, 32), mayRepeat, false},
                      compute, random);
            bool const isBalance = c.input == Input::balance;
            store(codec, p.v, {p.e, 32, !isBalance, isProbe(c.input)}, compute, random);
        } catch (ShapeError const&) {
            return false;
        }
    for (auto* floats : {&p.q, &p.k, &p.v})
        for (auto& x : *floats) x = float(nearest(compute, double(x)));
    return isFinite(p.q) && isFinite(p.k) && isFinite(p.v);
}

/// The declarations whose name has this part.
inline std::vector<Semantics const*> semanticsWith(std::string const& part) {
    std::vector<Semantics const*> all;
    for (auto const& semantics : everySemantics())
        if (semantics.name.find(part) != std::string::npos) all.push_back(&semantics);
    return all;
}
/// The problem of this seed, among the declarations whose name has this part.
inline Case caseOf(std::uint64_t seed, std::string const& part = "") {
    Random random(seed);
    auto const all = semanticsWith(part);
    Case c{seed, all[below(random, all.size())], {}, Input::normal, {}};
    auto const storages = storagesFor(c.semantics->numerics);
    c.storage = storages[below(random, storages.size())];
    std::size_t const widths[] = {32, 64, 96, 128, 160, 256, 16, 48, 80, 112};
    bool const isNarrow = c.storage.codec == nullptr || c.storage.codec->group <= 16;
    std::size_t const n = lengthOf(random), d = widths[below(random, isNarrow ? 10 : 6)];
    for (;;) {
        c.input = Input(below(random, inputs));
        c.problem = rowsOf(c, n, d, random);
        if (isStored(c, random)) return c;
    }
}

}  // namespace kv::soundness

// conforming: engines in miniature that compute one attention as their declaration allows.
//
// What a declaration allows is a set of programs. This is a random member of it: any order of
// summation, scale put anywhere, blocks, parts, merges, fused operations, flushed subnormals, an
// exponential at the end of its promise. Each operation is done in double and rounded once to the
// declared precision. All that the enclosure may rely on is what these programs have in common.
#pragma once
#include "spec/enclosure.hpp"
#include "spec/presets.hpp"

#include <numbers>
#include <numeric>
#include <random>

namespace kv::conforming {

using Random = std::mt19937_64;
using Floats = std::vector<float>;

inline std::size_t below(Random& random, std::size_t n) { return random() % n; }
inline bool coin(Random& random) { return below(random, 2) == 0; }
template <class T>
T oneOf(Random& random, std::initializer_list<T> these) {
    return these.begin()[below(random, these.size())];
}

/// The same promises under every form of the exponential and of the merge.
struct Forms {
    Numerics plain, fused, merged, both;
};
constexpr Forms formsOf(Numerics n) {
    Forms forms{n, n, n, n};
    forms.fused.exponent = forms.both.exponent = ExponentForm::fused;
    forms.merged.merge = forms.both.merge = PartMerge::logSumExp;
    forms.merged.parts = forms.both.parts = 5;
    return forms;
}
struct Promise {
    unsigned scoreRoundings, expUlps;
    int expFlushExponent;
    unsigned normRoundings;
};
constexpr Forms promised(Promise const& promise) {
    Numerics n = numericsF32Plain;
    n.scoreRoundings = promise.scoreRoundings;
    n.expUlps = promise.expUlps;
    n.expFlushExponent = promise.expFlushExponent;
    n.normRoundings = promise.normRoundings;
    return formsOf(n);
}
/// An engine that promises the usual, one that promises little and uses all of it, one whose scores
/// are exact, one whose exponential alone is loose, one whose scores alone are, one whose division
/// alone is.
inline constexpr Forms usual = formsOf(numericsF32Plain);
inline constexpr Forms careless = promised({100, 64, -20, 100});
inline constexpr Forms careful = promised({0, 1, -125, 3});
inline constexpr Forms looseExp = promised({0, 64, -125, 3});
inline constexpr Forms looseScores = promised({100, 4, -125, 3});
inline constexpr Forms looseDivision = promised({0, 1, -125, 1000});

/// What the cubic exponential may err: r^4 / 24 with r = ln 2 / 2, in units of 2^-23, rounded up.
inline constexpr unsigned cubicUlps = 8192;

/// Engines that keep fewer bits, know how they add, or truncate. Names are those of the report.
struct Semantics {
    std::string name;
    Numerics numerics;
};
constexpr Numerics stages(Precision const& weights, Precision const& accumulate,
                       Precision const& output) {
    Numerics n = numericsF32Plain;
    n.weights = weights;
    n.accumulate = accumulate;
    n.output = output;
    return n;
}
inline Numerics with(Numerics n, void (*change)(Numerics&)) {
    change(n);
    return n;
}
inline Numerics byTensorCores(Numerics n, unsigned terms, unsigned bits) {
    n.fmaTerms = terms;
    n.fmaBits = bits;
    n.parts = bits > n.compute.significandBits ? 5 : 1;
    return n;
}
/// A schedule that can be replayed: blocks of so many keys, in order.
inline Numerics replayed(Numerics n, unsigned block, WeightSum sum, void (*change)(Numerics&)) {
    n.keyOrder = KeyOrder::ascending;
    n.keyBlock = block;
    n.weightSum = sum;
    n.blockSum = sum == WeightSum::unrounded ? BlockSum::inPlace : BlockSum::apart;
    change(n);
    return n;
}
/// Engines that declare their schedule, with several blocks, sums of weights and exponentials.
inline std::vector<Semantics> replayedSemantics() {
    using namespace precisions;
    auto const nothing = [](Numerics&) {};
    auto const dots = [](Numerics& n) { n.dotBlock = 8; };
    auto const close = [](Numerics& n) { n.dotBlock = 8, n.scoreRoundings = 1, n.expUlps = 2; };
    auto const keptDots = [](Numerics& n) { n.dotBlock = 8, n.subnormals = Subnormals::kept; };
    auto const toZero = [](Numerics& n) { n.rounding = OperationRounding::towardZero; };
    auto const cubic = [](Numerics& n) { n.expUlps = cubicUlps, n.dotBlock = 16; };
    auto const fused = [](Numerics& n) { n.exponent = ExponentForm::fused, n.dotBlock = 8; };
    auto const careless = [](Numerics& n) {
        n.expUlps = 64, n.expFlushExponent = -20, n.normRoundings = n.scoreRoundings = 100;
    };
    auto const scores = [](Numerics& n) { n.scores = f16, n.dotBlock = 8; };
    auto const careful = [](Numerics& n) { n.scoreRoundings = 0, n.expUlps = 1; };
    auto const bf = stages(bf16, f32, bf16), f = stages(f16, f32, f16);
    auto const wide = stages(bf16, f32, f32), half = stages(f16, f32, f32);
    auto const any = WeightSum::any, rounded = WeightSum::rounded, open = WeightSum::unrounded;
    std::vector<Semantics> all{
        {"bf16 replayed, blocks of 64, rounded", replayed(bf, 64, rounded, close)},
        {"bf16 replayed, blocks of 64, unrounded", replayed(bf, 64, open, close)},
        {"bf16 replayed, blocks of 16", replayed(bf, 16, any, dots)},
        {"bf16 replayed, key by key, unrounded", replayed(bf, 1, open, dots)},
        {"bf16 replayed, key by key, rounded", replayed(wide, 1, rounded, keptDots)},
        {"bf16 weights replayed, blocks of 3, unrounded", replayed(wide, 3, open, dots)},
        {"bf16 weights replayed, blocks of 5, rounded", replayed(wide, 5, rounded, close)},
        {"bf16 weights replayed, blocks of 2", replayed(wide, 2, any, nothing)},
        {"f16 replayed, blocks of 64, unrounded", replayed(f, 64, open, dots)},
        {"f16 weights replayed, key by key, rounded", replayed(half, 1, rounded, dots)},
        {"f16 weights replayed, kept, unrounded", replayed(half, 16, open, keptDots)},
        {"f16 weights replayed, kept, rounded", replayed(half, 4, rounded, keptDots)},
        {"bf16 replayed, toward zero", replayed(wide, 8, open, toZero)},
        {"bf16 replayed, cubic exp", replayed(wide, 16, open, cubic)},
        {"bf16 replayed, fused, rounded", replayed(wide, 16, rounded, fused)},
        {"f16 replayed, fused, unrounded", replayed(half, 4, open, fused)},
        {"bf16 replayed, careless", replayed(wide, 4, open, careless)},
        {"bf16 replayed, scores f16", replayed(wide, 8, rounded, scores)},
        {"bf16 replayed, careful", replayed(wide, 8, open, careful)},
        {"f16 replayed, values in f16", replayed(stages(f16, f16, f32), 8, open, dots)},
        {"bf16 replayed, by tensor cores",
         replayed(byTensorCores(wide, 8, 23), 16, rounded, nothing)}};
    return all;
}
inline void inBlocks(Numerics& n) {
    n.dotBlock = 8, n.keyBlock = 16, n.blockSum = BlockSum::apart;
}
/// A query that is quantised comes so; what else it promises is another preset's.
inline bool quantises(Preset const& preset) { return preset.query != StoredAs::f32; }
inline std::vector<Semantics> const& everySemantics() {
    using namespace precisions;
    auto const blocks = inBlocks;
    auto const toZero = [](Numerics& n) { n.rounding = OperationRounding::towardZero; };
    auto const parts = [](Numerics& n) { n.keyBlock = 4, n.parts = 3; };
    auto const cubic = [](Numerics& n) { n.expUlps = cubicUlps; };
    auto const scores = [](Numerics& n) { n.scores = f16; };
    auto const query = [](Numerics& n) { n.query = bf16; };
    auto const kept = [](Numerics& n) { n.subnormals = Subnormals::kept; };
    auto const sixteen = stages(bf16, f32, bf16);
    static std::vector<Semantics> const all = [&] {
        std::vector<Semantics> these{
        {"f32, all conservative", numericsF32}, {"f32", numericsF32Plain},
        {"f32 in blocks", with(numericsF32Plain, blocks)},
        {"f32 in blocks and parts", with(numericsF32Plain, parts)},
        {"f32 toward zero", with(numericsF32Plain, toZero)},
        {"f32 by tensor cores, 23 bits", byTensorCores(numericsF32Plain, 8, 23)},
        {"f32 by tensor cores, 13 bits", byTensorCores(numericsF32Plain, 4, 13)},
        {"f32, cubic exp", with(numericsF32Plain, cubic)},
        {"f32, scores f16", with(numericsF32Plain, scores)},
        {"f32, query bf16", with(numericsF32Plain, query)},
        {"f32, values in f16", stages(f32, f16, f32)},
        {"weights and output f16", stages(f16, f32, f16)},
        {"output f16", stages(f32, f32, f16)},
        {"f32 by tensor cores, 30 bits, in parts", byTensorCores(numericsF32Plain, 4, 30)},
        {"weights and output bf16", sixteen},
        {"weights and output bf16, in blocks", with(sixteen, blocks)},
        {"weights and output bf16, by tensor cores", byTensorCores(sixteen, 8, 23)},
        {"f32, careful", careful.plain}, {"f32, careless", careless.plain},
        {"f32, careful, fused and merged", careful.both},
        {"f32, careless, fused and merged", careless.both},
        {"f32, loose exp, fused and merged", looseExp.both},
        {"f32, loose division, merged", looseDivision.merged},
        {"all f16", with(everywhere(f16, numericsF32Plain), kept)},
        {"all bf16, fused and merged", everywhere(bf16, numericsF32)}};
        for (auto const& more : replayedSemantics()) these.push_back(more);
        for (auto const& preset : everyPreset)
            if (!quantises(preset)) these.push_back({std::string(preset.name), preset.numerics});
        return these;
    }();
    return all;
}

/// One query over n rows: q[d], k[n][d], v[n][e].
struct Problem {
    std::size_t n, d, e;
    float scale;
    Floats q, k, v;
    Numerics const* numerics = &numericsF32Plain;
};

enum class Order { forward, backward, shuffled, tree, lanes, tensorCore };
enum class Scale { after, onQuery, onKey, onBoth };
enum class Exp { exact, base2, worst, fused, cubic };
enum class Form { twoPass, perKey, perBlock, split, merged };
enum class Division { after, first, reciprocal };

struct Style {
    Order order = Order::forward;
    Scale scale = Scale::after;
    Exp exp = Exp::exact;
    Form form = Form::twoPass;
    Division division = Division::after;
    std::size_t block = 1;
    std::size_t lanes = 8;
    bool fuses = false;
    bool flushes = false;
    bool rises = false;  ///< the worst engine errs upwards where the value is positive
    bool dividesNarrow = false;  ///< in the precision of the sums
    bool addsRounded = false;    ///< the denominator adds the weights as they meet the values
    std::uint64_t seed = 0;
};

/// A number that an engine of this precision has computed exactly, as it keeps it.
class Keeps {
   public:
    Keeps(Precision const& p, OperationRounding rounding, bool flushes)
        : p_(p),
          isNearest_(rounding == OperationRounding::nearest),
          isFloat_(isNearest_ && p == precisions::f32),
          flushes_(flushes),
          least_(powerOfTwo(p.minExponent)),
          cut_(53 - static_cast<int>(p.significandBits)) {}
    float operator()(double x) const {
        if (flushes_ && std::abs(x) < least_) return 0;
        if (isFloat_) return static_cast<float>(x);
        // Of a normal number that cannot overflow, the bits beyond the last place are cut off.
        auto const word = std::bit_cast<std::uint64_t>(x);
        int const exponent = static_cast<int>(word >> 52 & 0x7FF) - 1023;
        if (cut_ < 1 || exponent < p_.minExponent || exponent + 1 >= p_.maxExponent)
            return byDefinition(x);
        auto const place = std::uint64_t{1} << cut_;
        auto const up = isNearest_ ? place / 2 - 1 + (word >> cut_ & 1) : 0;
        return static_cast<float>(std::bit_cast<double>((word + up) & ~(place - 1)));
    }
    float byDefinition(double x) const {
        return static_cast<float>(isNearest_ || x == 0 || !std::isfinite(x)
                                      ? nearest(p_, x)
                                      : std::trunc(x / lastPlace(p_, x)) * lastPlace(p_, x));
    }
    float read(float x) const { return flushes_ && std::abs(x) < least_ ? 0 : x; }
    Keeps truncating() const { return {p_, OperationRounding::towardZero, flushes_}; }
    /// The next number of this precision on the way to `end`.
    float next(float x, float end) const {
        double const step = lastPlace(p_, x), less = x - std::copysign(step / 2, x);
        bool const shrinks = std::abs(end) < std::abs(x) || std::signbit(end) != std::signbit(x);
        if (!shrinks) return static_cast<float>(x + std::copysign(step, x));
        return static_cast<float>(nearest(p_, less) == less ? less : x - std::copysign(step, x));
    }

   private:
    Precision p_;
    bool isNearest_, isFloat_, flushes_;
    double least_;  // normal number
    int cut_;       // bits of a double that are not kept
};

/// Scores, weights and sums of one engine, each rounded as it declares.
class Engine {
   public:
    Engine(Problem const& p, Style const& s)
        : p_(p),
          s_(s),
          n_(*p.numerics),
          f(n_.compute, n_.rounding, s.flushes),
          acc(n_.accumulate, n_.rounding, s.flushes),
          toScore_(n_.scores, OperationRounding::nearest, s.flushes),
          toWeight_(n_.weights, OperationRounding::nearest, s.flushes),
          random_(s.seed),
          query_(p.q) {
        Keeps const toQuery(n_.query, OperationRounding::nearest, s.flushes);
        for (auto& x : query_) {
            x = toQuery(x);
            if (s_.scale == Scale::onQuery) x = mul(x, f(double(p_.scale)));
            if (s_.scale == Scale::onBoth) x = mul(x, f(std::sqrt(double(p_.scale))));
        }
    }

    Floats run() {
        for (std::size_t j = 0; j < p_.n; ++j)
            scores_.push_back(toScore_(moved(score(j), value(j, 0), n_.scoreRoundings)));
        auto y = s_.form == Form::twoPass ? twoPass() : onePass();
        if (s_.form != Form::merged && bitsOf(total_).lowest != bitsOf(total_).highest)
            for (auto& x : y) x = moved(x, 1, n_.normRoundings);
        Keeps const out(n_.output, OperationRounding::nearest, s_.flushes);
        for (auto& x : y) x = out(x);
        return y;
    }

   private:
    Floats onePass() {
        std::vector<std::size_t> rows(p_.n);
        std::iota(rows.begin(), rows.end(), std::size_t{0});
        bool const isFree = n_.keyOrder == KeyOrder::any;
        if (isFree && s_.order == Order::shuffled) std::shuffle(rows.begin(), rows.end(), random_);
        if (isFree && s_.order == Order::backward) std::reverse(rows.begin(), rows.end());
        if (s_.form == Form::merged) return merged(rows, n_.parts).sums;
        std::size_t const parts = n_.keyBlock > 0 ? n_.parts : rows.size();
        auto const part = s_.form == Form::split ? tree(rows, parts) : online(rows);
        total_ = part.total;
        return tabulated([&](std::size_t c) { return divided(part.sums[c], part.total); });
    }
    struct Part {
        float top = -std::numeric_limits<float>::infinity();
        float total = 0;
        Floats sums;
    };
    float mul(float a, float b) const { return mulIn(f, a, b); }
    float add(float a, float b) const { return addIn(f, a, b); }
    /// Operands are flushed too.
    static float mulIn(Keeps const& in, float a, float b) {
        return in(double(in.read(a)) * double(in.read(b)));
    }
    static float addIn(Keeps const& in, float a, float b) {
        return in(double(in.read(a)) + double(in.read(b)));
    }
    float mulAdd(Keeps const& in, float a, float b, float c) const {
        if (!s_.fuses) return addIn(in, mulIn(in, a, b), c);
        return in(std::fma(double(in.read(a)), double(in.read(b)), double(in.read(c))));
    }
    template <class F>
    Floats tabulated(F value) const {
        Floats y(p_.e);
        for (std::size_t c = 0; c < p_.e; ++c) y[c] = value(c);
        return y;
    }

    /// The worst engine uses up what it declared and does not need: one step is up to 2 u.
    float moved(float x, float push, unsigned roundings) const {
        if (s_.exp != Exp::worst) return x;
        float const end = std::copysign(std::numeric_limits<float>::infinity(),
                                        (push > 0) == s_.rises ? 1.f : -1.f);
        for (unsigned i = 8; i + 1 < roundings && isNormal(x); i += 2) x = f.next(x, end);
        return x;
    }
    bool isNormal(float x) const {
        return std::isfinite(x) && std::abs(x) >= powerOfTwo(n_.compute.minExponent);
    }
    /// The weight of a score, or of an earlier maximum, below a maximum.
    float expBelow(float s, float top, float push) const {
        if (s_.exp != Exp::fused) return exp(add(s, -top), push);
        constexpr float c = std::numbers::log2e_v<float>;
        return f(std::exp2(double(f(std::fma(double(s), double(f(c)), -double(mul(top, f(c))))))));
    }
    float exp(float x, float push) const {
        if (s_.exp == Exp::base2)
            return f(std::exp2(double(mul(x, f(std::numbers::log2e_v<float>)))));
        if (s_.exp == Exp::cubic) return cubic(x);
        float y = f(std::exp(double(x)));
        if (s_.flushes && y < powerOfTwo(n_.expFlushExponent)) return 0;
        if (s_.exp != Exp::worst || x == 0 || y == 0) return y;
        float const end = (push > 0) == s_.rises ? 2 * y : 0;
        for (unsigned i = 1; i < n_.expUlps && isNormal(y); ++i) y = f.next(y, end);
        return y;
    }

    /// 2^i times the cubic Taylor polynomial of exp on [-ln 2 / 2, ln 2 / 2].
    float cubic(float x) const {
        double const i = std::nearbyint(double(x) * std::numbers::log2e);
        double const r = double(x) - i * std::numbers::ln2;
        return f(std::ldexp(1 + r * (1 + r / 2 * (1 + r / 3)), std::max(int(i), -1000)));
    }

    /// a[0] b[0] + a[1] b[1] + ... in the order of this engine.
    float sumOf(Keeps const& in, Floats const& a, Floats const& b) {
        std::size_t const n = a.size();
        if (s_.order == Order::backward || s_.order == Order::shuffled) {
            std::vector<std::size_t> at(n);
            std::iota(at.rbegin(), at.rend(), std::size_t{0});
            if (s_.order == Order::shuffled) std::shuffle(at.begin(), at.end(), random_);
            float sum = 0;
            for (auto const i : at) sum = mulAdd(in, a[i], b[i], sum);
            return sum;
        }
        if (s_.order == Order::tree) return treeOf(in, a, b, 0, n);
        if (s_.order == Order::lanes) return lanesOf(in, a, b);
        if (s_.order == Order::tensorCore) return byTensorCore(in, a, b, 0);
        float sum = 0;
        for (std::size_t i = 0; i < n; ++i) sum = mulAdd(in, a[i], b[i], sum);
        return sum;
    }
    float treeOf(Keeps const& in, Floats const& a, Floats const& b, std::size_t begin,
                 std::size_t end) {
        if (end - begin == 1) return mulIn(in, a[begin], b[begin]);
        std::size_t const middle = begin + 1 + below(random_, end - begin - 1);
        return addIn(in, treeOf(in, a, b, begin, middle), treeOf(in, a, b, middle, end));
    }
    float lanesOf(Keeps const& in, Floats const& a, Floats const& b) {
        Floats lanes(s_.lanes);
        for (std::size_t i = 0; i < a.size(); ++i)
            lanes[i % s_.lanes] = mulAdd(in, a[i], b[i], lanes[i % s_.lanes]);
        float sum = lanes[0];
        for (std::size_t i = 1; i < s_.lanes; ++i) sum = addIn(in, sum, lanes[i]);
        return sum;
    }
    /// fmaTerms exact products and the accumulator are aligned to the largest exponent among them,
    /// and what is below the last of fmaBits fraction bits is cut off.
    float byTensorCore(Keeps const& in, Floats const& a, Floats const& b, float sum) {
        for (std::size_t begin = 0; begin < a.size(); begin += n_.fmaTerms) {
            std::size_t const end = std::min<std::size_t>(a.size(), begin + n_.fmaTerms);
            terms_.assign(1, double(sum));
            for (std::size_t i = begin; i < end; ++i)
                terms_.push_back(double(in.read(a[i])) * double(in.read(b[i])));
            double largest = 0, total = 0;
            for (double const x : terms_) largest = std::max(largest, std::abs(x));
            if (largest == 0) continue;
            double const place = lastPlace({n_.fmaBits + 1, -1022, 1024}, largest);
            for (double const x : terms_)
                total += s_.rises ? std::floor(x / place) : std::trunc(x / place);
            sum = in.truncating()(total * place);
        }
        return sum;
    }

    float score(std::size_t j) {
        Floats k(p_.k.begin() + std::ptrdiff_t(j * p_.d),
                           p_.k.begin() + std::ptrdiff_t((j + 1) * p_.d));
        float const root = f(std::sqrt(double(p_.scale)));
        float const scale = f(double(p_.scale));
        for (auto& x : k) {
            if (s_.scale == Scale::onKey) x = mul(x, scale);
            if (s_.scale == Scale::onBoth) x = mul(x, root);
        }
        float const sum = sumOf(f, query_, k);
        return s_.scale == Scale::after ? mul(sum, scale) : sum;
    }
    float value(std::size_t j, std::size_t c) const { return p_.v[j * p_.e + c]; }

    Floats twoPass() {
        float const top = *std::max_element(scores_.begin(), scores_.end());
        Floats weights;
        for (std::size_t j = 0; j < p_.n; ++j)
            weights.push_back(expBelow(scores_[j], top, value(j, 0)));
        // A weight is rounded once: before it is added, or before it meets a value.
        if (s_.addsRounded)
            for (auto& w : weights) w = toWeight_(w);
        float const total = total_ = sumOf(f, weights, Floats(p_.n, 1));
        if (s_.division == Division::first)
            for (auto& w : weights) w = f(double(w) / double(total));
        if (!s_.addsRounded)
            for (auto& w : weights) w = toWeight_(w);
        return tabulated([&](std::size_t c) {
            Floats column;
            for (std::size_t j = 0; j < p_.n; ++j) column.push_back(value(j, c));
            float const sum = sumOf(acc, weights, column);
            if (s_.division == Division::first) return sum;
            return divided(sum, total);
        });
    }

    float divided(float sum, float total) const {
        auto const& in = s_.dividesNarrow ? acc : f;
        return s_.division == Division::reciprocal ? mulIn(in, sum, in(1 / double(total)))
                                                   : in(double(sum) / double(total));
    }
    void rescale(Part& part, float top) const {
        float const factor =
            part.total == 0 ? 0 : expBelow(part.top, top, part.sums.empty() ? 0 : part.sums[0]);
        part.total = mul(part.total, factor);
        for (auto& sum : part.sums) sum = mulIn(acc, sum, factor);
        part.top = top;
    }
    /// Blocks of s_.block rows; a block of one is the online softmax per key.
    Part online(std::vector<std::size_t> const& rows) {
        Part part{.sums = Floats(p_.e, 0)};
        std::size_t const own = s_.form == Form::perBlock ? s_.block : 1;
        std::size_t const block = n_.keyBlock > 0 ? n_.keyBlock : own;
        for (std::size_t begin = 0; begin < rows.size(); begin += block) {
            std::size_t const end = std::min(rows.size(), begin + block);
            float top = part.top;
            for (std::size_t i = begin; i < end; ++i) top = std::max(top, scores_[rows[i]]);
            if (top != part.top) rescale(part, top);
            addBlock(part, {rows.begin() + std::ptrdiff_t(begin),
                            rows.begin() + std::ptrdiff_t(end)});
        }
        return part;
    }
    /// One by one; or on their own first, where that is declared.
    void addBlock(Part& part, std::vector<std::size_t> const& rows) {
        Floats weights, met;
        for (std::size_t const j : rows) {
            weights.push_back(expBelow(scores_[j], part.top, value(j, 0)));
            met.push_back(toWeight_(weights.back()));
            if (s_.addsRounded) weights.back() = met.back();
        }
        Floats const ones(rows.size(), 1);
        bool const isOneByOne = n_.blockSum == BlockSum::inPlace && n_.fmaTerms == 0;
        if (n_.fmaTerms > 0) part.total = byTensorCore(f, weights, ones, part.total);
        else if (!isOneByOne) part.total = add(part.total, sumOf(f, weights, ones));
        else
            for (float const w : weights) part.total = add(part.total, w);
        for (std::size_t c = 0; c < p_.e; ++c) {
            Floats column;
            for (std::size_t const j : rows) column.push_back(value(j, c));
            float& sum = part.sums[c];
            if (n_.fmaTerms > 0) sum = byTensorCore(acc, met, column, sum);
            else if (!isOneByOne) sum = addIn(acc, sum, sumOf(acc, met, column));
            else
                for (std::size_t i = 0; i < rows.size(); ++i)
                    sum = mulAdd(acc, met[i], column[i], sum);
        }
    }
    /// Parts of at most s_.block rows, merged as (m, l, acc) in a random tree.
    Part tree(std::vector<std::size_t> const& rows, std::size_t parts) {
        if (rows.size() <= s_.block || parts < 2) return online(rows);
        auto const middle = std::ptrdiff_t(1 + below(random_, rows.size() - 1));
        std::size_t const left = 1 + below(random_, parts - 1);
        Part a = tree({rows.begin(), rows.begin() + middle}, left);
        Part b = tree({rows.begin() + middle, rows.end()}, parts - left);
        float const top = std::max(a.top, b.top);
        rescale(a, top), rescale(b, top);
        a.total = add(a.total, b.total);
        for (std::size_t c = 0; c < p_.e; ++c) a.sums[c] = addIn(acc, a.sums[c], b.sums[c]);
        return a;
    }

    float log(float x, float push) const {
        float y = f(std::log(double(x)));
        if (s_.exp != Exp::worst || x == 1) return y;
        float const end = std::copysign(std::numeric_limits<float>::infinity(),
                                        (push > 0) == s_.rises ? 1.f : -1.f);
        for (unsigned i = 1; i < n_.expUlps && isNormal(y); ++i) y = f.next(y, end);
        return y;
    }
    /// At most `parts` means, each with its log-sum-exp in `top`, merged in a random tree.
    Part merged(std::vector<std::size_t> const& rows, std::size_t parts) {
        if (parts < 2 || rows.size() < 2 || below(random_, 8) == 0) {
            Part part = online(rows);
            for (auto& sum : part.sums)
                sum = moved(divided(sum, part.total), 1, part.total == 1 ? 0 : n_.normRoundings);
            part.top = add(part.top, log(part.total, part.sums[0]));
            return part;
        }
        auto const middle = std::ptrdiff_t(1 + below(random_, rows.size() - 1));
        std::size_t const left = 1 + below(random_, parts - 1);
        Part a = merged({rows.begin(), rows.begin() + middle}, left);
        Part b = merged({rows.begin() + middle, rows.end()}, parts - left);
        float const top = std::max(a.top, b.top);
        float x = expBelow(a.top, top, a.sums[0]), y = expBelow(b.top, top, b.sums[0]);
        float const total = add(x, y), all = add(top, log(total, a.sums[0]));
        if (s_.block % 3 == 0) x = expBelow(a.top, all, 1), y = expBelow(b.top, all, 1);
        for (std::size_t c = 0; c < p_.e; ++c) {
            a.sums[c] = mulAdd(acc, x, a.sums[c], mulIn(acc, y, b.sums[c]));
            if (s_.block % 3 == 1) a.sums[c] = f(double(a.sums[c]) / double(total));
            if (s_.block % 3 == 2) a.sums[c] = mul(a.sums[c], f(1 / double(total)));
            if (s_.block % 3 != 0 && total != 1) a.sums[c] = moved(a.sums[c], 1, n_.normRoundings);
        }
        a.top = all;
        return a;
    }

    Problem const& p_;
    Style const& s_;
    Numerics const& n_;
    Keeps f, acc;  // of scores, weights and their sum; of sums of weighted values
    Keeps toScore_, toWeight_;
    Random random_;
    Floats query_;  // as its scores meet it
    Floats scores_;
    std::vector<double> terms_;  // of one tensor-core operation
    float total_ = 0;  // dividing by a power of two is exact, however carelessly it is done
};

/// Any way of computing that these numerics allow.
inline Style randomStyle(Random& random, Numerics const& n) {
    Style style{
        .order = oneOf(random, {Order::forward, Order::backward, Order::shuffled, Order::tree,
                                Order::lanes}),
        .scale = oneOf(random, {Scale::after, Scale::onQuery, Scale::onKey, Scale::onBoth}),
        .exp = oneOf(random, {Exp::exact, Exp::base2, Exp::worst}),
        .form = oneOf(random, {Form::twoPass, Form::perKey, Form::perBlock, Form::split}),
        .division = oneOf(random, {Division::after, Division::first, Division::reciprocal}),
        .block = 1 + below(random, 20),
        .lanes = n.dotBlock > 0 ? n.dotBlock : 1 + below(random, 16),
        .fuses = coin(random),
        .flushes = n.subnormals == Subnormals::flushed && coin(random),
        .rises = coin(random),
        .dividesNarrow = coin(random),
        .addsRounded = coin(random),
        .seed = random()};
    if (n.expUlps >= cubicUlps && coin(random)) style.exp = Exp::cubic;
    if (n.exponent == ExponentForm::fused && coin(random)) style.exp = Exp::fused;
    if (n.keyBlock > 0 || n.fmaTerms > 0)
        style.form = n.parts > 1 && coin(random) ? Form::split : Form::perBlock;
    if (n.merge == PartMerge::logSumExp && coin(random)) style.form = Form::merged;
    if (n.dotBlock > 0) style.order = Order::lanes;
    if (n.fmaTerms > 0) style.order = Order::tensorCore;
    // Two factors are rounded each, and so are two products.
    if (n.scoreRoundings < 4 && style.scale == Scale::onBoth) style.scale = Scale::after;
    if (n.weightSum != WeightSum::any) style.addsRounded = n.weightSum == WeightSum::rounded;
    return style;
}

template <class Lift>
auto liftedRow(Floats const& x, std::size_t at, std::size_t n, Lift lift) {
    return tabulate(Dyn{n}, [&](std::size_t i) { return lift(x[at + i]); });
}
/// The text of attention.hpp for one head, in any scalar. `lift` makes a scalar of a float;
/// value(j) is a row of scalars.
template <class S, class Lift, class Value>
Seq<S, Dyn> attend(Problem const& p, Lift lift, Value value) {
    auto const q = liftedRow(p.q, 0, p.d, lift);
    auto const scores = tabulate(Dyn{p.n}, [&](std::size_t j) {
        return Reduce<S>::dot(q, liftedRow(p.k, j * p.d, p.d, lift)) * lift(p.scale);
    });
    return Reduce<S>::softmaxMean(p.n, [&](std::size_t j) { return scores[j]; }, value);
}
template <class S, class Lift>
Seq<S, Dyn> attend(Problem const& p, Lift lift) {
    auto const values =
        tabulate(Dyn{p.n}, [&](std::size_t j) { return liftedRow(p.v, j * p.e, p.e, lift); });
    return attend<S>(p, lift, [&](std::size_t j) -> auto const& { return values[j]; });
}
inline Seq<Enclosure, Dyn> enclose(Problem const& p) {
    return attend<Enclosure>(p, [&](float x) { return exactly(x, *p.numerics); });
}
inline bool accepts(Seq<Enclosure, Dyn> const& e, Floats const& y) {
    for (std::size_t c = 0; c < y.size(); ++c)
        if (!Agreement<float, Enclosure>::holds(y[c], e[c])) return false;
    return true;
}

// What the rows look like. Each family strains one rule.
enum class Family {
    normal, largeLogits, cancelling, outlier, nearTie, zeros, tiny, ladder, stagnating, farTail,
    few, exactScores, lostWeights, flushedScores, absorbed, rescaled,
    roundedScores, shifted, constant
};
inline constexpr int families = 19;

inline Numerics const& formOf(Forms const& forms, Random& random) {
    Numerics const* const all[] = {&forms.plain, &forms.plain, &forms.fused, &forms.merged,
                                   &forms.both};
    return *all[below(random, 5)];
}

inline float gauss(Random& random) { return std::normal_distribution<float>()(random); }
inline float power(int exponent) { return float(powerOfTwo(exponent)); }

inline Problem drawn(Random& random, std::size_t n, std::size_t d, std::size_t e) {
    Problem p{n, d, e, float(1 / std::sqrt(double(d))), Floats(d), Floats(n * d), Floats(n * e)};
    for (auto* floats : {&p.q, &p.k, &p.v})
        for (auto& x : *floats) x = gauss(random);
    return p;
}

/// Rows for an engine of these numerics. One that promises not to round a score besides its dot
/// product can keep that only where there is nothing to scale.
inline Problem drawnFor(Numerics const& numerics, Random& random, std::size_t n, std::size_t d,
                        std::size_t e) {
    auto p = drawn(random, n, d, e);
    p.numerics = &numerics;
    if (numerics.scoreRoundings == 0) p.scale = 1;
    return p;
}

inline void strainScores(Problem& p, Family family, Random& random) {
    auto const keyAt = [&](std::size_t j, std::size_t i) -> float& { return p.k[j * p.d + i]; };
    for (std::size_t i = 0; i < p.d; ++i) {
        if (family == Family::largeLogits) p.q[i] *= 30;
        if (family == Family::outlier && below(random, 8) == 0) p.q[i] *= 100;
        if (family == Family::tiny && below(random, 3) == 0) p.q[i] *= power(-140);
        if (family == Family::stagnating) p.q[i] = 0;
        for (std::size_t j = 0; j < p.n; ++j) {
            if (family == Family::cancelling) {
                p.q[i] = 20;
                keyAt(j, i) = i % 2 == 0 ? gauss(random) * 30
                                         : gauss(random) / 100 - keyAt(j, i - 1);
            }
            if (family == Family::nearTie)
                keyAt(j, i) = keyAt(0, i) * (1 + gauss(random) / 1000000);
            if (family == Family::zeros && below(random, 3) == 0) keyAt(j, i) = 0;
            if (family == Family::ladder) keyAt(j, i) = p.q[i] * float(j) / float(1 + p.n / 9);
        }
    }
}

/// Scores that are exactly 0 for row 0 and -gap for the others, but for a little noise.
inline void gapScores(Problem& p, Family family, Random& random) {
    int const far = 60 + int(below(random, 46));
    std::size_t const d = family == Family::flushedScores ? 8 : 1;
    p = {.n = p.n, .d = d, .e = p.e, .scale = 1, .q = Floats(d, 1), .k = Floats(p.n * d),
         .v = p.v,
         .numerics = &formOf(family == Family::rescaled ? looseExp : careful, random)};
    for (std::size_t j = 1; j < p.n; ++j) {
        float const noise = float(below(random, 100)) / 256;
        if (family == Family::farTail) p.k[j] = (far % 2 == 0 ? gauss(random) : 0) - float(far);
        if (family == Family::shifted) p.k[j] = 2000 + 2 * float(j);
        if (family == Family::exactScores) p.k[j] = -float(below(random, 64));
        if (family == Family::lostWeights) p.k[j] = -17 - noise;
        if (family == Family::absorbed) p.k[j] = -17 - noise - noise;
        if (family == Family::rescaled) p.k[j] = float(j) / 4096;
    }
    if (family == Family::roundedScores) {
        p.numerics = &formOf(looseScores, random);
        for (std::size_t j = 1; j < p.n; ++j) p.k[j] = -1 - std::abs(gauss(random)) * 4;
    }
    if (family != Family::flushedScores) return;
    p = {.n = p.n, .d = d, .e = p.e, .scale = power(120), .q = Floats(d, power(-67)),
         .k = p.k, .v = p.v};
    for (std::size_t j = 0; j < p.n; ++j)
        std::fill_n(p.k.begin() + std::ptrdiff_t(j * d), d, gauss(random) * power(-60));
}

inline void strainValues(Problem& p, Family family, Random& random) {
    for (std::size_t i = 0; i < p.v.size(); ++i) {
        float& v = p.v[i];
        if (family == Family::outlier && below(random, 9) == 0) v *= 1000;
        if (family == Family::zeros && coin(random)) v = 0;
        if (family == Family::tiny && coin(random)) v *= power(-130);
        if (family == Family::constant) v = 3;
        if (family == Family::shifted) v = i < p.v.size() - p.e ? 0 : std::abs(v) + 1;
        if (family == Family::stagnating) v = i < p.e ? 1 : power(-24) * (1 + power(-8));
        if (family == Family::farTail) v = i < p.e ? 0 : v * power(90);
        if (family == Family::few) v = std::abs(v) + 1;
        if (family == Family::exactScores || family == Family::roundedScores)
            v = i < p.e ? 0 : std::abs(v) + 1;
        if (family == Family::lostWeights) v = i < p.e ? 1 : 0;
        if (family == Family::absorbed) v = i < p.e ? 1 : -1 - std::abs(v);
        if (family == Family::rescaled) v = 2 - float(i) / float(p.v.size());
    }
}

inline Problem problemOf(Family family, Random& random) {
    bool const small = family == Family::few || family == Family::absorbed ||
                       family == Family::exactScores || family == Family::roundedScores ||
                       family == Family::shifted;
    std::size_t n = 1 + below(random, small ? 4 : 60);
    if (below(random, 16) == 0) n *= 5;
    std::size_t const d = 1 + below(random, 128), e = 1 + below(random, 4);
    auto p = drawn(random, n, d, e);
    if (family == Family::constant)
        p.numerics = &formOf(coin(random) ? careful : looseDivision, random);
    else if (family == Family::farTail || family >= Family::exactScores)
        gapScores(p, family, random);
    else
        p.numerics = &formOf(below(random, 3) == 0 ? careless : usual, random);
    strainScores(p, family, random);
    strainValues(p, family, random);
    return p;
}

/// One row weighs 1 and is 0; what the others weigh is lost where weights of 16 bits are flushed.
inline void faint(Problem& p, Random& random) {
    p.scale = 1;
    std::fill(p.q.begin(), p.q.end(), 0.f);
    std::fill(p.k.begin(), p.k.end(), 0.f);
    p.q[0] = 1;
    for (std::size_t j = 1; j < p.n; ++j) p.k[j * p.d] = -6 - float(below(random, 11));
    for (std::size_t i = 0; i < p.v.size(); ++i) p.v[i] = i < p.e ? 0 : 1;
}

/// All rows weigh 1; each value but the first is almost what a sum of truncated terms loses whole.
inline void swallowed(Problem& p, Precision const& sums) {
    std::fill(p.q.begin(), p.q.end(), 0.f);
    double const step = lastPlace(sums, 1);
    for (std::size_t i = 0; i < p.v.size(); ++i)
        p.v[i] = i < p.e ? 1 : float(step - step / 256);
}

/// Weights that are all rounded to the worse side: those of value 0 down, those of value 1 up.
inline void biased(Problem& p, Precision const& weights) {
    p.scale = 1;
    std::fill(p.q.begin(), p.q.end(), 0.f);
    std::fill(p.k.begin(), p.k.end(), 0.f);
    p.q[0] = 1;
    for (std::size_t j = 1; j < p.n; ++j) {
        bool const isUp = j % 8 == 0;
        double const low = std::ldexp(1, isUp ? -5 : -1), half = lastPlace(weights, low) / 2;
        p.k[j * p.d] = float(std::log(low + half + (isUp ? half : -half) / 32));
        for (std::size_t c = 0; c < p.e; ++c) p.v[j * p.e + c] = isUp ? 1 : 0;
    }
    for (std::size_t c = 0; c < p.e; ++c) p.v[c] = 0;
}

/// Weights that lie at a boundary of their rounding, below maxima that move, or far below them.
inline void nearBoundary(Problem& p, Precision const& weights, Random& random) {
    p.scale = 1;
    std::fill(p.q.begin(), p.q.end(), 0.f);
    std::fill(p.k.begin(), p.k.end(), 0.f);
    p.q[0] = 1;
    auto const codes = std::size_t{1} << (weights.significandBits - 1);
    float const far = coin(random) ? 0 : float(below(random, 80));
    float top = gauss(random) * 8;
    bool isOver = false;  // after a jump beyond the others, nothing but them counts
    for (std::size_t j = 0; j < p.n; ++j) {
        bool const isTop = j == 0 || below(random, 32) == 0;
        float const bit = float(lastPlace(precisions::f32, top));
        if (isTop && j > 0) top += oneOf(random, {std::abs(gauss(random)), 15.f, bit, -bit});
        isOver = isOver || (isTop && j > 0 && far == 0 && below(random, 4) == 0);
        double const low = std::ldexp(1 + double(below(random, codes)) / double(codes),
                                      -1 - int(below(random, 3)));
        double const middle = low + lastPlace(weights, low) / 2;
        float const score = top - far + float(std::log(middle));
        float const off = float(below(random, 7)) - 3;
        p.k[j * p.d] = isTop ? top : score + off * float(lastPlace(precisions::f32, score));
        if (isOver || (isTop && far > 0))
            std::fill_n(p.v.begin() + std::ptrdiff_t(j * p.e), p.e, 0.f);
    }
}

/// Rows of the first families, which strain scores and values of any size, as an engine of these
/// numerics would have stored them.
inline Problem problemFor(Numerics const& numerics, Random& random) {
    auto const family = Family(below(random, int(Family::farTail)));
    std::size_t const n = 1 + below(random, coin(random) ? 8 : 200);
    std::size_t const d = 1 + below(random, 128), e = 1 + below(random, 3);
    auto p = drawnFor(numerics, random, n, d, e);
    strainScores(p, family, random);
    strainValues(p, family, random);
    switch (below(random, 12)) {
        case 0:
        case 1: faint(p, random); break;
        case 2: swallowed(p, numerics.accumulate); break;
        case 3: biased(p, numerics.weights); break;
        case 4: nearBoundary(p, numerics.weights, random); break;
        default: break;
    }
    for (auto* floats : {&p.q, &p.k, &p.v})
        for (auto& x : *floats) x = float(nearest(numerics.compute, double(x)));
    return p;
}

}  // namespace kv::conforming

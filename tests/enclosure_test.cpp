// The enclosure of an attention output must hold what every conforming engine computes, and little
// else. Engines in miniature, in float, are run on the same rows as the spec text.
#include "spec/enclosure.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <numbers>
#include <numeric>
#include <random>

namespace {

using namespace kv;
using Random = std::mt19937_64;
using Floats = std::vector<float>;

std::size_t below(Random& random, std::size_t n) { return random() % n; }
bool coin(Random& random) { return below(random, 2) == 0; }

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
constexpr Forms usual = formsOf(numericsF32Plain);
constexpr Forms careless = promised({100, 64, -20, 100});
constexpr Forms careful = promised({0, 1, -125, 3});
constexpr Forms looseExp = promised({0, 64, -125, 3});
constexpr Forms looseScores = promised({100, 4, -125, 3});
constexpr Forms looseDivision = promised({0, 1, -125, 1000});

/// One query over n rows: q[d], k[n][d], v[n][e].
struct Problem {
    std::size_t n, d, e;
    float scale;
    Floats q, k, v;
    Numerics const* numerics = &numericsF32Plain;
};

enum class Order { forward, backward, shuffled, tree, lanes };
enum class Scale { after, onQuery, onKey, onBoth };
enum class Exp { exact, base2, worst, fused };
enum class Form { twoPass, perKey, perBlock, split, merged };
enum class Division { after, first, reciprocal };

struct Style {
    Order order = Order::forward;
    Scale scale = Scale::after;
    Exp exp = Exp::exact;
    Form form = Form::twoPass;
    Division division = Division::after;
    std::size_t block = 1;
    bool fuses = false;
    bool flushes = false;
    bool rises = false;  ///< the worst engine errs upwards where the value is positive
    std::uint64_t seed = 0;
};

/// Scores, weights and sums of one engine. Everything is computed in float.
class Engine {
   public:
    Engine(Problem const& p, Style const& s) : p_(p), s_(s), random_(s.seed) {}

    Floats run() {
        for (std::size_t j = 0; j < p_.n; ++j)
            scores_.push_back(moved(score(j), value(j, 0), p_.numerics->scoreRoundings));
        auto y = s_.form == Form::twoPass ? twoPass() : onePass();
        if (s_.form == Form::merged || bitsOf(total_).lowest == bitsOf(total_).highest) return y;
        for (auto& x : y) x = moved(x, 1, p_.numerics->normRoundings);
        return y;
    }

   private:
    Floats onePass() {
        std::vector<std::size_t> rows(p_.n);
        std::iota(rows.begin(), rows.end(), std::size_t{0});
        if (s_.order == Order::shuffled) std::shuffle(rows.begin(), rows.end(), random_);
        if (s_.order == Order::backward) std::reverse(rows.begin(), rows.end());
        if (s_.form == Form::merged) return merged(rows, p_.numerics->parts).sums;
        auto const part = s_.form == Form::split ? tree(rows) : online(rows);
        total_ = part.total;
        return tabulated([&](std::size_t c) {
            return s_.division == Division::reciprocal ? mul(part.sums[c], f(1 / part.total))
                                                       : f(part.sums[c] / part.total);
        });
    }
    struct Part {
        float top = -std::numeric_limits<float>::infinity();
        float total = 0;
        Floats sums;
    };
    float f(float x) const {
        return s_.flushes && std::abs(x) < std::numeric_limits<float>::min() ? 0 : x;
    }
    float mul(float a, float b) const { return f(f(a) * f(b)); }
    float add(float a, float b) const { return f(f(a) + f(b)); }
    float mulAdd(float a, float b, float c) const {
        return s_.fuses ? f(std::fma(f(a), f(b), f(c))) : add(mul(a, b), c);
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
        for (unsigned i = 8; i + 1 < roundings && std::isnormal(x); i += 2)
            x = std::nextafter(x, end);
        return x;
    }
    /// The weight of a score, or of an earlier maximum, below a maximum.
    float expBelow(float s, float top, float push) const {
        if (s_.exp != Exp::fused) return exp(add(s, -top), push);
        constexpr float c = std::numbers::log2e_v<float>;
        return f(std::exp2(f(std::fma(f(s), c, -mul(top, c)))));
    }
    float exp(float x, float push) const {
        if (s_.exp == Exp::base2) return f(std::exp2(mul(x, std::numbers::log2e_v<float>)));
        float y = f(std::exp(x));
        if (s_.flushes && y < powerOfTwo(p_.numerics->expFlushExponent)) return 0;
        if (s_.exp != Exp::worst || x == 0 || y == 0) return y;
        float const end = (push > 0) == s_.rises ? 2 * y : 0;
        for (unsigned i = 1; i < p_.numerics->expUlps; ++i) y = std::nextafter(y, end);
        return y;
    }

    /// a[0] b[0] + a[1] b[1] + ... in the order of this engine.
    float sumOf(Floats a, Floats b) {
        std::size_t const n = a.size();
        if (s_.order == Order::backward || s_.order == Order::shuffled) {
            std::vector<std::size_t> at(n);
            std::iota(at.rbegin(), at.rend(), std::size_t{0});
            if (s_.order == Order::shuffled) std::shuffle(at.begin(), at.end(), random_);
            Floats x(n), y(n);
            for (std::size_t i = 0; i < n; ++i) x[i] = a[at[i]], y[i] = b[at[i]];
            a = x, b = y;
        }
        if (s_.order == Order::tree) return treeOf(a, b, 0, n);
        if (s_.order == Order::lanes) return lanesOf(a, b);
        float sum = 0;
        for (std::size_t i = 0; i < n; ++i) sum = mulAdd(a[i], b[i], sum);
        return sum;
    }
    float treeOf(Floats const& a, Floats const& b, std::size_t begin, std::size_t end) {
        if (end - begin == 1) return mul(a[begin], b[begin]);
        std::size_t const middle = begin + 1 + below(random_, end - begin - 1);
        return add(treeOf(a, b, begin, middle), treeOf(a, b, middle, end));
    }
    float lanesOf(Floats const& a, Floats const& b) {
        Floats lanes(8);
        for (std::size_t i = 0; i < a.size(); ++i)
            lanes[i % 8] = mulAdd(a[i], b[i], lanes[i % 8]);
        for (std::size_t step = 4; step > 0; step /= 2)
            for (std::size_t i = 0; i < step; ++i) lanes[i] = add(lanes[i], lanes[i + step]);
        return lanes[0];
    }

    float score(std::size_t j) {
        Floats q = p_.q, k(p_.k.begin() + std::ptrdiff_t(j * p_.d),
                           p_.k.begin() + std::ptrdiff_t((j + 1) * p_.d));
        float const root = std::sqrt(p_.scale);
        for (auto& x : q) {
            if (s_.scale == Scale::onQuery) x = mul(x, p_.scale);
            if (s_.scale == Scale::onBoth) x = mul(x, root);
        }
        for (auto& x : k) {
            if (s_.scale == Scale::onKey) x = mul(x, p_.scale);
            if (s_.scale == Scale::onBoth) x = mul(x, root);
        }
        float const sum = sumOf(q, k);
        return s_.scale == Scale::after ? mul(sum, p_.scale) : sum;
    }
    float value(std::size_t j, std::size_t c) const { return p_.v[j * p_.e + c]; }

    Floats twoPass() {
        float const top = *std::max_element(scores_.begin(), scores_.end());
        Floats weights;
        for (std::size_t j = 0; j < p_.n; ++j)
            weights.push_back(expBelow(scores_[j], top, value(j, 0)));
        float const total = total_ = sumOf(weights, Floats(p_.n, 1));
        if (s_.division == Division::first)
            for (auto& w : weights) w = f(w / total);
        return tabulated([&](std::size_t c) {
            Floats column;
            for (std::size_t j = 0; j < p_.n; ++j) column.push_back(value(j, c));
            float const sum = sumOf(weights, column);
            if (s_.division == Division::first) return sum;
            return s_.division == Division::reciprocal ? mul(sum, f(1 / total)) : f(sum / total);
        });
    }

    void rescale(Part& part, float top) const {
        float const factor =
            part.total == 0 ? 0 : expBelow(part.top, top, part.sums.empty() ? 0 : part.sums[0]);
        part.total = mul(part.total, factor);
        for (auto& sum : part.sums) sum = mul(sum, factor);
        part.top = top;
    }
    /// Blocks of s_.block rows; a block of one is the online softmax per key.
    Part online(std::vector<std::size_t> const& rows) {
        Part part{.sums = Floats(p_.e, 0)};
        std::size_t const block = s_.form == Form::perBlock ? s_.block : 1;
        for (std::size_t begin = 0; begin < rows.size(); begin += block) {
            std::size_t const end = std::min(rows.size(), begin + block);
            float top = part.top;
            for (std::size_t i = begin; i < end; ++i) top = std::max(top, scores_[rows[i]]);
            if (top != part.top) rescale(part, top);
            for (std::size_t i = begin; i < end; ++i) {
                std::size_t const j = rows[i];
                float const weight = expBelow(scores_[j], top, value(j, 0));
                part.total = add(part.total, weight);
                for (std::size_t c = 0; c < p_.e; ++c)
                    part.sums[c] = mulAdd(weight, value(j, c), part.sums[c]);
            }
        }
        return part;
    }
    /// Parts of at most s_.block rows, merged as (m, l, acc) in a random tree.
    Part tree(std::vector<std::size_t> const& rows) {
        if (rows.size() <= s_.block) return online(rows);
        auto const middle = std::ptrdiff_t(1 + below(random_, rows.size() - 1));
        Part a = tree({rows.begin(), rows.begin() + middle});
        Part b = tree({rows.begin() + middle, rows.end()});
        float const top = std::max(a.top, b.top);
        rescale(a, top), rescale(b, top);
        a.total = add(a.total, b.total);
        for (std::size_t c = 0; c < p_.e; ++c) a.sums[c] = add(a.sums[c], b.sums[c]);
        return a;
    }

    float log(float x, float push) const {
        float y = f(std::log(x));
        if (s_.exp != Exp::worst || x == 1) return y;
        float const end = std::copysign(std::numeric_limits<float>::infinity(),
                                        (push > 0) == s_.rises ? 1.f : -1.f);
        for (unsigned i = 1; i < p_.numerics->expUlps && y != 0; ++i) y = std::nextafter(y, end);
        return y;
    }
    /// At most `parts` means, each with its log-sum-exp in `top`, merged in a random tree.
    Part merged(std::vector<std::size_t> const& rows, std::size_t parts) {
        if (parts < 2 || rows.size() < 2 || below(random_, 8) == 0) {
            Part part = online(rows);
            for (auto& sum : part.sums)
                sum = moved(s_.division == Division::reciprocal ? mul(sum, f(1 / part.total))
                                                                : f(sum / part.total),
                            1, part.total == 1 ? 0 : p_.numerics->normRoundings);
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
            a.sums[c] = mulAdd(x, a.sums[c], mul(y, b.sums[c]));
            if (s_.block % 3 == 1) a.sums[c] = f(a.sums[c] / total);
            if (s_.block % 3 == 2) a.sums[c] = mul(a.sums[c], f(1 / total));
            if (s_.block % 3 != 0 && total != 1)
                a.sums[c] = moved(a.sums[c], 1, p_.numerics->normRoundings);
        }
        a.top = all;
        return a;
    }

    Problem const& p_;
    Style const& s_;
    Random random_;
    Floats scores_;
    float total_ = 0;  // dividing by a power of two is exact, however carelessly it is done
};

template <class T>
T oneOf(Random& random, std::initializer_list<T> these) {
    return these.begin()[below(random, these.size())];
}

/// Any way of computing that these numerics allow.
Style randomStyle(Random& random, Numerics const& numerics) {
    Style style{
            .order = oneOf(random, {Order::forward, Order::backward, Order::shuffled,
                                    Order::tree, Order::lanes}),
            .scale = oneOf(random, {Scale::after, Scale::onQuery, Scale::onKey, Scale::onBoth}),
            .exp = oneOf(random, {Exp::exact, Exp::base2, Exp::worst}),
            .form = oneOf(random, {Form::twoPass, Form::perKey, Form::perBlock, Form::split}),
            .division = oneOf(random, {Division::after, Division::first, Division::reciprocal}),
            .block = 1 + below(random, 20),
            .fuses = coin(random),
            .flushes = coin(random),
            .rises = coin(random),
            .seed = random()};
    if (numerics.exponent == ExponentForm::fused && coin(random)) style.exp = Exp::fused;
    if (numerics.merge == PartMerge::logSumExp && coin(random)) style.form = Form::merged;
    return style;
}

/// The text of attention.hpp for one head, in any scalar. `lift` makes a scalar of a float.
template <class S, class Lift>
Seq<S, Dyn> attend(Problem const& p, Lift lift) {
    auto const lifted = [&](Floats const& x, std::size_t at, std::size_t n) {
        return tabulate(Dyn{n}, [&](std::size_t i) { return lift(x[at + i]); });
    };
    auto const q = lifted(p.q, 0, p.d);
    auto const values =
        tabulate(Dyn{p.n}, [&](std::size_t j) { return lifted(p.v, j * p.e, p.e); });
    auto const scores = tabulate(Dyn{p.n}, [&](std::size_t j) {
        return Reduce<S>::dot(q, lifted(p.k, j * p.d, p.d)) * lift(p.scale);
    });
    return Reduce<S>::softmaxMean(
        p.n, [&](std::size_t j) { return scores[j]; },
        [&](std::size_t j) -> auto const& { return values[j]; });
}
Seq<Enclosure, Dyn> enclose(Problem const& p) {
    return attend<Enclosure>(p, [&](float x) { return exactly(x, *p.numerics); });
}
bool accepts(Seq<Enclosure, Dyn> const& e, Floats const& y) {
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
constexpr int families = 19;

Numerics const& formOf(Forms const& forms, Random& random) {
    Numerics const* const all[] = {&forms.plain, &forms.plain, &forms.fused, &forms.merged,
                                   &forms.both};
    return *all[below(random, 5)];
}

float gauss(Random& random) { return std::normal_distribution<float>()(random); }
float power(int exponent) { return float(powerOfTwo(exponent)); }

Problem drawn(Random& random, std::size_t n, std::size_t d, std::size_t e) {
    Problem p{n, d, e, float(1 / std::sqrt(double(d))), Floats(d), Floats(n * d), Floats(n * e)};
    for (auto* floats : {&p.q, &p.k, &p.v})
        for (auto& x : *floats) x = gauss(random);
    return p;
}

void strainScores(Problem& p, Family family, Random& random) {
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
void gapScores(Problem& p, Family family, Random& random) {
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

void strainValues(Problem& p, Family family, Random& random) {
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

Problem problemOf(Family family, Random& random) {
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

TEST(Enclosure, holdsEveryConformingEngine) {
    Random random(1);
    std::size_t runs = 0, escapes[families] = {}, components = 0, exact = 0, undefined = 0;
    for (int i = 0; i < 5100; ++i) {
        auto const family = Family(i % families);
        auto const p = problemOf(family, random);
        auto const e = enclose(p);
        auto const text = attend<float>(p, [](float x) { return x; });
        Floats written;
        for (std::size_t c = 0; c < p.e; ++c) written.push_back(text[c]);
        escapes[int(family)] += accepts(e, written) ? 0 : 1;
        for (std::size_t c = 0; c < p.e; ++c) {
            exact += single(e[c]) ? 1 : 0;
            undefined += e[c].isUndefined() ? 1 : 0;
            ++components;
        }
        for (int k = 0; k < 10; ++k) {
            auto const style = randomStyle(random, *p.numerics);
            bool const holds = accepts(e, Engine(p, style).run());
            escapes[int(family)] += holds ? 0 : 1;
        }
        runs += 11;
    }
    for (int f = 0; f < families; ++f) EXPECT_EQ(escapes[f], 0u) << "family " << f;
    EXPECT_EQ(undefined, 0u) << "an enclosure that accepts everything tests nothing";
    std::printf("%zu runs, %zu of %zu components have one accepted float\n", runs, exact,
                components);
}

/// Every engine must return this, bit for bit, and the enclosure must know it.
void expectExactly(Problem const& p, Floats const& wanted, Random& random) {
    auto const e = enclose(p);
    for (std::size_t c = 0; c < p.e; ++c) {
        EXPECT_TRUE(single(e[c])) << "n " << p.n << ", radius " << e[c].radius;
        EXPECT_EQ(nearestFloat(e[c].low()), wanted[c]);
    }
    for (int k = 0; k < 20; ++k) {
        auto const style = randomStyle(random, *p.numerics);
        EXPECT_EQ(Engine(p, style).run(), wanted) << "n " << p.n << ", form " << int(style.form);
    }
}
Floats rowOf(Problem const& p, std::size_t j) {
    auto const begin = p.v.begin() + std::ptrdiff_t(j * p.e);
    return {begin, begin + std::ptrdiff_t(p.e)};
}
/// X1: bit i of slot j is -1 on rail 2i + bit; a query asks the other rail, so that only the slot
/// whose code matches scores 0. Each wrong bit costs `gap`.
Problem dualRail(Random& random, std::size_t n, std::size_t target, int gap) {
    std::size_t const codeBits = std::max<std::size_t>(1, std::size_t(std::bit_width(n - 1)));
    auto p = drawn(random, n, 2 * codeBits, 3);
    std::fill(p.q.begin(), p.q.end(), 0.f);
    std::fill(p.k.begin(), p.k.end(), 0.f);
    for (std::size_t i = 0; i < codeBits; ++i) {
        p.q[2 * i + 1 - (target >> i & 1)] = float(gap) / p.scale;
        for (std::size_t j = 0; j < n; ++j) p.k[j * p.d + 2 * i + (j >> i & 1)] = -1;
    }
    return p;
}

TEST(Enclosure, ofAOneHotReadIsTheStoredValue) {
    Random random(2);
    for (std::size_t n = 1; n <= 40; ++n)
        for (std::size_t target = 0; target < n; target += 1 + below(random, 5)) {
            auto p = dualRail(random, n, target, 150);
            p.v[target * p.e] = 0;
            p.numerics = &formOf(usual, random);
            expectExactly(p, rowOf(p, target), random);
        }
}

TEST(Enclosure, ofAOneHotReadAbsorbsWhatIsFarBelow) {
    Random random(3);
    for (std::size_t n = 2; n <= 40; ++n) {
        auto p = dualRail(random, n, n - 1, 60);
        expectExactly(p, rowOf(p, n - 1), random);
        // A value of 0 absorbs nothing: the others show through, and engines differ.
        p.v[(n - 1) * p.e] = 0;
        auto const e = enclose(p);
        EXPECT_FALSE(single(e[0]));
        for (int k = 0; k < 20; ++k) {
            auto const style = randomStyle(random, *p.numerics);
            EXPECT_TRUE(accepts(e, Engine(p, style).run()));
        }
    }
}

TEST(Enclosure, ofIntegerCodesIsTheStoredValue) {
    Random random(4);
    for (std::size_t n = 1; n <= 64; ++n) {
        auto const target = below(random, n);
        auto p = drawn(random, n, 3, 3);
        float const a = 300, t = float(target);
        p.q = {-a, 2 * a * t, -a * t * t};
        for (std::size_t j = 0; j < n; ++j) {
            p.k[3 * j] = float(j * j);
            p.k[3 * j + 1] = float(j);
            p.k[3 * j + 2] = 1;
        }
        // Where the scale is put on the query its score is only nearly 0: no probe when fused.
        p.numerics = coin(random) ? &usual.plain : &usual.merged;
        expectExactly(p, rowOf(p, target), random);
    }
}

TEST(Enclosure, ofAMeanOverAPowerOfTwoIsTheMean) {
    Random random(5);
    for (std::size_t n = 1; n <= 256; n *= 2) {
        auto p = drawn(random, n, 4, 3);
        std::fill(p.q.begin(), p.q.end(), 0.f);
        Floats wanted(p.e);
        for (std::size_t i = 0; i < p.v.size(); ++i) {
            p.v[i] = float(below(random, 2001)) - 1000;
            wanted[i % p.e] += p.v[i];
        }
        for (auto& w : wanted) w /= float(n);
        expectExactly(p, wanted, random);
        // log(2^k) is rounded, so parts that are merged by log-sum-exp give no such mean.
        p.numerics = &usual.merged;
        auto const e = enclose(p);
        EXPECT_EQ(single(e[0]), n == 1);
        for (int k = 0; k < 20; ++k)
            EXPECT_TRUE(accepts(e, Engine(p, randomStyle(random, *p.numerics)).run())) << n;
    }
}

/// A form that was not declared shows: fused where the largest score is not 0, merged in a mean.
TEST(Enclosure, convictsAnUndeclaredForm) {
    Random random(11);
    std::size_t fused = 0, merged = 0;
    for (int i = 0; i < 300; ++i) {
        auto p = drawn(random, 16, 1, 3);
        p.scale = p.q[0] = 1;
        for (std::size_t j = 0; j < p.n; ++j) p.k[j] = j == 3 ? 2001 : 1001;
        auto style = randomStyle(random, usual.fused);
        style.exp = Exp::fused;
        fused += accepts(enclose(p), Engine(p, style).run()) ? 0 : 1;
        p = drawn(random, 16, 4, 3);
        std::fill(p.q.begin(), p.q.end(), 0.f);
        for (auto& v : p.v) v = float(below(random, 2001)) - 1000;
        style = randomStyle(random, usual.plain);
        style.form = Form::merged;
        p.numerics = &usual.merged;  // it merges, and the spec is not told
        auto const y = Engine(p, style).run();
        p.numerics = &usual.plain;
        merged += accepts(enclose(p), y) ? 0 : 1;
    }
    std::printf("of 300 each: undeclared fusing %zu, undeclared merging %zu\n", fused, merged);
    EXPECT_GT(fused, 0u);
    EXPECT_GT(merged, 0u);
}

TEST(Enclosure, ofATieThatRoundsIsNotExact) {
    Random random(6);
    auto p = drawn(random, 2, 16, 1);
    std::copy_n(p.k.begin(), p.d, p.k.begin() + std::ptrdiff_t(p.d));
    EXPECT_FALSE(single(enclose(p)[0]));
}

Problem withoutLastRow(Problem p) {
    --p.n;
    return p;
}
Problem withOneMoreRow(Problem p, Random& random) {
    ++p.n;
    for (std::size_t i = 0; i < p.d; ++i) p.k.push_back(gauss(random));
    for (std::size_t c = 0; c < p.e; ++c) p.v.push_back(gauss(random));
    return p;
}
Problem withSwappedValues(Problem p) {
    for (std::size_t c = 0; c < p.e; ++c) std::swap(p.v[c], p.v[p.e + c]);
    return p;
}
Problem withAnotherScale(Problem p) {
    p.scale = float(1 / std::sqrt(double(p.d + 1)));
    return p;
}

TEST(Enclosure, convictsOneWrongRow) {
    Random random(7);
    std::size_t const cases = 300;
    std::size_t found[4] = {};
    for (std::size_t i = 0; i < cases; ++i) {
        auto const p = drawn(random, 2 + below(random, 15), 8, 4);
        auto const e = enclose(p);
        Problem const wrong[] = {withoutLastRow(p), withOneMoreRow(p, random),
                                 withSwappedValues(p), withAnotherScale(p)};
        for (std::size_t w = 0; w < 4; ++w) {
            auto const style = randomStyle(random, *p.numerics);
            found[w] += accepts(e, Engine(wrong[w], style).run()) ? 0 : 1;
        }
    }
    std::printf("of %zu: row dropped %zu, row added %zu, values swapped %zu, scale %zu\n", cases,
                found[0], found[1], found[2], found[3]);
    for (auto const f : found) EXPECT_GT(f, cases / 2);
}

/// Why the reductions are answered as a whole: a fold of the operators bounds one order only.
TEST(Enclosure, ofAFoldConvictsAConformingEngine) {
    Random random(8);
    std::size_t folded = 0, whole = 0;
    for (int i = 0; i < 500; ++i) {
        std::size_t const n = 512;
        Floats a(n), b(n);
        for (std::size_t j = 0; j < n; ++j) {
            a[j] = 1;
            b[j] = j % 2 == 0 ? gauss(random) * 1000 : gauss(random) - b[j - 1];
        }
        auto const at = [&](Floats const& x) {
            return tabulate(Dyn{n}, [&](std::size_t j) { return exactly(x[j], numericsF32); });
        };
        auto const fold = Reductions<Enclosure>::dot(at(a), at(b));
        auto const all = Reduce<Enclosure>::dot(at(a), at(b));
        std::shuffle(b.begin(), b.end(), random);
        float sum = 0;
        for (auto x : b) sum += x;
        folded += Agreement<float, Enclosure>::holds(sum, fold) ? 0 : 1;
        whole += Agreement<float, Enclosure>::holds(sum, all) ? 0 : 1;
    }
    std::printf("of 500 shuffled dots a fold convicts %zu, the reduction %zu\n", folded, whole);
    EXPECT_GT(folded, 0u);
    EXPECT_EQ(whole, 0u);
}

/// An engine in long double declares 64 bits; then nearly all of the radius is the error of the
/// oracle's own doubles.
TEST(Enclosure, holdsTheErrorOfItsOwnDoubles) {
    static constexpr Numerics extended{.significandBits = 64,
                                       .minExponent = -16382,
                                       .maxExponent = 16384,
                                       .scoreRoundings = 1,
                                       .expUlps = 1,
                                       .expFlushExponent = -16381,
                                       .normRoundings = 1,
                                       .rotation = RotationRounding::asWritten,
                                       .exponent = ExponentForm::subtracted,
                                       .merge = PartMerge::weights,
                                       .parts = 1};
    Random random(9);
    double most = 0;
    for (int i = 0; i < 1700; ++i) {
        auto const p = problemOf(Family(i % families), random);
        auto const e = attend<Enclosure>(p, [](float x) { return exactly(x, extended); });
        auto const y = attend<long double>(p, [](float x) { return static_cast<long double>(x); });
        for (std::size_t c = 0; c < p.e; ++c) {
            EXPECT_GE(y[c], e[c].center - static_cast<long double>(e[c].radius)) << i;
            EXPECT_LE(y[c], e[c].center + static_cast<long double>(e[c].radius)) << i;
            if (e[c].radius == 0 || e[c].isUndefined()) continue;
            most = std::max(most, double(std::abs(y[c] - e[c].center)) / e[c].radius);
        }
    }
    std::printf("own error: at most %g of the radius\n", most);
}

TEST(Enclosure, isUndefinedWhereAnEngineMayOverflow) {
    auto const one = [](double x) { return exactly(x, numericsF32); };
    auto const large = tabulate(Dyn{2}, [&](std::size_t) { return one(powerOfTwo(100)); });
    auto const score = Reduce<Enclosure>::dot(large, large);
    EXPECT_TRUE(score.isUndefined());
    auto const zero = [&](std::size_t) { return one(0); };
    auto const values = [&](std::size_t j) {
        return tabulate(Dyn{1}, [&](std::size_t) { return one(j == 0 ? powerOfTwo(127) : 1); });
    };
    EXPECT_TRUE(Reduce<Enclosure>::softmaxMean(2, zero, values)[0].isUndefined());
    auto const nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE((Agreement<float, Enclosure>::holds(nan, score)));
    EXPECT_FALSE((Agreement<float, Enclosure>::holds(nan, one(1))));
    EXPECT_TRUE((Agreement<float, Enclosure>::holds(-0.f, one(0))));
    EXPECT_TRUE((score + one(1)).isUndefined() && (one(0) * score).isUndefined());
    EXPECT_TRUE((one(1) / one(0)).isUndefined() && Num<Enclosure>::exp(score).isUndefined());
}

/// R16: what lies between two floats is rounded to one of them, and no further.
TEST(Enclosure, acceptsTheRoundedEnds) {
    double third = 1;
    third /= 3;
    auto const accepts = [&](float y) {
        return Agreement<float, Enclosure>::holds(y, exactly(third, numericsF32));
    };
    auto const y = static_cast<float>(third);
    EXPECT_TRUE(accepts(y));
    EXPECT_FALSE(accepts(std::nextafter(y, 0.f)) || accepts(std::nextafter(y, 1.f)));
    EXPECT_TRUE(single(exactly(third, numericsF32)));
}

TEST(Enclosure, ofOneOperationHoldsTheFloat) {
    Random random(10);
    auto const one = [](float x) { return exactly(x, numericsF32); };
    auto const holds = [](float y, Enclosure const& e) {
        return Agreement<float, Enclosure>::holds(y, e);
    };
    for (int i = 0; i < 20000; ++i) {
        int const exponent = int(below(random, 60)) - 30;
        float const a = gauss(random) * power(exponent), b = gauss(random), c = gauss(random);
        EXPECT_TRUE(holds(a + b, one(a) + one(b)) && holds(a - b, one(a) - one(b)));
        EXPECT_TRUE(holds(a * b, one(a) * one(b)) && holds(a / b, one(a) / one(b)));
        EXPECT_TRUE(holds(std::exp(b), Num<Enclosure>::exp(one(b))));
        EXPECT_TRUE(holds((a + b) * c, (one(a) + one(b)) * one(c)));
        EXPECT_TRUE(holds(std::fma(a, b, c), one(a) * one(b) + one(c)));
        EXPECT_TRUE(holds(std::max(a * b, c), Num<Enclosure>::max(one(a) * one(b), one(c))));
        EXPECT_TRUE(holds(c * float(i), Num<Enclosure>::multiple(one(c), i)));
    }
    EXPECT_TRUE(single(one(3) * one(5)) && single(one(1) / one(8)) && !single(one(1) / one(3)));
}

}  // namespace

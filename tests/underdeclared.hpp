// underdeclared: engines that keep something to themselves, and what convicts them.
//
// A declaration that is too good for its engine must be found out, or nobody has a reason to
// declare what costs width. Each habit here is an engine of conforming.hpp with one property that
// its declaration lacks. It is judged twice on the same answer: by what it says of itself, which
// should convict it, and by what it is, which must not.
//
// Random rows hide most habits, because errors cancel while a bound adds them up. So each habit is
// also shown rows on which it has nowhere to hide: sums that need every bit declared, means that
// lie halfway between two outputs, weights whose error does not cancel.
//
// Not said here: habits of storage, which read-backs show bit for bit (quantize.hpp).
#pragma once
#include "tests/conforming.hpp"

#include <cstdio>

namespace kv::underdeclared {

using namespace kv::conforming;

/// What an engine does besides what `Numerics` say, and how it is seen doing it.
struct Habit {
    std::string_view name;
    void (*declares)(Numerics&);  ///< before anything is kept back
    void (*does)(Numerics&);      ///< what it should have declared
    void (*shows)(Style&);
    bool scalesWrong = false;     ///< by 1/sqrt(d + 1), which is no matter of numerics
};
inline std::vector<Habit> const& everyHabit() {
    auto const nothing = [](Numerics&) {};
    auto const any = [](Style&) {};
    auto const inOrder = [](Style& s) {
        s.order = Order::forward, s.form = Form::twoPass, s.exp = Exp::exact;
    };
    auto const inSchedule = [](Numerics& n) {
        n.weights = precisions::bf16;
        n.dotBlock = 8, n.keyBlock = 16;
        n.blockSum = BlockSum::apart;
        n.keyOrder = KeyOrder::ascending;
        n.weightSum = WeightSum::unrounded;
    };
    static std::vector<Habit> const all{
        {"values added in f16", nothing, [](Numerics& n) { n.accumulate = precisions::f16; }, any},
        {"values added in bf16", nothing, [](Numerics& n) { n.accumulate = precisions::bf16; },
         any},
        {"weights in bf16", nothing, [](Numerics& n) { n.weights = precisions::bf16; }, any},
        {"cubic exp", nothing, [](Numerics& n) { n.expUlps = cubicUlps; },
         [](Style& s) { s.exp = Exp::cubic; }},
        {"fused exponent", nothing, [](Numerics& n) { n.exponent = ExponentForm::fused; },
         [](Style& s) { s.exp = Exp::fused; }},
        {"merge by log-sum-exp", nothing,
         [](Numerics& n) { n.merge = PartMerge::logSumExp, n.parts = 5; },
         [](Style& s) { s.form = Form::merged; }},
        {"truncation", nothing,
         [](Numerics& n) { n.rounding = OperationRounding::towardZero; }, inOrder},
        {"no blocks of 512 keys",
         [](Numerics& n) { n.keyBlock = 512, n.blockSum = BlockSum::apart; },
         [](Numerics& n) { n.keyBlock = 0; }, inOrder},
        {"scale 1/sqrt(d + 1)", nothing, nothing, any, true},
        {"blocks of 4, not 16", inSchedule, [](Numerics& n) { n.keyBlock = 4; }, any},
        {"keys from the last", inSchedule, [](Numerics& n) { n.keyOrder = KeyOrder::any; },
         [](Style& s) { s.order = Order::backward, s.form = Form::perBlock; }},
        {"one maximum for all", inSchedule,
         [](Numerics& n) { n.keyOrder = KeyOrder::any, n.keyBlock = 0; },
         [](Style& s) { s.form = Form::twoPass, s.division = conforming::Division::after; }},
        {"rounded weights added", inSchedule,
         [](Numerics& n) { n.weightSum = WeightSum::rounded; }, any},
        {"weights not rounded", inSchedule, [](Numerics& n) { n.weights = n.compute; }, any}};
    return all;
}

inline std::vector<Semantics> const& formats() {
    using namespace precisions;
    static std::vector<Semantics> const all{
        {"f32", numericsF32Plain},
        {"weights, output bf16", stages(bf16, f32, bf16)},
        {"all bf16", everywhere(bf16, numericsF32Plain)}};
    return all;
}

/// Whether this is more than what the format declares already: fewer bits, or another form. An
/// error of a cubic exponential is less than one unit of 16 bits, and a schedule says nothing of
/// weights that are as wide as what they are computed in.
inline bool isUnder(Habit const& habit, Numerics const& declared, Numerics const& actual) {
    if (declared.keyOrder == KeyOrder::ascending && declared.weights == declared.compute)
        return false;
    bool const isLess =
        actual.accumulate.significandBits <= declared.accumulate.significandBits &&
        (actual.expUlps == declared.expUlps || declared.compute == precisions::f32);
    return habit.scalesWrong || (actual != declared && isLess);
}

/// What an engine is shown. All but `random` have most scores at 0 or far below.
enum class Rows {
    random, mean, tie, wideSum, stagnating, balance, largeScore, negativeRest, equal
};
inline constexpr std::string_view rowNames[] = {"random",     "mean",    "tie",     "wide sum",
                                                "stagnating", "balance", "large s.", "rest < 0",
                                                "equal"};
inline constexpr std::size_t rowKinds = std::size(rowNames);

/// Rows that count; the key of each other row is far below.
struct Drawing {
    Problem& p;
    std::size_t rows;
    Random& random;
    float& value(std::size_t j, std::size_t c) const { return p.v[j * p.e + c]; }
    /// Above 1 if the output has fewer bits than what is added up.
    bool narrows() const {
        return p.numerics->output.significandBits < p.numerics->accumulate.significandBits;
    }
    /// A number in [1, 2) halfway between two outputs: rounded up to the even one if the quarter is
    /// 3, down if it is 1, so that it is 3 for those who lose a little and 1 for those who gain.
    float halfway(std::size_t quarter) const {
        if (!narrows()) return 1;
        int const bits = int(p.numerics->output.significandBits);
        auto const odd = 4 * below(random, std::size_t{1} << (bits - 3)) + quarter;
        return 1 + float(odd) * power(-bits);
    }
};

inline void drawMean(Drawing const& x, bool isWide) {
    int const bits = int(x.p.numerics->accumulate.significandBits);
    int const free = std::max(1, bits - int(std::bit_width(x.rows)));
    auto const most = std::size_t{1} << (isWide ? free : free / 2);
    for (auto& v : x.p.v) {
        v = float(1 + below(x.random, most));
        if (!isWide && coin(x.random)) v = -v;
    }
}
/// Pairs of values around a number halfway between two outputs.
inline void drawTie(Drawing const& x) {
    int const bits = int(x.p.numerics->output.significandBits);
    if (!x.narrows() || x.rows < 2) return drawMean(x, false);
    for (std::size_t c = 0; c < x.p.e; ++c) {
        float const middle = x.halfway(coin(x.random) ? 1 : 3);
        for (std::size_t j = 0; j + 1 < x.p.n; j += 2) {
            float const apart = float(1 + below(x.random, 64)) * power(-bits);
            x.value(j, c) = middle + apart;
            x.value(j + 1, c) = middle - apart;
        }
    }
}
/// After 1 come terms that are dropped one by one, and count together: just below half of the last
/// place for whoever rounds, just below the last place for whoever truncates.
inline void drawStagnating(Drawing const& x) {
    int const bits = int(x.p.numerics->accumulate.significandBits);
    float const last = power(1 - bits), less = power(4 - bits);
    for (std::size_t c = 0; c < x.p.e; ++c) {
        float const part = coin(x.random) ? last : last / 2, first = x.halfway(1);
        for (std::size_t j = 0; j < x.p.n; ++j)
            x.value(j, c) = j == 0 ? first : part * (1 - less);
    }
}
/// One row in four at 0 and the others below, by a distance in the middle between two multiples of
/// ln 2, where polynomials err most. The two sides cancel but for a small part.
inline void drawBalance(Drawing const& x) {
    float const step = float(1 + 2 * below(x.random, 11)) / 2 + gauss(x.random) / 64;
    float const gap = std::numbers::ln2_v<float> * step;
    std::size_t const hot = (x.rows + 3) / 4, cold = std::max<std::size_t>(1, x.rows - hot);
    float const level = float(hot) / float(cold) * std::exp(gap);
    x.p.q[0] = gap / x.p.scale;
    for (std::size_t j = 0; j < x.rows; ++j) x.p.k[j * x.p.d] = j % 4 == 0 ? 0 : -1;
    for (std::size_t j = 0; j < x.p.n; ++j)
        for (std::size_t c = 0; c < x.p.e; ++c) x.value(j, c) = j % 4 == 0 ? 1 : -level;
}
/// One score that is large, and no other one near it. With few bits the scores of the others must
/// still be far below in spite of what rounding it may cost.
inline void drawLargeScore(Drawing const& x) {
    auto const odd = float(161 + 2 * below(x.random, 47));
    bool const isShort = x.p.numerics->compute.significandBits < 24;
    x.p.scale = 1;
    x.p.q[0] = isShort ? odd : odd * power(4 + int(below(x.random, 12)));
    x.p.k[0] = 1;
}
/// What is added to one value is less than half of its last place, and negative.
inline void drawNegativeRest(Drawing const& x) {
    x.p.q[0] = float(22 + below(x.random, 8)) / x.p.scale;
    for (std::size_t j = 1; j < x.rows; ++j) x.p.k[j * x.p.d] = -1;
    for (std::size_t j = 0; j < x.p.n; ++j)
        for (std::size_t c = 0; c < x.p.e; ++c) x.value(j, c) = j == 0 ? x.halfway(3) : -1;
}

/// All weights but the first are one number, so that rounding moves all of them to one side, and
/// so are all values.
inline void drawEqual(Drawing const& x) {
    x.p.q[0] = (std::abs(gauss(x.random)) + 1) / x.p.scale;
    for (std::size_t j = 1; j < x.rows; ++j) x.p.k[j * x.p.d] = -1;
    for (std::size_t c = 0; c < x.p.e; ++c) {
        float const value = 1 + float(below(x.random, 1 << 16)) * power(-16);
        for (std::size_t j = 0; j < x.p.n; ++j) x.value(j, c) = value;
    }
}

inline void strain(Drawing const& x, Rows kind) {
    if (kind == Rows::mean || kind == Rows::wideSum) drawMean(x, kind == Rows::wideSum);
    if (kind == Rows::tie) drawTie(x);
    if (kind == Rows::stagnating) drawStagnating(x);
    if (kind == Rows::balance) drawBalance(x);
    if (kind == Rows::largeScore) drawLargeScore(x);
    if (kind == Rows::negativeRest) drawNegativeRest(x);
    if (kind == Rows::equal) drawEqual(x);
}
/// The rows that count stand apart, in the same order.
inline void spread(Problem& p, std::size_t rows) {
    auto const swapRows = [](Floats& x, std::size_t width, std::size_t i, std::size_t j) {
        for (std::size_t c = 0; c < width; ++c) std::swap(x[i * width + c], x[j * width + c]);
    };
    std::size_t const apart = p.n / rows;
    for (std::size_t j = rows; apart > 1 && j-- > 0;) {
        swapRows(p.k, p.d, j, j * apart);
        swapRows(p.v, p.e, j, j * apart);
    }
}
/// n rows of 64 components, as an engine of these numerics would have stored them.
inline Problem rowsFor(Rows kind, std::size_t n, Numerics const& declared, Random& random) {
    auto p = drawn(random, n, 64, 1 + below(random, 3));
    p.numerics = &declared;
    if (kind != Rows::random) {
        bool const isShort = declared.accumulate.significandBits < 24 || kind > Rows::stagnating;
        bool const countsAll = !isShort || (kind == Rows::balance && coin(random));
        std::size_t const rows = countsAll ? n : std::min<std::size_t>(n, 16);
        std::fill(p.q.begin(), p.q.end(), 0.f);
        std::fill(p.k.begin(), p.k.end(), 0.f);
        strain({p, rows, random}, kind);
        if (kind != Rows::largeScore) {
            p.q[1] = 512 / p.scale;
            for (std::size_t j = rows; j < n; ++j) p.k[j * p.d + 1] = -1;
            spread(p, rows);
        }
    }
    for (auto* floats : {&p.q, &p.k, &p.v})
        for (auto& x : *floats) x = float(nearest(declared.compute, double(x)));
    return p;
}

struct Count {
    std::size_t problems = 0, convicted = 0;
    std::size_t falsely = 0;  ///< convicted by what it should have declared
    bool isDeclared = false;  ///< by the format already
};
/// How many of so many problems convict an engine with this habit.
inline Count countOf(Habit const& habit, Numerics const& format, Rows kind, std::size_t n,
                     std::size_t problems, std::uint64_t seed) {
    Numerics declared = format;
    habit.declares(declared);
    Numerics actual = declared;
    habit.does(actual);
    Count count;
    count.isDeclared = !isUnder(habit, declared, actual);
    Random random(seed);
    for (; count.problems < problems && !count.isDeclared; ++count.problems) {
        auto const said = rowsFor(kind, n, declared, random);
        Problem done = said;
        done.numerics = &actual;
        if (habit.scalesWrong) done.scale *= float(std::sqrt(double(said.d) / double(said.d + 1)));
        auto style = randomStyle(random, actual);
        habit.shows(style);
        auto const y = Engine(done, style).run();
        count.convicted += accepts(enclose(said), y) ? 0 : 1;
        count.falsely += accepts(enclose(done), y) ? 0 : 1;
    }
    return count;
}

inline constexpr std::size_t lengths[] = {16, 256, 4096};

inline void printRow(Habit const& habit, Semantics const& format, std::size_t problems,
                     std::uint64_t seed, Count& all) {
    for (auto const n : lengths) {
        std::printf("%-22s %-21s %5zu ", std::string(habit.name).c_str(), format.name.c_str(), n);
        for (std::size_t kind = 0; kind < rowKinds; ++kind) {
            auto const c = countOf(habit, format.numerics, Rows(kind), n, problems, seed + kind);
            std::printf(" %10zu", c.convicted);
            all.convicted += c.convicted, all.falsely += c.falsely;
        }
        std::printf("\n");
        std::fflush(stdout);
    }
}
/// The table, and what is never convicted in it.
inline void print(std::size_t problems, std::uint64_t seed) {
    std::printf("convicted in so many of %zu problems\n%-22s %-21s %5s ", problems, "undeclared",
                "format", "n");
    for (auto const name : rowNames) std::printf(" %10s", std::string(name).c_str());
    std::printf("\n");
    std::string never, declaredAlready;
    std::size_t falsely = 0;
    for (auto const& habit : everyHabit())
        for (auto const& format : formats()) {
            Count all = countOf(habit, format.numerics, Rows::random, 1, 0, seed);
            auto const name = std::string(habit.name) + " (" + format.name + ")\n  ";
            if (all.isDeclared) {
                declaredAlready += name;
                continue;
            }
            printRow(habit, format, problems, seed, all);
            falsely += all.falsely;
            if (all.convicted == 0) never += name;
        }
    std::printf("no matter, since the format declares as much:\n  %s\n", declaredAlready.c_str());
    std::printf("never convicted:\n  %s\n", never.empty() ? "none" : never.c_str());
    std::printf("convicted by the right declaration: %zu\n", falsely);
}

}  // namespace kv::underdeclared

// meter: draw the inputs of each rule, let every engine decode them, and count.
//
// Rules that draw the same rows share the runs. kvspec's row has its own inputs; an accident is
// shown one after the other until an input convicts it.
#include "oracle/meter.hpp"

#include "properties/lift.hpp"
#include "properties/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

namespace kv::oracle {

namespace {

using Outputs = std::vector<float>;

/// Numbers from a seed; the same ones on every machine.
class Draw {
   public:
    explicit Draw(std::uint64_t seed) : state_(properties::mixed(seed)) {}
    std::uint64_t word() { return properties::mixed(state_++); }
    /// An integer from -size to size, but not 0.
    float whole(std::int64_t size) {
        auto const i = std::int64_t(word() % std::uint64_t(2 * size));
        return float(i < size ? i - size : i - size + 1);
    }
    double uniform() { return (double(word() >> 32) * 2 - double(range)) / double(range); }
    /// The sum of twelve uniform numbers has variance 1; of integers, so that it is exact.
    double normal() {
        std::int64_t sum = -6 * 65536;
        for (int i = 0; i < 3; ++i)
            for (std::uint64_t w = word(), k = 0; k < 4; ++k, w >>= 16)
                sum += std::int64_t(w & 0xFFFF);
        return double(sum) / double(65536);
    }
    double from(InputFamily family) {
        return family == InputFamily::normal ? normal() : uniform();
    }

   private:
    static constexpr std::uint64_t range = std::uint64_t{1} << 32;
    std::uint64_t state_;
};

/// The heads of a measured layer: two groups, since a wrong kv head needs another one.
struct Heads {
    std::size_t queryHeads, kvHeads, dim;
};
constexpr Heads ruleHeads{8, 2, 64}, judgedHeads{2, 2, 64};

DecodeInput shaped(Heads const& heads, std::size_t length) {
    DecodeInput input{.length = length, .dim = heads.dim, .queryHeads = heads.queryHeads,
                      .kvHeads = heads.kvHeads};
    input.scale = float(1 / std::sqrt(double(heads.dim)));
    input.queries.resize(heads.queryHeads * heads.dim);
    return input;
}
std::size_t rowFloats(Heads const& heads, std::size_t length) {
    return heads.kvHeads * (length + 2) * heads.dim;
}
/// The later half of the rows, as a window shows them.
DecodeInput windowed(DecodeInput input) {
    input.first = input.length / 2;
    return input;
}

/// What is drawn, and what of it a cache holds.
struct Drawn {
    DecodeInput given, stored;
};
/// Rows that a rule's test draws.
struct Source {
    Element dtype = Element::f32, cache = Element::f32;
    ReadRows reference = ReadRows::stored;
    RuleInputs inputs{};
    friend bool operator==(Source const&, Source const&) = default;
};
Drawn drawn(Source const& source, std::size_t length, std::uint64_t seed) {
    Draw draw(seed);
    auto input = shaped(ruleHeads, length);
    double const unit = source.inputs.unit == InputUnit::one ? 1 : double(input.scale);
    auto const fill = [&](std::vector<float>& floats, double scale) {
        for (auto& x : floats)
            x = roundedTo(float(draw.from(source.inputs.family) * scale * unit), source.dtype);
    };
    CacheRows rows;
    rows.keys.resize(rowFloats(ruleHeads, length));
    rows.values.resize(rows.keys.size());
    fill(input.queries, source.inputs.query);
    fill(rows.keys, source.inputs.key);
    fill(rows.values, source.inputs.value);
    Drawn result{input, input};
    result.given.rows = std::make_shared<CacheRows const>(rows);
    for (auto* floats : {&rows.keys, &rows.values})
        for (auto& x : *floats)
            x = roundedTo(x, source.cache);
    result.stored.rows = std::make_shared<CacheRows const>(std::move(rows));
    return result;
}

Outputs roundedOutputs(Outputs y, Element element) {
    for (auto& x : y)
        x = roundedTo(x, element);
    return y;
}

Expected expectedOf(DecodeInput const& input, Element dtype) {
    Expected expected{exactDecode(input), {}, input.kvHeads};
    for (auto& x : expected.exact)
        x = double(roundedTo(float(x), dtype));
    return expected;
}

/// The largest of n numbers from 0 on; a NaN among them is the largest.
double largest(std::size_t n, std::function<double(std::size_t)> const& at) {
    double most = 0;
    for (std::size_t i = 0; i < n && !std::isnan(most); ++i)
        if (!(at(i) <= most))
            most = at(i);
    return most;
}

double cosineOf(Outputs const& y, std::vector<double> const& r) {
    double both = 0, left = 0, right = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        both += double(y[i]) * r[i];
        left += double(y[i]) * y[i];
        right += r[i] * r[i];
    }
    return both / std::sqrt(left * right);  // a NaN where one is all zero; it reaches no bound
}

bool holdsElementwise(RuleNumbers const& n, Outputs const& y, std::vector<double> const& r) {
    for (std::size_t i = 0; i < y.size(); ++i)
        if (!(std::abs(y[i] - r[i]) <= n.absolute.value_or(0) +
                                           n.relative.value_or(0) * std::abs(r[i])))
            return false;
    return true;
}

bool holdsMatching(RuleNumbers const& n, Outputs const& y, Expected const& expected) {
    std::size_t const group = y.size() / expected.kvHeads;
    for (std::size_t begin = 0; begin < y.size(); begin += group) {
        std::size_t within = 0;
        for (std::size_t i = begin; i < begin + group; ++i) {
            double const r = expected.exact[i], error = std::abs(y[i] - r);
            within += error <= n.absolute.value_or(0) ||
                              error <= n.relative.value_or(0) * std::abs(r)
                          ? 1
                          : 0;
        }
        if (!(double(within) >= n.share.value_or(1) * double(group)))
            return false;
    }
    return true;
}

bool holdsMeanSquare(RuleNumbers const& n, Outputs const& y, std::vector<double> const& r) {
    double error = 0, whole = 0;
    for (std::size_t i = 0; i < y.size(); ++i)
        error += (y[i] - r[i]) * (y[i] - r[i]), whole += r[i] * r[i];
    return error <= n.nmse.value_or(0) * whole;
}

bool holdsReference(Rule const& rule, Outputs const& y, Expected const& expected) {
    auto const& r = expected.exact;
    auto const& p = expected.sameDtype;
    double const shift = double(roundedTo(float(rule.numbers.shift.value_or(0)), rule.dtype));
    double const theirs = largest(p.size(), [&](auto i) { return std::abs(p[i] - r[i]); });
    double const grain = largest(r.size(), [&](auto i) {
        float const up = roundedTo(float(r[i] + shift), rule.dtype);
        return std::abs(double(roundedTo(float(up - shift), rule.dtype)) - r[i]);
    });
    double const ours = largest(y.size(), [&](auto i) { return std::abs(y[i] - r[i]); });
    return ours <= rule.numbers.factor.value_or(0) * theirs + 2 * grain;
}

/// What one accident or engine returned for the inputs of one draw.
struct RuleRun {
    Outputs output;  ///< in f32, before it is rounded
    bool isWindowed = false;
    bool isShown = true;
};

/// All engines on one draw of one source.
class Bench {
   public:
    /// Without accidents where only conforming engines are asked for.
    enum class Asked { everybody, engines };
    Bench(Source const& source, std::size_t length, std::uint64_t seed, Asked asked)
        : source_(source) {
        auto const [given, stored] = drawn(source, length, seed);
        read_ = source.reference == ReadRows::given ? given : stored;
        for (auto const& input : {read_, windowed(read_)})
            expected_.push_back(expectedOf(input, source.dtype));
        auto const window = windowed(stored);
        for (auto const& [form, name] : everyForm)
            engines_.push_back({decode(stored, form), false, true});
        if (asked == Asked::engines)
            return;
        auto const rightInWindow = decode(window, EngineForm::naive);
        for (auto const& [accident, name] : everyAccident) {
            bool const isWindow = accident == Accident::maskTooWide;
            auto const form = formOf(accident);
            auto output = decode(isWindow ? window : stored, form, accident);
            auto const& right = isWindow ? rightInWindow
                                         : engines_[std::size_t(form)].output;
            bool const isShown = output != right;
            accidents_.push_back({std::move(output), isWindow, isShown});
        }
    }

    void judgeEngines(Rule const& rule, std::array<Tally, everyForm.size()>& rejected) {
        for (auto& expected : expected_)
            if (rule.kind == RuleKind::reference && expected.sameDtype.empty())
                expected.sameDtype = sameDtypeDecode(&expected == &expected_[0] ? read_
                                                                                : windowed(read_),
                                                     rule.dtype);
        for (std::size_t i = 0; i < engines_.size(); ++i)
            rejected[i].add(!holds(rule, engines_[i]));
    }
    void judge(Rule const& rule, MeterCell& cell) {
        judgeEngines(rule, cell.rejected);
        for (std::size_t i = 0; i < accidents_.size(); ++i)
            if (accidents_[i].isShown)
                cell.accepted[i].add(holds(rule, accidents_[i]));
    }

   private:
    bool holds(Rule const& rule, RuleRun const& run) const {
        return accepts(rule, roundedOutputs(run.output, source_.dtype),
                       expected_[run.isWindowed ? 1 : 0]);
    }

    Source source_;
    DecodeInput read_;
    std::vector<Expected> expected_;  ///< of all rows, and of the window
    std::vector<RuleRun> engines_, accidents_;
};

/// Queries of models are larger than those that tests draw.
constexpr int loudness = 32;
Source loud(Source source) {
    source.inputs.query *= loudness;
    return source;
}

Source sourceOf(Rule const& rule) {
    return {rule.dtype, rule.cache, rule.reference, rule.inputs};
}

/// Long caches are drawn less often: what a rule forgives there varies little.
std::size_t drawsOf(std::size_t length) {
    return std::clamp(longestMetered / 2 / length, std::size_t{2}, std::size_t{8});
}

std::uint64_t seedOf(std::uint64_t seed, std::size_t length, std::size_t draw) {
    return properties::mixed(properties::mixed(seed) + length) + draw;
}

void measureRules(MeterOptions const& options, std::size_t length, std::vector<MeterRow>& rows) {
    std::vector<Source> sources;
    for (auto const& rule : options.rules)
        if (std::ranges::find(sources, sourceOf(rule)) == sources.end())
            sources.push_back(sourceOf(rule));
    for (std::size_t r = 0; r < options.rules.size(); ++r)
        rows[r].cells.push_back({.length = length});
    for (auto const& source : sources)
        for (std::size_t draw = 0; draw < drawsOf(length); ++draw) {
            auto const seed = seedOf(options.seed, length, draw);
            Bench bench(source, length, seed, Bench::Asked::everybody);
            Bench loudBench(loud(source), length, seed, Bench::Asked::engines);
            for (std::size_t r = 0; r < options.rules.size(); ++r) {
                if (sourceOf(options.rules[r]) != source)
                    continue;
                bench.judge(options.rules[r], rows[r].cells.back());
                loudBench.judgeEngines(options.rules[r], rows[r].cells.back().loud);
            }
        }
}

/// The rows of the probes. A slot's key is its code, two rails a bit, of which one is -1; the row
/// behind the last matches every query, and the row before is the complement of the middle's.
CacheRows codedRows(std::size_t length, Draw& draw) {
    auto const& [queryHeads, kvHeads, dim] = judgedHeads;
    CacheRows rows;
    rows.keys.assign(rowFloats(judgedHeads, length), 0);
    rows.values.assign(rows.keys.size(), 0);
    std::size_t const bits = std::size_t(std::bit_width(length - 1));
    for (std::size_t g = 0; g < kvHeads; ++g)
        for (std::size_t slot = 0; slot < length + 2; ++slot) {
            std::size_t const at = (g * (length + 2) + slot) * dim;
            std::size_t const code = slot < length ? slot : ~(length / 2);
            for (std::size_t i = 0; slot != length && i < bits; ++i)
                rows.keys[at + 2 * i + (code >> i & 1)] = -1;
            for (std::size_t c = 0; c < dim; ++c)
                rows.values[at + c] = slot == length ? 9 : draw.whole(8);
        }
    return rows;
}

/// Rows whose keys differ by their position alone.
CacheRows turnedRows(std::size_t length, CacheRows rows) {
    std::size_t const dim = judgedHeads.dim, half = dim / 2;
    for (std::size_t row = 0; row < rows.keys.size() / dim; ++row)
        for (std::size_t i = 0; i < half; ++i) {
            double const angle = double(row % (length + 2)) *
                                 std::pow(10000.0, -double(2 * i) / double(dim));
            rows.keys[row * dim + i] = float(std::cos(angle));
            rows.keys[row * dim + i + half] = float(std::sin(angle));
        }
    return rows;
}

/// Inputs over one set of rows, which differ in their queries.
class Probes {
   public:
    Probes(std::vector<JudgedInput>& all, DecodeInput base) : all_(all), base_(std::move(base)) {}

    /// Every head asks the same; query(c) is component c.
    void add(std::string name, bool isExact, std::function<float(std::size_t)> const& query) {
        auto input = base_;
        for (std::size_t i = 0; i < input.queries.size(); ++i)
            input.queries[i] = query(i % input.dim);
        all_.push_back({std::move(name), isExact, std::move(input)});
    }
    /// Slots whose code has these bits win with score 0; each other bit costs 256 nats.
    void addGroup(std::string name, std::size_t mask, std::size_t code) {
        constexpr float loud = 2048;
        add(std::move(name), true, [=](std::size_t c) {
            std::size_t const bit = c / 2;
            bool const isAsked = bit < 32 && (mask >> bit & 1) != 0;
            return isAsked && (code >> bit & 1) != c % 2 ? loud : 0;
        });
    }

   private:
    std::vector<JudgedInput>& all_;
    DecodeInput base_;
};

void addCoded(std::vector<JudgedInput>& all, std::size_t length, Draw& draw) {
    auto base = shaped(judgedHeads, length);
    base.rows = std::make_shared<CacheRows const>(codedRows(length, draw));
    auto const mask = std::bit_ceil(length) - 1;
    Probes probes(all, base), window(all, windowed(base));
    for (std::size_t target : {std::size_t{0}, length - 1, length / 2,
                               std::size_t(draw.word() % length)})
        probes.addGroup(fmt::format("one-hot, slot {}", target), mask, target);
    probes.addGroup("mean of all", 0, 0);
    window.addGroup("mean of a window", 0, 0);
    for (std::size_t bit = 1; bit <= mask; bit *= 2)
        for (std::size_t code : {std::size_t{0}, bit})
            probes.addGroup(fmt::format("mean where bit {} is {}", std::countr_zero(bit),
                                        code == 0 ? 0 : 1),
                            bit, code);
    auto turned = base;
    turned.rows = std::make_shared<CacheRows const>(turnedRows(length, *base.rows));
    Probes positions(all, turned);
    for (std::size_t target : {length - 1, length / 2}) {
        float const* const key = turned.key(0, target);
        positions.add(fmt::format("position of slot {}", target), false,
                      [=](std::size_t c) { return 32 * key[c]; });
    }
}

void addNormal(std::vector<JudgedInput>& all, std::size_t length, Draw& draw) {
    auto input = shaped(judgedHeads, length);
    CacheRows rows;
    rows.keys.resize(rowFloats(judgedHeads, length));
    rows.values.resize(rows.keys.size());
    for (auto* floats : {&input.queries, &rows.keys, &rows.values})
        for (auto& x : *floats)
            x = float(draw.normal());
    input.rows = std::make_shared<CacheRows const>(std::move(rows));
    all.push_back({fmt::format("normal rows, length {}", length), false, input});
    all.push_back({fmt::format("normal rows, window of {}", length - length / 2), false,
                   windowed(input)});
    for (auto& x : input.queries)
        x *= loudness;
    all.push_back({fmt::format("loud queries, length {}", length), false, input});
}

/// kvspec's judge at one length: the inputs, and what each declaration allows on each.
class Judge {
   public:
    Judge(std::size_t length, std::uint64_t seed) : inputs_(judgedInputs(length, seed)) {
        whole_ = std::size_t(std::ranges::count_if(
            inputs_, [&](JudgedInput const& one) { return one.input.length == length; }));
    }

    void measure(MeterCell& cell) {
        for (std::size_t i = 0; i < everyForm.size(); ++i)
            for (auto first : convicting(everyForm[i].first, Accident::none))
                cell.rejected[i].add(first < inputs_.size());
        cell.loud = cell.rejected;  // loud queries are among the inputs
        for (std::size_t i = 0; i < everyAccident.size(); ++i) {
            auto const accident = everyAccident[i].first;
            for (auto first : convicting(formOf(accident), accident)) {
                cell.acceptedWithoutShort[i].add(first >= whole_);
                cell.accepted[i].add(first == inputs_.size());
            }
        }
    }

   private:
    static constexpr std::array elements{Element::f32, Element::f16, Element::bf16};

    /// For each output format the first input that convicts the engine, or how many there are.
    std::array<std::size_t, elements.size()> convicting(EngineForm form, Accident accident) {
        std::array<std::size_t, elements.size()> first;
        first.fill(inputs_.size());
        for (std::size_t i = 0; i < inputs_.size() && std::ranges::max(first) == inputs_.size();
             ++i) {
            auto const y = decode(inputs_[i].input, form, accident);
            auto const& allowed = certificates(i, form);
            for (std::size_t e = 0; e < elements.size(); ++e)
                if (first[e] == inputs_.size() && !holds(y, allowed, elements[e]))
                    first[e] = i;
        }
        return first;
    }
    static bool holds(Outputs const& y, std::vector<Certificate> const& allowed, Element e) {
        for (std::size_t c = 0; c < y.size(); ++c) {
            float const x = roundedTo(y[c], e);
            if (!(roundedTo(allowed[c].low, e) <= x && x <= roundedTo(allowed[c].high, e)))
                return false;
        }
        return true;
    }
    std::vector<Certificate> const& certificates(std::size_t input, EngineForm form) {
        auto const* numerics = &numericsOf(form);
        auto& found = certificates_[{input, numerics}];
        if (found.empty())
            found = certify(inputs_[input].input, *numerics);
        return found;
    }

    std::vector<JudgedInput> inputs_;
    std::size_t whole_ = 0;  ///< inputs of the full length, which come first
    std::map<std::pair<std::size_t, Numerics const*>, std::vector<Certificate>> certificates_;
};

template <class Cells>
Tally summed(Cells const& cells) {
    Tally all;
    for (auto const& tally : cells)
        all += tally;
    return all;
}

}  // namespace

bool accepts(Rule const& rule, std::vector<float> const& output, Expected const& expected) {
    auto const& n = rule.numbers;
    auto const& r = expected.exact;
    if (n.cosine && !(cosineOf(output, r) >= *n.cosine))
        return false;
    switch (rule.kind) {
        case RuleKind::elementwise:
            return holdsElementwise(n, output, r);
        case RuleKind::matching:
            return holdsMatching(n, output, expected);
        case RuleKind::meanSquare:
            return holdsMeanSquare(n, output, r);
        case RuleKind::reference:
            break;
    }
    return holdsReference(rule, output, expected);
}

std::vector<Certificate> certify(DecodeInput const& input, Numerics const& numerics) {
    std::vector<Certificate> all;
    auto const scale = exactly(double(input.scale), numerics);
    std::size_t const visible = input.length - input.first;
    for (std::size_t h = 0; h < input.queryHeads; ++h) {
        std::size_t const g = input.kvHeadOf(h);
        auto const row = [&](float const* floats) {
            return tabulate(Dyn{input.dim}, [&](std::size_t c) {
                return exactly(double(floats[c]), numerics);
            });
        };
        auto const query = row(input.query(h));
        auto const values = tabulate(
            Dyn{visible}, [&](std::size_t j) { return row(input.value(g, input.first + j)); });
        auto const output = Reduce<Enclosure>::softmaxMean(
            visible,
            [&](std::size_t j) {
                return Reduce<Enclosure>::dot(query, row(input.key(g, input.first + j))) * scale;
            },
            [&](std::size_t j) -> auto const& { return values[j]; });
        for (std::size_t c = 0; c < input.dim; ++c) {
            auto const& e = output[c];
            bool const isOpen = e.isUndefined();
            all.push_back({isOpen ? -HUGE_VALF : nearestFloat(e.low()),
                           isOpen ? HUGE_VALF : nearestFloat(e.high())});
        }
    }
    return all;
}

std::vector<JudgedInput> judgedInputs(std::size_t length, std::uint64_t seed) {
    Draw draw(seed);
    std::vector<JudgedInput> all;
    addNormal(all, length, draw);
    addCoded(all, length, draw);
    addNormal(all, std::min(length, std::size_t{16}), draw);
    return all;
}

Tally acceptedOf(MeterCell const& cell) { return summed(cell.accepted); }
Tally MeterRow::accepted() const {
    Tally all;
    for (auto const& cell : cells)
        all += acceptedOf(cell);
    return all;
}
Tally MeterRow::rejected() const {
    Tally all;
    for (auto const& cell : cells)
        all += summed(cell.rejected);
    return all;
}
Tally MeterRow::loud() const {
    Tally all;
    for (auto const& cell : cells)
        all += summed(cell.loud);
    return all;
}

MeterReport meter(MeterOptions const& options) {
    auto const begin = std::chrono::steady_clock::now();
    MeterReport report{options, {}, 0};
    for (auto const& rule : options.rules)
        report.rows.push_back({rule});
    report.rows.push_back({});
    for (std::size_t length : options.lengths) {
        measureRules(options, length, report.rows);
        auto& cell = report.rows.back().cells.emplace_back();
        cell.length = length;
        Judge(length, seedOf(options.seed, length, 0)).measure(cell);
    }
    report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return report;
}

}  // namespace kv::oracle

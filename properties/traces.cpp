// Draws cases and makes them smaller. Everything here follows from a seed and a size, and every
// choice is a small number, so that a case shrinks by dropping steps and lowering numbers.
#include "check.hpp"
#include "spec/storage.hpp"
#include "values.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace kv::properties {

namespace {

/// Draws small numbers from a seed.
class Draw {
   public:
    explicit Draw(std::uint64_t seed) : state_(seed) {}
    std::size_t below(std::size_t n) { return n == 0 ? 0 : (state_ = mixed(state_)) % n; }
    bool oneIn(std::size_t n) { return below(n) == 0; }
    template <class T>
    T pick(std::vector<T> const& from) {
        return from[below(from.size())];
    }
    /// Without putting it back.
    template <class T>
    T take(std::vector<T>& from) {
        auto const at = from.begin() + std::ptrdiff_t(below(from.size()));
        T const taken = *at;
        from.erase(at);
        return taken;
    }

   private:
    std::uint64_t state_;
};

constexpr std::size_t tablePositions = 40;

/// Turns by quarters of a circle: cos and sin are 0, 1 or -1, and such turns compose exactly.
void quarterTurns(LayerDeclaration& layer) {
    for (std::size_t p = 0; p < tablePositions; ++p)
        for (std::size_t plane = 0; plane < layer.rotaryDim / 2; ++plane) {
            std::size_t const quarters = p * (plane + 1) % 4;
            float const cosine[] = {1, 0, -1, 0}, sine[] = {0, 1, 0, -1};
            layer.cosine.push_back(cosine[quarters]);
            layer.sine.push_back(sine[quarters]);
        }
}

/// The usual frequencies base^(-2i/R), as rounded by an engine that tabulates them in f32.
void usualAngles(LayerDeclaration& layer) {
    for (std::size_t p = 0; p < tablePositions; ++p)
        for (std::size_t plane = 0; plane < layer.rotaryDim / 2; ++plane) {
            double const exponent = 2.0 * double(plane) / double(layer.rotaryDim);
            double const angle = double(p) / std::pow(10000.0, exponent);
            layer.cosine.push_back(static_cast<float>(std::cos(angle)));
            layer.sine.push_back(static_cast<float>(std::sin(angle)));
        }
}

enum class Angles : std::uint8_t { none, quarters, usual };
struct LayerWishes {
    std::size_t queryHeads, kvHeads, keyDim, valueDim, window, sinks, retained;
    Angles angles;
    RotaryLayout layout;
    KeyStorage storage;
    bool isBiased;
    bool hasSinkLogits = false;
    std::size_t chunk = 0;
    StoredFormat keyFormat{}, valueFormat{}, queryFormat{};
};

/// What a head dim is a multiple of, so that groups make up whole rows.
std::size_t unitOf(StoredFormat const& format, std::size_t heads) {
    std::size_t const group = std::max<std::size_t>(codecOf(format.codec).group, 1);
    std::size_t const whole = std::lcm(group, std::max<std::size_t>(format.rotation.size, 1));
    return format.row == CodecRow::token ? whole / std::gcd(whole, heads) : whole;
}
std::size_t fitted(std::size_t dim, std::size_t unit) { return (dim + unit - 1) / unit * unit; }
/// With the scales that its codec takes, no two neighbors equal.
StoredFormat scaled(StoredFormat format, std::size_t heads, std::size_t dim) {
    if (codecOf(format.codec).scale != ScaleRule::given || !format.scales.empty()) return format;
    for (std::size_t i = 0; i < heads * dim / groupLength(format, heads, dim); ++i)
        format.scales.push_back(static_cast<float>(1 + i % 3) / 2);
    return format;
}

/// By turns as heavy as a score of 0, too light to be seen, and so that no mean is exact.
std::vector<float> sinkLogits(std::size_t heads) {
    std::vector<float> all;
    for (std::size_t h = 0; h < heads; ++h) {
        float const three[] = {0, -512, 1};
        all.push_back(three[h % 3]);
    }
    return all;
}

LayerDeclaration layerFrom(LayerWishes w) {
    w.keyDim = fitted(w.keyDim, std::lcm(unitOf(w.keyFormat, w.kvHeads),
                                          unitOf(w.queryFormat, w.queryHeads)));
    w.valueDim = fitted(w.valueDim, unitOf(w.valueFormat, w.kvHeads));
    LayerDeclaration layer{};
    layer.keyFormat = scaled(w.keyFormat, w.kvHeads, w.keyDim);
    layer.valueFormat = scaled(w.valueFormat, w.kvHeads, w.valueDim);
    layer.queryFormat = scaled(w.queryFormat, w.queryHeads, w.keyDim);
    layer.queryHeads = w.queryHeads;
    layer.kvHeads = w.kvHeads;
    layer.keyDim = w.keyDim;
    layer.valueDim = w.valueDim;
    layer.scale = double(static_cast<float>(1 / std::sqrt(double(w.keyDim))));
    layer.window = w.window;
    layer.sinks = w.window == 0 ? 0 : w.sinks;
    layer.retained = w.window == 0 ? 0 : w.retained;
    layer.keyStorage = w.storage;
    if (w.angles != Angles::none) {
        layer.rotaryLayout = w.layout;
        layer.rotaryDim = w.keyDim / 4 * 2 + (w.keyDim % 4 >= 2 && w.keyDim < 4 ? 2 : 0);
        if (layer.rotaryDim == 0) layer.rotaryDim = 2;
        if (w.angles == Angles::quarters) quarterTurns(layer);
        if (w.angles == Angles::usual) usualAngles(layer);
    }
    if (w.isBiased)
        for (std::size_t h = 0; h < w.queryHeads; ++h)
            layer.slopes.push_back(1.0f / static_cast<float>(std::size_t{2} << h));
    if (w.chunk > 0) layer.chunk = w.chunk;
    if (w.hasSinkLogits) layer.sinkLogits = sinkLogits(w.queryHeads);
    return layer;
}

Declaration declarationOf(std::string const& engine, std::size_t capacity,
                          std::vector<LayerWishes> const& wishes) {
    Declaration d{};
    d.engine = engine;
    d.sequences = 3;
    d.capacity = capacity;
    d.verbs.assign(std::begin(everyVerb), std::end(everyVerb));
    for (auto const& w : wishes) d.layers.push_back(layerFrom(w));
    // A shift would move rows from chunk to chunk.
    if (std::ranges::any_of(wishes, [](auto const& w) { return w.chunk > 0; }))
        std::erase(d.verbs, Verb::shift);
    return d;
}

/// Two layers that differ in heads, dims, window and angles; no two sizes of either are equal. A
/// head dim of 3 is the least at which a probe can be built.
Declaration drawnDeclaration(Candidate const& candidate, Draw& draw) {
    std::vector<std::size_t> dims{5, 7, 8, 10};
    std::vector<std::size_t> windows{0, 2 + draw.below(2), 4 + draw.below(2)};
    std::vector<Angles> angles{Angles::none, Angles::quarters, Angles::usual};
    auto const wishes = [&](std::size_t index) {
        LayerWishes w{};
        w.kvHeads = index == 0 ? 2 : 3;
        w.queryHeads = w.kvHeads * (index == 0 ? 2 : draw.pick<std::size_t>({2, 3}));
        w.keyDim = draw.take(dims);
        w.valueDim = draw.take(dims);
        if (index == 0 && draw.oneIn(4)) (draw.oneIn(2) ? w.keyDim : w.valueDim) = 3;
        w.window = draw.take(windows);
        w.sinks = draw.oneIn(4) ? 1 + draw.below(2) : 0;
        w.retained = draw.oneIn(2) ? w.window + draw.below(3) : 0;
        w.angles = draw.take(angles);
        w.layout = draw.pick<RotaryLayout>({RotaryLayout::halfSplit, RotaryLayout::interleaved});
        w.storage = draw.pick<KeyStorage>({KeyStorage::rotated, KeyStorage::raw});
        w.isBiased = draw.oneIn(4);
        w.hasSinkLogits = draw.oneIn(4);
        if (w.window == 0 && draw.oneIn(4)) w.chunk = 2 + draw.below(3);
        if (!candidate.queryFormats.empty()) w.queryFormat = draw.pick(candidate.queryFormats);
        if (candidate.formats.empty()) return w;
        w.keyFormat = draw.pick(candidate.formats);
        w.valueFormat = draw.pick(candidate.formats);
        return w;
    };
    std::size_t const capacity = draw.pick<std::size_t>({4, 7, 11, 16});
    return declarationOf(candidate.name, capacity, {wishes(0), wishes(1)});
}

/// Codes show most, so they come most often; a family that no layer lets speak is not drawn.
Family drawnFamily(Declaration const& d, Draw& draw) {
    std::vector<Family> weighted{
        Family::painted,   Family::painted,   Family::oneHot,  Family::oneHot,  Family::oneHot,
        Family::mean,      Family::wideSum,   Family::ladder,  Family::balance, Family::groupSelect,
        Family::knifeEdge, Family::equalKeys, Family::sampled, Family::sampled};
    if (std::ranges::any_of(d.layers, [](auto const& l) {
            return speaks(Family::quantiserStep, l);
        }))
        weighted.insert(weighted.end(), {Family::quantiserStep, Family::quantiserStep});
    Family family{};
    do family = draw.pick(weighted);
    while (std::ranges::none_of(d.layers, [&](auto const& l) { return speaks(family, l); }));
    return family;
}

/// Lengths that matter to a layer or to the pool, and their neighbors.
std::vector<std::size_t> boundaries(Declaration const& d) {
    std::vector<std::size_t> all{0, 1, d.capacity};
    auto const put = [&](std::size_t b) {
        if (b > 0) all.insert(all.end(), {b - 1, b, b + 1});
    };
    for (auto const& l : d.layers) put(l.window), put(l.retained), put(l.chunk.value_or(0));
    if (d.pool) put(d.pool->blockRows), put(2 * d.pool->blockRows);
    std::ranges::for_each(d.promised().thresholds, put);
    return all;
}

/// As many tokens as must be accepted: a pool that has lost a block runs dry.
std::size_t mostOwed(Step step, Declaration const& d, State const& state) {
    step.count = d.capacity - std::min(d.capacity, state[step.sequence].length());
    while (step.count > 1 && state.permission(step) != Permission::mustAccept) --step.count;
    return std::max<std::size_t>(step.count, 1);
}

void drawStored(Step& step, Declaration const& d, State const& state, Draw& draw) {
    std::size_t const length = state[step.sequence].length();
    // Mostly one or two tokens, sometimes up to a boundary, seldom more than fits.
    auto const to = draw.pick(boundaries(d));
    step.count = draw.oneIn(3) && to > length ? to - length : 1 + draw.below(3);
    if (d.pool && draw.oneIn(3)) step.count = mostOwed(step, d, state);
    if (draw.oneIn(16)) step.count = d.capacity + 1 - std::min(length, d.capacity);
    std::size_t const soFar = state.stored() + step.count;
    step.target = step.verb == Verb::prefill ? draw.below(soFar) : 0;
}

/// Two or three sequences where there are so many, in any order; now and then one that is inactive.
void drawBatch(Step& step, Declaration const& d, State const& state, Draw& draw) {
    std::vector<SequenceId> others(d.sequences);
    std::iota(others.begin(), others.end(), SequenceId{});
    std::size_t const items = std::min<std::size_t>(d.sequences, 2 + draw.below(2));
    step.sequence = 0;
    while (step.batch.size() < items) {
        Step one{.verb = Verb::prefill, .sequence = draw.take(others)};
        drawStored(one, d, state, draw);
        step.batch.push_back({one.sequence, draw.oneIn(4) ? 0 : one.count});
    }
    step.target = draw.below(std::max<std::size_t>(1, state.stored() + tokensStored(step)));
}

void drawFork(Step& step, Declaration const& d, State const& state) {
    for (SequenceId q = 0; q < d.sequences; ++q)
        if (q != step.sequence && (step.to == step.sequence || state[q].length() == 0)) step.to = q;
    if (step.to == step.sequence) step.to = (step.sequence + 1) % d.sequences;
}

std::size_t drawEvicted(Declaration const& d, std::size_t length, Draw& draw) {
    std::size_t const window = d.layers.back().window;
    std::size_t const behind = window > 0 && length > window ? length - window : 1;
    if (draw.oneIn(8)) return length + 1;
    return draw.oneIn(2) ? behind : draw.below(length + 1);
}

/// Mostly a row or two, anywhere.
void drawRemoved(Step& step, std::size_t length, Draw& draw) {
    step.first = draw.oneIn(8) ? length : draw.below(length);
    std::size_t const behind = length - step.first;
    step.count = draw.oneIn(3) ? draw.below(behind + 1) : std::min(behind, 1 + draw.below(2));
    if (draw.oneIn(8)) step.count = behind + 1;
}

/// How many rows stand before the first gap of positions; 0 where there is none.
std::size_t rowsBeforeGap(SequenceState const& s) {
    std::size_t i = 1;
    while (i < s.length() && s.positions[i] == s.positions[i - 1] + 1) ++i;
    bool const isGap = i < s.length() || (i == s.length() && s.next != s.positions[i - 1] + 1);
    return isGap ? i : 0;
}

/// Sequences that have just been forked, or look so: their rows stand at the same positions.
std::vector<SequenceId> twins(Declaration const& d, State const& state) {
    std::vector<SequenceId> all;
    for (SequenceId s = 0; s < d.sequences; ++s)
        for (SequenceId q = 0; q < d.sequences; ++q)
            if (q != s && state[s].length() > 1 && state[q].positions == state[s].positions) {
                all.push_back(s);
                break;
            }
    return all;
}

/// Mostly the first sequence; for a removal one that has rows, which are stored first where there
/// are none. Where a gap is, a rollback comes soon, and so it does of one of two forks.
void drawSequence(Step& step, Declaration const& d, State const& state, Draw& draw) {
    step.sequence = draw.oneIn(3) ? draw.below(d.sequences) : 0;
    std::vector<SequenceId> holding, gapped;
    for (SequenceId s = 0; s < d.sequences; ++s) {
        if (state[s].length() > 1) holding.push_back(s);
        if (rowsBeforeGap(state[s]) > 0) gapped.push_back(s);
    }
    if (step.verb == Verb::remove && !holding.empty()) step.sequence = draw.pick(holding);
    if (step.verb == Verb::remove && holding.empty() && state.offers(Verb::append) &&
        !draw.oneIn(4))
        step.verb = Verb::append;
    auto const& torn = gapped.empty() ? twins(d, state) : gapped;
    if (torn.empty() || !state.offers(Verb::rollback) || !draw.oneIn(3)) return;
    step.verb = Verb::rollback;
    step.sequence = draw.pick(torn);
}

std::size_t drawKept(SequenceState const& s, Draw& draw) {
    std::size_t const length = s.length();
    // Over a gap the next position goes back by more than the rows that are forgotten.
    if (std::size_t const rows = rowsBeforeGap(s); rows > 0 && draw.oneIn(2))
        return draw.below(rows);
    std::size_t const near = length - std::min<std::size_t>(length, draw.below(4));
    if (draw.oneIn(8)) return length + 1;
    return draw.oneIn(3) ? draw.below(length + 1) : near;
}

/// Mostly a copy that there is, into a sequence that is empty; where there is none, one is saved or
/// released first, so that what happens in between happens to the original.
void drawRestored(Step& step, Declaration const& d, State const& state, Draw& draw) {
    std::vector<SequenceId> saved, empty;
    for (SequenceId s = 0; s < d.sequences; ++s) {
        if (state.isSaved(s)) saved.push_back(s);
        if (state[s].length() == 0) empty.push_back(s);
    }
    step.to = draw.below(d.sequences);
    if (draw.oneIn(8)) return;
    if (saved.empty() && state.offers(Verb::save)) {
        step = {.verb = Verb::save, .sequence = step.sequence};
        return;
    }
    if (!saved.empty()) step.sequence = draw.pick(saved);
    if (!empty.empty())
        step.to = draw.pick(empty);
    else if (state.offers(Verb::release))
        step = {.verb = Verb::release, .sequence = step.to};
}

Step drawnStep(Declaration const& d, State const& state, Draw& draw) {
    Step step{};
    // Looking is one verb among others: a state that is repaired by looking must be left alone.
    static std::vector<Verb> const weighted{
        Verb::append,   Verb::append,   Verb::append,  Verb::prefill, Verb::prefill,
        Verb::attend,   Verb::attend,   Verb::attend,  Verb::observe, Verb::observe,
        Verb::rollback, Verb::rollback, Verb::fork,    Verb::fork,    Verb::evict,
        Verb::evict,    Verb::remove,   Verb::remove,  Verb::remove,  Verb::shift,
        Verb::shift,    Verb::reorder,  Verb::save,    Verb::save,    Verb::restore,
        Verb::restore,  Verb::release,  Verb::keep,    Verb::reset,   Verb::step,
        Verb::step};
    do step.verb = draw.pick(weighted);
    while (!state.offers(step.verb));
    drawSequence(step, d, state, draw);
    if (step.verb == Verb::restore) drawRestored(step, d, state, draw);
    auto const& s = state[step.sequence];
    // Ask mostly for a recent token, which is likely to be visible.
    std::size_t const stored = state.stored(), recent = std::min<std::size_t>(stored, 8);
    switch (step.verb) {
        case Verb::append:
        case Verb::prefill: drawStored(step, d, state, draw); break;
        case Verb::step: drawBatch(step, d, state, draw); break;
        case Verb::attend: step.target = stored == 0 ? 0 : stored - 1 - draw.below(recent); break;
        case Verb::rollback: step.length = drawKept(s, draw); break;
        case Verb::fork: drawFork(step, d, state); break;
        case Verb::evict: step.count = drawEvicted(d, s.length(), draw); break;
        case Verb::remove: drawRemoved(step, s.length(), draw); break;
        case Verb::shift: step.delta = draw.pick<std::int64_t>({1, 2, 5, -1, -2, -s.next}); break;
        case Verb::reorder:
            for (SequenceId q = 0; q < d.sequences; ++q)
                step.parents.push_back(draw.below(d.sequences));
            break;
        default: break;
    }
    return step;
}

/// Each format of a candidate in its turn.
void giveFormats(LayerWishes& wishes, Candidate const& candidate, std::size_t& next) {
    auto const& formats = candidate.formats;
    auto const& queryFormats = candidate.queryFormats;
    if (!queryFormats.empty()) wishes.queryFormat = queryFormats[next++ % queryFormats.size()];
    if (formats.empty()) return;
    wishes.keyFormat = formats[next++ % formats.size()];
    wishes.valueFormat = formats[next++ % formats.size()];
}

/// Follows a trace as the judge will, without an engine, of which nobody knows whether it accepts
/// what it may refuse.
void follow(State& state, Step const& step, Draw& draw) {
    auto const owed = state.permission(step);
    if (owed == Permission::mustAccept || (owed == Permission::mayRefuse && draw.oneIn(2)))
        state.apply(step);
}

}  // namespace

std::vector<Setup> standardSetups(std::string const& engine, Numerics const& numerics) {
    return standardSetups(Candidate{engine, {}, {}, numerics});
}

std::vector<Setup> standardSetups(Candidate const& candidate) {
    auto const plain = LayerWishes{4, 2, 8, 5, 0, 0, 0, Angles::none, {}, {}, false};
    auto quarters = plain;
    quarters.keyDim = 7;
    quarters.angles = Angles::quarters;
    quarters.layout = RotaryLayout::halfSplit;
    auto windowed = quarters;
    windowed.queryHeads = 6;
    windowed.kvHeads = 3;
    windowed.window = 4;
    windowed.layout = RotaryLayout::interleaved;
    windowed.storage = KeyStorage::raw;
    auto ring = plain;
    ring.window = 3;
    ring.retained = 3;
    ring.valueDim = 3;
    auto usual = ring;
    usual.retained = 5;
    usual.keyDim = 6;
    usual.angles = Angles::usual;
    usual.layout = RotaryLayout::halfSplit;
    auto biased = plain;
    biased.keyDim = 3;
    biased.isBiased = true;
    auto chunked = plain;
    chunked.chunk = 3;
    chunked.hasSinkLogits = true;
    std::vector<Setup> all;
    std::size_t next = 0;
    for (auto layers : std::vector<std::vector<LayerWishes>>{
             {plain, windowed}, {quarters, ring}, {chunked}, {usual, biased}}) {
        for (auto& wishes : layers) giveFormats(wishes, candidate, next);
        auto declaration = declarationOf(candidate.name, 12, layers);
        declaration.numerics = candidate.numerics;
        declaration.promises = candidate.promises;
        if (candidate.adapt) candidate.adapt(declaration);
        for (Fill fill : fillsFor(declaration)) all.push_back({declaration, fill});
    }
    return all;
}

Case drawn(Candidate const& candidate, std::uint64_t seed, int size) {
    Draw draw(mixed(seed));
    Case c{};
    if (candidate.fixed) {
        c.setup.declaration = *candidate.fixed;
    } else {
        c.setup.declaration = drawnDeclaration(candidate, draw);
        c.setup.declaration.numerics = candidate.numerics;
        c.setup.declaration.promises = candidate.promises;
        if (candidate.adapt) candidate.adapt(c.setup.declaration);
    }
    auto const fills = fillsFor(c.setup.declaration);
    c.setup.fill = draw.oneIn(3) ? fills.back() : fills.front();
    c.trace.values.family = drawnFamily(c.setup.declaration, draw);
    c.trace.values.seed = draw.below(1000);
    State state(c.setup.declaration);
    std::size_t const steps = 1 + draw.below(2 + std::size_t(size) / 4);
    for (std::size_t i = 0; i < steps; ++i) {
        c.trace.steps.push_back(drawnStep(c.setup.declaration, state, draw));
        follow(state, c.trace.steps.back(), draw);
    }
    // What was written over is seen at the end by whoever looks at everybody.
    if (state.offers(Verb::observe) && draw.oneIn(2))
        for (SequenceId s = 0; s < c.setup.declaration.sequences; ++s)
            c.trace.steps.push_back({.verb = Verb::observe, .sequence = s});
    return c;
}

namespace {

/// The same trace without a run of its steps.
void dropSteps(Case const& c, std::vector<Case>& all) {
    std::size_t const n = c.trace.steps.size();
    for (std::size_t chunk = n / 2 + n % 2; chunk > 0; chunk /= 2)
        for (std::size_t at = 0; at + chunk <= n; at += chunk) {
            Case less = c;
            auto const from = less.trace.steps.begin() + std::ptrdiff_t(at);
            less.trace.steps.erase(from, from + std::ptrdiff_t(chunk));
            if (!less.trace.steps.empty()) all.push_back(std::move(less));
        }
}

/// The same trace with two appends to one sequence made one.
void joinAppends(Case const& c, std::vector<Case>& all) {
    auto const& steps = c.trace.steps;
    for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
        if (steps[i].verb != Verb::append || steps[i + 1].verb != Verb::append ||
            steps[i].sequence != steps[i + 1].sequence)
            continue;
        Case less = c;
        less.trace.steps[i].count += steps[i + 1].count;
        less.trace.steps.erase(less.trace.steps.begin() + std::ptrdiff_t(i) + 1);
        all.push_back(std::move(less));
    }
}

/// The same step of less: without an item, with fewer tokens in it, with its items in the order of
/// their sequences; a single item is a prefill.
std::vector<Step> smallerBatches(Step const& step) {
    std::vector<Step> all;
    auto const add = [&](auto change) { change(all.emplace_back(step).batch); };
    for (std::size_t i = 0; i < step.batch.size(); ++i) {
        std::size_t const count = step.batch[i].count;
        if (step.batch.size() > 1)
            add([&](auto& batch) { batch.erase(batch.begin() + std::ptrdiff_t(i)); });
        for (std::size_t less : {std::size_t{0}, count / 2, count - 1})
            if (less < count) add([&](auto& batch) { batch[i].count = less; });
    }
    if (!std::ranges::is_sorted(step.batch, {}, &BatchItem::sequence))
        add([](auto& batch) { std::ranges::sort(batch, {}, &BatchItem::sequence); });
    if (step.batch.size() == 1)
        all.push_back({.verb = Verb::prefill,
                       .sequence = step.batch[0].sequence,
                       .count = step.batch[0].count,
                       .target = step.target});
    return all;
}

/// The same trace with one number of one step lowered.
void lowerNumbers(Case const& c, std::vector<Case>& all) {
    auto const lowered = [&](std::size_t step, auto field, auto value) {
        if (c.trace.steps[step].*field == value) return;
        Case less = c;
        less.trace.steps[step].*field = value;
        all.push_back(std::move(less));
    };
    for (std::size_t i = 0; i < c.trace.steps.size(); ++i) {
        Step const& step = c.trace.steps[i];
        for (auto field :
             {&Step::first, &Step::count, &Step::length, &Step::target, &Step::sequence,
              &Step::to}) {
            std::size_t const value = step.*field, least = field == &Step::count ? 1 : 0;
            if (value <= least) continue;
            lowered(i, field, least);
            lowered(i, field, std::max(least, value / 2));
            lowered(i, field, value - 1);
        }
        if (step.delta != 0) lowered(i, &Step::delta, step.delta / 2);
        for (SequenceId q = 0; q < step.parents.size(); ++q) {
            auto parents = step.parents;
            if (parents[q] == q) continue;
            parents[q] = q;
            lowered(i, &Step::parents, parents);
        }
        for (Step& batch : smallerBatches(step)) {
            all.push_back(c);
            all.back().trace.steps[i] = std::move(batch);
        }
        if (step.verb != Verb::prefill) continue;
        Case less = c;
        less.trace.steps[i].verb = Verb::append;
        less.trace.steps[i].target = 0;
        all.push_back(std::move(less));
    }
}

}  // namespace

std::vector<Case> smaller(Case const& c, Candidate const& candidate) {
    std::vector<Case> all;
    dropSteps(c, all);
    joinAppends(c, all);
    lowerNumbers(c, all);
    auto const& declaration = c.setup.declaration;
    if (!candidate.fixed && declaration.pool) {
        auto const& pool = *declaration.pool;
        std::size_t const least = (declaration.capacity + pool.blockRows - 1) / pool.blockRows;
        for (std::size_t blocks : {least, pool.blocks - 1}) {
            if (blocks < least || blocks >= pool.blocks) continue;
            all.push_back(c);
            all.back().setup.declaration.pool->blocks = blocks;
        }
    }
    if (c.trace.values.family == Family::sampled) {
        all.push_back(c);
        all.back().trace.values.family = Family::painted;
    }
    if (!candidate.fixed && c.setup.declaration.layers.size() > 1)
        for (std::size_t l = 0; l < c.setup.declaration.layers.size(); ++l) {
            Case less = c;
            auto& layers = less.setup.declaration.layers;
            layers.erase(layers.begin() + std::ptrdiff_t(l));
            all.push_back(std::move(less));
        }
    std::erase_if(all, [](Case const& less) {
        State const state(less.setup.declaration);
        return !std::ranges::all_of(less.trace.steps,
                                    [&](Step const& step) { return state.offers(step.verb); });
    });
    return all;
}

}  // namespace kv::properties

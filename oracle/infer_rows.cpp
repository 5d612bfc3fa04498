// infer_rows: ask what is stored, where, and how it reads back.
#include "oracle/infer_parts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace kv::oracle::inference {

using properties::AnyEngine;
using properties::Content;
using properties::Tokens;

namespace {

/// Positions as they are printed: of the layer that holds the most rows.
std::string described(Content const& content) {
    std::vector<std::int64_t> most;
    for (auto const& layer : content.layers)
        if (layer.positions.size() > most.size())
            most = layer.positions;
    return fmt::format("length {}, next position {}, rows at {}", content.length,
                       content.nextPosition,
                       most.empty() ? "none" : fmt::format("{}", fmt::join(most, " ")));
}

using Positions = std::vector<std::int64_t>;

/// Consecutive ones: first .. next - 1.
Positions positionsFrom(std::int64_t first, std::int64_t next) {
    Positions all;
    for (auto p = first; p < next; ++p)
        all.push_back(p);
    return all;
}

/// What the same text is for rows at these positions, of which the last `held` are left.
std::string specified(Positions rows, std::int64_t next, std::size_t held) {
    std::size_t const length = rows.size();
    rows.erase(rows.begin(), rows.end() - std::ptrdiff_t(std::min(held, length)));
    return fmt::format("length {}, next position {}, rows at {}", length, next,
                       rows.empty() ? "none" : fmt::format("{}", fmt::join(rows, " ")));
}

std::size_t mostHeld(Content const& content) {
    std::size_t most = 0;
    for (auto const& layer : content.layers)
        most = std::max(most, layer.positions.size());
    return most;
}

/// What a verb is done to, and what is specified of the state behind it.
struct Situation {
    std::string field, how;
    Verb verb;
    Positions rows;
    std::int64_t next;
    std::function<properties::Answer(AnyEngine&, Tokens const&)> act;
};

std::vector<Situation> situations(std::size_t n) {
    auto const next = std::int64_t(n);
    Positions gap = positionsFrom(1, next);
    if (!gap.empty())
        gap.front() = 0;
    std::vector<Situation> all{
        {"release", "release, behind the same append", Verb::release, {}, 0,
         [](AnyEngine& e, Tokens const&) { return e.release(0); }},
        {"reset", "reset, behind the same append", Verb::reset, {}, 0,
         [](AnyEngine& e, Tokens const&) { return e.reset(); }}};
    if (n < 2)
        return all;
    all.insert(all.begin(),
               {{"rollback", "rollback to 1, behind the same append", Verb::rollback, {0}, 1,
                 [](AnyEngine& e, Tokens const&) { return e.rollback(0, 1); }},
                {"evict", "evict of 1, behind the same append", Verb::evict,
                 positionsFrom(1, next), next,
                 [](AnyEngine& e, Tokens const&) { return e.evict(0, 1); }},
                {"remove", "remove of row 1, behind the same append", Verb::remove,
                 gap, next,
                 [](AnyEngine& e, Tokens const&) { return e.remove(0, {1, 1}); }}});
    return all;
}

Convention conventionOf(Prober& prober, Situation const& s, std::size_t stored) {
    Convention convention{s.field, Guess<std::string>::unknown("not offered")};
    if (!prober.offers(s.verb))
        return convention;
    auto const engine = prober.engine();
    Tokens const rows = prober.tokens(0, {.count = stored});
    if (!prober.store(*engine, 0, {.count = stored})) {
        convention.seen.how = refusal(prober);
        return convention;
    }
    if (auto const answer = s.act(*engine, rows); !answer) {
        convention.seen.how = "refused: " + answer.why();
        return convention;
    }
    if (auto const content = prober.content(*engine)) {
        convention.seen = Guess<std::string>::seen(described(*content), s.how);
        convention.specified = specified(s.rows, s.next, mostHeld(*content));
    } else {
        convention.seen.how = refusal(prober);
    }
    return convention;
}

/// What a sequence is after it has stored n tokens by this verb.
Convention storedBy(Prober& prober, Verb verb, std::size_t n) {
    std::string const name(nameOf(verb));
    Convention convention{name, Guess<std::string>::unknown("not offered")};
    if (!prober.offers(verb))
        return convention;
    auto const engine = prober.engine();
    auto rows = prober.tokens(0, {.count = n});
    properties::Outputs unused;
    if (verb == Verb::prefill)
        for (std::size_t l = 0; l < rows.layers.size(); ++l)
            rows.layers[l].queries.resize(n * prober.given().layers[l].queryHeads *
                                          prober.given().layers[l].keyDim);
    auto const answer =
        verb == Verb::append ? engine->append(0, rows) : engine->prefill(0, rows, unused);
    auto const content = answer ? prober.content(*engine) : std::nullopt;
    if (!content) {
        convention.seen.how = answer ? refusal(prober) : "refused: " + answer.why();
        return convention;
    }
    convention.seen = Guess<std::string>::seen(
        described(*content), fmt::format("{} of {} tokens, then observe", name, n));
    auto const next = std::int64_t(n);
    convention.specified = specified(positionsFrom(0, next), next, mostHeld(*content));
    return convention;
}

/// Distinct rows everywhere: the numbers are small integers, which every format holds.
Tokens painted(Given const& given, std::size_t count, std::uint64_t seed) {
    Tokens tokens{.count = count, .layers = {}};
    for (auto const& size : given.layers) {
        auto const paint = [&](std::size_t elements) {
            std::vector<float> row(elements);
            for (float& x : row)
                x = float(1 + properties::mixed(++seed) % 127);
            return row;
        };
        std::size_t const heads = count * size.kvHeads;
        tokens.layers.push_back({paint(heads * size.keyDim), paint(heads * size.valueDim), {}});
    }
    return tokens;
}

/// What each of two forked sequences holds after the other has gone on.
Convention forkOf(Prober& prober) {
    Convention convention{"fork", Guess<std::string>::unknown("not offered"),
                          "equal at first, then each with its own rows"};
    auto const& given = prober.given();
    if (!prober.offers(Verb::fork))
        return convention;
    if (given.sequences < 2 || given.capacity < 2) {
        convention.seen.how = "there is no room for two sequences that go on";
        return convention;
    }
    auto const engine = prober.engine();
    std::size_t const n = std::min<std::size_t>(3, given.capacity) - 1;
    bool const isStored = prober.store(*engine, painted(given, n, 1));
    auto const answer = isStored ? engine->fork(0, 1) : properties::Answer::accepted();
    if (!isStored || !answer) {
        convention.seen.how = isStored ? "refused: " + answer.why() : refusal(prober);
        return convention;
    }
    auto const parent = prober.content(*engine), child = prober.content(*engine, 1);
    bool isTold = parent && child && prober.store(*engine, painted(given, 1, 1000), 1);
    auto const later = isTold ? prober.content(*engine) : std::nullopt;
    auto const own = isTold ? prober.content(*engine, 1) : std::nullopt;
    isTold = later && own && prober.store(*engine, painted(given, 1, 2000));
    auto const kept = isTold ? prober.content(*engine, 1) : std::nullopt;
    if (!kept) {
        convention.seen.how = refusal(prober);
        return convention;
    }
    convention.seen = Guess<std::string>::seen(
        *parent != *child    ? "not equal at first"
        : *later != *parent  ? "an append to the child changes the parent"
        : *kept != *own      ? "an append to the parent changes the child"
                             : convention.specified,
        fmt::format("{} rows forked; then the child appends one, then the parent another", n));
    return convention;
}

/// Whether rows of one layer read back the same, whatever is stored in the others.
void probeLayers(Prober& prober, Seen& seen) {
    auto const& given = prober.given();
    std::size_t const n = std::min<std::size_t>(2, given.capacity);
    auto const rows = painted(given, n, 1);
    auto const readBack = [&](Tokens const& tokens) {
        auto const engine = prober.engine();
        return prober.store(*engine, tokens) ? prober.content(*engine) : std::nullopt;
    };
    auto const all = readBack(rows);
    for (std::size_t l = 0; l < given.layers.size(); ++l) {
        Convention convention{
            "storedRows",
            Guess<std::string>::unknown("there is no other layer that could change them"),
            "those of this layer"};
        auto alone = prober.tokens(l, {.count = n});
        alone.layers[l] = rows.layers[l];
        auto const one = given.layers.size() > 1 ? readBack(alone) : std::nullopt;
        if (all && one)
            convention.seen = Guess<std::string>::seen(
                all->layers[l] == one->layers[l] ? convention.specified
                                                 : "changed by those of other layers",
                fmt::format("{} tokens read back, with rows in every layer and in this one", n));
        else if (given.layers.size() > 1)
            convention.seen.how = refusal(prober);
        seen.layers[l].conventions.push_back(convention);
    }
}

/// How many tokens fit, one by one, as far as one behind the capacity that was given.
Convention capacityOf(Prober& prober) {
    auto const engine = prober.engine();
    std::size_t const capacity = prober.given().capacity;
    if (capacity > mostRows)
        return {"capacity", Guess<std::string>::unknown(
                                fmt::format("only up to {} rows are tried", mostRows))};
    if (!prober.offers(Verb::append) && !prober.offers(Verb::prefill))
        return {"capacity", Guess<std::string>::unknown("no verb that stores tokens is offered")};
    std::size_t fitting = 0;
    while (fitting <= capacity && prober.store(*engine, 0, {}))
        ++fitting;
    return {"capacity",
            Guess<std::string>::seen(
                fitting > capacity ? fmt::format("more than {}", capacity)
                                   : std::to_string(fitting),
                fitting > capacity ? "one token more than the capacity was accepted"
                                   : "one token at a time; the next was " + refusal(prober)),
            std::to_string(capacity)};
}

/// Rows that stay behind, and those that stand in front of a gap.
Guess<std::size_t> retainedOf(properties::LayerContent const& held, std::size_t length) {
    auto const& at = held.positions;
    if (at.size() >= length)
        return Guess<std::size_t>::seen(
            0, fmt::format("all of {} stored rows are read back", length));
    std::size_t run = at.empty() ? 0 : 1;
    while (run < at.size() && at[at.size() - run - 1] + 1 == at[at.size() - run])
        ++run;
    return Guess<std::size_t>::seen(
        run, fmt::format("of {} stored rows the read-back holds {}: {}", length, at.size(),
                         fmt::join(at, " ")));
}

void probeRetained(Prober& prober, Seen& seen) {
    std::size_t const n = std::min(prober.given().capacity, mostRows);
    auto const engine = prober.engine();
    bool const isStored = prober.store(*engine, 0, {.count = n});
    auto const content = isStored ? prober.content(*engine) : std::nullopt;
    for (std::size_t l = 0; l < seen.layers.size(); ++l)
        seen.layers[l].retained = content ? retainedOf(content->layers[l], content->length)
                                          : Guess<std::size_t>::unknown(refusal(prober));
}

/// What becomes of each unit key at each position: [position][component] in head 0.
struct UnitKeys {
    std::vector<std::vector<std::vector<float>>> columns;  ///< [component][position]
    std::size_t positions() const { return columns.empty() ? 0 : columns.front().size(); }
};

std::optional<UnitKeys> readUnits(Prober& prober, std::size_t layer) {
    std::size_t const dim = prober.given().layers[layer].keyDim;
    std::size_t const positions = std::min(prober.given().capacity, mostPositions);
    UnitKeys units;
    for (std::size_t unit = 0; unit < dim; ++unit) {
        auto const engine = prober.engine();
        auto& column = units.columns.emplace_back();
        for (std::size_t p = 0; p < positions; ++p) {
            Rows const row{.key = [=](auto, auto, auto d) { return d == unit ? 1.0f : 0.0f; }};
            if (!prober.store(*engine, layer, row))
                return std::nullopt;
            auto const content = prober.content(*engine);
            if (!content)
                return std::nullopt;
            auto const& keys = content->layers[layer].keys;
            if (keys.empty())
                return std::nullopt;
            auto const newest = keys.end() - std::ptrdiff_t(prober.given().layers[layer].kvHeads *
                                                            dim);
            column.emplace_back(newest, newest + std::ptrdiff_t(dim));
        }
    }
    return units;
}

Mixing mixingOf(UnitKeys const& units) {
    std::size_t const dim = units.columns.size();
    Mixing mixing{{}, std::vector<bool>(dim)};
    for (std::size_t a = 0; a < dim; ++a)
        for (auto const& row : units.columns[a])
            for (std::size_t b = 0; b < dim; ++b) {
                bool const isMixed = a != b && row[b] != 0;
                if (isMixed || (a == b && row[b] != 1))
                    mixing.moved[b] = mixing.moved[a] = true;
                std::pair const pair{std::min(a, b), std::max(a, b)};
                if (isMixed && std::ranges::find(mixing.pairs, pair) == mixing.pairs.end())
                    mixing.pairs.push_back(pair);
            }
    return mixing;
}

SeenTable tableOf(UnitKeys const& units, Explained const& e) {
    SeenTable table;
    table.planes = e.rotaryDim / 2;
    for (std::size_t p = 0; p < units.positions(); ++p)
        for (std::size_t plane = 0; plane < table.planes; ++plane) {
            std::size_t const first = e.layout.halfSplit ? plane : 2 * plane;
            std::size_t const second = e.layout.halfSplit ? plane + table.planes : first + 1;
            table.cosine.push_back(units.columns[first][p][first]);
            table.sine.push_back(units.columns[first][p][second]);
        }
    return table;
}

/// Whether the second component of each plane turns by the same angle.
bool isRotation(UnitKeys const& units, Explained const& e, SeenTable const& table) {
    for (std::size_t p = 0; p < units.positions(); ++p)
        for (std::size_t plane = 0; plane < table.planes; ++plane) {
            std::size_t const first = e.layout.halfSplit ? plane : 2 * plane;
            std::size_t const second = e.layout.halfSplit ? plane + table.planes : first + 1;
            auto const& row = units.columns[second][p];
            if (row[first] != -table.sine[p * table.planes + plane] ||
                row[second] != table.cosine[p * table.planes + plane])
                return false;
        }
    return true;
}

void concludeRotation(SeenLayer& seen, UnitKeys const& units) {
    auto const mixing = mixingOf(units);
    auto const e = explained(mixing);
    std::size_t const positions = units.positions();
    // Keys that read back as they came may still be turned when they are read: probeAttention.
    if (e && e->layout.none)
        return;
    if (!e) {
        auto const why = fmt::format(
            "unit keys read back mixed, in pairs {}, which no layout explains", pairsOf(mixing));
        seen.layout = Guess<SeenLayout>::unknown(why);
        seen.rotaryDim = Guess<std::size_t>::unknown(why);
        return;
    }
    auto const how = fmt::format("unit keys read back at positions 0 to {} mix in pairs {}",
                                 positions - 1, pairsOf(mixing));
    auto const table = tableOf(units, *e);
    if (!isRotation(units, *e, table)) {
        seen.layout = Guess<SeenLayout>::unknown(how + ", but not as a rotation does");
        return;
    }
    seen.keyStorage = Guess<KeyStorage>::seen(KeyStorage::rotated,
                                              "unit keys read back turned by their position");
    seen.layout = Guess<SeenLayout>::seen(e->layout, how);
    seen.rotaryDim = Guess<std::size_t>::seen(e->rotaryDim, how);
    seen.table = Guess<SeenTable>::seen(table, "a turned unit key is its cosine and its sine");
}

/// Bits of turned keys that are those of x c - y s with each operation rounded, or with a product
/// fused into the sum; counted where the two are not the same.
struct TurnedBits {
    // Odd integers of many bits, so that a product is never exact unless the factor is 0 or 1.
    static constexpr float x = 16777213, y = 12582917;
    std::size_t told = 0, written = 0, fused = 0;

    void count(float got, float c, float s) {
        float const product = x * c, other = y * s, asWritten = product - other;
        float const first = std::fma(x, c, -other), second = std::fma(-y, s, product);
        if (first == asWritten && second == asWritten)
            return;
        ++told;
        written += got == asWritten ? 1 : 0;
        fused += got == first || got == second ? 1 : 0;
    }
    Guess<RotationRounding> conclusion() const {
        using Result = Guess<RotationRounding>;
        if (told == 0)
            return Result::unknown("no angle of the table rounds in one way and not in another");
        if (written == told)
            return Result::seen(RotationRounding::asWritten,
                                fmt::format("{} turned components have the bits of x c - y s, each "
                                            "operation rounded",
                                            told));
        if (fused == told)
            return Result::seen(RotationRounding::contracted,
                                fmt::format("{} turned components have the bits of a product fused "
                                            "into the sum",
                                            told));
        return Result::unknown("some bits are those of neither way to round");
    }
};

Guess<RotationRounding> roundingOf(Prober& prober, std::size_t layer, SeenLayer const& seen) {
    if (!seen.table)
        return Guess<RotationRounding>::unknown("no turned key is read back");
    auto const& table = *seen.table;
    bool const isSplit = (*seen.layout).halfSplit;
    Rows const row{.key = [&](auto, auto, auto d) {
        bool const isFirst = isSplit ? d < table.planes : d % 2 == 0;
        return d >= 2 * table.planes ? 0.0f : isFirst ? TurnedBits::x : TurnedBits::y;
    }};
    auto const& size = prober.given().layers[layer];
    auto const engine = prober.engine();
    TurnedBits bits;
    for (std::size_t p = 0; p < table.positions(); ++p) {
        auto const content =
            prober.store(*engine, layer, row) ? prober.content(*engine) : std::nullopt;
        if (!content || content->layers[layer].keys.size() < size.kvHeads * size.keyDim)
            return Guess<RotationRounding>::unknown(refusal(prober));
        auto const newest =
            content->layers[layer].keys.end() - std::ptrdiff_t(size.kvHeads * size.keyDim);
        for (std::size_t plane = 0; plane < table.planes; ++plane)
            bits.count(newest[std::ptrdiff_t(isSplit ? plane : 2 * plane)],
                       table.cosine[p * table.planes + plane],
                       table.sine[p * table.planes + plane]);
    }
    return bits.conclusion();
}

void probeRotation(Prober& prober, std::size_t layer, SeenLayer& seen) {
    seen.keyStorage = Guess<KeyStorage>::unknown("nothing is seen to turn, so both are the same");
    seen.layout = Guess<SeenLayout>::unknown(noAngle);
    seen.rotaryDim = Guess<std::size_t>::unknown(noAngle);
    seen.table = Guess<SeenTable>::unknown("no turned key is read back");
    if (auto const units = readUnits(prober, layer))
        concludeRotation(seen, *units);
    else
        seen.keyStorage = Guess<KeyStorage>::unknown(refusal(prober));
    seen.numerics.rotation = roundingOf(prober, layer, seen);
}

}  // namespace

void probeRows(Prober& prober, Seen& seen) {
    using Verbs = Guess<std::vector<Verb>>;
    auto const how = "each was called once; \"not offered\" is the only refusal that counts";
    seen.verbs = prober.verbs().empty() ? Verbs::unknown("every verb is refused as not offered")
                                        : Verbs::seen(prober.verbs(), how);
    std::size_t const n = std::min<std::size_t>(3, prober.given().capacity);
    seen.conventions.push_back(capacityOf(prober));
    for (Verb verb : {Verb::append, Verb::prefill})
        seen.conventions.push_back(storedBy(prober, verb, n));
    for (auto const& situation : situations(n))
        seen.conventions.push_back(conventionOf(prober, situation, n));
    seen.conventions.push_back(forkOf(prober));
    probeRetained(prober, seen);
    probeLayers(prober, seen);
    for (std::size_t l = 0; l < seen.layers.size(); ++l)
        probeRotation(prober, l, seen.layers[l]);
}

}  // namespace kv::oracle::inference

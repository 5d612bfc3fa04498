// infer_attention: ask which rows a query sees, and which heads.
#include "oracle/infer_parts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace kv::oracle::inference {

namespace {

/// Row by row, whether the value of that row reaches what the newest of `rows` is answered.
std::optional<std::vector<bool>> viewOf(Prober& prober, std::size_t layer, std::size_t rows) {
    auto const& size = prober.given().layers[layer];
    std::vector<bool> sees(rows);
    for (std::size_t base = 0; base < rows; base += size.valueDim) {
        auto const output = prober.answer(
            layer, {.count = rows, .value = [=](auto t, auto, auto d) {
                        return t == base + d ? 1.0f : 0.0f;
                    }});
        if (!output)
            return std::nullopt;
        for (std::size_t i = 0; i < output->size(); ++i)
            if ((*output)[i] != 0 && base + i % size.valueDim < rows)
                sees[base + i % size.valueDim] = true;
    }
    return sees;
}

/// The rows of a view as they are printed: "0 and 8 to 11".
std::string rangesOf(std::vector<bool> const& sees) {
    std::vector<std::string> ranges;
    for (std::size_t i = 0; i < sees.size(); ++i) {
        if (!sees[i])
            continue;
        std::size_t const first = i;
        while (i + 1 < sees.size() && sees[i + 1])
            ++i;
        ranges.push_back(first == i ? std::to_string(i) : fmt::format("{} to {}", first, i));
    }
    return ranges.empty() ? "none" : fmt::format("{}", fmt::join(ranges, " and "));
}

/// The window is the run of rows that ends with the newest visible one, the sinks the run that
/// begins with row 0.
void concludeMask(std::vector<bool> const& sees, SeenLayer& seen) {
    std::size_t const rows = sees.size();
    auto const how = fmt::format("of {} rows, values of rows {} reach the newest query", rows,
                                 rangesOf(sees));
    std::size_t last = rows, run = 0, leading = 0;
    while (last > 0 && !sees[last - 1])
        --last;
    while (run < last && sees[last - run - 1])
        ++run;
    while (leading < last && sees[leading])
        ++leading;
    seen.visibleRows = last == rows ? run : 0;
    auto const visible = std::size_t(std::ranges::count(sees, true));
    if (last == 0 || (leading < last && visible != leading + run)) {
        seen.window = seen.sinks = Guess<std::size_t>::unknown(how + ": no window does that");
    } else if (leading == last) {
        seen.window = Guess<std::size_t>::seen(0, how);
        seen.sinks = Guess<std::size_t>::unknown("nothing is hidden, so no row is an exception");
    } else {
        seen.window = Guess<std::size_t>::seen(run, how);
        seen.sinks = Guess<std::size_t>::seen(leading, how);
    }
}

/// How many rows, the newest one among them, are seen in one run.
std::size_t runOf(std::vector<bool> const& sees) {
    std::size_t run = 0;
    while (run < sees.size() && sees[sees.size() - run - 1])
        ++run;
    return run;
}

/// A window shows as many rows to the query before; where there are chunks, the first row that is
/// seen begins one, and the query before that row sees a whole one.
void concludeChunks(Prober& prober, std::size_t layer, SeenLayer& seen) {
    using Result = Guess<std::size_t>;
    seen.chunk = Result::unknown(seen.window.how);
    if (!seen.window)
        return;
    std::size_t const rows = seen.triedRows, run = *seen.window;
    if (run == 0 || *seen.sinks > 0) {
        seen.chunk = Result::seen(0, seen.window.how);
        return;
    }
    auto const before = viewOf(prober, layer, rows - 1), first = viewOf(prober, layer, rows - run);
    if (!before || !first) {
        seen.chunk = Result::unknown(refusal(prober));
        return;
    }
    auto const how = fmt::format("the newest of {} rows sees {} of them, of {} rows {}, of {} rows "
                                 "{}", rows, run, rows - 1, runOf(*before), rows - run,
                                 runOf(*first));
    std::size_t const chunk = runOf(*first);
    if (runOf(*before) == run) {
        seen.chunk = Result::seen(0, how);
    } else if (chunk >= run && (rows - run) % chunk == 0) {
        seen.chunk = Result::seen(chunk, how);
        seen.window = Result::seen(0, how + ", which chunks explain");
        seen.sinks = Result::unknown("chunks have no exceptions");
    } else {
        seen.window = seen.sinks = seen.chunk = Result::unknown(how + ": no mask does that");
    }
}

/// Whether a query sees the value of its own token, and that of the next one of its chunk.
Convention causalOf(Prober& prober, std::size_t layer, bool seesItself) {
    std::string text = seesItself ? "its own token" : "not its own token";
    std::string how = "values of one token at a time";
    if (prober.offers(Verb::prefill) && prober.given().capacity > 1) {
        auto const engine = prober.engine();
        auto chunk = prober.tokens(layer, {.count = 2, .value = [](auto t, auto, auto) {
                                               return t == 1 ? 1.0f : 0.0f;
                                           }});
        for (std::size_t l = 0; l < chunk.layers.size(); ++l)
            chunk.layers[l].queries.resize(2 * prober.given().layers[l].queryHeads *
                                           prober.given().layers[l].keyDim);
        properties::Outputs outputs;
        if (engine->prefill(0, chunk, outputs) && layer < outputs.size()) {
            bool const isEarly = std::ranges::any_of(
                outputs[layer].begin(),
                outputs[layer].begin() + std::ptrdiff_t(outputs[layer].size() / 2),
                [](float x) { return x != 0; });
            text += isEarly ? ", and the next of its chunk" : ", none behind it";
            how += ", in a chunk of two too";
        }
    }
    bool const isTold = text.find(',') != text.npos;
    return {"causal", Guess<std::string>::seen(text, how),
            isTold ? "its own token, none behind it" : "its own token"};
}

/// What attention over nothing is.
Convention emptyOf(Prober& prober, std::size_t layer) {
    Convention convention{"emptyRow", Guess<std::string>::unknown("attend is not offered"),
                          "refused"};
    if (!prober.offers(Verb::attend))
        return convention;
    auto const engine = prober.engine();
    auto const output = prober.ask(*engine, layer, {});
    auto const isEvery = [&](auto is) { return std::ranges::all_of(*output, is); };
    std::string const text = !output                                              ? "refused"
                             : isEvery([](float x) { return x == 0; })            ? "zeros"
                             : isEvery([](float x) { return std::isnan(x); })     ? "NaN"
                                                                                  : "numbers";
    convention.seen = Guess<std::string>::seen(
        text, output ? "attend on an empty sequence was answered"
                     : "attend on an empty sequence: " + prober.why());
    return convention;
}

/// Whether NaN in a row that the window hides reaches the output.
Convention hiddenOf(Prober& prober, std::size_t layer, SeenLayer const& seen) {
    Convention convention{"hiddenRows", Guess<std::string>::unknown("no window hides a row")};
    if (!seen.window || *seen.window == 0 || !seen.sinks)
        return convention;
    std::size_t const rows = seen.triedRows, first = *seen.sinks, end = rows - *seen.window;
    auto const poisoned = [=](auto t, auto, auto) {
        return t >= first && t < end ? std::nanf("") : 0.0f;
    };
    auto const output =
        prober.answer(layer, {.count = rows, .key = poisoned, .value = poisoned});
    if (!output)
        convention.seen.how = refusal(prober);
    else
        convention.seen = Guess<std::string>::seen(
            std::ranges::any_of(*output, [](float x) { return std::isnan(x); })
                ? "read: NaN in one reaches the output"
                : "never read, or their NaN is dropped",
            fmt::format("rows {} to {} of {} held NaN", first, end - 1, rows));
    return convention;
}

/// Whether a row that was rolled back still weighs.
Convention rolledBackOf(Prober& prober, std::size_t layer) {
    Convention convention{"rolledBackRows", Guess<std::string>::unknown("rollback is not offered"),
                          "never seen"};
    if (!prober.offers(Verb::rollback) || !prober.offers(Verb::attend) ||
        prober.given().capacity < 2)
        return convention;
    auto const engine = prober.engine();
    Rows const rows{.count = 2,
                    .value = [](auto t, auto, auto) { return t == 1 ? loud : 0.0f; }};
    bool const isBack = prober.store(*engine, layer, rows);
    auto const answer = isBack ? engine->rollback(0, 1) : properties::Answer::accepted();
    if (!isBack || !answer) {
        convention.seen.how = isBack ? "refused: " + answer.why() : refusal(prober);
        return convention;
    }
    auto const output = prober.ask(*engine, layer, rows);
    if (!output)
        convention.seen.how = refusal(prober);
    else
        convention.seen = Guess<std::string>::seen(
            std::ranges::all_of(*output, [](float x) { return x == 0; }) ? "never seen" : "seen",
            "the second of two rows was loud and rolled back");
    return convention;
}

/// Whether the same trace gives the same bits, on a fresh engine and when asked again.
Convention repeatsOf(Prober& prober, std::size_t layer) {
    Convention convention{"deterministic", {}};
    auto const odd = [](std::size_t t, std::size_t h, std::size_t d) {
        return float(properties::mixed(t * 64 + h * 8 + d) % 2003) / 1001 - 1;
    };
    Rows const rows{std::min<std::size_t>(prober.given().capacity, 16), odd, odd, odd};
    auto const first = prober.answer(layer, rows), second = prober.answer(layer, rows);
    if (!first || !second)
        convention.seen.how = refusal(prober);
    else
        convention.seen = Guess<std::string>::seen(
            isSame(*first, *second) ? "the same bits" : "other bits",
            fmt::format("one trace of {} tokens on two fresh engines", rows.count));
    return convention;
}

/// The kv head that each query head reads.
using HeadMap = std::optional<std::vector<std::size_t>>;

/// Values: one head after the other holds 1 in every row, and the query heads that read it show it.
HeadMap valueHeads(Prober& prober, std::size_t layer) {
    auto const& size = prober.given().layers[layer];
    std::vector<std::size_t> map(size.queryHeads, size.kvHeads);
    for (std::size_t g = 0; g < size.kvHeads; ++g) {
        auto const output = prober.answer(
            layer, {.count = std::min<std::size_t>(2, prober.given().capacity),
                    .value = [=](auto, auto h, auto) { return h == g ? 1.0f : 0.0f; }});
        if (!output)
            return std::nullopt;
        for (std::size_t h = 0; h < size.queryHeads; ++h) {
            if ((*output)[h * size.valueDim] == 0)
                continue;
            if (map[h] != size.kvHeads)
                return std::nullopt;
            map[h] = g;
        }
    }
    if (std::ranges::find(map, size.kvHeads) != map.end())
        return std::nullopt;
    return map;
}

/// Keys: the newest key is loud in head g alone, so it weighs more where g is read.
HeadMap keyHeads(Prober& prober, std::size_t layer, Pair const& pair) {
    auto const& size = prober.given().layers[layer];
    auto const still = prober.answer(layer, pairRows(pair, 1, 0));
    std::vector<std::size_t> map(size.queryHeads, size.kvHeads);
    for (std::size_t g = 0; still && g < size.kvHeads; ++g) {
        Rows rows = pairRows(pair, 1, loud);
        rows.key = [=](auto t, auto h, auto d) {
            return t == 1 && h == g && d == pair.lane ? 1.0f : 0.0f;
        };
        auto const output = prober.answer(layer, rows);
        if (!output)
            return std::nullopt;
        for (std::size_t h = 0; h < size.queryHeads; ++h)
            if ((*output)[h * size.valueDim] != (*still)[h * size.valueDim])
                map[h] = map[h] == size.kvHeads ? g : size.kvHeads + 1;
    }
    bool const isMap =
        still && std::ranges::all_of(map, [&](std::size_t g) { return g < size.kvHeads; });
    return isMap ? HeadMap(map) : std::nullopt;
}

Convention headsOf(Prober& prober, std::size_t layer, SeenLayer const& seen) {
    auto const& size = prober.given().layers[layer];
    Convention convention{"kvHeadOfQueryHead", {}};
    auto const values = valueHeads(prober, layer);
    if (!values) {
        convention.seen.how = "an output hangs on the values of several kv heads, or of none";
        return convention;
    }
    std::vector<std::size_t> specified;
    for (std::size_t h = 0; h < size.queryHeads; ++h)
        specified.push_back(h * size.kvHeads / size.queryHeads);
    convention.specified = fmt::format("{}", fmt::join(specified, " "));
    auto const text = fmt::format("{}", fmt::join(*values, " "));
    auto const keys =
        seen.visibleRows > 1 ? keyHeads(prober, layer, pairOf(seen, size)) : HeadMap{};
    if (seen.visibleRows > 1 && !keys)
        convention.seen.how = "no single kv head's key moves each query head";
    else if (!keys)
        convention.seen = Guess<std::string>::seen(text, "values of one kv head at a time");
    else
        convention.seen = Guess<std::string>::seen(
            *keys == *values ? text
                             : fmt::format("keys {}, values {}", fmt::join(*keys, " "), text),
            "keys and values of one kv head at a time");
    return convention;
}

/// Asks an older key's component and the query's components for each other's angle.
class Angles {
   public:
    Angles(Prober& prober, std::size_t layer) : prober_(prober), layer_(layer) {}

    /// Components that mix between positions 0 and 1; nothing where a probe was refused.
    std::optional<Mixing> mixing() {
        std::size_t const dim = prober_.given().layers[layer_].keyDim;
        Mixing mixing{{}, std::vector<bool>(dim)};
        for (std::size_t b = 0; b < dim; ++b) {
            mixing.moved[b] = isTurned(b);
            if (!isCoupled(b, 0, dim))
                continue;
            std::size_t first = 0, end = dim;
            while (end - first > 1) {
                std::size_t const middle = (first + end) / 2;
                (isCoupled(b, first, middle) ? end : first) = middle;
            }
            mixing.moved[b] = true;
            if (first > b)
                mixing.pairs.emplace_back(b, first);
        }
        return isRefused_ ? std::nullopt : std::optional(mixing);
    }

   private:
    /// The value of row `valued` of two, where that row's key has a one on b.
    float ask(std::size_t valued, std::size_t b, Entry query) {
        auto const output = prober_.answer(
            layer_, {.count = 2,
                     .key = [=](auto t, auto, auto d) {
                         return t == valued && d == b ? 1.0f : 0.0f;
                     },
                     .value = [=](auto t, auto, auto) { return t == valued ? 1.0f : 0.0f; },
                     .query = std::move(query)});
        isRefused_ = isRefused_ || !output;
        return output ? output->front() : 0;
    }
    /// Whether some component first .. end - 1 of the query, b left out, meets b of the older key.
    bool isCoupled(std::size_t b, std::size_t first, std::size_t end) {
        auto const query = [=](auto, auto, auto d) {
            return d >= first && d < end && d != b ? loud : 0.0f;
        };
        return ask(0, b, query) != ask(0, b, {});
    }
    /// Whether b meets itself otherwise at a distance of one than at its own position.
    bool isTurned(std::size_t b) {
        auto const query = [=](auto, auto, auto d) { return d == b ? loud : 0.0f; };
        return (ask(0, b, query) > ask(0, b, {})) != (ask(1, b, query) > ask(1, b, {}));
    }

    Prober& prober_;
    std::size_t layer_;
    bool isRefused_ = false;
};

/// Keys that read back as they came, or not at all: attention alone shows whether they turn.
void probeAngles(Prober& prober, std::size_t layer, SeenLayer& seen) {
    if (seen.layout || seen.layout.how != noAngle || seen.visibleRows < 2)
        return;
    auto const mixing = Angles(prober, layer).mixing();
    auto const e = mixing ? explained(*mixing) : std::nullopt;
    if (!e) {
        seen.layout.how = mixing ? fmt::format("query and key components meet in pairs {}, which "
                                               "no layout explains",
                                               pairsOf(*mixing))
                                 : refusal(prober);
        seen.rotaryDim.how = seen.layout.how;
        return;
    }
    auto const how = fmt::format(
        "of a query and a key one position apart, these components meet crosswise: {}",
        pairsOf(*mixing));
    seen.layout = Guess<SeenLayout>::seen(e->layout, how);
    seen.rotaryDim = Guess<std::size_t>::seen(e->rotaryDim, how);
    if (e->layout.none || !prober.offers(Verb::observe))
        return;
    seen.keyStorage = Guess<KeyStorage>::seen(
        KeyStorage::raw, "keys read back as they came, and attention turns them");
    seen.table.how = "keys are stored raw: only attention shows the angles, not their bits";
}

}  // namespace

void probeAttention(Prober& prober, std::size_t layer, SeenLayer& seen) {
    std::size_t const rows = std::min(prober.given().capacity, mostRows);
    seen.triedRows = rows;
    bool const isAsked = prober.offers(Verb::attend) || prober.offers(Verb::prefill);
    auto const view = isAsked ? viewOf(prober, layer, rows) : std::nullopt;
    if (!view) {
        seen.window = seen.sinks = seen.chunk = Guess<std::size_t>::unknown(
            isAsked ? refusal(prober) : "neither attend nor prefill is offered");
        return;
    }
    concludeMask(*view, seen);
    concludeChunks(prober, layer, seen);
    seen.conventions.push_back(causalOf(prober, layer, view->back()));
    probeAngles(prober, layer, seen);
    seen.conventions.push_back(headsOf(prober, layer, seen));
    seen.conventions.push_back(hiddenOf(prober, layer, seen));
    seen.conventions.push_back(rolledBackOf(prober, layer));
    seen.conventions.push_back(emptyOf(prober, layer));
    seen.conventions.push_back(repeatsOf(prober, layer));
}

}  // namespace kv::oracle::inference

#include "oracle/infer.hpp"

#include "oracle/catalog.hpp"
#include "oracle/infer_parts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace kv::oracle {

using namespace inference;
using properties::Candidate;
using properties::Fill;
using properties::Setup;

namespace {

/// Whether storage that was never written is read: its fill then reaches an output.
Convention unwrittenOf(Candidate const& candidate, Setup setup, Given const& given,
                       std::size_t layer) {
    Convention convention{"unwrittenSlots", {}};
    if (candidate.fixed) {
        convention.seen.how = "an engine of fixed shape need not follow a fill";
        return convention;
    }
    std::vector<Output> outputs;
    for (Fill fill : {Fill::poison, Fill::zero}) {
        setup.fill = fill;
        Prober prober([&] { return candidate.make(setup); }, given);
        outputs.push_back(prober.answer(layer, {.value = [](auto, auto, auto) { return 1.0f; }}));
        if (!outputs.back()) {
            convention.seen.how = "refused: " + prober.why();
            return convention;
        }
    }
    convention.seen = Guess<std::string>::seen(
        isSame(*outputs[0], *outputs[1]) ? "never read" : "read",
        "attention over one row, in storage filled with NaN and filled with zeros");
    return convention;
}

/// One record for all layers, or one for each layer that differs from the engine's own word.
void fill(Declaration& proposed, std::vector<SeenLayer> const& layers) {
    std::vector<Numerics> all;
    for (std::size_t l = 0; l < layers.size(); ++l)
        all.push_back(proposedNumerics(proposed.numericsOf(l), layers[l].numerics));
    if (std::ranges::all_of(all, [&](Numerics const& n) { return n == all.front(); }))
        proposed.numerics = all.front();
    for (std::size_t l = 0; l < layers.size(); ++l)
        proposed.layers[l].numerics =
            all[l] == proposed.numerics ? std::nullopt : std::optional(all[l]);
}

/// Presets that every layer could declare.
std::vector<std::string> commonPresets(std::vector<SeenLayer> const& layers) {
    std::vector<std::string> common = presetsFor(layers.front().numerics);
    for (auto const& layer : layers) {
        auto const possible = presetsFor(layer.numerics);
        std::erase_if(common, [&](std::string const& name) {
            return std::ranges::find(possible, name) == possible.end();
        });
    }
    return common;
}

template <class Enum>
std::string spelled(Enum value) {
    return std::string(oracle::nameOf(value));
}

std::string spelled(std::vector<Verb> const& verbs) {
    std::vector<std::string> names;
    for (Verb verb : everyVerb)
        if (std::ranges::find(verbs, verb) != verbs.end())
            names.emplace_back(oracle::nameOf(verb));
    return fmt::format("{}", fmt::join(names, " "));
}

std::string spelled(Measured const& m) {
    return fmt::format("{:.9g}, in [{:.9g}, {:.9g}]", m.likely, m.low, m.high);
}

/// Collects findings about one setup, and puts what was inferred into the proposal.
class Comparer {
   public:
    Comparer(Inference& result, Declaration const& declared)
        : result_(result), declared_(declared) {}

    void add(Convention const& convention, std::string const& prefix) {
        auto const& want = convention.specified;
        record<std::string>(
            prefix + convention.field, convention.seen, [](auto const& text) { return text; }, want,
            [&](auto const& text) { return text == want; });
        result_.findings.back().isConvention = true;
    }
    void verbs(Guess<std::vector<Verb>> const& seen) {
        auto const print = [](auto const& verbs) { return spelled(verbs); };
        record<std::vector<Verb>>("verbs", seen, print, spelled(declared_.verbs),
                                  [&](auto const& verbs) {
                                      return spelled(verbs) == spelled(declared_.verbs);
                                  });
        if (seen)
            result_.declaration.verbs = *seen;
    }
    void layer(std::size_t index, SeenLayer const& seen) {
        at_ = fmt::format("layers[{}].", index);
        mask(declared_.layers[index], seen, result_.declaration.layers[index]);
        rotation(declared_.layers[index], seen, result_.declaration.layers[index]);
        scores(declared_.layers[index], seen, result_.declaration.layers[index]);
        formats(declared_.layers[index]);
        for (auto& finding : numericsFindings(at_ + "numerics.", declared_.numericsOf(index),
                                              seen.numerics))
            result_.findings.push_back(std::move(finding));
        for (auto const& convention : seen.conventions)
            add(convention, at_);
    }

   private:
    template <class T>
    void record(std::string const& field, Guess<T> const& seen, auto print,
                std::string const& declared, auto agrees) {
        Finding finding{.field = field, .value = {}, .how = seen.how, .declared = declared};
        if (seen) {
            finding.value = print(*seen);
            if (!declared.empty())
                finding.comparison = agrees(*seen) ? Comparison::agrees : Comparison::differs;
        }
        result_.findings.push_back(std::move(finding));
    }
    /// A size, 0 for none: what is declared is taken for what it does within the rows tried.
    void size(std::string const& name, Guess<std::size_t> const& seen, std::size_t declared,
              std::size_t effective, std::string const& none) {
        auto const text = [&](std::size_t n) { return n == 0 ? none : std::to_string(n); };
        record<std::size_t>(at_ + name, seen, text,
                            declared == effective ? text(declared)
                                                  : fmt::format("{}, the same here", declared),
                            [&](std::size_t n) { return n == effective; });
    }
    void mask(LayerDeclaration const& d, SeenLayer const& seen, LayerDeclaration& proposed) {
        std::size_t const rows = seen.triedRows;
        auto const all = fmt::format("0, all of {} rows", rows);
        // One position a chunk is a window of one key.
        std::size_t const chunk = d.chunk.value_or(0);
        size("window", seen.window, d.window,
             chunk == 1 ? 1 : d.window + d.sinks >= rows ? 0 : d.window, all);
        size("chunk", seen.chunk, chunk, chunk == 1 || chunk >= rows ? 0 : chunk, "none");
        size("sinks", seen.sinks, d.sinks, d.sinks, "0");
        std::size_t const pinned = d.retained == 0 ? 0 : d.sinks;
        size("retained", seen.retained, d.retained, d.retained + pinned >= rows ? 0 : d.retained,
             all);
        proposed.window = seen.window.value.value_or(d.window);
        if (seen.chunk)
            proposed.chunk = *seen.chunk == 0 ? std::nullopt : std::optional(*seen.chunk);
        // What a shift does to chunks, no declaration says.
        if (proposed.chunk)
            std::erase(result_.declaration.verbs, Verb::shift);
        proposed.sinks = seen.sinks.value.value_or(d.sinks);
        proposed.retained = seen.retained.value.value_or(d.retained);
    }
    /// A probe sees what is read back, and rows that come back as they went are no proof.
    void formats(LayerDeclaration const& d) {
        auto const unknown = Guess<StoredAs>::unknown(
            "no probe asks for it; where it is not f32, rounding seen elsewhere may be that of it");
        for (auto const& [name, format] :
             {std::pair{"keyFormat", &d.keyFormat}, std::pair{"valueFormat", &d.valueFormat},
              std::pair{"queryFormat", &d.queryFormat}})
            record<StoredAs>(at_ + name, unknown, [](StoredAs s) { return spelled(s); },
                             spelled(format->codec) +
                                 (format->rotation.size > 0 ? " behind a rotation" : ""),
                             [](StoredAs) { return false; });
    }
    void rotation(LayerDeclaration const& d, SeenLayer const& seen, LayerDeclaration& proposed);
    void scores(LayerDeclaration const& d, SeenLayer const& seen, LayerDeclaration& proposed);

    Inference& result_;
    Declaration const& declared_;
    std::string at_;
};

std::string layoutText(SeenLayout const& layout) {
    if (layout.halfSplit && layout.interleaved)
        return "halfSplit or interleaved, the same for one plane";
    return layout.none ? "none" : layout.halfSplit ? "halfSplit" : "interleaved";
}

/// The first position and plane at which two tables differ, among the positions of the first.
std::string firstDifference(SeenTable const& seen, LayerDeclaration const& d) {
    if (d.rotaryDim / 2 != seen.planes || d.cosine.size() < seen.cosine.size() ||
        d.sine.size() < seen.sine.size())
        return "a table of another shape";
    for (std::size_t i = 0; i < seen.cosine.size(); ++i)
        if (d.cosine[i] != seen.cosine[i] || d.sine[i] != seen.sine[i])
            return fmt::format("another angle at position {}, plane {}", i / seen.planes,
                               i % seen.planes);
    return "";
}

void Comparer::rotation(LayerDeclaration const& d, SeenLayer const& seen,
                        LayerDeclaration& proposed) {
    record<KeyStorage>(at_ + "keyStorage", seen.keyStorage,
                       [](KeyStorage s) { return spelled(s); }, spelled(d.keyStorage),
                       [&](KeyStorage s) { return s == d.keyStorage; });
    record<SeenLayout>(at_ + "rotaryLayout", seen.layout, layoutText, spelled(d.rotaryLayout),
                       [&](SeenLayout const& l) { return l.allows(d.rotaryLayout); });
    record<std::size_t>(at_ + "rotaryDim", seen.rotaryDim,
                        [](std::size_t n) { return std::to_string(n); },
                        std::to_string(d.rotaryDim),
                        [&](std::size_t n) { return n == d.rotaryDim; });
    bool const rotates = !(seen.layout && (*seen.layout).none);
    auto const other = seen.table ? firstDifference(*seen.table, d) : "";
    if (rotates)
        record<SeenTable>(at_ + "cosine, sine", seen.table,
                          [](SeenTable const& t) {
                              return fmt::format("{} positions of {} planes", t.positions(),
                                                 t.planes);
                          },
                          other.empty() ? "the same bits" : other,
                          [&](SeenTable const&) { return other.empty(); });
    proposed.keyStorage = seen.keyStorage.value.value_or(d.keyStorage);
    proposed.rotaryDim = seen.rotaryDim.value.value_or(d.rotaryDim);
    if (seen.layout && !(*seen.layout).allows(d.rotaryLayout))
        proposed.rotaryLayout = (*seen.layout).none        ? RotaryLayout::none
                                : (*seen.layout).halfSplit ? RotaryLayout::halfSplit
                                                           : RotaryLayout::interleaved;
    if (proposed.rotaryDim != d.rotaryDim || !rotates)
        proposed.cosine.clear(), proposed.sine.clear();
    // Positions behind those that were read back keep the engine's own word, if there is one.
    if (!seen.table || other.empty())
        return;
    auto const overwrite = [](std::vector<float>& column, std::vector<float> const& read) {
        column.resize(std::max(column.size(), read.size()));
        std::ranges::copy(read, column.begin());
    };
    overwrite(proposed.cosine, (*seen.table).cosine);
    overwrite(proposed.sine, (*seen.table).sine);
}

template <class Number>
std::string listed(std::vector<Number> const& numbers) {
    return numbers.empty() ? "none" : fmt::format("{:.9g}", fmt::join(numbers, " "));
}
std::string spelled(std::vector<Measured> const& measured) {
    std::vector<double> all;
    for (Measured const& m : measured)
        all.push_back(m.likely);
    return listed(all);
}
/// A finite number for each, however little a sink weighs.
std::vector<float> likeliest(std::vector<Measured> const& measured) {
    std::vector<float> all;
    for (Measured const& m : measured)
        all.push_back(std::max(float(m.likely), std::numeric_limits<float>::lowest()));
    return all;
}
bool weighNothing(std::vector<Measured> const& logits) {
    return std::ranges::all_of(logits, [](Measured const& m) { return std::isinf(m.low); });
}

void Comparer::scores(LayerDeclaration const& d, SeenLayer const& seen,
                      LayerDeclaration& proposed) {
    record<Measured>(at_ + "scale", seen.scale, [](Measured const& m) { return spelled(m); },
                     fmt::format("{:.9g}", d.scale),
                     [&](Measured const& m) { return m.holds(d.scale); });
    using Numbers = std::vector<Measured>;
    auto const isHeld = [](Numbers const& seenOnes, std::vector<float> const& declared) {
        return std::ranges::equal(seenOnes, declared,
                                  [](Measured const& m, float x) { return m.holds(double(x)); });
    };
    auto const holdsSlopes = [&](Numbers const& all) { return isHeld(all, d.slopes); };
    record<Numbers>(at_ + "slopes", seen.slopes,
                    [](Numbers const& all) { return spelled(all); }, listed(d.slopes),
                    holdsSlopes);
    // A sink that weighs nothing looks like none.
    auto const holdsLogits = [&](Numbers const& all) {
        return d.sinkLogits ? isHeld(all, *d.sinkLogits) : weighNothing(all);
    };
    record<Numbers>(at_ + "sinkLogits", seen.sinkLogits,
                    [](Numbers const& all) { return weighNothing(all) ? "none" : spelled(all); },
                    listed(d.sinkLogits.value_or(std::vector<float>{})), holdsLogits);
    if (seen.scale && !(*seen.scale).holds(d.scale))
        proposed.scale = (*seen.scale).likely;
    if (seen.slopes && !holdsSlopes(*seen.slopes))
        proposed.slopes = likeliest(*seen.slopes);
    if (!seen.sinkLogits || holdsLogits(*seen.sinkLogits))
        return;
    proposed.sinkLogits.reset();
    if (!weighNothing(*seen.sinkLogits))
        proposed.sinkLogits = likeliest(*seen.sinkLogits);
}

}  // namespace

Given givenBy(Declaration const& d) {
    Given given{d.sequences, d.capacity, {}};
    for (auto const& l : d.layers)
        given.layers.push_back({l.queryHeads, l.kvHeads, l.keyDim, l.valueDim});
    return given;
}

Seen probe(Candidate const& candidate, Setup const& setup, Given const& given) {
    Prober prober([&] { return candidate.make(setup); }, given);
    Seen seen;
    seen.layers.resize(given.layers.size());
    probeRows(prober, seen);
    for (std::size_t l = 0; l < given.layers.size(); ++l) {
        probeAttention(prober, l, seen.layers[l]);
        probeNumerics(prober, l, seen.layers[l]);
        probeForms(prober, l, seen.layers[l]);
        probeScores(prober, l, seen.layers[l]);
        seen.layers[l].conventions.push_back(unwrittenOf(candidate, setup, given, l));
    }
    return seen;
}

std::vector<Setup> setupsToInfer(Candidate const& candidate) {
    auto all = properties::setupsFor(candidate);
    std::erase_if(all, [](Setup const& setup) {
        return setup.fill != properties::fillsFor(setup.declaration).front();
    });
    return all;
}

Inference infer(Candidate const& candidate, Setup const& setup) {
    Inference result{.engine = candidate.name};
    Declaration const declared = candidate.make(setup)->declaration();
    result.given = givenBy(declared);
    result.declaration = declared;
    Seen const seen = probe(candidate, setup, result.given);
    Comparer comparer(result, declared);
    comparer.verbs(seen.verbs);
    for (auto const& convention : seen.conventions)
        comparer.add(convention, "");
    for (std::size_t l = 0; l < seen.layers.size(); ++l)
        comparer.layer(l, seen.layers[l]);
    fill(result.declaration, seen.layers);
    for (auto& finding : unseenNumerics())
        result.findings.push_back(std::move(finding));
    result.presets = commonPresets(seen.layers);
    return result;
}

std::vector<Inference> inferAll(Candidate const& candidate, std::optional<std::size_t> setup) {
    auto const setups = setupsToInfer(candidate);
    if (setup && (*setup == 0 || *setup > setups.size()))
        throw BadArgument(fmt::format("--setup {} is none; expected 1 to {}", *setup,
                                      setups.size()));
    std::vector<Inference> all;
    for (std::size_t i = 1; i <= setups.size(); ++i) {
        if (setup && *setup != i)
            continue;
        all.push_back(infer(candidate, setups[i - 1]));
        all.back().setup = i;
        all.back().setups = setups.size();
    }
    return all;
}

Exit exitOf(std::vector<Inference> const& all) {
    std::size_t inferred = 0, differing = 0;
    for (auto const& one : all) {
        inferred += one.inferred();
        differing += one.count(Comparison::differs);
    }
    return differing > 0 ? Exit::violated : inferred > 0 ? Exit::held : Exit::tooLittle;
}

}  // namespace kv::oracle

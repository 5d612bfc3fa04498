#include "oracle/verify.hpp"

#include "oracle/verify_parts.hpp"
#include "properties/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace kv::oracle {

namespace {

using detail::HeadWidth;
using detail::History;
using detail::Ledger;
using detail::Visit;

/// What a recording can speak about, in the order of the registry: rows, positions, outputs.
constexpr std::string_view recordedLaws[] = {"appendKV_length",
                                             "appendKV_last_key",
                                             "appendKV_last_value",
                                             "appendKV_prefix",
                                             "position_append_is_next",
                                             "position_storage_agrees",
                                             "heads_gqa_eq_repeated",
                                             "window_eq_masked_full",
                                             "fullAttention_causal",
                                             "prefill_eq_appends",
                                             "decodeWithCache_eq_fullAttention"};

/// Which of the two verbs' intervals a law rests on; neither for laws that compare no output.
struct Rests {
    bool onPrefill = false, onAppend = false;
};
Rests restsOf(std::string_view law) {
    if (law == "heads_gqa_eq_repeated" || law == "window_eq_masked_full")
        return {true, true};
    if (law == "fullAttention_causal" || law == "prefill_eq_appends")
        return {true, false};
    return {false, law == "decodeWithCache_eq_fullAttention"};
}

bool hidesKeys(LayerDeclaration const& layer) { return layer.window > 0 || layer.chunk; }

/// Whether a law that rests on outputs can have a place in a layer.
bool speaksOf(std::string_view law, LayerDeclaration const& layer) {
    if (law == "heads_gqa_eq_repeated")
        return layer.kvHeads < layer.queryHeads;
    return law != "window_eq_masked_full" || hidesKeys(layer);
}

std::string whyWithoutPlace(std::string_view law, RecordingFile const& recording) {
    auto const& layers = recording.declaration.layers;
    bool const hasWindow = std::ranges::any_of(layers, hidesKeys);
    if (law.starts_with("position_"))
        return "no layer rotates";
    if (law == "heads_gqa_eq_repeated")
        return "every query head has its own kv head";
    if (law == "window_eq_masked_full")
        return hasWindow ? "no window hides a row" : "no layer has a window";
    if (law == "fullAttention_causal" || law == "prefill_eq_appends")
        return "no update is a prefill of several tokens";
    if (law == "decodeWithCache_eq_fullAttention")
        return "no update is an append";
    return "no update has rows before it";
}

/// Attention over n rows costs n * n scores; a longer recording would never end.
constexpr std::size_t mostTokens = std::size_t{1} << 16;

/// The longest sequence of a recording. Throws BadInput where one cannot be.
std::size_t longestOf(RecordingFile const& recording) {
    std::size_t const most = std::min(recording.declaration.capacity, mostTokens);
    std::map<std::size_t, std::size_t> tokens;
    std::size_t longest = 0;
    for (auto const& update : recording.updates) {
        std::size_t const length = tokens[update.sequence] += std::min(update.count, most + 1);
        if (length > most)
            throw BadInput({recording.file, update.line},
                           fmt::format("count is {}, which makes sequence {} longer than {} "
                                       "tokens; expected at most that, by declaration.capacity "
                                       "and by what can be verified",
                                       update.count, update.sequence, most));
        longest = std::max(longest, length);
    }
    return longest;
}

/// Keys that turn after they were read stand in no tensor, unless they are those that were given.
void refuseConvertedRawKeys(RecordingFile const& recording) {
    auto const& layers = recording.declaration.layers;
    for (std::size_t l = 0; l < layers.size(); ++l) {
        bool const isRaw = layers[l].keyStorage == KeyStorage::raw &&
                           layers[l].rotaryLayout != RotaryLayout::none;
        auto const codec = layers[l].keyFormat.codec;
        if (isRaw && codec != StoredAs::f32)
            throw BadInput({recording.file, 1},
                           fmt::format("declaration.layers[{0}].keyFormat.codec is {1} and "
                                       "declaration.layers[{0}].keyStorage is raw; expected f32 "
                                       "or rotated, since no tensor holds keys that turned after "
                                       "they were read",
                                       l, oracle::nameOf(codec)));
    }
}

/// What the angles of a layer follow from.
struct Rotary {
    LayerTensors::Name frequencies{};
    double factor = 1;
    friend bool operator==(Rotary const&, Rotary const&) = default;
};

class Walk {
   public:
    Walk(RecordingFile const& recording, SafeTensors const& tensors, VerifyReport& report)
        : recording_(recording),
          tensors_(tensors),
          report_(report),
          ledger_(report),
          longest_(longestOf(recording)),
          widths_(recording.declaration.layers.size()) {
        for (std::size_t l = 0; l < widths_.size(); ++l) {
            widths_[l].resize(recording.declaration.layers[l].queryHeads);
            report.heads += widths_[l].size();
        }
    }

    void run() {
        std::size_t const layers = recording_.declaration.layers.size();
        for (std::size_t l = 0; l < layers; ++l)
            walkLayer(l);
        report_.layers = layers;
        report_.steps = recording_.updates.size();
        for (auto const& update : recording_.updates)
            report_.tokens += update.count;
        widen();
        conclude();
    }

   private:
    /// What the rows of a layer's angles may be. Neighbours are mostly alike.
    std::optional<detail::Angles> const& anglesOf(std::size_t layer) {
        auto const& names = recording_.frequencies;
        auto const& factors = recording_.attentionFactors;
        Rotary const rotary{names.empty() ? LayerTensors::Name() : names[layer],
                            factors.empty() ? 1 : factors[layer]};
        auto const& numerics = recording_.declaration.numericsOf(layer);
        if (rotary != rotary_ || &numerics != numerics_)
            angles_.reset();
        numerics_ = &numerics;
        rotary_ = rotary;
        if (rotary.frequencies && !angles_)
            angles_ = detail::anglesOf(tensors_.tensor(*rotary.frequencies).values, rotary.factor,
                                       longest_ + 1, numerics);
        return angles_;
    }

    /// One layer after the other, since layers do not meet, and each keeps its rows.
    void walkLayer(std::size_t layer) {
        std::map<std::size_t, History> sequences;
        auto const& angles = anglesOf(layer);
        for (std::size_t u = 0; u < recording_.updates.size(); ++u) {
            auto const& update = recording_.updates[u];
            History& history = sequences[update.sequence];
            Visit visit{recording_, tensors_, u, layer, history.values.rows.size()};
            if (visit.first == 0)
                shape(visit, history);
            detail::checkRows(visit, history, ledger_);
            detail::checkPositions(visit, history, angles, ledger_);
            detail::checkRotation(visit, history, ledger_);
            detail::checkAttention(visit, history, widths_[layer], ledger_);
        }
    }

    static void shape(Visit const& visit, History& history) {
        history.stored.shape = history.raw.shape = history.turned.shape = visit.keyShape();
        history.values.shape = visit.valueShape();
        history.queries.shape = history.rawQueries.shape = visit.queryShape();
        history.outputs.shape = visit.outputShape();
    }

    static Width widthOf(HeadWidth const& head, std::size_t verb) {
        if (!head.seen[verb])
            return {};
        double const rms = std::sqrt(head.squares / head.outputs);
        double const radius = head.radius[verb];
        return {radius, radius == 0 ? 0 : radius / rms, head.place[verb]};
    }

    /// The widest interval that a law rests on.
    Width widestOf(std::string_view law) const {
        Rests const rests = restsOf(law);
        Width widest;
        for (std::size_t l = 0; l < widths_.size(); ++l) {
            if (!speaksOf(law, recording_.declaration.layers[l]))
                continue;
            for (auto const& head : widths_[l])
                for (std::size_t verb = 0; verb < 2; ++verb) {
                    Width const width = widthOf(head, verb);
                    if ((verb == 0 ? rests.onPrefill : rests.onAppend) && width.place &&
                        !(width.relative <= widest.relative && widest.place))
                        widest = width;
                }
        }
        return widest;
    }

    /// The widest interval of all, and of each law that rests on outputs.
    void widen() {
        for (auto& law : report_.laws) {
            if (law.reached == 0)
                continue;
            Width const widest = widestOf(law.name);
            if (widest.place && !(widest.relative < 1))
                ledger_.vacuous(law.name,
                                fmt::format("the interval is {:.3g} times as wide as the data, at "
                                            "step {}, layer {}, query head {}: declare more",
                                            widest.relative, widest.place->step,
                                            widest.place->layer, *widest.place->head));
            if (widest.place && !(widest.relative <= report_.widest.relative &&
                                  report_.widest.place))
                report_.widest = widest;
        }
    }

    void conclude() {
        for (auto& law : report_.laws) {
            if (law.violations > 0)
                law.outcome = VerifyOutcome::violated;
            else if (law.reached > 0 && law.outcome == VerifyOutcome::notReachable)
                law.outcome = VerifyOutcome::held;
            if (law.places == 0)
                law.note = whyWithoutPlace(law.name, recording_);
        }
    }

    RecordingFile const& recording_;
    SafeTensors const& tensors_;
    VerifyReport& report_;
    Ledger ledger_;
    std::size_t longest_;
    Rotary rotary_;
    Numerics const* numerics_ = nullptr;
    std::optional<detail::Angles> angles_;  ///< of rotary_
    std::vector<std::vector<HeadWidth>> widths_;
};

}  // namespace

bool VerifyReport::holds() const {
    auto const is = [](VerifyOutcome outcome) {
        return [outcome](VerifiedLaw const& law) { return law.outcome == outcome; };
    };
    return std::none_of(laws.begin(), laws.end(), is(VerifyOutcome::violated)) &&
           std::none_of(laws.begin(), laws.end(), is(VerifyOutcome::vacuous)) &&
           std::any_of(laws.begin(), laws.end(), is(VerifyOutcome::held));
}

bool VerifyReport::reachesEnough() const {
    auto const isReached = [&](std::string_view name) {
        auto const* law = find(name);
        return law != nullptr && law->reached > 0;
    };
    return isReached("appendKV_last_key") && isReached("appendKV_last_value") &&
           isReached("appendKV_prefix") &&
           (isReached("prefill_eq_appends") || isReached("decodeWithCache_eq_fullAttention"));
}

VerifiedLaw const* VerifyReport::find(std::string_view law) const {
    auto const found = std::find_if(laws.begin(), laws.end(),
                                    [&](VerifiedLaw const& l) { return l.name == law; });
    return found == laws.end() ? nullptr : &*found;
}

VerifyReport verify(RecordingFile const& recording, SafeTensors const& tensors,
                    VerifyOptions const& options) {
    checkTensors(recording, tensors);
    refuseConvertedRawKeys(recording);
    VerifyReport report;
    report.trace = recording.file;
    report.tensors = tensors.file();
    report.engine = recording.declaration.engine;
    report.model = recording.model;
    report.command = fmt::format("{} {}", options.command, recording.file);
    for (std::string_view const name : recordedLaws) {
        auto& law = report.laws.emplace_back();
        law.name = name;
        law.sentence = properties::sentenceOf(law.name).value_or("");
    }
    withinMemory(tensors.file(), tensors.size(),
                 [&] { Walk(recording, tensors, report).run(); });
    return report;
}

namespace detail {

bool RowTable::knows(std::size_t first, std::size_t last) const {
    return last <= rows.size() &&
           std::none_of(rows.begin() + std::ptrdiff_t(first), rows.begin() + std::ptrdiff_t(last),
                        [](Row const& row) { return row.empty(); });
}

RecordedPlace Visit::place(std::string tensor) const {
    RecordedPlace place;
    place.step = update;
    place.line = line().line;
    place.sequence = line().sequence;
    place.layer = recording.layerIndices[layer];
    place.tensor = std::move(tensor);
    return place;
}

std::optional<RowTable> Visit::rows(LayerTensors::Name const& name,
                                    properties::RowShape shape) const {
    if (!name)
        return {};
    auto const tensor = tensors.tensor(*name);
    RowTable table{shape, {}};
    for (std::size_t i = 0; i < tensor.shape[0]; ++i) {
        auto const row = properties::rowAt(tensor.values, shape, i);
        table.rows.emplace_back(row.begin(), row.end());
    }
    return table;
}

VerifiedLaw& Ledger::lawOf(std::string_view name) {
    return *std::find_if(report_.laws.begin(), report_.laws.end(),
                         [&](VerifiedLaw const& law) { return law.name == name; });
}

void Ledger::add(std::string_view name, Finding const& finding) {
    VerifiedLaw& law = lawOf(name);
    ++law.places;
    for (std::string const& tensor : finding.missing)
        ++law.missing[tensor];
    if (!finding.missing.empty() && !finding.violation)
        return;
    ++law.reached;
    if (!finding.violation)
        return;
    ++law.violations;
    bool const isEarlier =
        !law.first || finding.violation->place.line < law.first->place.line;
    if (isEarlier)
        law.first = finding.violation;
}

void Ledger::note(std::string_view name, std::string text) {
    VerifiedLaw& law = lawOf(name);
    if (law.note.empty())
        law.note = std::move(text);
}

void Ledger::vacuous(std::string_view name, std::string why) {
    VerifiedLaw& law = lawOf(name);
    if (law.outcome == VerifyOutcome::vacuous)
        return;
    law.outcome = VerifyOutcome::vacuous;
    law.note = std::move(why);
}

bool sameBits(float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

bool sameBits(std::span<float const> a, std::span<float const> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](float x, float y) { return sameBits(x, y); });
}

std::size_t differentBits(std::span<float const> a, std::span<float const> b) {
    std::size_t bits = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        bits += static_cast<std::size_t>(std::popcount(std::bit_cast<std::uint32_t>(a[i]) ^
                                                       std::bit_cast<std::uint32_t>(b[i])));
    return bits;
}

std::string bitsText(float x) {
    return fmt::format("{} (0x{:08x})", x, std::bit_cast<std::uint32_t>(x));
}

std::optional<Difference> firstDifference(Row const& got, Row const& want,
                                          properties::RowShape shape) {
    for (std::size_t h = 0; h < shape.heads; ++h)
        for (std::size_t d = 0; d < shape.dim; ++d) {
            std::size_t const i = h * shape.dim + d;
            if (!sameBits(got[i], want[i]))
                return Difference{h, d, got[i], want[i]};
        }
    return {};
}

}  // namespace detail
}  // namespace kv::oracle

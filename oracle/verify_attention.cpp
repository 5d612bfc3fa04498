// verify_attention: an output lies in the interval of the spec's attention over the recorded rows.
//
// The queries and keys of a recording are taken after their rotation, so the spec's layer gets a
// position law that turns nothing and keeps its slopes. The rows are those that were given up to
// and including this update; what a query sees of them is decided by the spec's mask. So an output
// of a prefill that saw a later token is outside, and so is one that missed its oldest key.
//
// Where an output is outside, single heads are computed once more under plain accidents: another kv
// head, a window one key off, a row that is not seen, a stale value. The first that explains every
// component is named, and with it the law that speaks of it. An accident whose interval overlaps
// the right one everywhere would not have been seen by itself, so it explains nothing.
#include "oracle/verify_parts.hpp"
#include "properties/storing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace kv::oracle::detail {

namespace {

using properties::LiftedHeads;
using properties::LiftedLayer;

constexpr std::string_view decodeLaw = "decodeWithCache_eq_fullAttention";
constexpr std::string_view prefillLaw = "prefill_eq_appends";
constexpr std::string_view causalLaw = "fullAttention_causal";
constexpr std::string_view headsLaw = "heads_gqa_eq_repeated";
constexpr std::string_view windowLaw = "window_eq_masked_full";

/// One head's attention in another way than the spec's.
struct Variant {
    std::string what;
    std::string_view law;  ///< empty: no law is more specific than the verb's own
    std::size_t token = 0, queryHead = 0, kvHead = 0;
    std::vector<std::size_t> keys;    ///< rows whose keys are seen
    std::vector<std::size_t> values;  ///< rows whose values are taken, one per key
};
using TryVariant = std::function<bool(Variant const&)>;

class AttentionCheck {
   public:
    AttentionCheck(Visit const& visit, History& history, std::vector<HeadWidth>& widths,
                   Ledger& ledger)
        : visit_(visit),
          history_(history),
          widths_(widths),
          ledger_(ledger),
          layer_(properties::layerOf(visit.declared(), visit.numerics())) {
        layer_.position.layout = RotaryLayout::none;
    }

    void run() {
        auto const missing = whatIsMissing();
        Finding finding{missing, {}};
        std::string_view specific;
        for (std::size_t t = visit_.first; missing.empty() && t < visit_.total(); ++t) {
            auto const outputs = attention(t);
            ledger_.countInterval(visit_.outputShape().size());
            measure(t, outputs);
            for (std::size_t h = 0; !finding.violation && h < outputs.size(); ++h)
                finding.violation = compareHead(t, h, outputs[h], specific);
        }
        file(finding, specific);
    }

   private:
    bool isPrefill() const { return visit_.line().verb == Verb::prefill; }

    std::vector<std::string> whatIsMissing() const {
        std::vector<std::string> missing;
        if (!visit_.named().query)
            missing.push_back("query");
        if (!visit_.named().output)
            missing.push_back("output");
        auto const isUnknown = [](LiftedHeads const& row) { return row.size() == 0; };
        auto const anyUnknown = [&](std::vector<LiftedHeads> const& rows) {
            return std::any_of(rows.begin(), rows.end(), isUnknown);
        };
        if (anyUnknown(history_.liftedKeys))
            missing.push_back("key");
        if (anyUnknown(history_.liftedValues))
            missing.push_back("value");
        for (std::size_t t = visit_.first; missing.empty() && t < visit_.total(); ++t)
            if (!heldQuery(t).isReadable())
                missing.push_back("query in the declared format");
        return missing;
    }

    /// What is asked with; where the declared format gives nothing, as it was given.
    properties::HeldRow heldQuery(std::size_t t) const {
        auto const given = properties::lift(history_.queries.rows[t], visit_.queryShape(),
                                            visit_.numerics());
        return properties::queryStorageOf(visit_.declared(), visit_.numerics()).held(given);
    }
    LiftedHeads queryOf(std::size_t t) const { return heldQuery(t).exact; }

    /// The spec's text, over enclosures.
    LiftedHeads attention(std::size_t t) const {
        return attendRows(
            layer_, Position(t), queryOf(t),
            Rows{visit_.total(), [](std::size_t j) { return Position(j); },
                 [&](std::size_t j) -> auto const& { return history_.liftedKeys[j]; },
                 [&](std::size_t j) -> auto const& { return history_.liftedValues[j]; },
                 [&](Sight const& s) { return layer_.mask.sees(s); }});
    }

    void measure(std::size_t t, LiftedHeads const& outputs) {
        std::size_t const verb = isPrefill() ? 0 : 1, dim = visit_.declared().valueDim;
        for (std::size_t h = 0; h < outputs.size(); ++h) {
            HeadWidth& width = widths_[h];
            for (std::size_t d = 0; d < dim; ++d) {
                double const y = history_.outputs.rows[t][h * dim + d];
                double const radius = outputs[h][d].radius;
                width.squares += y * y;
                width.outputs += 1;
                if (width.seen[verb] && !(radius > width.radius[verb]))
                    continue;
                width.seen[verb] = true;
                width.radius[verb] = radius;
                width.place[verb] = place(t, h, d);
            }
        }
    }

    RecordedPlace place(std::size_t t, std::size_t head, std::size_t component) const {
        auto place = visit_.place(*visit_.named().output);
        place.row = t;
        place.head = head;
        place.component = component;
        return place;
    }

    float got(std::size_t t, std::size_t head, std::size_t d) const {
        return history_.outputs.rows[t][head * visit_.declared().valueDim + d];
    }

    std::optional<RecordedViolation> compareHead(std::size_t t, std::size_t head,
                                                 Vec<Enclosure, Dyn> const& want,
                                                 std::string_view& specific) {
        std::size_t outside = 0, first = want.size();
        for (std::size_t d = want.size(); d-- > 0;)
            if (!Agreement<float, Enclosure>::holds(got(t, head, d), want[d])) {
                ++outside;
                first = d;
            }
        if (outside == 0)
            return {};
        RecordedViolation v{place(t, head, first), {}, {}, {}};
        v.got = fmt::format("{}", got(t, head, first));
        v.want = fmt::format("[{}, {}]", nearestFloat(want[first].low()),
                             nearestFloat(want[first].high()));
        // Where one search found nothing, the outputs behind it would find nothing either.
        auto const variant =
            history_.isPuzzling ? std::optional<Variant>{} : explain(t, head, want);
        if (variant) {
            v.what = variant->what;
            specific = variant->law;
        } else {
            history_.isPuzzling = true;
            v.what = fmt::format("{} of {} components are outside of the interval, and no plain "
                                 "accident explains them",
                                 outside, want.size());
        }
        return v;
    }

    /// The spec's text for one head, its rows chosen by hand.
    Vec<Enclosure, Dyn> attentionUnder(Variant const& v) const {
        auto single = layer_;
        single.queryHeads = single.kvHeads = 1;
        if (layer_.position.slopes.size() != 0)
            single.position.slopes = tabulate(std::size_t{1}, [&](std::size_t) {
                return layer_.position.slopes[v.queryHead];
            });
        if (layer_.sinkLogits.size() != 0)
            single.sinkLogits = tabulate(
                std::size_t{1}, [&](std::size_t) { return layer_.sinkLogits[v.queryHead]; });
        auto const one = [&](LiftedHeads const& row, std::size_t head) {
            return tabulate(std::size_t{1}, [&](std::size_t) { return row[head]; });
        };
        auto const rows = [&](auto const& lifted, std::vector<std::size_t> const& indices) {
            return tabulate(indices.size(),
                            [&](std::size_t j) { return one(lifted[indices[j]], v.kvHead); });
        };
        auto const keys = rows(history_.liftedKeys, v.keys);
        auto const values = rows(history_.liftedValues, v.values);
        return attendRows(
            single, Position(v.token), one(queryOf(v.token), v.queryHead),
            Rows{v.keys.size(), [&](std::size_t j) { return Position(v.keys[j]); },
                 [&](std::size_t j) -> auto const& { return keys[j]; },
                 [&](std::size_t j) -> auto const& { return values[j]; },
                 [](Sight const&) { return true; }})[0];
    }

    bool fits(std::size_t t, std::size_t head, Variant const& v,
              Vec<Enclosure, Dyn> const& right) const {
        if (v.keys.empty())
            return false;
        bool isDistinct = false;
        auto const wrong = attentionUnder(v);
        for (std::size_t d = 0; d < wrong.size(); ++d) {
            if (wrong[d].isUndefined() ||
                !Agreement<float, Enclosure>::holds(got(t, head, d), wrong[d]))
                return false;
            isDistinct = isDistinct || wrong[d].low() > right[d].high() ||
                         wrong[d].high() < right[d].low();
        }
        return isDistinct;
    }

    std::vector<std::size_t> visibleTo(std::size_t t) const {
        std::vector<std::size_t> shown;
        for (std::size_t j = 0; j < visit_.total(); ++j)
            if (layer_.mask.sees({.query = Position(t), .key = Position(j), .index = j}))
                shown.push_back(j);
        return shown;
    }

    std::optional<Variant> explain(std::size_t t, std::size_t head,
                                   Vec<Enclosure, Dyn> const& right) const {
        std::optional<Variant> found;
        TryVariant const isIt = [&](Variant const& variant) {
            if (!fits(t, head, variant, right))
                return false;
            found = variant;
            return true;
        };
        Variant const spec{{}, {}, t, head,
                           kvHead(head, layer_.queryHeads, layer_.kvHeads),
                           visibleTo(t), visibleTo(t)};
        tryHeads(spec, isIt) || tryMasks(spec, isIt) || tryRows(spec, isIt) ||
            tryQueries(spec, isIt);
        return found;
    }

    bool tryHeads(Variant const& spec, TryVariant const& isIt) const {
        for (std::size_t g = 0; g < layer_.kvHeads; ++g) {
            Variant v = spec;
            v.kvHead = g;
            v.law = headsLaw;
            v.what = fmt::format("query head {} reads kv head {} instead of {}", spec.queryHead, g,
                                 spec.kvHead);
            if (g != spec.kvHead && isIt(v))
                return true;
        }
        return false;
    }

    bool tryMasks(Variant const& spec, TryVariant const& isIt) const {
        auto const& shown = spec.keys;
        auto const sees = [&](std::vector<std::size_t> rows, std::string_view law,
                              std::string what) {
            Variant v = spec;
            v.keys = v.values = std::move(rows);
            v.law = law;
            v.what = std::move(what);
            return isIt(v);
        };
        auto const without = [&](std::size_t k) {
            auto rows = shown;
            rows.erase(rows.begin() + std::ptrdiff_t(k));
            return rows;
        };
        // Behind the sinks the window begins.
        std::size_t const sinks = std::min<std::size_t>(layer_.mask.sinks, shown.size() - 1);
        for (std::size_t const k : {std::size_t{0}, sinks})
            if (sees(without(k), windowLaw,
                     fmt::format("row {}, the oldest that it may see, is not seen{}", shown[k],
                                 hasWindow() ? ": the window is one key short" : "")))
                return true;
        for (std::size_t j = 0; j < spec.token; ++j) {
            auto rows = shown;
            rows.push_back(j);
            if (std::find(shown.begin(), shown.end(), j) == shown.end() &&
                sees(rows, windowLaw, fmt::format("row {}, which the window hides, is seen", j)))
                return true;
        }
        if (sees(without(shown.size() - 1), {},
                 fmt::format("row {}, the newest, is not seen", spec.token)))
            return true;
        auto rows = shown;
        for (std::size_t last = spec.token + 1; last < visit_.total(); ++last) {
            rows.push_back(last);
            if (sees(rows, causalLaw,
                     fmt::format("later rows up to {} are seen: the mask is not causal", last)))
                return true;
        }
        return false;
    }

    bool tryRows(Variant const& spec, TryVariant const& isIt) const {
        for (std::size_t k = 0; k < spec.keys.size(); ++k) {
            Variant v = spec;
            v.keys.erase(v.keys.begin() + std::ptrdiff_t(k));
            v.values = v.keys;
            v.what = fmt::format("row {} is not seen", spec.keys[k]);
            if (isIt(v))
                return true;
            for (std::size_t other = 0; other < spec.keys.size(); ++other) {
                std::size_t const source = spec.keys[other];
                bool const isNear = other + 1 == k || k + 1 == other;
                if (other == k || !(isNear || k + 1 == spec.keys.size()))
                    continue;
                for (bool const isValueOnly : {false, true}) {
                    v = spec;
                    v.values[k] = source;
                    if (!isValueOnly)
                        v.keys[k] = source;
                    v.what = fmt::format("{} of row {} is read in the place of row {}",
                                         isValueOnly ? "the value" : "the content", source,
                                         spec.keys[k]);
                    if (isIt(v))
                        return true;
                }
            }
        }
        return false;
    }

    bool tryQueries(Variant const& spec, TryVariant const& isIt) const {
        Variant v = spec;
        for (std::size_t h = 0; h < layer_.queryHeads; ++h) {
            v.queryHead = h;
            for (std::size_t g : {spec.kvHead, kvHead(h, layer_.queryHeads, layer_.kvHeads)}) {
                v.kvHead = g;
                v.what = fmt::format("it answers query head {}", h);
                if (h != spec.queryHead && isIt(v))
                    return true;
            }
        }
        v = spec;
        for (std::size_t t = 0; t < visit_.total(); ++t) {
            if (t == spec.token || history_.queries.rows[t].empty())
                continue;
            v.token = t;
            v.what = fmt::format("it answers the query of token {}", t);
            if (isIt(v))
                return true;
            v.keys = v.values = visibleTo(t);
            v.what = fmt::format("it is the output of token {}", t);
            if (isIt(v))
                return true;
            v = spec;
        }
        return false;
    }

    /// Under the verb's own law, and under the laws that the same numbers speak for.
    void file(Finding const& finding, std::string_view specific) {
        ledger_.add(isPrefill() ? prefillLaw : decodeLaw, finding);
        Finding const otherwise{{"a right output"}, {}};
        auto const add = [&](std::string_view law) {
            bool const isOther = finding.violation && specific != law;
            ledger_.add(law, isOther ? otherwise : finding);
        };
        if (isPrefill() && visit_.line().count > 1)
            add(causalLaw);
        if (visit_.declared().kvHeads < visit_.declared().queryHeads)
            add(headsLaw);
        auto const& d = visit_.declared();
        bool const hidesRows = visit_.total() > d.chunk.value_or(d.window + d.sinks);
        if (hasWindow() && (hidesRows || specific == windowLaw))
            add(windowLaw);
    }
    bool hasWindow() const { return visit_.declared().window > 0 || visit_.declared().chunk; }

    Visit const& visit_;
    History& history_;
    std::vector<HeadWidth>& widths_;
    Ledger& ledger_;
    LiftedLayer layer_;
};

}  // namespace

void checkAttention(Visit const& visit, History& history, std::vector<HeadWidth>& widths,
                    Ledger& ledger) {
    AttentionCheck(visit, history, widths, ledger).run();
}

}  // namespace kv::oracle::detail

#include "judge.hpp"

#include "append.hpp"
#include "attention.hpp"
#include "capacity.hpp"
#include "decode.hpp"
#include "evict.hpp"
#include "fork.hpp"
#include "heads.hpp"
#include "invariance.hpp"
#include "layers.hpp"
#include "live.hpp"
#include "position.hpp"
#include "prefill.hpp"
#include "release.hpp"
#include "remove.hpp"
#include "reorder.hpp"
#include "rollback.hpp"
#include "save.hpp"
#include "share.hpp"
#include "sink.hpp"
#include "spelling.hpp"
#include "step.hpp"
#include "storing.hpp"
#include "subject.hpp"
#include "window.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cstring>
#include <deque>
#include <set>

namespace kv::properties {

namespace {

std::string number(double x) { return fmt::format("{:.9g}", x); }
std::string wanted(Observed const& seen) { return number(seen.value); }
std::string wanted(Enclosure const& e) {
    float const low = nearestFloat(e.low()), high = nearestFloat(e.high());
    return low == high ? number(low) : fmt::format("[{}, {}]", number(low), number(high));
}

/// The rows of one stored token, as the cache holds them.
struct PoolRow {
    struct InLayer {
        HeldRow key, value;
        double largestValue;
    };
    std::vector<InLayer> layers;
};

/// A handle to a PoolRow: what the spec's cache holds in place of rows.
using RowId = std::size_t;
using HandleCache = Cache<RowId, RowId, Dyn>;

/// The spec's side of a trace: one cache of handles per sequence, and the rows behind them.
class Model {
   public:
    explicit Model(Declaration const& declaration)
        : declaration_(declaration),
          caches_(declaration.sequences),
          saved_(declaration.sequences) {
        queries_.reserve(declaration.layers.size());
        for (std::size_t l = 0; l < declaration.layers.size(); ++l) {
            auto const& d = declaration.layers[l];
            queries_.push_back(queryStorageOf(d, declaration.numericsOf(l)));
            layers_.push_back(storingLayer(d, declaration.numericsOf(l), nullptr, &queries_[l]));
            keys_.push_back(keyStorageOf(d, declaration.numericsOf(l)));
            values_.push_back(valueStorageOf(d, declaration.numericsOf(l)));
        }
    }

    Model(Model const&) = delete;  // its layers refer to its formats of queries
    Model& operator=(Model const&) = delete;

    HandleCache& operator[](SequenceId s) { return caches_.at(s); }
    void reorderBy(std::vector<SequenceId> const& parents) {
        auto const each = [](auto const& all) {
            return tabulate(all.size(), [&](std::size_t s) { return all[s]; });
        };
        auto const now = reorder(each(caches_), each(parents));
        for (SequenceId s = 0; s < caches_.size(); ++s) caches_[s] = now[s];
    }
    void saveOf(SequenceId s) { saved_.at(s) = save(caches_.at(s)).copy; }
    void restoreBy(Step const& s) { caches_.at(s.to) = restore(saved_.at(s.sequence)); }
    PoolRow::InLayer const& row(RowId id, std::size_t l) const { return pool_[id].layers[l]; }
    Storage const& keys(std::size_t l) const { return keys_[l]; }
    Storage const& values(std::size_t l) const { return values_[l]; }

    void append(SequenceId s, Tokens const& token) {
        PoolRow row;
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            auto const& numerics = declaration_.numericsOf(l);
            auto const key = lift(token.layers[l].keys, keys_[l].shape(), numerics);
            auto const value = lift(token.layers[l].values, values_[l].shape(), numerics);
            row.layers.push_back(
                {keys_[l].held(storedKey(layers_[l].position, key, caches_[s].next),
                               leavesTurnsOpen(declaration_.layers[l], numerics)),
                 values_[l].held(value), 0});
            auto& held = row.layers.back();
            for (float v : held.value.read)
                held.largestValue = std::max(held.largestValue, double(std::abs(v)));
        }
        caches_[s] = appendKV(caches_[s], pool_.size(), pool_.size());
        pool_.push_back(std::move(row));
    }
    /// Positions move; rows that are stored rotated become new rows.
    void shiftBy(SequenceId s, Position by) {
        caches_[s] = movePositions(caches_[s], by);
        for (std::size_t i = 0; i < caches_[s].length(); ++i) {
            PoolRow row = pool_[caches_[s].keys[i]];
            for (std::size_t l = 0; l < layers_.size(); ++l) {
                auto const& d = declaration_.layers[l];
                if (!storesTurned(d)) continue;
                auto& key = row.layers[l].key;
                key = keys_[l].heldAgain(
                    key, rotateRow(layers_[l].position, key.exact, by),
                    [&](std::size_t lane) { return by != 0 && lane < d.rotaryDim; });
            }
            caches_[s].keys[i] = caches_[s].values[i] = pool_.size();
            pool_.push_back(std::move(row));
        }
    }
    /// Whether the declaration says what attention over this sequence reads. A row out of sight
    /// may be read and multiplied by 0.
    bool isReadable(SequenceId s, std::size_t l) const {
        for (std::size_t i = 0; i < caches_[s].length(); ++i) {
            auto const& held = row(caches_[s].keys[i], l);
            if (!held.key.isReadable() || !held.value.isReadable()) return false;
        }
        return true;
    }
    /// The largest value among the first `rows` rows: a wider interval says nothing.
    double largestValue(SequenceId s, std::size_t l, std::size_t rows) const {
        double largest = 0;
        for (std::size_t j = 0; j < rows; ++j)
            largest = std::max(largest, row(caches_[s].values[j], l).largestValue);
        return largest;
    }
    /// The spec's attention over the first `rows` rows, asked from the last of them. Throws
    /// NoStoredRow where the declared format gives no query.
    LiftedHeads attention(SequenceId s, std::size_t l, std::size_t rows,
                          LiftedHeads const& query) const {
        HandleCache const& c = caches_[s];
        auto const& law = layers_[l].position;
        auto const keys = tabulate(law.storage == KeyStorage::raw ? rows : 0, [&](std::size_t j) {
            return seenKey(law, row(c.keys[j], l).key.exact, c.positions[j]);
        });
        return attendRows(layers_[l], c.positions[rows - 1], query,
                          Rows{rows, [&](std::size_t j) { return c.positions[j]; },
                               [&](std::size_t j) -> auto const& {
                                   return keys.size() > 0 ? keys[j] : row(c.keys[j], l).key.exact;
                               },
                               [&](std::size_t j) -> auto const& {
                                   return row(c.values[j], l).value.exact;
                               },
                               [&](Sight const& at) { return layers_[l].mask.sees(at); }});
    }

   private:
    Declaration const& declaration_;
    std::vector<Storage> queries_;
    std::vector<StoringLayer> layers_;
    std::vector<Storage> keys_, values_;
    std::vector<HandleCache> caches_, saved_;
    std::vector<PoolRow> pool_;
};

/// One run of one trace.
class Run {
   public:
    Run(AnyEngine& engine, Trace const& trace, Coverage& coverage, std::vector<Call>* calls)
        : engine_(engine),
          calls_(calls),
          declaration_(engine.declaration()),
          trace_(trace),
          coverage_(coverage),
          source_(declaration_, trace.values),
          state_(declaration_),
          model_(declaration_) {}

    std::optional<Violation> judged() {
        ++coverage_.cases;
        for (step_ = 0; step_ < trace_.steps.size() && !violation_; ++step_) {
            Step const& step = trace_.steps[step_];
            ++coverage_.steps;
            if (step_ > 0) {
                Verb const before = trace_.steps[step_ - 1].verb;
                ++coverage_.pairs[std::size_t(before)][std::size_t(step.verb)];
            }
            run(step);
        }
        if (!violation_) compareOldReadBacks();
        if (exactHere_ > 0) ++coverage_.casesWithProbe;
        return std::move(violation_);
    }

   private:
    void run(Step const& step) {
        Permission const permission = state_.permission(step);
        Tokens const tokens = tokensFor(step, declaration_, state_, source_);
        Outputs outputs;
        // What an engine has filled stays where it is: a later verb must not reach it any more.
        Content& content = readBacks_.emplace_back(ReadBack{{}, {}, step.sequence}).seen;
        Answer const answer = play(engine_, step, tokens, outputs, content);
        if (step.verb != Verb::observe || !answer) readBacks_.pop_back();
        if (!answer) ++coverage_.refusals;
        if (!answer && permission == Permission::mustAccept)
            return convict("capacity_refuses_unchanged", Instrument::permission,
                           "refused: " + answer.why(), "accepted");
        if (answer && permission == Permission::mustRefuse)
            return convict("capacity_refuses_unchanged", Instrument::permission, "accepted",
                           "refused, nothing changed");
        if (!answer) return;
        if (calls_)
            calls_->push_back(
                {step_, step, tokens, outputs, step.verb == Verb::observe ? content : Content{}});
        follow(step, tokens);
        state_.apply(step);
        if (step.verb == Verb::observe) {
            readBacks_.back().kept = content;
            compareContent(step.sequence, content);
        }
        if (step.verb == Verb::attend || step.verb == Verb::prefill)
            compareOutputs(step.sequence, tokens, outputs, tokensAsked(step));
        if (step.verb == Verb::step) compareBatch(step, tokens, outputs);
    }

    /// The spec takes the same step.
    void follow(Step const& s, Tokens const& tokens) {
        switch (s.verb) {
            case Verb::append:
            case Verb::prefill:
                for (std::size_t i = 0; i < s.count; ++i)
                    model_.append(s.sequence, tokenAt(tokens, i));
                break;
            case Verb::step:
                for (std::size_t first = 0; auto const& [sequence, count] : s.batch)
                    for (std::size_t i = 0; i < count; ++i)
                        model_.append(sequence, tokenAt(tokens, first++));
                break;
            case Verb::rollback:
                model_[s.sequence] = rollback(model_[s.sequence], s.length);
                break;
            case Verb::fork: model_[s.to] = fork(model_[s.sequence]).child; break;
            case Verb::evict: model_[s.sequence] = evict(model_[s.sequence], s.count); break;
            case Verb::remove:
                model_[s.sequence] = kv::remove(model_[s.sequence], RowSpan{s.first, s.count});
                break;
            case Verb::shift: model_.shiftBy(s.sequence, s.delta); break;
            case Verb::release: model_[s.sequence] = {}; break;
            case Verb::reorder: model_.reorderBy(s.parents); break;
            case Verb::save: model_.saveOf(s.sequence); break;
            case Verb::restore: model_.restoreBy(s); break;
            case Verb::keep:
            case Verb::reset:
                for (SequenceId q = 0; q < declaration_.sequences; ++q)
                    if (s.verb == Verb::reset || q != s.sequence) model_[q] = {};
                break;
            case Verb::attend:
            case Verb::observe: break;
        }
    }
    void compareContent(SequenceId s, Content const& seen) {
        HandleCache const& c = model_[s];
        auto const at = [&](char const* what) { return fmt::format("sequence {}, {}", s, what); };
        if (seen.length != c.length())
            return differ(at("length"), std::to_string(seen.length), std::to_string(c.length()));
        if (seen.nextPosition != c.next)
            return differ(at("next position"), std::to_string(seen.nextPosition),
                          std::to_string(c.next));
        if (seen.layers.size() != declaration_.layers.size())
            return differ(at("layers"), std::to_string(seen.layers.size()),
                          std::to_string(declaration_.layers.size()));
        for (std::size_t l = 0; l < seen.layers.size() && !violation_; ++l)
            compareLayer(s, l, seen.layers[l]);
    }

    /// Whether the newest row sees row i.
    static bool isVisible(LayerDeclaration const& d, HandleCache const& c, std::size_t i) {
        return d.window == 0 || i < d.sinks ||
               c.positions[lastIndex(c)] - c.positions[i] < Position(d.window);
    }

    void compareLayer(SequenceId s, std::size_t l, LayerContent const& seen) {
        auto const& d = declaration_.layers[l];
        HandleCache const& c = model_[s];
        std::size_t const rows = seen.positions.size();
        std::size_t const keyWidth = d.kvHeads * d.keyDim, valueWidth = d.kvHeads * d.valueDim;
        auto const at = [&](std::string const& what) {
            return fmt::format("sequence {}, layer {}, {}", s, l, what);
        };
        if (seen.keys.size() != rows * keyWidth || seen.values.size() != rows * valueWidth)
            return differ(at("numbers read back"),
                          fmt::format("{} and {}", seen.keys.size(), seen.values.size()),
                          fmt::format("{} and {}", rows * keyWidth, rows * valueWidth));
        if (!compareCodeCounts(at, seen.keyCodes, rows, model_.keys(l), "key") ||
            !compareCodeCounts(at, seen.valueCodes, rows, model_.values(l), "value"))
            return;
        std::size_t r = 0;
        for (std::size_t i = 0; i < c.length() && !violation_; ++i) {
            bool const isHeld = r < rows && seen.positions[r] == c.positions[i];
            if (!isHeld) {
                if (d.retained == 0 || isVisible(d, c, i))
                    return differ(at(fmt::format("row {}", i)),
                                  r < rows ? fmt::format("position {}", seen.positions[r])
                                           : std::string("no row"),
                                  fmt::format("position {}", c.positions[i]));
                continue;
            }
            auto const& row = model_.row(c.keys[i], l);
            auto const named = [&](char const* part) {
                return [&at, part, i] { return at(fmt::format("{} row {}", part, i)); };
            };
            compareRow(named("key"), d.keyDim, &seen.keys[r * keyWidth], row.key);
            compareCodes(named("key"), seen.keyCodes, r, row.key, model_.keys(l));
            compareRow(named("value"), d.valueDim, &seen.values[r * valueWidth], row.value);
            compareCodes(named("value"), seen.valueCodes, r, row.value, model_.values(l));
            ++r;
            ++coverage_.rows;
        }
        if (!violation_ && r < rows)
            differ(at(fmt::format("row {}", c.length())),
                   fmt::format("a row at position {}", seen.positions[r]), "no row");
    }

    /// Bit for bit, except in an open row; then within what it may be. Of what a format made of a
    /// row, any NaN is as good as another.
    void compareRow(auto const& where, std::size_t dim, float const* seen, HeldRow const& want) {
        if (want.isUndefined) return void(++coverage_.undefinedRows);
        for (std::size_t e = 0; e < want.read.size() && !violation_; ++e) {
            auto const& open = want.exact[e / dim][e % dim];
            bool const isNaN = want.codes && std::isnan(want.read[e]) && std::isnan(seen[e]);
            bool const agrees = want.isOpen || want.hasOpenZeros
                                    ? Agreement<float, Enclosure>::holds(seen[e], open)
                                    : isNaN || std::bit_cast<std::uint32_t>(seen[e]) ==
                                                   std::bit_cast<std::uint32_t>(want.read[e]);
            if (agrees) continue;
            auto const code = want.codes ? fmt::format(", code {}", want.codes->codes[e]) : "";
            differ(fmt::format("{}, head {}, component {}", where(), e / dim, e % dim),
                   content(seen[e]), want.isOpen ? wanted(open) : content(want.read[e]) + code);
        }
    }

    /// An engine that shows codes shows all of them.
    bool compareCodeCounts(auto const& at, StoredCodes const& seen, std::size_t rows,
                           Storage const& storage, char const* part) {
        if (seen == StoredCodes{}) return true;
        bool const isConverted = kv::isConverted(storage.format());
        auto const& codec = codecOf(storage.format().codec);
        std::size_t const elements = isConverted ? rows * storage.shape().size() : 0;
        std::size_t const groups = elements / storage.group();
        auto const count = [&](char const* what, std::size_t got, std::size_t want) {
            if (got != want)
                differ(at(fmt::format("{} {} read back", part, what)), std::to_string(got),
                       std::to_string(want));
        };
        count("codes", seen.codes.size(), elements);
        // Given scales stand in the declaration already.
        if (codec.scale != ScaleRule::given || !seen.scales.empty())
            count("scales", seen.scales.size(), codec.scale == ScaleRule::none ? 0 : groups);
        count("zeros", seen.zeros.size(), codec.scale == ScaleRule::span ? groups : 0);
        return !violation_;
    }

    /// Codes, scales and zeros of one row, each bit for bit; codes of NaN are all alike.
    void compareCodes(auto const& where, StoredCodes const& seen, std::size_t r,
                      HeldRow const& want, Storage const& storage) {
        if (seen == StoredCodes{} || !want.codes || want.isUndefined) return;
        std::size_t const dim = storage.shape().dim, group = storage.group();
        auto const each = [&](char const* what, auto const& got, auto const& wanted,
                              std::size_t size) {
            for (std::size_t i = 0; i < wanted.size() && !violation_; ++i) {
                auto const code = got[r * wanted.size() + i];
                std::size_t const element = i * size;
                if (code == wanted[i] || (size == 1 && std::isnan(want.read[i]) &&
                                          standsForNaN(storage, std::int64_t(code))))
                    continue;
                if (want.hasOpenZeros && isZero(storage, what, std::int64_t(code)) &&
                    isZero(storage, what, std::int64_t(wanted[i])))
                    continue;
                differ(fmt::format("{}, head {}, component {}, {}", where(), element / dim,
                                   element % dim, what),
                       std::to_string(code), std::to_string(wanted[i]));
            }
        };
        each("code", seen.codes, want.codes->codes, 1);
        if (!seen.scales.empty()) each("scale", seen.scales, want.codes->scales, group);
        each("zero", seen.zeros, want.codes->zeros, group);
    }
    /// Whether a code, or a scale, of floating point is 0 or -0.
    static bool isZero(Storage const& storage, std::string_view what, std::int64_t code) {
        auto const& codec = codecOf(storage.format().codec);
        auto const* element = std::get_if<Format>(&codec.element);
        auto const* format = what == "scale" ? &codec.scaleFormat
                             : what == "code" ? element
                                              : nullptr;
        return format != nullptr && code >= 0 && code < std::int64_t(format->codes()) &&
               decode(*format, std::uint64_t(code)).isZero();
    }
    static bool standsForNaN(Storage const& storage, std::int64_t code) {
        auto const* format = std::get_if<Format>(&codecOf(storage.format().codec).element);
        return format != nullptr && code >= 0 && code < std::int64_t(format->codes()) &&
               decode(*format, std::uint64_t(code)).kind == Kind::notANumber;
    }
    std::string content(float x) const {
        auto const from = trace_.values.family == Family::painted ? provenance(declaration_, x)
                                                                  : std::nullopt;
        return number(x) + (from ? " (" + *from + ")" : "");
    }

    /// Each item of a batch against its own sequence; one without tokens has nothing to compare.
    void compareBatch(Step const& step, Tokens const& tokens, Outputs const& outputs) {
        if (outputs.size() != declaration_.layers.size())
            return differ(sequencesOf(step) + ", outputs", "not as many as tokens, item by item",
                          "one of each token");
        std::size_t first = 0;
        for (auto const& [sequence, count] : step.batch) {
            if (violation_) return;
            compareOutputs(sequence, tokensAt(tokens, {first, count}),
                           outputsAt(outputs, tokens.count, {first, count}), count);
            first += count;
        }
    }
    void compareOutputs(SequenceId s, Tokens const& tokens, Outputs const& outputs,
                        std::size_t count) {
        std::size_t const n = model_[s].length();
        for (std::size_t l = 0; l < declaration_.layers.size() && !violation_; ++l) {
            auto const& d = declaration_.layers[l];
            RowShape const shape{d.queryHeads, d.valueDim};
            if (outputs.size() != declaration_.layers.size() ||
                outputs[l].size() != count * shape.size())
                return differ(fmt::format("sequence {}, layer {}, outputs", s, l),
                              std::to_string(outputs.size() > l ? outputs[l].size() : 0),
                              std::to_string(count * shape.size()));
            if (n == 0) {
                compareEmptyRow({s, l, 0}, outputs[l]);
                continue;
            }
            if (!model_.isReadable(s, l)) {
                coverage_.outputs += outputs[l].size();
                coverage_.undefinedOutputs += outputs[l].size();
                continue;
            }
            for (std::size_t i = 0; i < count && !violation_; ++i) {
                auto const query = lift(
                    rowAt(tokens.layers[l].queries, {d.queryHeads, d.keyDim}, i),
                    {d.queryHeads, d.keyDim}, declaration_.numericsOf(l));
                largestHere_ = model_.largestValue(s, l, n - count + i + 1);
                try {
                    auto const want = model_.attention(s, l, n - count + i + 1, query);
                    compareOutput({s, l, n - count + i}, rowAt(outputs[l], shape, i), want);
                } catch (NoStoredRow const&) {
                    coverage_.outputs += shape.size();
                    coverage_.undefinedOutputs += shape.size();
                }
            }
        }
    }
    struct OutputRow {
        SequenceId sequence;
        std::size_t layer, row;
    };
    /// What attention over no row gives, where it is promised: a zero of either sign, or no number.
    /// A sink alone takes all of the weight, which gives 0 unless a kernel meets its own -inf.
    void compareEmptyRow(OutputRow const& at, std::vector<float> const& got) {
        auto const& d = declaration_.layers[at.layer];
        bool const isZero = declaration_.promised().emptyRow == EmptyRow::zero;
        std::size_t const dim = d.valueDim;
        coverage_.outputs += got.size();
        for (std::size_t i = 0; i < got.size() && !violation_; ++i)
            if (!(got[i] == 0 && (isZero || d.sinkLogits)) && !(std::isnan(got[i]) && !isZero))
                differ(fmt::format("sequence {}, layer {}, no row, query head {}, component {}",
                                   at.sequence, at.layer, i / dim, i % dim),
                       number(got[i]), isZero ? "0" : "not a number");
    }
    void compareOutput(OutputRow const& at, std::span<float const> got, LiftedHeads const& want) {
        for (std::size_t h = 0; h < want.size(); ++h)
            for (std::size_t e = 0; e < want[h].size() && !violation_; ++e) {
                Enclosure const& right = want[h][e];
                float const left = got[h * want[h].size() + e];
                bool const isExact = single(right);
                ++coverage_.outputs;
                if (right.isOverflowed()) ++coverage_.undefinedOutputs;
                else if (width(right) > largestHere_) ++coverage_.vacuousOutputs;
                coverage_.exactOutputs += isExact;
                exactHere_ += isExact;
                if (Agreement<float, Enclosure>::holds(left, right)) continue;
                convict("trace_eq_spec", isExact ? Instrument::exact : Instrument::bounded,
                        number(left), wanted(right));
                violation_->where =
                    fmt::format("sequence {}, layer {}, row {}, query head {}, component {}",
                                at.sequence, at.layer, at.row, h, e);
            }
    }

    /// What was read back long ago has not changed since.
    void compareOldReadBacks() {
        for (auto const& old : readBacks_)
            if (!(old.kept == old.seen))
                return differ(fmt::format("sequence {}, an old read-back", old.sequence),
                              "another content", "what it was when it was read");
    }

    void differ(std::string const& where, std::string const& got, std::string const& want) {
        if (violation_) return;
        convict("trace_eq_spec", Instrument::exact, got, want);
        violation_->where = where;
    }
    void convict(std::string const& law, Instrument instrument, std::string const& got,
                 std::string const& want) {
        Step const& step = trace_.steps[std::min(step_, trace_.steps.size() - 1)];
        violation_ = Violation{.law = law,
                               .sentence = *sentenceOf(law),
                               .instrument = instrument,
                               .step = step_,
                               .where = sequencesOf(step),
                               .got = got,
                               .want = want,
                               .trace = trace_};
    }

    struct ReadBack {
        Content seen, kept;
        SequenceId sequence;
    };
    AnyEngine& engine_;
    std::vector<Call>* calls_;  // those that were accepted, if anybody asks
    Declaration const& declaration_;
    Trace const& trace_;
    Coverage& coverage_;
    ValueSource source_;
    State state_;
    Model model_;
    std::size_t step_ = 0;
    std::size_t exactHere_ = 0;
    double largestHere_ = 0;
    std::deque<ReadBack> readBacks_;
    std::optional<Violation> violation_;
};

/// Turning by tables of 0, 1 and -1 composes exactly; other tables are rounded, and do not. Nothing
/// where it does.
char const* whyTurnsDoNotCompose(LayerDeclaration const& layer) {
    if (layer.rotaryLayout == RotaryLayout::none) return "";
    if (convertsTurned(layer)) return "a turned key is converted, so turning it again is not exact";
    if (isConverted(layer.queryFormat))
        return "a turned query is converted, and elsewhere into something else";
    auto const isUnit = [](float x) { return x == 0 || x == 1 || x == -1; };
    bool const composes =
        std::ranges::all_of(layer.cosine, isUnit) && std::ranges::all_of(layer.sine, isUnit);
    return composes ? "" : "a rounded table of angles does not compose exactly";
}

std::string placeOf(Place const& p) {
    switch (p.what) {
        case What::length: return "length";
        case What::bytes: return "bytes";
        case What::nextPosition: return "next position";
        case What::position: return fmt::format("position of row {}", p.row);
        case What::acceptance: return fmt::format("acceptance of row {}", p.row);
        case What::references: return fmt::format("references of block {}", p.row);
        case What::key:
            return fmt::format("key row {}, head {}, component {}", p.row, p.head, p.lane);
        case What::value:
            return fmt::format("value row {}, head {}, component {}", p.row, p.head, p.lane);
        case What::output:
            return fmt::format("output row {}, query head {}, component {}", p.row, p.head, p.lane);
    }
    return "";
}

using InputsOfStem = Inputs (*)(LayerDomain const&);
InputsOfStem inputsOf(std::string_view stem) {
    static std::map<std::string_view, InputsOfStem> const all{
        {"append", appendInputs},       {"capacity", capacityInputs},
        {"position", positionInputs},   {"rollback", rollbackInputs},
        {"fork", forkInputs},           {"heads", headsInputs},
        {"window", windowInputs},       {"evict", evictInputs},
        {"remove", removeInputs},       {"release", releaseInputs},
        {"reorder", reorderInputs},     {"share", shareInputs},
        {"sink", sinkInputs},           {"step", stepInputs},
        {"save", saveInputs},
        {"attention", attentionInputs}, {"prefill", prefillInputs},
        {"decode", decodeInputs},       {"layers", layersInputs},
        {"invariance", invarianceInputs}, {"subject", subjectInputs}};
    return all.at(stem);
}

/// The largest value among the rows of a world.
double largestValue(LiveWorld const& world) {
    double largest = 0;
    for (std::size_t i = 0; i <= world.length(); ++i)
        for (float const v : flat(world.token(i).value))
            largest = std::max(largest, double(std::abs(v)));
    return largest;
}

/// A claim that holds has decided something unless most of its outputs were left open.
void count(auto const& equation, LiveWorld const& world, LawResult& result) {
    if (equation.compared == 0) return;
    auto const& tally = equation.tally;
    double const largest = tally.widths.empty() ? 0 : largestValue(world);
    auto const open = static_cast<std::size_t>(
        std::ranges::count_if(tally.widths, [&](double width) { return width > largest; }));
    result.evidence.open += open;
    bool const isUndefined = 2 * tally.undefined > open;
    if (2 * open > tally.widths.size()) {
        if (result.outcome == Outcome::refused) return;
        result.outcome = isUndefined ? Outcome::undefined : Outcome::vacuous;
        result.why = isUndefined ? "the declared arithmetic may overflow on these inputs"
                                 : "the interval is wider than the values; declare more";
        return;
    }
    ++result.inputs;
    auto evidence = tally.evidence;
    evidence.widest = largest > 0 ? evidence.widest / largest : 0;
    result.evidence.add(evidence);
}

template <class Right>
Instrument instrumentOf(Equation<Observed, Right> const& equation) {
    if constexpr (std::same_as<Right, Observed>)
        return Instrument::metamorphic;
    else
        return equation.isCount || single(equation.right) ? Instrument::exact
                                                          : Instrument::bounded;
}

/// Why an engine does not owe a law at all; empty where it does.
std::string whyNotOwed(Owed owed, Promises const& promised) {
    if (owed == Owed::repeats && !promised.deterministic)
        return "the engine does not declare itself deterministic";
    if (owed == Owed::repeatsInAnyBatch && !promised.batchInvariant)
        return "the engine does not declare itself batch invariant";
    return {};
}

/// Evaluates one claim at one world.
template <class Law>
void evaluate(Law const& law, MakeEngine const& make, WorldInputs const& inputs,
              LawResult& result) {
    LiveWorld const world(inputs);
    LiveSubject subject(make, *inputs.declaration, inputs.layer);
    Violation violation{.law = std::string(law.name), .sentence = std::string(law.sentence),
                        .instrument = Instrument::exact, .step = 0, .where = {}, .got = {},
                        .want = {}, .trace = {}};
    auto const where = fmt::format("layer {}, past of {} rows, ", inputs.layer, inputs.length);
    try {
        auto const equation = law.claim(subject, world);
        if (equation.holds) return count(equation, world, result);
        violation.where = where + placeOf(equation.at);
        violation.got = equation.isCount ? std::to_string(equation.leftCount)
                                         : number(equation.left.value);
        violation.want = equation.isCount ? std::to_string(equation.rightCount)
                                          : wanted(equation.right);
        violation.instrument = instrumentOf(equation);
    } catch (Refused const& reason) {
        result.outcome = Outcome::refused;
        result.why = reason.what();
        return;
    } catch (NotReachable const& reason) {
        if (result.why.empty()) result.why = reason.what();
        return;
    } catch (NoStoredRow const& reason) {
        ++result.undefinedInputs;
        if (result.why.empty()) result.why = reason.what();
        return;
    } catch (UnjustRefusal const& refusal) {
        violation.instrument = Instrument::permission;
        violation.where = where + "a verb it needs";
        violation.got = refusal.what();
        violation.want = "accepted";
    }
    result.outcome = Outcome::violated;
    result.violation = violation;
}

/// The lengths, and those around a threshold that are no longer than the longest of them.
std::set<std::size_t> withThresholds(std::vector<std::size_t> const& lengths,
                                     Promises const& promised) {
    std::set<std::size_t> all(lengths.begin(), lengths.end());
    for (std::size_t const threshold : promised.thresholds)
        for (std::size_t const length : {threshold - 1, threshold, threshold + 1})
            if (!lengths.empty() && length < *std::ranges::max_element(lengths))
                all.insert(length);
    return all;
}

template <class Law>
LawResult resultOf(std::string_view stem, Law const& law, MakeEngine const& make,
                   Declaration const& declaration) {
    LawResult result{.law = std::string(law.name),
                     .sentence = std::string(law.sentence),
                     .outcome = Outcome::notReachable,
                     .why = whyNotOwed(law.owed, declaration.promised()),
                     .inputs = 0,
                     .violation = {}};
    if (!result.why.empty()) return result;
    bool const needsTurns = law.grade.modulo == moduloRotations.modulo;
    for (std::size_t l = 0; l < declaration.layers.size(); ++l) {
        auto const& layer = declaration.layers[l];
        if (auto const why = needsTurns ? whyTurnsDoNotCompose(layer) : ""; *why != 0) {
            if (result.why.empty()) result.why = why;
            continue;
        }
        Inputs const inputs = inputsOf(stem)(
            {layer, declaration.capacity, declaration.pool ? declaration.pool->blockRows : 0});
        if (inputs.lengths.empty() && result.why.empty()) result.why = inputs.why;
        for (Family family : inputs.families)
            for (std::size_t length : withThresholds(inputs.lengths, declaration.promised())) {
                std::set<std::size_t> asks{0, length / 2, length};
                if (!asksForToken(family)) asks = {length};
                for (std::size_t ask : asks) {
                    WorldInputs const at{&declaration,   l,           length, ask,
                                         {family, 1, {}}, inputs.heads};
                    evaluate(law, make, at, result);
                    if (result.outcome == Outcome::violated) return result;
                }
            }
    }
    if (result.inputs > 0) result.outcome = Outcome::held;
    if (result.undefinedInputs > result.inputs) result.outcome = Outcome::undefined;
    return result;
}

}  // namespace

void Evidence::add(Evidence const& o) {
    rows += o.rows;
    exact += o.exact;
    bounded += o.bounded;
    open += o.open;
    widest = std::max(widest, o.widest);
    for (std::size_t i = 0; i < answers.size(); ++i) answers[i] += o.answers[i];
    for (std::size_t i = 0; i < rules.size(); ++i) rules[i] += o.rules[i];
}

std::uint64_t Evidence::typicalAnswers() const {
    std::size_t below = 0, i = 0;
    for (; i + 1 < answers.size() && 2 * (below += answers[i]) < bounded; ++i) {}
    return (std::uint64_t{1} << i) - 1;
}

void Coverage::add(Coverage const& o) {
    cases += o.cases;
    steps += o.steps;
    refusals += o.refusals;
    casesWithProbe += o.casesWithProbe;
    outputs += o.outputs;
    exactOutputs += o.exactOutputs;
    rows += o.rows;
    vacuousOutputs += o.vacuousOutputs;
    undefinedOutputs += o.undefinedOutputs;
    undefinedRows += o.undefinedRows;
    for (std::size_t a = 0; a < pairs.size(); ++a)
        for (std::size_t b = 0; b < pairs.size(); ++b) pairs[a][b] += o.pairs[a][b];
}

std::optional<Violation> judge(AnyEngine& engine, Trace const& trace, Coverage& coverage,
                               std::vector<Call>* calls) {
    return Run(engine, trace, coverage, calls).judged();
}

std::vector<LawResult> conformance(MakeEngine const& make, std::string const& only) {
    Declaration const declaration = make()->declaration();
    std::vector<LawResult> results;
    forEachLaw([&](std::string_view stem, auto const& law) {
        if constexpr (decltype(law.scope)::value == Scope::engine)
            if (only.empty() || law.name == only)
                results.push_back(resultOf(stem, law, make, declaration));
    });
    return results;
}

std::optional<LawResult> firstBroken(std::vector<MakeEngine> const& engines) {
    std::optional<LawResult> broken;
    forEachLaw([&](std::string_view stem, auto const& law) {
        if constexpr (decltype(law.scope)::value == Scope::engine)
            for (MakeEngine const& make : engines) {
                if (broken) return;
                auto result = resultOf(stem, law, make, make()->declaration());
                if (result.outcome == Outcome::violated) broken = std::move(result);
            }
    });
    return broken;
}

std::string sequencesOf(Step const& step) {
    if (step.verb != Verb::step) return fmt::format("sequence {}", step.sequence);
    std::vector<SequenceId> named;
    for (BatchItem const& item : step.batch) named.push_back(item.sequence);
    return fmt::format("sequences {}", fmt::join(named, " "));
}

namespace {

/// "s0 1, s2 0": a batch.
std::string briefly(std::vector<BatchItem> const& batch) {
    std::vector<std::string> items;
    for (auto const& [sequence, count] : batch)
        items.push_back(fmt::format("s{} {}", sequence, count));
    return fmt::format("{}", fmt::join(items, ", "));
}

std::string argumentsOf(Step const& s) {
    switch (s.verb) {
        case Verb::append:
        case Verb::evict: return fmt::format("s{}, {}", s.sequence, s.count);
        case Verb::prefill: return fmt::format("s{}, {}, asks {}", s.sequence, s.count, s.target);
        case Verb::step: return fmt::format("{}, asks {}", briefly(s.batch), s.target);
        case Verb::attend: return fmt::format("s{}, asks {}", s.sequence, s.target);
        case Verb::observe:
        case Verb::save:
        case Verb::release:
        case Verb::keep: return fmt::format("s{}", s.sequence);
        case Verb::rollback: return fmt::format("s{}, to {}", s.sequence, s.length);
        case Verb::fork:
        case Verb::restore: return fmt::format("s{} -> s{}", s.sequence, s.to);
        case Verb::remove: return fmt::format("s{}, {} from {}", s.sequence, s.count, s.first);
        case Verb::shift: return fmt::format("s{}, {:+}", s.sequence, s.delta);
        case Verb::reorder: return fmt::format("{}", fmt::join(s.parents, " "));
        case Verb::reset: break;
    }
    return {};
}

}  // namespace

std::string brief(Trace const& trace) {
    std::string line;
    for (Step const& s : trace.steps) {
        if (!line.empty()) line += ' ';
        line += nameOf(s.verb);
        if (s.verb != Verb::reset) line += "(" + argumentsOf(s) + ")";
    }
    return line;
}

std::optional<std::string> sentenceOf(std::string const& name) {
    std::optional<std::string> sentence;
    forEachLaw([&](std::string_view, auto const& law) {
        if (law.name == name) sentence = std::string(law.sentence);
    });
    return sentence;
}

}  // namespace kv::properties

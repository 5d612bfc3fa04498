#include "variation.hpp"

#include "check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <span>

namespace kv::properties {

namespace {

/// A call to be made, the one that it repeats, and whether it must give the same answer: from row
/// `row` on.
struct Line {
    Step step;
    Tokens tokens;
    Call const* first = nullptr;
    bool isCompared = false;
    std::size_t row = 0;
};

/// What a variation is held against.
struct Promise {
    std::string law, how;
};

std::string bits(float x) {
    return fmt::format("{:.9g} (bits {:08x})", x, std::bit_cast<std::uint32_t>(x));
}

/// Makes the calls of one variation on one engine.
class Rerun {
   public:
    Rerun(MakeEngine const& make, Promise promise)
        : engine_(make()), state_(engine_->declaration()), promise_(std::move(promise)) {}

    std::optional<Violation> violationIn(std::vector<Line> const& lines) {
        for (Line const& line : lines) {
            Permission const permission = state_.permission(line.step);
            if (permission == Permission::mustRefuse) return {};
            Outputs outputs;
            Content content;
            Answer const answer = play(*engine_, line.step, line.tokens, outputs, content);
            if (!answer && permission == Permission::mayRefuse) return {};
            if (!answer) differ(line, "a verb", "refused: " + answer.why(), "accepted");
            if (answer && line.isCompared && tokensAsked(line.step) > 0)
                compareOutputs(line, outputs);
            if (answer && line.isCompared && line.step.verb == Verb::observe)
                compareContent(line, content);
            if (violation_) return std::move(violation_);
            state_.apply(line.step);
        }
        return {};
    }

   private:
    Declaration const& declaration() const { return engine_->declaration(); }

    void compareOutputs(Line const& line, Outputs const& again) {
        auto const& first = line.first->outputs;
        std::size_t const rows = tokensAsked(line.step);
        for (std::size_t l = 0; l < first.size(); ++l) {
            auto const& d = declaration().layers[l];
            std::size_t const row = d.queryHeads * d.valueDim;
            std::size_t const from = line.row * row, width = rows * row;
            std::size_t const seen = again.size() == first.size() ? again[l].size() : 0;
            if (seen != width)
                return differ(line, fmt::format("layer {}, outputs", l), std::to_string(seen),
                              std::to_string(width));
            compareBits(line, {again[l], std::span(first[l]).subspan(from, width), d.valueDim},
                        [&](std::size_t h) {
                            return fmt::format("layer {}, row {}, query head {}", l,
                                               line.row + h / d.queryHeads, h % d.queryHeads);
                        });
        }
    }

    void compareContent(Line const& line, Content const& again) {
        auto const& first = line.first->content;
        compareNumbers(line, "length", again.length, first.length);
        compareNumbers(line, "next position", again.nextPosition, first.nextPosition);
        compareNumbers(line, "layers", again.layers.size(), first.layers.size());
        for (std::size_t l = 0; l < first.layers.size() && !violation_; ++l)
            compareLayer(line, l, again.layers[l], first.layers[l]);
    }

    void compareLayer(Line const& line, std::size_t l, LayerContent const& again,
                      LayerContent const& first) {
        auto const& d = declaration().layers[l];
        bool const isWhole = again.positions == first.positions;
        auto const at = [&](char const* what) { return fmt::format("layer {}, {}", l, what); };
        if (!isWhole && d.retained == 0)
            return differ(line, at("positions"), "others", "the same");
        if (isWhole && !(again.keyCodes == first.keyCodes && again.valueCodes == first.valueCodes))
            return differ(line, at("codes"), "others", "the same");
        compareNumbers(line, "keys", again.keys.size(),
                       again.positions.size() * d.kvHeads * d.keyDim);
        compareNumbers(line, "values", again.values.size(),
                       again.positions.size() * d.kvHeads * d.valueDim);
        for (std::size_t r = 0; r < first.positions.size() && !violation_; ++r) {
            auto const there = std::ranges::find(again.positions, first.positions[r]);
            if (there == again.positions.end()) continue;
            auto const s = static_cast<std::size_t>(there - again.positions.begin());
            auto const compare = [&](char const* part, auto const& seen, auto const& had,
                                     std::size_t dim) {
                std::size_t const width = d.kvHeads * dim;
                compareBits(line,
                            {std::span(seen).subspan(s * width, width),
                             std::span(had).subspan(r * width, width), dim},
                            [&](std::size_t h) {
                                return fmt::format("layer {}, {} at position {}, head {}", l, part,
                                                   first.positions[r], h);
                            });
            };
            compare("key", again.keys, first.keys, d.keyDim);
            compare("value", again.values, first.values, d.valueDim);
        }
    }

    struct Bits {
        std::span<float const> again, first;
        std::size_t dim;
    };
    template <class Where>
    void compareBits(Line const& line, Bits const& rows, Where where) {
        for (std::size_t e = 0; e < rows.again.size() && !violation_; ++e)
            if (!haveSameBits(rows.again[e], rows.first[e]))
                differ(line, fmt::format("{}, component {}", where(e / rows.dim), e % rows.dim),
                       bits(rows.again[e]), bits(rows.first[e]));
    }
    void compareNumbers(Line const& line, char const* what, auto again, auto first) {
        if (again != first) differ(line, what, std::to_string(again), std::to_string(first));
    }

    void differ(Line const& line, std::string const& where, std::string const& got,
                std::string const& want) {
        if (violation_) return;
        violation_ = Violation{.law = promise_.law,
                               .sentence = *sentenceOf(promise_.law),
                               .instrument = Instrument::metamorphic,
                               .step = line.first ? line.first->index : 0,
                               .where = fmt::format("{}, {}, {}", sequencesOf(line.step),
                                                    promise_.how, where),
                               .got = got,
                               .want = want,
                               .trace = {}};
    }

    std::unique_ptr<AnyEngine> engine_;
    State state_;
    Promise promise_;
    std::optional<Violation> violation_;
};

/// Tokens that score high and are soon taken back.
Tokens leftovers(Declaration const& declaration, std::size_t count) {
    Tokens tokens{.count = count, .layers = {}};
    for (auto const& layer : declaration.layers) {
        std::size_t const heads = count * layer.kvHeads;
        tokens.layers.push_back({std::vector<float>(heads * layer.keyDim, loudNumber),
                                 std::vector<float>(heads * layer.valueDim, loudNumber),
                                 {}});
    }
    return tokens;
}

/// The same calls, after as many tokens as fit were stored in each sequence and taken back.
std::vector<Line> repeated(std::vector<Call> const& calls, Declaration const& declaration) {
    State state(declaration);
    std::vector<Line> lines;
    for (SequenceId s = 0; s < declaration.sequences; ++s) {
        Step append{.verb = Verb::append, .sequence = s, .count = declaration.capacity};
        Step const rollback{.verb = Verb::rollback, .sequence = s};
        // Where a pool is shared, leftovers of one sequence leave room for the others.
        if (declaration.pool && s > 0) break;
        while (append.count > 0 && state.permission(append) != Permission::mustAccept)
            --append.count;
        if (append.count == 0 || !state.offers(Verb::append) || !state.offers(Verb::rollback))
            continue;
        lines.push_back({append, leftovers(declaration, append.count)});
        state.apply(append);
        // What was saved of them is replaced, or never restored.
        if (Step const save{.verb = Verb::save, .sequence = s}; state.offers(Verb::save))
            lines.push_back({save, {}});
        lines.push_back({rollback, {}});
        state.apply(rollback);
    }
    for (Call const& call : calls) lines.push_back({call.step, call.tokens, &call, true});
    return lines;
}

/// A call as it is made of each sequence alone: a batch as its prefills, one after another, or as
/// batches of one, where an engine has no other prefill.
std::vector<Line> apart(Call const& call, State const& state) {
    if (call.step.verb != Verb::step) return {{call.step, call.tokens, &call, true}};
    Verb const verb = state.offers(Verb::prefill) ? Verb::prefill : Verb::step;
    std::vector<Line> lines;
    std::size_t first = 0;
    for (auto const& [sequence, count] : call.step.batch) {
        Line line{call.step, tokensAt(call.tokens, {first, count}), &call, true, first};
        line.step.verb = verb;
        line.step.sequence = sequence;
        line.step.count = verb == Verb::step ? 0 : count;
        line.step.batch.clear();
        if (verb == Verb::step) line.step.batch.push_back({sequence, count});
        if (count > 0) lines.push_back(std::move(line));
        first += count;
    }
    return lines;
}

/// One token of a chunk that is stored in one sequence.
Line tokenOf(Line const& chunk, std::size_t i) {
    Line line{chunk.step, tokenAt(chunk.tokens, i), chunk.first, true, chunk.row + i};
    if (line.step.verb != Verb::step) line.step.count = 1;
    for (BatchItem& item : line.step.batch) item.count = 1;
    return line;
}

/// The same calls, with every chunk token by token.
std::vector<Line> singly(std::vector<Call> const& calls, Declaration const& declaration) {
    State const state(declaration);
    bool const asksAfter = state.offers(Verb::append) && state.offers(Verb::attend);
    std::vector<Line> lines;
    auto const add = [&](Line line) {
        if (tokensAsked(line.step) == 0 || !asksAfter) return lines.push_back(std::move(line));
        Line asked = line;
        for (auto& layer : line.tokens.layers) layer.queries.clear();
        for (auto& layer : asked.tokens.layers) layer.keys.clear(), layer.values.clear();
        line.isCompared = false;
        line.step = {.verb = Verb::append, .sequence = line.step.sequence, .count = 1};
        asked.step = {.verb = Verb::attend, .sequence = line.step.sequence};
        lines.push_back(std::move(line));
        lines.push_back(std::move(asked));
    };
    for (Call const& call : calls)
        for (Line& line : apart(call, state)) {
            bool const isChunk = line.step.verb == Verb::append ||
                                 line.step.verb == Verb::prefill || line.step.verb == Verb::step;
            if (!isChunk) lines.push_back(std::move(line));
            for (std::size_t i = 0; isChunk && i < line.tokens.count; ++i) add(tokenOf(line, i));
        }
    return lines;
}

/// Makes a call of another sequence.
void address(Step& step, SequenceId s) {
    step.sequence = s;
    for (BatchItem& item : step.batch) item.sequence = s;
}

/// What a copy of a sequence came from: all that was done to it, and not what it was asked.
std::vector<Line> again(std::vector<Line> const& life, SequenceId copy) {
    std::vector<Line> lines;
    for (Line line : life) {
        address(line.step, copy);
        line.isCompared = false;
        bool const onlyLooks = line.step.verb == Verb::attend || line.step.verb == Verb::observe;
        if (!onlyLooks) lines.push_back(std::move(line));
    }
    return lines;
}

/// What each sequence was asked, with all that its rows came from: what is run alone.
class Lives {
   public:
    explicit Lives(Declaration const& declaration)
        : state_(declaration), now_(declaration.sequences), saved_(declaration.sequences) {}

    void take(Call const& call) {
        Step const& step = call.step;
        auto& life = now_[step.sequence];
        switch (step.verb) {
            case Verb::release: end(life); break;
            case Verb::keep:
                for (auto& other : now_)
                    if (&other != &life) end(other);
                break;
            case Verb::reset: endAll(); break;
            case Verb::fork: become(step.to, life); break;
            // A sequence that was restored is asked what one is asked that did the same anew.
            case Verb::save: saved_[step.sequence] = life; break;
            case Verb::restore: become(step.to, saved_[step.sequence]); break;
            case Verb::reorder: {
                auto const old = now_;
                for (SequenceId s = 0; s < now_.size(); ++s)
                    if (step.parents[s] != s) become(s, old[step.parents[s]]);
                break;
            }
            default:
                for (Line& line : apart(call, state_))
                    now_[line.step.sequence].push_back(std::move(line));
        }
    }
    std::vector<std::vector<Line>> ended() {
        endAll();
        return std::move(ended_);
    }

   private:
    void end(std::vector<Line>& life) {
        if (std::ranges::any_of(life, &Line::isCompared))
            ended_.push_back(std::move(life));
        life.clear();
    }
    void endAll() {
        for (auto& life : now_) end(life);
    }
    void become(SequenceId s, std::vector<Line> const& other) {
        auto copy = again(other, s);
        end(now_[s]);
        now_[s] = std::move(copy);
    }

    State const state_;
    std::vector<std::vector<Line>> now_, saved_, ended_;
};

std::vector<std::vector<Line>> alone(std::vector<Call> const& calls,
                                     Declaration const& declaration) {
    Lives lives(declaration);
    for (Call const& call : calls) lives.take(call);
    auto ended = lives.ended();
    for (auto& life : ended)
        for (auto& line : life)
            address(line.step, declaration.sequences - 1 - line.step.sequence);
    return ended;
}

std::optional<Violation> violationIn(NewEngines const& make, Declaration const& declaration,
                                     std::vector<Call> const& calls) {
    Promises const promised = declaration.promised();
    std::optional<Violation> violation;
    if (promised.deterministic)
        violation = Rerun(make.elsewhere, {"repeat_same_bits", "in a second run"})
                        .violationIn(repeated(calls, declaration));
    if (!promised.batchInvariant) return violation;
    for (auto const& life : alone(calls, declaration))
        if (!violation)
            violation = Rerun(make.usual, {"copy_same_bits", "stored alone"}).violationIn(life);
    if (!violation)
        violation = Rerun(make.usual, {"chunk_same_bits", "token by token"})
                        .violationIn(singly(calls, declaration));
    return violation;
}

}  // namespace

std::optional<Violation> judgeAndVary(NewEngines const& make, Trace const& trace,
                                      Coverage& coverage) {
    auto const engine = make.usual();
    Promises const promised = engine->declaration().promised();
    bool const varies = promised.deterministic || promised.batchInvariant;
    std::vector<Call> calls;
    auto violation = judge(*engine, trace, coverage, varies ? &calls : nullptr);
    if (violation || !varies) return violation;
    violation = violationIn(make, engine->declaration(), calls);
    if (violation) violation->trace = trace;
    return violation;
}

}  // namespace kv::properties

#include "live.hpp"

#include <algorithm>
#include <limits>

namespace kv::properties {

LiveSubject::LiveSubject(MakeEngine const& make, Declaration const& declaration, std::size_t layer)
    : make_(make), declaration_(&declaration), layer_(layer) {}

namespace {

/// Calls a verb that the declaration allows here; anything else is an exception.
void take(Running& running, Step const& step, auto call) {
    if (!running.state.offers(step.verb)) throw NotReachable("a verb it needs is not offered");
    Permission const permission = running.state.permission(step);
    if (permission == Permission::mustRefuse)
        throw NotReachable("the declaration refuses a step of this law at these lengths");
    Answer const answer = call(*running.engine);
    if (!answer && permission == Permission::mayRefuse) throw Refused(answer.why());
    if (!answer) throw UnjustRefusal(answer.why());
    running.state.apply(step);
}

/// A sequence that has not begun and that no handle has.
SequenceId freeSequence(Running const& running) {
    SequenceId s = 0;
    auto const isFree = [&] {
        return running.seats[s].expired() && running.state[s].length() == 0 &&
               running.state[s].next == 0;
    };
    while (s < running.seats.size() && !isFree()) ++s;
    return s < running.seats.size() ? s : throw NotReachable("there is no sequence left");
}

}  // namespace

template <class Call>
void LiveSubject::accepted(Handle& handle, Step step, Call call) const {
    step.sequence = handle.id;
    take(*handle.running, step, call);
}

LiveSubject::Handle LiveSubject::empty() const {
    return {std::make_shared<Running>(
                Running{make_(), State(*declaration_),
                        std::vector<std::weak_ptr<Seat>>(declaration_->sequences)}),
            0};
}

Tokens LiveSubject::tokensOf(std::size_t serial, Seq<FloatToken, Dyn> const& rows) const {
    ValueSource const filler(*declaration_, filler_);
    Tokens tokens{.count = rows.size(), .layers = {}};
    tokens.layers.resize(declaration_->layers.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::size_t l = 0; l < tokens.layers.size(); ++l) {
            auto& to = tokens.layers[l];
            LayerRows from;
            if (l == layer_)
                from = {flat(rows[i].key), flat(rows[i].value), flat(rows[i].query)};
            else
                from = filler.rows(l, {serial + i, 0, 0});
            put(to.keys, from.keys);
            put(to.values, from.values);
            put(to.queries, from.queries);
        }
    return tokens;
}

LiveSubject::Handle LiveSubject::appendKV(Handle handle, FloatToken const& token) const {
    auto tokens = tokensOf(handle, tabulate(std::size_t{1}, [&](auto) { return token; }));
    for (auto& l : tokens.layers) l.queries.clear();
    accepted(handle, {.verb = Verb::append, .count = 1},
             [&](AnyEngine& engine) { return engine.append(handle.id, tokens); });
    return handle;
}

Attempt<LiveSubject::Handle> LiveSubject::appendWithin(Handle handle,
                                                       FloatToken const& token) const {
    auto tokens = tokensOf(handle, tabulate(std::size_t{1}, [&](auto) { return token; }));
    for (auto& l : tokens.layers) l.queries.clear();
    Step const step{.verb = Verb::append, .sequence = handle.id, .count = 1};
    if (!handle.running->state.offers(step.verb)) throw NotReachable("append is not offered");
    // A rotary table that ends before the capacity does refuses for its own reason.
    if (handle.running->state.permission(step) == Permission::mustRefuse &&
        handle.running->state[handle.id].length() < declaration_->capacity)
        throw NotReachable("the rotary table ends before the capacity does");
    bool const taken(handle.running->engine->append(handle.id, tokens));
    if (taken) handle.running->state.apply(step);
    return {taken, std::move(handle)};
}

bool LiveSubject::takesMisshapen(Handle& handle) const {
    auto tokens = ValueSource(*declaration_, filler_).token({.serial = 0});
    for (auto& l : tokens.layers) l.queries.clear();
    tokens.layers[layer_].keys.push_back(0);
    bool const taken(handle.running->engine->append(handle.id, tokens));
    return taken;
}

Heads<Observed, Dyn, Dyn> LiveSubject::outputOf(Outputs const& outputs, std::size_t row,
                                                std::size_t rows) const {
    auto const& l = declaration_->layers[layer_];
    std::size_t const width = l.queryHeads * l.valueDim;
    bool const whole = outputs.size() == declaration_->layers.size() &&
                       outputs[layer_].size() == rows * width;
    return tabulate(l.queryHeads, [&](std::size_t h) {
        return tabulate(l.valueDim, [&](std::size_t d) {
            return Observed{whole ? outputs[layer_][row * width + h * l.valueDim + d]
                                  : std::numeric_limits<float>::quiet_NaN()};
        });
    });
}

Prefilled<LiveSubject::Handle, Seq<Heads<Observed, Dyn, Dyn>, Dyn>> LiveSubject::prefill(
    Handle handle, Seq<FloatToken, Dyn> const& tokens) const {
    Outputs outputs;
    if (!handle.running->state.offers(Verb::prefill))
        throw NotReachable("a verb it needs is not offered");
    if (tokens.size() > 0) {
        auto const rows = tokensOf(handle, tokens);
        accepted(handle, {.verb = Verb::prefill, .count = tokens.size()},
                 [&](AnyEngine& engine) { return engine.prefill(handle.id, rows, outputs); });
    }
    auto seen = tabulate(tokens.size(),
                         [&](std::size_t i) { return outputOf(outputs, i, tokens.size()); });
    return {std::move(handle), seen};
}

std::vector<LiveSubject::Stored> LiveSubject::stepped(std::vector<Chunk> chunks) const {
    Step step{.verb = Verb::step};
    std::vector<BatchTokens> items;
    auto& any = chunks.front().cache;
    std::size_t serial = any.running->state.stored();
    for (auto const& [handle, tokens] : chunks) {
        step.batch.push_back({handle.id, tokens.size()});
        items.push_back({handle.id, tokensOf(serial, tokens)});
        serial += tokens.size();
    }
    std::vector<Outputs> outputs(items.size());
    accepted(any, step, [&](AnyEngine& engine) { return engine.step(items, outputs); });
    outputs.resize(items.size());
    std::vector<Stored> all;
    for (std::size_t c = 0; c < chunks.size(); ++c) {
        std::size_t const count = chunks[c].tokens.size();
        all.push_back({std::move(chunks[c].cache), tabulate(count, [&](std::size_t i) {
                           return outputOf(outputs[c], i, count);
                       })});
    }
    return all;
}

Heads<Observed, Dyn, Dyn> LiveSubject::attend(Handle& handle,
                                              Heads<float, Dyn, Dyn> const& query) const {
    Tokens tokens{.count = 1, .layers = {}};
    for (std::size_t l = 0; l < declaration_->layers.size(); ++l) {
        auto const& layer = declaration_->layers[l];
        tokens.layers.push_back({.keys = {}, .values = {}, .queries = {}});
        tokens.layers[l].queries.resize(layer.queryHeads * layer.keyDim);
    }
    tokens.layers[layer_].queries = flat(query);
    // The spec has no mean of no values; what is promised of it is seen in traces.
    if (handle.running->state[handle.id].length() == 0)
        throw NotReachable("the declaration refuses a step of this law at these lengths");
    Outputs outputs;
    accepted(handle, {.verb = Verb::attend},
             [&](AnyEngine& engine) { return engine.attend(handle.id, tokens, outputs); });
    return outputOf(outputs, 0, 1);
}

namespace {

/// For each row of a sequence, by its position, which of those that are held it is; as many as are
/// held where it is none of them. Where none is missing they are the same, one by one.
std::vector<std::size_t> placesOf(std::vector<Position> const& rows,
                                  std::vector<Position> const& held) {
    std::vector<std::size_t> places(rows.size(), held.size());
    for (std::size_t r = 0; r < held.size(); ++r) {
        auto const there = std::ranges::find(rows, held[r]);
        std::size_t const i =
            held.size() == rows.size() ? r : std::size_t(there - rows.begin());
        if (i < rows.size()) places[i] = r;
    }
    return places;
}

}  // namespace

Cache<Heads<Observed, Dyn, Dyn>, Heads<Observed, Dyn, Dyn>, Dyn> LiveSubject::observe(
    Handle& handle) const {
    Content content;
    accepted(handle, {.verb = Verb::observe},
             [&](AnyEngine& engine) { return engine.observe(handle.id, content); });
    auto const& layer = declaration_->layers[layer_];
    std::size_t const key = layer.kvHeads * layer.keyDim, value = layer.kvHeads * layer.valueDim;
    if (content.layers.size() != declaration_->layers.size())
        throw UnjustRefusal("the read-back has not as many layers as the declaration");
    auto const& held = content.layers[layer_];
    std::size_t const rows = held.positions.size();
    if (held.keys.size() != rows * key || held.values.size() != rows * value)
        throw UnjustRefusal("the read-back has not one key and one value row per position");
    // Where rows are missing, only a ring that has lost them may leave them out.
    std::size_t const length = rows > content.length ? rows : content.length;
    auto positions = handle.running->state[handle.id].positions;
    std::int64_t const newest = positions.empty() ? 0 : positions.back();
    positions.resize(length, newest);
    auto const from = placesOf(positions, held.positions);
    auto const mayMiss = [&](std::size_t i) {
        return layer.retained > 0 && layer.window > 0 && i >= layer.sinks &&
               newest - positions[i] >= std::int64_t(layer.window);
    };
    auto const row = [&](std::vector<float> const& all, std::size_t i, std::size_t dim) {
        return tabulate(layer.kvHeads, [&](std::size_t h) {
            return tabulate(dim, [&](std::size_t d) {
                if (from[i] == rows)
                    return Observed{std::numeric_limits<float>::quiet_NaN(), !mayMiss(i)};
                return Observed{all[(from[i] * layer.kvHeads + h) * dim + d]};
            });
        });
    };
    return {.positions = tabulate(length, [&](std::size_t i) {
                return from[i] == rows ? positions[i] : held.positions[from[i]];
            }),
            .keys = tabulate(length, [&](auto i) { return row(held.keys, i, layer.keyDim); }),
            .values = tabulate(length, [&](auto i) { return row(held.values, i, layer.valueDim); }),
            .next = content.nextPosition};
}

LiveSubject::Handle LiveSubject::rollback(Handle handle, std::size_t length) const {
    accepted(handle, {.verb = Verb::rollback, .length = length},
             [&](AnyEngine& engine) { return engine.rollback(handle.id, length); });
    return handle;
}

Forked<LiveSubject::Handle> LiveSubject::fork(Handle handle) const {
    auto const running = handle.running;
    SequenceId const child = freeSequence(*running);
    accepted(handle, {.verb = Verb::fork, .to = child},
             [&](AnyEngine& engine) { return engine.fork(handle.id, child); });
    return {std::move(handle), Handle(running, child)};
}

Forked<LiveSubject::Handle> LiveSubject::reorder(Forked<Handle> beams,
                                                 Parents<Nat<2>> const& parents) const {
    // The two beams of a claim are two of all sequences; the others stay what they are.
    SequenceId const ids[] = {beams.parent.id, beams.child.id};
    std::vector<SequenceId> map(declaration_->sequences);
    for (SequenceId s = 0; s < map.size(); ++s) map[s] = s;
    for (std::size_t beam = 0; beam < 2; ++beam) map[ids[beam]] = ids[parents[beam]];
    accepted(beams.parent, {.verb = Verb::reorder, .parents = map},
             [&](AnyEngine& engine) { return engine.reorder(map); });
    return beams;
}

Saved<LiveSubject::Handle, LiveSubject::Copy> LiveSubject::save(Handle handle) const {
    accepted(handle, {.verb = Verb::save},
             [&](AnyEngine& engine) { return engine.save(handle.id); });
    Copy copy{handle.running, handle.id};
    return {std::move(handle), std::move(copy)};
}

LiveSubject::Handle LiveSubject::restore(Copy const& copy) const {
    SequenceId const to = freeSequence(*copy.running);
    take(*copy.running, {.verb = Verb::restore, .sequence = copy.of, .to = to},
         [&](AnyEngine& engine) { return engine.restore(copy.of, to); });
    return Handle(copy.running, to);
}

LiveSubject::Handle LiveSubject::release(Handle handle) const {
    accepted(handle, {.verb = Verb::release},
             [&](AnyEngine& engine) { return engine.release(handle.id); });
    return handle;
}

Kept<LiveSubject::Handle, LiveSubject::Handle> LiveSubject::keep(Handle chosen,
                                                                 Handle other) const {
    accepted(chosen, {.verb = Verb::keep},
             [&](AnyEngine& engine) { return engine.keep(chosen.id); });
    return {std::move(chosen), std::move(other)};
}

LiveSubject::Handle LiveSubject::evict(Handle handle, std::size_t count) const {
    accepted(handle, {.verb = Verb::evict, .count = count},
             [&](AnyEngine& engine) { return engine.evict(handle.id, count); });
    return handle;
}

LiveSubject::Handle LiveSubject::removed(Handle handle, RowRange rows) const {
    accepted(handle, {.verb = Verb::remove, .first = rows.first, .count = rows.count},
             [&](AnyEngine& engine) { return engine.remove(handle.id, rows); });
    return handle;
}

/// Whether a shift stores components again that it does not turn, which an engine may leave out.
bool storesWhatDoesNotTurn(LayerDeclaration const& d) {
    if (!convertsTurned(d)) return false;
    auto const& f = d.keyFormat;
    std::size_t const together = f.rotation.size > 0 ? togetherLength(f, d.kvHeads, d.keyDim)
                                                     : groupLength(f, d.kvHeads, d.keyDim);
    return d.rotaryDim < d.keyDim && together < d.keyDim;
}

LiveSubject::Handle LiveSubject::shift(Handle handle, Position by) const {
    if (storesWhatDoesNotTurn(declaration_->layers[layer_]))
        throw NotReachable("a shift may or may not store again what it does not turn");
    accepted(handle, {.verb = Verb::shift, .delta = by},
             [&](AnyEngine& engine) { return engine.shift(handle.id, by); });
    return handle;
}

}  // namespace kv::properties

#include "play.hpp"

namespace kv::properties {

namespace {

/// Those of a step that stores: a chunk of one sequence is a batch of one.
std::vector<BatchItem> itemsOf(Step const& step) {
    if (step.verb == Verb::step) return step.batch;
    return {{step.sequence, tokensStored(step)}};
}

/// Rows of `width` numbers.
std::vector<float> cut(std::vector<float> const& rows, std::size_t width, TokenRange range) {
    auto const from = rows.begin() + std::ptrdiff_t(range.first * width);
    return {from, from + std::ptrdiff_t(range.count * width)};
}

/// One item's outputs behind those of the others. Whether they are as many as its tokens.
bool join(Outputs& all, Outputs const& outputs, std::size_t count, Declaration const& declaration) {
    if (count == 0 && outputs.empty()) return true;
    if (outputs.size() != declaration.layers.size()) return false;
    for (std::size_t l = 0; l < outputs.size(); ++l) {
        auto const& layer = declaration.layers[l];
        if (outputs[l].size() != count * layer.queryHeads * layer.valueDim) return false;
        put(all[l], outputs[l]);
    }
    return true;
}

Answer playBatch(AnyEngine& engine, Step const& s, Tokens const& tokens, Outputs& outputs) {
    std::vector<BatchTokens> items;
    std::size_t stored = 0;
    for (auto const& [sequence, count] : s.batch) {
        items.push_back({sequence, tokensAt(tokens, {stored, count})});
        stored += count;
    }
    std::vector<Outputs> each(items.size());
    Answer answer = engine.step(items, each);
    outputs.assign(engine.declaration().layers.size(), {});
    bool isWhole = each.size() == items.size();
    for (std::size_t i = 0; isWhole && i < items.size(); ++i)
        isWhole = join(outputs, each[i], items[i].tokens.count, engine.declaration());
    if (!isWhole) outputs.clear();
    return answer;
}

}  // namespace

Tokens tokensFor(Step const& step, Declaration const& declaration, State const& state,
                 ValueSource const& source) {
    bool const only = step.verb == Verb::attend, asks = step.verb != Verb::append;
    bool const stores = step.verb == Verb::append || step.verb == Verb::prefill ||
                        step.verb == Verb::step;
    if (!stores && !only) return {};
    Tokens all{.count = 0, .layers = {}};
    all.layers.resize(declaration.layers.size());
    auto const add = [&](std::int64_t position) {
        for (std::size_t l = 0; l < all.layers.size(); ++l) {
            auto const rows = source.rows(l, {.serial = state.stored() + all.count,
                                              .position = std::max<std::int64_t>(position, 0),
                                              .target = step.target});
            if (!only) put(all.layers[l].keys, rows.keys);
            if (!only) put(all.layers[l].values, rows.values);
            if (asks) put(all.layers[l].queries, rows.queries);
        }
        ++all.count;
    };
    for (auto const& [sequence, count] : itemsOf(step)) {
        if (sequence >= declaration.sequences) return {};
        auto const& s = state[sequence];
        if (only) add(s.positions.empty() ? 0 : s.positions.back());
        for (std::size_t i = 0; i < count; ++i) add(s.next + std::int64_t(i));
    }
    return all;
}

Tokens tokensAt(Tokens const& all, TokenRange range) {
    Tokens some{.count = range.count, .layers = {}};
    auto const part = [&](std::vector<float> const& rows) {
        return all.count == 0 ? rows : cut(rows, rows.size() / all.count, range);
    };
    for (auto const& l : all.layers)
        some.layers.push_back({part(l.keys), part(l.values), part(l.queries)});
    return some;
}

Outputs outputsAt(Outputs const& all, std::size_t count, TokenRange range) {
    Outputs some;
    for (auto const& rows : all)
        some.push_back(count == 0 ? rows : cut(rows, rows.size() / count, range));
    return some;
}

Answer play(AnyEngine& engine, Step const& s, Tokens const& tokens, Outputs& outputs,
            Content& content) {
    switch (s.verb) {
        case Verb::append: return engine.append(s.sequence, tokens);
        case Verb::prefill: return engine.prefill(s.sequence, tokens, outputs);
        case Verb::step: return playBatch(engine, s, tokens, outputs);
        case Verb::attend: return engine.attend(s.sequence, tokens, outputs);
        case Verb::observe: return engine.observe(s.sequence, content);
        case Verb::rollback: return engine.rollback(s.sequence, s.length);
        case Verb::fork: return engine.fork(s.sequence, s.to);
        case Verb::evict: return engine.evict(s.sequence, s.count);
        case Verb::remove: return engine.remove(s.sequence, {s.first, s.count});
        case Verb::shift: return engine.shift(s.sequence, s.delta);
        case Verb::reorder: return engine.reorder(s.parents);
        case Verb::save: return engine.save(s.sequence);
        case Verb::restore: return engine.restore(s.sequence, s.to);
        case Verb::release: return engine.release(s.sequence);
        case Verb::keep: return engine.keep(s.sequence);
        case Verb::reset: return engine.reset();
    }
    return Answer::refused("unknown verb");
}

}  // namespace kv::properties

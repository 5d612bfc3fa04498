#include "play.hpp"

namespace kv::properties {

Tokens tokensFor(Step const& step, Declaration const& declaration, State const& state,
                 ValueSource const& source) {
    bool const stores = step.verb == Verb::append || step.verb == Verb::prefill;
    if (!stores && step.verb != Verb::attend) return {};
    if (step.sequence >= declaration.sequences) return {};
    std::size_t const count = stores ? step.count : 1;
    Tokens all{.count = count, .layers = {}};
    all.layers.resize(declaration.layers.size());
    for (std::size_t i = 0; i < count; ++i) {
        auto const& s = state[step.sequence];
        std::int64_t const newest = s.positions.empty() ? 0 : s.positions.back();
        std::int64_t const position = stores ? s.next + std::int64_t(i) : newest;
        for (std::size_t l = 0; l < all.layers.size(); ++l) {
            auto const rows = source.rows(l, {.serial = state.stored() + i,
                                              .position = std::max<std::int64_t>(position, 0),
                                              .target = step.target});
            if (stores) put(all.layers[l].keys, rows.keys);
            if (stores) put(all.layers[l].values, rows.values);
            if (step.verb != Verb::append) put(all.layers[l].queries, rows.queries);
        }
    }
    return all;
}

Tokens tokenAt(Tokens const& all, std::size_t i) {
    Tokens token{.count = 1, .layers = {}};
    auto const cut = [&](std::vector<float> const& rows) {
        std::size_t const width = rows.size() / all.count;
        auto const from = rows.begin() + std::ptrdiff_t(i * width);
        return std::vector<float>(from, from + std::ptrdiff_t(width));
    };
    for (auto const& l : all.layers)
        token.layers.push_back({cut(l.keys), cut(l.values), cut(l.queries)});
    return token;
}

Answer play(AnyEngine& engine, Step const& s, Tokens const& tokens, Outputs& outputs,
            Content& content) {
    switch (s.verb) {
        case Verb::append: return engine.append(s.sequence, tokens);
        case Verb::prefill: return engine.prefill(s.sequence, tokens, outputs);
        case Verb::attend: return engine.attend(s.sequence, tokens, outputs);
        case Verb::observe: return engine.observe(s.sequence, content);
        case Verb::rollback: return engine.rollback(s.sequence, s.length);
        case Verb::fork: return engine.fork(s.sequence, s.to);
        case Verb::evict: return engine.evict(s.sequence, s.count);
        case Verb::remove: return engine.remove(s.sequence, {s.first, s.count});
        case Verb::shift: return engine.shift(s.sequence, s.delta);
        case Verb::reorder: return engine.reorder(s.parents);
        case Verb::release: return engine.release(s.sequence);
        case Verb::keep: return engine.keep(s.sequence);
        case Verb::reset: return engine.reset();
    }
    return Answer::refused("unknown verb");
}

}  // namespace kv::properties

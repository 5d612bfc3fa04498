// spec_mutants: wrong specs, one wrong verb each, that some theorem must notice.
//
// Each is a mistake that a cache has been shipped with or that a hasty author of a spec makes. They
// stand in the order of the verbs; a name says what is wrong, so it can head a row of the table
// that spec_mutants_test.cpp prints.
#pragma once
#include "replaced_verb.hpp"

#include <string_view>
#include <vector>

namespace kv::tests {

struct Mutant {
    std::string_view name;
    Verbs verbs;
};

namespace detail {

// Appends the token as if it stood at position `at`; the row is listed at `listed`.
inline void appendAt(SymbolSpec const& spec, Rows& rows, Token const& token, Position at,
                     Position listed) {
    rows = kv::appendKV(rows, storedKey(spec.layer.position, token.key, at), token.value);
    rows.positions[lastIndex(rows)] = listed;
}

template <class Change>
void changeLast(Rows& rows, Change change) {
    if (rows.length() != 0) change(rows, lastIndex(rows));
}

// Stores a chunk as the spec does, then answers token i from the rows that `sees` lets it see.
template <class Sees>
Seq<Output, Dyn> prefillSeeing(SymbolSpec const& spec, Rows& rows, Chunk const& chunk, Sees sees) {
    std::size_t const past = rows.length();
    for (std::size_t i = 0; i < chunk.size(); ++i) rows = spec.appendKV(rows, chunk[i]);
    auto const keys = tabulate(rows.length(), [&](std::size_t j) {
        return seenKey(spec.layer.position, rows.keys[j], rows.positions[j]);
    });
    return tabulate(chunk.size(), [&](std::size_t i) {
        Position const at = rows.positions[past + i];
        return attendRows(
            spec.layer, at, chunk[i].query,
            kv::Rows{rows.length(), [&](std::size_t j) { return rows.positions[j]; },
                     [&](std::size_t j) -> auto const& { return keys[j]; },
                     [&](std::size_t j) -> auto const& { return rows.values[j]; },
                     [&](Sight const& s) { return sees(s, past); }});
    });
}

// Query head h reads kv head h % G: the heads in the order in which division would give that.
inline Output attendByModulo(SymbolLayer layer, Rows const& rows, Query const& query) {
    std::size_t const heads = layer.queryHeads, groups = layer.kvHeads;
    auto const place = [&](std::size_t h) { return h % groups * (heads / groups) + h / groups; };
    auto const slopes = layer.position.slopes;
    Query moved = query;
    for (std::size_t h = 0; h < heads; ++h) {
        moved[place(h)] = query[h];
        if (slopes.size() != 0) layer.position.slopes[place(h)] = slopes[h];
    }
    auto const output = kv::attend(layer, rows, moved);
    return tabulate(layer.queryHeads, [&](std::size_t h) { return output[place(h)]; });
}

// Attends in parts of neighbors, and hands what they leave to `join` instead of merging it.
enum class LastRow : std::uint8_t { ofItsPart, ofEveryPart };
template <class Join>
Output attendJoined(SymbolSpec const& spec, Rows const& rows, Query const& query,
                    Parts const& parts, Join join, LastRow last = LastRow::ofItsPart) {
    bool const isShared = last == LastRow::ofEveryPart && spec.layer.sinkLogits.size() != 0;
    auto const mean = [&](std::size_t n, auto score, auto value) {
        std::vector<decltype(partialOf<proofs::Term>(n, score, value))> all;
        for (std::size_t part = 0; part < parts.count; ++part) {
            std::vector<std::size_t> its;
            for (std::size_t j = 0; j < n; ++j)
                if (parts.of(j) == part || (isShared && j + 1 == n)) its.push_back(j);
            if (!its.empty())
                all.push_back(partialOf<proofs::Term>(
                    its.size(), [&](std::size_t k) { return score(its[k]); },
                    [&](std::size_t k) -> auto const& { return value(its[k]); }));
        }
        return join(all);
    };
    return attendAt(spec.layer, rows, seenKeys(spec.layer, rows), lastIndex(rows), query, mean);
}

// Both blocks of the model; the second one takes what `between` makes of the first one's output.
template <class Between>
ModelStep throughBlocks(Model const& model, Caches const& caches, Hidden const& x,
                        Between between) {
    auto const& first = hana::at_c<0>(model);
    auto const& second = hana::at_c<1>(model);
    auto const one = decodeWithCache(first.layer, hana::at_c<0>(caches), first.project(x));
    Hidden const middle = between(x, first.combine(x, one.output));
    auto const two = decodeWithCache(second.layer, hana::at_c<1>(caches), second.project(middle));
    return {Caches{one.cache, two.cache}, second.combine(middle, two.output)};
}

// A row is stored behind the last one without a look at who else names its block.
inline bool appendInPlace(SymbolSpec const& spec, Tables& tables, std::size_t s,
                          Token const& row) {
    std::size_t const place = tables.lengths[s] % tables.blockRows();
    if (place == 0) {
        auto attempt = spec.appendRow(tables, s, row);
        tables = std::move(attempt.cache);
        return attempt.accepted;
    }
    tables.blocks[tables.tables[s][tables.lengths[s]++ / tables.blockRows()]][place] = row;
    return true;
}

// The bytes of layers that `change` has changed one by one.
template <class Change>
Bytes memoryOfChanged(SymbolSpec const& spec, Layers layers, Holding const& holding,
                      Change change) {
    std::vector<LayerDeclaration> changed(layers.begin(), layers.end());
    for (auto& layer : changed) change(layer);
    return spec.memory(changed, holding);
}

// What is left of the bytes without so many per group of the keys and of the values.
template <class PerGroup>
Bytes memoryWithout(SymbolSpec const& spec, Layers layers, Holding const& holding,
                    PerGroup perGroup) {
    Bytes less = 0;
    for (auto const& l : layers) {
        auto const of = [&](StoredFormat const& f, std::size_t dim) {
            Bytes const groups = l.kvHeads * dim / groupLength(f, l.kvHeads, dim);
            return groups * perGroup(codecOf(f.codec));
        };
        less += holding.sequences * heldRows(l, holding) *
                (of(l.keyFormat, l.keyDim) + of(l.valueFormat, l.valueDim));
    }
    return spec.memory(layers, holding) - less;
}

}  // namespace detail

inline std::vector<Mutant> const appendMutants{
    {"append overwrites the newest row",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              if (rows.length() != 0) rows = kv::rollback(rows, rows.length() - 1);
              rows = spec.appendKV(rows, token);
          }}},
    {"append puts the newest row before the last",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              rows = spec.appendKV(rows, token);
              detail::changeLast(rows, [](Rows& r, std::size_t n) {
                  if (n == 0) return;
                  std::swap(r.keys[n], r.keys[n - 1]);
                  std::swap(r.values[n], r.values[n - 1]);
              });
          }}},
    {"append stores the value of the row before",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              rows = spec.appendKV(rows, token);
              detail::changeLast(
                  rows, [](Rows& r, std::size_t n) { r.values[n] = r.values[n == 0 ? 0 : n - 1]; });
          }}},
    {"append stores the key of the row before",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              rows = spec.appendKV(rows, token);
              detail::changeLast(
                  rows, [](Rows& r, std::size_t n) { r.keys[n] = r.keys[n == 0 ? 0 : n - 1]; });
          }}},
    {"append writes into the first row too",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              rows = spec.appendKV(rows, token);
              rows.values[0] = token.value;
          }}},
    {"append keeps the next position",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              auto const next = rows.next;
              rows = spec.appendKV(rows, token);
              rows.next = next;
          }}},
    {"append rotates by one position too far",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              detail::appendAt(spec, rows, token, rows.next + 1, rows.next);
          }}},
    {"append forgets to rotate",
     {.appendKV =
          [](SymbolSpec const&, Rows& rows, Token const& token) {
              rows = kv::appendKV(rows, token.key, token.value);
          }}},
    {"append rotates a raw key",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              rows = kv::appendKV(rows, rotateRow(spec.layer.position, token.key, rows.next),
                                  token.value);
          }}},
    {"append takes the index for the position",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              auto const index = Position(rows.length());
              detail::appendAt(spec, rows, token, index, index);
          }}},
    {"append keeps three rows only",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              rows = spec.appendKV(rows, token);
              if (rows.length() > 3) rows = kv::evict(rows, Dyn{1});
          }}},
    {"append exchanges two kv heads",
     {.appendKV =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              rows = spec.appendKV(rows, token);
              detail::changeLast(rows, [](Rows& r, std::size_t n) {
                  std::swap(r.keys[n][0], r.keys[n][r.keys[n].size() - 1]);
              });
          }}},
};

inline std::vector<Mutant> const capacityMutants{
    {"capacity is one row too large",
     {.appendWithin =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              bool const fits = rows.length() <= spec.capacity;
              if (fits) rows = spec.appendKV(rows, token);
              return fits;
          }}},
    {"capacity is one row too small",
     {.appendWithin =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              bool const fits = rows.length() + 1 < spec.capacity;
              if (fits) rows = spec.appendKV(rows, token);
              return fits;
          }}},
    {"a full cache drops its oldest row",
     {.appendWithin =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              bool const fits = rows.length() < spec.capacity;
              rows = spec.appendKV(rows, token);
              if (!fits) rows = kv::evict(rows, Dyn{1});
              return fits;
          }}},
    {"a refusal takes a position",
     {.appendWithin =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              auto attempt = spec.appendWithin(rows, token);
              rows = std::move(attempt.cache);
              if (!attempt.accepted) ++rows.next;
              return attempt.accepted;
          }}},
    {"a refusal is called accepted",
     {.appendWithin =
          [](SymbolSpec const& spec, Rows& rows, Token const& token) {
              rows = spec.appendWithin(rows, token).cache;
              return true;
          }}},
    {"a misshapen row is taken", {.takesMisshapen = [](SymbolSpec const&, Rows&) { return true; }}},
};

inline std::vector<Mutant> const prefillMutants{
    {"prefill sees later tokens",
     {.prefill =
          [](SymbolSpec const& spec, Rows& rows, Chunk const& chunk) {
              return detail::prefillSeeing(spec, rows, chunk, [&](Sight s, std::size_t) {
                  s.query = std::max(s.query, s.key);
                  return spec.layer.mask.sees(s);
              });
          }}},
    {"prefill aligns a chunk with the first key",
     {.prefill =
          [](SymbolSpec const& spec, Rows& rows, Chunk const& chunk) {
              return detail::prefillSeeing(spec, rows, chunk, [&](Sight s, std::size_t past) {
                  s.query -= Position(past);
                  return spec.layer.mask.sees(s);
              });
          }}},
    {"prefill ignores the past",
     {.prefill =
          [](SymbolSpec const& spec, Rows& rows, Chunk const& chunk) {
              return detail::prefillSeeing(spec, rows, chunk, [&](Sight s, std::size_t past) {
                  return s.index >= past && spec.layer.mask.sees(s);
              });
          }}},
    {"prefill loses its last token",
     {.prefill =
          [](SymbolSpec const& spec, Rows& rows, Chunk const& chunk) {
              auto step = spec.prefill(rows, chunk);
              rows = chunk.size() == 0 ? step.cache
                                       : kv::rollback(step.cache, step.cache.length() - 1);
              return step.outputs;
          }}},
    {"positions restart in a chunk",
     {.prefill =
          [](SymbolSpec const& spec, Rows& rows, Chunk const& chunk) {
              rows.next = 0;
              auto step = spec.prefill(rows, chunk);
              rows = std::move(step.cache);
              return step.outputs;
          }}},
    {"positions restart after a chunk",
     {.prefill =
          [](SymbolSpec const& spec, Rows& rows, Chunk const& chunk) {
              auto step = spec.prefill(rows, chunk);
              rows = std::move(step.cache);
              rows.next = 0;
              return step.outputs;
          }}},
};

inline std::vector<Mutant> const stepMutants{
    {"a batch shares one position",
     {.step =
          [](SymbolSpec const& spec, BatchRows& batch) {
              Position furthest = 0;
              for (auto const& row : batch) furthest = std::max(furthest, row.rows->next);
              for (auto& row : batch) row.rows->next = furthest;
              Verbs{}.step(spec, batch);
          }}},
    {"a batch stores as many tokens for each as for its longest item",
     {.step =
          [](SymbolSpec const& spec, BatchRows& batch) {
              std::size_t longest = 0;
              for (auto const& row : batch) longest = std::max(longest, row.tokens.size());
              Verbs{}.step(spec, batch);
              for (auto& row : batch)
                  for (std::size_t i = row.tokens.size(); row.tokens.size() > 0 && i < longest; ++i)
                      *row.rows = spec.appendKV(*row.rows, row.tokens[0]);
          }}},
    {"items of a batch are sorted by the length of their pasts",
     {.step =
          [](SymbolSpec const& spec, BatchRows& batch) {
              auto const length = [](auto const& row) { return row.rows->length(); };
              bool const isSorted = std::ranges::is_sorted(batch, std::ranges::less{}, length);
              if (!isSorted) std::swap(batch.front().tokens, batch.back().tokens);
              Verbs{}.step(spec, batch);
              if (!isSorted) std::swap(batch.front().outputs, batch.back().outputs);
          }}},
    {"an inactive row moves on by a position",
     {.step =
          [](SymbolSpec const& spec, BatchRows& batch) {
              Verbs{}.step(spec, batch);
              for (auto& row : batch)
                  if (row.tokens.size() == 0) ++row.rows->next;
          }}},
    {"an inactive row stores what is padded there",
     {.step =
          [](SymbolSpec const& spec, BatchRows& batch) {
              Verbs{}.step(spec, batch);
              for (auto& row : batch)
                  if (row.tokens.size() == 0 && batch.front().tokens.size() > 0)
                      detail::changeLast(*row.rows, [&](Rows& r, std::size_t n) {
                          r.values[n] = batch.front().tokens[0].value;
                      });
          }}},
};

inline std::vector<Mutant> const attendMutants{
    {"the mask is one key too wide",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              if (layer.mask.keys != 0) ++layer.mask.keys;
              return kv::attend(layer, rows, query);
          }}},
    {"the mask is one key too narrow",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              if (layer.mask.keys > 1) --layer.mask.keys;
              return kv::attend(layer, rows, query);
          }}},
    {"a chunk is read as a window",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              if (layer.mask.chunk != 0) layer.mask.keys = layer.mask.chunk;
              layer.mask.chunk = 0;
              return kv::attend(layer, rows, query);
          }}},
    {"a chunk is one position longer",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              if (layer.mask.chunk != 0) ++layer.mask.chunk;
              return kv::attend(layer, rows, query);
          }}},
    {"the window is ignored",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              layer.mask.keys = 0;
              return kv::attend(layer, rows, query);
          }}},
    {"the sinks are ignored",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              layer.mask.sinks = 0;
              return kv::attend(layer, rows, query);
          }}},
    {"the oldest row is not seen",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              if (rows.length() < 2) return spec.attend(rows, query);
              return spec.attend(kv::evict(rows, Dyn{1}), query);
          }}},
    {"the query head reads kv head h modulo G",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              return detail::attendByModulo(spec.layer, rows, query);
          }}},
    {"the scale is applied twice",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              layer.scale = layer.scale * layer.scale;
              return kv::attend(layer, rows, query);
          }}},
    {"the slope of ALiBi has the wrong sign",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              for (std::size_t h = 0; h < layer.position.slopes.size(); ++h)
                  layer.position.slopes[h] =
                      Num<proofs::Term>::multiple(layer.position.slopes[h], -1);
              return kv::attend(layer, rows, query);
          }}},
    {"the logit of a sink is scaled",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              for (std::size_t h = 0; h < layer.sinkLogits.size(); ++h)
                  layer.sinkLogits[h] = layer.sinkLogits[h] * layer.scale;
              return kv::attend(layer, rows, query);
          }}},
    {"the sink of the first head serves all",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              for (std::size_t h = 1; h < layer.sinkLogits.size(); ++h)
                  layer.sinkLogits[h] = layer.sinkLogits[0];
              return kv::attend(layer, rows, query);
          }}},
    {"raw keys are read without rotation",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              layer.position.storage = KeyStorage::rotated;
              return kv::attend(layer, rows, query);
          }}},
    {"rotated keys are rotated again when read",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              layer.position.storage = KeyStorage::raw;
              return kv::attend(layer, rows, query);
          }}},
    {"halves and neighbors are confused",
     {.attend =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
              auto layer = spec.layer;
              if (layer.position.layout != RotaryLayout::none)
                  layer.position.layout = layer.position.layout == RotaryLayout::halfSplit
                                              ? RotaryLayout::interleaved
                                              : RotaryLayout::halfSplit;
              return kv::attend(layer, rows, query);
          }}},
};

inline std::vector<Mutant> const observeMutants{
    {"a read-back begins one row late",
     {.observe =
          [](SymbolSpec const&, Rows const& rows) {
              return kv::evict(rows, Dyn{rows.length() == 0 ? 0u : 1u});
          }}},
    {"a read-back counts positions from the oldest row",
     {.observe =
          [](SymbolSpec const&, Rows const& rows) {
              auto seen = rows;
              for (std::size_t i = 0; i < seen.length(); ++i) seen.positions[i] = Position(i);
              return seen;
          }}},
};

inline std::vector<Mutant> const rollbackMutants{
    {"a rollback keeps one row too many",
     {.rollback =
          [](SymbolSpec const& spec, Rows& rows, Dyn m) {
              rows = spec.rollback(rows, m < rows.length() ? m + 1 : m);
          }}},
    {"a rollback drops the oldest rows",
     {.rollback =
          [](SymbolSpec const&, Rows& rows, Dyn m) {
              std::size_t const gone = rows.length() - m;
              rows = kv::rowsOf(rows, gone, m, rows.next - Position(gone));
          }}},
    {"a rollback leaves the next position",
     {.rollback =
          [](SymbolSpec const& spec, Rows& rows, Dyn m) {
              auto const next = rows.next;
              rows = spec.rollback(rows, m);
              rows.next = next;
          }}},
    {"a rollback leaves the rows",
     {.rollback =
          [](SymbolSpec const&, Rows& rows, Dyn m) {
              if (m < rows.length()) rows.next = rows.positions[m];
          }}},
    {"a rollback takes as many positions back as rows",
     {.rollback =
          [](SymbolSpec const& spec, Rows& rows, Dyn m) {
              auto const next = rows.next - Position(rows.length() - m);
              rows = spec.rollback(rows, m);
              rows.next = next;
          }}},
    {"a rollback to nothing is forgotten",
     {.rollback =
          [](SymbolSpec const& spec, Rows& rows, Dyn m) {
              if (m != 0) rows = spec.rollback(rows, m);
          }}},
};

inline std::vector<Mutant> const forkMutants{
    {"a fork shares its rows",
     {.fork = [](SymbolSpec const&, Storage const& parent) { return parent; }}},
    {"a fork begins at position 0",
     {.fork =
          [](SymbolSpec const& spec, Storage const& parent) {
              auto child = spec.fork(*parent).child;
              child.next = 0;
              return std::make_shared<Rows>(std::move(child));
          }}},
    {"a fork misses the newest row",
     {.fork =
          [](SymbolSpec const& spec, Storage const& parent) {
              auto child = spec.fork(*parent).child;
              if (child.length() != 0) {
                  auto const next = child.next;
                  child = kv::rollback(child, child.length() - 1);
                  child.next = next;
              }
              return std::make_shared<Rows>(std::move(child));
          }}},
    {"a fork takes the rows of its parent along",
     {.fork =
          [](SymbolSpec const& spec, Storage const& parent) {
              auto child = std::make_shared<Rows>(*parent);
              *parent = spec.rollback(*parent, Dyn{0});
              return child;
          }}},
};

inline std::vector<Mutant> const evictMutants{
    {"an eviction drops the newest rows",
     {.evict =
          [](SymbolSpec const&, Rows& rows, Dyn m) {
              rows = kv::rowsOf(rows, 0, rows.length() - m, rows.next);
          }}},
    {"an eviction frees positions",
     {.evict =
          [](SymbolSpec const& spec, Rows& rows, Dyn m) {
              rows = spec.evict(rows, m);
              rows.next -= Position(m);
          }}},
    {"an eviction moves positions down",
     {.evict =
          [](SymbolSpec const& spec, Rows& rows, Dyn m) {
              rows = spec.evict(rows, m);
              for (std::size_t i = 0; i < rows.length(); ++i) rows.positions[i] -= Position(m);
          }}},
    {"an eviction drops one row too many",
     {.evict =
          [](SymbolSpec const& spec, Rows& rows, Dyn m) {
              rows = spec.evict(rows, m != 0 && m < rows.length() ? m + 1 : m);
          }}},
    {"an eviction drops nothing", {.evict = [](SymbolSpec const&, Rows&, Dyn) {}}},
    {"an eviction forgets the last position",
     {.evict =
          [](SymbolSpec const& spec, Rows& rows, Dyn m) {
              rows = spec.evict(rows, m);
              rows.next = rows.length() == 0 ? 0 : rows.positions[lastIndex(rows)] + 1;
          }}},
};

inline std::vector<Mutant> const removeMutants{
    {"a removal frees positions",
     {.remove =
          [](SymbolSpec const& spec, Rows& rows, SomeRows gone) {
              rows = spec.remove(rows, gone);
              rows.next -= Position(gone.count);
          }}},
    {"a removal closes the gap of positions",
     {.remove =
          [](SymbolSpec const& spec, Rows& rows, SomeRows gone) {
              rows = spec.remove(rows, gone);
              for (std::size_t i = gone.first; i < rows.length(); ++i)
                  rows.positions[i] -= Position(gone.count);
          }}},
    {"a removal drops one row only",
     {.remove =
          [](SymbolSpec const& spec, Rows& rows, SomeRows gone) {
              gone.count = smaller(gone.count, Dyn{1});
              rows = spec.remove(rows, gone);
          }}},
    {"a removal drops the oldest rows",
     {.remove =
          [](SymbolSpec const& spec, Rows& rows, SomeRows gone) {
              rows = spec.evict(rows, gone.count);
          }}},
    {"a removal forgets what stands behind it",
     {.remove =
          [](SymbolSpec const&, Rows& rows, SomeRows gone) {
              rows = kv::rowsOf(rows, 0, gone.first, rows.next);
          }}},
    {"a removal leaves the keys where they were",
     {.remove =
          [](SymbolSpec const& spec, Rows& rows, SomeRows gone) {
              auto left = spec.remove(rows, gone);
              for (std::size_t i = 0; i < left.length(); ++i) left.keys[i] = rows.keys[i];
              rows = std::move(left);
          }}},
    {"a removal moves the row before its own first",
     {.remove =
          [](SymbolSpec const& spec, Rows& rows, SomeRows gone) {
              auto left = spec.remove(rows, gone);
              if (gone.count != 0 && gone.first < left.length())
                  left.values[gone.first] = rows.values[gone.first + gone.count - 1];
              rows = std::move(left);
          }}},
};

inline std::vector<Mutant> const reorderMutants{
    {"a reorder is skipped",
     {.reorder = [](SymbolSpec const&, Forked<Rows>&, Parents<Nat<2>> const&) {}}},
    {"a reorder sends beams to their parents",
     {.reorder =
          [](SymbolSpec const&, Forked<Rows>& beams, Parents<Nat<2>> const& parents) {
              auto const old = beams;
              (parents[0] == 0 ? beams.parent : beams.child) = old.parent;
              (parents[1] == 0 ? beams.parent : beams.child) = old.child;
          }}},
    {"a reorder writes over a past that is still to be read",
     {.reorder =
          [](SymbolSpec const&, Forked<Rows>& beams, Parents<Nat<2>> const& parents) {
              if (parents[0] == 1) beams.parent = beams.child;
              if (parents[1] == 0) beams.child = beams.parent;
          }}},
    {"a reorder moves keys only",
     {.reorder =
          [](SymbolSpec const& spec, Forked<Rows>& beams, Parents<Nat<2>> const& parents) {
              auto now = spec.reorder(beams, parents);
              now.parent.values = beams.parent.values;
              now.child.values = beams.child.values;
              beams = std::move(now);
          }}},
    {"a reorder makes values of keys",
     {.reorder =
          [](SymbolSpec const& spec, Forked<Rows>& beams, Parents<Nat<2>> const& parents) {
              beams = spec.reorder(beams, parents);
              detail::changeLast(beams.child, [](Rows& r, std::size_t n) {
                  r.values[n][0][0] = r.keys[n][0][0];
              });
          }}},
};

inline std::vector<Mutant> const saveMutants{
    {"a saved copy is the original",
     {.save = [](SymbolSpec const&, Storage const& original) { return original; }}},
    {"a save leaves the next position behind",
     {.save =
          [](SymbolSpec const& spec, Storage const& original) {
              auto copy = std::make_shared<Rows>(spec.save(*original).copy);
              copy->next = 0;
              return copy;
          }}},
    {"a save misses the newest row",
     {.save =
          [](SymbolSpec const& spec, Storage const& original) {
              auto copy = spec.save(*original).copy;
              if (copy.length() != 0)
                  copy = kv::rowsOf(copy, 0, copy.length() - 1, copy.next);
              return std::make_shared<Rows>(std::move(copy));
          }}},
    {"a save empties the original",
     {.save =
          [](SymbolSpec const& spec, Storage const& original) {
              auto copy = std::make_shared<Rows>(spec.save(*original).copy);
              *original = spec.release(*original);
              return copy;
          }}},
    {"a copy can be restored once",
     {.restore =
          [](SymbolSpec const& spec, Storage const& copy) {
              auto rows = std::make_shared<Rows>(spec.restore(*copy));
              *copy = spec.release(*copy);
              return rows;
          }}},
    {"a restored sequence goes on in the copy",
     {.restore = [](SymbolSpec const&, Storage const& copy) { return copy; }}},
    {"a restore moves positions down to 0",
     {.restore =
          [](SymbolSpec const& spec, Storage const& copy) {
              auto rows = std::make_shared<Rows>(spec.restore(*copy));
              for (std::size_t i = rows->length(); i > 0; --i)
                  rows->positions[i - 1] -= rows->positions[0];
              rows->next = Position(rows->length());
              return rows;
          }}},
    {"a restore brings back values for keys",
     {.restore =
          [](SymbolSpec const& spec, Storage const& copy) {
              auto rows = std::make_shared<Rows>(spec.restore(*copy));
              detail::changeLast(*rows, [](Rows& r, std::size_t n) {
                  r.keys[n][0][0] = r.values[n][0][0];
              });
              return rows;
          }}},
};

inline std::vector<Mutant> const pagingMutants{
    {"a shared block is written in place", {.appendRow = detail::appendInPlace}},
    {"a copied block keeps a reference",
     {.appendRow =
          [](SymbolSpec const& spec, Tables& tables, std::size_t s, Token const& row) {
              std::size_t const entry = tables.lengths[s] / tables.blockRows();
              std::size_t const old = tables.tables[s][entry];
              bool const isPartial = tables.lengths[s] % tables.blockRows() != 0;
              auto attempt = spec.appendRow(tables, s, row);
              tables = std::move(attempt.cache);
              if (isPartial && tables.tables[s][entry] != old) ++tables.references[old];
              return attempt.accepted;
          }}},
    {"a copied block brings no rows along",
     {.appendRow =
          [](SymbolSpec const& spec, Tables& tables, std::size_t s, Token const& row) {
              std::size_t const entry = tables.lengths[s] / tables.blockRows();
              auto const before = tables;
              auto attempt = spec.appendRow(tables, s, row);
              tables = std::move(attempt.cache);
              std::size_t const now = tables.tables[s][entry];
              for (std::size_t i = 0; i < before.lengths[s] % tables.blockRows(); ++i)
                  if (now != before.tables[s][entry])
                      tables.blocks[now][i] = before.blocks[now][i];
              return attempt.accepted;
          }}},
    {"a refusal counts the row",
     {.appendRow =
          [](SymbolSpec const& spec, Tables& tables, std::size_t s, Token const& row) {
              auto attempt = spec.appendRow(tables, s, row);
              tables = std::move(attempt.cache);
              if (!attempt.accepted) ++tables.lengths[s];
              return attempt.accepted;
          }}},
    {"without a block for the copy the shared one is written",
     {.appendRow =
          [](SymbolSpec const& spec, Tables& tables, std::size_t s, Token const& row) {
              auto attempt = spec.appendRow(tables, s, row);
              tables = std::move(attempt.cache);
              if (attempt.accepted || tables.lengths[s] % tables.blockRows() == 0)
                  return attempt.accepted;
              return detail::appendInPlace(spec, tables, s, row);
          }}},
    {"a refusal writes over the first row",
     {.appendRow =
          [](SymbolSpec const& spec, Tables& tables, std::size_t s, Token const& row) {
              auto attempt = spec.appendRow(tables, s, row);
              tables = std::move(attempt.cache);
              if (!attempt.accepted) tables.blocks[tables.tables[0][0]][0] = row;
              return attempt.accepted;
          }}},
    {"a refusal loses a value",
     {.appendRow =
          [](SymbolSpec const& spec, Tables& tables, std::size_t s, Token const& row) {
              auto attempt = spec.appendRow(tables, s, row);
              tables = std::move(attempt.cache);
              if (!attempt.accepted) tables.blocks[tables.tables[0][0]][0].value = row.value;
              return attempt.accepted;
          }}},
    {"blocks are read as if they lay side by side",
     {.readRow =
          [](SymbolSpec const&, Tables const& tables, std::size_t s, std::size_t i) {
              std::size_t const block = tables.tables[s][0] + i / tables.blockRows();
              return tables.blocks[block % tables.blocks.size()][i % tables.blockRows()];
          }}},
    {"a rollback keeps a block too many",
     {.rollbackRows =
          [](SymbolSpec const& spec, Tables& tables, std::size_t s, std::size_t m) {
              std::size_t const last = tables.tables[s][tables.blocksOf(m)];
              bool const gives = tables.blocksOf(m) < tables.blocksOf(tables.lengths[s]);
              tables = spec.rollbackRows(tables, s, m);
              if (gives) ++tables.references[last];
          }}},
    {"a rollback gives back the block that it cuts",
     {.rollbackRows =
          [](SymbolSpec const& spec, Tables& tables, std::size_t s, std::size_t m) {
              tables = spec.rollbackRows(tables, s, m);
              if (m % tables.blockRows() != 0)
                  tables.references[tables.tables[s][m / tables.blockRows()]] = 0;
          }}},
    {"a fork only marks a block as shared",
     {.forkTable =
          [](SymbolSpec const& spec, Tables& tables, Forked<std::size_t> ids) {
              tables = spec.forkTable(tables, ids);
              for (std::size_t b = 0; b < tables.references.size(); ++b)
                  tables.references[b] = std::min<std::size_t>(tables.references[b], 2);
          }}},
    {"a fork takes no reference",
     {.forkTable =
          [](SymbolSpec const& spec, Tables& tables, Forked<std::size_t> ids) {
              auto const references = tables.references;
              tables = spec.forkTable(tables, ids);
              tables.references = references;
          }}},
};

inline std::vector<Mutant> const releaseMutants{
    {"a release is an eviction of every row",
     {.release =
          [](SymbolSpec const& spec, Rows& rows) { rows = spec.evict(rows, rows.length()); }}},
    {"a release leaves the oldest row",
     {.release =
          [](SymbolSpec const& spec, Rows& rows) { rows = spec.rollback(rows, Dyn{1}); }}},
    {"a release forgets the position only",
     {.release = [](SymbolSpec const&, Rows& rows) { rows.next = 0; }}},
};

inline std::vector<Mutant> const keepMutants{
    {"keep releases nothing", {.keep = [](SymbolSpec const&, Rows&, Rows&) {}}},
    {"keep releases the chosen sequence too",
     {.keep =
          [](SymbolSpec const& spec, Rows& chosen, Rows& other) {
              chosen = spec.release(chosen);
              other = spec.release(other);
          }}},
    {"keep releases the chosen sequence and no other",
     {.keep = [](SymbolSpec const& spec, Rows& chosen,
                 Rows&) { chosen = spec.release(chosen); }}},
    {"keep evicts the rows of the others",
     {.keep = [](SymbolSpec const& spec, Rows&,
                 Rows& other) { other = spec.evict(other, other.length()); }}},
    {"keep sets the chosen sequence back",
     {.keep =
          [](SymbolSpec const& spec, Rows& chosen, Rows& other) {
              other = spec.release(other);
              chosen.next = 0;
          }}},
};

inline std::vector<Mutant> const shiftMutants{
    {"a shift does not rotate",
     {.shift =
          [](SymbolSpec const&, Rows& rows, Position by) {
              for (std::size_t i = 0; i < rows.length(); ++i) rows.positions[i] += by;
              rows.next += by;
          }}},
    {"a shift rotates the other way",
     {.shift =
          [](SymbolSpec const& spec, Rows& rows, Position by) {
              auto const keys = spec.shift(rows, -by).keys;
              rows = spec.shift(rows, by);
              rows.keys = keys;
          }}},
    {"a shift rotates twice",
     {.shift =
          [](SymbolSpec const& spec, Rows& rows, Position by) {
              auto const keys = spec.shift(rows, 2 * by).keys;
              rows = spec.shift(rows, by);
              rows.keys = keys;
          }}},
    {"a shift rotates raw keys",
     {.shift =
          [](SymbolSpec const& spec, Rows& rows, Position by) {
              auto law = spec.layer.position;
              law.storage = KeyStorage::rotated;
              rows = kv::shift(law, rows, by);
          }}},
    {"a shift leaves the listed positions",
     {.shift =
          [](SymbolSpec const& spec, Rows& rows, Position by) {
              auto const positions = rows.positions;
              rows = spec.shift(rows, by);
              rows.positions = positions;
          }}},
    {"a shift leaves the next position",
     {.shift =
          [](SymbolSpec const& spec, Rows& rows, Position by) {
              rows = spec.shift(rows, by);
              rows.next -= by;
          }}},
    {"a shift spares the oldest row",
     {.shift =
          [](SymbolSpec const& spec, Rows& rows, Position by) {
              auto shifted = spec.shift(rows, by);
              if (rows.length() != 0) shifted.keys[0] = rows.keys[0];
              rows = std::move(shifted);
          }}},
};

inline std::vector<Mutant> const modelMutants{
    {"the second block takes the input of the first",
     {.decodeModel =
          [](SymbolSpec const&, Model const& model, Caches const& caches, Hidden const& x) {
              return detail::throughBlocks(model, caches, x,
                                           [](Hidden const& in, Hidden const&) { return in; });
          }}},
    {"the first block's cache does not grow",
     {.decodeModel =
          [](SymbolSpec const& spec, Model const& model, Caches const& caches, Hidden const& x) {
              auto step = spec.decodeModel(model, caches, x);
              hana::at_c<0>(step.cache) = hana::at_c<0>(caches);
              return step;
          }}},
    {"the second block's newest value stands in the first block's cache",
     {.decodeModel =
          [](SymbolSpec const& spec, Model const& model, Caches const& caches, Hidden const& x) {
              auto step = spec.decodeModel(model, caches, x);
              auto& first = hana::at_c<0>(step.cache);
              auto& second = hana::at_c<1>(step.cache);
              std::size_t const newest = lastIndex(first);
              if (first.values[newest][0].size() == second.values[newest][0].size())
                  first.values[newest] = second.values[newest];
              return step;
          }}},
    {"the second block forgets its past",
     {.decodeModel =
          [](SymbolSpec const& spec, Model const& model, Caches const& caches, Hidden const& x) {
              auto kept = caches;
              hana::at_c<1>(kept) = {};
              return spec.decodeModel(model, kept, x);
          }}},
};

inline std::vector<Mutant> const mergeMutants{
    {"parts are added up without a common maximum",
     {.attendInParts =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query, Parts const& parts) {
              return detail::attendJoined(spec, rows, query, parts, [](auto all) {
                  auto sum = all[0];
                  for (std::size_t i = 1; i < all.size(); ++i) {
                      sum.total = sum.total + all[i].total;
                      for (std::size_t d = 0; d < sum.sum.size(); ++d)
                          sum.sum[d] = sum.sum[d] + all[i].sum[d];
                  }
                  return finish(sum);
              });
          }}},
    {"every part counts the sink",
     {.attendInParts =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query, Parts const& parts) {
              return detail::attendJoined(spec, rows, query, parts, [](auto all) {
                  return finish(foldLeft(
                      all.size(), [&](std::size_t i) { return all[i]; },
                      [](auto const& p, auto const& q) { return merge(p, q); }));
              }, detail::LastRow::ofEveryPart);
          }}},
    {"the mean of the last part is the mean of all",
     {.attendInParts =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query, Parts const& parts) {
              return detail::attendJoined(spec, rows, query, parts,
                                          [](auto const& all) { return finish(all.back()); });
          }}},
    {"means are merged by their maxima instead of their log-sum-exps",
     {.attendInParts =
          [](SymbolSpec const& spec, Rows const& rows, Query const& query, Parts const& parts) {
              return detail::attendJoined(spec, rows, query, parts, [](auto const& all) {
                  auto whole = averaged(all[0]);
                  whole.logSumExp = all[0].top;
                  for (std::size_t i = 1; i < all.size(); ++i) {
                      auto part = averaged(all[i]);
                      part.logSumExp = all[i].top;
                      whole = merge(whole, part);
                  }
                  return finish(whole);
              });
          }}},
};

inline std::vector<Mutant> const memoryMutants{
    {"bytes of query heads are counted",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              return detail::memoryOfChanged(spec, layers, holding, [](LayerDeclaration& l) {
                  l.kvHeads = l.queryHeads;
              });
          }}},
    {"a value takes as many bytes as a key",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              return detail::memoryOfChanged(spec, layers, holding, [](LayerDeclaration& l) {
                  l.valueDim = l.keyDim;
                  l.valueFormat = l.keyFormat;
              });
          }}},
    {"a block that is not full takes the bytes of its rows",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              auto unpaged = holding;
              unpaged.blockRows = 1;
              return spec.memory(layers, unpaged);
          }}},
    {"a block that is not full takes no bytes",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              auto full = holding;
              full.rows -= full.rows % full.blockRows;
              return spec.memory(layers, full);
          }}},
    {"scales take no bytes",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              return detail::memoryWithout(spec, layers, holding, [](Codec const& c) {
                  return storesScales(c) ? codeBits(c.scaleFormat) / 8 : Bytes{0};
              });
          }}},
    {"zeros take no bytes",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              return detail::memoryWithout(spec, layers, holding, [](Codec const& c) {
                  return Bytes{c.scale == ScaleRule::span ? 1u : 0u};
              });
          }}},
    {"a ring takes the bytes of every row",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              return detail::memoryOfChanged(spec, layers, holding,
                                             [](LayerDeclaration& l) { l.retained = 0; });
          }}},
    {"sinks of a ring take no bytes",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              return detail::memoryOfChanged(spec, layers, holding,
                                             [](LayerDeclaration& l) { l.sinks = 0; });
          }}},
    {"given scales and a tensor's scale take no bytes",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              Bytes all = spec.memory(layers, holding);
              for (auto const& layer : layers) all -= sharedBytes(layer);
              return all;
          }}},
    {"the matrix of a rotation takes no bytes",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              return detail::memoryOfChanged(
                  spec, layers, holding, [](LayerDeclaration& l) { l.keyFormat.rotation = {}; });
          }}},
    {"every sequence has its own given scales",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              auto one = holding;
              one.sequences = 1;
              return holding.sequences * spec.memory(layers, one);
          }}},
    {"rows are not padded",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              auto packed = holding;
              packed.alignment = 1;
              return spec.memory(layers, packed);
          }}},
    {"a token is padded and its heads are not",
     {.memory =
          [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
              return detail::memoryOfChanged(spec, layers, holding, [](LayerDeclaration& l) {
                  l.keyFormat.row = l.valueFormat.row = CodecRow::token;
              });
          }}},
};

/// All of them, in the order of the verbs.
inline std::vector<Mutant> everyMutant() {
    std::vector<Mutant> all;
    for (auto const* group :
         {&appendMutants, &capacityMutants, &prefillMutants, &stepMutants, &attendMutants,
          &observeMutants, &rollbackMutants, &forkMutants, &evictMutants, &removeMutants,
          &reorderMutants, &saveMutants, &releaseMutants, &keepMutants, &shiftMutants,
          &modelMutants, &mergeMutants, &pagingMutants, &memoryMutants})
        all.insert(all.end(), group->begin(), group->end());
    return all;
}

}  // namespace kv::tests

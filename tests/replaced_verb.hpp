// replaced_verb: the spec as a live subject, any one of whose verbs may be replaced.
//
// A theorem that no wrong spec breaks says nothing. So each verb of the spec stands here as a
// function that may be exchanged for a wrong one, and everything else stays as the spec has it. One
// type carries every mutant, so each claim is compiled once and not once per mutant.
//
// A handle is move-only and its rows change in place, as in an engine. So a claim that uses a
// handle twice, and a fork that shares what it should copy, are both seen.
#pragma once
#include "proofs/prove.hpp"

#include <memory>
#include <span>

namespace kv::tests {

using RuntimeShape = decltype(proofs::single<0>.erased());
using SymbolWorld = proofs::World<RuntimeShape>;
using SymbolLayer = SymbolWorld::LayerType;
using SymbolSpec = Spec<SymbolLayer, Dyn>;
using Token = SymbolWorld::TokenType;
using Chunk = Seq<Token, Dyn>;
using Query = SymbolLayer::Query;
using Output = SymbolLayer::Output;
using Rows = Cache<SymbolLayer::Key, SymbolLayer::Value, Dyn>;
using SomeRows = RowSpan<Dyn, Dyn>;
using Tables = BlockTables<Token, Dyn, Dyn, Dyn>;
using Storage = std::shared_ptr<Rows>;
using Layers = std::span<LayerDeclaration const>;
using Model = decltype(std::declval<SymbolWorld const&>().model());
using Caches = decltype(emptyCachesOf(std::declval<Model const&>()));
using Hidden = decltype(std::declval<SymbolWorld const&>().hidden(0));
using ModelStep = Decoded<Caches, Hidden>;

/// One row of a batch, and what a step answers it.
struct BatchRow {
    Storage rows;
    Chunk tokens;
    Seq<Output, Dyn> outputs;
};
using BatchRows = std::vector<BatchRow>;

/// The verbs of the spec; a mutant names one of them and says what it does instead.
struct Verbs {
    void (*appendKV)(SymbolSpec const&, Rows&, Token const&) =
        [](SymbolSpec const& spec, Rows& rows, Token const& token) {
            rows = spec.appendKV(rows, token);
        };
    bool (*appendWithin)(SymbolSpec const&, Rows&, Token const&) =
        [](SymbolSpec const& spec, Rows& rows, Token const& token) {
            auto attempt = spec.appendWithin(rows, token);
            rows = std::move(attempt.cache);
            return attempt.accepted;
        };
    bool (*takesMisshapen)(SymbolSpec const&, Rows&) = [](SymbolSpec const& spec, Rows& rows) {
        return spec.takesMisshapen(rows);
    };
    Seq<Output, Dyn> (*prefill)(SymbolSpec const&, Rows&, Chunk const&) =
        [](SymbolSpec const& spec, Rows& rows, Chunk const& chunk) {
            auto step = spec.prefill(rows, chunk);
            rows = std::move(step.cache);
            return step.outputs;
        };
    void (*step)(SymbolSpec const&, BatchRows&) = [](SymbolSpec const& spec, BatchRows& batch) {
        for (auto& [rows, tokens, outputs] : batch) {
            auto alone = spec.step(hana::make_tuple(Item{*rows, tokens}));
            *rows = std::move(alone[hana::size_c<0>].cache);
            outputs = std::move(alone[hana::size_c<0>].outputs);
        }
    };
    Output (*attend)(SymbolSpec const&, Rows const&, Query const&) =
        [](SymbolSpec const& spec, Rows const& rows, Query const& query) {
            return spec.attend(rows, query);
        };
    Output (*attendInParts)(SymbolSpec const&, Rows const&, Query const&, Parts const&) =
        [](SymbolSpec const& spec, Rows const& rows, Query const& query, Parts const& parts) {
            return spec.attendInParts(rows, query, parts);
        };
    Rows (*observe)(SymbolSpec const&, Rows const&) = [](SymbolSpec const& spec, Rows const& rows) {
        return spec.observe(rows);
    };
    void (*rollback)(SymbolSpec const&, Rows&, Dyn) =
        [](SymbolSpec const& spec, Rows& rows, Dyn m) { rows = spec.rollback(rows, m); };
    Storage (*fork)(SymbolSpec const&, Storage const&) =
        [](SymbolSpec const& spec, Storage const& parent) {
            return std::make_shared<Rows>(spec.fork(*parent).child);
        };
    void (*evict)(SymbolSpec const&, Rows&, Dyn) = [](SymbolSpec const& spec, Rows& rows, Dyn m) {
        rows = spec.evict(rows, m);
    };
    void (*remove)(SymbolSpec const&, Rows&, SomeRows) =
        [](SymbolSpec const& spec, Rows& rows, SomeRows gone) { rows = spec.remove(rows, gone); };
    void (*reorder)(SymbolSpec const&, Forked<Rows>&, Parents<Nat<2>> const&) =
        [](SymbolSpec const& spec, Forked<Rows>& beams, Parents<Nat<2>> const& parents) {
            beams = spec.reorder(beams, parents);
        };
    Storage (*save)(SymbolSpec const&, Storage const&) =
        [](SymbolSpec const& spec, Storage const& original) {
            return std::make_shared<Rows>(spec.save(*original).copy);
        };
    Storage (*restore)(SymbolSpec const&, Storage const&) =
        [](SymbolSpec const& spec, Storage const& copy) {
            return std::make_shared<Rows>(spec.restore(*copy));
        };
    bool (*appendRow)(SymbolSpec const&, Tables&, std::size_t, Token const&) =
        [](SymbolSpec const& spec, Tables& tables, std::size_t s, Token const& row) {
            auto attempt = spec.appendRow(tables, s, row);
            tables = std::move(attempt.cache);
            return attempt.accepted;
        };
    Token (*readRow)(SymbolSpec const&, Tables const&, std::size_t, std::size_t) =
        [](SymbolSpec const& spec, Tables const& tables, std::size_t s, std::size_t i) {
            return spec.readRow(tables, s, i);
        };
    void (*rollbackRows)(SymbolSpec const&, Tables&, std::size_t, std::size_t) =
        [](SymbolSpec const& spec, Tables& tables, std::size_t s, std::size_t m) {
            tables = spec.rollbackRows(tables, s, m);
        };
    void (*forkTable)(SymbolSpec const&, Tables&, Forked<std::size_t>) =
        [](SymbolSpec const& spec, Tables& tables, Forked<std::size_t> ids) {
            tables = spec.forkTable(tables, ids);
        };
    void (*release)(SymbolSpec const&, Rows&) = [](SymbolSpec const& spec, Rows& rows) {
        rows = spec.release(rows);
    };
    void (*keep)(SymbolSpec const&, Rows&, Rows&) =
        [](SymbolSpec const& spec, Rows& chosen, Rows& other) {
            auto kept = spec.keep(chosen, other);
            chosen = std::move(kept.chosen);
            other = std::move(kept.other);
        };
    void (*shift)(SymbolSpec const&, Rows&, Position) =
        [](SymbolSpec const& spec, Rows& rows, Position by) { rows = spec.shift(rows, by); };
    Bytes (*memory)(SymbolSpec const&, Layers, Holding const&) =
        [](SymbolSpec const& spec, Layers layers, Holding const& holding) {
            return spec.memory(layers, holding);
        };
    ModelStep (*decodeModel)(SymbolSpec const&, Model const&, Caches const&, Hidden const&) =
        [](SymbolSpec const& spec, Model const& model, Caches const& caches, Hidden const& x) {
            return spec.decodeModel(model, caches, x);
        };
};

/// How many verbs differ from the spec's.
inline int replacedVerbs(Verbs const& v) {
    Verbs const spec;
    return int(v.appendKV != spec.appendKV) + int(v.appendWithin != spec.appendWithin) +
           int(v.takesMisshapen != spec.takesMisshapen) + int(v.prefill != spec.prefill) +
           int(v.step != spec.step) +
           int(v.attend != spec.attend) + int(v.attendInParts != spec.attendInParts) +
           int(v.observe != spec.observe) +
           int(v.rollback != spec.rollback) + int(v.fork != spec.fork) +
           int(v.evict != spec.evict) + int(v.remove != spec.remove) + int(v.shift != spec.shift) +
           int(v.reorder != spec.reorder) + int(v.appendRow != spec.appendRow) +
           int(v.save != spec.save) + int(v.restore != spec.restore) +
           int(v.readRow != spec.readRow) + int(v.rollbackRows != spec.rollbackRows) +
           int(v.forkTable != spec.forkTable) +
           int(v.release != spec.release) + int(v.keep != spec.keep) +
           int(v.memory != spec.memory) +
           int(v.decodeModel != spec.decodeModel);
}

/// A subject (spec/spec.hpp) whose handles own storage that changes in place.
class LiveSpec {
   public:
    using Scalar = proofs::Term;
    struct Handle {
        Storage rows;
        explicit Handle(Storage r) : rows(std::move(r)) {}
        Handle(Handle&&) = default;
        Handle& operator=(Handle&&) = default;
    };

    LiveSpec(SymbolWorld const& world, Verbs const& verbs)
        : spec_{world.layer(), world.capacity()}, verbs_(verbs) {}

    Handle empty() const { return Handle(std::make_shared<Rows>(spec_.empty())); }
    Handle appendKV(Handle h, Token const& token) const {
        verbs_.appendKV(spec_, *h.rows, token);
        return h;
    }
    Attempt<Handle> appendWithin(Handle h, Token const& token) const {
        bool const accepted = verbs_.appendWithin(spec_, *h.rows, token);
        return {accepted, std::move(h)};
    }
    bool takesMisshapen(Handle& h) const { return verbs_.takesMisshapen(spec_, *h.rows); }
    Prefilled<Handle, Seq<Output, Dyn>> prefill(Handle h, Chunk const& chunk) const {
        auto outputs = verbs_.prefill(spec_, *h.rows, chunk);
        return {std::move(h), std::move(outputs)};
    }
    template <class... Items>
    auto step(hana::tuple<Items...> items) const {
        std::vector<Handle> handles;
        BatchRows batch;
        hana::for_each(items, [&](auto& item) {
            auto const token = [&](std::size_t i) -> Token { return item.tokens[i]; };
            batch.push_back({item.cache.rows, tabulate(Dyn{item.tokens.size()}, token), {}});
            handles.push_back(std::move(item.cache));
        });
        verbs_.step(spec_, batch);
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return hana::make_tuple(Prefilled<Handle, Seq<Output, Dyn>>{
                std::move(handles[I]), std::move(batch[I].outputs)}...);
        }(std::index_sequence_for<Items...>{});
    }
    Output attend(Handle& h, Query const& query) const {
        return verbs_.attend(spec_, *h.rows, query);
    }
    Output attendInParts(Handle const& h, Query const& query, Parts const& parts) const {
        return verbs_.attendInParts(spec_, *h.rows, query, parts);
    }
    Rows observe(Handle& h) const { return verbs_.observe(spec_, *h.rows); }
    Handle rollback(Handle h, Dyn m) const {
        verbs_.rollback(spec_, *h.rows, m);
        return h;
    }
    Forked<Handle> fork(Handle h) const {
        Handle child(verbs_.fork(spec_, h.rows));
        return {std::move(h), std::move(child)};
    }
    Handle evict(Handle h, Dyn m) const {
        verbs_.evict(spec_, *h.rows, m);
        return h;
    }
    template <Extent F, Extent M>
    Handle remove(Handle h, RowSpan<F, M> const& gone) const {
        verbs_.remove(spec_, *h.rows, SomeRows{gone.first, gone.count});
        return h;
    }
    Forked<Handle> reorder(Forked<Handle> beams, Parents<Nat<2>> const& parents) const {
        Forked<Rows> rows{*beams.parent.rows, *beams.child.rows};
        verbs_.reorder(spec_, rows, parents);
        *beams.parent.rows = std::move(rows.parent);
        *beams.child.rows = std::move(rows.child);
        return beams;
    }
    struct Copy {
        Storage rows;
    };
    Saved<Handle, Copy> save(Handle h) const {
        Copy copy{verbs_.save(spec_, h.rows)};
        return {std::move(h), std::move(copy)};
    }
    Handle restore(Copy const& copy) const { return Handle(verbs_.restore(spec_, copy.rows)); }
    Attempt<Tables> appendRow(Tables tables, std::size_t s, Token const& row) const {
        bool const accepted = verbs_.appendRow(spec_, tables, s, row);
        return {accepted, std::move(tables)};
    }
    Token readRow(Tables const& tables, std::size_t s, std::size_t i) const {
        return verbs_.readRow(spec_, tables, s, i);
    }
    Tables rollbackRows(Tables tables, std::size_t s, std::size_t m) const {
        verbs_.rollbackRows(spec_, tables, s, m);
        return tables;
    }
    Tables forkTable(Tables tables, Forked<std::size_t> ids) const {
        verbs_.forkTable(spec_, tables, ids);
        return tables;
    }
    Handle release(Handle h) const {
        verbs_.release(spec_, *h.rows);
        return h;
    }
    Kept<Handle, Handle> keep(Handle chosen, Handle other) const {
        verbs_.keep(spec_, *chosen.rows, *other.rows);
        return {std::move(chosen), std::move(other)};
    }
    Handle shift(Handle h, Position by) const {
        verbs_.shift(spec_, *h.rows, by);
        return h;
    }
    Bytes memory(Layers layers, Holding const& holding) const {
        return verbs_.memory(spec_, layers, holding);
    }
    ModelStep decodeModel(Model const& model, Caches const& caches, Hidden const& x) const {
        return verbs_.decodeModel(spec_, model, caches, x);
    }

   private:
    SymbolSpec spec_;
    Verbs verbs_;
};

}  // namespace kv::tests

// spec: let the spec be what is judged.
//
// A claim asks its subject to do things (theorem.hpp). The spec is a subject itself: its verbs are
// the functions of this folder and its handles are caches. A theorem about this subject, over
// symbols, is what the compiler proves. Replace one verb below and you have a mutant of the spec,
// which some theorem must kill.
//
// Not said here: what is asked of it (the theorems of each verb, and subject.hpp).
#pragma once
#include "capacity.hpp"
#include "evict.hpp"
#include "invariance.hpp"
#include "layers.hpp"
#include "memory.hpp"
#include "merge.hpp"
#include "paging.hpp"
#include "release.hpp"
#include "remove.hpp"
#include "reorder.hpp"
#include "save.hpp"
#include "share.hpp"
#include "sink.hpp"
#include "step.hpp"

namespace kv {

/// The spec of one layer as a subject.
template <class L, Extent C>
struct Spec {
    using Scalar = typename L::Scalar;
    L layer;
    C capacity;

    constexpr auto empty() const { return emptyCacheOf(layer); }
    constexpr auto appendKV(auto cache, auto const& token) const {
        return store(layer, cache, token);
    }
    constexpr auto appendWithin(auto cache, auto const& token) const {
        return kv::appendWithin(capacity, cache,
                                storedKey(layer.position, token.key, cache.next), token.value);
    }
    /// A row of the wrong shape does not compile; see tests/refuse.
    constexpr bool takesMisshapen(auto const&) const { return false; }
    constexpr auto prefill(auto cache, auto const& tokens) const {
        return kv::prefill(layer, cache, tokens);
    }
    constexpr auto step(auto const& items) const { return kv::step(layer, items); }
    constexpr auto attend(auto const& cache, auto const& query) const {
        return kv::attend(layer, cache, query);
    }
    constexpr auto attendInParts(auto const& cache, auto const& query, Parts const& parts) const {
        return kv::attendInParts(layer, cache, query, parts);
    }
    constexpr auto observe(auto const& cache) const { return cache; }
    constexpr auto rollback(auto cache, auto length) const { return kv::rollback(cache, length); }
    constexpr auto fork(auto cache) const { return kv::fork(cache); }
    constexpr auto release(auto cache) const { return kv::release(cache); }
    constexpr auto keep(auto chosen, auto other) const { return kv::keep(chosen, other); }
    constexpr auto reorder(auto beams, auto const& parents) const {
        return kv::reorder(beams, parents);
    }
    constexpr auto save(auto cache) const { return kv::save(cache); }
    constexpr auto restore(auto const& copy) const { return kv::restore(copy); }
    constexpr auto appendRow(auto tables, std::size_t s, auto const& row) const {
        return kv::appendRow(std::move(tables), s, row);
    }
    constexpr auto readRow(auto const& tables, std::size_t s, std::size_t i) const {
        return kv::readRow(tables, s, i);
    }
    constexpr auto rollbackRows(auto tables, std::size_t s, std::size_t m) const {
        return kv::rollbackRows(std::move(tables), s, m);
    }
    constexpr auto forkTable(auto tables, Forked<std::size_t> ids) const {
        return kv::forkTable(std::move(tables), ids);
    }
    constexpr auto remove(auto cache, auto const& rows) const { return kv::remove(cache, rows); }
    constexpr auto evict(auto cache, auto count) const { return kv::evict(cache, count); }
    constexpr auto shift(auto cache, Position by) const {
        return kv::shift(layer.position, cache, by);
    }
    constexpr Bytes memory(std::span<LayerDeclaration const> layers, Holding const& h) const {
        return memoryOf(layers, h);
    }
    constexpr auto decodeModel(auto const& model, auto const& caches, auto const& x) const {
        return kv::decodeModel(model, caches, x);
    }
};
template <class L, class C>
Spec(L, C) -> Spec<L, C>;

}  // namespace kv

// laws: list every theorem under the verb that owns it.
//
// This is the registry. A stem is a file name: `rollback` is spec/rollback.hpp, where the verb and
// its theorems are defined; proofs/rollback.cpp, where the compiler proves them; and
// properties/rollback.hpp, which says what inputs are worth trying on an engine. The command
// `kvspec laws`, the proofs, the conformance tests and the judge are generated from this list, and
// the test `tidy` fails when one of the places is missing.
//
// The order is that of specificity: when several laws break, a verdict names the first.
#pragma once
#include "erase.hpp"

#include <vector>

namespace kv {

/// One shape at which the compiler proved one law. Counts; see proofs/world.hpp.
struct ProvedShape {
    std::string_view law;
    std::size_t length, queryHeads, kvHeads, keyDim, valueDim, window, sinks, rotaryDim;
    RotaryLayout layout;
    KeyStorage storage;
    bool slopes;
    bool sinkLogits = false;
    std::size_t chunk = 0;
};
/// What a program that was linked with proofs/ has proved: each stem there adds its table, so
/// nothing can be listed that was not compiled.
inline std::vector<ProvedShape>& provedShapes() {
    static std::vector<ProvedShape> all;
    return all;
}

template <class Theorems>
struct Stem {
    std::string_view name;
    Theorems theorems;
};
template <class... Theorems>
constexpr auto stem(std::string_view name, Theorems const&... theorems) {
    return Stem<hana::tuple<Theorems...>>{name, hana::make_tuple(theorems...)};
}

inline constexpr auto laws = hana::make_tuple(
    stem("append", appendKV_length, appendKV_last_key, appendKV_last_value, appendKV_prefix),
    stem("capacity", capacity_refuses_unchanged),
    stem("sink", sink_shares_weight),
    stem("position", position_append_is_next, position_storage_agrees, shift_eq_recompute_layer0,
         position_score_relative),
    stem("rollback", rollback_append, rollback_then_append_eq_fresh),
    stem("fork", fork_isolated),
    stem("share", share_reuses_free_only, share_copies_before_writing),
    stem("reorder", reorder_is_any_map),
    stem("release", release_forgets, keep_forgets_others, release_returns_room),
    stem("heads", heads_gqa_eq_repeated),
    stem("window", window_eq_masked_full),
    stem("remove", remove_keeps_others, remove_then_append, remove_then_rollback),
    stem("evict", evict_invisible_under_window),
    stem("save", restore_is_identity, restore_then_append, restore_keeps_positions),
    stem("attention", fullAttention_causal),
    stem("prefill", prefill_any_chunking, prefill_eq_appends),
    stem("step", step_eq_alone, inactive_untouched),
    stem("decode", decodeWithCache_eq_fullAttention),
    stem("layers", decode_layers_eq_forward),
    stem("merge", merge_eq_whole),
    stem("paging", paging_refines_list, paging_permutes_unseen, paging_counts_references,
         paging_full_refuses_unchanged),
    stem("memory", memory_counts_every_number, memory_grows_by_blocks),
    stem("invariance", repeat_same_bits, chunk_same_bits, copy_same_bits),
    stem("subject", trace_eq_spec),
    stem("erase", erase_commutes));

/// Calls f(stem name, theorem) for every theorem, in order.
template <class F>
constexpr void forEachLaw(F f) {
    hana::for_each(laws, [&](auto const& owner) {
        hana::for_each(owner.theorems, [&](auto const& theorem) { f(owner.name, theorem); });
    });
}

inline constexpr std::size_t lawCount = [] {
    std::size_t n = 0;
    forEachLaw([&](auto, auto const&) { ++n; });
    return n;
}();

}  // namespace kv

// vocabulary: the rows. Names of engines' calls are those of transformers 4.57 and 5, vLLM v1,
// SGLang, llama.cpp v0.5.0, FlashInfer, ONNX Runtime, mlx-lm, TensorRT-LLM and ExecuTorch.
#include "oracle/vocabulary.hpp"

#include "oracle/catalog.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kv::oracle {

namespace {

std::vector<std::string> spelled(std::vector<Verb> const& verbs) {
    std::vector<std::string> names;
    for (Verb verb : verbs)
        names.emplace_back(nameOf(verb));
    return names;
}

constexpr std::size_t labelWidth = 10;

void addLine(std::string& text, std::string_view label, auto const& words) {
    if (std::empty(words))
        return;
    text += wrapped(fmt::format("      {:<{}}{}", label, labelWidth, fmt::join(words, ", ")),
                    6 + labelWidth) +
            "\n";
}

std::string printed(std::vector<Word> const& words) {
    std::string text;
    for (Word const& word : words) {
        text += fmt::format("\n  {}\n", word.name);
        using One = std::vector<std::string_view>;
        addLine(text, "called", One{word.engines});
        addLine(text, "verbs", spelled(word.verbs));
        addLine(text, "theorems", word.laws);
        addLine(text, "fields", word.fields);
        if (!word.limit.empty())
            addLine(text, word.isExpressible() ? "but not" : "not yet", One{word.limit});
    }
    return text;
}

OrderedJson toJson(std::vector<Word> const& words) {
    OrderedJson all = OrderedJson::array();
    for (Word const& word : words)
        all.push_back({{"name", word.name},
                       {"engines", word.engines},
                       {"isExpressible", word.isExpressible()},
                       {"verbs", spelled(word.verbs)},
                       {"laws", word.laws},
                       {"fields", word.fields},
                       {"limit", word.limit}});
    return all;
}

std::vector<Word> const everyOperation{
    {.name = "store tokens",
     .engines = "update, reshape_and_cache, set_kv_buffer, append_paged_kv_cache",
     .verbs = {Verb::append},
     .laws = {"appendKV_length", "appendKV_last_key", "appendKV_last_value",
              "appendKV_prefix"}},
    {.name = "store a prompt and answer it, at once or in chunks",
     .engines = "prefill, extend, llama_decode with many tokens",
     .verbs = {Verb::prefill},
     .laws = {"prefill_any_chunking", "prefill_eq_appends", "fullAttention_causal"}},
    {.name = "serve many sequences in one call",
     .engines = "continuous batching, llama_batch, cu_seqlens and query_start_loc, an active "
                "mask, slot -1 and other padding",
     .verbs = {Verb::step},
     .laws = {"step_eq_alone", "inactive_untouched"},
     .limit = "padding inside of a sequence: a row of a batch brings tokens, or none"},
    {.name = "answer one query",
     .engines = "decode, attention with a past",
     .verbs = {Verb::attend},
     .laws = {"decodeWithCache_eq_fullAttention", "decode_layers_eq_forward"}},
    {.name = "read rows back",
     .engines = "the tensors of a layer, llama_state_seq_get_data, get_cpu_copy",
     .verbs = {Verb::observe},
     .laws = {"trace_eq_spec", "erase_commutes"},
     .limit = "rows behind the length, which an engine may leave as they were"},
    {.name = "count what is there",
     .engines = "get_seq_length, offset, seq_pos_max (the last position), seqlens_k (the "
                "count less one), last_page_len",
     .verbs = {Verb::observe},
     .laws = {"appendKV_length"},
     .limit = "other conventions than the count of rows: an adapter converts them"},
    {.name = "give positions to tokens",
     .engines = "cache_position, positions, pos, offset",
     .verbs = {Verb::append, Verb::prefill},
     .laws = {"position_append_is_next", "position_storage_agrees"},
     .fields = {"keyStorage"},
     .limit = "positions that the caller chooses for each token"},
    {.name = "take tokens back",
     .engines = "crop, seq_rm to the end, trim, rewind, rewindKVCache, fewer computed tokens",
     .verbs = {Verb::rollback},
     .laws = {"rollback_append", "rollback_then_append_eq_fresh"}},
    {.name = "verify a draft and keep what was accepted",
     .engines = "speculative decoding with one branch, then crop or trim",
     .verbs = {Verb::prefill, Verb::rollback},
     .laws = {"prefill_eq_appends", "rollback_append"},
     .limit = "trees of drafts: the spec has any relation of positions (Relation in window), "
              "a declaration has none"},
    {.name = "remove a range",
     .engines = "seq_rm of [p0, p1), eviction of blocks",
     .verbs = {Verb::remove},
     .laws = {"remove_keeps_others", "remove_then_append", "remove_then_rollback"}},
    {.name = "forget the oldest rows",
     .engines = "a window that slides, kv eviction, sliding_window_cache",
     .verbs = {Verb::evict},
     .laws = {"evict_invisible_under_window"},
     .fields = {"window", "sinks", "retained"},
     .limit = "new positions for the rows that stay, as StreamingLLM gives them"},
    {.name = "keep the newest rows in a ring",
     .engines = "StaticSlidingWindowLayer, RotatingKVCache, TensorScatter circular",
     .verbs = {Verb::append},
     .laws = {"window_eq_masked_full", "evict_invisible_under_window"},
     .fields = {"retained"}},
    {.name = "copy a sequence, or share its rows",
     .engines = "seq_cp, batch_repeat_interleave, deepcopy, copy_blocks",
     .verbs = {Verb::fork},
     .laws = {"fork_isolated", "share_reuses_free_only", "share_copies_before_writing"},
     .limit = "a copy of a part: fork, then roll back or remove"},
    {.name = "continue the best beams",
     .engines = "reorder_cache, batch_select_indices",
     .verbs = {Verb::reorder},
     .laws = {"reorder_is_any_map"}},
    {.name = "free a sequence, or all but one",
     .engines = "free, seq_rm of all, seq_keep, removeSequence",
     .verbs = {Verb::release, Verb::keep},
     .laws = {"release_forgets", "keep_forgets_others", "release_returns_room"}},
    {.name = "begin anew",
     .engines = "reset, memory_clear, clear",
     .verbs = {Verb::reset},
     .laws = {"release_forgets"}},
    {.name = "move positions",
     .engines = "seq_add of all positions, rotation_deltas",
     .verbs = {Verb::shift},
     .laws = {"shift_eq_recompute_layer0", "position_score_relative"},
     .limit = "a shift of some rows, and division of positions (seq_add of a range, seq_div)"},
    {.name = "save a sequence and bring it back",
     .engines = "llama_state_seq_get_data and set_data, save_prompt_cache, swap, KV connectors",
     .verbs = {Verb::save, Verb::restore},
     .laws = {"restore_is_identity", "restore_then_append", "restore_keeps_positions"},
     .limit = "parts of a sequence, room for copies that runs out, and another engine on the "
              "receiving side"},
    {.name = "keep rows in blocks of one pool",
     .engines = "block tables, page_size, indptr and indices, tokensPerBlock",
     .laws = {"paging_refines_list", "paging_permutes_unseen", "paging_counts_references",
              "paging_full_refuses_unchanged", "share_reuses_free_only"},
     .fields = {"pool", "blockRows", "blocks"},
     .limit = "one pool for each group of layers"},
    {.name = "find rows of an equal prefix again",
     .engines = "hashes of full blocks, match_prefix and insert, PromptTrie, partial reuse",
     .limit = "tokens have no names that could be equal; a hit is a fork that is rolled back"},
    {.name = "store in fewer bits",
     .engines = "fp8 and int8 caches, q8_0, q4_0, nvfp4, QuantizedCache",
     .verbs = {Verb::append},
     .fields = {"keyFormat", "valueFormat", "queryFormat", "codec", "row", "into", "scales",
                "tensorScale", "rotation"},
     .limit = "newest rows in full precision, and scales that several tokens share"},
    {.name = "attend in parts and merge them",
     .engines = "split-KV, merge_state, cascade, context parallel",
     .laws = {"merge_eq_whole"},
     .fields = {"merge", "parts"},
     .limit = "parts that are handed out, and log-sum-exps in base 2"},
    {.name = "refuse what does not fit",
     .engines = "None from allocate_slots, 1 from llama_decode, exceptions",
     .verbs = {Verb::append},
     .laws = {"capacity_refuses_unchanged", "paging_full_refuses_unchanged"},
     .fields = {"capacity"}},
    {.name = "serve whatever else is in the batch",
     .engines = "batch invariance, chunked prefill, deterministic kernels",
     .laws = {"repeat_same_bits", "chunk_same_bits", "copy_same_bits"},
     .fields = {"deterministic", "batchInvariant", "thresholds"}},
    {.name = "count bytes",
     .engines = "cache size reports, gpu_memory_utilization",
     .laws = {"memory_counts_every_number", "memory_grows_by_blocks"}},
    {.name = "publish, match and pin blocks",
     .engines = "insert and match_prefix with locks, loads from outside",
     .limit = "blocks have no names and no owners here"},
    {.name = "move rows in storage",
     .engines = "defragmentation, compaction, swap_blocks",
     .laws = {"paging_permutes_unseen"},
     .limit = "a verb of its own: nobody should see it"},
    {.name = "keep a second cache in step",
     .engines = "draft models, indexers",
     .limit = "one declaration is one cache"},
    {.name = "begin a step and end it later",
     .engines = "asynchronous scheduling, streams",
     .limit = "a verb has ended when it answers"},
    {.name = "change the rows of the caller, or not",
     .engines = "present that aliases past, cache_k.div_(k_scale)",
     .limit = "an adapter hands over copies"},
    {.name = "lay rows out",
     .engines = "[B,H,S,D], [P,p,H,D], transposed values, cells",
     .laws = {"paging_permutes_unseen"},
     .limit = "strides: rows are handed over as [token][head][component], and the layout of "
              "storage is the engine's own"}};

std::vector<Word> const everyVariant{
    {.name = "multi-head, grouped-query and multi-query attention",
     .engines = "n_head_kv, num_key_value_heads",
     .laws = {"heads_gqa_eq_repeated"},
     .fields = {"queryHeads", "kvHeads"}},
    {.name = "keys and values of different sizes",
     .engines = "v_head_dim",
     .laws = {"decodeWithCache_eq_fullAttention"},
     .fields = {"keyDim", "valueDim"}},
    {.name = "latent attention (MLA)",
     .engines = "ckv and kpe, absorbed or expanded",
     .limit = "values that are the first part of a key, and a rotated part at its end; an "
              "expanded cache is attention with keyDim and valueDim"},
    {.name = "a factor of the scores",
     .engines = "sm_scale, query_pre_attn_scalar",
     .laws = {"decodeWithCache_eq_fullAttention"},
     .fields = {"scale"}},
    {.name = "causal, with a past",
     .engines = "bottom-right alignment",
     .laws = {"fullAttention_causal", "prefill_any_chunking"}},
    {.name = "sliding window",
     .engines = "sliding_window W: W keys; FlashAttention's left window of W: W + 1 keys",
     .laws = {"window_eq_masked_full", "evict_invisible_under_window"},
     .fields = {"window"}},
    {.name = "chunked attention",
     .engines = "attention_chunk_size of Llama 4",
     .laws = {"window_eq_masked_full", "evict_invisible_under_window"},
     .fields = {"chunk"},
     .limit = "a shift of positions, and a ring that holds the newest chunk only"},
    {.name = "symmetric window",
     .engines = "ModernBERT, encoder layers of Gemma",
     .limit = "a query that sees keys behind its own"},
    {.name = "first tokens that stay visible",
     .engines = "StreamingLLM, keep, sinkTokenLength",
     .laws = {"window_eq_masked_full"},
     .fields = {"sinks"}},
    {.name = "a learned logit in the denominator",
     .engines = "sinks of gpt-oss, head_sink; a logit of 0 is smooth_softmax, or + 1",
     .laws = {"sink_shares_weight", "merge_eq_whole"},
     .fields = {"sinkLogits"}},
    {.name = "soft cap",
     .engines = "attn_logit_softcapping of Gemma 2, softcap",
     .limit = "no bound for the hyperbolic tangent"},
    {.name = "ALiBi",
     .engines = "alibi_slopes",
     .laws = {"position_score_relative"},
     .fields = {"slopes"}},
    {.name = "learned positions",
     .engines = "GPT-2, StarCoder",
     .verbs = {Verb::append},
     .limit = "a shift: a cache of such a model leaves the verb out of its declaration"},
    {.name = "queries and keys that are normalised",
     .engines = "QK-norm of Qwen 3, Gemma 3, OLMo 2",
     .verbs = {Verb::append},
     .limit = "a norm, or another transform, behind the rotation; before it, rows are handed "
              "over as they were made"},
    {.name = "rotary embedding, in halves or by neighbors, whole or in part",
     .engines = "NEOX and NORM, rotary_interleaved, partial_rotary_factor",
     .laws = {"position_storage_agrees", "shift_eq_recompute_layer0"},
     .fields = {"rotaryLayout", "rotaryDim", "keyStorage"},
     .limit = "rotation that begins behind the first component, and positions of several axes"},
    {.name = "scaled frequencies, and bases of layers",
     .engines = "linear, YaRN, llama3, LongRoPE; rope_local_base_freq",
     .laws = {"position_storage_agrees"},
     .fields = {"cosine", "sine"},
     .limit = "frequencies that change with the length (dynamic NTK)"},
    {.name = "layers without positions",
     .engines = "NoPE layers of Llama 4 and SmallThinker",
     .laws = {"decodeWithCache_eq_fullAttention"},
     .fields = {"rotaryLayout"}},
    {.name = "layers of different kinds",
     .engines = "hybrid stacks of full and sliding layers",
     .laws = {"decode_layers_eq_forward"},
     .fields = {"layers", "numerics"},
     .limit = "recurrent and convolution states"},
    {.name = "cross-attention",
     .engines = "EncoderDecoderCache, is_updated",
     .limit = "queries without a position among the keys: all of them are causal"},
    {.name = "layers that share rows",
     .engines = "num_kv_shared_layers of Gemma 3n",
     .limit = "a map from layers to caches"},
    {.name = "tree attention",
     .engines = "Medusa, EAGLE, packed masks",
     .limit = "a declaration names no relation of tokens"},
    {.name = "rows chosen by their scores",
     .engines = "top-k indexers, H2O, Quest",
     .fields = {"addressing"},
     .limit = "which sets are right: it is only said that values decide, so that no probe speaks "
              "for other values"},
    {.name = "a row that sees nothing",
     .engines = "0, NaN or an error for a fully masked row",
     .verbs = {Verb::attend},
     .fields = {"emptyRow"},
     .limit = "one inside of a batch: a token that is stored sees itself"},
    {.name = "what may stand in slots that nobody should see",
     .engines = "padding, stale rows",
     .laws = {"rollback_then_append_eq_fresh", "remove_then_append"},
     .fields = {"maskedSlots"}}};

}  // namespace

std::vector<Word> const& operations() { return everyOperation; }
std::vector<Word> const& attentionVariants() { return everyVariant; }

std::string printVocabulary() {
    auto const expressed = [](std::vector<Word> const& words) {
        return std::ranges::count_if(words, &Word::isExpressible);
    };
    return fmt::format("operations of engines: {} of {} are expressible\n",
                       expressed(operations()), operations().size()) +
           printed(operations()) +
           fmt::format("\nvariants of attention: {} of {} are expressible\n",
                       expressed(attentionVariants()), attentionVariants().size()) +
           printed(attentionVariants());
}

OrderedJson vocabularyToJson() {
    OrderedJson all;
    all["operations"] = toJson(operations());
    all["attentionVariants"] = toJson(attentionVariants());
    return all;
}

}  // namespace kv::oracle

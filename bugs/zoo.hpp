// zoo: list every bug, so that nobody has to.
//
// A bug is our engine with one decision taken wrong, as some real engine once took it: a type that
// inherits impl::Standard and hides one function. impl::Contiguous<SlotReused> is the engine with
// that bug. Each is wrong and none is undefined: it stays inside its storage, whatever is done.
//
//     name      what went wrong, and the stem of its file
//     theorem   the law that it breaks
//     story     the same in one sentence
//     tracker   a public thread about a bug of the same family
//
// Not said here: the shortest trace that shows each one (tests/zoo_test.cpp).
#pragma once
#include "batch_shares_one_position.hpp"
#include "capacity_wraps_silently.hpp"
#include "chunk_counts_rows.hpp"
#include "chunk_is_read_as_window.hpp"
#include "copied_block_keeps_its_reference.hpp"
#include "copy_is_read_by_heads.hpp"
#include "fork_aliases.hpp"
#include "fork_takes_no_reference.hpp"
#include "full_block_is_not_copied.hpp"
#include "inactive_row_moves_on.hpp"
#include "item_goes_to_its_row.hpp"
#include "keep_spares_later_sequences.hpp"
#include "key_written_into_every_layer.hpp"
#include "kv_head_by_modulo.hpp"
#include "mask_one_key_too_narrow.hpp"
#include "mask_one_key_too_wide.hpp"
#include "position_off_by_one_after_eviction.hpp"
#include "position_restarts_after_prefill.hpp"
#include "release_keeps_position.hpp"
#include "removal_frees_positions.hpp"
#include "removal_skips_layers.hpp"
#include "reorder_is_skipped.hpp"
#include "repeated_beam_is_not_copied.hpp"
#include "restored_position_is_lost.hpp"
#include "restored_where_it_was_saved.hpp"
#include "ring_off_by_one_at_wrap.hpp"
#include "rollback_counts_rows.hpp"
#include "rolled_back_row_visible.hpp"
#include "sequences_share_one_copy.hpp"
#include "shared_block_is_freed.hpp"
#include "sink_is_lost_in_decode.hpp"
#include "sink_logit_is_scaled.hpp"
#include "slot_reused.hpp"
#include "stale_length_after_rollback.hpp"
#include "sum_begins_at_its_block.hpp"
#include "sum_begins_midway_in_chunks.hpp"
#include "sum_begins_where_the_last_ended.hpp"
#include "table_is_read_as_contiguous.hpp"

#include "impl/contiguous.hpp"
#include "impl/paged.hpp"

#include <tuple>
#include <type_traits>

namespace kv::bugs {

/// One value per bug, in the order of the verbs they break; last, those that only turn bits.
inline constexpr std::tuple<SlotReused, StaleLengthAfterRollback, RolledBackRowVisible,
                            MaskOneKeyTooWide, MaskOneKeyTooNarrow, ChunkIsReadAsWindow,
                            ChunkCountsRows, PositionRestartsAfterPrefill,
                            PositionOffByOneAfterEviction, RemovalFreesPositions,
                            RemovalSkipsLayers, RollbackCountsRows, ReleaseKeepsPosition,
                            KeepSparesLaterSequences, ReorderIsSkipped,
                            RepeatedBeamIsNotCopied, RestoredPositionIsLost,
                            CopyIsReadByHeads, SequencesShareOneCopy, RestoredWhereItWasSaved,
                            BatchSharesOnePosition, ItemGoesToItsRow, InactiveRowMovesOn,
                            KvHeadByModulo, SinkIsLostInDecode, SinkLogitIsScaled, ForkAliases,
                            TableIsReadAsContiguous, ForkTakesNoReference, FullBlockIsNotCopied,
                            SharedBlockIsFreed, CopiedBlockKeepsItsReference,
                            RingOffByOneAtWrap, KeyWrittenIntoEveryLayer, CapacityWrapsSilently,
                            SumBeginsWhereTheLastEnded, SumBeginsAtItsBlock,
                            SumBeginsMidwayInChunks>
    zoo{};

/// The engine with this bug: a paged one, if the bug says so.
template <class Bug>
using EngineWith =
    std::conditional_t<requires { requires Bug::isPaged; }, impl::Paged<Bug>,
                       impl::Contiguous<Bug>>;

/// Calls f(bug) for every bug; `decltype` of the argument, without its reference, is the type.
template <class F>
constexpr void forEachBug(F f) {
    std::apply([&](auto... bug) { (f(bug), ...); }, zoo);
}

}  // namespace kv::bugs

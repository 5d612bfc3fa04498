// block_table: keep the rows of sequences in blocks that tables name.
//
// Storage is cut into blocks of B rows. A sequence owns no stretch of it but a table: its row i
// lies at place i mod B of block table[i / B], wherever that block is. The tables of a fork name
// the blocks of its parent; whoever writes to a block that another table names, too, writes to a
// copy. A block that no table names is free for anybody.
//
//     read(t, s, i)     = blocks[tables[s][i / B]][i mod B]
//     references[b]     = how many tables name b; a block is free where that is 0
//     append(t, s, row)   copies the last block first, if it is shared, and takes a new one where
//                         the last one is full; without a free block it changes nothing
//     rollback, fork      change tables and references, and touch no row
//
// PagedAttention: Kwon et al., arXiv 2309.06180, sections 4.2 to 4.4.
//
// Not said here: that this is the list of rows again (paging.hpp), which block is taken of those
// that are free; here it is the first one in a given order, and the order is anybody's choice.
#pragma once
#include "capacity.hpp"
#include "fork.hpp"

namespace kv {

/// S sequences in P blocks of B rows.
template <class R, Extent S, Extent P, Extent B>
struct BlockTables {
    using Row = R;
    Seq<Seq<Row, B>, P> blocks;
    Seq<std::size_t, P> references;      ///< of each block: how many tables name it
    Seq<std::size_t, P> order;           ///< in which free blocks are taken: each block once
    Seq<Seq<std::size_t, P>, S> tables;  ///< of each sequence; entries behind its rows mean nothing
    Seq<std::size_t, S> lengths;         ///< of each sequence: its rows

    constexpr std::size_t blockRows() const { return blocks[0].size(); }
    /// How many blocks hold so many rows, the last one partly filled.
    constexpr std::size_t blocksOf(std::size_t rows) const {
        return rows / blockRows() + (rows % blockRows() == 0 ? 0 : 1);
    }
    friend constexpr bool operator==(BlockTables const&, BlockTables const&) = default;
};

/// Sequences without rows in blocks that are free. `row` stands where nothing has been stored.
template <class Row, Extent S, Extent P, Extent B>
constexpr BlockTables<Row, S, P, B> freeBlocks(S sequences, Seq<std::size_t, P> const& order,
                                               B blockRows, Row const& row) {
    auto const none = [](std::size_t) { return std::size_t{0}; };
    if (Dyn{blockRows} == 0 || Dyn{order.size()} == 0)
        throw ShapeError("there is a block, and it holds a row");
    return {.blocks = tabulate(order.size(), [&](std::size_t) {
                return tabulate(blockRows, [&](std::size_t) { return row; });
            }),
            .references = tabulate(order.size(), none),
            .order = order,
            .tables = tabulate(sequences,
                               [&](std::size_t) { return tabulate(order.size(), none); }),
            .lengths = tabulate(sequences, none)};
}

/// Row i of sequence s.
template <class Tables>
constexpr typename Tables::Row const& readRow(Tables const& t, std::size_t s, std::size_t i) {
    if (i >= t.lengths[s]) throw ShapeError("a sequence is read below its length");
    return t.blocks[t.tables[s][i / t.blockRows()]][i % t.blockRows()];
}

/// Takes the first free block in order; as many as there are blocks, if none is free.
template <class Tables>
constexpr std::size_t firstFree(Tables const& t) {
    for (std::size_t i = 0; i < t.order.size(); ++i)
        if (t.references[t.order[i]] == 0) return t.order[i];
    return t.blocks.size();
}

/// Stores a row behind the last one of sequence s, or refuses.
template <class Tables>
constexpr Attempt<Tables> appendRow(Tables t, std::size_t s, typename Tables::Row const& row) {
    std::size_t const place = t.lengths[s] % t.blockRows(), entry = t.lengths[s] / t.blockRows();
    bool const isShared = place != 0 && t.references[t.tables[s][entry]] > 1;
    if (place == 0 || isShared) {
        std::size_t const taken = firstFree(t);
        if (taken == t.blocks.size()) return {false, std::move(t)};
        if (isShared) {
            std::size_t const shared = t.tables[s][entry];
            t.blocks[taken] = t.blocks[shared];
            --t.references[shared];
        }
        ++t.references[taken];
        t.tables[s][entry] = taken;
    }
    t.blocks[t.tables[s][entry]][place] = row;
    ++t.lengths[s];
    return {true, std::move(t)};
}

/// Keeps the m oldest rows of sequence s; blocks that hold none of them are given back.
template <class Tables>
constexpr Tables rollbackRows(Tables t, std::size_t s, std::size_t m) {
    if (m > t.lengths[s]) throw ShapeError("a rollback does not grow");
    for (std::size_t e = t.blocksOf(m); e < t.blocksOf(t.lengths[s]); ++e)
        --t.references[t.tables[s][e]];
    t.lengths[s] = m;
    return t;
}

/// The sequence `to`, which has no rows, gets those of `from`: the same blocks, once more named.
template <class Tables>
constexpr Tables forkTable(Tables t, Forked<std::size_t> ids) {
    auto const [from, to] = ids;
    if (t.lengths[to] != 0) throw ShapeError("a fork begins without rows");
    t.tables[to] = t.tables[from];
    t.lengths[to] = t.lengths[from];
    for (std::size_t e = 0; e < t.blocksOf(t.lengths[from]); ++e)
        ++t.references[t.tables[from][e]];
    return t;
}

/// How many tables name block b.
template <class Tables>
constexpr std::size_t occurrences(Tables const& t, std::size_t b) {
    std::size_t count = 0;
    for (std::size_t s = 0; s < t.lengths.size(); ++s)
        for (std::size_t e = 0; e < t.blocksOf(t.lengths[s]); ++e) count += t.tables[s][e] == b;
    return count;
}

/// Block b becomes block at[b], with its rows, for a map `at` that gives each block once.
template <class Tables>
constexpr Tables permuteBlocks(Tables const& t, auto const& at) {
    Tables now = t;
    for (std::size_t b = 0; b < t.blocks.size(); ++b) {
        now.blocks[at[b]] = t.blocks[b];
        now.references[at[b]] = t.references[b];
    }
    for (std::size_t s = 0; s < t.lengths.size(); ++s)
        for (std::size_t e = 0; e < t.blocksOf(t.lengths[s]); ++e)
            now.tables[s][e] = at[t.tables[s][e]];
    return now;
}

static_assert([] {
    auto const three = freeBlocks(nat<2>, tabulate(nat<2>, [](std::size_t b) { return 1 - b; }),
                                  nat<2>, 0);
    auto const one = appendRow(three, 0, 5).cache;
    return readRow(one, 0, 0) == 5 && one.tables[0][0] == 1 && one.references[1] == 1;
}());

}  // namespace kv

// paging: refine the list of rows by blocks.
//
// Whatever is done through tables of blocks (block_table.hpp) reads like the same thing done to
// lists, whichever free block is taken each time and however many rows a block holds. Where two
// tables name one block, neither sequence sees what the other one writes; a block is free again
// when the last table has let go of it, and not before.
//
//     read(tables, s, i) = list of s [i]                        for every table
//     references[b]      = occurrences of b in the tables of all sequences
//     read(permuted blocks, permuted tables) = read(blocks, tables)
//     no free block: refused, and nothing has changed
//
// Checked by the compiler in proofs/paging.cpp.
// Not said here: what an engine owes, which shows none of its tables (share.hpp).
#pragma once
#include "table_script.hpp"

namespace kv {

inline constexpr Theorem paging_refines_list{
    "paging_refines_list", "tables of blocks read like lists", ofSpec, free, Owed::moves,
    [](auto& subject, auto const& world) {
        return alongLists(subject, world, [&](auto& equation, auto tables, auto const& lists) {
            compareRows(equation, subject, tables, lists);
            return tables;
        });
    }};

inline constexpr Theorem paging_permutes_unseen{
    "paging_permutes_unseen", "the order of blocks cannot be seen", ofSpec, free, Owed::moves,
    [](auto& subject, auto const& world) {
        return alongLists(subject, world, [&](auto& equation, auto tables, auto const& lists) {
            auto permuted = permuteBlocks(tables, tabulate(tables.order.size(), [&](auto b) {
                                              return Dyn{tables.order.size()} - 1 - b;
                                          }));
            compareRows(equation, subject, permuted, lists);
            return permuted;
        });
    }};

inline constexpr Theorem paging_counts_references{
    "paging_counts_references", "a block counts the tables naming it", ofSpec, free,
    Owed::moves, [](auto& subject, auto const& world) {
        return alongLists(subject, world, [&](auto& equation, auto tables, auto const& lists) {
            compareReferences(equation, tables, lists.lengths);
            return tables;
        });
    }};

/// Three sequences of n rows, each a fork of the one before, in `blocks` blocks of two rows. The
/// second grows into what is left and goes back to nothing; then the others go on, if they can.
constexpr void driveFullPool(auto& equation, auto& subject, auto const& world, auto blocks) {
    std::size_t const n = smaller(Dyn{world.length()}, std::size_t{3});
    std::size_t const left = blocks - (n + 1) / 2;
    auto tables = freeBlocks(blocks - blocks + nat<3>, tabulate(blocks, [](auto b) { return b; }),
                             blocks - blocks + nat<2>, world.exact(0));
    Seq<std::size_t, Nat<3>> lengths{};
    auto const store = [&](std::size_t s, auto const& row, bool fits) {
        auto attempt = subject.appendRow(std::move(tables), s, row);
        equation.numbers({.what = What::acceptance, .row = lengths[s], .head = s},
                         attempt.accepted, fits);
        tables = std::move(attempt.cache);
        lengths[s] += fits ? 1 : 0;
    };
    auto const compare = [&] {
        compareReferences(equation, tables, lengths);
        for (std::size_t s = 0; s < 3; ++s)
            equation.numbers({.what = What::length, .head = s}, Position(tables.lengths[s]),
                             Position(lengths[s]));
        for (std::size_t s = 0; s < 3; ++s)
            for (std::size_t i = 0; equation.holds && i < lengths[s]; ++i) {
                auto const got = subject.readRow(tables, s, i);
                auto const want = i < n ? world.exact(i) : world.exactOther(i + s);
                equation.row({.what = What::key, .row = i}, got.key, want.key);
                equation.row({.what = What::value, .row = i}, got.value, want.value);
            }
    };
    for (std::size_t i = 0; i < n; ++i) store(0, world.exact(i), true);
    for (std::size_t s = 0; s < 2; ++s) {
        tables = subject.forkTable(std::move(tables), Forked<std::size_t>{s, s + 1});
        lengths[s + 1] = n;
    }
    // A block that is partly filled is copied first, and that takes one of those that are left.
    std::size_t const most = n % 2 != 0 && left == 0 ? n : 2 * (left + n / 2);
    for (std::size_t i = n; i <= most; ++i) store(1, world.exactOther(i + 1), i < most);
    compare();
    tables = subject.rollbackRows(std::move(tables), 1, 0);
    lengths[1] = 0;
    store(2, world.exactOther(n + 2), left > 0);
    compare();
    store(0, world.exactOther(n), left > (n % 2 != 0 ? 0 : 1));
    compare();
}

inline constexpr Theorem paging_full_refuses_unchanged{
    "paging_full_refuses_unchanged", "without a free block nothing changes", ofSpec, free,
    Owed::moves, [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto const none = world.length() - world.length();
        driveFullPool(equation, subject, world, none + nat<2>);
        driveFullPool(equation, subject, world, none + nat<3>);
        driveFullPool(equation, subject, world, none + nat<4>);
        return equation;
    }};

}  // namespace kv

// table_script: do the same to tables of blocks and to lists.
//
// The laws of paging look at one course of events from several sides. It is told here: what is done
// to two sequences, in which blocks, and how rows and references are compared on the way.
//
// Not said here: what is to be seen (paging.hpp).
#pragma once
#include "block_table.hpp"

namespace kv {

/// Runs the verbs on tables and on lists, and `look` between them, which gives the tables back. Two
/// sequences grow in turn; the second begins anew as a fork of the first, goes back into shared
/// blocks and writes there; the first goes on, is released, and begins anew in what is free.
template <class Tables, class Look>
constexpr void driveTables(auto& equation, auto& subject, auto const& world, Tables tables,
                           Look look) {
    std::size_t const n = world.length(), m = n - n / 3;
    struct {
        Seq<Seq<typename Tables::Row, std::decay_t<decltype(tables.order.size())>>, Nat<2>> rows;
        Seq<std::size_t, Nat<2>> lengths;
    } lists{};
    for (std::size_t s = 0; s < 2; ++s)
        lists.rows[s] = tabulate(tables.order.size(), [&](auto) { return world.exact(0); });
    auto const store = [&](std::size_t s, auto const& row) {
        auto attempt = subject.appendRow(std::move(tables), s, row);
        equation.numbers({.what = What::acceptance, .row = lists.lengths[s]}, attempt.accepted, 1);
        tables = std::move(attempt.cache);
        lists.rows[s][lists.lengths[s]++] = row;
    };
    auto const keepRows = [&](std::size_t s, std::size_t kept) {
        tables = subject.rollbackRows(std::move(tables), s, kept);
        lists.lengths[s] = kept;
        tables = look(equation, std::move(tables), lists);
    };
    for (std::size_t i = 0; i < n; ++i) store(0, world.exact(i)), store(1, world.exactOther(i));
    tables = look(equation, std::move(tables), lists);
    keepRows(1, 0);
    tables = subject.forkTable(std::move(tables), Forked<std::size_t>{0, 1});
    lists.rows[1] = lists.rows[0];
    lists.lengths[1] = n;
    keepRows(1, m);
    store(1, world.exactOther(m)), store(1, world.exactOther(n + 1)), store(0, world.exact(n));
    tables = look(equation, std::move(tables), lists);
    keepRows(0, 0);
    store(0, world.exactOther(n));
    tables = look(equation, std::move(tables), lists);
    keepRows(0, 0), keepRows(1, 0);
}

/// The equation of `look` along the way, for blocks of 1, 2 and 3 rows, those of 2 taken from the
/// last one backwards. There are as many of them as two sequences of n + 2 rows may need.
template <class Subject, class World, class Look>
constexpr auto alongLists(Subject& subject, World const& world, Look look) {
    auto equation = equationOf(subject, world);
    auto const n = world.length();
    auto const blocks = n + n + nat<4>;
    hana::for_each(hana::make_tuple(nat<1>, nat<2>, nat<3>), [&](auto rows) {
        auto const order = tabulate(blocks, [&](std::size_t i) {
            return rows == nat<2> ? Dyn{blocks} - 1 - i : i;
        });
        driveTables(equation, subject, world,
                    freeBlocks(n - n + nat<2>, order, n - n + rows, world.exact(0)), look);
    });
    return equation;
}

constexpr void compareRows(auto& equation, auto& subject, auto const& tables, auto const& lists) {
    for (std::size_t s = 0; s < 2; ++s) {
        equation.numbers({.what = What::length, .head = s}, std::int64_t(tables.lengths[s]),
                         std::int64_t(lists.lengths[s]));
        for (std::size_t i = 0; equation.holds && i < lists.lengths[s]; ++i) {
            auto const row = subject.readRow(tables, s, i);
            equation.row({.what = What::key, .row = i}, row.key, lists.rows[s][i].key);
            equation.row({.what = What::value, .row = i}, row.value, lists.rows[s][i].value);
        }
    }
}

/// Each block counts those who name it, and together they name what their rows need.
constexpr void compareReferences(auto& equation, auto const& tables, auto const& lengths) {
    std::size_t named = 0, needed = 0;
    for (std::size_t b = 0; b < tables.order.size(); ++b) {
        equation.numbers({.what = What::references, .row = b}, std::int64_t(tables.references[b]),
                         std::int64_t(occurrences(tables, b)));
        named += tables.references[b];
    }
    for (std::size_t s = 0; s < lengths.size(); ++s) needed += tables.blocksOf(lengths[s]);
    equation.numbers({.what = What::references}, std::int64_t(named), std::int64_t(needed));
}

static_assert(occurrences(freeBlocks(nat<1>, Seq<std::size_t, Nat<1>>{}, nat<1>, 0), 0) == 0);

}  // namespace kv

// spec_mutants_test: show that every theorem can be broken, and every wrong spec is noticed.
//
// The table has a row for each mutant of the spec and a column for each law of the registry. A
// column without a kill is a theorem that says nothing, which is what a blinded one looks like
// (both sides the same expression); a row without a kill is a mistake that the theorems allow. An
// error thrown on the way kills nothing: a theorem must not lean on its subject to stumble.
#include "spec_mutants.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <optional>
#include <set>
#include <string>

namespace kv::tests {
namespace {

using proofs::Sizes;
using proofs::Verdict;

// Lengths around the smallest ones, each in shapes that differ in whatever a law may depend on.
std::vector<RuntimeShape> const& shapes() {
    static auto const all = [] {
        RuntimeShape const kinds[] = {
            proofs::single<0>.erased(),
            proofs::grouped<0>.erased(),
            proofs::windowed<0>.erased(),
            proofs::chunked<0>.erased(),
            Sizes<0, 4, 2, 2, 2, 0, 0, 2>{.layout = RotaryLayout::interleaved}.erased(),
            Sizes<0, 2, 1, 2, 3, 2, 2>{}.erased(),  // two sinks
            Sizes<0, 1, 1, 2, 2, 1>{}.erased(),     // a window that lets go of every past row
        };
        std::vector<RuntimeShape> shapes;
        for (std::size_t length : {0u, 1u, 2u, 4u, 5u})
            for (auto shape : kinds) {
                shape.length = length;
                shapes.push_back(shape);
            }
        return shapes;
    }();
    return all;
}

constexpr std::size_t room = std::size_t{1} << 13;

// What one mutant does to one law.
struct Cell {
    std::optional<Verdict> kill;
    RuntimeShape shape{};
    bool threw = false;
};
Cell judge(auto const& law, Verbs const& verbs) {
    Cell cell;
    for (auto const& shape : shapes()) try {
            auto const verdict = proofs::check(
                law, shape, room, [&](SymbolWorld const& world) { return LiveSpec(world, verbs); });
            if (!verdict.holds) return {verdict, shape, cell.threw};
        } catch (std::exception const&) {
            cell.threw = true;
        }
    return cell;
}

struct Column {
    std::string law;
    std::vector<Cell> cells;  // one per mutant
    bool kills() const {
        for (auto const& cell : cells)
            if (cell.kill) return true;
        return false;
    }
};
Column column(auto const& law) {
    Column result{std::string(law.name), {}};
    for (auto const& mutant : everyMutant()) result.cells.push_back(judge(law, mutant.verbs));
    return result;
}
using Matrix = std::vector<Column>;

// The registry against all mutants, computed once.
Matrix const& matrix() {
    static auto const result = [] {
        Matrix columns;
        forEachLaw([&](auto, auto const& law) { columns.push_back(column(law)); });
        return columns;
    }();
    return result;
}

// The report that this file exists for: laws that nothing breaks.
std::set<std::string> lawsWithoutKill(Matrix const& columns) {
    std::set<std::string> names;
    for (auto const& c : columns)
        if (!c.kills()) names.insert(c.law);
    return names;
}
std::set<std::string> mutantsWithoutKill(Matrix const& columns) {
    std::set<std::string> names;
    auto const mutants = everyMutant();
    for (std::size_t m = 0; m < mutants.size(); ++m) {
        bool killed = false;
        for (auto const& c : columns) killed = killed || c.cells[m].kill;
        if (!killed) names.emplace(mutants[m].name);
    }
    return names;
}

void print(Matrix const& columns) {
    for (std::size_t c = 0; c < columns.size(); ++c) {
        std::size_t kills = 0;
        for (auto const& cell : columns[c].cells) kills += cell.kill ? 1 : 0;
        std::printf("%2zu %-34s kills %zu\n", c + 1, columns[c].law.c_str(), kills);
    }
    std::printf("%-66s", "x: killed, !: threw, which kills nothing");
    for (std::size_t c = 0; c < columns.size(); ++c) std::printf("%3zu", c + 1);
    auto const mutants = everyMutant();
    for (std::size_t m = 0; m < mutants.size(); ++m) {
        std::printf("\n%-66s", std::string(mutants[m].name).c_str());
        for (auto const& c : columns)
            std::printf("  %c", c.cells[m].kill ? 'x' : c.cells[m].threw ? '!' : '.');
    }
    std::printf("\n");
}

// The law with both sides made by the spec: whoever is judged, it holds.
auto blinded(auto const& law) {
    auto claim = [law](auto&, auto const& world) {
        Spec spec{world.layer(), world.capacity()};
        return law.claim(spec, world);
    };
    return Theorem{law.name, law.sentence, law.scope, law.grade, law.owed, claim};
}

TEST(SpecMutants, TheSpecItselfHolds) {
    forEachLaw([](auto, auto const& law) {
        auto const cell = judge(law, Verbs{});
        EXPECT_FALSE(cell.threw) << law.name;
        ASSERT_FALSE(cell.kill) << law.name << ": " << cell.kill->left.view() << " is not "
                                << cell.kill->right.view();
    });
}

TEST(SpecMutants, AreTwentyOrMoreWithOneVerbReplacedEach) {
    EXPECT_GE(everyMutant().size(), 20u);
    std::set<std::string_view> names;
    for (auto const& mutant : everyMutant()) {
        EXPECT_EQ(replacedVerbs(mutant.verbs), 1) << mutant.name;
        EXPECT_TRUE(names.insert(mutant.name).second) << mutant.name << " stands here twice";
    }
}

TEST(SpecMutants, EveryLawKillsAndEveryMutantIsKilled) {
    print(matrix());
    EXPECT_EQ(matrix().size(), lawCount);
    EXPECT_EQ(lawsWithoutKill(matrix()), std::set<std::string>{});
    EXPECT_EQ(mutantsWithoutKill(matrix()), std::set<std::string>{});
}

TEST(SpecMutants, ABlindedLawLivesAndIsReported) {
    hana::for_each(hana::make_tuple(appendKV_length, appendKV_last_key, rollback_append,
                                    decodeWithCache_eq_fullAttention, erase_commutes),
                   [](auto const& law) {
                       auto columns = matrix();
                       for (auto& c : columns)
                           if (c.law == law.name) c = column(blinded(law));
                       EXPECT_EQ(lawsWithoutKill(columns), std::set{std::string(law.name)});
                   });
}

}  // namespace
}  // namespace kv::tests

// theorem: a sentence, and the equation it stands for.
//
// A theorem is a value. It has a name, a sentence of at most eight words, and a claim that two
// things are equal. The claim takes a subject and a world. The left side is made by the subject's
// verbs alone, the right side by spec functions of the world's inputs alone:
//
//     claim(subject, world) = Equation{left, right, and the place where they differ first}
//
// The subject may be the spec itself (then the compiler proves the theorem over symbols), an engine
// (then the same text is its test), or the spec with one verb replaced (then the theorem must
// break). A claim never answers with a bare bool: whoever is told "no" is also told where.
//
// Two words grade each theorem. What the spec proves: `free`, the two sides are the same term, so
// they are equal in every number system; or modulo a named law of real numbers. What an engine
// owes: rows that only move stay the same bit for bit; rows that are computed may be rounded as
// declared, and are the same bits in another run if that is declared (invariance.hpp, where both
// sides are the subject's).
//
// Not said here: which theorems there are (laws.hpp), what a subject offers (spec.hpp).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace kv {

enum class Scope : std::uint8_t { spec, engine };  ///< whom a theorem can convict
/// What an engine owes.
enum class Owed : std::uint8_t {
    moves,             ///< bits: rows only move
    computes,          ///< a bound: rows are rounded as declared
    repeats,           ///< the bits of its first run, where it declares itself deterministic
    repeatsInAnyBatch  ///< the bits of any other batch, where it declares itself batch invariant
};

/// What the spec proves. `modulo` is empty for a free theorem and else names the law it leans on.
struct Grade {
    std::string_view modulo;
    constexpr bool isFree() const { return modulo.empty(); }
};
inline constexpr Grade free{};
inline constexpr Grade moduloRotations{"rotations compose"};
inline constexpr Grade moduloExponentials{"exp turns sums into products"};

/// The scope is a type, so that nobody asks an engine what only the spec can answer.
template <Scope S>
using ScopeIs = std::integral_constant<Scope, S>;
inline constexpr ScopeIs<Scope::spec> ofSpec{};
inline constexpr ScopeIs<Scope::engine> ofEngine{};

template <Scope S, class Claim>
struct Theorem {
    std::string_view name;
    std::string_view sentence;
    ScopeIs<S> scope;
    Grade grade;
    Owed owed;
    Claim claim;
};
template <Scope S, class Claim>
Theorem(std::string_view, std::string_view, ScopeIs<S>, Grade, Owed, Claim) -> Theorem<S, Claim>;

/// Which of the observable things differs.
enum class What : std::uint8_t {
    length, nextPosition, position, key, value, output, acceptance, references, bytes
};

/// Where it differs: row i of kv or query head h, component d. Counted from 0.
struct Place {
    What what{};
    std::size_t row = 0;
    std::size_t head = 0;
    std::size_t lane = 0;
    friend constexpr bool operator==(Place const&, Place const&) = default;
};

/// When does a left side, in the subject's scalars, answer to a right side in exact ones? Equal
/// symbols, equal bits; enclosure.hpp adds membership.
template <class Left, class Right>
struct Agreement {
    static constexpr bool holds(Left const& left, Right const& right) { return left == right; }
};

/// What is kept of every pair that a claim compares: nothing, unless somebody wants to know.
template <class Left, class Right>
struct Tally {
    constexpr void add(Place const&, Left const&, Right const&) {}
};

/// Both sides of a claim at the first place where they differ. Numbers are lengths or positions.
template <class Left, class Right>
struct Equation {
    bool holds = true;
    bool isCount = false;
    std::size_t compared = 0;  ///< pairs looked at; a claim that looked at none says nothing
    Place at;
    std::int64_t leftCount = 0, rightCount = 0;
    Left left{};
    Right right{};
    [[no_unique_address]] Tally<Left, Right> tally{};

    constexpr void numbers(Place where, std::int64_t l, std::int64_t r) {
        ++compared;
        if (!holds || l == r) return;
        holds = false;
        isCount = true;
        at = where;
        leftCount = l;
        rightCount = r;
    }
    constexpr void scalars(Place where, Left const& l, Right const& r) {
        ++compared;
        tally.add(where, l, r);
        if (!holds || Agreement<Left, Right>::holds(l, r)) return;
        holds = false;
        at = where;
        left = l;
        right = r;
    }
    /// Compares the heads of one row, component by component; their counts first.
    constexpr void row(Place where, auto const& l, auto const& r) {
        std::size_t const heads = r.size();
        numbers(where, std::int64_t(l.size()), std::int64_t(heads));
        for (std::size_t h = 0; holds && h < heads; ++h) {
            where.head = h;
            std::size_t const lanes = r[h].size();
            numbers(where, std::int64_t(l[h].size()), std::int64_t(lanes));
            for (std::size_t d = 0; holds && d < lanes; ++d) {
                where.lane = d;
                scalars(where, l[h][d], r[h][d]);
            }
        }
    }
};

/// An equation that holds so far, in the scalars of this subject and this world.
template <class Subject, class World>
constexpr auto equationOf(Subject const&, World const&) {
    return Equation<typename Subject::Scalar, typename World::Exact>{};
}

static_assert([] {
    Equation<int, int> e;
    e.scalars({.what = What::key, .row = 2}, 7, 7);
    e.scalars({.what = What::key, .row = 3}, 7, 8);
    return !e.holds && e.at.row == 3 && e.right == 8;
}());

}  // namespace kv

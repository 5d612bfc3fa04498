// prove: let the compiler check a theorem at a list of shapes.
//
// A proof runs the claim of a theorem with the spec as its subject over symbols, inside a constant
// expression. If the two sides differ, g++'s message names the smallest terms in which they do:
//
//     TermsDiffer<Verdict{..., Text{"cos[1,0]"}, Text{"cos[0,0]"}}>
//
// The table of shapes that `kvspec laws` prints comes from the very list that is proved here.
#pragma once
#include "real.hpp"
#include "world.hpp"

#include <algorithm>

namespace kv::proofs {

/// A short text that may be a template argument.
struct Text {
    char chars[100]{};
    constexpr void put(char c) {
        for (char& at : chars)
            if (at == 0 && &at != &chars[99]) {
                at = c;
                return;
            }
    }
    constexpr void put(std::string_view s) {
        for (char c : s) put(c);
    }
    constexpr void put(std::int64_t n) {
        if (n < 0) put('-');
        if (n / 10 != 0) put(n < 0 ? -(n / 10) : n / 10);
        put(char('0' + (n < 0 ? -(n % 10) : n % 10)));
    }
    constexpr std::string_view view() const { return chars; }
};

constexpr void write(Text& out, Name const& name) {
    constexpr std::string_view names[] = {"c=cos", "s=sin", "a=scale", "m=slope"};
    std::string_view word(&name.letter, 1);
    for (auto entry : names)
        if (entry[0] == name.letter) word = entry.substr(2);
    out.put(word);
    if (name.at[0] < 0) return;
    for (std::size_t i = 0; i < 3 && name.at[i] >= 0; ++i) {
        out.put(i == 0 ? '[' : ',');
        out.put(std::int64_t(name.at[i]));
    }
    out.put(']');
    if (name.at[3] > 0) out.put('\'');
}

constexpr void write(Text& out, Arena const& arena, std::uint32_t id) {
    Node const n = arena[id];
    constexpr std::string_view infix = " +-*/";
    switch (n.op) {
        case Op::leaf: return write(out, n.name);
        case Op::add: case Op::subtract: case Op::multiply: case Op::divide:
            out.put('(');
            write(out, arena, n.a);
            out.put(infix[std::size_t(n.op)]);
            write(out, arena, n.b);
            return out.put(')');
        case Op::cons: return out.put("...");
        default: break;
    }
    constexpr std::string_view words[] = {"exp(", "log(", "max(",   "times(",
                                          "",     "",     "turnX(", "turnY("};
    if (n.op == Op::apply) {
        write(out, n.name);
        return out.put("(...)");
    }
    out.put(words[std::size_t(n.op) - std::size_t(Op::exp)]);
    if (n.op != Op::exp && n.op != Op::log && n.op != Op::max) {
        out.put(n.k);
        out.put(',');
    }
    write(out, arena, n.a);
    if (n.b != 0) {
        out.put(',');
        write(out, arena, n.b);
    }
    out.put(')');
}

/// Goes down while both sides are built alike, to where they first are not.
struct Pair {
    std::uint32_t left, right;
};
constexpr Pair smallestDifference(Arena const& arena, Pair p) {
    while (p.left != 0 && p.right != 0) {
        Node const l = arena[p.left], r = arena[p.right];
        if (l.op != r.op || l.name != r.name || l.k != r.k || l.op == Op::leaf) return p;
        p = l.a != r.a ? Pair{l.a, r.a} : Pair{l.b, r.b};
    }
    return p;
}

struct Verdict {
    bool holds = true;
    Place at{};
    Text left{}, right{};
};

constexpr Theory theoryOf(Grade grade) {
    if (grade.isFree()) return Theory::none;
    if (grade.modulo == moduloRotations.modulo) return Theory::rotations;
    if (grade.modulo == moduloExponentials.modulo) return Theory::exponentials;
    throw std::invalid_argument("no theory is known by this name");
}

/// Runs a claim over symbols; `limit` bounds the number of terms.
template <class ShapeType, Scope S, class Claim>
constexpr Verdict check(Theorem<S, Claim> const& theorem, ShapeType const& shape, std::size_t limit,
                        auto makeSubject) {
    Arena arena(limit, theoryOf(theorem.grade));
    World<ShapeType> const world(arena, shape);
    auto subject = makeSubject(world);
    auto const equation = theorem.claim(subject, world);
    Verdict verdict{equation.holds, equation.at, {}, {}};
    if (equation.holds) return verdict;
    if (equation.isCount) {
        verdict.left.put(equation.leftCount);
        verdict.right.put(equation.rightCount);
        return verdict;
    }
    auto const d = smallestDifference(arena, {equation.left.id, equation.right.id});
    write(verdict.left, arena, d.left);
    write(verdict.right, arena, d.right);
    return verdict;
}

/// The spec itself, as the subject of its own theorems.
inline constexpr auto theSpec = [](auto const& world) {
    return Spec{world.layer(), world.capacity()};
};

template <Verdict V>
struct TermsDiffer {
    static_assert(V.holds, "the theorem does not hold: see the two terms in Verdict");
    static constexpr bool none = V.holds;
};

/// Shapes as types. H, G: query and kv heads; K, V: their dims; W, S: window and sinks; R: rotary;
/// C: chunk.
template <std::size_t N, std::size_t H, std::size_t G, std::size_t K, std::size_t V,
          std::size_t W = 0, std::size_t S = 0, std::size_t R = 0, std::size_t C = 0>
using Sizes = Shape<Nat<N>, Nat<H>, Nat<G>, Nat<K>, Nat<V>, Nat<W>, Nat<S>, Nat<R>, Nat<C>>;

inline constexpr std::size_t termLimit = std::size_t{1} << 14;

/// The law holds at the shape, or this does not compile.
template <auto const& theorem, auto shape>
inline constexpr bool proved =
    TermsDiffer<check(theorem, shape, termLimit, theSpec)>::none;

/// The table of what was proved: a row for each shape that compiled.
template <auto const& theorem, auto... shapes>
void prove() {
    static_assert((proved<theorem, shapes> && ...));
    (provedShapes().push_back({theorem.name, shapes.length, shapes.queryHeads, shapes.kvHeads,
                               shapes.keyDim, shapes.valueDim, shapes.window, shapes.sinks,
                               shapes.rotaryDim, shapes.layout, shapes.storage,
                               shapes.slopes != 0, shapes.sinkLogits != 0, shapes.chunk}),
     ...);
}

/// One head of one component; two kv heads for four query heads with raw keys, ALiBi and
/// interleaved rotation; a window over partly rotated heads of odd dims, with sink logits.
template <std::size_t N>
inline constexpr auto single = Sizes<N, 1, 1, 1, 2>{};
template <std::size_t N>
inline constexpr auto grouped = Sizes<N, 4, 2, 3, 2, 0, 0, 2>{
    .layout = RotaryLayout::interleaved, .storage = KeyStorage::raw, .slopes = 4};
template <std::size_t N>
inline constexpr auto windowed =
    Sizes<N, 2, 1, 5, 3, 3, 0, 4>{.layout = RotaryLayout::halfSplit, .sinkLogits = 2};
/// Chunks of three positions.
template <std::size_t N>
inline constexpr auto chunked = Sizes<N, 2, 1, 2, 2, 0, 0, 0, 3>{};
/// The largest one; `layers` runs it as two blocks.
inline constexpr auto sixteen = Sizes<16, 2, 1, 4, 3, 0, 0, 4>{.layout = RotaryLayout::halfSplit};

/// Smaller heads, for laws that try every place to cut sixteen tokens.
inline constexpr auto sixteenCuts =
    Sizes<16, 2, 1, 2, 1, 0, 0, 2>{.layout = RotaryLayout::halfSplit};

/// Every law at lengths 0, 1, 2, 4, 8 and 16.
template <auto const& theorem, auto longest = sixteen>
void proveAtAllLengths() {
    prove<theorem, single<0>, single<1>, grouped<0>, grouped<1>, grouped<2>, grouped<4>>();
    prove<theorem, windowed<2>, windowed<4>, windowed<8>, longest>();
}

/// Adds a stem's table when the program starts.
struct Table {
    explicit Table(void (*fill)()) { fill(); }
};

}  // namespace kv::proofs

// term: compute with symbols instead of numbers.
//
// A Term is a node of a shared expression graph. Two terms are equal if and only if they were
// built the same way, which hash-consing turns into the comparison of two integers. Nothing is
// simplified: a + b is not b + a. So when a claim holds over terms, both sides are one expression,
// and they are equal in every number system, under every rounding.
//
// One exception, on request: under Theory::rotations a turned plane is a node of its own, and two
// real-number laws rewrite it while it is built:
//
//     turn(q) turn(p) v = turn(p + q) v,  turn(0) v = v
//     <turn(p) a, turn(q) b> = <a, turn(q - p) b>
//
// Both hold for rotations of the real plane (Su et al., arXiv 2104.09864, section 3.4.3). Under
// Theory::exponentials terms are built as always, and compared as real.hpp says.
#pragma once
#include "spec/position.hpp"
#include "spec/scalar.hpp"

#include <array>
#include <cstdint>
#include <stdexcept>
#include <utility>

namespace kv::proofs {

enum class Op : std::uint8_t {
    leaf, add, subtract, multiply, divide, exp, log, max, multiple, apply, cons, turnX, turnY
};
enum class Theory : std::uint8_t { none, rotations, exponentials };

/// What a leaf or a function symbol is called: a letter and up to four small indices.
struct Name {
    char letter = '?';
    std::array<std::int16_t, 4> at{-1, -1, -1, -1};
    friend constexpr bool operator==(Name const&, Name const&) = default;
};

struct Node {
    Op op{};
    Name name{};         ///< of a leaf or a function; plane and position of a turn
    std::int64_t k = 0;  ///< factor of `multiple`, position of a turn
    std::uint32_t a = 0, b = 0;
    friend constexpr bool operator==(Node const&, Node const&) = default;
};

/// The graph. It grows up to `limit` nodes; asking for more is an error, never a wrong answer.
class Arena {
   public:
    constexpr explicit Arena(std::size_t limit, Theory theory = Theory::none)
        : limit_(limit), theory_(theory) {
        resize(64);
    }
    constexpr ~Arena() {
        delete[] nodes_;
        delete[] table_;
    }
    Arena(Arena const&) = delete;
    Arena& operator=(Arena const&) = delete;

    constexpr std::uint32_t id(Node const& node) {
        std::size_t slot = slotOf(node);
        if (table_[slot] != 0) return table_[slot];
        if (size_ + 1 == limit_) throw std::length_error("the arena of terms is full");
        if (size_ + 1 == room_) {
            resize(2 * room_);
            slot = slotOf(node);
        }
        nodes_[++size_] = node;
        return table_[slot] = static_cast<std::uint32_t>(size_);
    }
    constexpr Node const& operator[](std::uint32_t id) const { return nodes_[id]; }
    constexpr Theory theory() const { return theory_; }
    constexpr std::size_t size() const { return size_; }

   private:
    static constexpr std::size_t hash(Node const& n) {
        std::uint64_t h = std::uint64_t(n.op) * 31 + std::uint64_t(n.name.letter);
        for (auto i : n.name.at) h = h * 131 + std::uint16_t(i);
        h = (h * 1000003 + std::uint64_t(n.k)) * 1000003 + n.a;
        h = (h * 1000003 + n.b) * 0x9e3779b97f4a7c15u;
        return h >> 20;
    }
    /// Where a node is in the table, or the free slot where it belongs.
    constexpr std::size_t slotOf(Node const& node) const {
        std::size_t const slots = slotsPerNode * room_;
        std::size_t slot = hash(node) % slots;
        while (table_[slot] != 0 && !(nodes_[table_[slot]] == node)) slot = (slot + 1) % slots;
        return slot;
    }
    constexpr void resize(std::size_t room) {
        auto const* old = std::exchange(nodes_, new Node[room]);
        delete[] std::exchange(table_, new std::uint32_t[slotsPerNode * room]{});
        room_ = room;
        for (std::size_t i = 1; i <= size_; ++i) {
            nodes_[i] = old[i];
            table_[slotOf(nodes_[i])] = static_cast<std::uint32_t>(i);
        }
        delete[] old;
    }
    static constexpr std::size_t slotsPerNode = 4;
    std::size_t limit_, room_ = 0, size_ = 0;  // node 0 stays empty: the term that was never made
    Node* nodes_ = nullptr;
    std::uint32_t* table_ = nullptr;
    Theory theory_;
};

struct Term {
    Arena* arena = nullptr;
    std::uint32_t id = 0;
    friend constexpr bool operator==(Term const& l, Term const& r) { return l.id == r.id; }
};

constexpr Term make(Arena& arena, Node const& node) { return {&arena, arena.id(node)}; }
constexpr Term leaf(Arena& arena, Name name) { return make(arena, {.op = Op::leaf, .name = name}); }
constexpr Term binary(Op op, Term a, Term b) {
    return make(*a.arena, {.op = op, .a = a.id, .b = b.id});
}
constexpr Term operator+(Term a, Term b) { return binary(Op::add, a, b); }
constexpr Term operator-(Term a, Term b) { return binary(Op::subtract, a, b); }
constexpr Term operator*(Term a, Term b) { return binary(Op::multiply, a, b); }
constexpr Term operator/(Term a, Term b) { return binary(Op::divide, a, b); }

/// An uninterpreted function of everything in a list of terms.
constexpr Term apply(Name function, auto const& arguments) {
    Arena& arena = *arguments[0].arena;
    std::uint32_t list = 0;
    for (std::size_t i = arguments.size(); i-- > 0;)
        list = arena.id({.op = Op::cons, .a = arguments[i].id, .b = list});
    return make(arena, {.op = Op::apply, .name = function, .a = list});
}

/// The table of a rotary law over symbols: cos[p,plane] and sin[p,plane] are leaves.
struct SymbolTable {
    Arena* arena = nullptr;
    constexpr Term entry(char letter, Position p, std::size_t plane) const {
        return leaf(*arena, {letter, {std::int16_t(p), std::int16_t(plane), -1, -1}});
    }
    constexpr Term cosine(Position p, std::size_t plane) const { return entry('c', p, plane); }
    constexpr Term sine(Position p, std::size_t plane) const { return entry('s', p, plane); }
};

/// turn(k) of the plane (a, b), or the plane itself for k = 0; a turned plane turns on.
constexpr Plane<Term> turned(Name plane, Position by, Plane<Term> v) {
    Arena& arena = *v.x.arena;
    Node const x = arena[v.x.id], y = arena[v.y.id];
    if (x.op == Op::turnX && y.op == Op::turnY && x.name == plane && y.name == plane &&
        x.k == y.k && x.a == y.a && x.b == y.b)
        return turned(plane, by + x.k, {{&arena, x.a}, {&arena, x.b}});
    if (by == 0) return v;
    Node node{.op = Op::turnX, .name = plane, .k = by, .a = v.x.id, .b = v.y.id};
    Term const first = make(arena, node);
    node.op = Op::turnY;
    return {first, make(arena, node)};
}

}  // namespace kv::proofs

namespace kv {

template <>
struct Num<proofs::Term> {
    using Term = proofs::Term;
    static constexpr Term exp(Term x) {
        return make(*x.arena, {.op = proofs::Op::exp, .a = x.id});
    }
    static constexpr Term log(Term x) {
        return make(*x.arena, {.op = proofs::Op::log, .a = x.id});
    }
    static constexpr Term max(Term a, Term b) { return binary(proofs::Op::max, a, b); }
    static constexpr Term multiple(Term s, std::int64_t k) {
        return make(*s.arena, {.op = proofs::Op::multiple, .k = k, .a = s.id});
    }
};

/// Without a theory the formula of position.hpp over the leaves cos and sin; with it, a node.
template <>
struct Rotation<proofs::Term> {
    static constexpr Plane<proofs::Term> turn(proofs::SymbolTable const& table, std::size_t plane,
                                              Position by, Plane<proofs::Term> const& v) {
        if (table.arena->theory() == proofs::Theory::rotations)
            return proofs::turned({'R', {std::int16_t(plane), -1, -1, -1}}, by, v);
        auto const c = table.cosine(by < 0 ? -by : by, plane);
        auto const s = table.sine(by < 0 ? -by : by, plane);
        if (by < 0) return {v.x * c + v.y * s, v.y * c - v.x * s};
        return {v.x * c - v.y * s, v.x * s + v.y * c};
    }
};

/// Under the theory, turned planes on both sides of a dot product leave only their difference.
template <>
struct Reduce<proofs::Term> : Reductions<proofs::Term> {
    using Term = proofs::Term;
    static constexpr Term dot(auto a, auto b) {
        if (a[0].arena->theory() == proofs::Theory::rotations)
            for (std::size_t i = 0; i < a.size(); ++i)
                for (std::size_t j = 0; j < a.size(); ++j) relate(a, b, i, j);
        return Reductions<Term>::dot(a, b);
    }

   private:
    static constexpr void relate(auto& a, auto& b, std::size_t i, std::size_t j) {
        proofs::Arena& arena = *a[i].arena;
        auto const x = arena[a[i].id], y = arena[a[j].id];
        auto const u = arena[b[i].id];
        if (x.op != proofs::Op::turnX || y.op != proofs::Op::turnY || x.name != y.name ||
            x.k != y.k || x.a != y.a || x.b != y.b)
            return;
        if (u.op == proofs::Op::turnX && u.name != x.name) return;
        a[i] = {&arena, x.a};
        a[j] = {&arena, x.b};
        auto const back = proofs::turned(x.name, -x.k, {b[i], b[j]});
        b[i] = back.x;
        b[j] = back.y;
    }
};

static_assert(Scalar<proofs::Term>);

}  // namespace kv

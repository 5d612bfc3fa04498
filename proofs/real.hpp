// real: compare terms as real numbers are compared.
//
// Under Theory::exponentials two terms are equal if the laws of a field and of the exponential make
// them so: sums and products commute and associate, fractions cancel, and
//
//     exp(x + y) = exp(x) exp(y),   exp(x - y) = exp(x) / exp(y),   exp(log x) = x for x > 0
//
// Such terms are fractions of polynomials in symbols and in exponentials of symbols, where a score,
// a maximum and whatever else is not said above counts as a symbol. They are compared at random
// points of the field of integers modulo a prime, where all these laws hold: equal fractions are
// equal at every point, and different ones of degree d at one point in p / d (Schwartz, doi
// 10.1145/322217.322225). So a proof that leans on this theory is wrong with a chance of
// (d / p)^points, which for the degrees here is below 2^-60.
#pragma once
#include "spec/theorem.hpp"
#include "term.hpp"

namespace kv::proofs {

/// An integer modulo the prime 2^31 - 1.
struct Residue {
    static constexpr std::uint64_t prime = 2147483647;
    std::uint64_t value;
    friend constexpr bool operator==(Residue, Residue) = default;
};
constexpr Residue operator+(Residue a, Residue b) { return {(a.value + b.value) % Residue::prime}; }
constexpr Residue operator-(Residue a, Residue b) {
    return {(a.value + Residue::prime - b.value) % Residue::prime};
}
constexpr Residue operator*(Residue a, Residue b) { return {a.value * b.value % Residue::prime}; }

/// Never inverted, since that takes sixty products; two are equal after cross-multiplication. What
/// is divided by 0 equals nothing.
struct Fraction {
    Residue over, under{1};
    friend constexpr bool operator==(Fraction const& a, Fraction const& b) {
        bool const isDefined = a.under.value != 0 && b.under.value != 0;
        return isDefined && a.over * b.under == b.over * a.under;
    }
};
constexpr Fraction operator+(Fraction const& a, Fraction const& b) {
    return {a.over * b.under + b.over * a.under, a.under * b.under};
}
constexpr Fraction operator-(Fraction const& a, Fraction const& b) {
    return {a.over * b.under - b.over * a.under, a.under * b.under};
}
constexpr Fraction operator*(Fraction const& a, Fraction const& b) {
    return {a.over * b.over, a.under * b.under};
}
constexpr Fraction operator/(Fraction const& a, Fraction const& b) {
    return {a.over * b.under, a.under * b.over};
}

/// One random point: a residue for each symbol, and one for its exponential.
class RealPoint {
   public:
    constexpr RealPoint(Arena const& arena, std::uint64_t seed) : arena_(arena), seed_(seed) {}

    constexpr Fraction at(std::uint32_t id) const {
        Node const& n = arena_[id];
        switch (n.op) {
            case Op::add: return at(n.a) + at(n.b);
            case Op::subtract: return at(n.a) - at(n.b);
            case Op::multiply: return at(n.a) * at(n.b);
            case Op::divide: return at(n.a) / at(n.b);
            case Op::exp: return exponentialAt(n.a);
            default: return drawn(2 * std::uint64_t(id));
        }
    }

   private:
    constexpr Fraction exponentialAt(std::uint32_t id) const {
        Node const& n = arena_[id];
        switch (n.op) {
            case Op::add: return exponentialAt(n.a) * exponentialAt(n.b);
            case Op::subtract: return exponentialAt(n.a) / exponentialAt(n.b);
            case Op::log: return at(n.a);
            default: return drawn(2 * std::uint64_t(id) + 1);
        }
    }
    /// Not 0: exponentials are divided by. The mixing function is SplitMix64's (Steele et al., doi
    /// 10.1145/2660193.2660195).
    constexpr Fraction drawn(std::uint64_t symbol) const {
        std::uint64_t x = seed_ + (symbol + 1) * 0x9e3779b97f4a7c15u;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
        x = (x ^ x >> 27) * 0x94d049bb133111ebu;
        return {{1 + (x ^ x >> 31) % (Residue::prime - 1)}};
    }

    Arena const& arena_;
    std::uint64_t seed_;
};

constexpr bool areEqualReals(Term const& a, Term const& b) {
    for (std::uint64_t seed : {1u, 2u, 3u}) {
        RealPoint const point(*a.arena, seed);
        if (!(point.at(a.id) == point.at(b.id))) return false;
    }
    return true;
}

}  // namespace kv::proofs

namespace kv {

template <>
struct Agreement<proofs::Term, proofs::Term> {
    static constexpr bool holds(proofs::Term const& l, proofs::Term const& r) {
        return l == r || (l.arena->theory() == proofs::Theory::exponentials &&
                          proofs::areEqualReals(l, r));
    }
};

}  // namespace kv

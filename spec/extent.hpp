// extent: say how long something is, to the compiler or to the run.
//
// A length is a type where the compiler knows it (Nat<3>) and a number where only the run does
// (Dyn). Everything below this file is written once for both: Boost.Hana's arithmetic makes
// `n + nat<1>` a type in the first reading and a number in the second, from one expression.
//
//     n + nat<1>        Nat<n + 1>, or the number n + 1
//     smaller(m, n)     the lesser of two lengths
//     lessBy(m, n)      m - n, or 0
//
// That the two readings agree is itself a theorem, erase_commutes (erase.hpp).
//
// Not said here: sequences of such a length (seq.hpp).
#pragma once
#include <boost/hana.hpp>

#include <concepts>
#include <cstddef>
#include <stdexcept>

namespace kv {

namespace hana = boost::hana;

template <std::size_t N>
using Nat = hana::size_t<N>;  ///< a length that the compiler knows
template <std::size_t N>
inline constexpr Nat<N> nat{};
using Dyn = std::size_t;  ///< a length that only the run knows

template <class E>
inline constexpr bool isStatic = false;
template <std::size_t N>
inline constexpr bool isStatic<Nat<N>> = true;

template <class E>
concept Extent = isStatic<E> || std::same_as<E, Dyn>;

template <Extent A>
using Succ = decltype(A{} + nat<1>);  ///< n + 1
template <Extent A, Extent B>
using Plus = decltype(A{} + B{});  ///< m + n

/// The smaller of two lengths; a type if both are types.
template <Extent A, Extent B>
constexpr auto smaller(A a, B b) {
    return hana::if_(a < b, a, b);
}
template <Extent A>
constexpr Dyn smaller(A a, Dyn b) {
    return a < b ? Dyn{a} : b;
}

/// a - b where that is a length, otherwise 0.
template <Extent A, Extent B>
constexpr auto lessBy(A a, B b) {
    return a - smaller(b, a);
}

/// Thrown by the run-time reading where the compile-time reading would not compile.
struct ShapeError : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

/// What the compiler can already refuse; what it cannot know yet, it lets pass.
template <class A, class B>
inline constexpr bool mayBeAtMost = true;
template <std::size_t A, std::size_t B>
inline constexpr bool mayBeAtMost<Nat<A>, Nat<B>> = A <= B;
template <class A, class B>
inline constexpr bool mayDivide = true;
template <std::size_t A, std::size_t B>
inline constexpr bool mayDivide<Nat<A>, Nat<B>> = A != 0 && B % (A == 0 ? 1 : A) == 0;

template <std::size_t I, class E>
concept IndexIsBelowLength = mayBeAtMost<Nat<I + 1>, E>;

static_assert(std::same_as<Succ<Nat<2>>, Nat<3>> && std::same_as<Succ<Dyn>, Dyn>);

}  // namespace kv

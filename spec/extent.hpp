// extent: say how long something is, to the compiler or to the run.
//
// A length is a type where the compiler knows it (Nat<3>) and a number where only the run does
// (Dyn). Everything below this file is written once for both: Boost.Hana's arithmetic makes
// `n + nat<1>` a type in the first reading and a number in the second, from one expression.
//
//     Seq<T, n>               n things of type T, counted from 0
//     tabulate(n, f)          the sequence f(0), f(1), ..., f(n-1)
//     iterate(n, s, step)     step(... step(step(s, 0), 1) ..., n-1); s may change its type
//
// These three are the only places where the two readings differ. That the readings agree is itself
// a theorem, erase_commutes (laws.hpp).
//
// Not said here: what is stored (cache.hpp).
#pragma once
#include <boost/hana.hpp>

#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

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

namespace detail {
// g++ 12 copies array members bit by bit in constant evaluation, which breaks elements that own
// memory; such elements are copied one by one here.
template <class T, std::size_t N, bool = std::is_trivially_copyable_v<T>>
struct Items {
    T items[N == 0 ? 1 : N]{};
};
template <class T, std::size_t N>
struct Items<T, N, false> {
    T items[N == 0 ? 1 : N]{};
    constexpr Items() = default;
    constexpr ~Items() = default;
    constexpr Items(Items const& other) { *this = other; }
    constexpr Items& operator=(Items const& other) {
        for (std::size_t i = 0; i < N; ++i) items[i] = other.items[i];
        return *this;
    }
};
}  // namespace detail

/// n things of one type. An index that is a number is checked when it is used, an index that is a
/// type is checked by the compiler.
template <class T, Extent E>
class Seq {
   public:
    constexpr E size() const { return {}; }
    constexpr T const& operator[](std::integral auto i) const { return store_.items[checked(i)]; }
    constexpr T& operator[](std::integral auto i) { return store_.items[checked(i)]; }
    template <std::size_t I>
        requires IndexIsBelowLength<I, E>
    constexpr T const& operator[](Nat<I>) const {
        return store_.items[I];
    }
    friend constexpr bool operator==(Seq const& a, Seq const& b) {
        for (std::size_t i = 0; i < E{}; ++i)
            if (!(a[i] == b[i])) return false;
        return true;
    }
    /// Room for n elements; `n` carries the type, and the number in the other reading.
    static constexpr Seq ofSize(E) { return {}; }

   private:
    static constexpr std::size_t checked(std::integral auto index) {
        auto const i = static_cast<std::size_t>(index);
        return i < E{} ? i : throw std::out_of_range("index is not below the length");
    }
    detail::Items<T, E{}> store_{};
};

template <class T>
class Seq<T, Dyn> {
   public:
    constexpr Dyn size() const { return items_.size(); }
    constexpr T const& operator[](std::integral auto i) const { return items_.at(static_cast<Dyn>(i)); }
    constexpr T& operator[](std::integral auto i) { return items_.at(static_cast<Dyn>(i)); }
    friend constexpr bool operator==(Seq const& a, Seq const& b) { return a.items_ == b.items_; }
    static constexpr Seq ofSize(Dyn n) {
        Seq s;
        s.items_.reserve(n);
        for (std::size_t i = 0; i < n; ++i) s.items_.push_back(T{});
        return s;
    }

   private:
    std::vector<T> items_;
};

/// The sequence of f(i) for i = 0 .. n-1.
template <Extent E, class F>
constexpr auto tabulate(E n, F f) {
    auto s = Seq<std::decay_t<decltype(f(std::size_t{}))>, E>::ofSize(n);
    for (std::size_t i = 0; i < n; ++i) s[i] = f(i);
    return s;
}

/// Steps a state n times. A static count lets every step change the type of the state.
template <std::size_t N, class State, class Step, std::size_t I = 0>
constexpr auto iterate(Nat<N> n, State s, Step step) {
    if constexpr (I == N)
        return s;
    else
        return iterate<N, decltype(step(std::move(s), I)), Step, I + 1>(n, step(std::move(s), I),
                                                                        step);
}
template <class State, class Step>
constexpr State iterate(Dyn n, State s, Step step) {
    for (std::size_t i = 0; i < n; ++i) s = step(std::move(s), i);
    return s;
}

/// Runs f(m) for every m = 0 .. n; m is a type where n is one.
template <Extent N, class F>
constexpr void everyLengthUpTo(N n, F f) {
    iterate(n + nat<1>, n - n, [&](auto m, std::size_t) {
        f(m);
        return m + nat<1>;
    });
}

static_assert(std::same_as<Succ<Nat<2>>, Nat<3>> && std::same_as<Succ<Dyn>, Dyn>);
static_assert(tabulate(nat<3>, [](std::size_t i) { return i * i; })[nat<2>] == 4);

}  // namespace kv

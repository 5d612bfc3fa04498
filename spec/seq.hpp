// seq: hold n things, for an n that is a type or a number.
//
// A sequence is an array where the compiler knows its length and a vector where only the run does.
// It is made by an index function, and a state is carried along it by steps:
//
//     Seq<T, n>               n things of type T, counted from 0
//     tabulate(n, f)          the sequence f(0), f(1), ..., f(n-1)
//     iterate(n, s, step)     step(... step(step(s, 0), 1) ..., n-1); s may change its type
//
// These three are the only places where the two readings of the spec differ.
//
// Not said here: what is stored (cache.hpp).
#pragma once
#include "extent.hpp"

#include <type_traits>
#include <utility>
#include <vector>

namespace kv {

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
        for (std::size_t i = 0; i < E::value; ++i)
            if (!(a[i] == b[i])) return false;
        return true;
    }
    /// Room for n elements; `n` carries the type, and the number in the other reading.
    static constexpr Seq ofSize(E) { return {}; }

   private:
    static constexpr std::size_t checked(std::integral auto index) {
        auto const i = static_cast<std::size_t>(index);
        return i < E::value ? i : throw std::out_of_range("index is not below the length");
    }
    detail::Items<T, E{}> store_{};
};

template <class T>
class Seq<T, Dyn> {
   public:
    constexpr Dyn size() const { return items_.size(); }
    constexpr T const& operator[](std::integral auto i) const {
        return items_.at(static_cast<Dyn>(i));
    }
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
    std::size_t const count = n;
    for (std::size_t i = 0; i < count; ++i) s[i] = f(i);
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

static_assert(tabulate(nat<3>, [](std::size_t i) { return i * i; })[nat<2>] == 4);

}  // namespace kv

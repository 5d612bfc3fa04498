// scalar: what a number must be able to do.
//
// The spec computes with any type that adds, multiplies and divides and has an exponential and a
// maximum: a float, a symbol, an interval. Nothing is assumed of them, no commutative and no
// associative law; so what is proved over symbols holds for every number system and every rounding,
// as long as the order of evaluation is the one written here.
//
//     sum(n, f)            = (f(0) + f(1)) + ... + f(n-1)
//     dot(a, b)            = sum of a[i] * b[i]
//     softmaxMean(s, v)    = sum of w[j] * v[j] / sum of w[j],  w[j] = exp(s[j] - max s)
//
// softmaxMean is scaled dot-product attention without its scores: Vaswani et al., arXiv 1706.03762,
// equation 1; the subtraction of the maximum changes no real value (Blanchard, Higham and Higham,
// doi 10.1093/imanum/draa038). A scalar answers these three as a whole: an interval type must cover
// every order of summation, which a fold of two-operand steps cannot (enclosure.hpp).
//
// Not said here: which keys take part (window.hpp), where scores come from (attention.hpp).
#pragma once
#include "seq.hpp"

#include <cmath>
#include <cstdint>

namespace kv {

/// The functions that operators do not spell. `multiple` is k times s; `log` is asked for by
/// merge.hpp alone.
template <class S>
struct Num;
template <std::floating_point S>
struct Num<S> {
    static S exp(S x) { return std::exp(x); }
    static S log(S x) { return std::log(x); }
    static constexpr S max(S a, S b) { return a < b ? b : a; }
    static constexpr S multiple(S s, std::int64_t k) { return s * static_cast<S>(k); }
};

template <class S>
concept Scalar = requires(S a, S b, std::int64_t k) {
    { a + b } -> std::same_as<S>;
    { a - b } -> std::same_as<S>;
    { a* b } -> std::same_as<S>;
    { a / b } -> std::same_as<S>;
    { Num<S>::exp(a) } -> std::same_as<S>;
    { Num<S>::max(a, b) } -> std::same_as<S>;
    { Num<S>::multiple(a, k) } -> std::same_as<S>;
};

/// f(0) op f(1) op ... op f(n-1), from the left; n is at least 1.
template <class F, class Op>
constexpr auto foldLeft(std::size_t n, F f, Op op) {
    auto acc = f(std::size_t{0});
    for (std::size_t i = 1; i < n; ++i) acc = op(acc, f(i));
    return acc;
}

/// The default reductions: the text above.
template <Scalar S>
struct Reductions {
    template <class F>
    static constexpr S sum(std::size_t n, F f) {
        return foldLeft(n, f, [](S const& a, S const& b) { return a + b; });
    }
    template <class A, class B>
    static constexpr S dot(A const& a, B const& b) {
        return Reductions::sum(a.size(), [&](std::size_t i) { return a[i] * b[i]; });
    }
    /// score(j) is a scalar, value(j) a sequence of scalars; j < n, n at least 1.
    template <class Score, class Value>
    static constexpr auto softmaxMean(std::size_t n, Score score, Value value) {
        S const top = foldLeft(n, score, [](S const& a, S const& b) { return Num<S>::max(a, b); });
        auto const weights =
            tabulate(n, [&](std::size_t j) { return Num<S>::exp(score(j) - top); });
        S const total = Reductions::sum(n, [&](std::size_t j) { return weights[j]; });
        return tabulate(value(0).size(), [&](std::size_t d) {
            return Reductions::sum(n, [&](std::size_t j) { return weights[j] * value(j)[d]; }) /
                   total;
        });
    }
};

/// Specialise this one to answer a reduction as a whole.
template <Scalar S>
struct Reduce : Reductions<S> {};

static_assert(Scalar<float> && Scalar<double>);
static_assert(Reduce<double>::dot(tabulate(nat<3>, [](std::size_t i) { return double(i); }),
                                  tabulate(nat<3>, [](std::size_t) { return 2.0; })) == 6.0);

}  // namespace kv

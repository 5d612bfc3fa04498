// lanes: add many numbers up without waiting for each sum.
//
// A sum that is written from left to right waits for itself at every term. Where any order will do,
// since what is added up is a bound or its own error is counted (R18), four sums side by side take
// a quarter of the time.
#pragma once
#include <array>
#include <cstddef>

namespace kv {

/// K sums of f(i) over i < n at once, in an order of its own.
template <std::size_t K, class F>
std::array<double, K> laneSums(std::size_t n, F f) {
    constexpr std::size_t lanes = 4;
    double parts[K][lanes]{};
    auto const add = [&](std::size_t lane, std::size_t i) {
        std::array<double, K> const x = f(i);
        for (std::size_t k = 0; k < K; ++k) parts[k][lane] += x[k];
    };
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes)
        for (std::size_t lane = 0; lane < lanes; ++lane) add(lane, i + lane);
    for (; i < n; ++i) add(i % lanes, i);
    std::array<double, K> sums{};
    for (std::size_t k = 0; k < K; ++k)
        sums[k] = (parts[k][0] + parts[k][1]) + (parts[k][2] + parts[k][3]);
    return sums;
}

}  // namespace kv

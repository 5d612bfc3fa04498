// kernels: score one query against keys, and mix values by their scores.
//
// Rows are looked up in a list of slots, which the caller has already cut to what the query sees;
// a row that is not in the list is not read, whatever it holds.
//
//     rows    [slot][component] of one kv head          slots   the visible ones, oldest first
//     score[i] = (q . key[slots[i]]) * scale
//     output   = sum_i exp(score[i] - max) value[slots[i]] / sum_i exp(score[i] - max)
//
// Everything is f32. The division comes last, once per component.
#pragma once
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace kv::impl {

/// The rows of one kv head: [slot][components].
struct HeadRows {
    float const* data;
    std::size_t components;
    float const* at(std::size_t slot) const { return data + slot * components; }
};

/// The sum of products, from the first component to the last.
inline float dot(std::span<float const> a, float const* b) {
    float sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += a[i] * b[i];
    return sum;
}

/// Turns scores into exp(score - max), in place, and gives their sum.
inline float softmaxWeights(std::span<float> scores) {
    float largest = -std::numeric_limits<float>::infinity();
    for (float score : scores)
        largest = std::max(largest, score);
    float sum = 0;
    for (float& score : scores) {
        score = std::exp(score - largest);
        sum += score;
    }
    return sum;
}

/// Writes the softmax of the scores, as a mean of the values, into `output` [components].
inline void softmaxMean(std::span<float> scores, std::span<std::size_t const> slots,
                        HeadRows values, std::span<float> output) {
    assert(scores.size() == slots.size() && output.size() == values.components);
    float const sum = softmaxWeights(scores);
    std::fill(output.begin(), output.end(), float{});
    for (std::size_t i = 0; i < slots.size(); ++i) {
        float const weight = scores[i];
        float const* const value = values.at(slots[i]);
        for (std::size_t d = 0; d < output.size(); ++d)
            output[d] += weight * value[d];
    }
    for (float& component : output)
        component /= sum;
}

}  // namespace kv::impl

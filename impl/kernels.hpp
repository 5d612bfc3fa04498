// kernels: score one query against keys, and mix values by their scores.
//
// The caller names the rows, of one kv head and already cut to what the query sees, oldest first; a
// row that it does not name is not read, whatever it holds.
//
//     score[i] = (q . key[i]) * scale
//     output   = sum_i exp(score[i] - max) value[i] / sum_i exp(score[i] - max)
//
// There may be one score more than rows, that of a sink: it takes weight and brings no value.
//
// Everything is f32. The division comes last, once per component.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace kv::impl {

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

/// Writes the softmax of the scores, as a mean of the first `rows` values, into `output`
/// [components]. Value i is valueAt(i) [components]; there are at least as many scores as rows.
template <class ValueAt>
void softmaxMean(std::span<float> scores, std::size_t rows, ValueAt valueAt,
                 std::span<float> output) {
    float const sum = softmaxWeights(scores);
    std::fill(output.begin(), output.end(), float{});
    for (std::size_t i = 0; i < rows; ++i) {
        float const weight = scores[i];
        float const* const value = valueAt(i);
        for (std::size_t d = 0; d < output.size(); ++d)
            output[d] += weight * value[d];
    }
    for (float& component : output)
        component /= sum;
}

}  // namespace kv::impl

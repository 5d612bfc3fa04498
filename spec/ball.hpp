// ball: hold a real number that is known up to a radius.
//
// What a conforming engine may have computed is a set of real numbers around the exact one. Here it
// is, with the rule that contributes most to its size: when an engine is convicted, that rule says
// which field of its declaration to look at first.
//
// Not said here: the rules themselves (summation.hpp, softmax_weights.hpp, softmax_bound.hpp).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace kv {

/// What most of a radius comes from, so that a wrong declaration can be told from a wrong engine.
enum class Rule : std::uint8_t {
    none,
    scores,     ///< R6: the dot product and its scale
    exponents,  ///< R7 to R11: the exponential, its form, rescales
    merges,     ///< R9: parts merged by their log-sum-exp
    sums,       ///< R13: of weighted values and of weights
    weights,    ///< R14: weights of fewer bits
    division,   ///< R15
    flushing    ///< R1: numbers below the normal ones
};

inline constexpr std::size_t ruleCount = 8;

/// The reals within radius of center. An infinite radius: undefined (R17).
struct Ball {
    double center = 0, radius = 0;
    Rule rule = Rule::none;
    constexpr double low() const { return center - radius; }
    constexpr double high() const { return center + radius; }
    constexpr double size() const { return (center < 0 ? -center : center) + radius; }
};

/// One summand of a radius, and the rule it comes from.
struct Share {
    Rule rule;
    double size;
};
constexpr Rule largestOf(std::initializer_list<Share> shares) {
    return std::max_element(shares.begin(), shares.end(), [](Share const& a, Share const& b) {
               return a.size < b.size;
           })->rule;
}

}  // namespace kv

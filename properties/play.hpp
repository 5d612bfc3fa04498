// play: hand the steps of a trace to an engine.
//
// A step says which verb, which sequence and how many tokens; its rows come from the trace's source
// of values. The judge plays a trace beside the spec (judge.hpp), and once more in another way
// where that must not matter (variation.hpp).
#pragma once
#include "state.hpp"
#include "trace.hpp"
#include "values.hpp"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace kv::properties {

/// Bit for bit; one not-a-number is as good as another.
inline bool haveSameBits(float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
           (std::isnan(a) && std::isnan(b));
}

/// Puts numbers behind those that are there.
inline void put(std::vector<float>& to, std::vector<float> const& from) {
    to.insert(to.end(), from.begin(), from.end());
}

/// One call that was accepted, and what came of it.
struct Call {
    std::size_t index;  ///< of the step
    Step step;
    Tokens tokens;
    Outputs outputs;  ///< of attend, prefill and step
    Content content;  ///< of observe
};

/// The tokens that a step stores or asks with, in this state; none where it takes none. Those of a
/// batch stand one behind another, in the order of its items.
Tokens tokensFor(Step const& step, Declaration const& declaration, State const& state,
                 ValueSource const& source);

/// Which of several tokens.
struct TokenRange {
    std::size_t first = 0;
    std::size_t count = 1;
};
Tokens tokensAt(Tokens const& all, TokenRange range);
inline Tokens tokenAt(Tokens const& all, std::size_t i) { return tokensAt(all, {i, 1}); }
/// The outputs of some of `count` tokens.
Outputs outputsAt(Outputs const& all, std::size_t count, TokenRange range);

/// Calls the verb of a step. The outputs of a batch come one behind another, in the order of its
/// items, and none at all come where an item has not as many as it has tokens.
Answer play(AnyEngine& engine, Step const& step, Tokens const& tokens, Outputs& outputs,
            Content& content);

}  // namespace kv::properties

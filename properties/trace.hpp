// trace: what was done to an engine, small enough to print and to replay.
//
// A trace is a source of values and a list of steps. Token number i of a trace (its serial: 0 for
// the first token that any step stores, counting up) has keys, values and queries that depend on
// the source and on i alone, so a step needs only small integers.
#pragma once
#include "engine.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kv::properties {

/// Where the values of tokens come from. All but the first and the last two are probes (probe.hpp).
enum class Family : std::uint8_t {
    painted,      ///< content says which token, layer, head and component it is
    oneHot,       ///< keys are codes; a query reads one stored value back bit for bit
    mean,         ///< queries are zero; the output is the mean of 2^k stored values
    wideSum,      ///< the same of values whose sum needs every bit of the declared accumulator
    groupSelect,  ///< keys are classes; the output is the mean of the selected ones
    knifeEdge,    ///< every score is 0, unless a row is turned by a wrong position
    equalKeys,    ///< all raw keys are equal: the position alone tells tokens apart
    ladder,       ///< scores rise from the oldest row to the newest, or fall
    balance,      ///< hot and cold rows weigh the same, if the scale is right
    quantiserStep,  ///< values a quarter of a step beside what their format holds
    sampled,      ///< scaled normals, judged by the certified interval
    inlined       ///< `tokens` holds the rows
};

struct Values {
    Family family = Family::painted;
    std::uint64_t seed = 0;
    Tokens tokens;  ///< only for Family::inlined: the rows of token 0, 1, ...
    friend bool operator==(Values const&, Values const&) = default;
};

/// How many tokens one sequence stores in a step of many; 0: it is inactive.
struct BatchItem {
    SequenceId sequence = 0;
    std::size_t count = 0;
    friend bool operator==(BatchItem const&, BatchItem const&) = default;
};

/// One verb with its arguments; the ones a verb does not take stay 0.
struct Step {
    Verb verb = Verb::append;
    SequenceId sequence = 0;
    SequenceId to = 0;        ///< fork, restore: the empty sequence that becomes the copy
    std::size_t first = 0;    ///< remove: index of the first row dropped
    std::size_t count = 0;    ///< append, prefill: tokens stored; evict, remove: rows dropped
    std::size_t length = 0;   ///< rollback: rows that stay
    std::int64_t delta = 0;   ///< shift: added to every position
    std::vector<SequenceId> parents{};  ///< reorder: which old sequence each one becomes
    std::vector<BatchItem> batch{};     ///< step: who stores how much, each sequence once
    std::size_t target = 0;   ///< attend, prefill, step: serial of the token a query asks for
    friend bool operator==(Step const&, Step const&) = default;
};

/// How many tokens a step stores, those of a batch in the order of its items.
inline std::size_t tokensStored(Step const& step) {
    std::size_t stored = 0;
    for (BatchItem const& item : step.batch) stored += item.count;
    bool const isChunk = step.verb == Verb::append || step.verb == Verb::prefill;
    return isChunk ? step.count : step.verb == Verb::step ? stored : 0;
}
/// How many of its tokens are answered.
inline std::size_t tokensAsked(Step const& step) {
    if (step.verb == Verb::attend) return 1;
    return step.verb == Verb::append ? 0 : tokensStored(step);
}

struct Trace {
    Values values;
    std::vector<Step> steps;
    friend bool operator==(Trace const&, Trace const&) = default;
};

}  // namespace kv::properties

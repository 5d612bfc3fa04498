// sink: let a head look away.
//
// Softmax gives weights that add up to 1, so a head that looks for something pays attention even
// where there is nothing to be found. A sink takes what is left over: a score that is learned, one
// for each query head, that belongs to no key and stands for a value of zeros. gpt-oss learns it;
// a logit of 0, or one more in the denominator, is "softmax off by one".
//
//     weight of row j = exp(score(j) - m) / (exp(logit - m) + sum of exp(score(i) - m))
//
// It is neither scaled nor masked, it outlives every eviction, and parts that are merged count it
// once; one that is merged by itself is one more part (merge.hpp). The equation below is that of a
// single row, which is all that tells the sink from the keys.
//
// Assumed of every engine: the sink takes part in the maximum m, or exp(logit - m) is a number.
//
// Checked by the compiler in proofs/sink.cpp, on engines by properties/sink.hpp.
// Broken in the wild: bugs/sink_is_lost_in_decode.hpp, bugs/sink_logit_is_scaled.hpp.
// Not said here: first tokens that stay visible, which are called sinks too (window.hpp).
#pragma once
#include "attention.hpp"

namespace kv {

inline constexpr Theorem sink_shares_weight{
    "sink_shares_weight", "a sink takes weight and adds no value", ofEngine, free, Owed::computes,
    [](auto& subject, auto const& world) {
        auto equation = equationOf(subject, world);
        auto handle = subject.appendKV(subject.empty(), world.token(0));
        auto const left = subject.attend(handle, world.token(0).query);
        auto const layer = world.layer();
        using S = typename std::decay_t<decltype(layer)>::Scalar;
        auto const token = world.exact(0);
        auto const turned = turnedQuery(layer.position, token.query, 0);
        auto const key = world.seen(0);
        auto const nothing = nothingOf(layer);
        std::size_t const logits = layer.sinkLogits.size() == 0 ? 0 : 1;
        auto const right = tabulate(layer.queryHeads, [&](std::size_t h) {
            std::size_t const g = kvHead(h, layer.queryHeads, layer.kvHeads);
            S const score = scoreOf(layer, h, turned[h], key[g], 0);
            return Reduce<S>::softmaxMean(
                1 + logits, [&](std::size_t j) { return j == 0 ? score : layer.sinkLogits[h]; },
                [&](std::size_t j) -> auto const& { return j == 0 ? token.value[g] : nothing; });
        });
        equation.row({.what = What::output, .row = 0}, left, right);
        return equation;
    }};

}  // namespace kv

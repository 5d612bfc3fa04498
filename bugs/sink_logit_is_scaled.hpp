// sink_logit_is_scaled: treat the logit of a sink as a product of query and key.
//
// It is multiplied by the factor of the scores, which is for sums of products. The sink weighs too
// much or too little, and every output is off by one factor.
//
//     the sink of a head adds exp(logit - m) to the sum of the weights
//
// Breaks sink_shares_weight. A relative in the wild: ROCm/rocm-libraries #12227.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct SinkLogitIsScaled : impl::Standard {
    static constexpr std::string_view name = "sink_logit_is_scaled";
    static constexpr std::string_view theorem = "sink_shares_weight";
    static constexpr std::string_view story = "the logit of a sink is scaled like a score";
    static constexpr std::string_view tracker = "ROCm/rocm-libraries #12227";

    static constexpr std::optional<float> sinkScore(impl::SinkScore s) {
        return s.logit * s.scale;  // wrong: the logit is learned as it is
    }
};

}  // namespace kv::bugs

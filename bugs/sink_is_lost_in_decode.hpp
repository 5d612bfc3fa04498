// sink_is_lost_in_decode: know the sink in one kernel only.
//
// Prefill adds the logit of the sink to its sum; the kernel that decodes one token was written
// without it. The first token is right, and all later ones give too much weight to what they see.
//
//     the sink of a head adds exp(logit - m) to the sum of the weights, whoever asks
//
// Breaks sink_shares_weight. A relative in the wild: kekzl/imp #1345.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct SinkIsLostInDecode : impl::Standard {
    static constexpr std::string_view name = "sink_is_lost_in_decode";
    static constexpr std::string_view theorem = "sink_shares_weight";
    static constexpr std::string_view story = "decoding drops the sink that prefill knows";
    static constexpr std::string_view tracker = "kekzl/imp #1345";

    static constexpr std::optional<float> sinkScore(impl::SinkScore s) {
        if (s.chunk == 0) return {};  // wrong: one token has a sink, too
        return s.logit;
    }
};

}  // namespace kv::bugs

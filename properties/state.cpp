#include "state.hpp"

#include <algorithm>
#include <limits>

namespace kv::properties {

State::State(Declaration const& declaration) : declaration_(&declaration) {
    sequences_.resize(declaration.sequences);
    for (auto& s : sequences_) s.lost.resize(declaration.layers.size());
}

bool State::offers(Verb verb) const {
    return std::ranges::find(declaration_->verbs, verb) != declaration_->verbs.end();
}

/// The first position that no rotary table covers.
std::size_t State::positions() const {
    std::size_t least = std::numeric_limits<std::size_t>::max() / 2;
    for (auto const& l : declaration_->layers)
        if (l.rotaryLayout != RotaryLayout::none && l.rotaryDim > 0)
            least = std::min(least, l.cosine.size() / (l.rotaryDim / 2));
    return least;
}

/// Whether the newest of `length` rows still sees all that it must: pinned, or in the ring.
bool State::isThere(SequenceState const& s, std::size_t length) const {
    for (std::size_t l = 0; length < s.length && l < s.lost.size(); ++l) {
        auto const& layer = declaration_->layers[l];
        std::size_t const seen = length > layer.window ? length - layer.window : 0;
        std::size_t const inRing = std::max(seen, layer.sinks);
        if (inRing < length && s.lost[l] > inRing) return false;
    }
    return true;
}

Permission State::permission(Step const& step) const {
    using enum Permission;
    auto const owed = [](bool accept) { return accept ? mustAccept : mustRefuse; };
    if (!offers(step.verb)) return mayRefuse;
    if (step.verb == Verb::reset) return mustAccept;
    if (step.sequence >= sequences_.size()) return mustRefuse;
    SequenceState const& s = sequences_[step.sequence];
    auto const table = static_cast<std::int64_t>(positions());
    switch (step.verb) {
        case Verb::append:
        case Verb::prefill:
            return owed(s.length + step.count <= declaration_->capacity &&
                        s.next + std::int64_t(step.count) <= table);
        case Verb::attend: return owed(s.length > 0);
        case Verb::rollback:
            // A ring may have lost what the newest row left would see; a roomier one has not.
            if (step.length > s.length) return mustRefuse;
            return isThere(s, step.length) ? mustAccept : mayRefuse;
        case Verb::fork: {
            if (step.to >= sequences_.size() || step.to == step.sequence) return mustRefuse;
            auto const& to = sequences_[step.to];
            return to.length == 0 && to.next != 0 ? mayRefuse : owed(to.length == 0);
        }
        case Verb::evict: {
            if (step.count > s.length) return mustRefuse;
            bool const isPinned = std::ranges::any_of(declaration_->layers, [](auto const& l) {
                return l.sinks > 0 && l.retained > 0;
            });
            return isPinned && step.count > 0 ? mayRefuse : mustAccept;
        }
        case Verb::shift: {
            if (s.length == 0) return mayRefuse;
            std::int64_t const first = s.next - std::int64_t(s.length);
            return owed(first + step.delta >= 0 && s.next - 1 + step.delta < table &&
                        std::abs(step.delta) < table);
        }
        case Verb::observe:
        case Verb::release:
        case Verb::reset: break;
    }
    return mustAccept;
}

void State::apply(Step const& step) {
    if (step.verb == Verb::reset) {
        for (auto& s : sequences_) s = {0, 0, std::vector<std::size_t>(s.lost.size())};
        return;
    }
    SequenceState& s = sequences_.at(step.sequence);
    switch (step.verb) {
        case Verb::append:
        case Verb::prefill:
            s.length += step.count;
            s.next += std::int64_t(step.count);
            stored_ += step.count;
            for (std::size_t l = 0; l < s.lost.size(); ++l) {
                auto const& layer = declaration_->layers[l];
                std::size_t const room = layer.retained + layer.sinks;
                if (layer.retained > 0 && s.length > room)
                    s.lost[l] = std::max(s.lost[l], s.length - layer.retained);
            }
            break;
        case Verb::rollback:
            s.next -= std::int64_t(s.length - step.length);
            s.length = step.length;
            for (auto& lost : s.lost) lost = std::min(lost, step.length);
            break;
        case Verb::fork: sequences_.at(step.to) = s; break;
        case Verb::evict:
            s.length -= step.count;
            for (auto& lost : s.lost) lost -= std::min(lost, step.count);
            break;
        case Verb::shift: s.next += step.delta; break;
        case Verb::release: s = {0, 0, std::vector<std::size_t>(s.lost.size())}; break;
        default: break;
    }
}

}  // namespace kv::properties

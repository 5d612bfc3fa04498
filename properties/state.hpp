// state: what a sequence of verbs has left behind, as far as permission goes.
//
// Whether an engine must accept a verb, must refuse it, or may do either depends on lengths,
// positions, on what its rings have lost and on what its pool may hold, never on values. One
// function decides it, and the generator, the shrinker, the judge and the replay all ask that one.
#pragma once
#include "spec/numerics.hpp"
#include "trace.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace kv::properties {

enum class Permission : std::uint8_t { mustAccept, mustRefuse, mayRefuse };

struct SequenceState {
    std::int64_t next = 0;                ///< position of the token that would be appended
    std::vector<std::int64_t> positions;  ///< of the rows, ascending; where some were removed,
                                          ///< with gaps
    std::vector<std::size_t> lost;        ///< per layer: index of the first row behind its sinks
                                          ///< that a ring still holds
    std::size_t end = 0;   ///< rows stored since it was released, without those taken back
    std::size_t peak = 0;  ///< the most that `end` has been, of it or of what it became
    std::size_t length() const { return positions.size(); }
    friend bool operator==(SequenceState const&, SequenceState const&) = default;
};

class State {
   public:
    explicit State(Declaration const& declaration);

    /// What the engine owes if this step comes next.
    Permission permission(Step const& step) const;
    /// The step was accepted.
    void apply(Step const& step);

    SequenceState const& operator[](SequenceId s) const { return sequences_.at(s); }
    bool isSaved(SequenceId s) const { return saved_.at(s).has_value(); }
    std::size_t stored() const { return stored_; }  ///< serial of the next token
    bool offers(Verb verb) const;

    friend bool operator==(State const& a, State const& b) {
        return a.sequences_ == b.sequences_ && a.saved_ == b.saved_ && a.stored_ == b.stored_;
    }

   private:
    std::size_t positions() const;
    bool isThere(SequenceState const& s, std::size_t length) const;
    bool hasRoom(SequenceState const& s, std::size_t count) const;
    bool isBatch(std::vector<BatchItem> const& items) const;
    bool canMove(Step const& step) const;
    bool fitsPool(Step const& step) const;
    bool answersEmptyRow() const;
    Permission inOwnRoom(Step const& step) const;
    Permission ofCopyTo(SequenceId to) const;
    Permission ofShift(SequenceState const& s, std::int64_t delta) const;
    Declaration const* declaration_;
    std::vector<SequenceState> sequences_;
    std::vector<std::optional<SequenceState>> saved_;  // per sequence
    std::size_t stored_ = 0;
};

}  // namespace kv::properties

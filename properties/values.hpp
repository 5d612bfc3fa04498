// values: expand a family and a seed into the rows of tokens.
//
// A trace names its values by a family and a seed; this file turns (family, seed, serial) into the
// rows of that token, the same ones every time. Keys and values are drawn independently, so that
// nothing can be taken for its neighbor.
//
//     painted   content is a place: which token, layer, head and component, keys even, values odd
//     sampled   normals of several scales, with zero keys and repeated tokens among them
//     inlined   the rows that the trace holds
//     others    the rows of a probe (probe.hpp)
//
// The key of a probe is made for the position at which it will be stored: it is turned back by that
// angle, so that what the cache holds is the code itself. Painted rows never serve as queries.
#pragma once
#include "lift.hpp"
#include "probe.hpp"
#include "trace.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kv::properties {

/// Whether all heads of a layer carry the same rows; then no head map can be wrong.
enum class HeadContent : std::uint8_t { distinct, same };

class ValueSource {
   public:
    ValueSource(Declaration const& declaration, Values const& values,
                HeadContent heads = HeadContent::distinct);

    /// Keys, values and queries of one token in one layer, for count = 1.
    LayerRows rows(std::size_t layer, TokenRequest const& request) const;
    /// The same in every layer.
    Tokens token(TokenRequest const& request) const;

   private:
    std::size_t headOf(std::size_t head) const { return heads_ == HeadContent::same ? 0 : head; }
    float entry(Entry const& e) const;
    void turnFromLattice(std::size_t layer, std::vector<float>& row) const;
    void turnBack(std::size_t layer, std::vector<float>& row, std::int64_t position) const;
    LayerRows inlinedRows(std::size_t layer, TokenRequest const& request) const;

    Declaration const* declaration_;
    Values const* values_;
    HeadContent heads_;
    std::vector<LayerOver<float>> layers_;
    std::vector<ProbeRows> probes_;  ///< one per layer, or none
};

/// How many tokens, from the first one on, have paint that is theirs alone.
std::size_t paintedTokens(Declaration const& declaration);

/// Which place painted this number, in words; nothing if it is no painted number.
std::optional<std::string> provenance(Declaration const& declaration, float content);

/// A well-mixed 64-bit number; Steele, Lea and Flood, doi 10.1145/2660193.2660195, SplitMix64.
std::uint64_t mixed(std::uint64_t state);
/// The same for the place of a number.
std::uint64_t hashOf(std::uint64_t seed, Entry const& entry);

}  // namespace kv::properties

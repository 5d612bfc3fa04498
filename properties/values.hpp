// values: expand a family and a seed into the rows of tokens.
//
// A trace names its values by a family and a seed; this file turns (family, seed, serial) into the
// rows of that token, the same ones every time. Keys and values are drawn independently and all
// entries of a row differ, so that nothing can be taken for its neighbor.
//
//     painted   content is a place: which token, layer, head and component, keys even, values odd
//     oneHot    a key is the code of its token, a query the complement of the code it asks for, so
//               that the match scores 0 and every other key at most -gap (probe X1)
//     mean      queries are zero, so that every visible key weighs the same (probe X2)
//     sampled   normals of several scales, with zero keys and repeated tokens among them
//
// A key is made for the position at which it will be stored: it is turned back by that angle, so
// that what the cache holds is the code itself. Painted rows never serve as queries.
#pragma once
#include "lift.hpp"
#include "trace.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kv::properties {

/// Which token, where it will stand, and which token its queries ask for.
struct TokenRequest {
    std::size_t serial = 0;
    std::int64_t position = 0;
    std::size_t target = 0;
};

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

    /// One component of one row: what it is of ('k', 'v' or 'q'), and where.
    struct Entry {
        char part;
        std::size_t serial, layer, head, lane;
    };

   private:
    std::size_t headOf(std::size_t head) const { return heads_ == HeadContent::same ? 0 : head; }
    float storedEntry(Entry const& entry) const;
    LayerRows inlinedRows(std::size_t layer, TokenRequest const& request) const;

    Declaration const* declaration_;
    Values const* values_;
    HeadContent heads_;
    std::vector<LayerOver<float>> layers_;
};

/// How many tokens, from the first one on, have paint that is theirs alone.
std::size_t paintedTokens(Declaration const& declaration);

/// Which place painted this number, in words; nothing if it is no painted number.
std::optional<std::string> provenance(Declaration const& declaration, float content);

/// A well-mixed 64-bit number; Steele, Lea and Flood, doi 10.1145/2660193.2660195, SplitMix64.
std::uint64_t mixed(std::uint64_t state);

}  // namespace kv::properties

// declaration: say whether a declared engine can exist at all.
//
// A declaration is written by hand or read from a file, so its fields can contradict each other:
// three kv heads cannot serve eight query heads, a layer cannot show more rows than it keeps.
// Everything behind this check (spec, judge, reader) may rely on what it says, in particular on
// sizes that can be multiplied without overflow.
//
// Not said here: what the fields mean (spec/numerics.hpp).
#pragma once
#include "spec/numerics.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace kv::properties {

/// Where the cosines and sines of a rotating layer stand.
enum class RotaryTables : unsigned char {
    declared,  ///< in the declaration, one row per position, at least `capacity` rows
    recorded   ///< beside each recorded update; the declaration's tables are empty
};

/// No size in a declaration exceeds this many, so that the product of two sizes fits 64 bits, and
/// no token has more elements than this.
inline constexpr std::size_t largestSize = std::size_t{1} << 32;

/// The first contradiction between fields, or nothing. The text names the fields by their path,
/// what they hold and, behind "; expected", what would be right. It is one line.
std::optional<std::string> contradiction(Declaration const& declaration,
                                         RotaryTables tables = RotaryTables::declared);

/// Elements of one token over all layers: its keys, values and queries. Exact for a declaration
/// without contradiction.
std::size_t elementsPerToken(Declaration const& declaration);

}  // namespace kv::properties

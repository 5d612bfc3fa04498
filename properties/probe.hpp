// probe: choose rows for which one float is the right answer.
//
// An output of attention is a mean of many values, so one wrong row hides in it. A probe chooses
// the rows such that the mean is one float in every conforming engine, whatever the order of its
// sums, the length of the cache or the number of threads. That is so where each score is either
// equal to the largest or so far below it that its exponential is absorbed, where equal scores are
// exactly equal, and where 2^k rows share the largest: exp(0) = 1, and dividing by 2^k is exact
// (R5 in spec/softmax_exact.hpp). Exponentials of other numbers are never rational (Lindemann), so
// there are no other cases to find.
//
//     family        stored key of token j               query                          values
//     oneHot        a code of j, on two rails           A on the wrong rails           integers
//     mean          integers                            0                              integers
//     wideSum       integers                            0                              large, > 0
//     groupSelect   1 in the component of j's class     0 if selected, else -A         integers
//     knifeEdge     +1 or -1 on the first axis of       A on the second axis of each   integers
//                   each rotation plane
//     equalKeys     1, before it is rotated             A, r positions behind its own  integers
//     ladder        (j, 1)                              (A, -A t) or its opposite      integers
//     balance       1 if j is hot, else 0               ln 3 / scale                 hot +, cold -
//
// A is so large that a gap of one unit is at least 256 nats. Where it can be, the largest score is
// 0 because all its products are: then no scale, base or reference of the exponent is rounded.
// Rows that turn are turned back first, so that what the cache holds is the key of the table; not
// those of equalKeys, where the rotation is all that tells tokens apart. Values are never 0 and no
// affine function of the slot, or a tie of two neighbours would be the value between them.
//
// Values that are stored in another format than f32 are numbers of that format (lattice.hpp), each
// group with a marker that makes its scale a power of two, another one for the next token. Those of
// quantiserStep lie a quarter or three quarters of a step beside such a number: a quantiser that
// truncates is off by a step, and no tie is asked for.
//
// No oracle knows of probes. Outputs are compared with the certified enclosure of the spec, which
// has no radius where the above holds; elsewhere (a bias by ALiBi, three rows that tie, a rotation
// of open rounding) it has one, and the probe is a bounded test like any other.
//
// What an engine must not read needs no family: storage that was never written holds zeros in some
// setups (`Fill::zero`), and a row of zeros scores 0, as much as the winners.
//
// Sources: rotation, Su et al., arXiv 2104.09864, section 3.4.2; rescaling, Milakov and Gimelshein,
// arXiv 1805.02867, section 3; sums in 14 bits, DeepSeek-V3, arXiv 2412.19437, section 3.3.2.
#pragma once
#include "lattice.hpp"
#include "trace.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kv::properties {

/// What a probe is for.
struct Probe {
    Family family{};
    std::string_view proves;
    std::string_view exactWhere;  ///< elsewhere its answer is an interval
    std::vector<std::string_view> bugs;  ///< of the zoo (bugs/) that it is for; maybe none
};

/// Every family whose outputs may have one right float, and `balance`.
std::vector<Probe> const& everyProbe();

/// Whether a family can show in this layer what it is for.
bool speaks(Family family, LayerDeclaration const& layer);

/// Whether its queries depend on the token that they ask for.
bool asksForToken(Family family);

/// Which token, where it will stand, and which token its queries ask for.
struct TokenRequest {
    std::size_t serial = 0;
    std::int64_t position = 0;
    std::size_t target = 0;
};

/// One component of one row: what it is of ('k', 'v' or 'q'), and where. The head is a kv head.
struct Entry {
    char part;
    std::size_t serial, layer, head, lane;
};

/// The rows of one layer under one probe. The declaration must outlive it.
class ProbeRows {
   public:
    ProbeRows(Values const& values, Declaration const& declaration, std::size_t layer);

    /// As the cache holds it, or before its rotation; see keyTurn.
    float key(Entry const& e) const;
    float value(Entry const& e) const;
    /// The entry names the token that the query asks for.
    float query(Entry const& e) const;
    /// By the angle of which position a row is turned back before the engine turns it.
    std::int64_t keyTurn(TokenRequest const& request) const;
    std::int64_t queryTurn(TokenRequest const& request) const;

   private:
    float wideValue(Entry const& e) const;
    float storedValue(Entry const& e) const;
    float classQuery(Entry const& e) const;
    float ladderQuery(Entry const& e) const;

    Family family_;
    std::uint64_t seed_;
    LayerDeclaration const* layer_;
    Lattice lattice_;    ///< of the values
    unsigned wideBits_;  ///< of a value of wideSum
    float amplitude_;    ///< A
};

}  // namespace kv::properties

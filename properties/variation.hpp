// variation: do the same once more, in a way that must not matter.
//
// Where an engine promises that something changes no bit of an answer (spec/invariance.hpp), the
// promise is tried on every trace that the judge found nothing wrong with. The calls that were
// accepted are made again on new engines, varied in what was promised, and each answer is compared
// with the first one, bit for bit. No oracle takes part, and no tolerance.
//
//     repeat_same_bits   the same calls, on storage full of something else and after tokens that
//                        were taken back
//     copy_same_bits     each sequence alone and under another number, out of its batches; a
//                        fork's rows are stored once more instead
//     chunk_same_bits    every chunk token by token, and each sequence of a batch for itself
//
// Rows that a ring may forget are compared where both runs hold them. A verb that may be refused,
// and is, ends a variation.
//
// Not said here: what is right (judge.hpp).
#pragma once
#include "judge.hpp"

namespace kv::properties {

/// An engine that is new, and one whose storage was filled with something else before, if the
/// engine lets us choose.
struct NewEngines {
    MakeEngine usual, elsewhere;
};

/// judge(), and where the declaration promises it the variations; the first violation.
std::optional<Violation> judgeAndVary(NewEngines const& make, Trace const& trace,
                                      Coverage& coverage);

}  // namespace kv::properties

// merge: the laws of spec/merge.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<merge_eq_whole, sixteenCuts>();
}};

}  // namespace kv::proofs

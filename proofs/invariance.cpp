// invariance: the laws of spec/invariance.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<repeat_same_bits>();
    proveAtAllLengths<chunk_same_bits>();
    proveAtAllLengths<copy_same_bits>();
}};

}  // namespace kv::proofs

// decode: the laws of spec/decode.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<decodeWithCache_eq_fullAttention>();
}};

}  // namespace kv::proofs

// attention: the laws of spec/attention.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<fullAttention_causal>();
}};

}  // namespace kv::proofs

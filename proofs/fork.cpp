// fork: the laws of spec/fork.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<fork_isolated>();
}};

}  // namespace kv::proofs

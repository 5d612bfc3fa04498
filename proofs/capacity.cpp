// capacity: the laws of spec/capacity.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<capacity_refuses_unchanged>();
}};

}  // namespace kv::proofs

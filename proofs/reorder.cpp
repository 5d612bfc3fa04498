// reorder: the laws of spec/reorder.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<reorder_is_any_map>();
}};

}  // namespace kv::proofs

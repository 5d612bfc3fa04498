// evict: the laws of spec/evict.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<evict_invisible_under_window>();
}};

}  // namespace kv::proofs

// release: the laws of spec/release.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<release_forgets>();
    proveAtAllLengths<keep_forgets_others>();
    proveAtAllLengths<release_returns_room>();
}};

}  // namespace kv::proofs

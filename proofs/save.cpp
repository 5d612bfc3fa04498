// save: the laws of spec/save.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<restore_is_identity>();
    proveAtAllLengths<restore_then_append>();
    proveAtAllLengths<restore_keeps_positions>();
}};

}  // namespace kv::proofs

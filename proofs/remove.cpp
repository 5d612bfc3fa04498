// remove: the laws of spec/remove.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<remove_keeps_others, sixteenCuts>();
    proveAtAllLengths<remove_then_append, sixteenCuts>();
    proveAtAllLengths<remove_then_rollback, sixteenCuts>();
}};

}  // namespace kv::proofs

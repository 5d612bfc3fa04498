// rollback: the laws of spec/rollback.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<rollback_append, sixteenCuts>();
    proveAtAllLengths<rollback_then_append_eq_fresh, sixteenCuts>();
}};

}  // namespace kv::proofs

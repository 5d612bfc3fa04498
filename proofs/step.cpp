// step: the laws of spec/step.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<step_eq_alone>();
    proveAtAllLengths<inactive_untouched>();
}};

}  // namespace kv::proofs

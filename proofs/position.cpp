// position: the laws of spec/position.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<position_append_is_next>();
    proveAtAllLengths<position_storage_agrees>();
    proveAtAllLengths<shift_eq_recompute_layer0>();
    proveAtAllLengths<position_score_relative>();
}};

}  // namespace kv::proofs

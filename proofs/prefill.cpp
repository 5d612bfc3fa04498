// prefill: the laws of spec/prefill.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<prefill_any_chunking, sixteenCuts>();
    proveAtAllLengths<prefill_eq_appends>();
}};

}  // namespace kv::proofs

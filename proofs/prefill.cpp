// prefill: the laws of spec/prefill.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    // It tries every place to cut, so the shapes are small, for the compiler's sake.
    prove<prefill_any_chunking, single<0>, single<1>, grouped<2>, windowed<4>, single<8>,
          sixteenCuts>();
    proveAtAllLengths<prefill_eq_appends>();
}};

}  // namespace kv::proofs

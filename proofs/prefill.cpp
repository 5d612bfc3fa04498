// prefill: the laws of spec/prefill.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    // Every place to cut sixteen tokens: smaller heads, for the compiler's sake.
    prove<prefill_any_chunking, single<0>, single<1>, grouped<2>, windowed<4>, single<8>,
          Sizes<16, 2, 1, 2, 1, 0, 0, 2>{.layout = RotaryLayout::halfSplit}>();
    proveAtAllLengths<prefill_eq_appends>();
}};

}  // namespace kv::proofs

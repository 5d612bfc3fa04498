// window: the laws of spec/window.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<window_eq_masked_full>();
    // A window that keeps two sinks in sight, shorter and longer than the sequence.
    prove<window_eq_masked_full, Sizes<4, 2, 1, 2, 3, 2, 2>{}, Sizes<8, 2, 1, 2, 3, 3, 2>{},
          Sizes<8, 1, 1, 2, 2, 1, 1>{}, chunked<2>, chunked<3>, chunked<8>>();
}};

}  // namespace kv::proofs

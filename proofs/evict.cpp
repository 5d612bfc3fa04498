// evict: the laws of spec/evict.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<evict_invisible_under_window>();
    // A window of one key evicts every row and keeps the position alone.
    prove<evict_invisible_under_window, Sizes<4, 1, 1, 2, 2, 1>{}, chunked<2>, chunked<3>,
          chunked<7>>();
}};

}  // namespace kv::proofs

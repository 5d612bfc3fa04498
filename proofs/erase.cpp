// erase: the law of spec/erase.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] { proveAtAllLengths<erase_commutes>(); }};

}  // namespace kv::proofs

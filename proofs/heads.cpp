// heads: the laws of spec/heads.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<heads_gqa_eq_repeated>();
}};

}  // namespace kv::proofs

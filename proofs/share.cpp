// share: the laws of spec/share.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<share_reuses_free_only>();
    proveAtAllLengths<share_copies_before_writing>();
}};

}  // namespace kv::proofs

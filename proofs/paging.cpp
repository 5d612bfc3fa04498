// paging: the laws of spec/paging.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<paging_refines_list, sixteenCuts>();
    proveAtAllLengths<paging_permutes_unseen, sixteenCuts>();
    proveAtAllLengths<paging_counts_references, sixteenCuts>();
    proveAtAllLengths<paging_full_refuses_unchanged>();
}};

}  // namespace kv::proofs

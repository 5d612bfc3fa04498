// append: the laws of spec/append.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<appendKV_length>();
    proveAtAllLengths<appendKV_last_key>();
    proveAtAllLengths<appendKV_last_value>();
    proveAtAllLengths<appendKV_prefix>();
}};

}  // namespace kv::proofs

// layers: the laws of spec/layers.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] {
    proveAtAllLengths<decode_layers_eq_forward>();
}};

}  // namespace kv::proofs

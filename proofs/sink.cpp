// sink: the law of spec/sink.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] { proveAtAllLengths<sink_shares_weight>(); }};

}  // namespace kv::proofs

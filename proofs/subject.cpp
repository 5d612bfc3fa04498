// subject: the law of spec/subject.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

static Table const table{[] { proveAtAllLengths<trace_eq_spec>(); }};

}  // namespace kv::proofs

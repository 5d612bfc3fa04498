// memory: the laws of spec/memory.hpp, proved by the compiler that builds this file.
#include "prove.hpp"

namespace kv::proofs {

/// Counting every component of every codec takes time, so the longer a sequence the smaller heads
/// are. Rings that are full, with and without sinks, and one that is not.
template <auto const& theorem>
void proveInRings() {
    prove<theorem, single<0>, single<1>, grouped<0>, grouped<1>, windowed<2>,
          Sizes<4, 2, 1, 1, 2, 2, 1>{}, Sizes<8, 2, 2, 1, 1, 3>{}, Sizes<8, 1, 1, 1, 1, 4, 5>{},
          Sizes<16, 1, 1, 1, 2, 4, 2>{}>();
}
static Table const table{[] {
    proveInRings<memory_counts_every_number>();
    proveInRings<memory_grows_by_blocks>();
}};

}  // namespace kv::proofs

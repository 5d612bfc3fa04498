// expect-gnu: satisfaction of .EvictDropsWhatIsThere<
// expect-clang: because .EvictDropsWhatIsThere<
#include "spec/evict.hpp"

using namespace kv;
auto const rest = evict(Cache<int, int, Nat<2>>{}, nat<3>);

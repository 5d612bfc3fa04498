// expect-gnu: satisfaction of .WindowKeepsWhatItReads<
// expect-clang: because .WindowKeepsWhatItReads<
#include "spec/evict.hpp"

using namespace kv;
auto const rest = keepLast(Cache<int, int, Nat<5>>{}, nat<2>, Window<Nat<3>>{});

// expect-gnu: satisfaction of .IndexIsBelowLength<
// expect-clang: because .IndexIsBelowLength<
#include "spec/cache.hpp"

using namespace kv;
Cache<int, int, Nat<3>> const cache{};
int const newest = cache.keys[nat<3>];

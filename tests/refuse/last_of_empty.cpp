// expect-gnu: satisfaction of .CacheIsNotEmpty<
// expect-clang: does not satisfy .CacheIsNotEmpty.
#include "spec/cache.hpp"

using namespace kv;
auto const newest = lastIndex(Cache<int, int, Nat<0>>{});

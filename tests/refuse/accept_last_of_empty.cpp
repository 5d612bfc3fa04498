#include "spec/cache.hpp"

using namespace kv;
auto const newest = lastIndex(Cache<int, int, Nat<1>>{});

#include "spec/append.hpp"

using namespace kv;
Cache<int, int, Nat<3>> const grown = appendKV(Cache<int, int, Nat<2>>{}, 5, 6);

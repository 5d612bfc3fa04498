#include "spec/evict.hpp"

using namespace kv;
auto const rest = keepLast(Cache<int, int, Nat<5>>{}, nat<3>, Window<Nat<3>>{});

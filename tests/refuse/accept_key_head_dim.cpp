#include "spec/append.hpp"

using namespace kv;
using Key = Heads<float, Nat<2>, Nat<4>>;
using Value = Heads<float, Nat<2>, Nat<3>>;
auto const grown = appendKV(emptyCache<Key, Value>(), Heads<float, Nat<2>, Nat<4>>{}, Value{});

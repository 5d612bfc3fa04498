#include "spec/rollback.hpp"

using namespace kv;
auto const shorter = rollback(Cache<int, int, Nat<2>>{}, nat<2>);

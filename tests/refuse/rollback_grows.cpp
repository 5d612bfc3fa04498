// expect-gnu: satisfaction of .RollbackDoesNotGrow<
// expect-clang: because .RollbackDoesNotGrow<
#include "spec/rollback.hpp"

using namespace kv;
auto const shorter = rollback(Cache<int, int, Nat<2>>{}, nat<3>);

#include "spec/remove.hpp"

using namespace kv;
auto const rest = remove(Cache<int, int, Nat<2>>{}, RowSpan{nat<1>, nat<1>});

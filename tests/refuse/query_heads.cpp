// expect-gnu: satisfaction of .QueryHeadsAreAMultipleOfKvHeads<
// expect-clang: because .QueryHeadsAreAMultipleOfKvHeads<
#include "spec/attention.hpp"

using namespace kv;
struct Table {
    float cosine(Position, std::size_t) const { return 1; }
    float sine(Position, std::size_t) const { return 0; }
};
using Law = PositionLaw<float, Table, Nat<2>>;
Layer<float, Nat<4>, Nat<3>, Nat<8>, Nat<3>, Window<>, Law> const layer{};

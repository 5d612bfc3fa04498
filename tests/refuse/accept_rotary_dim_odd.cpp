#include "spec/position.hpp"

using namespace kv;
struct Table {
    float cosine(Position, std::size_t) const { return 1; }
    float sine(Position, std::size_t) const { return 0; }
};
PositionLaw<float, Table, Nat<4>> const law{};
auto const turned = rotate(law, Vec<float, Nat<5>>{}, 1);

#include "storing.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kv::properties {

namespace {

bool isExact(LiftedHeads const& heads) {
    for (std::size_t h = 0; h < heads.size(); ++h)
        for (std::size_t d = 0; d < heads[h].size(); ++d)
            if (heads[h][d].radius != 0) return false;
    return true;
}
bool areFinite(std::vector<float> const& row) {
    return std::ranges::all_of(row, [](float x) { return std::isfinite(x); });
}

}  // namespace

HeldRow Storage::held(LiftedHeads const& row, bool isOpen) const {
    HeldRow asGiven{.read = flat(row, [](auto const& e) { return static_cast<float>(e.center); }),
                    .exact = row, .isOpen = isOpen};
    if (!isConverted(*format_)) return asGiven;
    auto const to = [&](std::vector<float> const& numbers) {
        return stored(*format_, shape_.heads, numbers, numerics_->subnormals);
    };
    if (!isOpen || isExact(row)) {
        if (auto token = to(asGiven.read)) {
            HeldRow held{.read = std::move(token->read), .exact = {}, .isOpen = isOpen};
            held.exact = lift(held.read, shape_, *numerics_);
            held.isFinite = areFinite(held.read);
            held.hasOpenZeros = format_->rotation.size > 0;
            // Of an open row the sign of a zero may be another one.
            if (!isOpen) held.codes = std::move(token->stored);
            return held;
        }
    } else if (isMonotone(*format_) && areFinite(asGiven.read)) {
        auto const low = to(flat(row, [](auto const& e) { return nearestFloat(e.low()); }));
        auto const high = to(flat(row, [](auto const& e) { return nearestFloat(e.high()); }));
        if (low && high && areFinite(low->read) && areFinite(high->read))
            return between(low->read, high->read);
    }
    asGiven.isUndefined = true;
    return asGiven;
}

/// An open row, each number of which lies between these two.
HeldRow Storage::between(std::vector<float> const& low, std::vector<float> const& high) const {
    HeldRow held{.read = low, .exact = lift(low, shape_, *numerics_), .isOpen = true};
    for (std::size_t i = 0; i < low.size(); ++i) {
        double const a = double(low[i]), b = double(high[i]), center = (a + b) / 2;
        auto& row = held.exact[i / shape_.dim];
        if (a < b)
            row[i % shape_.dim] =
                detail::around(center, std::max(b - center, center - a), numerics_);
        held.isUndefined = held.isUndefined || row[i % shape_.dim].isUndefined();
    }
    return held;
}

bool Storage::isSame(HeldRow const& a, HeldRow const& b, std::size_t first) const {
    std::size_t const size = together();
    for (std::size_t i = first; i < first + size; ++i) {
        auto const& before = a.exact[i / shape_.dim][i % shape_.dim];
        auto const& after = b.exact[i / shape_.dim][i % shape_.dim];
        if (before.center != after.center || before.radius != after.radius) return false;
    }
    if (!a.codes || !b.codes) return true;
    auto const agree = [](auto const& x, auto const& y, std::size_t from, std::size_t count) {
        return x.empty() || std::equal(x.begin() + std::ptrdiff_t(from),
                                       x.begin() + std::ptrdiff_t(from + count),
                                       y.begin() + std::ptrdiff_t(from));
    };
    std::size_t const groups = std::max<std::size_t>(size / group(), 1);
    return agree(a.codes->codes, b.codes->codes, first, size) &&
           agree(a.codes->scales, b.codes->scales, first / group(), groups) &&
           agree(a.codes->zeros, b.codes->zeros, first / group(), groups);
}

LiftedHeads rotateRow(StoringLaw const& law, LiftedHeads const& row, Position by) {
    PositionLaw<Enclosure, DeclaredTable<Enclosure>, Dyn> const& plain = law;
    auto const turned = kv::rotateRow(plain, row, by);
    if (law.keys == nullptr || law.storage == KeyStorage::raw) return turned;
    // A row of more heads repeats each one; the cache holds it once.
    std::size_t const heads = law.keys->shape().heads, copies = turned.size() / heads;
    auto const once = tabulate(heads, [&](std::size_t h) { return turned[h * copies]; });
    auto const held = law.keys->held(once, law.isOpen);
    if (!held.isReadable()) throw NoStoredRow();
    return tabulate(turned.size(), [&](std::size_t h) { return held.exact[h / copies]; });
}

LiftedHeads turnedQuery(StoringLaw const& law, LiftedHeads const& query, Position at) {
    PositionLaw<Enclosure, DeclaredTable<Enclosure>, Dyn> const& plain = law;
    auto const turned = kv::rotateRow(plain, query, at);
    if (law.queries == nullptr) return turned;
    auto held = law.queries->held(turned, law.opensQueries);
    if (!held.isReadable()) throw NoStoredRow();
    return std::move(held.exact);
}

}  // namespace kv::properties

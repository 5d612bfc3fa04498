#include "probe.hpp"

#include "values.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace kv::properties {

namespace {

/// Beyond it an exponential is absorbed by a sum that holds 1, whatever ALiBi adds to short traces.
constexpr double gap = 256;

/// How many classes of tokens groupSelect tells apart, a power of two.
std::size_t classesOf(LayerDeclaration const& layer) {
    return std::bit_floor(std::min<std::size_t>(layer.keyDim, 64));
}

/// Neighbors in head and layer ask for different tokens.
std::size_t codeOf(Entry const& e) { return e.serial + 3 * e.head + e.layer; }

/// One token in four weighs as much as the three others.
constexpr std::size_t hotEvery = 4;
bool isHot(Entry const& e) { return codeOf(e) % hotEvery == 0; }

/// A small integer that is not zero and differs along a row.
float distinctInteger(std::uint64_t seed, Entry const& e, std::size_t width) {
    std::uint64_t const hash = hashOf(seed, {e.part, e.serial, e.layer, e.head, 0});
    auto const block = static_cast<std::int64_t>(hash % 499);
    auto const magnitude = block * static_cast<std::int64_t>(width) + std::int64_t(e.lane) + 1;
    return static_cast<float>(mixed(seed ^ e.serial ^ e.lane) % 2 == 0 ? magnitude : -magnitude);
}

/// The code of a token, as one component of its key; a unit parts it from every other code.
/// Dual rails (bit b of the code sits on component 2b or 2b + 1) where the head is wide enough to
/// tell the tokens apart, otherwise the parabola whose score is -(j - t)^2.
struct Code {
    std::size_t dim;
    float amplitude;

    std::size_t bits() const { return std::min<std::size_t>(dim / 2, 12); }
    bool rails() const { return bits() >= 4 || dim < 3; }
    float key(std::size_t code, std::size_t lane) const {
        if (rails()) {
            std::size_t const bit = lane / 2;
            if (bit >= bits()) return 0;
            return (code >> bit & 1) == lane % 2 ? -1.0f : 0.0f;
        }
        auto const j = static_cast<float>(code % 64);
        float const parabola[] = {j * j, j, 1};
        return lane < 3 ? parabola[lane] : 0.0f;
    }
    float query(std::size_t code, std::size_t lane) const {
        if (rails()) {
            std::size_t const bit = lane / 2;
            if (bit >= bits()) return 0;
            return (code >> bit & 1) == lane % 2 ? 0.0f : amplitude;
        }
        auto const t = static_cast<float>(code % 64);
        float const parabola[] = {-1, 2 * t, -t * t};
        return lane < 3 ? parabola[lane] * amplitude : 0.0f;
    }
};

enum class Axis : std::uint8_t { first, second, none };
/// Which axis of its rotation plane a component is.
Axis axisOf(LayerDeclaration const& layer, std::size_t lane) {
    if (layer.rotaryLayout == RotaryLayout::none || lane >= layer.rotaryDim) return Axis::none;
    bool const isFirst = layer.rotaryLayout == RotaryLayout::halfSplit
                             ? lane < layer.rotaryDim / 2
                             : lane % 2 == 0;
    return isFirst ? Axis::first : Axis::second;
}

/// How far an equal key at another position scores below the one that a query is turned to, in
/// units of A: the least sum of 1 - cos over all planes and distances, twice since both components
/// are 1. Distances that the table does not tell apart are left out.
double leastMargin(LayerDeclaration const& layer, std::size_t capacity) {
    std::size_t const planes = layer.rotaryDim / 2;
    if (layer.rotaryLayout == RotaryLayout::none || planes == 0) return 1;
    std::size_t const reach = layer.window > 0 ? std::min(capacity, layer.window) : capacity;
    std::size_t const rows = std::min(reach, layer.cosine.size() / planes);
    double least = 2;
    for (std::size_t distance = 1; distance < rows; ++distance) {
        double margin = 0;
        for (std::size_t plane = 0; plane < planes; ++plane)
            margin += 2 * (1 - double(layer.cosine[distance * planes + plane]));
        if (margin > 0) least = std::min(least, margin);
    }
    return std::max(least, 1 / double(1 << 16));  // beyond it the scores would drown in rounding
}

/// A power of two where a score is 0: what is turned forth and back stays where it was. On the
/// parabola no product is 0, and a larger amplitude would only round more.
float amplitudeOf(Family family, LayerDeclaration const& layer, std::size_t capacity) {
    double const unit = family == Family::equalKeys ? leastMargin(layer, capacity) : 1;
    double const least = gap / (layer.scale * unit);
    bool const isOneHot = family == Family::oneHot || family == Family::quantiserStep;
    bool const isParabola = isOneHot && !Code{layer.keyDim, 0}.rails();
    return static_cast<float>(isParabola ? std::ceil(least)
                                         : std::exp2(std::ceil(std::log2(least))));
}

/// So many bits that the sum of a full cache still fits the declared accumulator.
unsigned wideBitsOf(Declaration const& d, std::size_t layer) {
    auto const rows = static_cast<unsigned>(std::bit_width(d.capacity));
    unsigned const bits = std::min(d.numericsOf(layer).accumulate.significandBits,
                                   precisions::f32.significandBits);
    return bits > rows + 2 ? bits - rows : 2;
}

}  // namespace

std::vector<Probe> const& everyProbe() {
    static std::vector<Probe> const all{
        {Family::oneHot,
         "the key and the value of one token stand where a query finds them",
         "one visible row has the code that is asked for",
         {"slot_reused", "fork_aliases", "kv_head_by_modulo", "key_written_into_every_layer"}},
        {Family::mean,
         "each visible row counts once, and no other row counts",
         "2^k rows are visible and no bias is declared",
         {"mask_one_key_too_wide", "mask_one_key_too_narrow", "rolled_back_row_visible"}},
        {Family::wideSum,
         "values are added up in as many bits as declared",
         "2^k rows are visible and no bias is declared", {}},
        {Family::groupSelect,
         "the keys of half of all rows belong to their values",
         "2^k visible rows are selected and no bias is declared",
         {"slot_reused", "key_written_into_every_layer", "ring_off_by_one_at_wrap"}},
        {Family::knifeEdge,
         "each key and each query is turned by its own position, and by no other",
         "2^k rows are visible, none was shifted, the rotation is asWritten, no bias is declared",
         {"position_off_by_one_after_eviction", "position_restarts_after_prefill"}},
        {Family::equalKeys,
         "a score depends on the distance of two positions and on its sign",
         "one visible row stands at the distance that is asked for and the angles tell it apart",
         {"position_off_by_one_after_eviction", "position_restarts_after_prefill"}},
        {Family::ladder,
         "sums are rescaled whenever the maximum grows, and the window ends where it is declared",
         "every score is subtracted from the largest",
         {"mask_one_key_too_wide", "mask_one_key_too_narrow", "ring_off_by_one_at_wrap"}},
        {Family::balance,
         "scores are scaled by the declared factor",
         "nowhere: the answer is an interval around a number near 0", {}},
        {Family::quantiserStep,
         "values are rounded into the declared format, and not cut off",
         "one visible row has the code that is asked for and values are stored in a format", {}},
    };
    return all;
}

bool speaks(Family family, LayerDeclaration const& layer) {
    bool const isBiased = !layer.slopes.empty();
    bool const turns = axisOf(layer, 0) != Axis::none;
    switch (family) {
        case Family::mean:
        case Family::wideSum: return !isBiased;
        case Family::groupSelect: return !isBiased && layer.keyDim >= 2;
        case Family::knifeEdge: return !isBiased && turns;
        case Family::equalKeys: return turns;
        case Family::ladder: return layer.keyDim >= 2;
        case Family::quantiserStep: return latticeOf(layer).hasSteps();
        case Family::painted:
        case Family::oneHot:
        case Family::balance:
        case Family::sampled:
        case Family::inlined: break;
    }
    return true;
}

bool asksForToken(Family family) {
    return family == Family::oneHot || family == Family::groupSelect ||
           family == Family::equalKeys || family == Family::ladder ||
           family == Family::quantiserStep;
}

ProbeRows::ProbeRows(Values const& values, Declaration const& declaration, std::size_t layer)
    : family_(values.family),
      seed_(values.seed),
      layer_(&declaration.layers[layer]),
      lattice_(latticeOf(*layer_)),
      wideBits_(wideBitsOf(declaration, layer)),
      amplitude_(amplitudeOf(family_, *layer_, declaration.capacity)) {}

float ProbeRows::key(Entry const& e) const {
    bool const isLast = e.lane + 1 == layer_->keyDim;
    switch (family_) {
        case Family::oneHot:
        case Family::quantiserStep: return Code{layer_->keyDim, amplitude_}.key(codeOf(e), e.lane);
        case Family::groupSelect: return codeOf(e) % classesOf(*layer_) == e.lane ? 1 : 0;
        case Family::knifeEdge:
            if (axisOf(*layer_, e.lane) != Axis::first) return 0;
            return codeOf(e) % 2 == 0 ? 1 : -1;
        case Family::equalKeys: return 1;
        case Family::ladder:
            if (isLast) return 1;
            return e.lane + 2 == layer_->keyDim ? static_cast<float>(e.serial) : 0;
        case Family::balance: return isLast && isHot(e) ? 1 : 0;
        default: return distinctInteger(seed_, e, layer_->keyDim);
    }
}

float ProbeRows::value(Entry const& e) const {
    if (lattice_.isConverted() && family_ != Family::balance) return storedValue(e);
    if (family_ == Family::wideSum) return wideValue(e);
    if (family_ != Family::balance) return distinctInteger(seed_, e, layer_->valueDim);
    auto const magnitude = static_cast<float>(e.lane + 1);
    return isHot(e) ? magnitude : -magnitude;
}

/// A number of the format, or beside one; a marker where its group needs it.
float ProbeRows::storedValue(Entry const& e) const {
    bool const isWide = family_ == Family::wideSum, isOff = family_ == Family::quantiserStep;
    auto const hash = hashOf(seed_, e);
    LatticeEntry const at{e.serial, e.head, e.lane};
    if (auto const marker = lattice_.marker(at)) return *marker;
    // Of two neighbours each is odd, or has another magnitude.
    std::size_t const top = lattice_.largest();
    auto const n = static_cast<int>(isWide ? (top / 2 + hash % (top - top / 2)) | 1
                                           : 1 + (hash + e.lane) % top);
    bool const isNegative = !isWide && mixed(seed_ ^ e.serial ^ e.lane) % 2 == 0;
    return isOff ? lattice_.off(at, hash, isNegative) : lattice_.on(at, isNegative ? -n : n);
}

/// Odd, positive, and as wide as the sum of a full cache allows.
float ProbeRows::wideValue(Entry const& e) const {
    std::uint64_t const high = std::uint64_t{1} << (wideBits_ - 1);
    return static_cast<float>(high + (hashOf(seed_, e) % high | 1));
}

float ProbeRows::query(Entry const& e) const {
    bool const isLast = e.lane + 1 == layer_->keyDim;
    switch (family_) {
        case Family::oneHot:
        case Family::quantiserStep:
            return Code{layer_->keyDim, amplitude_}.query(codeOf(e), e.lane);
        case Family::groupSelect: return classQuery(e);
        case Family::knifeEdge:
            return axisOf(*layer_, e.lane) == Axis::second ? amplitude_ : 0;
        case Family::equalKeys:
            return axisOf(*layer_, e.lane) == Axis::none ? 0 : amplitude_;
        case Family::ladder: return ladderQuery(e);
        case Family::balance:
            return isLast ? static_cast<float>(std::log(double(hotEvery - 1)) / layer_->scale) : 0;
        default: return 0;
    }
}

/// Selects 2^m classes, up to half of all: that of the token asked for, and those of the tokens
/// before it.
float ProbeRows::classQuery(Entry const& e) const {
    std::size_t const classes = classesOf(*layer_);
    if (e.lane >= classes || classes < 2) return 0;
    std::size_t const most = static_cast<std::size_t>(std::bit_width(classes)) - 1;
    std::size_t const selected = std::size_t{1} << mixed(seed_ ^ e.serial) % most;
    return (codeOf(e) + classes - e.lane) % classes < selected ? 0 : -amplitude_;
}

/// Rises to the newest row, which every row before it makes a new maximum, or falls from the
/// oldest visible one, behind which the window ends.
float ProbeRows::ladderQuery(Entry const& e) const {
    bool const rises = codeOf(e) % 2 == 0;
    float const step = rises ? amplitude_ : -amplitude_;
    if (e.lane + 1 == layer_->keyDim) return -step * static_cast<float>(e.serial);
    return e.lane + 2 == layer_->keyDim ? step : 0;
}

std::int64_t ProbeRows::keyTurn(TokenRequest const& request) const {
    bool const isRaw = family_ == Family::mean || family_ == Family::wideSum ||
                       family_ == Family::equalKeys;
    return isRaw ? 0 : request.position;
}

std::int64_t ProbeRows::queryTurn(TokenRequest const& request) const {
    if (family_ != Family::equalKeys) return keyTurn(request);
    // The row r positions behind the query, among those that it sees.
    auto const rows = static_cast<std::size_t>(std::max<std::int64_t>(request.position, 0)) + 1;
    auto const reach = layer_->window > 0 ? std::min(rows, layer_->window) : rows;
    return static_cast<std::int64_t>(request.target % reach);
}

}  // namespace kv::properties

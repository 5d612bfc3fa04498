#include "values.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

namespace kv::properties {

std::uint64_t mixed(std::uint64_t state) {
    state += 0x9e3779b97f4a7c15u;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
    return state ^ (state >> 31);
}

std::uint64_t hashOf(std::uint64_t seed, Entry const& e) {
    std::uint64_t h = mixed(seed ^ static_cast<std::uint64_t>(e.part));
    for (std::uint64_t field : {e.serial, e.layer, e.head, e.lane}) h = mixed(h ^ field);
    return h;
}

namespace {

struct PaintRadix {
    std::size_t layers, heads, lanes;
};
PaintRadix radixOf(Declaration const& d) {
    PaintRadix r{d.layers.size(), 1, 1};
    for (auto const& l : d.layers) {
        r.heads = std::max(r.heads, l.kvHeads);
        r.lanes = std::max({r.lanes, l.keyDim, l.valueDim});
    }
    return r;
}

float painted(Declaration const& d, Entry const& e) {
    // Beyond paintedTokens neighbors would round to one float.
    auto const r = radixOf(d);
    std::size_t const place =
        ((e.serial * r.layers + e.layer) * r.heads + e.head) * r.lanes + e.lane;
    return static_cast<float>(2 * (place + 1) + (e.part == 'v' ? 1 : 0));
}

/// A normal deviate by Box and Muller, doi 10.1214/aoms/1177706645, of a scale drawn with it.
float sampled(std::uint64_t seed, Entry const& e) {
    // One token in eight repeats the one before it, one key in eight is zero.
    Entry from = e;
    if (from.serial > 0 && mixed(seed ^ from.serial) % 8 == 0 && e.part != 'q') --from.serial;
    if (e.part == 'k' && mixed(seed ^ (from.serial + 77)) % 8 == 0) return 0;
    auto const uniform = [](std::uint64_t h) { return (double(h >> 11) + 1) * 0x1p-53; };
    std::uint64_t const h = hashOf(seed, from);
    double const normal = std::sqrt(-2 * std::log(uniform(h))) *
                          std::cos(2 * std::numbers::pi * uniform(mixed(h)));
    double const scales[] = {1, 1, 4, 0.25};
    return static_cast<float>(normal * scales[mixed(seed + from.layer) % 4]);
}

bool isProbe(Family family) {
    return family != Family::painted && family != Family::sampled && family != Family::inlined;
}

std::vector<float> expand(std::size_t heads, std::size_t dim, auto entry) {
    std::vector<float> row(heads * dim);
    for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t d = 0; d < dim; ++d) row[h * dim + d] = entry(h, d);
    return row;
}

}  // namespace

std::size_t paintedTokens(Declaration const& d) {
    auto const r = radixOf(d);
    std::size_t const places = (std::size_t{1} << 23) - 1;  // odd and even: 2^24 integers in f32
    return places / (r.layers * r.heads * r.lanes);
}

ValueSource::ValueSource(Declaration const& declaration, Values const& values, HeadContent heads)
    : declaration_(&declaration), values_(&values), heads_(heads) {
    for (std::size_t l = 0; l < declaration.layers.size(); ++l) {
        layers_.push_back(layerOf<float>(declaration.layers[l], numericsF32));
        if (isProbe(values.family)) probes_.push_back({values, declaration, l});
    }
}

LayerRows ValueSource::rows(std::size_t index, TokenRequest const& request) const {
    if (values_->family == Family::inlined) return inlinedRows(index, request);
    auto const& layer = declaration_->layers[index];
    LayerRows rows;
    rows.keys = expand(layer.kvHeads, layer.keyDim, [&](auto h, auto d) {
        return entry({'k', request.serial, index, headOf(h), d});
    });
    rows.values = expand(layer.kvHeads, layer.valueDim, [&](auto h, auto d) {
        return entry({'v', request.serial, index, headOf(h), d});
    });
    rows.queries = expand(layer.queryHeads, layer.keyDim, [&](auto h, auto d) {
        std::size_t const group = headOf(h * layer.kvHeads / layer.queryHeads);
        return entry({'q', request.target, index, group, d});
    });
    if (probes_.empty()) return rows;
    turnFromLattice(index, rows.values);
    turnBack(index, rows.keys, probes_[index].keyTurn(request));
    turnBack(index, rows.queries, probes_[index].queryTurn(request));
    return rows;
}

/// One component of a key, a value or a query.
float ValueSource::entry(Entry const& e) const {
    if (values_->family == Family::painted) return e.part == 'q' ? 0 : painted(*declaration_, e);
    if (values_->family == Family::sampled) return sampled(values_->seed, e);
    auto const& probe = probes_[e.layer];
    return e.part == 'k' ? probe.key(e) : e.part == 'v' ? probe.value(e) : probe.query(e);
}

/// Values that a rotation turns into the numbers which their format stores (lattice.hpp).
void ValueSource::turnFromLattice(std::size_t index, std::vector<float>& row) const {
    auto const& format = declaration_->layers[index].valueFormat;
    if (format.rotation.size == 0 || values_->family == Family::balance) return;
    try {
        row = undone(codecOf(format).rotation, row);
    } catch (ShapeError const&) {
        // A matrix that f32 cannot apply exactly: such rows are as good as any others.
    }
}

/// Turns every head of a row back by the angle of a position, as far as the table goes; beyond it
/// the engine refuses the token.
void ValueSource::turnBack(std::size_t index, std::vector<float>& row,
                           std::int64_t position) const {
    auto const& declared = declaration_->layers[index];
    if (declared.rotaryLayout == RotaryLayout::none || position == 0) return;
    std::size_t const planes = declared.rotaryDim / 2;
    if ((std::size_t(position) + 1) * planes > declared.cosine.size()) return;
    std::size_t const heads = row.size() / declared.keyDim;
    auto const turned =
        rotateRow(layers_[index].position, lift<float>(row, {heads, declared.keyDim}, numericsF32),
                  -position);
    for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t d = 0; d < declared.keyDim; ++d)
            row[h * declared.keyDim + d] = turned[h][d];
}

/// One query per token was written down; a target asks for the query of that token.
LayerRows ValueSource::inlinedRows(std::size_t index, TokenRequest const& request) const {
    auto const& layer = declaration_->layers[index];
    auto const& all = values_->tokens.layers.at(index);
    auto const slice = [](std::vector<float> const& from, std::size_t at, std::size_t width) {
        if (from.size() < (at + 1) * width) return std::vector<float>{};
        return std::vector<float>(from.begin() + std::ptrdiff_t(at * width),
                                  from.begin() + std::ptrdiff_t((at + 1) * width));
    };
    return {slice(all.keys, request.serial, layer.kvHeads * layer.keyDim),
            slice(all.values, request.serial, layer.kvHeads * layer.valueDim),
            slice(all.queries, request.target, layer.queryHeads * layer.keyDim)};
}

Tokens ValueSource::token(TokenRequest const& request) const {
    Tokens tokens{.count = 1, .layers = {}};
    for (std::size_t l = 0; l < declaration_->layers.size(); ++l)
        tokens.layers.push_back(rows(l, request));
    return tokens;
}

std::optional<std::string> provenance(Declaration const& declaration, float content) {
    if (!(content >= 2 && content < 0x1p24f) || content != std::floor(content)) return {};
    auto const r = radixOf(declaration);
    auto const code = static_cast<std::size_t>(content);
    std::size_t const place = code / 2 - 1;
    std::size_t const lane = place % r.lanes, head = place / r.lanes % r.heads;
    std::size_t const layer = place / r.lanes / r.heads % r.layers;
    std::size_t const serial = place / r.lanes / r.heads / r.layers;
    return std::string(code % 2 == 0 ? "key" : "value") + " of token " + std::to_string(serial) +
           ", layer " + std::to_string(layer) + ", head " + std::to_string(head) +
           ", component " + std::to_string(lane);
}

}  // namespace kv::properties

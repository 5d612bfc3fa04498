// verify_rotation: a key is turned by the angle of its position, and by no other.
//
// That is two questions. Are the rows of cosines and sines that the engine used those of the
// positions of its tokens? An angle is position times frequency, rounded once; its cosine errs by
// what the declaration allows; an attention factor other than 1 is rounded once, and so is its
// product with the cosine; and a row that would fit another position as well has not been shown to
// be the right one. Are the keys and queries turned by exactly those rows? The spec turns them in
// f32, and bits are compared; where the declaration leaves a fused product open, the spec turns
// enclosures. In a layer that does not rotate, a row before and after are the same bits.
#include "oracle/verify_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace kv::oracle::detail {

namespace {

constexpr std::string_view positionLaw = "position_append_is_next";
constexpr std::string_view rotationLaw = "position_storage_agrees";

/// |f'| <= 1 carries the error of the angle over.
Enclosure ofAngle(double value, Enclosure const& angle) {
    Numerics const& n = *angle.numerics;
    Rounding const r(n);
    double const ulps = r.gamma(2 * n.expUlps) * (std::abs(value) + angle.radius);
    return kv::detail::around(value, angle.radius + ulps + r.flush + 4 * ownUnit, &n);
}

/// The factor as an engine holds it: itself where it is a number of its format, else rounded once.
Enclosure heldFactor(double factor, Numerics const& numerics) {
    Rounding const r(numerics);
    double const error = r.holds(factor) ? 0 : r.gamma(1) * factor + r.flush;
    return kv::detail::around(factor, error, &numerics);
}

/// Where component `second` of plane 0 stands, seen from the first; and from plane to plane.
struct Components {
    std::size_t stride, second;
};
Components componentsOf(LayerDeclaration const& layer) {
    bool const halves = layer.rotaryLayout == RotaryLayout::halfSplit;
    return {halves ? std::size_t{1} : 2, halves ? layer.rotaryDim / 2 : 1};
}

/// The rows of planes in a tensor of [n][planes], [n][rotaryDim] or [n][keyDim]. In the latter two
/// both components of a plane carry a number; `differs` is set to the first token and plane where
/// they are not the same.
struct PlaneRows {
    RowTable table;
    std::optional<std::pair<std::size_t, std::size_t>> differs;
};
std::optional<PlaneRows> planeRows(Visit const& visit, LayerTensors::Name const& name) {
    if (!name)
        return {};
    LayerDeclaration const& layer = visit.declared();
    std::size_t const planes = layer.rotaryDim / 2;
    auto const tensor = visit.tensors.tensor(*name);
    std::size_t const width = tensor.shape[1];
    Components const at = componentsOf(layer);
    PlaneRows out{{{1, planes}, {}}, {}};
    for (std::size_t i = 0; i < visit.line().count; ++i) {
        float const* const numbers = tensor.values.data() + i * width;
        Row row(planes);
        for (std::size_t p = 0; p < planes; ++p) {
            row[p] = numbers[width == planes ? p : p * at.stride];
            if (width != planes && !out.differs &&
                !sameBits(row[p], numbers[p * at.stride + at.second]))
                out.differs = std::pair{i, p};
        }
        out.table.rows.push_back(std::move(row));
    }
    return out;
}

bool rotates(Visit const& visit) { return visit.declared().rotaryLayout != RotaryLayout::none; }

/// Whether a recorded row may be that of a position, in one plane or in all.
class Fit {
   public:
    Fit(Angles const& angles, Row const& cosine, Row const& sine)
        : angles_(angles), cosine_(cosine), sine_(sine) {}
    bool inPlane(std::size_t position, std::size_t plane) const {
        return holds(cosine_, angles_.cosine, position, plane) &&
               holds(sine_, angles_.sine, position, plane);
    }
    bool everywhere(std::size_t position) const {
        for (std::size_t plane = 0; plane < cosine_.size(); ++plane)
            if (!inPlane(position, plane))
                return false;
        return true;
    }
    std::optional<std::size_t> firstMisfit(std::size_t position) const {
        for (std::size_t plane = 0; plane < cosine_.size(); ++plane)
            if (!inPlane(position, plane))
                return plane;
        return {};
    }
    static bool holds(Row const& row, std::vector<std::vector<Enclosure>> const& allowed,
                      std::size_t position, std::size_t plane) {
        return Agreement<float, Enclosure>::holds(row[plane], allowed[position][plane]);
    }

   private:
    Angles const& angles_;
    Row const& cosine_;
    Row const& sine_;
};

std::string listText(std::set<std::size_t> const& numbers) {
    return fmt::format("{}", fmt::join(numbers, ", "));
}

class PositionCheck {
   public:
    PositionCheck(Visit const& visit, History const& history, Angles const& angles,
                  Ledger& ledger)
        : visit_(visit), history_(history), angles_(angles), ledger_(ledger) {}

    std::optional<RecordedViolation> run() {
        for (std::size_t t = visit_.first; t < visit_.total(); ++t) {
            Fit const fit(angles_, history_.cosine.rows[t], history_.sine.rows[t]);
            ledger_.countInterval(2 * history_.cosine.shape.dim);
            if (auto const plane = fit.firstMisfit(t))
                return violation(fit, t, *plane);
            for (std::size_t other = 0; other < angles_.cosine.size(); ++other)
                if (other != t && fit.everywhere(other))
                    ledger_.vacuous(positionLaw,
                                    fmt::format("position not established: the row of token {} at "
                                                "step {} fits position {} as well: declare more",
                                                t, visit_.update, other));
            for (std::size_t plane = 0; plane < history_.cosine.shape.dim; ++plane)
                if ((t > 0 && fit.inPlane(t - 1, plane)) || fit.inPlane(t + 1, plane))
                    open_.insert(plane);
        }
        if (!open_.empty())
            ledger_.note(positionLaw,
                         fmt::format("position not established in plane {} of layer {} at step {}; "
                                     "the other planes establish it",
                                     listText(open_), visit_.place({}).layer, visit_.update));
        return {};
    }

   private:
    RecordedViolation violation(Fit const& fit, std::size_t t, std::size_t plane) const {
        bool const isCosine =
            !Fit::holds(history_.cosine.rows[t], angles_.cosine, t, plane);
        float const got = (isCosine ? history_.cosine : history_.sine).rows[t][plane];
        Enclosure const& want = (isCosine ? angles_.cosine : angles_.sine)[t][plane];
        auto const& name = isCosine ? visit_.named().cosine : visit_.named().sine;
        RecordedViolation v{visit_.place(*name), whatHappened(fit, t), {}, {}};
        v.place.row = t;
        v.place.component = plane;
        v.got = fmt::format("{} {}", isCosine ? "cosine" : "sine", got);
        v.want = fmt::format("[{}, {}]", nearestFloat(want.low()), nearestFloat(want.high()));
        return v;
    }

    std::string whatHappened(Fit const& fit, std::size_t t) const {
        for (std::size_t other = 0; other < angles_.cosine.size(); ++other)
            if (fit.everywhere(other))
                return fmt::format("token {} stands at position {} instead of {}", t, other, t);
        std::size_t misfits = 0;
        for (std::size_t plane = 0; plane < history_.cosine.shape.dim; ++plane)
            misfits += fit.inPlane(t, plane) ? 0 : 1;
        return fmt::format("{} of {} planes of token {} are not at position {}, nor at any other "
                           "up to {}",
                           misfits, history_.cosine.shape.dim, t, t, angles_.cosine.size() - 1);
    }

    Visit const& visit_;
    History const& history_;
    Angles const& angles_;
    Ledger& ledger_;
    std::set<std::size_t> open_;
};

/// One kind of rows that turn.
struct Turning {
    std::string rawName, turnedName;
    RowTable const& raw;
    RowTable const& turned;
    LayerTensors::Name const &rawTensor, &tensor;
};

class RotationCheck {
   public:
    RotationCheck(Visit const& visit, History const& history, Turning const& turning,
                  Ledger& ledger)
        : visit_(visit),
          history_(history),
          turning_(turning),
          ledger_(ledger),
          isExact_(properties::fixesTurns(visit.numerics())),
          exact_(lawOf<float>(visit.first)),
          bounded_(lawOf<Enclosure>(visit.first)) {}

    std::optional<RecordedViolation> run() const {
        for (std::size_t t = visit_.first; t < visit_.total(); ++t)
            if (auto const violation = at(t))
                return violation;
        return {};
    }

   private:
    /// The declared rotation, its table the recorded rows of tokens `from` and later.
    template <class S>
    using Law = PositionLaw<S, properties::DeclaredTable<S>, Dyn>;
    template <class S>
    Law<S> lawOf(std::size_t from) const {
        typename properties::DeclaredTable<S>::Columns columns{{}, {}, history_.cosine.shape.dim};
        for (std::size_t t = from; t < visit_.total(); ++t) {
            Row cosine = history_.cosine.rows[t], sine = history_.sine.rows[t];
            cosine.resize(columns.planes);  // a row that is not known turns nothing right
            sine.resize(columns.planes);
            columns.cosine.insert(columns.cosine.end(), cosine.begin(), cosine.end());
            columns.sine.insert(columns.sine.end(), sine.begin(), sine.end());
        }
        auto law = properties::layerOf<S>(visit_.declared(), visit_.numerics()).position;
        law.table = {std::move(columns), visit_.numerics()};
        return law;
    }

    auto turnedRow(Law<float> const& law, Row const& raw, std::size_t by) const {
        return rotateRow(law, properties::lift<float>(raw, turning_.raw.shape, visit_.numerics()),
                         Position(by));
    }
    /// A head of a raw row, turned by the row of a token.
    struct Guess {
        Row const& raw;
        std::size_t head, by;
    };
    bool isHead(Law<float> const& law, std::span<float const> got, Guess const& guess) const {
        auto const want = turnedRow(law, guess.raw, guess.by);
        for (std::size_t d = 0; d < got.size(); ++d)
            if (!sameBits(got[d], want[guess.head][d]))
                return false;
        return true;
    }

    std::optional<RecordedViolation> at(std::size_t t) const {
        auto const shape = turning_.raw.shape;
        Row const& got = turning_.turned.rows[t];
        if (isExact_) {
            ledger_.countBitwise(shape.size());
            auto const want = turnedRow(exact_, turning_.raw.rows[t], t - visit_.first);
            for (std::size_t h = 0; h < shape.heads; ++h)
                for (std::size_t d = 0; d < shape.dim; ++d)
                    if (!sameBits(got[h * shape.dim + d], want[h][d]))
                        return violation(t, h, d, bitsText(want[h][d]));
            return {};
        }
        ledger_.countInterval(shape.size());
        auto const want = rotateRow(
            bounded_, properties::lift(turning_.raw.rows[t], shape, visit_.numerics()),
            Position(t - visit_.first));
        for (std::size_t h = 0; h < shape.heads; ++h)
            for (std::size_t d = 0; d < shape.dim; ++d)
                if (!Agreement<float, Enclosure>::holds(got[h * shape.dim + d], want[h][d]))
                    return violation(t, h, d,
                                     fmt::format("[{}, {}]", nearestFloat(want[h][d].low()),
                                                 nearestFloat(want[h][d].high())));
        return {};
    }

    RecordedViolation violation(std::size_t t, std::size_t head, std::size_t component,
                                std::string want) const {
        RecordedViolation v{visit_.place(*turning_.tensor), whatHappened(t, head), {}, {}};
        v.place.row = t;
        v.place.head = head;
        v.place.component = component;
        v.got = bitsText(turning_.turned.rows[t][head * turning_.raw.shape.dim + component]);
        v.want = std::move(want);
        return v;
    }

    /// Bits are compared here whatever was declared: a plain accident keeps them.
    std::string whatHappened(std::size_t t, std::size_t head) const {
        auto const shape = turning_.raw.shape;
        auto const& name = turning_.turnedName;
        Row const& got = turning_.turned.rows[t];
        Row const& raw = turning_.raw.rows[t];
        std::span<float const> const gotHead(got.data() + head * shape.dim, shape.dim);
        if (sameBits(gotHead, std::span(raw).subspan(head * shape.dim, shape.dim)))
            return fmt::format("the {} of token {} is not turned at all", name, t);
        auto const law = lawOf<float>(0);
        for (std::size_t other = 0; other < visit_.total(); ++other) {
            if (other == t)
                continue;
            if (isHead(law, gotHead, {raw, head, other}))
                return fmt::format("the {} of token {} is turned by the row of token {}", name, t,
                                   other);
            Row const& otherRaw = turning_.raw.rows[other];
            if (!otherRaw.empty() && isHead(law, gotHead, {otherRaw, head, other}))
                return fmt::format("the {} of token {} is that of token {}", name, t, other);
            if (!otherRaw.empty() && isHead(law, gotHead, {otherRaw, head, t}))
                return fmt::format("the {} of token {} is turned from token {}", name, t, other);
        }
        for (std::size_t other = 0; other < shape.heads; ++other)
            if (other != head && isHead(law, gotHead, {raw, other, t}))
                return fmt::format("the {} of token {} has head {} in the place of head {}", name,
                                   t, other, head);
        return bitsDiffer(t, got);
    }

    std::string bitsDiffer(std::size_t t, Row const& got) const {
        auto const turned = turnedRow(exact_, turning_.raw.rows[t], t - visit_.first);
        Row want;
        for (std::size_t h = 0; h < turned.size(); ++h)
            for (std::size_t d = 0; d < turned[h].size(); ++d)
                want.push_back(turned[h][d]);
        std::size_t const bits = differentBits(got, want);
        return fmt::format("{} of the {} of token {} {} not as turned",
                           bits == 1 ? "one bit" : fmt::format("{} bits", bits),
                           turning_.turnedName, t, bits == 1 ? "is" : "are");
    }

    Visit const& visit_;
    History const& history_;
    Turning const& turning_;
    Ledger& ledger_;
    bool isExact_;
    Law<float> exact_;
    Law<Enclosure> bounded_;
};

/// In a layer that does not rotate.
std::optional<RecordedViolation> compareUnturned(Visit const& visit, Turning const& turning,
                                                 Ledger& ledger) {
    auto const shape = turning.raw.shape;
    for (std::size_t t = visit.first; t < visit.total(); ++t) {
        ledger.countBitwise(shape.size());
        auto const difference =
            firstDifference(turning.turned.rows[t], turning.raw.rows[t], shape);
        if (!difference)
            continue;
        RecordedViolation v{visit.place(*turning.tensor),
                            fmt::format("the {} of token {} is not its {}, and the layer does not "
                                        "rotate",
                                        turning.turnedName, t, turning.rawName),
                            bitsText(difference->got), bitsText(difference->want)};
        v.place.row = t;
        v.place.head = difference->head;
        v.place.component = difference->component;
        return v;
    }
    return {};
}

}  // namespace

Angles anglesOf(std::span<float const> frequencies, double factor, std::size_t positions,
                Numerics const& numerics) {
    auto const held = heldFactor(factor, numerics);
    // A product with 1 rounds nothing, and most engines do not form it.
    auto const scaled = [&](Enclosure const& x) { return factor == 1 ? x : held * x; };
    Angles out;
    for (std::size_t p = 0; p < positions; ++p) {
        auto& cosine = out.cosine.emplace_back();
        auto& sine = out.sine.emplace_back();
        for (float const frequency : frequencies) {
            auto const angle = exactly(double(p), numerics) * exactly(double(frequency), numerics);
            cosine.push_back(scaled(ofAngle(std::cos(angle.center), angle)));
            sine.push_back(scaled(ofAngle(std::sin(angle.center), angle)));
        }
    }
    return out;
}

void checkPositions(Visit const& visit, History& history, std::optional<Angles> const& angles,
                    Ledger& ledger) {
    history.cosine.shape = history.sine.shape = {1, visit.declared().rotaryDim / 2};
    history.cosine.rows.resize(visit.total());
    history.sine.rows.resize(visit.total());
    if (!rotates(visit))
        return;
    auto const cosine = planeRows(visit, visit.named().cosine);
    auto const sine = planeRows(visit, visit.named().sine);
    for (std::size_t i = 0; i < visit.line().count; ++i) {
        if (cosine)
            history.cosine.rows[visit.first + i] = cosine->table.rows[i];
        if (sine)
            history.sine.rows[visit.first + i] = sine->table.rows[i];
    }
    Finding finding;
    for (auto const& [name, isThere] : {std::pair{"cosine", cosine.has_value()},
                                        std::pair{"sine", sine.has_value()},
                                        std::pair{"frequencies", angles.has_value()}})
        if (!isThere)
            finding.missing.push_back(name);
    for (auto const* rows : {&cosine, &sine})
        if (*rows && (*rows)->differs && !finding.violation) {
            auto const [token, plane] = *(*rows)->differs;
            auto const& name = rows == &cosine ? visit.named().cosine : visit.named().sine;
            finding.missing.clear();
            finding.violation = RecordedViolation{
                visit.place(*name),
                fmt::format("the two components of plane {} are turned by different angles", plane),
                "two numbers", "one number"};
            finding.violation->place.row = visit.first + token;
            finding.violation->place.component = plane;
        }
    if (finding.missing.empty() && !finding.violation)
        finding.violation = PositionCheck(visit, history, *angles, ledger).run();
    ledger.add(positionLaw, finding);
}

void checkRotation(Visit const& visit, History& history, Ledger& ledger) {
    LayerTensors const& named = visit.named();
    Turning const pairs[] = {
        {"keyRaw", "key", history.raw, history.turned, named.keyRaw, named.key},
        {"queryRaw", "query", history.rawQueries, history.queries, named.queryRaw, named.query}};
    for (Turning const& turning : pairs) {
        // Where nothing rotates nobody owes the row before: it would be the same again.
        if (!rotates(visit) && !turning.rawTensor)
            continue;
        std::vector<std::pair<std::string, LayerTensors::Name const*>> needed{
            {turning.rawName, &turning.rawTensor}, {turning.turnedName, &turning.tensor}};
        if (rotates(visit)) {
            needed.emplace_back("cosine", &named.cosine);
            needed.emplace_back("sine", &named.sine);
        }
        Finding finding;
        for (auto const& [name, tensor] : needed)
            if (!*tensor)
                finding.missing.push_back(name);
        if (finding.missing.empty())
            finding.violation = rotates(visit)
                                    ? RotationCheck(visit, history, turning, ledger).run()
                                    : compareUnturned(visit, turning, ledger);
        ledger.add(rotationLaw, finding);
    }
}

}  // namespace kv::oracle::detail

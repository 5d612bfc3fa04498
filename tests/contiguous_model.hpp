// contiguous_model: a naive model of our engine, and a driver that gives both the same steps.
//
// The model keeps tokens in a list and computes outputs from the formula. Keys, values and tables
// are small integers (quarter turns), and queries make every softmax weight alike or nothing, so
// that each answer has one right value and is compared bit for bit.
#pragma once
#include "impl/contiguous.hpp"
#include "impl/paged.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>
#include <string>

namespace kv::tests::naive {

using namespace kv::impl;

// Component d of a value: says which token, layer and head it is.
inline float valueOf(std::size_t serial, std::size_t layer, std::size_t head, std::size_t d) {
    return static_cast<float>(1 + d + 8 * head + 64 * layer + 256 * serial);
}

// A key is painted where it rotates and ends with the code (j, j^2, 1) of its serial j. A query
// (2At, -A, -At^2) scores it -A (j - t)^2: nearest serials weigh alike, all others nothing.
inline float keyOf(LayerShape const& shape, std::size_t serial, std::size_t layer, std::size_t head,
                   std::size_t i) {
    if (i < shape.rotaryDim)
        return valueOf(serial, layer, head, i);
    auto const j = static_cast<float>(serial);
    return i == shape.rotaryDim ? j : i == shape.rotaryDim + 1 ? j * j : 1;
}

// A query that reads the token `target`, or all alike.
inline constexpr std::size_t everyone = 1000;
inline float queryOf(LayerShape const& shape, std::size_t target, std::size_t i) {
    if (i < shape.rotaryDim || target == everyone)
        return 0;
    float const steep = 256, t = static_cast<float>(target);
    return i == shape.rotaryDim       ? 2 * steep * t
           : i == shape.rotaryDim + 1 ? -steep
                                      : -steep * t * t;
}

// Quarter turns: position p turns every plane by p times a right angle, exactly.
inline void addQuarterTurns(LayerShape& layer, std::size_t positions) {
    for (std::size_t p = 0; p < positions; ++p)
        for (std::size_t plane = 0; plane < layer.rotaryDim / 2; ++plane) {
            std::size_t const quarter = (p * (plane + 1)) % 4;
            layer.cosine.push_back(quarter == 0 ? 1 : quarter == 2 ? -1 : 0);
            layer.sine.push_back(quarter == 1 ? 1 : quarter == 3 ? -1 : 0);
        }
}

// Three layers that agree in nothing: one keeps every row, one is a ring, one keeps raw keys.
inline Shape mixedShape(std::size_t ringSinks) {
    LayerShape all{.queryHeads = 4, .kvHeads = 2, .keyDim = 7, .valueDim = 3};
    all.window = 3;
    all.sinks = 1;
    all.rotaryLayout = RotaryLayout::halfSplit;
    all.rotaryDim = 4;
    addQuarterTurns(all, 20);
    LayerShape ring{.queryHeads = 2, .kvHeads = 2, .keyDim = 8, .valueDim = 2, .scale = 2};
    ring.window = 3;
    ring.sinks = ringSinks;
    ring.retained = 4;
    ring.rotaryLayout = RotaryLayout::interleaved;
    ring.rotaryDim = 4;
    addQuarterTurns(ring, 22);
    LayerShape raw{.queryHeads = 6, .kvHeads = 3, .keyDim = 5, .valueDim = 1, .scale = 4};
    raw.keyStorage = KeyStorage::raw;
    raw.rotaryLayout = RotaryLayout::interleaved;
    raw.rotaryDim = 2;
    addQuarterTurns(raw, 24);
    return {.sequences = 3, .capacity = 8, .layers = {all, ring, raw}};
}

// The smallest shape in which every bug can be seen.
inline Shape smallShape() {
    LayerShape ring{.queryHeads = 4, .kvHeads = 2, .keyDim = 5, .valueDim = 1};
    ring.window = 1;
    ring.retained = 2;
    ring.rotaryLayout = RotaryLayout::halfSplit;
    ring.rotaryDim = 2;
    addQuarterTurns(ring, 8);
    LayerShape all{.queryHeads = 1, .kvHeads = 1, .keyDim = 3, .valueDim = 2};
    all.window = 2;
    // Every key scores 0: a sink at 0 is one row more, and one far below is none.
    LayerShape cut{.queryHeads = 2, .kvHeads = 1, .keyDim = 3, .valueDim = 1, .scale = 0};
    cut.chunk = 2;
    cut.sinkLogits = {0, -256};
    return {.sequences = 2, .capacity = 3, .layers = {ring, all, cut}};
}

enum class Verb {
    append, prefill, step, attend, observe, rollback, fork, evict, remove, shift, reorder, save,
    restore, release, keep, reset
};
constexpr std::size_t verbs = 16;

// What one sequence stores in a step of many.
struct Part {
    std::size_t sequence, number;
};

struct Step {
    Verb verb;
    std::size_t sequence = 0;
    std::size_t number = 0;  // tokens, rows, length, the other sequence, or a map of all
    std::int64_t delta = 0;
    std::size_t target = everyone;
    std::size_t first = 0;  // index of the first row removed
    std::vector<Part> batch{};
};

// The digits of a number are a map of the sequences, the parent of sequence 0 first.
inline std::vector<std::size_t> mapOf(std::size_t number, std::size_t sequences) {
    std::vector<std::size_t> parents;
    for (; parents.size() < sequences; number /= sequences)
        parents.push_back(number % sequences);
    return parents;
}

struct ModelRow {
    std::size_t serial;
    std::int64_t position;
    std::vector<bool> held;  // per layer
};
struct ModelSequence {
    std::vector<ModelRow> rows;
    std::int64_t next = 0;
};

// What a verb answers, written by the engine and by the model, compared as one value.
struct Answer {
    bool accepted = true;
    std::size_t length = 0;
    std::int64_t next = 0;
    std::vector<std::vector<std::int64_t>> positions;
    std::vector<std::vector<float>> keys, values, outputs;
};

inline bool sameBits(std::vector<std::vector<float>> const& a,
                     std::vector<std::vector<float>> const& b) {
    auto const same = [](float x, float y) {
        return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
    };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](auto const& x, auto const& y) {
        return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
    });
}

inline std::string difference(Answer const& got, Answer const& want) {
    if (got.accepted != want.accepted)
        return got.accepted ? "accepted, want refused" : "refused, want accepted";
    if (got.length != want.length)
        return "length " + std::to_string(got.length) + ", want " + std::to_string(want.length);
    if (got.next != want.next)
        return "next position " + std::to_string(got.next) + ", want " + std::to_string(want.next);
    if (got.positions != want.positions)
        return "other positions";
    if (!sameBits(got.keys, want.keys))
        return "other keys";
    if (!sameBits(got.values, want.values))
        return "other values";
    return sameBits(got.outputs, want.outputs) ? "" : "another output";
}

class Model {
   public:
    explicit Model(Shape const& shape)
        : shape_(shape), sequences_(shape.sequences), saved_(shape.sequences) {}

    std::size_t stored() const { return stored_; }

    Answer apply(Step const& step) {
        ModelSequence& sequence = sequences_[step.sequence];
        Answer answer;
        switch (step.verb) {
            case Verb::append:
            case Verb::prefill:
                store(sequence, step, answer);
                break;
            case Verb::step:
                storeAll(step, answer);
                break;
            case Verb::attend:
                attend(sequence, step.target, answer);
                break;
            case Verb::observe:
                observe(sequence, answer);
                break;
            case Verb::rollback:
            case Verb::evict:
            case Verb::remove:
                answer.accepted = drop(sequence, step);
                break;
            case Verb::shift:
                shift(sequence, step.delta, answer);
                break;
            default:
                answer.accepted = applyToAll(step);
                break;
        }
        return answer;
    }

   private:
    // The verbs that take rows away; false: refused.
    bool drop(ModelSequence& sequence, Step const& step) const {
        std::size_t const length = sequence.rows.size(), number = step.number;
        std::size_t const first = step.verb == Verb::remove ? step.first : 0;
        bool const isRollback = step.verb == Verb::rollback;
        if (first > length || number > length - first)
            return false;
        if (isRollback ? !keepsWhatShows(sequence, number)
                       : number > 0 && !canMove(sequence, first))
            return false;
        if (isRollback)
            rollback(sequence, number);
        else
            remove(sequence, first, number);
        return true;
    }

    // The verbs that concern whole sequences.
    bool applyToAll(Step const& step) {
        switch (step.verb) {
            case Verb::fork:
                if (step.number == step.sequence || !sequences_[step.number].rows.empty())
                    return false;
                sequences_[step.number] = sequences_[step.sequence];
                break;
            case Verb::reorder:
                reorder(mapOf(step.number, shape_.sequences));
                break;
            case Verb::save:
                saved_[step.sequence] = sequences_[step.sequence];
                break;
            case Verb::restore:
                if (!sequences_[step.number].rows.empty())
                    return false;
                sequences_[step.number] = saved_[step.sequence];
                break;
            case Verb::release:
                sequences_[step.sequence] = {};
                break;
            case Verb::keep:
                for (std::size_t s = 0; s < sequences_.size(); ++s)
                    if (s != step.sequence)
                        sequences_[s] = {};
                break;
            default:
                sequences_.assign(shape_.sequences, {});
                break;
        }
        return true;
    }

    bool pinsSinks() const {
        return std::any_of(shape_.layers.begin(), shape_.layers.end(),
                           [](auto const& l) { return l.retained > 0 && l.sinks > 0; });
    }

    static void rollback(ModelSequence& sequence, std::size_t length) {
        if (length < sequence.rows.size())
            sequence.next = sequence.rows[length].position;
        sequence.rows.resize(length);
    }
    static void remove(ModelSequence& sequence, std::size_t first, std::size_t count) {
        auto const from = sequence.rows.begin() + static_cast<std::ptrdiff_t>(first);
        sequence.rows.erase(from, from + static_cast<std::ptrdiff_t>(count));
    }

    void reorder(std::vector<std::size_t> const& parents) {
        auto const old = sequences_;
        for (std::size_t s = 0; s < old.size(); ++s)
            sequences_[s] = old[parents[s]];
    }

    // A ring that has lost rows moves none of the others, and sinks in front of one stay there.
    bool canMove(ModelSequence const& sequence, std::size_t first) const {
        auto const isWhole = [](ModelRow const& row) {
            return std::find(row.held.begin(), row.held.end(), false) == row.held.end();
        };
        return !pinsSinks() &&
               (first == 0 || std::all_of(sequence.rows.begin(), sequence.rows.end(), isWhole));
    }

    bool hasRoom(ModelSequence const& sequence, std::size_t number) const {
        auto const last = sequence.next + static_cast<std::int64_t>(number) - 1;
        return sequence.rows.size() + number <= shape_.capacity &&
               std::all_of(shape_.layers.begin(), shape_.layers.end(), [&](auto const& layer) {
                   return number == 0 || last < layer.positions();
               });
    }

    // Each item as if it were alone, or none of them.
    void storeAll(Step const& step, Answer& answer) {
        for (Part const& part : step.batch)
            answer.accepted =
                answer.accepted && hasRoom(sequences_[part.sequence], part.number);
        if (!answer.accepted)
            return;
        answer.outputs.resize(shape_.layers.size());
        for (Part const& part : step.batch) {
            Answer alone;
            store(sequences_[part.sequence],
                  {Verb::prefill, part.sequence, part.number, 0, step.target}, alone);
            for (std::size_t l = 0; l < shape_.layers.size(); ++l)
                answer.outputs[l].insert(answer.outputs[l].end(), alone.outputs[l].begin(),
                                         alone.outputs[l].end());
        }
    }

    void store(ModelSequence& sequence, Step const& step, Answer& answer) {
        answer.accepted = hasRoom(sequence, step.number);
        if (!answer.accepted)
            return;
        if (step.verb == Verb::prefill)
            answer.outputs.resize(shape_.layers.size());
        for (std::size_t i = 0; i < step.number; ++i) {
            sequence.rows.push_back(
                {stored_++, sequence.next++, std::vector<bool>(shape_.layers.size(), true)});
            for (std::size_t l = 0; l < shape_.layers.size(); ++l)
                loseOldRows(sequence, l);
            if (step.verb == Verb::prefill)
                attend(sequence, step.target, answer);
        }
    }

    void loseOldRows(ModelSequence& sequence, std::size_t l) const {
        LayerShape const& layer = shape_.layers[l];
        for (std::size_t i = 0; i < sequence.rows.size(); ++i)
            if (layer.retained > 0 && i >= layer.sinks && i + layer.retained < sequence.rows.size())
                sequence.rows[i].held[l] = false;
    }

    bool keepsWhatShows(ModelSequence const& sequence, std::size_t length) const {
        for (std::size_t l = 0; l < shape_.layers.size(); ++l)
            for (std::size_t i = 0; i < length; ++i)
                if (!sequence.rows[i].held[l] &&
                    sequence.rows[length - 1].position - sequence.rows[i].position <
                        static_cast<std::int64_t>(shape_.layers[l].window))
                    return false;
        return true;
    }

    void attend(ModelSequence const& sequence, std::size_t asked, Answer& answer) const {
        answer.accepted = !sequence.rows.empty();
        if (!answer.accepted)
            return;
        answer.outputs.resize(shape_.layers.size());
        for (std::size_t l = 0; l < shape_.layers.size(); ++l) {
            LayerShape const& layer = shape_.layers[l];
            std::size_t const target = layer.scale == 0 ? everyone : asked;
            std::vector<std::size_t> nearest;
            for (std::size_t i = 0; i < sequence.rows.size(); ++i) {
                auto const chunkOf = [&](ModelRow const& row) {
                    return layer.chunk == 0 ? 0 : row.position / std::int64_t(layer.chunk);
                };
                if (chunkOf(sequence.rows[i]) != chunkOf(sequence.rows.back()))
                    continue;
                auto const distance = sequence.rows.back().position - sequence.rows[i].position;
                if (layer.window > 0 && distance >= static_cast<std::int64_t>(layer.window) &&
                    i >= layer.sinks)
                    continue;
                std::size_t const serial = sequence.rows[i].serial;
                if (!nearest.empty() && away(serial, target) < away(nearest[0], target))
                    nearest.clear();
                if (nearest.empty() || away(serial, target) == away(nearest[0], target))
                    nearest.push_back(serial);
            }
            for (std::size_t h = 0; h < layer.queryHeads; ++h)
                for (std::size_t d = 0; d < layer.valueDim; ++d) {
                    std::size_t const sinks =
                        !layer.sinkLogits.empty() && layer.sinkLogits[h] == 0 ? 1 : 0;
                    float sum = 0;
                    for (std::size_t serial : nearest)
                        sum += valueOf(serial, l, h * layer.kvHeads / layer.queryHeads, d);
                    answer.outputs[l].push_back(sum / static_cast<float>(nearest.size() + sinks));
                }
        }
    }
    static std::size_t away(std::size_t serial, std::size_t target) {
        return target == everyone ? 0 : serial < target ? target - serial : serial - target;
    }

    void observe(ModelSequence const& sequence, Answer& answer) const {
        answer.length = sequence.rows.size();
        answer.next = sequence.next;
        answer.positions.resize(shape_.layers.size());
        answer.keys.resize(shape_.layers.size());
        answer.values.resize(shape_.layers.size());
        for (std::size_t l = 0; l < shape_.layers.size(); ++l)
            for (ModelRow const& row : sequence.rows)
                if (row.held[l])
                    observeRow(row, l, answer);
    }

    void observeRow(ModelRow const& row, std::size_t l, Answer& answer) const {
        LayerShape const& layer = shape_.layers[l];
        answer.positions[l].push_back(row.position);
        for (std::size_t g = 0; g < layer.kvHeads; ++g) {
            std::vector<float> key;
            for (std::size_t i = 0; i < layer.keyDim; ++i)
                key.push_back(keyOf(layer, row.serial, l, g, i));
            if (layer.keyStorage == KeyStorage::rotated)
                quarterTurn(layer, row.position, key);
            answer.keys[l].insert(answer.keys[l].end(), key.begin(), key.end());
            for (std::size_t d = 0; d < layer.valueDim; ++d)
                answer.values[l].push_back(valueOf(row.serial, l, g, d));
        }
    }

    // Turns by counting right angles: (x, y) -> (-y, x), as often as the position says.
    static void quarterTurn(LayerShape const& layer, std::int64_t position,
                            std::vector<float>& key) {
        std::size_t const planes = layer.rotaryDim / 2;
        for (std::size_t plane = 0; plane < planes; ++plane) {
            bool const halves = layer.rotaryLayout == RotaryLayout::halfSplit;
            float& x = key[halves ? plane : 2 * plane];
            float& y = key[halves ? plane + planes : 2 * plane + 1];
            for (std::size_t turn = static_cast<std::size_t>(position) * (plane + 1); turn > 0;
                 --turn) {
                std::swap(x, y);
                x = -x;
            }
        }
    }

    void shift(ModelSequence& sequence, std::int64_t delta, Answer& answer) const {
        std::int64_t const oldest =
            sequence.rows.empty() ? sequence.next : sequence.rows[0].position;
        answer.accepted = oldest + delta >= 0;
        for (LayerShape const& layer : shape_.layers)
            if (delta > 0 && layer.rotates() && sequence.next + delta > layer.positions())
                answer.accepted = false;
        if (!answer.accepted)
            return;
        for (ModelRow& row : sequence.rows)
            row.position += delta;
        sequence.next += delta;
    }

    Shape shape_;
    std::vector<ModelSequence> sequences_;
    std::vector<ModelSequence> saved_;
    std::size_t stored_ = 0;
};

// The rows of `count` tokens in one layer, with the memory behind the spans.
struct OwnedRows {
    std::vector<float> keys, values, queries, output;
    Rows spans(Purpose purpose) const {
        return {keys, values,
                purpose == Purpose::prefill ? std::span<float const>(queries)
                                            : std::span<float const>()};
    }
};

inline std::vector<OwnedRows> rowsOf(Shape const& shape, std::size_t first, std::size_t count,
                                     std::size_t target = everyone) {
    std::vector<OwnedRows> rows(shape.layers.size());
    for (std::size_t l = 0; l < rows.size(); ++l) {
        LayerShape const& layer = shape.layers[l];
        for (std::size_t serial = first; serial < first + count; ++serial) {
            for (std::size_t g = 0; g < layer.kvHeads; ++g) {
                for (std::size_t i = 0; i < layer.keyDim; ++i)
                    rows[l].keys.push_back(keyOf(layer, serial, l, g, i));
                for (std::size_t d = 0; d < layer.valueDim; ++d)
                    rows[l].values.push_back(valueOf(serial, l, g, d));
            }
            for (std::size_t h = 0; h < layer.queryHeads; ++h)
                for (std::size_t i = 0; i < layer.keyDim; ++i)
                    rows[l].queries.push_back(queryOf(layer, target, i));
        }
        rows[l].output.resize(count * layer.queryHeads * layer.valueDim);
    }
    return rows;
}

// Takes steps and collects the answers. The engine itself is behind virtual functions, so that a
// dozen engines do not make a dozen copies of this.
class AnyDriver {
   public:
    explicit AnyDriver(Shape shape) : shape_(std::move(shape)) {}
    virtual ~AnyDriver() = default;

    Shape const& shape() const { return shape_; }
    virtual bool offers(Verb) const { return true; }

    Answer apply(Step const& step, std::size_t firstSerial) {
        SequenceId const id{step.sequence};
        Answer answer;
        switch (step.verb) {
            case Verb::append:
            case Verb::prefill:
                store(step, firstSerial, answer);
                break;
            case Verb::step:
                storeAll(step, firstSerial, answer);
                break;
            case Verb::attend:
                attend(step, answer);
                break;
            case Verb::observe:
                observe(id, answer);
                break;
            default:
                answer.accepted = !!move(step);
                break;
        }
        return answer;
    }

   protected:
    virtual Status append(SequenceId, std::size_t count, std::span<Rows const>) = 0;
    virtual Status prefill(SequenceId, std::size_t count, std::span<Rows const>,
                           std::span<std::span<float> const>) = 0;
    virtual Status step(Batch) = 0;
    virtual Status attend(SequenceId, std::span<std::span<float const> const>,
                          std::span<std::span<float> const>) = 0;
    virtual Status observe(SequenceId, SequenceState&) const = 0;
    virtual Status rowsHeld(SequenceId, LayerIndex, std::size_t&) const = 0;
    virtual Status read(SequenceId, LayerIndex, RowsOut const&) const = 0;
    virtual Status move(Step const&) = 0;  // the verbs without rows

    Shape shape_;

   private:
    void store(Step const& step, std::size_t firstSerial, Answer& answer) {
        auto rows = rowsOf(shape_, firstSerial, step.number, step.target);
        bool const asks = step.verb == Verb::prefill;
        std::vector<Rows> spans;
        std::vector<std::span<float>> outputs;
        for (OwnedRows& row : rows) {
            spans.push_back(row.spans(asks ? Purpose::prefill : Purpose::append));
            outputs.push_back(row.output);
        }
        SequenceId const id{step.sequence};
        answer.accepted =
            asks ? !!prefill(id, step.number, spans, outputs) : !!append(id, step.number, spans);
        if (asks && answer.accepted)
            keepOutputs(rows, answer);
    }

    void storeAll(Step const& step, std::size_t firstSerial, Answer& answer) {
        std::vector<std::vector<OwnedRows>> rows;
        std::vector<std::vector<Rows>> spans(step.batch.size());
        std::vector<std::vector<std::span<float>>> outputs(step.batch.size());
        std::vector<BatchItem> batch;
        for (auto const& [sequence, number] : step.batch) {
            rows.push_back(rowsOf(shape_, firstSerial, number, step.target));
            firstSerial += number;
        }
        for (std::size_t i = 0; i < step.batch.size(); ++i) {
            for (OwnedRows& row : rows[i]) {
                spans[i].push_back(row.spans(Purpose::prefill));
                outputs[i].push_back(row.output);
            }
            batch.push_back({SequenceId{step.batch[i].sequence}, step.batch[i].number, spans[i],
                             outputs[i]});
        }
        answer.accepted = !!this->step(batch);
        if (!answer.accepted)
            return;
        answer.outputs.resize(shape_.layers.size());
        for (auto const& item : rows)
            for (std::size_t l = 0; l < item.size(); ++l)
                answer.outputs[l].insert(answer.outputs[l].end(), item[l].output.begin(),
                                         item[l].output.end());
    }

    void attend(Step const& step, Answer& answer) {
        auto rows = rowsOf(shape_, 0, 1, step.target);
        std::vector<std::span<float const>> queries;
        std::vector<std::span<float>> outputs;
        for (OwnedRows& row : rows) {
            queries.push_back(row.queries);
            outputs.push_back(row.output);
        }
        answer.accepted = !!attend(SequenceId{step.sequence}, queries, outputs);
        if (answer.accepted)
            keepOutputs(rows, answer);
    }

    static void keepOutputs(std::vector<OwnedRows> const& rows, Answer& answer) {
        for (OwnedRows const& row : rows)
            answer.outputs.push_back(row.output);
    }

    void observe(SequenceId id, Answer& answer) const {
        SequenceState state;
        answer.accepted = !!observe(id, state);
        answer.length = state.length;
        answer.next = state.nextPosition;
        for (std::size_t l = 0; l < shape_.layers.size(); ++l) {
            LayerShape const& layer = shape_.layers[l];
            std::size_t rows = 0;
            ASSERT_TRUE(rowsHeld(id, LayerIndex{l}, rows));
            auto& positions = answer.positions.emplace_back(rows);
            auto& keys = answer.keys.emplace_back(rows * layer.kvHeads * layer.keyDim);
            auto& values = answer.values.emplace_back(rows * layer.kvHeads * layer.valueDim);
            ASSERT_TRUE(read(id, LayerIndex{l}, {positions, keys, values}));
        }
    }
};

template <class Engine>
inline constexpr bool isPaged = std::constructible_from<Engine, Shape const&, PoolShape, Options>;

// A pool keeps every row.
template <class Engine>
Shape shapeFor(Shape shape) {
    if (isPaged<Engine>)
        for (LayerShape& layer : shape.layers)
            layer.retained = 0;
    return shape;
}

// A paged engine gets a pool in which every sequence has room, wherever its first row stands in its
// block, if none shares any: a right engine never runs out of blocks, and one that leaks does.
template <class Engine>
Engine engineOf(Shape const& shape, Options options) {
    if constexpr (isPaged<Engine>) {
        constexpr std::size_t blockRows = 2;
        std::size_t const blocks = (shape.capacity + 2 * (blockRows - 1)) / blockRows;
        return Engine(shape, {blockRows, shape.sequences * blocks}, options);
    } else {
        return Engine(shape, options);
    }
}

template <class Engine>
class EngineDriver : public AnyDriver {
   public:
    explicit EngineDriver(Shape const& shape, Options options = {})
        : AnyDriver(shapeFor<Engine>(shape)), engine_(engineOf<Engine>(shape_, options)) {}

    bool offers(Verb verb) const override {
        return !isPaged<Engine> || (verb != Verb::remove && verb != Verb::shift);
    }
    Engine& engine() { return engine_; }

   private:
    Status append(SequenceId id, std::size_t count, std::span<Rows const> rows) override {
        return engine_.append(id, count, rows);
    }
    Status prefill(SequenceId id, std::size_t count, std::span<Rows const> rows,
                   std::span<std::span<float> const> outputs) override {
        return engine_.prefill(id, count, rows, outputs);
    }
    Status step(Batch batch) override { return engine_.step(batch); }
    Status attend(SequenceId id, std::span<std::span<float const> const> queries,
                  std::span<std::span<float> const> outputs) override {
        return engine_.attend(id, queries, outputs);
    }
    Status observe(SequenceId id, SequenceState& state) const override {
        return engine_.observe(id, state);
    }
    Status rowsHeld(SequenceId id, LayerIndex layer, std::size_t& rows) const override {
        return engine_.rowsHeld(id, layer, rows);
    }
    Status read(SequenceId id, LayerIndex layer, RowsOut const& out) const override {
        return engine_.read(id, layer, out);
    }
    Status move(Step const& step) override {
        SequenceId const id{step.sequence};
        switch (step.verb) {
            case Verb::rollback:
                return engine_.rollback(id, step.number);
            case Verb::fork:
                return engine_.fork({.from = id, .to = SequenceId{step.number}});
            case Verb::evict:
                return engine_.evict(id, step.number);
            case Verb::remove:
                if constexpr (!isPaged<Engine>)
                    return engine_.remove(id, {step.first, step.number});
                return {Refusal::wrongShape};
            case Verb::shift:
                if constexpr (!isPaged<Engine>)
                    return engine_.shift(id, step.delta);
                return {Refusal::wrongShape};
            case Verb::reorder:
                return engine_.reorder(mapOf(step.number, shape_.sequences));
            case Verb::save:
                return engine_.save(id);
            case Verb::restore:
                return engine_.restore({.from = id, .to = SequenceId{step.number}});
            case Verb::release:
                return engine_.release(id);
            case Verb::keep:
                return engine_.keep(id);
            default:
                break;
        }
        engine_.reset();
        return {};
    }

    Engine engine_;
};
template <class Decisions = Standard>
using Driver = EngineDriver<Contiguous<Decisions>>;

using Trace = std::vector<Step>;

// Where a trace first shows a difference from the model: the step's number from 1, and what.
struct Difference {
    std::size_t step = 0;  // 0: none
    std::string what;
};

inline Difference firstDifference(AnyDriver& driver, Trace const& trace) {
    (void)driver.apply({Verb::reset}, 0);
    // A reset leaves what was saved, so every trace begins with copies of empty sequences.
    for (std::size_t s = 0; s < driver.shape().sequences; ++s)
        (void)driver.apply({Verb::save, s}, 0);
    Model model(driver.shape());
    for (std::size_t i = 0; i < trace.size(); ++i) {
        if (!driver.offers(trace[i].verb))
            continue;
        std::size_t const first = model.stored();
        Answer const want = model.apply(trace[i]);
        std::string what = difference(driver.apply(trace[i], first), want);
        if (!what.empty())
            return {i + 1, what};
    }
    return {};
}

template <class Decisions = Standard>
inline Difference firstDifference(Shape const& shape, Trace const& trace) {
    Driver<Decisions> driver(shape);
    return firstDifference(driver, trace);
}

inline void expectModel(Shape const& shape, Trace const& trace) {
    Difference const found = firstDifference(shape, trace);
    EXPECT_EQ(found.step, 0U) << found.what;
}

// Some of the sequences in any order, each with a few tokens or none.
inline std::vector<Part> randomBatch(Shape const& shape, std::mt19937& random) {
    std::vector<Part> batch;
    for (std::size_t s = 0; s < shape.sequences; ++s)
        if (random() % 4 != 0)
            batch.insert(batch.begin() + std::ptrdiff_t(random() % (batch.size() + 1)),
                         {s, random() % 16 == 0 ? shape.capacity : random() % 4});
    return batch;
}

inline Trace randomTrace(Shape const& shape, std::mt19937& random) {
    auto const below = [&](std::size_t n) { return random() % n; };
    Trace trace;
    for (std::size_t length = 1 + below(16); length > 0; --length) {
        Step step{Verb(below(verbs)), below(shape.sequences)};
        if (step.verb == Verb::release || step.verb == Verb::keep || step.verb == Verb::reset)
            step.verb = below(4) == 0 ? step.verb : Verb::prefill;
        step.number = below(shape.capacity);
        if (below(8) == 0)
            step.number += shape.capacity;
        if (step.verb == Verb::fork || step.verb == Verb::restore)
            step.number %= shape.sequences;
        if (step.verb == Verb::reorder)
            step.number = below(27);
        if (step.verb == Verb::step)
            step.batch = randomBatch(shape, random);
        if (step.verb == Verb::remove && below(4) != 0)
            step.number = 1 + below(2);
        step.first = below(4);
        step.delta = static_cast<std::int64_t>(below(16)) - 6;
        step.target = below(3) == 0 ? everyone : below(12);
        trace.push_back(step);
        if (step.verb == Verb::remove) {  // behind a gap a rollback is another one
            trace.push_back({Verb::observe, step.sequence});
            trace.push_back({Verb::attend, step.sequence});
            trace.push_back({Verb::rollback, step.sequence, below(3)});
        }
        if (below(2) == 0)
            trace.push_back({Verb::observe, step.sequence});
    }
    for (std::size_t s = 0; s < shape.sequences; ++s)
        trace.push_back({Verb::observe, s});
    return trace;
}

}  // namespace kv::tests::naive

// live: let a running engine be the subject of a claim.
//
// A claim of spec/laws.hpp speaks of one layer. Here that layer belongs to a live engine, whose
// other layers are filled with painted rows at the same time. The world gives the claim its tokens
// twice: as floats for the engine, and as exact enclosures for the spec.
//
// A law speaks of tokens, and a cache holds what the declared format makes of them (storing.hpp).
// So a token of the world is, for the spec, what is stored of it: its value, and its key if that is
// stored as it comes. A key that is stored after it turns is stored by the position law.
//
// A handle owns an engine (two, after a fork, share it), so every sequence that a claim begins is
// fresh. A verb that the engine does not offer, or that its declaration refuses at this point,
// makes the claim not reachable; a refusal that the declaration does not justify breaks it.
#pragma once
#include "judge.hpp"
#include "lift.hpp"
#include "spec/enclosure.hpp"
#include "spec/laws.hpp"
#include "storing.hpp"
#include "values.hpp"

#include <cmath>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>

namespace kv::properties {

/// A float that an engine gave, or a row that it rightly no longer holds.
struct Observed {
    float value = 0;
    bool held = true;
};

/// The claim cannot be evaluated on this engine; the sentence says why.
struct NotReachable : std::runtime_error {
    using std::runtime_error::runtime_error;
};
/// The engine refused what its declaration lets it refuse.
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};
/// The engine refused what its declaration says it does.
struct UnjustRefusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The inputs of a claim about layer `layer`.
struct WorldInputs {
    Declaration const* declaration;
    std::size_t layer;
    std::size_t length;
    std::size_t ask;  ///< serial of the token that queries ask for
    Values values;
    HeadContent heads;
};


using FloatToken = Token<Heads<float, Dyn, Dyn>, Heads<float, Dyn, Dyn>, Heads<float, Dyn, Dyn>>;
using ExactToken = Token<LiftedHeads, LiftedHeads, LiftedHeads>;

class LiveWorld {
   public:
    using Exact = Enclosure;
    explicit LiveWorld(WorldInputs const& inputs)
        : inputs_(inputs),
          source_(*inputs_.declaration, inputs_.values, inputs_.heads),
          keys_(keyStorageOf(declared(), numerics())),
          values_(valueStorageOf(declared(), numerics())),
          queries_(queryStorageOf(declared(), numerics())),
          layer_(storingLayer(declared(), numerics(), &keys_, &queries_)) {}
    LiveWorld(LiveWorld const&) = delete;
    LiveWorld& operator=(LiveWorld const&) = delete;

    Dyn length() const { return inputs_.length; }
    Dyn capacity() const { return inputs_.declaration->capacity; }
    Position distance() const { return 2; }
    /// How often a claim does the same: once, for pasts of one row, more often than a pool has
    /// blocks, unless those are too many to wait for.
    Dyn turns() const {
        constexpr Dyn few = 8, most = 4096;
        auto const& pool = inputs_.declaration->pool;
        return pool && length() == 1 ? std::min(std::max(few, pool->blocks + 1), most) : few;
    }
    StoringLayer const& layer() const { return layer_; }
    FloatToken token(std::size_t i) const { return row(i, i); }
    FloatToken other(std::size_t i) const { return row(i, otherSerial(i)); }
    /// Throw NoStoredRow where the declared format gives the token no row.
    ExactToken exact(std::size_t i) const { return exactOf(i, i); }
    ExactToken exactOther(std::size_t i) const { return exactOf(i, otherSerial(i)); }
    ExactToken stored(std::size_t i) const {
        auto t = exact(i);
        t.key = storedKey(layer_.position, t.key, Position(i));
        return t;
    }
    LiftedHeads seen(std::size_t i) const {
        return rotateRow(layer_.position, exact(i).key, Position(i));
    }

    /// The same world with the spec's scalars on the left side too.
    struct AsExact {
        LiveWorld const* world;
        Dyn length() const { return world->length(); }
        Position distance() const { return world->distance(); }
        Dyn turns() const { return world->turns(); }
        ExactToken token(std::size_t i) const { return world->exact(i); }
        ExactToken other(std::size_t i) const { return world->exactOther(i); }
    };
    AsExact asExact() const { return {this}; }

   private:
    LayerDeclaration const& declared() const { return inputs_.declaration->layers[inputs_.layer]; }
    FloatToken row(std::size_t position, std::size_t serial) const {
        // Whatever position a query has, it asks for a token that it may see.
        std::size_t const target = std::min(inputs_.ask, position);
        auto const r = source_.rows(
            inputs_.layer, {.serial = serial,
                            .position = Position(position),
                            .target = target == position ? serial : target});
        auto const& d = declared();
        return {lift<float>(r.keys, {d.kvHeads, d.keyDim}, numericsF32),
                lift<float>(r.values, {d.kvHeads, d.valueDim}, numericsF32),
                lift<float>(r.queries, {d.queryHeads, d.keyDim}, numericsF32)};
    }
    Numerics const& numerics() const { return inputs_.declaration->numericsOf(inputs_.layer); }
    /// Another token that could stand at the same place.
    std::size_t otherSerial(std::size_t i) const { return i + capacity() + 1; }
    /// A claim asks for the same tokens many times, and to make and convert one takes its time.
    ExactToken exactOf(std::size_t position, std::size_t serial) const {
        auto const known = exact_.find(serial);
        if (known != exact_.end()) return known->second;
        return exact_.emplace(serial, lifted(row(position, serial))).first->second;
    }
    ExactToken lifted(FloatToken const& t) const {
        auto const lift = [&](Heads<float, Dyn, Dyn> const& heads) {
            return tabulate(heads.size(), [&](std::size_t h) {
                return tabulate(heads[h].size(),
                                [&](std::size_t d) { return exactly(heads[h][d], numerics()); });
            });
        };
        auto const key = lift(t.key);
        return {convertsTurned(declared()) ? key : readOf(keys_, key),
                readOf(values_, lift(t.value)), lift(t.query)};
    }
    static LiftedHeads readOf(Storage const& storage, LiftedHeads const& row) {
        auto held = storage.held(row);
        if (!held.isReadable()) throw NoStoredRow();
        return std::move(held.exact);
    }

    WorldInputs inputs_;
    ValueSource source_;
    Storage keys_, values_, queries_;
    StoringLayer layer_;
    mutable std::map<std::size_t, ExactToken> exact_;
};

/// Whoever holds it has the sequence; when the last one is gone it can be forked onto again.
struct Seat {};

/// One engine with what the spec says of its sequences.
struct Running {
    std::unique_ptr<AnyEngine> engine;
    State state;
    std::vector<std::weak_ptr<Seat>> seats;  ///< per sequence
};

class LiveSubject {
   public:
    using Scalar = Observed;
    struct Handle {
        std::shared_ptr<Running> running;
        SequenceId id = 0;
        std::shared_ptr<Seat> seat;
        Handle() = default;
        Handle(std::shared_ptr<Running> r, SequenceId i)
            : running(std::move(r)), id(i), seat(std::make_shared<Seat>()) {
            running->seats.at(id) = seat;
        }
        Handle(Handle&&) = default;
        Handle& operator=(Handle&&) = default;
    };

    /// What was saved of a sequence of this engine; the engine has it.
    struct Copy {
        std::shared_ptr<Running> running;
        SequenceId of = 0;
    };

    LiveSubject(MakeEngine const& make, Declaration const& declaration, std::size_t layer);

    Handle empty() const;
    Handle appendKV(Handle handle, FloatToken const& token) const;
    Attempt<Handle> appendWithin(Handle handle, FloatToken const& token) const;
    bool takesMisshapen(Handle& handle) const;
    Prefilled<Handle, Seq<Heads<Observed, Dyn, Dyn>, Dyn>> prefill(
        Handle handle, Seq<FloatToken, Dyn> const& tokens) const;
    /// The handles of all items live on one engine.
    template <class... Items>
    auto step(hana::tuple<Items...> items) const {
        std::vector<Chunk> chunks;
        hana::for_each(items, [&](auto& item) {
            auto const token = [&](std::size_t i) -> FloatToken { return item.tokens[i]; };
            chunks.push_back({std::move(item.cache), tabulate(Dyn{item.tokens.size()}, token)});
        });
        auto all = stepped(std::move(chunks));
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return hana::make_tuple(std::move(all[I])...);
        }(std::index_sequence_for<Items...>{});
    }
    Heads<Observed, Dyn, Dyn> attend(Handle& handle, Heads<float, Dyn, Dyn> const& query) const;
    Cache<Heads<Observed, Dyn, Dyn>, Heads<Observed, Dyn, Dyn>, Dyn> observe(Handle& handle) const;
    Handle rollback(Handle handle, std::size_t length) const;
    Forked<Handle> fork(Handle handle) const;
    Saved<Handle, Copy> save(Handle handle) const;
    Handle restore(Copy const& copy) const;
    Handle release(Handle handle) const;
    Kept<Handle, Handle> keep(Handle chosen, Handle other) const;
    Forked<Handle> reorder(Forked<Handle> beams, Parents<Nat<2>> const& parents) const;
    Handle evict(Handle handle, std::size_t count) const;
    template <Extent F, Extent M>
    Handle remove(Handle handle, RowSpan<F, M> const& rows) const {
        return removed(std::move(handle), {rows.first, rows.count});
    }
    Handle shift(Handle handle, Position by) const;

   private:
    using Chunk = Item<Handle, Seq<FloatToken, Dyn>>;
    using Stored = Prefilled<Handle, Seq<Heads<Observed, Dyn, Dyn>, Dyn>>;
    Handle removed(Handle handle, RowRange rows) const;
    std::vector<Stored> stepped(std::vector<Chunk> chunks) const;
    /// `serial` is that of the first of them.
    Tokens tokensOf(std::size_t serial, Seq<FloatToken, Dyn> const& rows) const;
    Tokens tokensOf(Handle const& handle, Seq<FloatToken, Dyn> const& rows) const {
        return tokensOf(handle.running->state.stored(), rows);
    }
    template <class Call>
    void accepted(Handle& handle, Step step, Call call) const;
    Heads<Observed, Dyn, Dyn> outputOf(Outputs const& outputs, std::size_t row,
                                       std::size_t rows) const;

    MakeEngine make_;
    Declaration const* declaration_;
    std::size_t layer_;
    Values filler_{};
};

}  // namespace kv::properties

namespace kv {

/// How the answers of a claim were judged.
template <>
struct Tally<properties::Observed, Enclosure> {
    properties::Evidence evidence;  ///< its `widest` is not yet divided by the largest value
    std::vector<double> widths;     ///< of outputs; infinite where any answer is accepted
    std::size_t undefined = 0;      ///< outputs that may have overflowed

    void add(Place const& at, properties::Observed const& seen, Enclosure const& right) {
        if (!seen.held) return;
        if (at.what != What::output) {
            ++evidence.rows;
            return;
        }
        undefined += right.isOverflowed() ? 1 : 0;
        widths.push_back(width(right));
        if (right.isUndefined()) return;
        if (single(right)) {
            ++evidence.exact;
            return;
        }
        ++evidence.bounded;
        ++evidence.rules[std::size_t(right.rule)];
        evidence.widest = std::max(evidence.widest, width(right));
        auto const answers = static_cast<std::uint64_t>(numbersBetween(
            right.numerics->output, nearestFloat(right.low()), nearestFloat(right.high())));
        ++evidence.answers[static_cast<std::size_t>(std::bit_width(answers))];
    }
};

/// Two answers of one engine: numbers of rows, or outputs whose bits are known from the other one.
template <>
struct Tally<properties::Observed, properties::Observed> {
    properties::Evidence evidence;
    std::vector<double> widths;
    std::size_t undefined = 0;

    void add(Place const& at, properties::Observed const& left, properties::Observed const& right) {
        if (!left.held || !right.held) return;
        if (at.what != What::output) ++evidence.rows;
        else ++evidence.exact, widths.push_back(0);
    }
};

/// Bit for bit, where both hold the row.
template <>
struct Agreement<properties::Observed, properties::Observed> {
    static bool holds(properties::Observed const& left, properties::Observed const& right) {
        return !left.held || !right.held || properties::haveSameBits(left.value, right.value);
    }
};

template <>
struct Agreement<properties::Observed, Enclosure> {
    static bool holds(properties::Observed const& left, Enclosure const& right) {
        return !left.held || Agreement<float, Enclosure>::holds(left.value, right);
    }
};

}  // namespace kv

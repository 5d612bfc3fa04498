// world: the inputs of a claim, as symbols.
//
// A world hands a claim its tokens: token i has a key k[i,head,lane], a value v[...] and a query
// q[...], each entry a symbol of its own; other(i) is the same with a prime, another token that
// could stand at the same place. A shape says how many of everything there are, as types in one
// reading and as numbers in the other.
#pragma once
#include "spec/laws.hpp"
#include "term.hpp"

namespace kv::proofs {

/// Everything that a law may depend on besides values.
template <class N, class H, class G, class DK, class DV, class W, class S, class R, class C>
struct Shape {
    N length{};
    H queryHeads{};
    G kvHeads{};
    DK keyDim{};
    DV valueDim{};
    W window{};
    S sinks{};
    R rotaryDim{};
    C chunk{};
    RotaryLayout layout = RotaryLayout::none;
    KeyStorage storage = KeyStorage::rotated;
    std::size_t slopes = 0;  ///< ALiBi slopes, one per query head, or none
    std::size_t sinkLogits = 0;  ///< one per query head, or none

    constexpr auto erased() const {
        return Shape<Dyn, Dyn, Dyn, Dyn, Dyn, Dyn, Dyn, Dyn, Dyn>{
            length,    queryHeads, kvHeads, keyDim,  valueDim, window, sinks,
            rotaryDim, chunk,      layout,  storage, slopes,   sinkLogits};
    }
};

template <class ShapeType>
class World;

template <class N, class H, class G, class DK, class DV, class W, class S, class R, class C>
class World<Shape<N, H, G, DK, DV, W, S, R, C>> {
   public:
    using ShapeType = Shape<N, H, G, DK, DV, W, S, R, C>;
    using Exact = Term;
    using Law = PositionLaw<Term, SymbolTable, R>;
    using LayerType = Layer<Term, H, G, DK, DV, Window<W, S, C>, Law>;
    using TokenType =
        Token<typename LayerType::Key, typename LayerType::Value, typename LayerType::Query>;

    constexpr World(Arena& arena, ShapeType const& shape) : arena_(&arena), shape_(shape) {}

    constexpr N length() const { return shape_.length; }
    constexpr N capacity() const { return shape_.length; }
    constexpr Position distance() const { return 3; }
    constexpr auto turns() const { return nat<8>; }
    constexpr LayerType layer() const {
        LayerType l{shape_.queryHeads, shape_.kvHeads, shape_.keyDim, shape_.valueDim,
                    leaf(*arena_, {.letter = 'a'}), {shape_.window, shape_.sinks, shape_.chunk},
                    Law{shape_.layout, shape_.storage, shape_.rotaryDim, {arena_}, {}}};
        l.position.slopes = tabulate(shape_.slopes, [&](std::size_t h) {
            return leaf(*arena_, {'m', {std::int16_t(h), -1, -1, -1}});
        });
        l.sinkLogits = tabulate(shape_.sinkLogits, [&](std::size_t h) {
            return leaf(*arena_, {'l', {std::int16_t(h), -1, -1, -1}});
        });
        return l;
    }

    constexpr TokenType token(std::size_t i) const { return row(i, 0); }
    constexpr TokenType other(std::size_t i) const { return row(i, 1); }
    constexpr TokenType exact(std::size_t i) const { return token(i); }
    constexpr TokenType exactOther(std::size_t i) const { return other(i); }
    /// Token i as a cache holds it at position i, and its key as attention reads it there.
    constexpr TokenType stored(std::size_t i) const {
        auto t = token(i);
        t.key = storedKey(layer().position, t.key, Position(i));
        return t;
    }
    constexpr auto seen(std::size_t i) const {
        return rotateRow(layer().position, token(i).key, Position(i));
    }
    constexpr World const& asExact() const { return *this; }
    constexpr auto erased() const {
        return World<decltype(shape_.erased())>(*arena_, shape_.erased());
    }

    /// Two blocks of different shape: this layer, and one with as many query as kv heads, key and
    /// value dims exchanged, no window and no rotation. Their functions are uninterpreted.
    constexpr auto model() const {
        using Second = Layer<Term, G, G, DV, DK, Window<>, PositionLaw<Term, SymbolTable, Nat<0>>>;
        Second const second{shape_.kvHeads, shape_.kvHeads, shape_.valueDim, shape_.keyDim,
                            leaf(*arena_, {.letter = 'b'}), {}, {}};
        return hana::make_tuple(block(layer(), 0), block(second, 1));
    }
    constexpr Vec<Term, Nat<2>> hidden(std::size_t i) const {
        return tabulate(nat<2>, [&](std::size_t e) {
            return leaf(*arena_, {'x', {std::int16_t(i), std::int16_t(e), -1, -1}});
        });
    }

   private:
    constexpr TokenType row(std::size_t i, std::int16_t branch) const {
        auto heads = [&](char letter, auto count, auto dim) {
            return tabulate(count, [&](std::size_t h) {
                return tabulate(dim, [&](std::size_t d) {
                    return leaf(*arena_, {letter, {std::int16_t(i), std::int16_t(h),
                                                   std::int16_t(d), branch}});
                });
            });
        };
        return {heads('k', shape_.kvHeads, shape_.keyDim),
                heads('v', shape_.kvHeads, shape_.valueDim),
                heads('q', shape_.queryHeads, shape_.keyDim)};
    }
    template <class L>
    static constexpr auto block(L const& layer, std::int16_t index) {
        auto project = [layer, index](auto const& x) {
            auto heads = [&](char letter, auto count, auto dim) {
                return tabulate(count, [&](std::size_t h) {
                    return tabulate(dim, [&](std::size_t d) {
                        return apply({letter, {index, std::int16_t(h), std::int16_t(d), -1}}, x);
                    });
                });
            };
            using T = Token<typename L::Key, typename L::Value, typename L::Query>;
            return T{heads('K', layer.kvHeads, layer.keyDim),
                     heads('V', layer.kvHeads, layer.valueDim),
                     heads('Q', layer.queryHeads, layer.keyDim)};
        };
        auto combine = [index](auto const& x, auto const& output) {
            std::vector<Term> all;
            for (std::size_t e = 0; e < x.size(); ++e) all.push_back(x[e]);
            for (std::size_t h = 0; h < output.size(); ++h)
                for (std::size_t d = 0; d < output[h].size(); ++d) all.push_back(output[h][d]);
            return tabulate(x.size(), [&](std::size_t e) {
                return apply({'C', {index, std::int16_t(e), -1, -1}}, all);
            });
        };
        return Block{layer, project, combine};
    }
    Arena* arena_;
    ShapeType shape_;
};

}  // namespace kv::proofs

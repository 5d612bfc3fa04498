// refusals_test: hold what the types refuse, and that the numbers refuse it too.
//
// Each ill-typed program stands beside the well-typed one that differs in the one mistake. The
// first is only asked for (`!requires`), which sees the interface and not the body. So the second
// is evaluated: a call that satisfies the interface and then does not compile would be a refusal
// that nobody meant. What the compilers say is held by tests/refuse/.
//
// Where a length is a number, the same mistake throws.
#include "spec/laws.hpp"

#include <gtest/gtest.h>

namespace kv::tests {
namespace {

template <std::size_t G, std::size_t D>
using Row = Heads<float, Nat<G>, Nat<D>>;
using Key = Row<2, 4>;
using Value = Row<2, 3>;
template <std::size_t N>
using Held = Cache<Key, Value, Nat<N>>;
using Loose = Cache<int, int, Dyn>;

// No angle anywhere: only shapes matter here.
struct Table {
    constexpr float cosine(Position, std::size_t) const { return 1; }
    constexpr float sine(Position, std::size_t) const { return 0; }
};
template <std::size_t R>
using Law = PositionLaw<float, Table, Nat<R>>;
template <std::size_t H, std::size_t G>
using LayerOf = Layer<float, Nat<H>, Nat<G>, Nat<4>, Nat<3>, Window<>, Law<2>>;

template <class C, class K, class V>
concept Appends = requires(C c, K key, V value) { appendKV(c, key, value); };
static_assert(!Appends<Held<2>, Row<2, 3>, Value>, "a key of another head dim");
static_assert(!Appends<Held<2>, Row<2, 5>, Value>, "a key of another head dim");
static_assert(!Appends<Held<2>, Row<1, 4>, Value>, "a key of another number of heads");
static_assert(!Appends<Held<2>, Key, Row<2, 4>>, "a value of another head dim");
static_assert(!Appends<Held<2>, Key, Row<3, 3>>, "a value of another number of heads");
static_assert(!Appends<Held<2>, Value, Key>, "key and value exchanged");
static_assert(!Appends<Held<2>, Heads<double, Nat<2>, Nat<4>>, Value>, "another scalar");
static_assert(appendKV(Held<2>{}, Key{}, Value{}).length() == nat<3>);

template <class S, class I>
concept Reads = requires(S s, I i) { s[i]; };
static_assert(!Reads<Seq<int, Nat<3>>, Nat<3>>, "an index that is the length");
static_assert(!Reads<Seq<int, Nat<0>>, Nat<0>>, "the first of none");
static_assert(Seq<int, Nat<3>>{}[nat<2>] == 0);

template <class C>
concept HasNewest = requires(C c) { lastIndex(c); };
static_assert(!HasNewest<Held<0>>, "the newest row of an empty cache");
static_assert(lastIndex(Held<1>{}) == 0);

template <class H, class G>
concept Shares = requires(H heads, G groups) { kvHead(0, heads, groups); };
static_assert(!Shares<Nat<4>, Nat<3>>, "four query heads over three kv heads");
static_assert(!Shares<Nat<2>, Nat<4>>, "more kv heads than query heads");
static_assert(!Shares<Nat<4>, Nat<0>>, "no kv head");
static_assert(kvHead(3, nat<4>, nat<2>) == 1 && kvHead(2, nat<3>, nat<3>) == 2);
template <class R, class H>
concept Repeats = requires(R row, H heads) { repeated(row, heads); };
static_assert(!Repeats<Key, Nat<3>>, "two kv heads repeated to three");
static_assert(repeated(Key{}, nat<4>).size() == nat<4>);
template <std::size_t H, std::size_t G>
concept MakesALayer = requires { typename LayerOf<H, G>; };
static_assert(!MakesALayer<4, 3>, "a layer of four query heads over three kv heads");
static_assert(LayerOf<4, 2>{}.kvHeads == nat<2>);

template <class L, class V>
concept Turns = requires(L law, V head) { rotate(law, head, Position{1}); };
static_assert(!Turns<Law<3>, Vec<float, Nat<4>>>, "an odd rotary dim");
static_assert(!Turns<Law<6>, Vec<float, Nat<4>>>, "a rotary dim above the head dim");
static_assert(rotate(Law<4>{.layout = RotaryLayout::halfSplit}, Vec<float, Nat<4>>{}, 1)[0] == 0);
static_assert(rotate(Law<2>{.layout = RotaryLayout::interleaved}, Vec<float, Nat<3>>{}, 1)[2] == 0);

template <class C, class M>
concept RollsBack = requires(C c, M m) { rollback(c, m); };
static_assert(!RollsBack<Held<2>, Nat<3>>, "a rollback that grows");
static_assert(!RollsBack<Held<0>, Nat<1>>, "a rollback that grows");
static_assert(rollback(Held<2>{}, nat<2>).length() == nat<2>);
static_assert(rollback(Held<2>{}, nat<0>).length() == nat<0>);

template <class C, class M>
concept Evicts = requires(C c, M m) { evict(c, m); };
static_assert(!Evicts<Held<2>, Nat<3>>, "an eviction of more than is there");
static_assert(evict(Held<2>{}, nat<2>).length() == nat<0>);

template <class C, class F, class M>
concept Removes = requires(C c, F first, M count) { remove(c, RowSpan{first, count}); };
static_assert(!Removes<Held<2>, Nat<1>, Nat<2>>, "a removal of more than is there");
static_assert(!Removes<Held<2>, Nat<3>, Nat<0>>, "a removal that begins behind the last row");
static_assert(remove(Held<2>{}, RowSpan{nat<1>, nat<1>}).length() == nat<1>);

template <class K, class W>
concept Keeps = requires(Held<5> c, K kept, W window) { keepLast(c, kept, window); };
static_assert(!Keeps<Nat<2>, Window<Nat<3>>>, "fewer rows than the window reads");
static_assert(!Keeps<Nat<3>, Window<Nat<3>, Nat<1>>>, "a window that reads sinks too");
static_assert(keepLast(Held<5>{}, nat<3>, Window<Nat<3>>{}).length() == nat<3>);

// The verbs that call other verbs refuse at their own interface.
template <std::size_t K, std::size_t V, std::size_t Q>
using TokenOf = Token<Row<2, K>, Row<2, V>, Row<4, Q>>;
using Fits = TokenOf<4, 3, 4>;
template <class C, class T>
concept Decodes = requires(LayerOf<4, 2> layer, C c, T token) { decodeWithCache(layer, c, token); };
static_assert(!Decodes<Held<2>, TokenOf<3, 3, 4>>, "a key of another head dim");
static_assert(!Decodes<Held<2>, TokenOf<4, 4, 4>>, "a value of another head dim");
static_assert(!Decodes<Held<2>, TokenOf<4, 3, 3>>, "a query of another head dim");
static_assert(std::same_as<decltype(decodeWithCache(LayerOf<4, 2>{}, Held<0>{}, Fits{}).cache),
                           Held<1>>);
template <class T>
concept Prefills = requires(LayerOf<4, 2> l, Held<2> c, Seq<T, Nat<2>> ts) { prefill(l, c, ts); };
static_assert(!Prefills<TokenOf<3, 3, 4>>, "keys of another head dim");
static_assert(!Prefills<TokenOf<4, 4, 4>>, "values of another head dim");
static_assert(Prefills<Fits>);
template <class T>
concept AttendsFully = requires(LayerOf<4, 2> l, Seq<T, Nat<2>> ts) { fullAttention(l, ts); };
static_assert(!AttendsFully<TokenOf<5, 3, 4>>, "longer keys, whose tail nobody would read");
static_assert(!AttendsFully<TokenOf<4, 4, 4>>, "values of another head dim");
static_assert(AttendsFully<Fits>);
template <class C>
concept Attends = requires(LayerOf<4, 2> l, C c, Row<4, 4> query) { attend(l, c, query); };
static_assert(!Attends<Held<0>>, "attention of the newest of no rows");
static_assert(!Attends<Cache<Row<2, 5>, Value, Nat<2>>>, "the cache of another layer");
static_assert(Attends<Held<2>>);
template <class C, class K>
concept AppendsWithin = requires(C c, K key, Value value) { appendWithin(nat<3>, c, key, value); };
static_assert(!AppendsWithin<Held<2>, Row<2, 5>>, "a key of another head dim");
static_assert(appendWithin(nat<3>, Held<2>{}, Key{}, Value{}).accepted);
static_assert(!appendWithin(nat<2>, Held<2>{}, Key{}, Value{}).accepted);
template <std::size_t R>
concept HasRotaryDim =
    requires { typename Layer<float, Nat<4>, Nat<2>, Nat<4>, Nat<3>, Window<>, Law<R>>; };
static_assert(!HasRotaryDim<3>, "a layer with an odd rotary dim");
static_assert(!HasRotaryDim<6>, "a layer with a rotary dim above its key dim");
static_assert(HasRotaryDim<4>);
template <class L>
concept TurnsRows = requires(L law, Key row) { rotateRow(law, row, Position{1}); };
static_assert(!TurnsRows<Law<3>> && !TurnsRows<Law<6>>, "a row turned by such a law");
static_assert(TurnsRows<Law<4>>);

// A length that two programs disagree about.
static_assert(std::same_as<decltype(appendKV(Held<2>{}, Key{}, Value{})), Held<3>>);
static_assert(!std::convertible_to<Held<3>, Held<2>>, "a cache of another length");

Loose loose(std::size_t rows) {
    Loose cache;
    for (std::size_t i = 0; i < rows; ++i) cache = appendKV(cache, int(i), int(i));
    return cache;
}

TEST(Refusals, NumbersRefuseWhatTypesRefuse) {
    EXPECT_THROW(lastIndex(loose(0)), ShapeError);
    EXPECT_EQ(lastIndex(loose(1)), 0u);

    EXPECT_THROW(rollback(loose(2), Dyn{3}), ShapeError);
    EXPECT_THROW(rollback(loose(2), nat<3>), ShapeError);
    EXPECT_EQ(rollback(loose(2), Dyn{2}), loose(2));

    EXPECT_THROW(evict(loose(2), Dyn{3}), ShapeError);
    EXPECT_EQ(evict(loose(2), Dyn{2}).length(), 0u);

    EXPECT_THROW(remove(loose(2), RowSpan{Dyn{1}, Dyn{2}}), ShapeError);
    EXPECT_THROW(remove(loose(2), RowSpan{Dyn{3}, Dyn{0}}), ShapeError);
    EXPECT_EQ(remove(loose(2), RowSpan{Dyn{1}, Dyn{1}}).length(), 1u);

    EXPECT_THROW(keepLast(loose(5), Dyn{2}, Window<Dyn>{3}), ShapeError);
    EXPECT_EQ(keepLast(loose(5), Dyn{3}, Window<Dyn>{3}).length(), 3u);

    EXPECT_THROW(kvHead(0, Dyn{4}, Dyn{3}), ShapeError);
    EXPECT_THROW(kvHead(0, Dyn{4}, Dyn{0}), ShapeError);
    EXPECT_EQ(kvHead(3, Dyn{4}, Dyn{2}), 1u);

    EXPECT_THROW(loose(2).keys[2], std::out_of_range);
    EXPECT_EQ(loose(2).keys[1], 1);
}

TEST(Refusals, ARotationIsRefusedByNumbersToo) {
    using LooseLaw = PositionLaw<float, Table, Dyn>;
    auto const head = Vec<float, Dyn>::ofSize(4);
    auto const law = [](std::size_t dim) {
        return LooseLaw{.layout = RotaryLayout::halfSplit, .rotaryDim = dim};
    };
    EXPECT_THROW(rotate(law(3), head, 1), ShapeError);
    EXPECT_THROW(rotate(law(6), head, 1), std::logic_error);
    EXPECT_EQ(rotate(law(4), head, 1), head);
}

}  // namespace
}  // namespace kv::tests

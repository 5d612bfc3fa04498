// theorems_test: prove every theorem of the registry over symbols at lengths that engines meet.
//
// The compiler proves up to 16 tokens (proofs/); the same claims run here over the same symbols at
// 256 tokens, and at 1024 with a window of 32 keys. Four heads share two kv heads of dims 4 and 3,
// turned by RoPE; the law of `layers` runs two blocks. A claim that itself sweeps over every length
// costs the square or the cube of it, so it stops where one law would take more than two seconds;
// its length stands in the name of its test. Here both readings of erase_commutes are the dynamic
// one; the compiler's proof is the one that compares them. Under AddressSanitizer, which looks for
// mistakes of memory and takes five times as long, the lengths are a quarter of these.
#include "proofs/prove.hpp"
#include "sanitized.hpp"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <ctime>
#include <string>

namespace kv::tests {
namespace {

using proofs::check;
using proofs::Sizes;
using proofs::Verdict;
using Shape = decltype(proofs::single<0>.erased());

// Where a law stops before the length that was asked for, and why.
std::size_t lengthOf(std::string_view law, std::size_t wanted) {
    struct Limit {
        std::string_view law;
        std::size_t length;
    };
    constexpr Limit limits[] = {
        {"rollback_append", 128},                // rolls back to every length, each from the start
        {"rollback_then_append_eq_fresh", 128},  // the same, and attends
        {"share_copies_before_writing", 128},    // forks, and goes back to every length
        {"remove_keeps_others", 128},            // removes at every place, and of every number
        {"remove_then_append", 128},             // removes each row, and attends
        {"remove_then_rollback", 128},           // rolls back over every gap
        {"prefill_any_chunking", 48},            // cuts everywhere and attends from every row
        {"fullAttention_causal", 64},            // full attention of every prefix
        {"decode_layers_eq_forward", 256},       // its second block has no window
    };
    for (auto const& limit : limits)
        if (limit.law == law) return std::min(limit.length, wanted);
    return wanted;
}

Shape shapeOf(std::size_t length, std::size_t window) {
    auto shape = Sizes<0, 4, 2, 4, 3, 0, 0, 4>{.layout = RotaryLayout::halfSplit}.erased();
    shape.length = length;
    shape.window = window;
    return shape;
}

// The spec as a subject that says, when it goes, how many terms were made.
template <class L, class C>
struct Counting : Spec<L, C> {
    Counting(L const& layer, C const& capacity, std::size_t& terms)
        : Spec<L, C>{layer, capacity}, terms_(terms) {}
    Counting(Counting const&) = delete;
    Counting& operator=(Counting const&) = delete;
    ~Counting() { terms_ = this->layer.scale.arena->size(); }

   private:
    std::size_t& terms_;
};

struct Run {
    Verdict verdict;
    std::size_t terms = 0;
};
// Most laws need few terms, and an arena of millions takes longer to lay out than they do.
Run run(auto const& law, Shape const& shape) {
    Run result;
    auto const counted = [&](auto const& world) {
        return Counting(world.layer(), world.capacity(), result.terms);
    };
    for (std::size_t const room : {std::size_t{1} << 17, std::size_t{1} << 22}) {
        try {
            result.verdict = check(law, shape, room, counted);
            return result;
        } catch (std::length_error const&) {
            // The arena was full: once more with more room.
        }
    }
    throw std::length_error(std::string(law.name) + " needs more terms than there is room for");
}

void expectHolds(std::string_view law, Verdict const& verdict) {
    EXPECT_TRUE(verdict.holds) << law << " at row " << verdict.at.row << ", head "
                               << verdict.at.head << ", component " << verdict.at.lane << ": "
                               << verdict.left.view() << " is not " << verdict.right.view();
}

// One test of one law at one length.
template <class Law>
class AtRunTime : public testing::Test {
   public:
    AtRunTime(Law const& law, Shape const& shape) : law_(law), shape_(shape) {}
    void TestBody() override {
        auto const begin = std::clock();
        auto const result = run(law_, shape_);
        auto const seconds = double(std::clock() - begin) / CLOCKS_PER_SEC;
        expectHolds(law_.name, result.verdict);
        std::printf("%-32s %4zu tokens, window %2zu: %7zu terms in %.2f s\n",
                    std::string(law_.name).c_str(), shape_.length, shape_.window, result.terms,
                    seconds);
    }

   private:
    Law law_;
    Shape shape_;
};

// A test for every law of the registry; its name says how far the law was run.
bool registered(char const* suite, std::size_t wanted, std::size_t window) {
    forEachLaw([&](auto, auto const& law) {
        std::size_t const length = lengthOf(law.name, wanted);
        auto const name = std::string(law.name) + "_at_" + std::to_string(length);
        testing::RegisterTest(suite, name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                              [law, length, window]() -> testing::Test* {
                                  return new AtRunTime(law, shapeOf(length, window));
                              });
    });
    return true;
}
[[maybe_unused]] bool const plain = registered("Theorems", fewer(256), 0);
[[maybe_unused]] bool const windowed = registered("TheoremsWindow32", fewer(1024), 32);

// The spec with one verb replaced: a key is rotated as if it stood one position later.
template <class L, class C>
struct RotatesTooFar : Spec<L, C> {
    constexpr auto appendKV(auto cache, auto const& token) const {
        auto const key = storedKey(this->layer.position, token.key, cache.next + 1);
        return kv::appendKV(cache, key, token.value);
    }
};
// A rollback that forgets to take the position back.
template <class L, class C>
struct RollsBackRowsOnly : Spec<L, C> {
    constexpr auto rollback(auto cache, auto length) const {
        auto result = kv::rollback(cache, length);
        result.next = cache.next;
        return result;
    }
};
template <template <class, class> class Mutant>
Verdict verdictOn(auto const& law, Shape const& shape) {
    return check(law, shape, std::size_t{1} << 17, [](auto const& world) {
        auto const layer = world.layer();
        auto const capacity = world.capacity();
        return Mutant<std::decay_t<decltype(layer)>, std::decay_t<decltype(capacity)>>{
            {layer, capacity}};
    });
}

TEST(TheoremArena, IsFullRatherThanWrong) {
    proofs::Arena arena(4);
    auto const term = [&](char letter) { return leaf(arena, {.letter = letter}); };
    auto const first = term('a');
    term('b'), term('c');  // the fourth place is that of the term that was never made
    EXPECT_THROW(term('d'), std::length_error);
    EXPECT_EQ(term('a'), first);
    EXPECT_EQ(arena.size(), 3u);
}

TEST(TheoremVerdict, NamesTheSmallestTermsThatDiffer) {
    auto const verdict = verdictOn<RotatesTooFar>(appendKV_last_key, shapeOf(0, 0));
    EXPECT_FALSE(verdict.holds);
    EXPECT_EQ(verdict.at, (Place{.what = What::key}));
    EXPECT_EQ(verdict.left.view(), "cos[1,0]");
    EXPECT_EQ(verdict.right.view(), "cos[0,0]");
}

TEST(TheoremVerdict, NamesTheRowAtLengthToo) {
    auto const verdict = verdictOn<RotatesTooFar>(appendKV_last_key, shapeOf(255, 0));
    EXPECT_EQ(verdict.at, (Place{.what = What::key, .row = 255}));
    EXPECT_EQ(verdict.left.view(), "cos[256,0]");
    EXPECT_EQ(verdict.right.view(), "cos[255,0]");
}

TEST(TheoremVerdict, GoesDownIntoAnAttentionOutput) {
    auto const verdict = verdictOn<RotatesTooFar>(decodeWithCache_eq_fullAttention, shapeOf(2, 0));
    EXPECT_EQ(verdict.at, (Place{.what = What::output, .row = 2}));
    EXPECT_EQ(verdict.left.view(), "cos[1,0]");
    EXPECT_EQ(verdict.right.view(), "cos[0,0]");
}

TEST(TheoremVerdict, NamesCountsAsNumbers) {
    auto const verdict = verdictOn<RollsBackRowsOnly>(rollback_append, shapeOf(1, 0));
    EXPECT_EQ(verdict.at, (Place{.what = What::nextPosition}));
    EXPECT_EQ(verdict.left.view(), "2");
    EXPECT_EQ(verdict.right.view(), "0");
}

TEST(TheoremVerdict, IsPrintedAsText) {
    EXPECT_NONFATAL_FAILURE(
        expectHolds("appendKV_last_key",
                    verdictOn<RotatesTooFar>(appendKV_last_key, shapeOf(0, 0))),
        "appendKV_last_key at row 0, head 0, component 0: cos[1,0] is not cos[0,0]");
}

// The theory under which the merge is proved grants its laws, and no others.
TEST(Reals, are_equal_by_the_laws_of_fields_and_of_the_exponential) {
    using proofs::Term;
    proofs::Arena arena(1000, proofs::Theory::exponentials);
    auto const symbol = [&](char letter) { return proofs::leaf(arena, {.letter = letter}); };
    auto const exp = [](Term x) { return Num<Term>::exp(x); };
    Term const x = symbol('x'), y = symbol('y'), z = symbol('z'), l = Num<Term>::log(y);
    auto const areEqual = [](Term a, Term b) { return Agreement<Term, Term>::holds(a, b); };
    EXPECT_TRUE(areEqual(x + (y + z), (z + x) + y));
    EXPECT_TRUE(areEqual(x * (y - z), x * y - z * x));
    EXPECT_TRUE(areEqual(x / y * y, x));
    EXPECT_TRUE(areEqual(x / y + z / y, (x + z) / y));
    EXPECT_TRUE(areEqual(exp(x - y) * exp(y - z), exp(x - z)));
    EXPECT_TRUE(areEqual(exp(x + l - z), exp(x) * y / exp(z)));
    EXPECT_TRUE(areEqual((x - x) * exp(y), z - z));
    EXPECT_FALSE(areEqual(x, y));
    EXPECT_FALSE(areEqual(x - y, y - x));
    EXPECT_FALSE(areEqual(x / y, x * y));
    EXPECT_FALSE(areEqual(exp(x * y), exp(x) * exp(y)));
    EXPECT_FALSE(areEqual(exp(x) + exp(y), exp(x + y)));
    EXPECT_FALSE(areEqual(exp(x), x));
    EXPECT_FALSE(areEqual(Num<Term>::max(x, y), Num<Term>::max(y, x))) << "a maximum is a symbol";
    EXPECT_FALSE(areEqual((x - x) / (y - y), z)) << "what is divided by 0 equals nothing";
    EXPECT_FALSE(areEqual(x / (y - y), z / (x - x)));
    proofs::Arena plain(1000);
    Term const a = proofs::leaf(plain, {.letter = 'a'}), b = proofs::leaf(plain, {.letter = 'b'});
    EXPECT_FALSE(areEqual(a + b, b + a)) << "without a theory nothing is granted";
}

}  // namespace
}  // namespace kv::tests

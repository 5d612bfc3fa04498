// contiguous_test: hold our first engine to a naive model.
//
// Random and chosen traces, every refusal, a layer at a time, and what stands in storage that holds
// no row.
#include "contiguous_model.hpp"

#include <cstdlib>
#include <map>
#include <new>

namespace {
std::size_t allocations = 0;
}

// Counted, so that a test can show that no verb allocates. Not inlined: g++ would otherwise see
// memory from `new` go to `free` and warn.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size))
        return memory;
    throw std::bad_alloc();
}
// The form that std::stable_sort uses, so that its memory and `delete` belong together.
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace kv::tests {

using namespace naive;

namespace {

TEST(Contiguous, answersRandomTracesAsTheModelDoes) {
    for (std::size_t ringSinks : {0, 2}) {
        Shape const shape = mixedShape(ringSinks);
        for (float fill : {float{}, std::numeric_limits<float>::quiet_NaN()}) {
            Driver<> driver(shape, {.fill = fill});
            std::mt19937 random(1);
            for (int i = 0; i < 500; ++i) {
                Difference const found = firstDifference(driver, randomTrace(shape, random));
                ASSERT_EQ(found.step, 0U) << "trace " << i << ": " << found.what;
            }
        }
    }
}

TEST(Contiguous, fillsToTheLastRowAndNoFurther) {
    expectModel(mixedShape(0), {{Verb::prefill, 0, 8},
                                {Verb::append, 0, 1},
                                {Verb::observe, 0},
                                {Verb::append, 0, 0},
                                {Verb::attend, 0},
                                {Verb::append, 1, 9},
                                {Verb::observe, 1}});
}

TEST(Contiguous, answersAChunkLongerThanItsRing) {
    Shape const shape = mixedShape(0);
    for (std::size_t count = 0; count <= shape.capacity; ++count)
        expectModel(shape, {{Verb::prefill, 0, count}, {Verb::observe, 0}});
}

TEST(Contiguous, storesAChunkAsItsTokensOneByOne) {
    Shape const shape = mixedShape(2);
    Trace tokens(shape.capacity, {Verb::prefill, 0, 1});
    tokens.push_back({Verb::observe, 0});
    expectModel(shape, tokens);
    expectModel(shape, {{Verb::prefill, 0, shape.capacity}, {Verb::observe, 0}});
}

TEST(Contiguous, pinsSinksInFrontOfTheRing) {
    Driver<> driver(mixedShape(2));
    (void)driver.apply({Verb::append, 0, 8}, 0);
    Answer const seen = driver.apply({Verb::observe, 0}, 0);
    EXPECT_EQ(seen.positions[1], (std::vector<std::int64_t>{0, 1, 4, 5, 6, 7}));
}

TEST(Contiguous, rollsARingBackAsFarAsItsWindowIsHeld) {
    // Six rows; the ring holds rows 2 .. 5 and its window shows three.
    for (std::size_t length = 0; length <= 7; ++length)
        expectModel(mixedShape(0), {{Verb::append, 0, 6},
                                    {Verb::rollback, 0, length},
                                    {Verb::observe, 0},
                                    {Verb::prefill, 0, 2},
                                    {Verb::observe, 0}});
    Driver<> driver(mixedShape(0));
    (void)driver.apply({Verb::append, 0, 6}, 0);
    EXPECT_EQ(driver.engine().rollback(SequenceId{0}, 4).refusal, Refusal::rowsLost);
    EXPECT_TRUE(driver.engine().rollback(SequenceId{0}, 5));
}

TEST(Contiguous, evictsUnderARingThatHasWrapped) {
    for (std::size_t count = 0; count <= 9; ++count)
        expectModel(mixedShape(0), {{Verb::append, 0, 7},
                                    {Verb::evict, 0, count},
                                    {Verb::observe, 0},
                                    {Verb::attend, 0},
                                    {Verb::prefill, 0, 3},
                                    {Verb::rollback, 0, 1},
                                    {Verb::observe, 0}});
}

Step removal(std::size_t first, std::size_t count) {
    return {.verb = Verb::remove, .number = count, .first = first};
}

TEST(Contiguous, removesRowsWhereverTheyStand) {
    // Four rows fill the ring; behind a removal there is room for more.
    for (std::size_t stored : {3, 4})
        for (std::size_t first = 0; first <= stored; ++first)
            for (std::size_t count = 0; count <= stored + 1; ++count)
                expectModel(mixedShape(0), {{Verb::append, 0, stored},
                                            removal(first, count),
                                            {Verb::observe, 0},
                                            {Verb::attend, 0},
                                            {Verb::prefill, 0, 2},
                                            {Verb::observe, 0},
                                            {Verb::rollback, 0, 2},
                                            {Verb::rollback, 0, 1},
                                            {Verb::observe, 0},
                                            {Verb::shift, 0, 0, -1},
                                            {Verb::prefill, 0, 3},
                                            {Verb::observe, 0}});
}

TEST(Contiguous, removesUnderARingThatHasWrapped) {
    // Seven rows; the ring holds rows 3 .. 6. Without the lost ones it may move the others.
    for (std::size_t evicted : {0, 1, 3, 4})
        for (std::size_t first = 0; first <= 3; ++first)
            expectModel(mixedShape(0), {{Verb::append, 0, 7},
                                        {Verb::evict, 0, evicted},
                                        removal(first, 2),
                                        {Verb::observe, 0},
                                        {Verb::attend, 0},
                                        {Verb::prefill, 0, 3},
                                        {Verb::rollback, 0, 3},
                                        {Verb::observe, 0}});
    Driver<> driver(mixedShape(0));
    (void)driver.apply({Verb::append, 0, 7}, 0);
    EXPECT_EQ(driver.engine().remove(SequenceId{0}, {1, 1}).refusal, Refusal::removesFromRing);
    EXPECT_TRUE(driver.engine().remove(SequenceId{0}, {0, 3}));
    EXPECT_TRUE(driver.engine().remove(SequenceId{0}, {1, 1}));
}

TEST(Contiguous, goesBackToWhereAForgottenRowStood) {
    Driver<> driver(mixedShape(0));
    (void)driver.apply({Verb::append, 0, 4}, 0);
    ASSERT_TRUE(driver.engine().remove(SequenceId{0}, {1, 2}));
    Answer seen = driver.apply({Verb::observe, 0}, 0);
    EXPECT_EQ(seen.positions[0], (std::vector<std::int64_t>{0, 3}));
    EXPECT_EQ(seen.next, 4);
    (void)driver.apply({Verb::rollback, 0, 1}, 0);
    EXPECT_EQ(driver.apply({Verb::observe, 0}, 0).next, 3);
    (void)driver.apply({Verb::rollback, 0, 0}, 0);
    EXPECT_EQ(driver.apply({Verb::observe, 0}, 0).next, 0);
}

TEST(Contiguous, reordersByEveryMap) {
    for (std::size_t map = 0; map < 27; ++map)
        expectModel(mixedShape(0), {{Verb::append, 0, 3},
                                    {Verb::append, 1, 6},
                                    {Verb::reorder, 0, map},
                                    {Verb::observe, 0},
                                    {Verb::observe, 1},
                                    {Verb::observe, 2},
                                    {Verb::prefill, 2, 2},
                                    {Verb::release, 1},
                                    {Verb::reorder, 0, 26 - map},
                                    {Verb::append, 1, 1},
                                    {Verb::observe, 0},
                                    {Verb::observe, 1},
                                    {Verb::observe, 2}});
}

TEST(Contiguous, stepsManySequencesAtOnce) {
    Step const mixed{.verb = Verb::step, .target = 3, .batch = {{2, 1}, {0, 5}, {1, 0}}};
    Step const full{.verb = Verb::step, .batch = {{2, 1}, {0, 2}}};
    Step const none{.verb = Verb::step, .batch = {}};
    expectModel(mixedShape(0), {{Verb::append, 1, 3},
                                {Verb::append, 2, 6},
                                mixed,
                                {Verb::observe, 1},
                                {Verb::append, 0, 2},
                                full,
                                none,
                                {Verb::observe, 0},
                                {Verb::observe, 2},
                                {Verb::step, 0, 0, 0, everyone, 0, {{1, 1}, {2, 1}}},
                                {Verb::observe, 1},
                                {Verb::observe, 2}});
}

// Five rows, of which the ring has lost one; and once more with the first two gone from each layer.
TEST(Contiguous, restoresWhatWasSaved) {
    for (std::size_t evicted : {0, 2})
        for (Step const& between : std::vector<Step>{{Verb::prefill, 0, 2},
                                                     {Verb::rollback, 0, 0},
                                                     {Verb::shift, 0, 0, 3},
                                                     {Verb::evict, 0, 1},
                                                     {Verb::release, 0},
                                                     {Verb::reset},
                                                     {Verb::reorder, 0, 26}})
            for (std::size_t to = 0; to < 3; ++to)
                expectModel(mixedShape(0), {{Verb::append, 0, 5},
                                            {Verb::evict, 0, evicted},
                                            {Verb::save, 0},
                                            between,
                                            {Verb::observe, 0},
                                            {Verb::release, to},
                                            {Verb::restore, 0, to},
                                            {Verb::observe, to},
                                            {Verb::attend, to},
                                            {Verb::prefill, to, 2},
                                            {Verb::rollback, to, 4},
                                            {Verb::restore, 0, (to + 1) % 3},
                                            {Verb::restore, 0, to},
                                            {Verb::observe, 0},
                                            {Verb::observe, 1},
                                            {Verb::observe, 2}});
}

TEST(Contiguous, keepsOneSequenceOfThree) {
    for (std::size_t kept = 0; kept < 3; ++kept)
        expectModel(mixedShape(0), {{Verb::append, 0, 3},
                                    {Verb::fork, 0, 1},
                                    {Verb::append, 2, 5},
                                    {Verb::keep, kept},
                                    {Verb::observe, 0},
                                    {Verb::observe, 1},
                                    {Verb::observe, 2},
                                    {Verb::prefill, 1, 2},
                                    {Verb::observe, 1}});
}

TEST(Contiguous, goesInCirclesWithoutMovingRows) {
    Trace trace;
    for (int i = 0; i < 6; ++i)
        trace.insert(trace.end(), {{Verb::prefill, 0, 3}, {Verb::evict, 0, 2}, {Verb::observe, 0}});
    expectModel(mixedShape(0), trace);
}

TEST(Contiguous, keepsThePositionOfAnEmptiedSequence) {
    expectModel(mixedShape(0), {{Verb::append, 0, 3},
                                {Verb::evict, 0, 3},
                                {Verb::observe, 0},
                                {Verb::fork, 1, 0},
                                {Verb::observe, 0},
                                {Verb::append, 0, 1},
                                {Verb::observe, 0}});
}

TEST(Contiguous, shiftsBackToWhereItWas) {
    for (std::int64_t delta = 0; delta < 8; ++delta)
        expectModel(mixedShape(2), {{Verb::append, 0, 5},
                                    {Verb::shift, 0, 0, delta},
                                    {Verb::observe, 0},
                                    {Verb::prefill, 0, 1},
                                    {Verb::shift, 0, 0, -delta},
                                    {Verb::observe, 0},
                                    {Verb::shift, 0, 0, -1},
                                    {Verb::shift, 0, 0, 15},
                                    {Verb::observe, 0}});
}

TEST(Contiguous, asksAtThePositionOfTheQuery) {
    // All keys and queries are (16, 0, 0, 0): the score is 256 cos(a quarter turn per position), so
    // the rows at whole turns from the query weigh alike and the others nothing.
    for (auto layout : {RotaryLayout::halfSplit, RotaryLayout::interleaved})
        for (auto storage : {KeyStorage::rotated, KeyStorage::raw}) {
            Shape shape{.sequences = 1, .capacity = 9, .layers = {{.keyDim = 4}}};
            shape.layers[0].keyStorage = storage;
            shape.layers[0].rotaryLayout = layout;
            shape.layers[0].rotaryDim = 4;
            addQuarterTurns(shape.layers[0], 9);
            Contiguous<> engine(shape);
            for (std::size_t p = 0; p < shape.capacity; ++p) {
                std::vector<float> const head{16, 0, 0, 0}, value{static_cast<float>(p)};
                std::vector<float> output(1);
                Rows const rows{head, value, head};
                ASSERT_TRUE(engine.stepLayer(SequenceId{0}, LayerIndex{0}, 1, rows, output));
                float sum = 0, count = 0;
                for (std::size_t at = p % 4; at <= p; at += 4, count += 1)
                    sum += static_cast<float>(at);
                EXPECT_EQ(output[0], sum / count) << p;
            }
        }
}

TEST(Contiguous, addsTheSlopeTimesTheDistance) {
    // A steep slope leaves the newest row, a steep negative one the oldest that is seen.
    Shape shape{.sequences = 1, .capacity = 4, .layers = {{.queryHeads = 2}}};
    shape.layers[0].window = 3;
    shape.layers[0].slopes = {256, -256};
    Contiguous<> engine(shape);
    for (std::size_t p = 0; p < shape.capacity; ++p) {
        std::vector<float> const one{0}, two{0, 0}, value{static_cast<float>(p)};
        std::vector<float> output(2);
        Rows const rows{one, value, two};
        ASSERT_TRUE(engine.stepLayer(SequenceId{0}, LayerIndex{0}, 1, rows, output));
        EXPECT_EQ(output[0], static_cast<float>(p));
        EXPECT_EQ(output[1], static_cast<float>(p < 2 ? 0 : p - 2));
    }
}

TEST(Contiguous, multipliesTheScoreByTheScale) {
    // Scores 1 and 0 are all a query can tell apart here; a scale of 256 makes them 256 and 0.
    Shape shape{.sequences = 1, .capacity = 2, .layers = {{.scale = 256}}};
    Contiguous<> engine(shape);
    std::vector<float> const keys{1, 0}, values{3, 5}, queries{1, 1};
    std::vector<float> output(2);
    ASSERT_TRUE(engine.stepLayer(SequenceId{0}, LayerIndex{0}, 2, {keys, values, queries}, output));
    EXPECT_EQ(output, (std::vector<float>{3, 3}));
}

TEST(ContiguousStep, layerByLayerEqualsWholeTokens) {
    Shape const shape = mixedShape(2);
    Driver<> whole(shape), layered(shape);
    for (std::size_t count : {3, 1, 4}) {
        auto rows = rowsOf(shape, 10 * count, count, 10 * count);
        for (std::size_t l = 0; l < shape.layers.size(); ++l)
            ASSERT_TRUE(layered.engine().stepLayer(SequenceId{0}, LayerIndex{l}, count,
                                              rows[l].spans(Purpose::prefill), rows[l].output));
        Answer const want = whole.apply({Verb::prefill, 0, count, 0, 10 * count}, 10 * count);
        for (std::size_t l = 0; l < shape.layers.size(); ++l)
            EXPECT_EQ(rows[l].output, want.outputs[l]);
    }
    EXPECT_EQ(difference(layered.apply({Verb::observe, 0}, 0), whole.apply({Verb::observe, 0}, 0)),
              "");
}

TEST(ContiguousStep, growsWithTheLastLayer) {
    Shape const shape = mixedShape(0);
    Driver<> driver(shape);
    auto& engine = driver.engine();
    auto const rows = rowsOf(shape, 0, 2);
    auto const spans = [&](std::size_t l) { return rows[l].spans(Purpose::append); };
    SequenceId const id{0};
    auto const stored = [&](std::size_t l, std::size_t count, std::size_t from) {
        return engine.stepLayer(id, LayerIndex{l}, count, spans(from), {}).refusal;
    };
    EXPECT_EQ(stored(1, 2, 1), Refusal::layerOutOfOrder);
    EXPECT_EQ(engine.stepLayer(id, LayerIndex{3}, 2, spans(1), {}).refusal, Refusal::unknownLayer);
    ASSERT_EQ(stored(0, 2, 0), Refusal::none);
    EXPECT_EQ(stored(0, 2, 0), Refusal::layerOutOfOrder);
    EXPECT_EQ(stored(1, 1, 1), Refusal::layerOutOfOrder);
    EXPECT_EQ(stored(1, 2, 0), Refusal::wrongShape);
    EXPECT_EQ(driver.apply({Verb::observe, 0}, 0).length, 0U);
    for (Verb verb :
         {Verb::append, Verb::prefill, Verb::attend, Verb::rollback, Verb::evict, Verb::remove,
          Verb::shift})
        EXPECT_FALSE(driver.apply({verb, 0, 0}, 0).accepted);
    EXPECT_EQ(engine.fork({id, SequenceId{1}}).refusal, Refusal::stepUnfinished);
    EXPECT_FALSE(driver.apply({Verb::reorder, 0, 0}, 0).accepted);
    EXPECT_FALSE(driver.apply({.verb = Verb::step, .batch = {{1, 1}, {0, 0}}}, 0).accepted);
    EXPECT_EQ(engine.save(id).refusal, Refusal::stepUnfinished);
    ASSERT_TRUE(engine.save(SequenceId{1}));
    EXPECT_EQ(engine.restore({SequenceId{1}, id}).refusal, Refusal::stepUnfinished);
    ASSERT_TRUE(engine.stepLayer(id, LayerIndex{1}, 2, spans(1), {}));
    ASSERT_TRUE(engine.stepLayer(id, LayerIndex{2}, 2, spans(2), {}));
    Driver<> whole(shape);
    (void)whole.apply({Verb::append, 0, 2}, 0);
    EXPECT_EQ(difference(driver.apply({Verb::observe, 0}, 0), whole.apply({Verb::observe, 0}, 0)),
              "");
}

TEST(ContiguousStep, isGivenUpByARelease) {
    Shape const shape = mixedShape(0);
    Driver<> driver(shape);
    auto const rows = rowsOf(shape, 0, 2);
    ASSERT_TRUE(driver.engine().stepLayer(SequenceId{0}, LayerIndex{0}, 2,
                                          rows[0].spans(Purpose::append), {}));
    ASSERT_TRUE(driver.engine().keep(SequenceId{0}));
    EXPECT_FALSE(driver.apply({Verb::append, 0, 1}, 0).accepted);
    ASSERT_TRUE(driver.engine().release(SequenceId{0}));
    EXPECT_TRUE(driver.apply({Verb::append, 0, 1}, 0).accepted);
    EXPECT_EQ(driver.apply({Verb::observe, 0}, 0).length, 1U);
}

// Runs `refused` on an engine whose sequence 0 holds four rows and 1 holds none, and expects this
// refusal and an unchanged engine.
void expectRefusal(Refusal why, auto refused, Shape const& shape = mixedShape(0)) {
    Driver<> driver(shape);
    (void)driver.apply({Verb::append, 0, 4}, 0);
    Answer const before = driver.apply({Verb::observe, 0}, 0);
    EXPECT_EQ(refused(driver.engine()).refusal, why) << describe(why);
    EXPECT_EQ(difference(driver.apply({Verb::observe, 0}, 0), before), "") << describe(why);
    EXPECT_EQ(driver.apply({Verb::observe, 1}, 0).length, 0U) << describe(why);
}

TEST(ContiguousRefusal, leavesTheEngineAsItWas) {
    constexpr auto at = [](std::size_t id) { return SequenceId{id}; };
    auto const store = [](auto& engine, std::size_t count) {
        auto const owned = rowsOf(mixedShape(0), 50, count);
        std::vector<Rows> rows;
        for (OwnedRows const& row : owned)
            rows.push_back(row.spans(Purpose::append));
        return engine.append(SequenceId{0}, count, rows);
    };
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.release(at(3)); });
    std::vector<std::size_t> const two{0, 1}, unknown{0, 1, 3};
    expectRefusal(Refusal::reordersOthers, [&](auto& e) { return e.reorder(two); });
    expectRefusal(Refusal::reordersOthers, [&](auto& e) { return e.reorder(unknown); });
    auto const owned = rowsOf(mixedShape(0), 50, 0);
    std::vector<Rows> const none(owned.size());
    std::vector<std::span<float>> const nowhere(owned.size());
    auto const step = [&](auto& e, std::size_t first, std::size_t second) {
        BatchItem const items[] = {{at(first), 0, none, nowhere}, {at(second), 0, none, nowhere}};
        return e.step(items);
    };
    expectRefusal(Refusal::namedTwice, [&](auto& e) { return step(e, 1, 1); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return step(e, 1, 3); });
    expectRefusal(Refusal::wrongShape, [&](auto& e) {
        return e.step(std::array{BatchItem{at(0), 1, none, nowhere}});
    });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.save(at(3)); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.restore({at(3), at(1)}); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.restore({at(0), at(3)}); });
    expectRefusal(Refusal::nothingSaved, [&](auto& e) { return e.restore({at(0), at(1)}); });
    expectRefusal(Refusal::restoreOntoRows, [&](auto& e) {
        EXPECT_TRUE(e.save(at(1)));
        return e.restore({at(1), at(0)});
    });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.keep(at(3)); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.rollback(at(3), 0); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.evict(at(3), 0); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.shift(at(3), 0); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.fork({at(0), at(3)}); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.fork({at(3), at(1)}); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.append(at(3), 0, {}); });
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.attend(at(3), {}, {}); });
    expectRefusal(Refusal::full, [&](auto& e) { return store(e, 5); });
    expectRefusal(Refusal::rollbackGrows, [&](auto& e) { return e.rollback(at(0), 5); });
    expectRefusal(Refusal::forkOntoItself, [&](auto& e) { return e.fork({at(0), at(0)}); });
    expectRefusal(Refusal::forkOntoRows, [&](auto& e) { return e.fork({at(1), at(0)}); });
    expectRefusal(Refusal::evictsTooMany, [&](auto& e) { return e.evict(at(0), 5); });
    expectRefusal(
        Refusal::evictsPinnedSinks, [&](auto& e) { return e.evict(at(0), 1); }, mixedShape(2));
    expectRefusal(Refusal::unknownSequence, [&](auto& e) { return e.remove(at(3), {0, 0}); });
    expectRefusal(Refusal::removesTooMany, [&](auto& e) { return e.remove(at(0), {1, 4}); });
    expectRefusal(Refusal::removesTooMany, [&](auto& e) { return e.remove(at(0), {5, 0}); });
    auto const all = std::numeric_limits<std::size_t>::max();
    expectRefusal(Refusal::removesTooMany, [&](auto& e) { return e.remove(at(0), {2, all}); });
    expectRefusal(
        Refusal::removesPinnedSinks, [&](auto& e) { return e.remove(at(0), {2, 1}); },
        mixedShape(2));
    expectRefusal(Refusal::negativePosition, [&](auto& e) { return e.shift(at(0), -1); });
    auto const lowest = std::numeric_limits<std::int64_t>::min();
    auto const highest = std::numeric_limits<std::int64_t>::max();
    expectRefusal(Refusal::negativePosition, [&](auto& e) { return e.shift(at(0), lowest); });
    expectRefusal(Refusal::outsideRotaryTable, [&](auto& e) { return e.shift(at(0), 17); });
    expectRefusal(Refusal::outsideRotaryTable, [&](auto& e) { return e.shift(at(0), highest); });
    expectRefusal(Refusal::outsideRotaryTable, [&](auto& e) { return e.shift(at(1), 21); });
    expectRefusal(Refusal::outsideRotaryTable, [&](auto& e) { return e.shift(at(1), highest); });
}

TEST(ContiguousRefusal, namesAPositionBehindTheRotaryTable) {
    Driver<> driver(mixedShape(0));
    (void)driver.apply({Verb::append, 0, 4}, 0);
    ASSERT_TRUE(driver.engine().shift(SequenceId{0}, 16));
    ASSERT_TRUE(driver.engine().shift(SequenceId{1}, 20));
    Answer const before = driver.apply({Verb::observe, 0}, 0);
    EXPECT_FALSE(driver.apply({Verb::append, 0, 1}, 4).accepted);
    EXPECT_FALSE(driver.apply({Verb::prefill, 0, 1}, 4).accepted);
    EXPECT_TRUE(driver.apply({Verb::append, 0, 0}, 4).accepted);
    EXPECT_EQ(difference(driver.apply({Verb::observe, 0}, 0), before), "");
}

TEST(ContiguousRefusal, namesAWrongShape) {
    Shape const shape = mixedShape(0);
    auto const owned = rowsOf(shape, 50, 2);
    std::vector<Rows> good;
    for (OwnedRows const& row : owned)
        good.push_back(row.spans(Purpose::append));
    for (std::size_t l = 0; l < shape.layers.size(); ++l)
        for (int part = 0; part < 3; ++part) {
            auto bad = good;
            if (part == 0)
                bad[l].keys = bad[l].keys.first(bad[l].keys.size() - 1);
            if (part == 1)
                bad[l].values = bad[l].values.first(bad[l].values.size() / 2);
            if (part == 2)
                bad[l].queries = owned[l].queries;
            expectRefusal(Refusal::wrongShape,
                          [&](auto& e) { return e.append(SequenceId{0}, 2, bad); });
        }
    expectRefusal(Refusal::wrongShape,
                  [&](auto& e) { return e.append(SequenceId{0}, 2, std::span(good).first(2)); });
    expectRefusal(Refusal::wrongShape, [&](auto& e) { return e.append(SequenceId{0}, 1, good); });
    expectRefusal(Refusal::wrongShape,
                  [&](auto& e) { return e.prefill(SequenceId{0}, 2, good, {}); });
    expectRefusal(Refusal::wrongShape, [&](auto& e) { return e.attend(SequenceId{0}, {}, {}); });
    std::vector<float> output(100);
    std::vector<std::span<float>> const outputs(3, output);
    auto const asked = rowsOf(shape, 50, 2);
    std::vector<Rows> asking;
    for (OwnedRows const& row : asked)
        asking.push_back(row.spans(Purpose::prefill));
    expectRefusal(Refusal::wrongShape,
                  [&](auto& e) { return e.prefill(SequenceId{0}, 2, asking, outputs); });
    expectRefusal(Refusal::wrongShape, [&](auto& e) {
        return e.stepLayer(SequenceId{0}, LayerIndex{0}, 2, asking[0], outputs[0]);
    });
}

TEST(ContiguousRefusal, isNotFooledByAProductThatWraps) {
    // 2^63 tokens of two components are none, if sizes are multiplied.
    Contiguous<> engine(Shape{.layers = {{.keyDim = 2, .valueDim = 2}}});
    std::vector<Rows> const nothing(1);
    EXPECT_EQ(engine.append(SequenceId{0}, std::size_t{1} << 63, nothing).refusal,
              Refusal::wrongShape);
}

TEST(ContiguousRefusal, attendsToNothingThatIsEmpty) {
    Driver<> driver(mixedShape(0));
    EXPECT_FALSE(driver.apply({Verb::attend, 0}, 0).accepted);
    (void)driver.apply({Verb::append, 0, 2}, 0);
    ASSERT_TRUE(driver.engine().evict(SequenceId{0}, 2));
    EXPECT_FALSE(driver.apply({Verb::attend, 0}, 0).accepted);
}

TEST(ContiguousRefusal, readsOnlyIntoFittingBuffers) {
    Driver<> driver(mixedShape(0));
    (void)driver.apply({Verb::append, 0, 2}, 0);
    auto const& engine = driver.engine();
    std::vector<std::int64_t> positions(2);
    std::vector<float> keys(32), values(8);
    SequenceId const id{0};
    LayerIndex const ring{1};
    EXPECT_TRUE(engine.read(id, ring, {positions, keys, values}));
    EXPECT_FALSE(engine.read(id, ring, {positions, keys, std::span(values).first(6)}));
    EXPECT_FALSE(engine.read(id, ring, {positions, std::span(keys).first(6), values}));
    EXPECT_FALSE(engine.read(id, ring, {std::span(positions).first(1), keys, values}));
    EXPECT_EQ(engine.read(id, LayerIndex{3}, {}).refusal, Refusal::unknownLayer);
    EXPECT_EQ(engine.read(SequenceId{3}, ring, {}).refusal, Refusal::unknownSequence);
}

TEST(ContiguousRefusal, saysSomethingElseEachTime) {
    std::map<std::string, int> seen;
    for (int r = 0; r <= static_cast<int>(Refusal::stepUnfinished); ++r)
        ++seen[describe(Refusal(r))];
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(Refusal::stepUnfinished) + 1);
    EXPECT_FALSE(seen.contains("unknown refusal"));
}

TEST(ContiguousShape, refusesContradictions) {
    auto const wrong = [](auto change) {
        Shape shape = mixedShape(0);
        change(shape);
        EXPECT_NE(whyInvalid(shape), nullptr);
        EXPECT_THROW(Contiguous<>{shape}, std::invalid_argument);
    };
    EXPECT_EQ(whyInvalid(mixedShape(0)), nullptr);
    wrong([](Shape& s) { s.sequences = 0; });
    wrong([](Shape& s) { s.capacity = 0; });
    wrong([](Shape& s) { s.layers.clear(); });
    wrong([](Shape& s) { s.layers[0].queryHeads = 3; });
    wrong([](Shape& s) { s.layers[0].kvHeads = 0; });
    wrong([](Shape& s) { s.layers[2].keyDim = 0; });
    wrong([](Shape& s) { s.layers[1].retained = 2; });
    wrong([](Shape& s) { s.layers[1].window = 0; });
    wrong([](Shape& s) { s.layers[0].rotaryDim = 3; });
    wrong([](Shape& s) { s.layers[0].rotaryDim = 8; });
    wrong([](Shape& s) { s.layers[0].sine.pop_back(); });
    wrong([](Shape& s) { s.layers[0].cosine.clear(); });
    wrong([](Shape& s) { s.layers[0].slopes = {1}; });
    wrong([](Shape& s) { s.capacity = std::size_t{1} << 61; });
    wrong([](Shape& s) { s.layers[0].valueDim = std::size_t{1} << 61; });
}

// Drives every verb of an engine, and counts.
template <class Engine>
void expectNoAllocation() {
    EngineDriver<Engine> driver(mixedShape(0));
    Engine& engine = driver.engine();
    Shape const& shape = driver.shape();
    auto rows = rowsOf(shape, 0, 6, 2);
    std::vector<Rows> asked, stored;
    std::vector<std::span<float>> outputs, newest;
    std::vector<std::span<float const>> queries;
    for (std::size_t l = 0; l < rows.size(); ++l) {
        LayerShape const& layer = shape.layers[l];
        asked.push_back(rows[l].spans(Purpose::prefill));
        stored.push_back({std::span(rows[l].keys).first(2 * layer.kvHeads * layer.keyDim),
                          std::span(rows[l].values).first(2 * layer.kvHeads * layer.valueDim),
                          {}});
        outputs.push_back(rows[l].output);
        newest.push_back(std::span(rows[l].output).first(layer.queryHeads * layer.valueDim));
        queries.push_back(std::span(rows[l].queries).first(layer.queryHeads * layer.keyDim));
    }
    SequenceId const one{0}, two{1};
    std::vector<std::size_t> const beams{1, 1, 0};
    std::vector<Rows> const none(rows.size());
    std::vector<std::span<float>> const nowhere(rows.size());
    std::size_t const before = allocations;
    bool accepted = !!engine.prefill(one, 6, asked, outputs);
    accepted = accepted && engine.append(one, 2, stored);
    bool const refused = !engine.append(one, 2, stored);
    accepted = accepted && engine.attend(one, queries, newest) && engine.rollback(one, 7);
    accepted = accepted && engine.fork({one, two}) && engine.evict(two, 4);
    if constexpr (!isPaged<Engine>)
        accepted = accepted && engine.remove(two, {1, 1}) && engine.shift(two, 2);
    accepted = accepted && engine.reorder(beams) && engine.append(two, 2, stored);
    BatchItem const batch[] = {{SequenceId{2}, 0, none, nowhere}, {two, 0, none, nowhere}};
    accepted = accepted && engine.step(batch);
    accepted = accepted && engine.attend(two, queries, newest) && engine.release(one);
    engine.reset();
    EXPECT_EQ(allocations, before);
    EXPECT_TRUE(accepted && refused);
}

TEST(ContiguousStorage, isTakenOnce) { expectNoAllocation<Contiguous<>>(); }
TEST(PagedStorage, isTakenOnce) { expectNoAllocation<Paged<>>(); }

// After any rollback, this engine claims to hold a row in every slot of smallShape().
struct ShowsEverySlot : Standard {
    static constexpr std::size_t lengthAfterRollback(Cut) { return 3; }
};

TEST(ContiguousStorage, isRefilledWhereRowsWere) {
    struct Case {
        std::size_t stored;
        Step drop;
        std::size_t left;
    };
    for (float fill : {0, 7})
        for (Case const& c :
             {Case{2, {Verb::rollback, 0, 1}, 1}, Case{3, {Verb::evict, 0, 2}, 1},
              Case{2, removal(1, 1), 1},
              Case{3, {Verb::release, 0}, 0}, Case{3, {Verb::reset}, 0}, Case{1, {}, 1}}) {
            Driver<ShowsEverySlot> driver(smallShape(), {.fill = fill});
            (void)driver.apply({Verb::append, 0, c.stored}, 0);
            (void)driver.apply(c.drop, 0);
            (void)driver.apply({Verb::rollback, 0, c.left}, 0);
            Answer const seen = driver.apply({Verb::observe, 0}, 0);
            // Layer 1 keeps every row: one kv head, keys of three components, values of two.
            ASSERT_EQ(seen.keys[1].size(), 9U);
            for (std::size_t i = 3 * c.left; i < 9; ++i)
                EXPECT_EQ(seen.keys[1][i], fill);
            for (std::size_t i = 2 * c.left; i < 6; ++i)
                EXPECT_EQ(seen.values[1][i], fill);
        }
}

}  // namespace
}  // namespace kv::tests

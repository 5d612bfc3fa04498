// paged_test: hold our paged engine to the naive model, and its pool to its count.
#include "contiguous_model.hpp"

namespace kv::tests {

using namespace naive;

namespace {

TEST(Paged, answersRandomTracesAsTheModelDoes) {
    for (std::size_t sinks : {0, 2})
        for (float fill : {float{}, std::numeric_limits<float>::quiet_NaN()}) {
            EngineDriver<Paged<>> driver(mixedShape(sinks), {.fill = fill});
            std::mt19937 random(1);
            for (int i = 0; i < 500; ++i) {
                Difference const found =
                    firstDifference(driver, randomTrace(driver.shape(), random));
                ASSERT_EQ(found.step, 0U) << "trace " << i << ": " << found.what;
            }
        }
}

// Five blocks of two rows, and sequences of at most eight.
class PagedPool : public testing::Test {
   protected:
    Shape shape = shapeFor<Paged<>>(mixedShape(0));
    Paged<> engine{shape, {.blockRows = 2, .blocks = 5}};
    SequenceId const a{0}, b{1}, c{2};

    Status append(SequenceId id, std::size_t count) {
        auto const owned = rowsOf(shape, 0, count);
        std::vector<Rows> rows;
        for (auto const& layer : owned) rows.push_back(layer.spans(Purpose::append));
        return engine.append(id, count, rows);
    }
    struct Stores {
        SequenceId sequence;
        std::size_t count;
    };
    Status step(std::vector<Stores> const& items) {
        std::vector<std::vector<OwnedRows>> owned;
        std::vector<std::vector<Rows>> rows(items.size());
        std::vector<std::vector<std::span<float>>> outputs(items.size());
        std::vector<BatchItem> batch;
        for (auto const& [sequence, count] : items) owned.push_back(rowsOf(shape, 0, count));
        for (std::size_t i = 0; i < items.size(); ++i) {
            for (auto& layer : owned[i]) {
                rows[i].push_back(layer.spans(Purpose::prefill));
                outputs[i].push_back(layer.output);
            }
            batch.push_back({items[i].sequence, items[i].count, rows[i], outputs[i]});
        }
        return engine.step(batch);
    }
    std::size_t length(SequenceId id) {
        SequenceState state;
        EXPECT_TRUE(engine.observe(id, state));
        return state.length;
    }
};

TEST_F(PagedPool, takesABlockWhereARowNeedsOne) {
    for (std::size_t rows = 1; rows <= 8; ++rows) {
        ASSERT_TRUE(append(a, 1));
        EXPECT_EQ(engine.freeBlocks(), 5 - (rows + 1) / 2);
    }
    EXPECT_EQ(append(a, 1).refusal, Refusal::full);
}

TEST_F(PagedPool, refusesWithoutAFreeBlockAndChangesNothing) {
    ASSERT_TRUE(append(a, 7));
    ASSERT_TRUE(append(b, 1));
    EXPECT_EQ(engine.freeBlocks(), 0U);
    EXPECT_EQ(append(b, 2).refusal, Refusal::outOfBlocks);
    EXPECT_EQ(append(c, 1).refusal, Refusal::outOfBlocks);
    EXPECT_EQ(length(b), 1U);
    EXPECT_EQ(length(c), 0U);
    ASSERT_TRUE(append(b, 1)) << "its block has room";
    ASSERT_TRUE(engine.release(a));
    EXPECT_EQ(engine.freeBlocks(), 4U);
    EXPECT_TRUE(append(c, 8));
}

TEST_F(PagedPool, takesNoneOfAChunkForWhichItHasTooFew) {
    ASSERT_TRUE(append(a, 6));
    EXPECT_EQ(append(b, 5).refusal, Refusal::outOfBlocks);
    EXPECT_EQ(engine.freeBlocks(), 2U);
    EXPECT_TRUE(append(b, 4));
}

TEST_F(PagedPool, copiesASharedBlockOnceAndOnlyWhereARowGoes) {
    ASSERT_TRUE(append(a, 3));
    ASSERT_TRUE(engine.fork({a, b}));
    ASSERT_TRUE(engine.fork({a, c}));
    EXPECT_EQ(engine.freeBlocks(), 3U) << "a fork takes no block";
    ASSERT_TRUE(append(b, 1));
    EXPECT_EQ(engine.freeBlocks(), 2U) << "the last block, and not the full one before it";
    ASSERT_TRUE(append(c, 1));
    ASSERT_TRUE(append(a, 1)) << "nobody else is left in it";
    EXPECT_EQ(engine.freeBlocks(), 1U);
    EXPECT_EQ(append(b, 0).refusal, Refusal::none) << "nothing is written, so nothing is copied";
    ASSERT_TRUE(append(b, 1));
    EXPECT_EQ(append(a, 1).refusal, Refusal::outOfBlocks);
}

TEST_F(PagedPool, refusesACopyForWhichNoBlockIsFree) {
    ASSERT_TRUE(append(a, 7));
    ASSERT_TRUE(engine.fork({a, b}));
    ASSERT_TRUE(append(c, 1));
    EXPECT_EQ(append(b, 1).refusal, Refusal::outOfBlocks);
    EXPECT_EQ(length(b), 7U);
    ASSERT_TRUE(engine.release(a));
    EXPECT_TRUE(append(b, 1)) << "it is alone in its blocks now";
}

TEST_F(PagedPool, stepsAllItemsOrTakesNoBlock) {
    ASSERT_TRUE(append(a, 3));
    ASSERT_TRUE(engine.fork({a, b}));
    EXPECT_EQ(engine.freeBlocks(), 3U);
    EXPECT_EQ(step({{a, 1}, {b, 2}, {c, 3}}).refusal, Refusal::outOfBlocks)
        << "a copy, a block for the third row of a pair, and two for three rows";
    EXPECT_EQ(engine.freeBlocks(), 3U);
    EXPECT_EQ(length(a), 3U);
    EXPECT_EQ(step({{c, 1}, {b, 8}}).refusal, Refusal::full);
    EXPECT_EQ(engine.freeBlocks(), 3U);
    ASSERT_TRUE(step({{a, 1}, {b, 1}, {c, 0}})) << "one of the two copies what they share";
    EXPECT_EQ(engine.freeBlocks(), 2U);
    ASSERT_TRUE(step({{c, 4}}));
    EXPECT_EQ(engine.freeBlocks(), 0U);
    EXPECT_TRUE(step({{c, 0}, {a, 0}}));
    ASSERT_TRUE(engine.release(a));
    EXPECT_EQ(engine.freeBlocks(), 1U) << "the first block is shared still";
}

TEST_F(PagedPool, getsBlocksBackWhenTheLastTableLetsGo) {
    ASSERT_TRUE(append(a, 6));
    ASSERT_TRUE(engine.fork({a, b}));
    ASSERT_TRUE(engine.rollback(a, 1));
    EXPECT_EQ(engine.freeBlocks(), 2U);
    ASSERT_TRUE(engine.evict(b, 2));
    EXPECT_EQ(engine.freeBlocks(), 2U) << "the first block has a row of the other sequence";
    ASSERT_TRUE(engine.evict(b, 3));
    EXPECT_EQ(engine.freeBlocks(), 3U);
    ASSERT_TRUE(engine.evict(b, 1)) << "a table without rows names no block";
    EXPECT_EQ(engine.freeBlocks(), 4U);
    ASSERT_TRUE(engine.rollback(a, 0));
    EXPECT_EQ(engine.freeBlocks(), 5U);
}

TEST_F(PagedPool, reordersWithoutABlock) {
    ASSERT_TRUE(append(a, 4));
    ASSERT_TRUE(append(b, 6));
    EXPECT_EQ(engine.freeBlocks(), 0U);
    std::vector<std::size_t> const swapped{1, 0, 1};
    ASSERT_TRUE(engine.reorder(swapped));
    EXPECT_EQ(engine.freeBlocks(), 0U);
    EXPECT_EQ(length(a), 6U);
    EXPECT_EQ(length(c), 6U);
    std::vector<std::size_t> const first{1, 1, 1};
    ASSERT_TRUE(engine.reorder(first));
    EXPECT_EQ(engine.freeBlocks(), 3U) << "nobody goes on from the longer one";
    ASSERT_TRUE(engine.keep(b));
    ASSERT_TRUE(engine.release(b));
    EXPECT_EQ(engine.freeBlocks(), 5U);
}

TEST_F(PagedPool, restoresIntoFreeBlocksOrNone) {
    ASSERT_TRUE(append(a, 5));
    EXPECT_EQ(engine.restore({a, b}).refusal, Refusal::nothingSaved);
    ASSERT_TRUE(engine.save(a));
    EXPECT_EQ(engine.freeBlocks(), 2U) << "a saved copy takes none";
    EXPECT_EQ(engine.restore({a, b}).refusal, Refusal::outOfBlocks);
    EXPECT_EQ(engine.freeBlocks(), 2U);
    EXPECT_EQ(engine.restore({a, a}).refusal, Refusal::restoreOntoRows);
    ASSERT_TRUE(engine.rollback(a, 4));
    ASSERT_TRUE(engine.restore({a, b})) << "it takes its own and shares none";
    EXPECT_EQ(engine.freeBlocks(), 0U);
    ASSERT_TRUE(append(b, 1)) << "its last block has room";
    ASSERT_TRUE(engine.release(a));
    EXPECT_EQ(length(b), 6U);
}

// An evicted row may leave a block half empty; what is restored has none in front of it.
TEST_F(PagedPool, restoresLiveRowsOnly) {
    ASSERT_TRUE(append(a, 6));
    ASSERT_TRUE(engine.evict(a, 3));
    EXPECT_EQ(engine.freeBlocks(), 3U);
    ASSERT_TRUE(engine.evict(a, 2));
    ASSERT_TRUE(engine.save(a));
    ASSERT_TRUE(engine.release(a));
    ASSERT_TRUE(engine.restore({a, c}));
    EXPECT_EQ(engine.freeBlocks(), 4U);
    EXPECT_EQ(length(c), 1U);
    ASSERT_TRUE(append(c, 1));
    EXPECT_EQ(engine.freeBlocks(), 4U) << "the row stands first in its block";
}

TEST(Paged, endsEveryRandomTraceWithoutABlockInUse) {
    EngineDriver<Paged<>> driver(mixedShape(0));
    std::size_t const blocks = driver.engine().freeBlocks();
    std::mt19937 random(3);
    for (int i = 0; i < 300; ++i) {
        (void)driver.apply({Verb::reset}, 0);
        for (Step const& step : randomTrace(driver.shape(), random))
            if (driver.offers(step.verb) && step.verb != Verb::reset)
                (void)driver.apply(step, 0);
        for (std::size_t s = 0; s < 3; ++s) (void)driver.apply({Verb::release, s}, 0);
        ASSERT_EQ(driver.engine().freeBlocks(), blocks) << "trace " << i;
    }
}

TEST(Paged, refusesAShapeThatItCannotBe) {
    Shape const shape = shapeFor<Paged<>>(mixedShape(0));
    EXPECT_NO_THROW(Paged<>(shape, {.blockRows = 3, .blocks = 3}));
    EXPECT_THROW(Paged<>(shape, {.blockRows = 3, .blocks = 2}), std::invalid_argument);
    EXPECT_THROW(Paged<>(shape, {.blockRows = 0, .blocks = 9}), std::invalid_argument);
    EXPECT_THROW(Paged<>(shape, {.blockRows = std::size_t{1} << 60, .blocks = 16}),
                 std::invalid_argument);
    EXPECT_THROW(Paged<>(mixedShape(0), {.blockRows = 2, .blocks = 9}), std::invalid_argument);
}

}  // namespace
}  // namespace kv::tests

// state_test: what an engine owes whose sequences share a pool of blocks.
#include "properties/state.hpp"

#include <gtest/gtest.h>

namespace kv::tests {

using properties::Permission;
using properties::State;
using properties::Step;

namespace {

// Three sequences of at most eight rows; five blocks of two rows for all of them.
class StateOfPool : public testing::Test {
   protected:
    Declaration declaration = [] {
        Declaration d{};
        d.sequences = 3;
        d.capacity = 8;
        d.verbs = {std::begin(everyVerb), std::end(everyVerb)};
        d.layers.push_back({});
        d.pool = Pool{.blockRows = 2, .blocks = 5};
        return d;
    }();
    State state{declaration};

    Permission ofAppend(properties::SequenceId s, std::size_t count) {
        return state.permission({.verb = Verb::append, .sequence = s, .count = count});
    }
    void append(properties::SequenceId s, std::size_t count) {
        state.apply({.verb = Verb::append, .sequence = s, .count = count});
    }
};

TEST_F(StateOfPool, demands_what_fits_and_allows_the_rest) {
    append(0, 5);
    EXPECT_EQ(ofAppend(0, 3), Permission::mustAccept) << "four blocks";
    EXPECT_EQ(ofAppend(1, 4), Permission::mustAccept) << "three and two";
    EXPECT_EQ(ofAppend(1, 5), Permission::mayRefuse) << "three and three";
    EXPECT_EQ(ofAppend(1, 9), Permission::mustRefuse) << "more than a sequence holds";
    declaration.pool.reset();
    EXPECT_EQ(ofAppend(1, 5), Permission::mustAccept);
}

TEST_F(StateOfPool, counts_a_fork_as_a_copy) {
    append(0, 4);
    Step const fork{.verb = Verb::fork, .sequence = 0, .to = 1};
    EXPECT_EQ(state.permission(fork), Permission::mustAccept);
    state.apply(fork);
    EXPECT_EQ(ofAppend(2, 2), Permission::mustAccept);
    append(2, 2);
    EXPECT_EQ(ofAppend(1, 1), Permission::mayRefuse);
    EXPECT_EQ(state.permission({.verb = Verb::fork, .sequence = 0, .to = 1}),
              Permission::mustRefuse)
        << "it has rows";
}

TEST_F(StateOfPool, knows_not_what_comes_back_before_a_release) {
    append(0, 8);
    state.apply({.verb = Verb::rollback, .sequence = 0, .length = 1});
    EXPECT_EQ(ofAppend(1, 3), Permission::mayRefuse) << "a rollback may keep its blocks";
    EXPECT_EQ(ofAppend(0, 7), Permission::mustAccept) << "and must use them again";
    state.apply({.verb = Verb::evict, .sequence = 0, .count = 1});
    EXPECT_EQ(ofAppend(0, 8), Permission::mustAccept) << "rows behind the evicted one fill five";
    EXPECT_EQ(ofAppend(1, 1), Permission::mustAccept);
    state.apply({.verb = Verb::release, .sequence = 0});
    EXPECT_EQ(ofAppend(1, 8), Permission::mustAccept);
}

TEST_F(StateOfPool, counts_old_and_new_of_a_reorder) {
    append(0, 2);
    append(1, 2);
    Step const swapped{.verb = Verb::reorder, .parents = {1, 0, 2}};
    EXPECT_EQ(state.permission(swapped), Permission::mustAccept);
    append(1, 1);
    EXPECT_EQ(state.permission(swapped), Permission::mayRefuse);
    EXPECT_EQ(state.permission({.verb = Verb::reorder, .parents = {1, 0}}),
              Permission::mustRefuse);
}

TEST_F(StateOfPool, counts_the_items_of_a_batch_together) {
    append(0, 4);
    auto const of = [&](std::vector<properties::BatchItem> items) {
        return state.permission({.verb = Verb::step, .batch = std::move(items)});
    };
    EXPECT_EQ(of({{2, 3}, {0, 1}}), Permission::mustAccept) << "two blocks and three";
    EXPECT_EQ(of({{2, 3}, {0, 1}, {1, 1}}), Permission::mayRefuse);
    EXPECT_EQ(of({{2, 3}, {0, 1}, {1, 0}}), Permission::mustAccept) << "nothing for nobody";
    EXPECT_EQ(of({{1, 1}, {0, 5}}), Permission::mustRefuse) << "more than a sequence holds";
    EXPECT_EQ(of({{1, 1}, {1, 1}}), Permission::mustRefuse) << "named twice";
    EXPECT_EQ(of({{3, 0}}), Permission::mustRefuse) << "there are three";
    Step const step{.verb = Verb::step, .batch = {{2, 3}, {0, 1}, {1, 0}}};
    state.apply(step);
    EXPECT_EQ(state.stored(), 8U);
    EXPECT_EQ(state[2].length(), 3U);
    EXPECT_EQ(state[0].next, 5);
    EXPECT_EQ(state[1].length(), 0U);
}

TEST_F(StateOfPool, knows_what_was_saved_whatever_came_after) {
    Step const restore{.verb = Verb::restore, .sequence = 0, .to = 1};
    EXPECT_EQ(state.permission(restore), Permission::mustRefuse) << "nothing was saved";
    append(0, 3);
    state.apply({.verb = Verb::save, .sequence = 0});
    auto const saved = state[0];
    EXPECT_EQ(state.permission(restore), Permission::mustAccept);
    EXPECT_EQ(state.permission({.verb = Verb::restore, .sequence = 0, .to = 0}),
              Permission::mustRefuse)
        << "it has rows";
    EXPECT_EQ(state.permission({.verb = Verb::restore, .sequence = 0, .to = 3}),
              Permission::mustRefuse)
        << "there is none";
    append(0, 4);
    EXPECT_EQ(state.permission(restore), Permission::mayRefuse) << "four blocks and two";
    state.apply({.verb = Verb::reset});
    EXPECT_EQ(state.permission(restore), Permission::mustAccept) << "a reset leaves it";
    state.apply(restore);
    EXPECT_EQ(state[1], saved);
    EXPECT_EQ(state.permission(restore), Permission::mustRefuse);
    append(1, 1);
    state.apply({.verb = Verb::evict, .sequence = 1, .count = 4});
    state.apply({.verb = Verb::restore, .sequence = 0, .to = 2});
    EXPECT_EQ(state[2], saved) << "what was restored first has nothing to do with it";
    EXPECT_EQ(state.permission(restore), Permission::mayRefuse) << "it is empty and has begun";
}

// A copy may keep the blocks that it had, those of evicted rows and of rows taken back among them.
TEST_F(StateOfPool, counts_what_a_saved_sequence_held) {
    append(0, 8);
    state.apply({.verb = Verb::rollback, .sequence = 0, .length = 4});
    state.apply({.verb = Verb::evict, .sequence = 0, .count = 3});
    state.apply({.verb = Verb::save, .sequence = 0});
    state.apply({.verb = Verb::release, .sequence = 0});
    append(1, 2);
    Step const restore{.verb = Verb::restore, .sequence = 0, .to = 2};
    EXPECT_EQ(state.permission(restore), Permission::mustAccept) << "one block and four";
    append(1, 1);
    EXPECT_EQ(state.permission(restore), Permission::mayRefuse);
}

// An engine that shares full blocks only needs one to roll back into such a block; one that moves
// rows down needs one to evict from it. Beyond its count both may refuse.
TEST_F(StateOfPool, excuses_what_may_copy_a_shared_block) {
    append(0, 4);
    state.apply({.verb = Verb::fork, .sequence = 0, .to = 1});
    append(2, 3);
    for (Verb verb : {Verb::rollback, Verb::evict, Verb::remove, Verb::shift})
        EXPECT_EQ(state.permission({.verb = verb, .sequence = 1, .count = 1, .length = 3}),
                  Permission::mayRefuse);
}

// A rollback may keep its blocks until a release, and a fork or a reorder uses those.
TEST_F(StateOfPool, remembers_what_a_sequence_held_before_it_became_another) {
    append(1, 8);
    state.apply({.verb = Verb::rollback, .sequence = 1});
    append(0, 1);
    state.apply({.verb = Verb::fork, .sequence = 0, .to = 1});
    EXPECT_EQ(ofAppend(2, 1), Permission::mayRefuse);
    EXPECT_EQ(ofAppend(1, 7), Permission::mustAccept);
    State reordered{declaration};
    reordered.apply({.verb = Verb::append, .sequence = 1, .count = 8});
    reordered.apply({.verb = Verb::append, .sequence = 0, .count = 1});
    reordered.apply({.verb = Verb::reorder, .parents = {0, 0, 2}});
    EXPECT_EQ(reordered.permission({.verb = Verb::append, .sequence = 2, .count = 1}),
              Permission::mayRefuse);
}

TEST_F(StateOfPool, never_excuses_what_takes_no_block) {
    append(0, 8);
    append(1, 2);
    append(2, 1);
    for (Verb verb :
         {Verb::attend, Verb::observe, Verb::save, Verb::release, Verb::keep, Verb::reset})
        EXPECT_EQ(state.permission({.verb = verb, .sequence = 0}), Permission::mustAccept);
}

}  // namespace
}  // namespace kv::tests

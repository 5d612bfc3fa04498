// examples_test: caches as people write them, adapted in a page each, hold; with one wrong line
// they are convicted.
#include "examples/dynamic_layers.hpp"
#include "examples/layer_map.hpp"
#include "examples/lockstep_batch.hpp"
#include "examples/start_position.hpp"
#include "properties/spelling.hpp"
#include "sanitized.hpp"

#include <gtest/gtest.h>

namespace kv::tests {

namespace {

using namespace examples;

template <class Make>
properties::CheckReport checked(Make make) {
    properties::CheckOptions options;
    options.cases = fewer(1000);
    properties::Candidate const candidate{
        "example", [=](properties::Setup const&) { return make(); }, make()->declaration()};
    return check(candidate, options);
}

/// Every law in reach holds, and each verb brings some into reach.
template <class Make>
void expectHeld(Make make, std::size_t reachable) {
    auto const report = checked(make);
    if (report.violation)
        FAIL() << report.violation->law << " at " << report.violation->where << ": got "
               << report.violation->got << ", want " << report.violation->want << "\n"
               << properties::brief(report.violation->trace);
    EXPECT_GE(report.count(properties::Outcome::held), reachable);
    EXPECT_GT(report.coverage.casesWithProbe, 0u);
}

/// It holds, and with its one wrong line it breaks this law.
template <class Engine>
void expectJudged(std::size_t reachable, std::string const& law) {
    expectHeld([] { return std::make_unique<Engine>(Accident::none); }, reachable);
    auto const wrong = checked([] { return std::make_unique<Engine>(Accident::one); });
    ASSERT_TRUE(wrong.violation);
    EXPECT_EQ(wrong.violation->law, law);
    EXPECT_LE(wrong.violation->trace.steps.size(), 4u) << properties::brief(wrong.violation->trace);
}

TEST(Examples, a_map_of_layers_that_were_allocated_at_once) {
    expectJudged<LayerMapEngine>(10, "trace_eq_spec");
}

TEST(Examples, updates_at_a_start_position) {
    expectJudged<StartPositionEngine>(12, "rollback_then_append_eq_fresh");
}

TEST(Examples, entries_that_grow_by_concatenation) {
    expectJudged<DynamicLayersEngine>(16, "rollback_append");
}

TEST(Examples, a_batch_in_lockstep_with_an_active_mask) {
    expectJudged<LockstepEngine>(10, "capacity_refuses_unchanged");
}

TEST(Examples, the_same_batch_without_a_cache) {
    expectHeld([] { return std::make_unique<Recomputing>(); }, 10);
}

}  // namespace

}  // namespace kv::tests

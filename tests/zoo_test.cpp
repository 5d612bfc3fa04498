// zoo_test: show every bug by its shortest trace, and by chance.
//
// The right engine passes each of these traces. A bug that needs poisoned storage, or storage full
// of zeros, to be seen would be a bad specimen, so both are tried.
#include "bugs/zoo.hpp"

#include "contiguous_model.hpp"

#include <functional>
#include <map>

namespace kv::tests {

using namespace naive;

namespace {

using kv::bugs::forEachBug;

// A bug that changes the order of a sum shows in no answer that has one right value.
constexpr bool onlyTurnsBits(std::string_view theorem) { return theorem.ends_with("_same_bits"); }

// Calls f(name, driver) for an engine with each bug that shows in a right value.
void forEachDriver(Shape const& shape, Options options,
                   std::function<void(std::string_view, AnyDriver&)> const& f) {
    forEachBug([&](auto bug) {
        if (onlyTurnsBits(bug.theorem)) return;
        EngineDriver<bugs::EngineWith<decltype(bug)>> driver(shape, options);
        f(bug.name, driver);
    });
}

Step removal(std::size_t sequence, std::size_t first, std::size_t count) {
    return {.verb = Verb::remove, .sequence = sequence, .number = count, .first = first};
}

Step batch(std::vector<Part> parts) { return {.verb = Verb::step, .batch = std::move(parts)}; }

// The shortest trace over the verbs of `everyStep` that shows each bug, in smallShape().
std::map<std::string_view, Trace> const& shortestTraces() {
    static std::map<std::string_view, Trace> const traces{
        {"slot_reused", {{Verb::prefill, 0, 2}}},
        {"stale_length_after_rollback",
         {{Verb::append, 0, 1}, {Verb::rollback, 0, 0}, {Verb::observe, 0}}},
        {"rolled_back_row_visible",
         {{Verb::append, 0, 2}, {Verb::rollback, 0, 1}, {Verb::attend, 0}}},
        {"mask_one_key_too_wide", {{Verb::prefill, 0, 2}}},
        {"mask_one_key_too_narrow", {{Verb::prefill, 0, 1}}},
        {"chunk_is_read_as_window", {{Verb::prefill, 0, 3}}},
        {"chunk_counts_rows", {{Verb::shift, 0, 0, 1}, {Verb::prefill, 0, 2}}},
        {"sink_logit_is_scaled", {{Verb::prefill, 0, 1}}},
        {"sink_is_lost_in_decode", {{Verb::append, 0, 1}, {Verb::attend, 0}}},
        {"position_restarts_after_prefill", {{Verb::prefill, 0, 1}, {Verb::observe, 0}}},
        {"position_off_by_one_after_eviction",
         {{Verb::append, 0, 1}, {Verb::evict, 0, 1}, {Verb::observe, 0}}},
        {"removal_frees_positions",
         {{Verb::append, 0, 1}, {Verb::remove, 0, 1}, {Verb::observe, 0}}},
        {"removal_skips_layers", {{Verb::append, 0, 2}, removal(0, 1, 1), {Verb::attend, 0}}},
        {"rollback_counts_rows",
         {{Verb::append, 0, 2}, removal(0, 1, 1), {Verb::rollback, 0, 0}, {Verb::observe, 0}}},
        {"reorder_is_skipped", {{Verb::append, 0, 1}, {Verb::reorder, 0, 0}, {Verb::observe, 1}}},
        {"repeated_beam_is_not_copied",
         {{Verb::append, 0, 1}, {Verb::reorder, 0, 0}, {Verb::observe, 1}}},
        {"batch_shares_one_position",
         {{Verb::append, 0, 1}, batch({{0, 1}, {1, 1}}), {Verb::observe, 1}}},
        {"item_goes_to_its_row", {batch({{1, 1}, {0, 0}}), {Verb::observe, 0}}},
        {"inactive_row_moves_on", {batch({{0, 1}, {1, 0}}), {Verb::observe, 1}}},
        {"restored_position_is_lost",
         {{Verb::append, 0, 1}, {Verb::save, 0}, {Verb::restore, 0, 1}, {Verb::observe, 1}}},
        {"copy_is_read_by_heads",
         {{Verb::append, 0, 2}, {Verb::save, 0}, {Verb::restore, 0, 1}, {Verb::observe, 1}}},
        {"sequences_share_one_copy",
         {{Verb::append, 1, 1}, {Verb::save, 1}, {Verb::restore, 0, 0}, {Verb::observe, 0}}},
        {"restored_where_it_was_saved",
         {{Verb::append, 0, 2},
          {Verb::evict, 0, 1},
          {Verb::save, 0},
          {Verb::restore, 0, 1},
          {Verb::observe, 1}}},
        {"release_keeps_position", {{Verb::append, 0, 1}, {Verb::release, 0}, {Verb::observe, 0}}},
        {"keep_spares_later_sequences",
         {{Verb::append, 1, 1}, {Verb::keep, 0}, {Verb::observe, 1}}},
        {"kv_head_by_modulo", {{Verb::prefill, 0, 1}}},
        {"fork_aliases", {{Verb::fork, 0, 1}, {Verb::prefill, 0, 2}, {Verb::prefill, 1, 1}}},
        {"table_is_read_as_contiguous",
         {batch({{0, 1}, {1, 1}}), {Verb::append, 0, 2}, {Verb::observe, 1}}},
        {"fork_takes_no_reference",
         {{Verb::append, 0, 2}, {Verb::reorder, 0, 0}, {Verb::prefill, 0, 1}}},
        {"full_block_is_not_copied",
         {{Verb::append, 0, 2},
          {Verb::fork, 0, 1},
          {Verb::rollback, 1, 1},
          {Verb::append, 1, 1},
          {Verb::observe, 0}}},
        {"shared_block_is_freed",
         {{Verb::append, 0, 2}, {Verb::reorder, 0, 0}, {Verb::prefill, 0, 1}}},
        {"copied_block_keeps_its_reference",
         {{Verb::append, 0, 1}, {Verb::fork, 0, 1}, {Verb::append, 0, 2}, {Verb::append, 1, 2}}},
        {"ring_off_by_one_at_wrap", {{Verb::append, 0, 3}, {Verb::observe, 0}}},
        {"key_written_into_every_layer", {{Verb::append, 0, 1}, {Verb::observe, 0}}},
        {"capacity_wraps_silently", {{Verb::append, 0, 4}}},
    };
    return traces;
}

// Every verb with every argument worth trying in smallShape().
Trace everyStep() {
    Trace steps{{Verb::reset}};
    for (std::size_t map = 0; map < 4; ++map)
        steps.push_back({Verb::reorder, 0, map});
    for (std::size_t s = 0; s < 2; ++s)
        for (Part const& counts : {Part{1, 1}, Part{1, 0}, Part{0, 1}})
            steps.push_back(batch({{s, counts.sequence}, {1 - s, counts.number}}));
    for (std::size_t s = 0; s < 2; ++s) {
        for (std::size_t n = 0; n <= 4; ++n) {
            steps.push_back({Verb::append, s, n});
            steps.push_back({Verb::prefill, s, n});
            steps.push_back({Verb::prefill, s, n, 0, 0});
            steps.push_back({Verb::rollback, s, n});
            steps.push_back({Verb::evict, s, n});
        }
        for (std::size_t first = 0; first < 3; ++first)
            for (std::size_t n = 1; n <= 3 - first; ++n)
                steps.push_back(removal(s, first, n));
        for (std::int64_t delta : {-1, 1})
            steps.push_back({Verb::shift, s, 0, delta});
        for (Verb verb :
             {Verb::attend, Verb::observe, Verb::save, Verb::release, Verb::keep})
            steps.push_back({verb, s});
        for (std::size_t to = 0; to < 2; ++to)
            steps.push_back({Verb::restore, s, to});
        steps.push_back({Verb::fork, s, 1 - s});
    }
    return steps;
}

bool someTraceShows(AnyDriver& driver, Trace& trace, std::size_t verbs) {
    if (verbs == 0)
        return firstDifference(driver, trace).step != 0;
    static Trace const steps = everyStep();
    for (Step const& step : steps) {
        trace.push_back(step);
        bool const shows = driver.offers(step.verb) && someTraceShows(driver, trace, verbs - 1);
        trace.pop_back();
        if (shows)
            return true;
    }
    return false;
}

TEST(Zoo, everyBugHasAShortestTrace) {
    std::size_t bugs = 0;
    Shape const shape = smallShape();
    forEachDriver(shape, {}, [&](std::string_view bug, AnyDriver& driver) {
        ++bugs;
        ASSERT_TRUE(shortestTraces().contains(bug)) << bug;
        Trace const& trace = shortestTraces().at(bug);
        EXPECT_EQ(firstDifference(shape, trace).step, 0U) << bug;
        EXPECT_EQ(firstDifference(driver, trace).step, trace.size()) << bug;
    });
    EXPECT_EQ(bugs, shortestTraces().size());
}

// There are too many traces of four verbs to try them all.
constexpr std::size_t longestTried = 3;

TEST(Zoo, noShorterTraceShowsABug) {
    Shape const shape = smallShape();
    forEachDriver(shape, {}, [&](std::string_view bug, AnyDriver& driver) {
        Trace trace;
        std::size_t const shorter = shortestTraces().at(bug).size() - 1;
        for (std::size_t verbs = 1; verbs <= std::min(shorter, longestTried); ++verbs)
            EXPECT_FALSE(someTraceShows(driver, trace, verbs)) << bug;
    });
}

TEST(Zoo, randomTracesShowEveryBugWhateverTheFill) {
    for (float fill : {float{}, std::numeric_limits<float>::quiet_NaN()}) {
        std::map<std::string_view, std::size_t> shown;
        for (Shape const& shape : {mixedShape(0), smallShape()})
            forEachDriver(shape, {.fill = fill}, [&](std::string_view bug, AnyDriver& driver) {
                std::mt19937 random(1);
                for (int i = 0; i < 200; ++i) {
                    // A leak shows when the pool runs dry, and a reset would fill it again.
                    Trace trace;
                    for (int part = 0; part < 4; ++part)
                        for (Step const& step : randomTrace(shape, random))
                            if (step.verb != Verb::reset) trace.push_back(step);
                    shown[bug] += firstDifference(driver, trace).step != 0;
                }
            });
        for (auto const& [bug, traces] : shown) EXPECT_GT(traces, 0U) << bug;
    }
}

TEST(Zoo, staysInsideItsStorage) {
    // A wrong engine goes on after its first wrong answer; the sanitizers watch.
    for (std::size_t ringSinks : {0, 2}) {
        Shape const shape = mixedShape(ringSinks);
        forEachDriver(shape, {}, [&](std::string_view bug, AnyDriver& driver) {
            std::mt19937 random(2);
            std::size_t accepted = 0, serial = 0;
            for (int i = 0; i < 400; ++i)
                for (Step const& step : randomTrace(shape, random))
                    accepted += driver.apply(step, serial++ % 16).accepted;
            EXPECT_GT(accepted, 1000U) << bug;
        });
    }
}

TEST(Zoo, namesItselfAsItsFile) {
    std::map<std::string_view, int> names;
    forEachBug([&](auto bug) {
        ++names[bug.name];
        EXPECT_NE(bug.theorem, "");
        EXPECT_NE(bug.story, "");
        EXPECT_NE(bug.tracker.find(" #"), std::string_view::npos) << bug.name;
    });
    for (auto const& [name, count] : names)
        EXPECT_EQ(count, 1) << name;
}

}  // namespace
}  // namespace kv::tests

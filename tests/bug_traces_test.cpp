// bug_traces_test: each bug has its shortest trace beside it, and the trace convicts it.
#include "bugs/zoo.hpp"
#include "oracle/candidates.hpp"
#include "oracle/replay.hpp"
#include "oracle/trace_file.hpp"

#include <gtest/gtest.h>

namespace kv::tests {

namespace {

std::string tracePath(std::string_view bug) {
    return std::string(KVSPEC_SOURCE_DIR) + "/bugs/" + std::string(bug) + ".trace";
}

TEST(BugTraces, convict_their_bug_and_nobody_else) {
    auto const& candidates = oracle::candidates();
    bugs::forEachBug([&]<class Bug>(Bug const&) {
        SCOPED_TRACE(std::string(Bug::name));
        auto const path = tracePath(Bug::name);
        auto file = std::get<oracle::CounterexampleFile>(oracle::readTrace(path));
        EXPECT_EQ(file.declaration.engine, "bugs/" + std::string(Bug::name));
        EXPECT_EQ(file.law, Bug::theorem);
        EXPECT_LE(file.trace.steps.size(), 6u);
        auto const convicted = oracle::replay(file, path, candidates);
        ASSERT_TRUE(convicted.violation);
        EXPECT_EQ(convicted.violation->law, Bug::theorem);
        file.declaration.engine = file.declaration.pool ? "paged" : "contiguous";
        EXPECT_FALSE(oracle::replay(file, path, candidates).violation);
    });
}

}  // namespace

}  // namespace kv::tests

// An outside program: it sees the headers by the names that our own files use.
#include "properties/engine.hpp"
#include "spec/numerics.hpp"

#include <cstdio>

namespace {

/// An engine without a single verb, which is all that a link needs.
class Silent final : public kv::properties::AnyEngine {
   public:
    kv::Declaration const& declaration() const override { return declaration_; }

   private:
    kv::Declaration declaration_{
        .engine = "silent", .sequences = 1, .capacity = 1, .numerics = kv::numericsF32,
        .promises = {}, .pool = {}};
};

// An unused variable: whoever uses kvspec keeps their own warnings, and no error is made of them.
[[maybe_unused]] float product(float a, float b, float c) {
    int unused;
    return a * b + c;
}

}  // namespace

int main() {
    Silent engine;
    auto const answer = engine.reset();
    std::printf("%s: %s\n", engine.declaration().engine.c_str(), answer.why().c_str());
    return answer ? 1 : 0;
}

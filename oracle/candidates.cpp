#include "oracle/candidates.hpp"

#include "oracle/catalog.hpp"
#include "oracle/engines/ours.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace kv::oracle {

std::vector<properties::Candidate> const& candidates() {
    static std::vector<properties::Candidate> const all = [] {
        std::vector<properties::Candidate> engines{ours("contiguous"),
                                                   ours<impl::Paged<>>("paged")};
        for (auto const& part :
             {bugsOfPart<0>(), bugsOfPart<1>(), bugsOfPart<2>(), bugsOfPart<3>()})
            engines.insert(engines.end(), part.begin(), part.end());
        return engines;
    }();
    return all;
}

properties::Candidate const& candidateNamed(std::vector<properties::Candidate> const& all,
                                            std::string const& name) {
    auto const at = std::ranges::find(all, name, &properties::Candidate::name);
    if (at != all.end())
        return *at;
    std::vector<std::string_view> names;
    for (auto const& known : all)
        names.push_back(known.name);
    throw BadArgument(fmt::format("{} is no engine; expected {}", quote(name), oneOf(names)));
}

}  // namespace kv::oracle

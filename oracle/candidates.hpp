// candidates: name every engine that the command can check.
//
// The engines themselves are templates, one per bug of the zoo. They are compiled in a few files
// beside this one, so that whoever only needs to find an engine by its name does not do so again.
#pragma once
#include "properties/check.hpp"

#include <string>
#include <vector>

namespace kv::oracle {

/// "contiguous" and "paged", then "bugs/NAME" for every bug of the zoo.
std::vector<properties::Candidate> const& candidates();

/// The candidate of that name, which must be among `all`. Throws BadArgument, with all names, where
/// it is not.
properties::Candidate const& candidateNamed(std::vector<properties::Candidate> const& all,
                                            std::string const& name);

}  // namespace kv::oracle

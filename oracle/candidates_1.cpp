#include "oracle/engines/ours.hpp"

namespace kv::oracle {

template std::vector<properties::Candidate> bugsOfPart<1>();

}  // namespace kv::oracle

#include "oracle/engines/ours.hpp"

namespace kv::oracle {

template std::vector<properties::Candidate> bugsOfPart<3>();

}  // namespace kv::oracle

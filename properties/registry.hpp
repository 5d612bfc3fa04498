// registry: hand the list of theorems on as plain data.
//
// spec/laws.hpp holds the theorems as values of as many types. Whoever prints, counts or looks up
// theorems needs their names and grades only, and the shapes at which the compiler proved them.
//
// Not said here: what a theorem claims (its header in spec/), which bugs it kills (bugs/zoo.hpp).
#pragma once
#include "spec/laws.hpp"

#include <string>
#include <vector>

namespace kv::properties {

/// One theorem without its claim.
struct RegisteredLaw {
    std::string stem;  ///< the file it stands in: spec/<stem>.hpp
    std::string name;
    std::string sentence;
    Scope scope{};
    std::string modulo;  ///< the law of real numbers it leans on; empty: free
    Owed owed{};
    std::vector<ProvedShape> shapes;  ///< empty in a program without proofs/
};

/// Every theorem, in the order of spec/laws.hpp, with the shapes that this program has proved.
std::vector<RegisteredLaw> registry();

}  // namespace kv::properties

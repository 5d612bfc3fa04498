// catalog: print the theorems, what proves each and what each kills.
//
// `kvspec laws` is the whole registry as one table; `kvspec explain THEOREM` is one entry of it in
// words. Nothing here is written by hand: names, sentences and grades are those of the registry,
// shapes are those that the compiler proved when it built this program, kills are those of the zoo.
//
// Not said here: what a theorem claims. Each entry names the file that says it.
#pragma once
#include "oracle/json.hpp"
#include "properties/registry.hpp"

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace kv::oracle {

/// One bug of the zoo; bugs/zoo.hpp says what the fields mean.
struct ZooBug {
    std::string name, theorem, story, tracker;
};
std::vector<ZooBug> zooBugs();

/// What the command prints: the registry and the zoo of this program, or made-up ones in a test.
struct Catalog {
    std::vector<properties::RegisteredLaw> laws;
    std::vector<ZooBug> bugs;

    properties::RegisteredLaw const* find(std::string_view law) const;
    /// The bugs whose theorem is `law`.
    std::vector<ZooBug> killedBy(std::string_view law) const;
};
Catalog catalog();

/// Whether the shapes that were proved stand in the table one by one or summed up.
enum class ShapeList : std::uint8_t { summed, full };

/// The table of `kvspec laws`, at most 100 columns wide.
std::string printLaws(Catalog const& catalog, ShapeList shapes);
OrderedJson lawsToJson(Catalog const& catalog);

/// An argument of the command line that cannot be used. The command answers it with exit code 2.
struct BadArgument : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The entry of one law. Throws BadArgument, with near misses, for a name that is no law.
std::string explain(Catalog const& catalog, std::string_view law);

/// The shapes in one phrase: "lengths 0 1 2; up to 4:2 heads; rope; alibi; window 3".
std::string summary(std::vector<ProvedShape> const& shapes);

/// The names that a person may have meant by `word`, nearest first, at most three.
std::vector<std::string> nearMisses(std::string_view word, std::vector<std::string> const& names);
/// ", perhaps A or B", or nothing.
std::string perhaps(std::string_view word, std::vector<std::string> const& names);

/// The text in lines of at most `width` characters, the second and later ones behind `indent`
/// blanks; it breaks at blanks only.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width = 100);

}  // namespace kv::oracle

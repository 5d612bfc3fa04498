// arrows: which room may include which.
//
// An include outside the arrows of the house lets an engine lean on the spec that judges it, or the
// spec on an engine. A name without a room means a file of the same folder.
#pragma once
#include "tests/tidy/source.hpp"

namespace kv::tidy {

/// What a room may include besides its own files and the standard library.
struct Arrows {
    std::string_view room;
    std::vector<std::string_view> ours;    ///< rooms, or single files of rooms
    std::vector<std::string_view> others;  ///< beginnings of library headers
    bool system = false;                   ///< headers of the operating system
};

/// proofs -> spec <- properties <- oracle -> {impl, bugs}; bugs -> impl; tests -> all.
/// The declaration, the number formats it speaks of and the bytes that it comes to are part of the
/// interface that properties/ hands on to the oracle.
inline std::vector<Arrows> const& arrows() {
    static std::vector<Arrows> const table{
        {"spec", {}, {"boost/hana"}},
        {"proofs", {"spec/"}, {"boost/hana"}},
        {"impl", {}, {"hwy/"}},
        {"properties", {"spec/"}, {"boost/hana", "rapidcheck", "fmt/"}},
        {"bugs", {"impl/"}, {}},
        {"oracle",
         {"properties/", "impl/", "bugs/", "spec/numerics.hpp", "spec/presets.hpp",
          "spec/minifloat.hpp", "spec/memory.hpp"},
         {"boost/hana", "rapidcheck", "fmt/", "nlohmann/", "CLI/", "openssl/"},
         true}};
    return table;
}

inline bool isStandardHeader(std::string_view name) {
    return name.find_first_of("./") == name.npos;
}

struct Include {
    std::size_t line;
    std::string name;
    bool quoted;
};

inline std::vector<Include> includesOf(File const& file) {
    std::vector<Include> found;
    auto const raw = linesOf(file.text), code = linesOf(viewsOf(file).code);
    for (std::size_t i = 0; i < raw.size(); ++i) {
        auto const hash = code[i].find_first_not_of(' ');
        if (hash == std::string::npos || code[i][hash] != '#') continue;
        auto const word = findWord(code[i], "include");
        if (word == std::string::npos) continue;
        auto const open = raw[i].find_first_of("\"<", word);
        auto const close = raw[i].find_first_of("\">", open + 1);
        if (open == std::string::npos || close == std::string::npos) continue;
        found.push_back({i + 1, raw[i].substr(open + 1, close - open - 1), raw[i][open] == '"'});
    }
    return found;
}

inline bool startsWithOneOf(std::string_view name, std::vector<std::string_view> const& list) {
    return std::any_of(list.begin(), list.end(), [&](auto s) { return name.starts_with(s); });
}

inline std::string joined(std::vector<std::string_view> const& list) {
    std::string text;
    for (auto s : list) text += (text.empty() ? "" : ", ") + std::string(s);
    return text;
}

/// Each include follows an arrow. A name without a room means a file of the same folder.
inline Findings arrowRule(File const& file) {
    auto const room = roomOf(file.path);
    auto const& table = arrows();
    auto const row = std::find_if(table.begin(), table.end(),
                                  [&](Arrows const& a) { return a.room == room; });
    if (row == table.end() || languageOf(file) != Language::cpp) return {};
    Findings findings;
    for (auto const& include : includesOf(file)) {
        std::string_view const name = include.name;
        bool const leavesFolder = name.find("..") != name.npos;
        bool const same = name.find('/') == name.npos || name.starts_with(room + "/");
        bool const fine = include.quoted
                              ? !leavesFolder && (same || startsWithOneOf(name, row->ours))
                              : isStandardHeader(name) || startsWithOneOf(name, row->others) ||
                                    (row->system && name.ends_with(".h"));
        if (fine) continue;
        auto allowed = include.quoted ? row->ours : row->others;
        allowed.insert(allowed.begin(), include.quoted ? row->room : "the standard library");
        findings.push_back({file.path, include.line, "#include of " + include.name,
                            "only " + joined(allowed)});
    }
    return findings;
}

}  // namespace kv::tidy

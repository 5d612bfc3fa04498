// map: the map in README names what is there.
//
// Hand-kept maps rot; this one is compared with the files each time the tests run.
#pragma once
#include "tests/tidy/source.hpp"

#include <set>

namespace kv::tidy {

struct MapEntry {
    std::size_t line;
    std::string path;      ///< a file, or a folder that ends with '/'
    std::string sentence;
};

namespace detail {

inline std::string trimmed(std::string_view s, std::string_view chars = " |`") {
    auto const begin = s.find_first_not_of(chars);
    if (begin == s.npos) return {};
    return std::string(s.substr(begin, s.find_last_not_of(chars) - begin + 1));
}

}  // namespace detail

/// Lines `room/file  sentence` of a fenced block, or `| room/file | sentence |` of a table, below a
/// heading that says "map"; anywhere, when there is no such heading.
inline std::vector<MapEntry> mapOf(File const& readme) {
    std::vector<MapEntry> entries;
    auto const lines = linesOf(readme.text);
    auto const isHeading = [](std::string const& l) { return l.starts_with("#"); };
    auto const from = std::find_if(lines.begin(), lines.end(), [&](std::string const& l) {
        return isHeading(l) && findWord(l, "map") != l.npos;
    });
    auto const begin = from == lines.end() ? lines.begin() : from + 1;
    auto const end =
        from == lines.end() ? lines.end() : std::find_if(begin, lines.end(), isHeading);
    for (auto i = std::size_t(begin - lines.begin()); i < std::size_t(end - lines.begin()); ++i) {
        bool const row = lines[i].starts_with("|");
        auto const line = detail::trimmed(lines[i]);
        auto const stop = line.find_first_of(" |`");
        auto const path = line.substr(0, stop);
        static std::set<std::string> const rooms{"spec", "proofs", "impl",  "properties",
                                                 "bugs", "oracle", "tests", "script"};
        if (stop == line.npos || path.find('/') == path.npos || !rooms.contains(roomOf(path)))
            continue;
        if (!row && !std::string_view(line).substr(stop).starts_with("  ")) continue;
        entries.push_back({i + 1, path, detail::trimmed(line.substr(stop))});
    }
    return entries;
}

/// The map names every file and nothing else. A header's sentence is the header's own first line.
inline Findings mapRule(File const& readme, Tree const& tree) {
    Findings findings;
    std::set<std::string> listed, folders;
    auto const entries = mapOf(readme);
    if (entries.empty())
        return {{readme.path, 1, "a README without a map", "lines 'room/file  sentence'"}};
    for (auto const& [line, path, sentence] : entries) {
        bool const folder = path.ends_with('/');
        bool const there = folder ? tree.lower_bound(path) != tree.end() &&
                                        tree.lower_bound(path)->first.starts_with(path)
                                  : tree.contains(path);
        if (!there)
            findings.push_back({readme.path, line, path + ", which does not exist,", "its name"});
        if (!(folder ? folders : listed).insert(path).second)
            findings.push_back({readme.path, line, path + " twice", "one line a file"});
        auto const first = there && !folder ? linesOf(tree.at(path) + "\n").front() : "";
        auto const opening = "// " + stemOf(path) + ": ";
        if (first.starts_with(opening) && first.substr(opening.size()) != sentence)
            findings.push_back({readme.path, line, "'" + sentence + "'",
                                "the first line of " + path + ": '" +
                                    first.substr(opening.size()) + "'"});
    }
    // A room that is mapped by its files is mapped by all of them; else its own line suffices.
    for (auto const& entry : tree) {
        auto const& path = entry.first;
        auto const room = roomOf(path) + "/";
        if (room == "/" || room[0] == '.' || listed.contains(path)) continue;
        bool const byFile = std::any_of(listed.begin(), listed.end(), [&](auto const& file) {
            return file.starts_with(room);
        });
        bool const inFolder = std::any_of(folders.begin(), folders.end(), [&](auto const& f) {
            return path.starts_with(f) && (f != room || !byFile);
        });
        if (!inFolder)
            findings.push_back({readme.path, entries.front().line, "a map without " + path,
                                "a line for it"});
    }
    return findings;
}

}  // namespace kv::tidy

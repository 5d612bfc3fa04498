// text: what no text of the house holds.
//
// Long lines, tabs, notes to oneself, dates and paths of one machine age badly or read badly.
#pragma once
#include "tests/tidy/source.hpp"

#include <utility>

namespace kv::tidy {

namespace detail {

/// Characters, not bytes, of a UTF-8 line.
inline std::size_t columnsOf(std::string_view line) {
    return std::size_t(std::count_if(line.begin(), line.end(),
                                     [](char c) { return (c & 0xC0) != 0x80; }));
}

/// Pictographs: U+2600 to U+27BF, U+2B50, and everything from U+1F000 to U+1FFFF.
inline bool holdsPictograph(std::string_view line) {
    for (std::size_t i = 0; i + 2 < line.size(); ++i) {
        auto const at = [&](std::size_t k) { return static_cast<unsigned char>(line[i + k]); };
        if (at(0) == 0xF0 && at(1) == 0x9F) return true;
        if (at(0) != 0xE2) continue;
        if (at(1) >= 0x98 && at(1) <= 0x9E) return true;
        if (at(1) == 0xAD && at(2) == 0x90) return true;
    }
    return false;
}

/// A four-digit year, a month and a day joined by '-', or a month's name followed by a number.
inline bool holdsDate(std::string_view line) {
    auto const digits = [&](std::size_t i, std::size_t n) {
        for (std::size_t k = 0; k < n; ++k)
            if (i + k >= line.size() || !isDigit(line[i + k])) return false;
        return i + n == line.size() || !isDigit(line[i + n]);
    };
    for (std::size_t i = 0; i + 10 <= line.size(); ++i)
        if ((i == 0 || !isWordChar(line[i - 1])) && digits(i, 4) && line[i + 4] == '-' &&
            digits(i + 5, 2) && line[i + 7] == '-' && digits(i + 8, 2))
            return true;
    for (std::string_view month : {"January", "February", "March", "April", "May", "June", "July",
                                   "August", "September", "October", "November", "December"}) {
        auto const i = findWord(line, month);
        if (i == line.npos) continue;
        auto const next = skipBlanks(line, i + month.size());
        if (next > i + month.size() && next < line.size() && isDigit(line[next])) return true;
    }
    return false;
}

/// A path that exists on one machine only.
inline bool holdsMachinePath(std::string_view line) {
    for (std::string_view top : {"work", "root", "home", "Users"})
        for (auto i = findWord(line, top); i != line.npos; i = findWord(line, top, i + 1)) {
            bool const rooted = i > 0 && line[i - 1] == '/';
            bool const inside = i > 1 && (isWordChar(line[i - 2]) || line[i - 2] == '.' ||
                                          line[i - 2] == '}' || line[i - 2] == '/' ||
                                          line[i - 2] == ')' || line[i - 2] == '*');
            auto const after = i + top.size();
            bool const folder = after < line.size() && line[after] == '/';
            if (rooted && !inside && folder) return true;
        }
    return false;
}

}  // namespace detail

/// What no text of the house holds, whatever its language.
inline Findings textRule(File const& file) {
    Findings findings;
    auto const lines = linesOf(file.text);
    bool const program = languageOf(file) != Language::prose;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        auto const& line = lines[i];
        auto const add = [&](bool bad, std::string what, std::string use) {
            if (bad) findings.push_back({file.path, i + 1, std::move(what), std::move(use)});
        };
        add(program && detail::columnsOf(line) > 100, "a line of more than 100 columns", "two");
        add(line.find('\t') != line.npos, "a tab", "four spaces");
        add(line.ends_with(' ') || line.ends_with('\r'), "a blank at the end of a line", "none");
        for (std::string_view note : {"TO" "DO", "FIX" "ME", "X" "XX"})
            add(findWord(line, note) != line.npos, std::string(note),
                "an issue, or a sentence on what is not said here");
        add(detail::holdsDate(line), "a date", "the history of the repository");
        add(detail::holdsMachinePath(line), "a path of one machine",
            "a path from the repository root");
        add(detail::holdsPictograph(line), "a pictograph", "a word");
    }
    if (!file.text.empty() && !file.text.ends_with('\n'))
        findings.push_back({file.path, lines.size(), "a last line without an end", "a newline"});
    return findings;
}

}  // namespace kv::tidy

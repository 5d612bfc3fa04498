// shape: how long, and of what, a file is made.
//
// A spec header is two screens of plain C++, a function is one screen, a bug is one decision.
#pragma once
#include "tests/tidy/source.hpp"

namespace kv::tidy {

/// Two screens a header, no macro and no branch on the compiler, except Hana's reflection.
inline Findings specRule(File const& file) {
    if (roomOf(file.path) != "spec") return {};
    Findings findings;
    auto const lines = linesOf(viewsOf(file).code);
    if (lines.size() > 150)
        findings.push_back({file.path, 151, "a header of more than 150 lines", "two headers"});
    for (std::size_t i = 0; i < lines.size(); ++i) {
        auto const first = skipBlanks(lines[i], 0);
        if (first == lines[i].size() || lines[i][first] != '#') continue;
        auto const word = skipBlanks(lines[i], first + 1);
        if (!wordAt(lines[i], word, "include") && !wordAt(lines[i], word, "pragma"))
            findings.push_back({file.path, i + 1, lines[i].substr(first), "constexpr C++"});
    }
    return findings;
}

namespace detail {

/// Does the text between the last statement and a brace open the body of a function?
inline bool opensFunction(std::string_view head) {
    if (head.find('(') == head.npos) return false;
    int depth = 0;
    for (std::size_t i = 0; i < head.size(); ++i) {
        if (head[i] == '<' || head[i] == '(') ++depth;
        if (head[i] == '>' || head[i] == ')') --depth;
        if (depth != 0) continue;
        for (std::string_view type : {"struct", "class", "enum", "union", "namespace", "concept"})
            if (wordAt(head, i, type)) return false;
    }
    return true;
}

}  // namespace detail

/// A function is one screen: at most 40 lines between its braces. Approximate: braces are matched,
/// and whatever has a parameter list and is no type counts as a function, lambdas inside included.
/// A test is a table of cases as often as not, and a table is as long as its cases.
inline Findings functionRule(File const& file) {
    if (languageOf(file) != Language::cpp || file.path.ends_with("_test.cpp")) return {};
    Findings findings;
    auto const code = viewsOf(file).code;
    struct Block {
        std::size_t head, open;
        bool isFunction;
    };
    std::vector<Block> blocks;
    std::size_t head = 0, functions = 0;
    for (std::size_t i = 0; i < code.size(); ++i) {
        if (code[i] == ';') head = i + 1;
        if (code[i] == '{') {
            auto const before = std::string_view(code).substr(head, i - head);
            blocks.push_back({head, i, functions > 0 || detail::opensFunction(before)});
            functions += blocks.back().isFunction ? 1 : 0;
            head = i + 1;
        } else if (code[i] == '}' && !blocks.empty()) {
            auto const block = blocks.back();
            blocks.pop_back();
            auto const next = skipBlanks(code, i + 1);
            // After S() : a{1} the body is still to come.
            bool const goesOn = next < code.size() && (code[next] == '{' || code[next] == ',');
            head = goesOn ? block.head : i + 1;
            if (!block.isFunction || --functions > 0) continue;
            auto const first = lineAt(code, block.open), lines = lineAt(code, i) - first;
            if (lines > 41)
                findings.push_back({file.path, first, "a function of " + std::to_string(lines - 1) +
                                                          " lines", "at most 40"});
        }
    }
    return findings;
}

/// A bug is one wrong decision: its file hides one static function and marks one line as
/// wrong. zoo.hpp is the list of them.
inline Findings bugRule(File const& file) {
    bool const lists = file.path == "bugs/zoo.hpp";
    if (roomOf(file.path) != "bugs" || !file.path.ends_with(".hpp") || lists) return {};
    auto const views = viewsOf(file);
    std::vector<std::size_t> functions, marks;
    for (auto i = findWord(views.code, "static"); i != views.code.npos;
         i = findWord(views.code, "static", i + 1)) {
        auto const stop = views.code.find_first_of("(;={", i);
        if (stop != views.code.npos && views.code[stop] == '(') functions.push_back(i);
    }
    for (auto i = views.comments.find("// wrong:"); i != views.comments.npos;
         i = views.comments.find("// wrong:", i + 1))
        marks.push_back(i);
    Findings findings;
    auto const one = [&](std::vector<std::size_t> const& places, std::string const& what) {
        if (places.size() == 1) return;
        auto const line = places.size() < 2 ? 1 : lineAt(views.code, places[1]);
        findings.push_back({file.path, line,
                            "a bug with " + std::to_string(places.size()) + " " + what,
                            "exactly one: a bug is one wrong decision"});
    };
    one(functions, "hidden static functions");
    one(marks, "lines marked '// wrong:'");
    return findings;
}

}  // namespace kv::tidy

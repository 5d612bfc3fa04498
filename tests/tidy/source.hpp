// source: read a source file as code and as comments.
//
// The rules of this folder look at one of three views of a file, all with the same lines and
// columns: the text as it is; its code, where comments and the inside of literals are blanks; and
// its comments alone. A word in a sentence is then never taken for a word in a program.
//
// A rule is a pure function from texts to findings, so that each is tested on text that it must
// catch and on text that it must leave alone (tidy_test.cpp):
//
//     rule : File -> [file:line: X is not allowed here; use Y]
//
// Not said here: preprocessing. A file is read as it stands.
#pragma once
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kv::tidy {

struct File {
    std::string path;  ///< from the repository root, with '/'
    std::string text;
};

enum class Language { cpp, python, shell, cmake, prose };

/// Decided by the name, and for a script without an ending by its first line.
inline Language languageOf(File const& file) {
    std::string_view const path = file.path;
    for (std::string_view end : {".hpp", ".cpp", ".h", ".c"})
        if (path.ends_with(end)) return Language::cpp;
    if (path.ends_with(".py")) return Language::python;
    if (path.ends_with(".cmake") || path.ends_with("CMakeLists.txt")) return Language::cmake;
    if (path.ends_with(".sh")) return Language::shell;
    std::string_view const first = std::string_view(file.text).substr(0, file.text.find('\n'));
    if (!first.starts_with("#!")) return Language::prose;
    return first.find("python") != first.npos ? Language::python : Language::shell;
}

inline std::vector<std::string> linesOf(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        auto const end = text.find('\n');
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
    }
    return lines;
}

inline bool isWordChar(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// Does `word` stand at i, with no letter, digit or underscore beside it?
inline bool wordAt(std::string_view text, std::size_t i, std::string_view word) {
    if (!text.substr(i).starts_with(word) || (i > 0 && isWordChar(text[i - 1]))) return false;
    return i + word.size() == text.size() || !isWordChar(text[i + word.size()]);
}

/// The first place of the whole word at or after `from`, or npos.
inline std::size_t findWord(std::string_view text, std::string_view word, std::size_t from = 0) {
    for (auto i = text.find(word, from); i != text.npos; i = text.find(word, i + 1))
        if (wordAt(text, i, word)) return i;
    return text.npos;
}

/// The room a path lies in; empty for a file beside the rooms.
inline std::string roomOf(std::string_view path) {
    auto const slash = path.find('/');
    return slash == path.npos ? std::string() : std::string(path.substr(0, slash));
}

/// "rollback" for "spec/rollback.hpp".
inline std::string stemOf(std::string_view path) {
    auto const name = path.substr(path.rfind('/') + 1);
    return std::string(name.substr(0, name.find('.')));
}

inline bool isDigit(char c) { return c >= '0' && c <= '9'; }

/// The first place at or after i that holds no blank and no newline.
inline std::size_t skipBlanks(std::string_view code, std::size_t i) {
    while (i < code.size() && std::isspace(static_cast<unsigned char>(code[i])) != 0) ++i;
    return i;
}

/// The line, counted from 1, of the character at i.
inline std::size_t lineAt(std::string_view text, std::size_t i) {
    return 1 + std::size_t(std::count(text.begin(), text.begin() + std::ptrdiff_t(i), '\n'));
}

struct Views {
    std::string code;      ///< comments and the inside of literals are blanks
    std::string comments;  ///< everything else is blanks
};

namespace detail {

class Reader {
   public:
    Reader(std::string_view text, Language language) : text_(text), language_(language) {
        views_.code = text;
        views_.comments = std::string(text.size(), ' ');
        for (std::size_t i = 0; i < text.size(); ++i)
            if (text[i] == '\n') views_.comments[i] = '\n';
    }

    Views read() {
        for (std::size_t i = 0; i < text_.size();) {
            auto const end = commentEnd(i);
            if (end != i) {
                for (std::size_t k = i; k < end; ++k) views_.comments[k] = text_[k];
                blank(i, end);
                i = end;
            } else if (text_[i] == '"' || text_[i] == '\'') {
                i = literal(i);
            } else {
                i += text_[i] == '\\' ? 2 : 1;
            }
        }
        return std::move(views_);
    }

   private:
    /// One past the comment that starts at i, or i when none does.
    std::size_t commentEnd(std::size_t i) const {
        auto const rest = text_.substr(i);
        if (language_ == Language::prose) return i;
        if (language_ == Language::cpp) {
            if (rest.starts_with("//")) return end("\n", i, 0);
            return rest.starts_with("/*") ? end("*/", i + 2, 2) : i;
        }
        if (rest[0] != '#') return i;
        // In a shell, $# and ${x#y} are no comments.
        bool const starts = i == 0 || std::isspace(static_cast<unsigned char>(text_[i - 1])) != 0;
        return language_ != Language::shell || starts ? end("\n", i, 0) : i;
    }

    /// Blanks the literal that opens at i and answers one past its end.
    std::size_t literal(std::size_t i) {
        if (language_ == Language::prose) return i + 1;
        // A digit separator, as in 1'000, opens nothing.
        if (language_ == Language::cpp && text_[i] == '\'' && i > 0 && isWordChar(text_[i - 1]))
            return i + 1;
        std::size_t open = i + 1, close = literalClose(i);
        std::string const triple(3, text_[i]);
        if (language_ == Language::python && text_.substr(i).starts_with(triple)) {
            open = i + 3;
            close = end(triple, open, 0);
        } else if (language_ == Language::cpp && i > 0 && text_[i - 1] == 'R') {
            auto const paren = std::min(text_.find('(', i), text_.size());
            close = end(")" + std::string(text_.substr(open, paren - open)) + "\"", paren, 0);
        }
        auto const inside = text_.substr(open, close - open);
        // In a shell a quoted word is a word; a quoted sentence is a message.
        if (language_ != Language::shell || inside.find_first_of(" \n") != inside.npos)
            blank(open, close);
        auto const quote = text_.find_first_of(std::string("\n") + text_[i], close);
        if (quote == text_.npos) return text_.size();
        return text_[quote] == text_[i] ? endOfRun(quote) : quote;
    }

    /// The place of the quote that closes a plain literal. Only a shell's may span lines.
    std::size_t literalClose(std::size_t i) const {
        char const quote = text_[i];
        bool const escapes = language_ != Language::shell || quote == '"';
        for (++i; i < text_.size() && text_[i] != quote; ++i) {
            if (text_[i] == '\n' && language_ != Language::shell && language_ != Language::cmake)
                break;
            if (text_[i] == '\\' && escapes) ++i;
        }
        return std::min(i, text_.size());
    }

    /// One past the closing quote at `at`, which is three quotes long in a Python block.
    std::size_t endOfRun(std::size_t at) const {
        std::string const triple(3, text_[at]);
        bool const block = language_ == Language::python && text_.substr(at).starts_with(triple);
        return at + (block ? 3 : 1);
    }

    std::size_t end(std::string_view mark, std::size_t from, std::size_t extra) const {
        auto const at = text_.find(mark, from);
        return at == text_.npos ? text_.size() : at + extra;
    }

    void blank(std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i)
            if (text_[i] != '\n') views_.code[i] = ' ';
    }

    std::string_view text_;
    Language language_;
    Views views_;
};

}  // namespace detail

inline Views viewsOf(File const& file) {
    return detail::Reader(file.text, languageOf(file)).read();
}

struct Finding {
    std::string file;
    std::size_t line = 1;  ///< counted from 1
    std::string what;      ///< what is not allowed here
    std::string use;       ///< what would be right
};
using Findings = std::vector<Finding>;

inline std::string describe(Finding const& f) {
    return f.file + ":" + std::to_string(f.line) + ": " + f.what + " is not allowed here; use " +
           f.use;
}

/// All files by path, for the rules that compare files.
using Tree = std::map<std::string, std::string>;

}  // namespace kv::tidy

// literals: no tolerance stands in the code.
//
// A bound is derived from a declaration, never chosen. A fraction in the code is a tolerance until
// shown otherwise, however it is written: as a literal, as a quotient, as a power of two, or as the
// default of a library. Whole numbers are free.
#pragma once
#include "tests/tidy/source.hpp"

namespace kv::tidy {

/// Where a number may be a fraction: the declared roundings, the bounds that follow from them, the
/// values that engines are fed with, and those that the tests of file formats write and read back.
inline bool mayHoldFractions(std::string_view path) {
    return path.starts_with("spec/conversion.") || path.starts_with("spec/enclosure.") ||
           path.starts_with("properties/values.") || path.starts_with("tests/values.") ||
           path.starts_with("tests/data/");
}

/// Where our own powerOfTwo is defined, and chooses the two constants of the oracle's arithmetic.
inline constexpr std::string_view definesPowers = "spec/rounding.hpp";

/// Who may call powerOfTwo, with an exponent that a declaration or a value gives: the bounds of the
/// enclosure, file by file, and the tests that feed them.
inline bool mayCallPowers(std::string_view path) {
    for (std::string_view user :
         {"spec/interval.hpp", "spec/softmax_exact.hpp", "spec/softmax_schedule.hpp",
          "spec/softmax_weights.hpp", "spec/summation.hpp", "tests/conforming.hpp",
          "tests/enclosure_test.cpp"})
        if (path == user) return true;
    return false;
}

struct Literal {
    std::size_t begin, end;
    bool fraction;  ///< not written as a whole number: 0.001, .5f, 1e-3, 0x1p-3
};

namespace detail {

/// One past the number that starts at i, as a preprocessor would cut it.
inline std::size_t numberEnd(std::string_view code, std::size_t i) {
    bool const hex = code[i] == '0' && i + 1 < code.size() && (code[i + 1] | 32) == 'x';
    for (++i; i < code.size(); ++i) {
        char const c = code[i], before = char(code[i - 1] | 32);
        bool const sign = (c == '+' || c == '-') && before == (hex ? 'p' : 'e');
        bool const separator = c == '\'' && i + 1 < code.size() && isWordChar(code[i + 1]);
        if (!isWordChar(c) && c != '.' && !sign && !separator) break;
    }
    return i;
}

inline bool isFraction(std::string_view number) {
    bool const hex = number.size() > 1 && (number[1] | 32) == 'x';
    if (number.find_first_of(hex ? "pP" : "eE") != number.npos) return true;
    auto const dot = number.find('.');
    if (hex || dot == number.npos) return false;
    auto const rest = number.substr(dot + 1);
    if (rest.find('.') != rest.npos) return false;  // a version, as in 2.13.0
    return rest.find_first_of("123456789") != rest.npos;
}

}  // namespace detail

/// Every number in a text, except where it is a part of a name: x.5 and a1 hold none.
inline std::vector<Literal> literalsOf(std::string_view code) {
    std::vector<Literal> found;
    for (std::size_t i = 0; i < code.size();) {
        bool const dotted = code[i] == '.' && i + 1 < code.size() && isDigit(code[i + 1]);
        if (isWordChar(code[i]) && !isDigit(code[i])) {
            while (i < code.size() && (isWordChar(code[i]) || code[i] == '.')) ++i;
        } else if (isDigit(code[i]) || dotted) {
            auto const end = detail::numberEnd(code, i);
            found.push_back({i, end, detail::isFraction(code.substr(i, end - i))});
            i = end;
        } else {
            ++i;
        }
    }
    return found;
}

namespace detail {

/// Is every argument of the call whose bracket opens at i a number? exp2(-10), ldexp(1, -10).
inline bool onlyNumbers(std::string_view code, std::size_t open) {
    auto const close = code.find_first_of("()", open + 1);
    if (close == code.npos || code[close] != ')' || close == open + 1) return false;
    auto const inside = code.substr(open + 1, close - open - 1);
    std::string rest(inside);
    auto const literals = literalsOf(inside);
    for (auto const& l : literals)
        for (auto i = l.begin; i < l.end; ++i) rest[i] = ' ';
    return !literals.empty() && rest.find_first_not_of(" \n,+-*") == rest.npos;
}

}  // namespace detail

/// Names that carry a tolerance, and what a verdict uses instead.
inline std::vector<std::string_view> const& toleranceNames() {
    static std::vector<std::string_view> const names{
        "rtol",        "atol",        "rel_tol",         "abs_tol",          "allclose",
        "isclose",     "approx",      "assert_allclose", "assert_close",     "assertAlmostEqual",
        "EXPECT_NEAR", "ASSERT_NEAR", "EXPECT_FLOAT_EQ", "EXPECT_DOUBLE_EQ", "ASSERT_FLOAT_EQ",
        "FLT_EPSILON", "DBL_EPSILON", "epsilon",         "ASSERT_DOUBLE_EQ", "FloatNear"};
    return names;
}

namespace detail {

inline std::string const inIntervals = "a bound of spec/enclosure.hpp, or exact equality";

/// Fractions as they are written, and quotients of two numbers that are not whole.
inline void findFractions(File const& file, std::string_view code, Findings& findings) {
    auto const literals = literalsOf(code);
    for (std::size_t k = 0; k < literals.size(); ++k) {
        auto const& l = literals[k];
        std::string const text(code.substr(l.begin, l.end - l.begin));
        if (l.fraction)
            findings.push_back({file.path, lineAt(code, l.begin), "the literal " + text,
                                inIntervals});
        if (k + 1 == literals.size()) continue;
        auto const& next = literals[k + 1];
        bool const real = text.find('.') != text.npos ||
                          code.substr(next.begin, next.end - next.begin).find('.') != code.npos;
        auto const slash = skipBlanks(code, l.end);
        if (!real || slash >= code.size() || code[slash] != '/' ||
            skipBlanks(code, slash + 1) != next.begin)
            continue;
        findings.push_back({file.path, lineAt(code, l.begin),
                            "the quotient " + std::string(code.substr(l.begin,
                                                                      next.end - l.begin)),
                            inIntervals});
    }
}

inline void findPowers(File const& file, std::string_view code, Findings& findings) {
    for (std::string_view name : {"ldexp", "scalbn", "scalbln", "pow", "exp2", "exp", "ldexpf",
                                  "powf", "exp2f", "expf", "float_power", "exp10"})
        for (auto i = findWord(code, name); i != code.npos; i = findWord(code, name, i + 1)) {
            auto const open = skipBlanks(code, i + name.size());
            if (open < code.size() && code[open] == '(' && onlyNumbers(code, open))
                findings.push_back({file.path, lineAt(code, i),
                                    "the constant " + std::string(name) + "(...)", inIntervals});
        }
}

/// What stands between the bracket at open and the one that closes it.
inline std::string_view argumentAt(std::string_view code, std::size_t open) {
    std::size_t depth = 0;
    for (auto i = open; i < code.size(); ++i) {
        depth += code[i] == '(' ? 1 : 0;
        depth -= code[i] == ')' ? 1 : 0;
        if (depth == 0) return code.substr(open + 1, i - open - 1);
    }
    return code.substr(open);
}

/// A minus that is no arrow.
inline bool holdsMinus(std::string_view code) {
    for (auto i = code.find('-'); i != code.npos; i = code.find('-', i + 1))
        if (!code.substr(i).starts_with("->")) return true;
    return false;
}

/// Where the name at i begins, with its namespaces; npos if it is a member of something else.
inline std::size_t beginOfOurs(std::string_view code, std::size_t i) {
    auto begin = i;
    while (begin > 0 && (isWordChar(code[begin - 1]) || code[begin - 1] == ':')) --begin;
    auto const scope = code.substr(begin, i - begin);
    return scope.empty() || scope == "kv::" || scope == "::kv::" ? begin : code.npos;
}

/// Our own powers of two: no other file may call or rename them, and none may choose a negative
/// exponent or divide by one. A positive exponent makes a whole number, and those are free.
inline void findOwnPowers(File const& file, std::string_view code, Findings& findings) {
    std::string_view const name = "powerOfTwo";
    if (file.path == definesPowers) return;
    for (auto i = findWord(code, name); i != code.npos; i = findWord(code, name, i + 1)) {
        auto const begin = beginOfOurs(code, i);
        if (begin == code.npos) continue;
        auto const open = skipBlanks(code, i + name.size());
        bool const isCall = open < code.size() && code[open] == '(';
        auto const before = code.substr(0, begin).find_last_not_of(" \n");
        char const last = before == code.npos ? ' ' : code[before];
        bool const isDivisor = code.substr(0, before + 1).ends_with("/=") || last == '/';
        bool const isBad = isCall ? !mayCallPowers(file.path) || isDivisor ||
                                        holdsMinus(argumentAt(code, open))
                                  : last == '=' || last == '&';
        if (isBad)
            findings.push_back({file.path, lineAt(code, i), "this powerOfTwo", inIntervals});
    }
}

}  // namespace detail

/// No tolerance is written anywhere: not as a literal, a quotient, a power or a library's default.
inline Findings literalRule(File const& file) {
    auto const language = languageOf(file);
    bool const program = language == Language::cpp || language == Language::python ||
                         language == Language::shell;
    if (!program || mayHoldFractions(file.path)) return {};
    auto const code = viewsOf(file).code;
    Findings findings;
    detail::findFractions(file, code, findings);
    detail::findPowers(file, code, findings);
    detail::findOwnPowers(file, code, findings);
    for (auto name : toleranceNames())
        for (auto i = findWord(code, name); i != code.npos; i = findWord(code, name, i + 1))
            findings.push_back({file.path, lineAt(code, i),
                                "the tolerance " + std::string(name), detail::inIntervals});
    return findings;
}

}  // namespace kv::tidy

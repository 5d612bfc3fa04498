// stems: every theorem stands in each of its places.
//
// The registry spec/laws.hpp says which theorems a stem owns. Each is defined in spec/, proved in
// proofs/, and tried on engines by properties/, under one file name.
#pragma once
#include "tests/tidy/source.hpp"

#include <set>

namespace kv::tidy {

struct Owner {
    std::string stem;
    std::vector<std::string> theorems;
    std::size_t line;
};

/// Reads `stem("append", appendKV_last_key, ...)`, or `stem<"append">(...)`, in spec/laws.hpp.
inline std::vector<Owner> registryOf(File const& laws) {
    std::vector<Owner> owners;
    auto const code = viewsOf(laws).code;
    for (auto i = findWord(code, "stem"); i != code.npos; i = findWord(code, "stem", i + 1)) {
        auto at = skipBlanks(code, i + 4);
        if (at >= code.size() || (code[at] != '(' && code[at] != '<')) continue;
        auto const quote = skipBlanks(code, at + 1);
        if (quote >= code.size() || code[quote] != '"') continue;
        auto const close = code.find('"', quote + 1);
        Owner owner{laws.text.substr(quote + 1, close - quote - 1), {}, lineAt(code, i)};
        auto const end = std::min(code.find(')', close), code.size());
        for (at = close + 1; at < end; ++at) {
            auto const begin = at;
            while (at < end && isWordChar(code[at])) ++at;
            if (at != begin) owner.theorems.push_back(code.substr(begin, at - begin));
        }
        owners.push_back(std::move(owner));
    }
    return owners;
}

namespace detail {

inline bool codeNames(Tree const& tree, std::string const& path, std::string_view word) {
    auto const file = tree.find(path);
    return file != tree.end() &&
           findWord(viewsOf({path, file->second}).code, word) != std::string::npos;
}

/// Is the theorem defined in this file: `Theorem name{`, with its own name as its first text?
inline bool defines(Tree const& tree, std::string const& path, std::string const& theorem) {
    auto const file = tree.find(path);
    if (file == tree.end()) return false;
    auto const code = viewsOf({path, file->second}).code;
    for (auto i = findWord(code, theorem); i != code.npos; i = findWord(code, theorem, i + 1)) {
        auto const brace = skipBlanks(code, i + theorem.size());
        if (brace >= code.size() || code[brace] != '{') continue;
        auto const quote = skipBlanks(code, brace + 1);
        return file->second.substr(quote).starts_with('"' + theorem + '"');
    }
    return false;
}

/// Is the theorem one that no engine is asked for?
inline bool isOfSpec(Tree const& tree, std::string const& path, std::string const& theorem) {
    auto const file = tree.find(path);
    if (file == tree.end()) return false;
    auto const code = viewsOf({path, file->second}).code;
    auto const begin = code.find(theorem + "{");
    if (begin == code.npos) return false;
    auto const scope = findWord(code, "ofSpec", begin);
    return scope != code.npos && scope < code.find('[', begin);
}

/// The room demands its place once any stem has it there.
inline bool roomIsOpen(Tree const& tree, std::vector<Owner> const& owners, std::string_view room,
                       std::string_view ending) {
    return std::any_of(owners.begin(), owners.end(), [&](Owner const& o) {
        return tree.contains(std::string(room) + "/" + o.stem + std::string(ending));
    });
}

inline std::string textOf(Tree const& tree, std::string const& path) {
    auto const file = tree.find(path);
    return file == tree.end() ? std::string() : file->second;
}

/// Does a comment of the header name the proof in the paragraph that starts with "Checked"?
inline bool saysWhereChecked(Tree const& tree, std::string const& header,
                             std::string const& proof) {
    auto const comments = viewsOf({header, textOf(tree, header)}).comments;
    auto const from = findWord(comments, "Checked");
    auto const at = from == comments.npos ? from : comments.find(proof, from);
    return at != comments.npos && comments.substr(from, at - from).find("\n//\n") == comments.npos;
}

}  // namespace detail

/// Every theorem of the registry is in each of its places: defined, proved, tried if engines owe
/// it, and checked by the files that its spec header names. Each one that is defined stands there.
inline Findings stemRule(Tree const& tree) {
    std::string const laws = "spec/laws.hpp";
    if (!tree.contains(laws)) return {{laws, 1, "a house without a registry", "spec/laws.hpp"}};
    auto const owners = registryOf({laws, tree.at(laws)});
    bool const proved = detail::roomIsOpen(tree, owners, "proofs", ".cpp");
    bool const tried = detail::roomIsOpen(tree, owners, "properties", ".hpp");
    Findings findings;
    for (auto const& [stem, theorems, line] : owners) {
        std::string const spec = "spec/" + stem + ".hpp", proof = "proofs/" + stem + ".cpp";
        std::string const inputs = "properties/" + stem + ".hpp";
        auto const demand = [&](bool met, std::string const& file, std::string const& what,
                                std::string const& use) {
            if (!met) findings.push_back({file, 1, what, use});
        };
        demand(!proved || detail::saysWhereChecked(tree, spec, proof), spec,
               "a header that does not say where it is checked",
               "a sentence 'Checked ... " + proof + " ...'");
        for (auto const& theorem : theorems) {
            demand(detail::defines(tree, spec, theorem), spec, theorem + " without its definition",
                   "a Theorem of this name in this file");
            demand(!proved || detail::codeNames(tree, proof, theorem), proof,
                   theorem + " without a proof", "the theorem at each shape in this file");
            bool const isTried =
                findWord(detail::textOf(tree, inputs), theorem) != theorem.npos;
            demand(!tried || isTried || detail::isOfSpec(tree, spec, theorem), inputs,
                   theorem + " without inputs", "a sentence 'Inputs of " + theorem + "'");
        }
        if (theorems.empty())
            findings.push_back({laws, line, "the stem " + stem + " without a theorem", "one"});
    }
    if (owners.empty()) findings.push_back({laws, 1, "an empty registry", "stem(...) lines"});
    return findings;
}

/// A theorem that is defined in spec/ and missing in the registry is used by nobody.
inline Findings registryRule(Tree const& tree) {
    std::string const laws = "spec/laws.hpp";
    std::set<std::string> known;
    for (auto const& owner : registryOf({laws, detail::textOf(tree, laws)}))
        known.insert(owner.theorems.begin(), owner.theorems.end());
    Findings findings;
    for (auto const& [path, text] : tree) {
        if (roomOf(path) != "spec" || !path.ends_with(".hpp")) continue;
        auto const code = viewsOf({path, text}).code;
        for (auto i = findWord(code, "Theorem"); i != code.npos;
             i = findWord(code, "Theorem", i + 1)) {
            auto const begin = skipBlanks(code, i + 7);
            auto end = begin;
            while (end < code.size() && isWordChar(code[end])) ++end;
            auto const brace = skipBlanks(code, end);
            auto const name = code.substr(begin, end - begin);
            if (name.empty() || brace >= code.size() || code[brace] != '{' || known.contains(name))
                continue;
            if (code.substr(0, i).ends_with("struct ")) continue;
            findings.push_back({path, lineAt(code, i), "the theorem " + name + " alone",
                                "it in spec/laws.hpp too"});
        }
    }
    return findings;
}

/// Every bug is in the zoo, and the theorem that it breaks is in the registry.
inline Findings zooRule(Tree const& tree) {
    std::set<std::string> known;
    for (auto const& owner : registryOf({"spec/laws.hpp", detail::textOf(tree, "spec/laws.hpp")}))
        known.insert(owner.theorems.begin(), owner.theorems.end());
    Findings findings;
    for (auto const& [path, text] : tree) {
        if (roomOf(path) != "bugs" || !path.ends_with(".hpp") || path == "bugs/zoo.hpp") continue;
        auto const name = path.substr(path.find('/') + 1);
        if (detail::textOf(tree, "bugs/zoo.hpp").find('"' + name + '"') == std::string::npos)
            findings.push_back({path, 1, "a bug outside the zoo", "bugs/zoo.hpp to list it"});
        auto const code = viewsOf({path, text}).code;
        auto const at = findWord(code, "theorem");
        auto const open = at == code.npos ? code.npos : code.find('"', at);
        auto const close = open == code.npos ? open : code.find('"', open + 1);
        auto const theorem = close == code.npos ? "" : text.substr(open + 1, close - open - 1);
        if (!known.contains(theorem))
            findings.push_back({path, at == code.npos ? 1 : lineAt(code, at),
                                "a bug that breaks '" + theorem + "'",
                                "theorem = \"...\" with a name of spec/laws.hpp"});
    }
    return findings;
}

/// Theorems that no file of bugs/ names: nothing shows yet that they can fail.
inline std::vector<std::string> theoremsWithoutKill(Tree const& tree) {
    std::vector<std::string> alone;
    for (auto const& owner : registryOf({"spec/laws.hpp", detail::textOf(tree, "spec/laws.hpp")}))
        for (auto const& theorem : owner.theorems)
            if (std::none_of(tree.begin(), tree.end(), [&](auto const& file) {
                    return roomOf(file.first) == "bugs" &&
                           findWord(file.second, theorem) != std::string::npos;
                }))
                alone.push_back(theorem);
    return alone;
}

}  // namespace kv::tidy

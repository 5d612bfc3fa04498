// tidy_test: hold the house to its own rules.
//
// First each rule is tried on text that it must catch and on text that it must leave alone; then
// it reads the repository. A finding says file, line, what is not allowed, and what to use.
#include "tests/tidy/arrows.hpp"
#include "tests/tidy/literals.hpp"
#include "tests/tidy/map.hpp"
#include "tests/tidy/shape.hpp"
#include "tests/tidy/stems.hpp"
#include "tests/tidy/text.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace kv::tidy {
namespace {

namespace fs = std::filesystem;

std::string contentOf(fs::path const& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Every text of the house: the rooms, .ci and the files beside them. Data is no text.
Tree readHouse() {
    fs::path const root = KVSPEC_SOURCE_DIR;
    Tree tree;
    auto const add = [&](fs::path const& file) {
        auto text = contentOf(file);
        if (text.find('\0') == std::string::npos)
            tree.emplace(file.lexically_relative(root).generic_string(), std::move(text));
    };
    for (auto const& beside : fs::directory_iterator(root))
        if (beside.is_regular_file()) add(beside.path());
    for (auto const* room : {".ci", "spec", "proofs", "impl", "properties", "bugs", "oracle",
                             "tests", "script"}) {
        if (!fs::is_directory(root / room)) continue;
        for (auto at = fs::recursive_directory_iterator(root / room); at != fs::end(at); ++at) {
            auto const name = at->path().filename().string();
            bool const data = at->path() == root / "tests" / "data";
            if (at->is_directory() && (data || name[0] == '.' || name == "__pycache__"))
                at.disable_recursion_pending();
            if (at->is_regular_file() && name[0] != '.') add(at->path());
        }
    }
    return tree;
}

Tree const& house() {
    static Tree const tree = readHouse();
    return tree;
}

std::string listed(Findings const& findings) {
    std::string text;
    for (auto const& f : findings) text += describe(f) + "\n";
    return text;
}

/// Runs a rule over every file and reports all that it finds at once.
template <class Rule>
void expectNone(Rule rule) {
    ASSERT_TRUE(house().contains("spec/numerics.hpp")) << "the repository was not found";
    Findings all;
    for (auto const& [path, text] : house()) {
        auto const findings = rule(File{path, text});
        all.insert(all.end(), findings.begin(), findings.end());
    }
    EXPECT_TRUE(all.empty()) << listed(all);
}

std::size_t caught(Findings (*rule)(File const&), std::string path, std::string text) {
    return rule({std::move(path), std::move(text)}).size();
}

TEST(Tidy, views_tell_code_from_comments_and_literals) {
    auto const code = [](std::string path, std::string text) {
        return viewsOf({std::move(path), std::move(text)}).code;
    };
    EXPECT_EQ(code("a.hpp", "a // b\nc"), "a     \nc");
    EXPECT_EQ(code("a.hpp", "a /* b\n*/ c"), "a     \n   c");
    EXPECT_EQ(code("a.hpp", "f(\"x // y\", 'z');"), "f(\"      \", ' ');");
    EXPECT_EQ(code("a.hpp", "f(R\"(x\" // y)\"); g"), "f(R\"        )\"); g");
    EXPECT_EQ(code("a.hpp", "1'000 // n\n2"), "1'000     \n2");
    EXPECT_EQ(code("a.py", "a # b\n'''c\nd''' e"), "a    \n''' \n ''' e");
    EXPECT_EQ(code("a.py", "x = \"\" # b\ny"), "x = \"\"    \ny");
    EXPECT_EQ(code("a.sh", "a $# ${b#c} # d"), "a $# ${b#c}    ");
    EXPECT_EQ(code("a.sh", "a 'b' \"c d\""), "a 'b' \"   \"");
    EXPECT_EQ(viewsOf({"a.hpp", "a // b\nc"}).comments, "  // b\n ");
}

TEST(Tidy, arrow_rule_catches_an_include_against_the_arrows) {
    EXPECT_EQ(caught(arrowRule, "impl/a.hpp", "#include \"spec/kv.hpp\"\n"), 1u);
    EXPECT_EQ(caught(arrowRule, "spec/a.hpp", "#include \"impl/a.hpp\"\n"), 1u);
    EXPECT_EQ(caught(arrowRule, "spec/a.hpp", "  #  include <fmt/format.h>\n"), 1u);
    EXPECT_EQ(caught(arrowRule, "proofs/a.cpp", "#include \"properties/a.hpp\"\n"), 1u);
    EXPECT_EQ(caught(arrowRule, "properties/a.hpp", "#include \"oracle/a.hpp\"\n"), 1u);
    EXPECT_EQ(caught(arrowRule, "bugs/a.hpp", "#include \"spec/append.hpp\"\n"), 1u);
    EXPECT_EQ(caught(arrowRule, "bugs/a.hpp", "#include \"../spec/append.hpp\"\n"), 1u);
    EXPECT_EQ(caught(arrowRule, "oracle/a.cpp", "#include \"spec/append.hpp\"\n"), 1u);
    EXPECT_EQ(caught(arrowRule, "oracle/a.cpp", "#include \"proofs/term.hpp\"\n"), 1u);
    EXPECT_EQ(caught(arrowRule, "impl/a.hpp", "#include <unistd.h>\n"), 1u);
    auto const message = listed(arrowRule({"impl/a.hpp", "\n#include \"spec/kv.hpp\"\n"}));
    EXPECT_EQ(message,
              "impl/a.hpp:2: #include of spec/kv.hpp is not allowed here; use only impl\n");
}

TEST(Tidy, arrow_rule_leaves_the_arrows_alone) {
    EXPECT_EQ(caught(arrowRule, "spec/a.hpp", "#include <boost/hana.hpp>\n"), 0u);
    EXPECT_EQ(caught(arrowRule, "spec/a.hpp", "#include \"b.hpp\"\n"), 0u);
    EXPECT_EQ(caught(arrowRule, "proofs/a.cpp", "#include \"spec/kv.hpp\"\n"), 0u);
    EXPECT_EQ(caught(arrowRule, "bugs/a.hpp", "#include \"impl/a.hpp\"\n#include <cmath>\n"), 0u);
    EXPECT_EQ(caught(arrowRule, "oracle/engines/a.hpp", "#include \"impl/a.hpp\"\n"), 0u);
    EXPECT_EQ(caught(arrowRule, "oracle/a.cpp", "#include <unistd.h>\n"), 0u);
    EXPECT_EQ(caught(arrowRule, "impl/a.hpp", "// #include \"spec/kv.hpp\"\n"), 0u);
    EXPECT_EQ(caught(arrowRule, "tests/a.cpp", "#include \"bugs/a.hpp\"\n"), 0u);
}

TEST(Tidy, arrows_of_the_house) { expectNone(arrowRule); }

TEST(Tidy, literal_rule_catches_a_tolerance_however_it_is_written) {
    for (auto const* text :
         {"x < 0.001", "x < 1.0/1024", "x < 1.0f / 1024", "x < 1 / 1024.0", "std::ldexp(1,-10)",
          "ldexp ( 1.0 , -10 )", "std::exp2(-10)", "pow(2, -10)", "1e-3", "1E6", ".5f", "(.5)",
          "0.5", "0x1p-3", "0x1.8p0", "1'000.25", "-0.5e+2", "rtol=x", "atol", "y = approx(x)",
          "EXPECT_NEAR(a, b, c)", "EXPECT_FLOAT_EQ(a, b)",
          "std::numeric_limits<float>::epsilon()"}) {
        EXPECT_EQ(caught(literalRule, "impl/a.hpp", text), 1u) << text;
        EXPECT_EQ(caught(literalRule, "spec/enclosure.hpp", text), 0u) << text;
    }
    for (auto const* text : {"x < 0.001", "1e-3", "rtol=x", "np.allclose(a, b)", "2.0 / 3"})
        EXPECT_EQ(caught(literalRule, "oracle/a.py", text), 1u) << text;
    for (auto const* text : {"sleep 0.5", "x=1e-3", "--rtol=1", "\"0.25\""})
        EXPECT_EQ(caught(literalRule, "script/a.sh", text), 1u) << text;
    EXPECT_EQ(caught(literalRule, "script/check", "#!/usr/bin/env bash\nsleep 0.5\n"), 1u);
}

TEST(Tidy, literal_rule_leaves_whole_numbers_alone) {
    for (auto const* text :
         {"1.0", "2.", "0.0f", "1024", "x.5", "a1.b2", "1'000'000", "0x1e3", "0xFF", "n / 1024",
          "1 / std::sqrt(keyDim)", "1.0 / double(n)", "x * 1.0f", "std::ldexp(1.0, -bits)",
          "pow(x, 2)",
          "// 0.001 and rtol", "\"scale\": \"0.5\"", "/* version 3.25 */", "epsilons", "7 / 2",
          "std::exp(x)", "f<1>(2)", "\"arXiv 2104.09864\""})
        EXPECT_EQ(caught(literalRule, "impl/a.hpp", text), 0u) << text;
    for (auto const* text : {"# 3.25", "x = 'torch 2.13'", "\"\"\"0.5\n1e-3\"\"\"", "a[1:2]"})
        EXPECT_EQ(caught(literalRule, "oracle/a.py", text), 0u) << text;
    for (auto const* text :
         {"# CMake 3.25", "pip install torch==2.13.0", "say \"needs 3.25 or so\""})
        EXPECT_EQ(caught(literalRule, "script/a.sh", text), 0u) << text;
    EXPECT_EQ(caught(literalRule, "CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)"), 0u);
    EXPECT_EQ(caught(literalRule, "README.md", "0.001"), 0u);
}

TEST(Tidy, literal_rule_catches_a_power_of_two_of_ours) {
    std::vector<std::string> const negative{
        "x < powerOfTwo(-10)",       "kv::powerOfTwo ( -bits )", "powerOfTwo(n.low - 10)",
        "powerOfTwo(f(x)\n  -10)",   "1 / powerOfTwo(10)",       "x /= kv::powerOfTwo(n)",
        "auto f = kv::powerOfTwo;",  "powerOfTwo(p->low - 10)",
        "auto f = &powerOfTwo;",     "f = powerOfTwo(-10)"};
    std::vector<std::string> const derived{"powerOfTwo(n.flush)", "powerOfTwo(p->flush) / 2",
                                           "powerOfTwo(100)", "x - powerOfTwo(f(x)) - 1"};
    for (auto const* user : {"spec/interval.hpp", "spec/softmax_exact.hpp",
                             "spec/softmax_schedule.hpp", "spec/softmax_weights.hpp",
                             "spec/summation.hpp",
                             "tests/conforming.hpp", "tests/enclosure_test.cpp"}) {
        for (auto const& text : negative) EXPECT_EQ(caught(literalRule, user, text), 1u) << text;
        for (auto const& text : derived) EXPECT_EQ(caught(literalRule, user, text), 0u) << text;
        EXPECT_TRUE(house().contains(user) &&
                    findWord(house().at(user), "powerOfTwo") != std::string::npos)
            << user << " may call what it does not call";
    }
    for (auto const* other : {"spec/window.hpp", "properties/judge.cpp", "oracle/main.cpp",
                              "tests/judge_test.cpp"}) {
        for (auto const& text : negative) EXPECT_EQ(caught(literalRule, other, text), 1u) << text;
        for (auto const& text : derived) EXPECT_EQ(caught(literalRule, other, text), 1u) << text;
        for (auto const* text : {"powerOfTwos(1); // powerOfTwo(-1)", "s = Rule::powerOfTwo;",
                                 "enum class Rule { nearest,\n powerOfTwo };"})
            EXPECT_EQ(caught(literalRule, other, text), 0u) << text;
    }
    EXPECT_EQ(caught(literalRule, "spec/rounding.hpp", "powerOfTwo(-53)"), 0u);
    EXPECT_EQ(caught(literalRule, "spec/rounding.hpp", "exp2(-53)"), 1u);
}

TEST(Tidy, literals_of_the_house) { expectNone(literalRule); }

TEST(Tidy, text_rule_catches_what_ages_badly) {
    for (auto const& text :
         {std::string(101, 'x'), std::string("a\tb"), std::string("a "), std::string("a\r"),
          std::string("// TO" "DO later"), std::string("on 20" "24-01-31"),
          std::string("March" " 2024"), std::string("cd /wo" "rk/main"),
          std::string("\"/ro" "ot/x\""), std::string("=/ho" "me/me"),
          std::string("well \xF0\x9F\x98\x80"), std::string("\xE2\x9C\x85 done")})
        EXPECT_EQ(caught(textRule, "impl/a.hpp", text + "\n"), 1u) << text;
    EXPECT_EQ(caught(textRule, "impl/a.hpp", "no newline"), 1u);
    EXPECT_EQ(caught(textRule, "README.md", "a\tb\n"), 1u);
}

TEST(Tidy, text_rule_leaves_plain_text_alone) {
    std::string columns;
    for (int i = 0; i < 100; ++i) columns += "\xC3\xA9";  // one column, two bytes
    for (auto const& text :
         {columns, std::string("n \xE2\x89\xA4 m \xE2\x86\x92 k"), std::string("TO" "DOS"),
          std::string("IEEE 754-2019"), std::string("it may be 3"), std::string("(May)"),
          std::string("src/work/a"), std::string("/usr/include"), std::string("a/root/b"),
          std::string("page /work"), std::string("1234-567-89")})
        EXPECT_EQ(caught(textRule, "impl/a.hpp", text + "\n"), 0u) << text;
    EXPECT_EQ(caught(textRule, "README.md", std::string(300, 'x') + "\n"), 0u);
}

TEST(Tidy, text_of_the_house) {
    expectNone([](File const& file) {
        return file.path == "LICENSE" ? Findings{} : textRule(file);
    });
}

TEST(Tidy, spec_rule_catches_macros_and_long_headers) {
    EXPECT_EQ(caught(specRule, "spec/a.hpp", "#define A 1\n"), 1u);
    EXPECT_EQ(caught(specRule, "spec/a.hpp", "#if A\n# else\n#endif\n"), 3u);
    std::string lines;
    for (int i = 0; i < 150; ++i) lines += "// a line\n";
    EXPECT_EQ(caught(specRule, "spec/a.hpp", lines), 0u);
    EXPECT_EQ(caught(specRule, "spec/a.hpp", lines + "// one more\n"), 1u);
    EXPECT_EQ(caught(specRule, "impl/a.hpp", lines + "#define A 1\n"), 0u);
    EXPECT_EQ(caught(specRule, "spec/a.hpp", "#pragma once\n#include <bit>\n// #if\n"), 0u);
}

TEST(Tidy, spec_of_the_house) { expectNone(specRule); }

TEST(Tidy, function_rule_counts_the_lines_between_braces) {
    auto const body = [](int n) {
        std::string lines;
        for (int i = 0; i < n; ++i) lines += "    if (x) { y(); }\n";
        return lines;
    };
    for (std::string head : {"int f(int x) {\n", "template <class T>\nauto g(T x) -> int {\n",
                             "struct S {\nS() : a{1} {\n", "namespace n {\nTEST(A, b) {\n"}) {
        bool const inside = head.find("{\n") + 2 != head.size();
        std::string const foot = inside ? "}\n}\n" : "}\n";
        EXPECT_EQ(caught(functionRule, "impl/a.hpp", head + body(40) + foot), 0u) << head;
        EXPECT_EQ(caught(functionRule, "impl/a.hpp", head + body(41) + foot), 1u) << head;
    }
    for (std::string head : {"struct S {\n", "namespace n {\n", "struct alignas(8) T : U<int> {\n",
                             "enum class E : int {\n", "int table[] = {\n"}) {
        auto const lines = std::string(60, '\n');
        EXPECT_EQ(caught(functionRule, "impl/a.hpp", head + lines + "}\n"), 0u) << head;
    }
}

TEST(Tidy, functions_of_the_house) { expectNone(functionRule); }

TEST(Tidy, bug_rule_wants_one_function_and_one_mark) {
    std::string const head = "struct B : Standard {\n";
    std::string const one = "static auto slot(int i) {\n// wrong: forgets the base\nreturn i; }\n";
    std::string const two = "static constexpr int other(int i) { return i; }\n";
    EXPECT_EQ(caught(bugRule, "bugs/a.hpp", head + one + "};\n"), 0u);
    EXPECT_EQ(caught(bugRule, "bugs/a.hpp", head + one + two + "};\n"), 1u);
    EXPECT_EQ(caught(bugRule, "bugs/a.hpp", head + two + "};\n"), 1u);
    EXPECT_EQ(caught(bugRule, "bugs/a.hpp", head + "};\n"), 2u);
    EXPECT_EQ(caught(bugRule, "bugs/a.hpp", head + one + "// wrong: again\n};\n"), 1u);
    EXPECT_EQ(caught(bugRule, "bugs/a.hpp", head + "// static int f(int)\n" + one + "};\n"), 0u);
    EXPECT_EQ(caught(bugRule, "impl/a.hpp", head + "};\n"), 0u);
    EXPECT_EQ(caught(bugRule, "bugs/zoo.hpp", head + "};\n"), 0u);
}

TEST(Tidy, bugs_of_the_house) { expectNone(bugRule); }

/// A house of two stems in which every theorem has all of its places.
Tree smallHouse() {
    return {{"spec/laws.hpp", "auto laws = make(stem(\"append\", append_last, append_keeps),\n"
                              "    stem<\"fork\">(fork_isolated));\n"},
            {"spec/append.hpp", "// Checked by proofs/append.cpp.\n"
                                "inline constexpr Theorem append_last{\n    \"append_last\"};\n"
                                "inline constexpr Theorem append_keeps{\"append_keeps\"};\n"},
            {"spec/fork.hpp", "// Checked by proofs/fork.cpp.\n"
                              "inline constexpr Theorem fork_isolated{\"fork_isolated\"};\n"},
            {"proofs/append.cpp", "prove<append_last>(); prove<append_keeps>();\n"},
            {"proofs/fork.cpp", "prove<fork_isolated>();\n"},
            {"properties/append.hpp", "inputs(append_last, append_keeps);\n"},
            {"properties/fork.hpp", "inputs(fork_isolated);\n"},
            {"bugs/zoo.hpp", "#include \"forgets.hpp\"\n"},
            {"bugs/forgets.hpp", "auto theorem = \"append_last\";\n"}};
}

TEST(Tidy, stem_rule_reads_the_registry) {
    auto const owners = registryOf({"spec/laws.hpp", smallHouse()["spec/laws.hpp"]});
    ASSERT_EQ(owners.size(), 2u);
    EXPECT_EQ(owners[0].stem, "append");
    EXPECT_EQ(owners[0].theorems, (std::vector<std::string>{"append_last", "append_keeps"}));
    EXPECT_EQ(owners[1].theorems, std::vector<std::string>{"fork_isolated"});
    EXPECT_EQ(listed(stemRule(smallHouse())), "");
    EXPECT_EQ(listed(registryRule(smallHouse())), "");
}

TEST(Tidy, stem_rule_names_the_place_that_is_missing) {
    struct Damage {
        std::string file, text, expected;
    };
    for (auto const& [file, text, expected] : std::vector<Damage>{
             {"spec/append.hpp", "append_last{", "append_last without its definition"},
             {"spec/append.hpp", "\"append_last\"", "append_last without its definition"},
             {"spec/append.hpp", "Checked", "does not say where it is checked"},
             {"spec/append.hpp", "proofs/append", "does not say where it is checked"},
             {"proofs/append.cpp", "append_keeps", "append_keeps without a proof"},
             {"properties/fork.hpp", "fork_isolated", "fork_isolated without inputs"}}) {
        auto tree = smallHouse();
        auto& place = tree[file];
        place.erase(place.find(text), text.size());
        auto const findings = stemRule(tree);
        ASSERT_EQ(findings.size(), 1u) << file << "\n" << listed(findings);
        EXPECT_EQ(findings[0].file, file);
        EXPECT_NE(findings[0].what.find(expected), std::string::npos) << findings[0].what;
    }
}

TEST(Tidy, stem_rule_demands_no_inputs_of_what_no_engine_owes) {
    auto tree = smallHouse();
    tree.erase("properties/fork.hpp");
    EXPECT_EQ(stemRule(tree).size(), 1u);
    auto& fork = tree["spec/fork.hpp"];
    fork.insert(fork.find("};"), ", \"forks are alone\", ofSpec, [](auto&) {}");
    EXPECT_EQ(listed(stemRule(tree)), "");
    fork.replace(fork.find("ofSpec"), 6, "ofEngine");
    fork += "inline constexpr Theorem other{\"other\", ofSpec, [] {}};\n";
    EXPECT_EQ(stemRule(tree).size(), 1u) << "the scope is another theorem's";
}

TEST(Tidy, stem_rule_takes_no_comment_for_a_proof) {
    auto tree = smallHouse();
    tree["proofs/fork.cpp"] = "// fork_isolated\n";
    EXPECT_EQ(stemRule(tree).size(), 1u);
    tree.erase("proofs/fork.cpp");
    EXPECT_EQ(stemRule(tree).size(), 1u);
    tree.erase("proofs/append.cpp");  // now the room is empty, and demands nothing
    EXPECT_EQ(listed(stemRule(tree)), "");
    tree["spec/laws.hpp"] = "// stem(\"append\", append_last)\n";
    EXPECT_EQ(stemRule(tree).size(), 1u) << "an empty registry is noticed";
    EXPECT_EQ(registryRule(tree).size(), 3u) << "and so are theorems that it forgot";
}

TEST(Tidy, stems_of_the_house) {
    auto findings = stemRule(house());
    auto const forgotten = registryRule(house());
    findings.insert(findings.end(), forgotten.begin(), forgotten.end());
    EXPECT_TRUE(findings.empty()) << listed(findings);
}

TEST(Tidy, zoo_rule_wants_every_bug_listed_with_a_known_theorem) {
    EXPECT_EQ(listed(zooRule(smallHouse())), "");
    auto tree = smallHouse();
    tree["bugs/zoo.hpp"] = "";
    EXPECT_EQ(zooRule(tree).size(), 1u);
    tree = smallHouse();
    tree["bugs/forgets.hpp"] = "auto theorem = \"append_first\";\n";
    EXPECT_EQ(zooRule(tree).size(), 1u);
    tree["bugs/forgets.hpp"] = "// theorem = \"append_last\"\n";
    EXPECT_EQ(zooRule(tree).size(), 1u);
}

TEST(Tidy, zoo_of_the_house) {
    auto const findings = zooRule(house());
    EXPECT_TRUE(findings.empty()) << listed(findings);
}

TEST(Tidy, kills_are_counted_by_name) {
    EXPECT_EQ(theoremsWithoutKill(smallHouse()),
              (std::vector<std::string>{"append_keeps", "fork_isolated"}));
    for (auto const& theorem : theoremsWithoutKill(house()))
        std::cout << "without a kill: " << theorem << "\n";
}

TEST(Tidy, map_rule_compares_the_map_with_the_files) {
    Tree const tree{{"spec/kv.hpp", "// kv: read this first.\n"},
                    {"spec/fork.hpp", "// fork: copy a cache.\n"},
                    {"tests/refuse/a.cpp", "\n"},
                    {"script/test", "\n"},
                    {"README.md", ""}};
    std::string const good = "text about spec/kv.hpp in a sentence\n"
                             "spec/kv.hpp    read this first.\n"
                             "| `spec/fork.hpp` | copy a cache. |\n"
                             "tests/refuse/  programs that must not compile\n"
                             "script/        what a person types\n";
    auto const found = [&](std::string const& text) {
        return mapRule({"README.md", text}, tree).size();
    };
    EXPECT_EQ(found(good), 0u) << listed(mapRule({"README.md", good}, tree));
    EXPECT_EQ(found(good + "spec/gone.hpp  is no more\n"), 1u);
    EXPECT_EQ(found(good + "bugs/  is empty\n"), 1u);
    EXPECT_EQ(found(good + "script/  again\n"), 1u);
    auto const without = [&](std::string text) {
        auto copy = good;
        copy.erase(copy.find(text), text.size());
        return found(copy);
    };
    EXPECT_EQ(without("| `spec/fork.hpp` | copy a cache. |\n"), 1u);
    EXPECT_EQ(without("copy "), 1u) << "the sentence is the header's own";
    EXPECT_EQ(without("tests/refuse/  programs that must not compile\n"), 1u);
    EXPECT_EQ(found("script/gone  above\n## The map\n" + good + "# More\nbugs/gone  x\n"), 0u);
    EXPECT_EQ(found("no map\n"), 1u);
    EXPECT_EQ(found("spec/  the book\ntests/  our tests\nscript/  to type\n"), 0u);
    EXPECT_EQ(found("spec/  the book\nscript/  to type\n"), 1u) << "a room is missing";
}

TEST(Tidy, map_of_the_house) {
    auto const readme = house().find("README.md");
    if (readme == house().end()) GTEST_SKIP() << "README.md is not written yet";
    auto const findings = mapRule({readme->first, readme->second}, house());
    EXPECT_TRUE(findings.empty()) << listed(findings);
}

}  // namespace
}  // namespace kv::tidy

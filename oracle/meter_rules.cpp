// meter_rules: read the rules that other projects use, and the one that a user types.
#include "oracle/catalog.hpp"
#include "oracle/meter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace kv::oracle {

namespace {

struct NumberName {
    std::string_view name;
    std::optional<double> RuleNumbers::*field;
};
constexpr std::array<NumberName, 7> everyNumber{{{"atol", &RuleNumbers::absolute},
                                                 {"rtol", &RuleNumbers::relative},
                                                 {"nmse", &RuleNumbers::nmse},
                                                 {"match", &RuleNumbers::share},
                                                 {"factor", &RuleNumbers::factor},
                                                 {"shift", &RuleNumbers::shift},
                                                 {"cosine", &RuleNumbers::cosine}}};

RuleNumbers readNumbers(Node const& node) {
    std::vector<std::string_view> names;
    for (auto const& number : everyNumber)
        names.push_back(number.name);
    node.allowOnly(names);
    RuleNumbers numbers;
    for (auto const& number : everyNumber)
        if (auto const found = node.find(number.name))
            numbers.*number.field = readDouble(*found);
    if (numbers.isEmpty())
        node.refuse("holds no number; expected those that upstream's test has");
    return numbers;
}

RuleInputs readInputs(Node const& node) {
    node.allowOnly({"family", "unit", "query", "key", "value"});
    return {.family = read<InputFamily>(node.at("family")),
            .unit = read<InputUnit>(node.at("unit")),
            .query = readDouble(node.at("query")),
            .key = readDouble(node.at("key")),
            .value = readDouble(node.at("value"))};
}

/// A rule without the numbers that its kind reads would judge by zeros.
void requireNumbers(Rule const& rule, Node const& node) {
    auto const& n = rule.numbers;
    bool const isWhole =
        rule.kind == RuleKind::elementwise  ? n.absolute && n.relative
        : rule.kind == RuleKind::matching   ? n.share && n.absolute && n.relative
        : rule.kind == RuleKind::meanSquare ? n.nmse.has_value()
                                            : n.factor && n.shift;
    if (!isWhole)
        node.refuse(fmt::format("lacks a number; expected {} for kind {}",
                                rule.kind == RuleKind::elementwise  ? "atol and rtol"
                                : rule.kind == RuleKind::matching   ? "match, atol and rtol"
                                : rule.kind == RuleKind::meanSquare ? "nmse"
                                                                    : "factor and shift",
                                nameOf(rule.kind)));
}

Rule readRule(Node const& node) {
    node.allowOnly({"name", "project", "file", "commit", "kind", "dtype", "cache", "reference",
                    "numbers", "inputs", "note"});
    Rule rule;
    rule.name = readString(node.at("name"));
    rule.project = readString(node.at("project"));
    rule.file = readString(node.at("file"));
    rule.commit = readString(node.at("commit"));
    rule.note = readString(node.at("note"));
    rule.kind = read<RuleKind>(node.at("kind"));
    rule.dtype = read<Element>(node.at("dtype"));
    rule.cache = read<Element>(node.at("cache"));
    rule.reference = read<ReadRows>(node.at("reference"));
    rule.numbers = readNumbers(node.at("numbers"));
    rule.inputs = readInputs(node.at("inputs"));
    requireNumbers(rule, node.at("numbers"));
    return rule;
}

[[noreturn]] void refuseTyped(std::string const& text, std::string_view why) {
    auto const complaint = fmt::format(
        "--rule {}: {}; expected atol=A,rtol=R or nmse=X or match=SHARE,atol=A,rtol=R, each a "
        "number from 0 on, SHARE at most 1",
        quote(text), why);
    throw BadArgument(printable(complaint));
}

double typedNumber(std::string const& text, std::string_view digits) {
    double number = 0;
    auto const* const end = digits.data() + digits.size();
    auto const [at, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc{} || at != end || !std::isfinite(number) || std::signbit(number))
        refuseTyped(text, fmt::format("{} is no such number", quote(digits)));
    return number;
}

RuleNumbers typedNumbers(std::string const& text) {
    RuleNumbers numbers;
    std::string_view rest = text;
    while (true) {
        auto const part = rest.substr(0, rest.find(','));
        auto const equals = part.find('=');
        auto const name = part.substr(0, equals);
        auto const* const known = std::find_if(
            everyNumber.begin(), everyNumber.begin() + 4,
            [&](NumberName const& number) { return number.name == name; });
        if (equals == part.npos || known == everyNumber.begin() + 4)
            refuseTyped(text, fmt::format("{} is no part of a rule", quote(part)));
        if ((numbers.*known->field).has_value())
            refuseTyped(text, fmt::format("{} stands twice", name));
        numbers.*known->field = typedNumber(text, part.substr(equals + 1));
        if (part.size() == rest.size())
            return numbers;
        rest.remove_prefix(part.size() + 1);
    }
}

}  // namespace

std::vector<Rule> readRules(std::string_view text, std::string_view name) {
    Place const place{name};
    auto const object = parseObject(text, place);
    Node const root(object.value, place);
    root.allowOnly({"rules"});
    auto const list = root.at("rules");
    std::vector<Rule> rules;
    for (std::size_t i = 0; i < list.length(); ++i)
        rules.push_back(readRule(list.at(i)));
    return rules;
}

Rule typedRule(std::string const& text) {
    Rule rule{.name = "--rule " + text};
    auto const& n = rule.numbers = typedNumbers(text);
    bool const hasBoth = n.absolute && n.relative, hasOne = n.absolute || n.relative;
    if (n.nmse ? hasOne || n.share : !hasBoth)
        refuseTyped(text, "these parts make no rule");
    if (n.share && *n.share > 1)
        refuseTyped(text, "a share is at most 1");
    if (n.nmse)
        rule.kind = RuleKind::meanSquare;
    else if (n.share)
        rule.kind = RuleKind::matching;
    return rule;
}

}  // namespace kv::oracle

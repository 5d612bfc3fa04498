// infer_stages: hold what was seen of an engine's arithmetic against a record of it.
//
// The fields are those of Numerics itself, by reflection: one that is added there is listed here,
// and is unknown until SeenNumerics has it too.
#include "oracle/infer_parts.hpp"
#include "spec/presets.hpp"

#include <boost/hana.hpp>
#include <fmt/format.h>

#include <type_traits>
#include <utility>

namespace kv::oracle::inference {

namespace {

namespace hana = boost::hana;

template <class Key>
constexpr bool isAsked =
    decltype(hana::contains(std::declval<SeenNumerics const&>(), std::declval<Key>()))::value;

/// Calls visit(name, guess, accessor) for each field of Numerics that a probe asks for.
template <class Visit>
void forEachSeen(SeenNumerics const& seen, Visit visit) {
    hana::for_each(hana::accessors<Numerics>(), [&](auto const& accessor) {
        auto const key = hana::first(accessor);
        if constexpr (isAsked<std::remove_cvref_t<decltype(key)>>)
            visit(key.c_str(), hana::at_key(seen, key), hana::second(accessor));
    });
}

/// What a declaration lets through the stage. An output shows no more than the sum before it had.
Precision promised(Numerics const& n, Precision const& stage) {
    if (&stage != &n.output)
        return stage;
    return {std::min(n.output.significandBits, n.accumulate.significandBits),
            std::max(n.output.minExponent, n.accumulate.minExponent),
            std::min(n.output.maxExponent, n.accumulate.maxExponent)};
}

bool isExact(std::optional<SeenLimit> const& limit) { return limit && !limit->isOrMore; }

/// Whether each bound is that of the format, be it hidden or not.
bool isLike(SeenPrecision const& seen, Precision const& format) {
    return seen.significandBits && seen.minExponent && seen.maxExponent &&
           seen.significandBits->value == int(format.significandBits) &&
           seen.minExponent->value == format.minExponent &&
           seen.maxExponent->value == format.maxExponent;
}

/// The stage, narrowed to what was seen where that is known to be less, or to the named format that
/// was seen. Enumerations likewise.
Precision proposed(Numerics const& n, Precision const& declared, SeenPrecision const& seen) {
    auto const most = promised(n, declared);
    Precision stage = declared;
    if (isExact(seen.significandBits) && int(most.significandBits) > seen.significandBits->value)
        stage.significandBits = unsigned(seen.significandBits->value);
    if (isExact(seen.minExponent) && most.minExponent < seen.minExponent->value)
        stage.minExponent = seen.minExponent->value;
    if (isExact(seen.maxExponent) && most.maxExponent > seen.maxExponent->value)
        stage.maxExponent = seen.maxExponent->value;
    if (stage == declared)
        return declared;
    for (auto const& format : everySpelling<Precision>)
        if (isLike(seen, format.value))
            return format.value;
    return stage;
}

/// Whether a record promises no more than was seen.
bool allows(Numerics const& n, Precision const& stage, SeenPrecision const& seen) {
    return proposed(n, stage, seen) == stage;
}
bool allows(Numerics const&, Subnormals declared, Subnormals seen) { return declared <= seen; }
template <class Enum>
bool allows(Numerics const&, Enum declared, Enum seen) {
    return declared >= seen;  // in each of them the strict way stands first
}

template <class Enum>
Enum proposed(Numerics const& n, Enum declared, Enum seen) {
    return allows(n, declared, seen) ? declared : seen;
}

/// Whether a record promises less than was seen.
bool isLoose(Precision const& stage, SeenPrecision const& seen) {
    return (seen.significandBits && int(stage.significandBits) < seen.significandBits->value) ||
           (seen.minExponent && stage.minExponent > seen.minExponent->value) ||
           (seen.maxExponent && stage.maxExponent < seen.maxExponent->value);
}
template <class Enum>
bool isLoose(Enum declared, Enum seen) {
    return declared != seen;
}

std::string textOf(SeenPrecision const& seen) {
    std::string text;
    auto const add = [&](std::optional<SeenLimit> const& limit, std::string_view before,
                         std::string_view after, std::string_view more) {
        if (limit)
            text += fmt::format("{}{}{}{}{}", text.empty() ? "" : ", ", before, limit->value,
                                after, limit->isOrMore ? more : "");
    };
    add(seen.significandBits, "", " bits", " or more");
    add(seen.minExponent, "from 2^", "", " or less");
    add(seen.maxExponent, "below 2^", "", " or more");
    return text;
}
std::string textOf(Precision const& p) {
    for (auto const& spelling : everySpelling<Precision>)
        if (spelling.value == p)
            return std::string(spelling.name);
    return fmt::format("{} bits, from 2^{}, below 2^{}", p.significandBits, p.minExponent,
                       p.maxExponent);
}
template <class Enum>
    requires std::is_enum_v<Enum>
std::string textOf(Enum value) {
    return std::string(oracle::nameOf(value));
}

std::string whyUnseen(std::string_view field) {
    constexpr std::pair<std::string_view, std::string_view> reasons[] = {
        {"compute", "no probe sees it apart from the stages that it feeds"},
        {"dotBlock", "no probe sees blocks"},
        {"keyBlock", "no probe sees blocks"},
        {"fmaTerms", "no probe sees blocks"},
        {"fmaBits", "no probe sees how the terms of a block are aligned"},
        {"scoreRoundings", "no probe counts the roundings of one score"},
        {"expUlps", "no probe parts the error of exp from that of a score"},
        {"expFlushExponent", "no probe parts a flushed weight from a rounded one"},
        {"normRoundings", "no probe counts the roundings of a division"},
        {"keyOrder", "no probe sees in which order keys are met"},
        {"weightSum", "no probe parts the rounding of a weight from that of the sum of weights"},
        {"blockSum", "no probe sees blocks"},
        {"parts", "no probe counts parts, and their number may grow with the length"}};
    for (auto const& [name, why] : reasons)
        if (name == field)
            return std::string(why);
    return "no probe asks for it";
}

}  // namespace

std::vector<Finding> numericsFindings(std::string const& at, Numerics const& declared,
                                      SeenNumerics const& seen) {
    std::vector<Finding> findings;
    auto const visit = [&](char const* name, auto const& guess, auto const& field) {
        auto const& word = field(declared);
        Finding finding{
            .field = at + name, .value = {}, .how = guess.how, .declared = textOf(word)};
        if (guess) {
            finding.value = textOf(*guess);
            bool const isAllowed = allows(declared, word, *guess);
            finding.comparison = isAllowed ? Comparison::agrees : Comparison::differs;
            if (isAllowed && isLoose(word, *guess))
                finding.declared += ", which allows it";
        }
        findings.push_back(std::move(finding));
    };
    // A name that Numerics lacks would never be visited.
    static_assert(decltype(hana::size(hana::accessors<SeenNumerics>()))::value ==
                  decltype(hana::size(hana::intersection(
                      hana::to_set(hana::keys(std::declval<SeenNumerics const&>())),
                      hana::to_set(hana::keys(std::declval<Numerics const&>())))))::value);
    forEachSeen(seen, visit);
    return findings;
}

std::vector<Finding> unseenNumerics() {
    std::vector<Finding> findings;
    hana::for_each(hana::accessors<Numerics>(), [&](auto const& accessor) {
        auto const key = hana::first(accessor);
        if constexpr (!isAsked<std::remove_cvref_t<decltype(key)>>)
            findings.push_back({.field = std::string("numerics.") + key.c_str(),
                                .value = {},
                                .how = whyUnseen(key.c_str()),
                                .declared = {}});
    });
    return findings;
}

Numerics proposedNumerics(Numerics declared, SeenNumerics const& seen) {
    Numerics n = declared;
    forEachSeen(seen, [&](char const*, auto const& guess, auto const& field) {
        if (guess)
            field(n) = proposed(declared, field(declared), *guess);
    });
    // Parts that are merged by it are two or more.
    if (n.merge != declared.merge)
        n.parts = std::max(n.parts, numericsF32.parts);
    return n;
}

std::vector<std::string> presetsFor(SeenNumerics const& seen) {
    std::vector<std::string> names;
    for (auto const& preset : everyPreset) {
        // No probe asks how queries are quantised.
        bool isAllowed = preset.query == StoredAs::f32;
        forEachSeen(seen, [&](char const*, auto const& guess, auto const& field) {
            if (guess && !allows(preset.numerics, field(preset.numerics), *guess))
                isAllowed = false;
        });
        if (isAllowed)
            names.emplace_back(preset.name);
    }
    return names;
}

}  // namespace kv::oracle::inference

#include "oracle/catalog.hpp"
#include "oracle/infer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace kv::oracle {

namespace {

std::string headerOf(Inference const& one) {
    std::string text = fmt::format("{}, setup {} of {}: a proposal, no evidence of conformance\n",
                                   one.engine, one.setup, one.setups);
    text += fmt::format("  given: {} sequences of {} rows\n", one.given.sequences,
                        one.given.capacity);
    for (std::size_t l = 0; l < one.given.layers.size(); ++l) {
        auto const& size = one.given.layers[l];
        text += fmt::format(
            "         layers[{}]: {} query and {} kv heads, key dim {}, value dim {}\n", l,
            size.queryHeads, size.kvHeads, size.keyDim, size.valueDim);
    }
    return text;
}

/// "agrees", or what the engine says instead.
std::string verdictOf(Finding const& f) {
    if (f.comparison == Comparison::none)
        return "";
    if (f.comparison == Comparison::agrees && f.declared.ends_with(", which allows it"))
        return fmt::format("; agrees (declared {})", f.declared);
    if (f.comparison == Comparison::agrees)
        return "; agrees";
    return fmt::format("; DIFFERS ({} {})", f.isConvention ? "specified" : "declared", f.declared);
}

/// The field without the layer that its block is about.
struct Split {
    std::string block, name;
};
Split splitOf(std::string const& field) {
    auto const dot = field.find("].");
    return dot == field.npos ? Split{"", field}
                             : Split{field.substr(0, dot + 1), field.substr(dot + 2)};
}

std::string linesOf(Finding const& f, std::size_t width) {
    auto const name = splitOf(f.field).name;
    auto const indent = width + 4;
    if (!f.isInferred())
        return wrapped(fmt::format("  {:<{}}  unknown: {}", name, width, printable(f.how)),
                       indent) +
               "\n";
    return wrapped(fmt::format("  {:<{}}  inferred: {}{}", name, width, printable(f.value),
                               printable(verdictOf(f))),
                   indent) +
           "\n" +
           wrapped(fmt::format("  {:<{}}    how: {}", "", width, printable(f.how)), indent + 2) +
           "\n";
}

/// Presets are compared with what was inferred; of what is unknown they promise what they promise.
std::string presetsLine(Inference const& one) {
    if (one.inferred() == 0)
        return "";
    return "\n" +
           wrapped(fmt::format("  could be declared as: {}",
                               one.presets.empty() ? "no preset"
                                                   : fmt::format("{}",
                                                                 fmt::join(one.presets, ", "))),
                   4) +
           "\n";
}

std::string summaryOf(std::vector<Inference> const& all) {
    std::size_t inferred = 0, agree = 0, differ = 0, fields = 0;
    std::string differing;
    for (auto const& one : all) {
        fields += one.findings.size();
        inferred += one.inferred();
        agree += one.count(Comparison::agrees);
        differ += one.count(Comparison::differs);
        for (auto const& f : one.findings)
            if (f.isInferred() && f.comparison == Comparison::differs)
                differing += wrapped(fmt::format("  setup {}, {}: {}{}", one.setup, f.field,
                                                 printable(f.value), printable(verdictOf(f))),
                                     4) +
                             "\n";
    }
    return fmt::format(
               "{} fields inferred: {} agree, {} differ, {} have nothing to agree with; {} "
               "unknown\n",
               inferred, agree, differ, inferred - agree - differ, fields - inferred) +
           differing;
}

/// What no probe can say, and what is to be done with what it says.
constexpr std::string_view advice =
    "\nThis is a proposal and no evidence of conformance: each field was asked for in few states\n"
    "and at few sizes. The author has to confirm\n"
    "  - that what differs is what the engine means, or else a bug of the engine or its adapter\n"
    "  - every unknown field, which the proposal leaves as the engine declares it, and a preset\n"
    "    may promise although no probe saw it\n"
    "  - window, retained and merge at lengths that were not tried\n"
    "  - what it promises: that runs repeat, in any batch, can be refuted and not inferred\n"
    "Then kvspec check judges the engine by its declaration.\n";

OrderedJson findingJson(Finding const& f) {
    OrderedJson out;
    out["field"] = f.field;
    out["status"] = f.isInferred() ? "inferred" : "unknown";
    if (f.isInferred())
        out["value"] = f.value;
    out[f.isInferred() ? "how" : "reason"] = f.how;
    if (!f.declared.empty())
        out[f.isConvention ? "specified" : "declared"] = f.declared;
    if (f.comparison != Comparison::none)
        out["comparison"] = f.comparison == Comparison::agrees ? "agrees" : "differs";
    return out;
}

}  // namespace

std::string print(std::vector<Inference> const& all) {
    std::string text;
    for (auto const& one : all) {
        std::size_t width = 0;
        for (auto const& f : one.findings)
            width = std::max(width, splitOf(f.field).name.size());
        text += headerOf(one);
        std::string block;
        for (auto const& f : one.findings) {
            if (auto const at = splitOf(f.field).block; at != block) {
                text += at.empty() ? "\n" : "\n" + at + "\n";
                block = at;
            }
            text += linesOf(f, width);
        }
        text += presetsLine(one) + "\n";
    }
    return text + summaryOf(all) + std::string(advice);
}

OrderedJson toJson(std::vector<Inference> const& all) {
    OrderedJson out;
    out["kvspec-infer"] = 1;
    out["engine"] = all.empty() ? "" : all.front().engine;
    out["exit"] = static_cast<int>(exitOf(all));
    out["evidence"] = "none: a proposal to be confirmed, not a verdict";
    out["setups"] = OrderedJson::array();
    for (auto const& one : all) {
        OrderedJson setup;
        setup["setup"] = one.setup;
        setup["declaration"] = write(one.declaration);
        setup["presets"] = one.presets;
        setup["unknown"] = OrderedJson::array();
        setup["findings"] = OrderedJson::array();
        for (auto const& f : one.findings) {
            if (!f.isInferred())
                setup["unknown"].push_back(f.field);
            setup["findings"].push_back(findingJson(f));
        }
        out["setups"].push_back(std::move(setup));
    }
    return out;
}

}  // namespace kv::oracle

// meter_print: the table of `kvspec meter`, and the same as JSON.
#include "oracle/meter.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kv::oracle {

namespace {

constexpr std::string_view judgeName = "kvspec";

std::string nameOfRow(MeterRow const& row) {
    return row.rule ? row.rule->name : std::string(judgeName);
}

std::string percent(Tally const& tally) {
    return tally.of == 0 ? "none" : fmt::format("{:.1f}", 100 * tally.share());
}

std::string dtypeOf(MeterRow const& row) {
    if (!row.rule)
        return "every";
    if (row.rule->dtype == row.rule->cache)
        return std::string(nameOf(row.rule->dtype));
    return fmt::format("{} {}", nameOf(row.rule->dtype), nameOf(row.rule->cache));
}

std::string inputsOf(MeterRow const& row) {
    if (!row.rule)
        return "its own";
    auto const& inputs = row.rule->inputs;
    return fmt::format("{} {}{}", nameOf(inputs.family), inputs.value,
                       inputs.unit == InputUnit::one ? "" : "/sqrt(d)");
}

struct Widths {
    std::size_t name = 4, dtype = 5, inputs = 6;
};
Widths widthsOf(MeterReport const& report) {
    Widths widths;
    for (auto const& row : report.rows) {
        widths.name = std::max(widths.name, nameOfRow(row).size());
        widths.dtype = std::max(widths.dtype, dtypeOf(row).size());
        widths.inputs = std::max(widths.inputs, inputsOf(row).size());
    }
    return widths;
}

std::string startOfLine(std::array<std::string, 3> const& words, Widths const& widths) {
    return fmt::format("{:<{}} {:<{}} {:<{}}", words[0], widths.name, words[1], widths.dtype,
                       words[2], widths.inputs);
}

std::string headLine(MeterReport const& report, Widths const& widths) {
    auto text = startOfLine({"rule", "dtype", "inputs"}, widths);
    for (std::size_t length : report.options.lengths)
        text += fmt::format(" {:>5}", length);
    return text + fmt::format(" {:>5} {:>8} {:>5}\n", "all", "rejected", "loud");
}

std::string rowLine(MeterRow const& row, Widths const& widths) {
    auto text = startOfLine({nameOfRow(row), dtypeOf(row), inputsOf(row)}, widths);
    for (auto const& cell : row.cells)
        text += fmt::format(" {:>5}", percent(acceptedOf(cell)));
    return text + fmt::format(" {:>5} {:>8} {:>5}\n", percent(row.accepted()),
                              percent(row.rejected()), percent(row.loud()));
}

using Tallies = std::array<Tally, everyAccident.size()>;

/// At which lengths an accident is accepted in a draw at least.
std::vector<std::size_t> lengthsAt(MeterRow const& row, std::size_t accident,
                                   Tallies MeterCell::*accepted = &MeterCell::accepted) {
    std::vector<std::size_t> lengths;
    for (auto const& cell : row.cells)
        if ((cell.*accepted)[accident].count > 0)
            lengths.push_back(cell.length);
    return lengths;
}

std::string zeroLines(MeterReport const& report) {
    std::size_t zero = 0;
    while (everyAccident[zero].first != Accident::zeroOutput)
        ++zero;
    std::string text;
    for (auto const& row : report.rows)
        if (auto const lengths = lengthsAt(row, zero); !lengths.empty())
            text += fmt::format("  an output of zeros is accepted by {} at {}\n", nameOfRow(row),
                                fmt::join(lengths, ", "));
    return text;
}

std::string judgeLines(MeterRow const& row) {
    std::string text;
    for (std::size_t i = 0; i < everyAccident.size(); ++i) {
        auto const accepted = lengthsAt(row, i);
        auto const needsShort = lengthsAt(row, i, &MeterCell::acceptedWithoutShort);
        if (!accepted.empty())
            text += fmt::format("  {} accepts {} at {}\n", judgeName, everyAccident[i].second,
                                fmt::join(accepted, ", "));
        else if (!needsShort.empty())
            text += fmt::format("  {} needs its short inputs for: {}, at {}\n", judgeName,
                                everyAccident[i].second, fmt::join(needsShort, ", "));
    }
    return text;
}

OrderedJson toJson(Tally const& tally) { return {{"of", tally.of}, {"count", tally.count}}; }

OrderedJson toJson(MeterCell const& cell) {
    OrderedJson out;
    out["length"] = cell.length;
    for (std::size_t i = 0; i < everyAccident.size(); ++i)
        out["accepted"][std::string(everyAccident[i].second)] = toJson(cell.accepted[i]);
    for (std::size_t i = 0; i < everyForm.size(); ++i)
        out["rejected"][std::string(everyForm[i].second)] = toJson(cell.rejected[i]);
    for (std::size_t i = 0; i < everyForm.size(); ++i)
        out["loud"][std::string(everyForm[i].second)] = toJson(cell.loud[i]);
    return out;
}

}  // namespace

std::string print(MeterReport const& report) {
    auto const widths = widthsOf(report);
    auto text = fmt::format(
        "per cent of {} accidents that each rule accepts, by length of the cache, and\n"
        "per cent of {} conforming engines that it rejects: on its own inputs, and where queries\n"
        "are loud, 32 times as large\n\n",
        everyAccident.size(), everyForm.size());
    text += headLine(report, widths);
    for (auto const& row : report.rows)
        text += rowLine(row, widths);
    auto const notes = zeroLines(report) + judgeLines(report.rows.back());
    return text + (notes.empty() ? "" : "\n" + notes) +
           fmt::format("\nseed {}, {:.1f} s\n", report.options.seed, report.seconds);
}

OrderedJson toJson(MeterReport const& report) {
    OrderedJson out;
    out["seed"] = report.options.seed;
    out["lengths"] = report.options.lengths;
    out["rows"] = OrderedJson::array();
    for (auto const& row : report.rows) {
        OrderedJson one;
        one["rule"] = nameOfRow(row);
        if (row.rule && !row.rule->project.empty()) {
            one["project"] = row.rule->project;
            one["file"] = row.rule->file;
            one["commit"] = row.rule->commit;
        }
        one["accepted"] = toJson(row.accepted());
        one["rejected"] = toJson(row.rejected());
        one["loud"] = toJson(row.loud());
        for (auto const& cell : row.cells)
            one["lengths"].push_back(toJson(cell));
        out["rows"].push_back(std::move(one));
    }
    return out;
}

}  // namespace kv::oracle

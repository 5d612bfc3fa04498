#include "oracle/memory.hpp"

#include "oracle/candidates.hpp"
#include "oracle/catalog.hpp"
#include "oracle/infer.hpp"
#include "oracle/trace_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <utility>
#include <variant>

namespace kv::oracle {

namespace {

/// What is counted, before it is counted.
struct Asked {
    std::string of;
    std::size_t sequences, rows;
    std::vector<LayerDeclaration> layers;
    std::vector<std::size_t> numbers;  ///< of the layers in their model
    std::size_t blockRows;
};

template <class Enum>
Enum typed(std::string_view option, std::string const& name) {
    std::vector<std::string_view> names;
    for (auto const& spelling : everySpelling<Enum>) {
        if (spelling.name == name)
            return spelling.value;
        names.push_back(spelling.name);
    }
    throw BadArgument(
        fmt::format("{} {} is not possible; expected {}", option, quote(name), oneOf(names)));
}

std::vector<std::size_t> countedFrom0(std::size_t count) {
    std::vector<std::size_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), std::size_t{0});
    return numbers;
}

/// Throws where a size was typed beside an engine or a trace, which have their own.
void requireNoSizes(MemoryQuery const& q) {
    std::pair<std::string_view, bool> const sizes[] = {
        {"--layers", q.layers.has_value()},     {"--kv-heads", q.kvHeads.has_value()},
        {"--head-dim", q.headDim.has_value()},  {"--value-dim", q.valueDim.has_value()},
        {"--retained", q.retained.has_value()}, {"--sinks", q.sinks.has_value()},
        {"--format", !q.format.empty()},        {"--values-format", !q.valuesFormat.empty()},
        {"--codec-row", !q.codecRow.empty()}};
    for (auto const& [option, isTyped] : sizes)
        if (isTyped)
            throw BadArgument(fmt::format("{} was typed beside {}, which declares its own; "
                                          "expected one of the two",
                                          option, quote(q.of)));
}

Asked plainSizes(MemoryQuery const& q) {
    std::pair<std::string_view, bool> const needed[] = {
        {"--layers", q.layers.has_value()},    {"--kv-heads", q.kvHeads.has_value()},
        {"--head-dim", q.headDim.has_value()}, {"--format", !q.format.empty()},
        {"--length", q.length.has_value()}};
    for (auto const& [option, isTyped] : needed)
        if (!isTyped)
            throw BadArgument(
                fmt::format("{} is missing; expected an engine, a trace, or --layers, --kv-heads, "
                            "--head-dim, --format and --length",
                            option));
    if (q.sinks && !q.retained)
        throw BadArgument(
            "--sinks changes no byte without --retained; expected both, or neither of them");
    LayerDeclaration layer{};
    layer.queryHeads = layer.kvHeads = *q.kvHeads;
    layer.keyDim = *q.headDim;
    layer.valueDim = q.valueDim.value_or(*q.headDim);
    layer.retained = q.retained.value_or(0);
    layer.sinks = q.sinks.value_or(0);
    layer.keyFormat.codec = typed<StoredAs>("--format", q.format);
    layer.valueFormat.codec = q.valuesFormat.empty()
                                  ? layer.keyFormat.codec
                                  : typed<StoredAs>("--values-format", q.valuesFormat);
    if (!q.codecRow.empty())
        layer.keyFormat.row = layer.valueFormat.row = typed<CodecRow>("--codec-row", q.codecRow);
    return {"plain sizes", q.sequences.value_or(1), *q.length,
            std::vector<LayerDeclaration>(*q.layers, layer), countedFrom0(*q.layers),
            q.blockRows.value_or(1)};
}

Asked declared(MemoryQuery const& q, std::string of, Declaration const& declaration) {
    return {std::move(of), q.sequences.value_or(declaration.sequences),
            q.length.value_or(declaration.capacity), declaration.layers,
            countedFrom0(declaration.layers.size()),
            q.blockRows.value_or(declaration.pool ? declaration.pool->blockRows : 1)};
}

std::vector<Asked> shapesOf(MemoryQuery const& q, properties::Candidate const& candidate) {
    auto const setups = setupsToInfer(candidate);
    std::vector<Asked> all;
    for (auto const& setup : setups)
        all.push_back(declared(
            q, fmt::format("{}, setup {} of {}", candidate.name, all.size() + 1, setups.size()),
            setup.declaration));
    return all;
}

Asked traced(MemoryQuery const& q) {
    auto const file = readTrace(q.of);
    if (auto const* recording = std::get_if<RecordingFile>(&file)) {
        auto asked = declared(q, q.of + ", its recorded layers", recording->declaration);
        asked.numbers = recording->layerIndices;
        return asked;
    }
    return declared(q, q.of, std::get<CounterexampleFile>(file).declaration);
}

std::vector<Asked> askedBy(MemoryQuery const& q) {
    if (q.of.empty())
        return {plainSizes(q)};
    requireNoSizes(q);
    auto const known = std::ranges::find(candidates(), q.of, &properties::Candidate::name);
    if (known != candidates().end())
        return shapesOf(q, *known);
    std::error_code isUnreachable;
    if (q.of.ends_with(".trace") || std::filesystem::exists(q.of, isUnreachable))
        return {traced(q)};
    std::vector<std::string_view> names;
    for (auto const& candidate : candidates())
        names.push_back(candidate.name);
    names.push_back("the path of a trace");
    throw BadArgument(fmt::format("{} is no engine and no file; expected {}", quote(q.of),
                                  oneOf(names)));
}

bool takeTheSame(LayerDeclaration const& a, LayerDeclaration const& b) {
    return a.kvHeads == b.kvHeads && a.keyDim == b.keyDim && a.valueDim == b.valueDim &&
           a.retained == b.retained && (a.retained == 0 || a.sinks == b.sinks) &&
           a.keyFormat == b.keyFormat && a.valueFormat == b.valueFormat;
}

MemoryReport counted(Asked const& asked, Holding const& holding) {
    MemoryReport report{asked.of, holding, {}, memoryOf(asked.layers, holding)};
    for (std::size_t l = 0; l < asked.layers.size(); ++l) {
        auto const& layer = asked.layers[l];
        auto group = std::ranges::find_if(
            report.groups, [&](LayerGroup const& g) { return takeTheSame(g.like, layer); });
        if (group == report.groups.end()) {
            LayerGroup const alone{{}, layer, heldRows(layer, holding),
                                   tokenBytes(layer, holding.alignment), sharedBytes(layer),
                                   memoryOf(layer, holding)};
            group = report.groups.insert(group, alone);
        }
        group->layers.push_back(asked.numbers[l]);
        group->bytes += group->layerBytes;
    }
    return report;
}

/// "3, 5 to 9": neighbors are named by their ends.
std::string listed(std::vector<std::size_t> const& numbers) {
    std::string text;
    for (std::size_t i = 0; i < numbers.size();) {
        std::size_t end = i + 1;
        while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1)
            ++end;
        text += fmt::format("{}{}", i == 0 ? "" : ", ", numbers[i]);
        if (end - i > 1)
            text += fmt::format(" to {}", numbers[end - 1]);
        i = end;
    }
    return text;
}

/// "17179869184 bytes, 16 GiB"
std::string bytesText(Bytes bytes) {
    std::string const exact = fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
    std::pair<std::string_view, int> const units[] = {{"GiB", 30}, {"MiB", 20}, {"KiB", 10}};
    for (auto const& [unit, power] : units) {
        Bytes const one = Bytes{1} << power;
        if (bytes >= one && bytes % one == 0)
            return fmt::format("{}, {} {}", exact, bytes / one, unit);
        if (bytes >= one)
            return fmt::format("{}, about {:.3f} {}", exact, double(bytes) / double(one), unit);
    }
    return exact;
}

std::string formatText(StoredFormat const& format) {
    return fmt::format("{}{}{}", oracle::nameOf(format.codec),
                       format.row == CodecRow::token ? " by token" : "",
                       format.rotation.size > 0 ? fmt::format(" behind a rotation of {}",
                                                     format.rotation.size)
                                       : "");
}

bool hasMatrix(StoredFormat const& format) {
    return !format.rotation.matrix.empty();
}

std::string counting(std::size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string groupText(LayerGroup const& group, Holding const& holding) {
    auto const& l = group.like;
    std::string text = fmt::format(
        "layer{} {}\n  {}; a key of {} in {}, a value of {} in {}\n",
        group.layers.size() == 1 ? "" : "s", listed(group.layers), counting(l.kvHeads, "kv head"),
        l.keyDim, formatText(l.keyFormat), l.valueDim, formatText(l.valueFormat));
    if (l.retained != 0)
        text += fmt::format("  a ring of {} and {}\n", counting(l.retained, "row"),
                            counting(l.sinks, "sink"));
    text += fmt::format("  {} of {} each, {}", counting(group.heldRows, "row"),
                        counting(group.tokenBytes, "byte"),
                        counting(holding.sequences, "sequence"));
    if (group.sharedBytes != 0)
        text += fmt::format(", and {} of scales{} for all rows",
                            counting(group.sharedBytes, "byte"),
                            hasMatrix(l.keyFormat) || hasMatrix(l.valueFormat) ? " and matrices"
                                                                               : "");
    text += fmt::format(": {}\n", bytesText(group.layerBytes));
    if (group.layers.size() != 1)
        text += fmt::format("  {}: {}\n", counting(group.layers.size(), "layer"),
                            bytesText(group.bytes));
    return text;
}

OrderedJson groupJson(LayerGroup const& group) {
    OrderedJson out;
    out["layers"] = group.layers;
    out["kvHeads"] = group.like.kvHeads;
    out["keyDim"] = group.like.keyDim;
    out["valueDim"] = group.like.valueDim;
    out["retained"] = group.like.retained;
    out["sinks"] = group.like.sinks;
    out["keyFormat"] = write(group.like.keyFormat);
    out["valueFormat"] = write(group.like.valueFormat);
    out["heldRows"] = group.heldRows;
    out["tokenBytes"] = group.tokenBytes;
    out["sharedBytes"] = group.sharedBytes;
    out["layerBytes"] = group.layerBytes;
    out["bytes"] = group.bytes;
    return out;
}

}  // namespace

std::vector<MemoryReport> memoryFor(MemoryQuery const& query) {
    std::vector<MemoryReport> all;
    for (auto const& asked : askedBy(query)) try {
            all.push_back(counted(
                asked, {asked.sequences, asked.rows, asked.blockRows, query.alignment}));
        } catch (ShapeError const& refused) {
            throw BadArgument(fmt::format("{}: {}", asked.of, refused.what()));
        }
    return all;
}

std::string print(std::vector<MemoryReport> const& all) {
    std::string text;
    for (auto const& report : all) {
        auto const& h = report.holding;
        text += fmt::format("{}{}: {} of {}", text.empty() ? "" : "\n", printable(report.of),
                            counting(h.sequences, "sequence"), counting(h.rows, "row"));
        if (h.blockRows != 1)
            text += fmt::format(", blocks of {} rows", h.blockRows);
        if (h.alignment != 1)
            text += fmt::format(", rows aligned to {} bytes", h.alignment);
        text += "\n\n";
        for (auto const& group : report.groups)
            text += groupText(group, h);
        text += fmt::format("total {}\n", bytesText(report.total));
    }
    return text;
}

OrderedJson toJson(std::vector<MemoryReport> const& all) {
    OrderedJson out;
    out["kvspec-memory"] = 1;
    out["reports"] = OrderedJson::array();
    for (auto const& report : all) {
        OrderedJson one;
        one["of"] = report.of;
        one["sequences"] = report.holding.sequences;
        one["rows"] = report.holding.rows;
        one["blockRows"] = report.holding.blockRows;
        one["alignment"] = report.holding.alignment;
        one["groups"] = OrderedJson::array();
        for (auto const& group : report.groups)
            one["groups"].push_back(groupJson(group));
        one["total"] = report.total;
        out["reports"].push_back(std::move(one));
    }
    return out;
}

}  // namespace kv::oracle

#include "properties/declaration.hpp"

#include "properties/spelling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <string_view>
#include <vector>

namespace kv::properties {

namespace {

using Complaint = std::optional<std::string>;

// IEEE 754-2019, table 3.5: binary128 is the widest basic format.
constexpr unsigned widestSignificand = 113;
constexpr int smallestExponent = -16382;
constexpr int largestExponent = 16384;

struct Size {
    std::string_view name;
    std::size_t value;
};

Complaint zeroOrHuge(std::string_view prefix, Size size) {
    if (size.value == 0)
        return fmt::format("{}{} is 0; expected at least 1", prefix, size.name);
    if (size.value > largestSize)
        return fmt::format("{}{} is {}; expected at most {}", prefix, size.name, size.value,
                           largestSize);
    return std::nullopt;
}

Complaint huge(std::string_view prefix, Size size) {
    return size.value == 0 ? std::nullopt : zeroOrHuge(prefix, size);
}

Complaint notFinite(std::string_view prefix, std::string_view name,
                    std::vector<float> const& numbers) {
    auto const bad =
        std::find_if_not(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); });
    if (bad == numbers.end())
        return std::nullopt;
    return fmt::format("{}{}[{}] is {}; expected a finite number", prefix, name,
                       bad - numbers.begin(), *bad);
}

Complaint badSizes(std::string_view at, LayerDeclaration const& layer) {
    for (Size size : {Size{"queryHeads", layer.queryHeads}, Size{"kvHeads", layer.kvHeads},
                      Size{"keyDim", layer.keyDim}, Size{"valueDim", layer.valueDim}})
        if (auto complaint = zeroOrHuge(at, size))
            return complaint;
    for (Size size : {Size{"window", layer.window}, Size{"sinks", layer.sinks},
                      Size{"retained", layer.retained}, Size{"rotaryDim", layer.rotaryDim}})
        if (auto complaint = huge(at, size))
            return complaint;
    if (layer.queryHeads % layer.kvHeads != 0)
        return fmt::format(
            "{}kvHeads is {} and {}queryHeads is {}; expected queryHeads to be a "
            "multiple of kvHeads",
            at, layer.kvHeads, at, layer.queryHeads);
    return std::nullopt;
}

Complaint badWindow(std::string_view at, LayerDeclaration const& layer, std::size_t capacity) {
    if (layer.retained == 0)
        return std::nullopt;
    if (layer.window == 0 && layer.retained < capacity)
        return fmt::format(
            "{}retained is {} and {}window is 0, which shows all {} rows of "
            "capacity; expected retained to be 0 or at least capacity",
            at, layer.retained, at, capacity);
    if (layer.retained < layer.window)
        return fmt::format(
            "{}retained is {} and {}window is {}; expected retained to be 0 or at "
            "least window",
            at, layer.retained, at, layer.window);
    return std::nullopt;
}

Complaint badChunk(std::string_view at, LayerDeclaration const& layer) {
    if (!layer.chunk)
        return std::nullopt;
    if (auto complaint = zeroOrHuge(at, {"chunk", *layer.chunk}))
        return complaint;
    for (Size other : {Size{"window", layer.window}, Size{"sinks", layer.sinks},
                       Size{"retained", layer.retained}})
        if (other.value != 0)
            return fmt::format("{}chunk is {} and {}{} is {}; expected one of them", at,
                               *layer.chunk, at, other.name, other.value);
    return std::nullopt;
}

/// Chunks are counted from position 0, whoever stands there.
Complaint shiftOfChunks(Declaration const& declaration) {
    if (std::ranges::find(declaration.verbs, Verb::shift) == declaration.verbs.end())
        return std::nullopt;
    for (std::size_t l = 0; l < declaration.layers.size(); ++l)
        if (declaration.layers[l].chunk)
            return fmt::format("layers[{}].chunk is {} and verbs has shift; expected no shift: it "
                               "moves rows into other chunks",
                               l, *declaration.layers[l].chunk);
    return std::nullopt;
}

Complaint badTables(std::string_view at, LayerDeclaration const& layer, std::size_t capacity) {
    std::size_t const planes = layer.rotaryDim / 2;
    if (layer.sine.size() != layer.cosine.size())
        return fmt::format(
            "{}cosine has {} numbers and {}sine has {}; expected as many sines as "
            "cosines",
            at, layer.cosine.size(), at, layer.sine.size());
    if (layer.cosine.size() % planes != 0)
        return fmt::format(
            "{}cosine has {} numbers and {}rotaryDim is {}; expected [positions][{}]"
            ", a multiple of {}",
            at, layer.cosine.size(), at, layer.rotaryDim, planes, planes);
    if (layer.cosine.size() / planes < capacity)
        return fmt::format(
            "{}cosine has {} positions and capacity is {}; expected a position for "
            "each row of capacity",
            at, layer.cosine.size() / planes, capacity);
    return std::nullopt;
}

Complaint badRotation(std::string_view at, LayerDeclaration const& layer, std::size_t capacity,
                      RotaryTables tables) {
    bool const rotates = layer.rotaryLayout != RotaryLayout::none;
    if (!rotates && layer.rotaryDim != 0)
        return fmt::format(
            "{}rotaryDim is {} and {}rotaryLayout is none; expected rotaryDim to "
            "be 0",
            at, layer.rotaryDim, at);
    if (rotates && layer.rotaryDim == 0)
        return fmt::format("{}rotaryDim is 0 and {}rotaryLayout is not none; expected at least 2",
                           at, at);
    if (layer.rotaryDim % 2 != 0)
        return fmt::format("{}rotaryDim is {}; expected an even number, two components per plane",
                           at, layer.rotaryDim);
    if (layer.rotaryDim > layer.keyDim)
        return fmt::format(
            "{}rotaryDim is {} and {}keyDim is {}; expected rotaryDim to be at most "
            "keyDim",
            at, layer.rotaryDim, at, layer.keyDim);
    if (rotates && tables == RotaryTables::declared)
        return badTables(at, layer, capacity);
    std::string_view const why =
        rotates ? "the recording carries the rows it used" : "rotaryLayout is none";
    for (Size size : {Size{"cosine", layer.cosine.size()}, Size{"sine", layer.sine.size()}})
        if (size.value != 0)
            return fmt::format("{}{} has {} numbers although {}; expected none", at, size.name,
                               size.value, why);
    return std::nullopt;
}

/// The keys or the values of a layer, for complaints about their format.
struct Rows {
    std::string format;    ///< path of the field
    std::string_view dim;  ///< name of the field that says how long a head is
    std::string_view headsName;
    std::size_t heads, length;
};

Complaint badScales(Rows const& rows, StoredFormat const& f) {
    auto const& codec = codecOf(f.codec);
    auto const name = nameOf(f.codec);
    if (codec.scale != ScaleRule::given && !f.scales.empty())
        return fmt::format("{0}.scales has {1} numbers and {0}.codec is {2}, which takes none; "
                           "expected none",
                           rows.format, f.scales.size(), name);
    std::size_t const wanted =
        rows.heads * rows.length / groupLength(f, rows.heads, rows.length);
    if (codec.scale == ScaleRule::given && f.scales.size() != wanted)
        return fmt::format("{0}.scales has {1} numbers and {0}.codec is {2}, which takes {3}; "
                           "expected [codec rows of a token][groups]",
                           rows.format, f.scales.size(), name, wanted);
    for (std::size_t i = 0; i < f.scales.size(); ++i)
        if (!std::isfinite(f.scales[i]) || f.scales[i] <= 0)
            return fmt::format("{}.scales[{}] is {}; expected a positive number", rows.format, i,
                               f.scales[i]);
    if (!f.tensorScale) return std::nullopt;
    if (!codec.tensorScale)
        return fmt::format("{0}.tensorScale is {1} and {0}.codec is {2}, which has none; expected "
                           "none",
                           rows.format, *f.tensorScale, name);
    if (!std::isfinite(*f.tensorScale) || *f.tensorScale <= 0)
        return fmt::format("{}.tensorScale is {}; expected a positive number", rows.format,
                           *f.tensorScale);
    return std::nullopt;
}

Complaint badMatrix(std::string const& at, StoredRotation const& r) {
    bool const isHadamard = r.matrix.empty();
    if (isHadamard && !std::has_single_bit(r.size))
        return fmt::format("{0}.size is {1} and {0}.matrix is empty, which is Hadamard; expected a "
                           "power of two",
                           at, r.size);
    if (!isHadamard && r.matrix.size() != r.size * r.size)
        return fmt::format("{0}.matrix has {1} numbers and {0}.size is {2}; expected none or "
                           "[size][size], {3}",
                           at, r.matrix.size(), r.size, r.size * r.size);
    int const most = isHadamard ? static_cast<int>(std::bit_width(r.size)) - 1 : 0;
    if (r.down < 0 || r.down > most)
        return fmt::format("{0}.down is {1} and {0}.{2}; expected 0 to {3}", at, r.down,
                           isHadamard ? fmt::format("size is {}", r.size) : "matrix is not empty",
                           most);
    return notFinite(at, ".matrix", r.matrix);
}

Complaint badStoredRotation(std::string_view at, Rows const& rows, StoredFormat const& f) {
    if (f.rotation == StoredRotation{}) return std::nullopt;
    std::string const path = rows.format + ".rotation";
    if (!isConverted(f))
        return fmt::format("{0}.size is {1} and {2}.codec is f32, whose rows are stored as they "
                           "were given; expected no rotation",
                           path, f.rotation.size, rows.format);
    if (auto complaint = zeroOrHuge(path, {".size", f.rotation.size})) return complaint;
    if (rowLength(f, rows.heads, rows.length) % f.rotation.size != 0)
        return fmt::format("{0}.size is {1} and {2}{3} is {4}{5}; expected a row of a multiple of "
                           "{1}",
                           path, f.rotation.size, at, rows.dim, rows.length,
                           f.row == CodecRow::token
                               ? fmt::format(" for each of {} {}", rows.heads, rows.headsName)
                               : "");
    return badMatrix(path, f.rotation);
}

Complaint badFormat(std::string_view at, Rows const& rows, StoredFormat const& f) {
    // Too many elements for any engine, and for a product; elementsPerToken complains of it.
    if (rows.heads > largestSize / rows.length)
        return std::nullopt;
    if (!isConverted(f) && f.into != ReadAs::f32)
        return fmt::format("{0}.into is {1} and {0}.codec is f32, whose rows are read as they "
                           "were given; expected f32",
                           rows.format, nameOf(f.into));
    std::size_t const length = rowLength(f, rows.heads, rows.length);
    std::size_t const group = groupLength(f, rows.heads, rows.length);
    if (length % group != 0)
        return fmt::format("{0}.codec is {1}, whose groups have {2} elements, and {3}{4} is {5}"
                           "{6}; expected a row of a multiple of {2}",
                           rows.format, nameOf(f.codec), group, at, rows.dim, rows.length,
                           f.row == CodecRow::token
                               ? fmt::format(" for each of {} {}", rows.heads, rows.headsName)
                               : "");
    if (auto complaint = badStoredRotation(at, rows, f)) return complaint;
    return badScales(rows, f);
}

Complaint badPrecision(std::string const& at, Precision const& p) {
    if (p.significandBits == 0 || p.significandBits > widestSignificand)
        return fmt::format("{}.significandBits is {}; expected 1 to {}", at, p.significandBits,
                           widestSignificand);
    if (p.minExponent >= p.maxExponent)
        return fmt::format("{0}.minExponent is {1} and {0}.maxExponent is {2}; expected "
                           "minExponent to be smaller",
                           at, p.minExponent, p.maxExponent);
    if (p.minExponent < smallestExponent)
        return fmt::format("{}.minExponent is {}; expected at least {}", at, p.minExponent,
                           smallestExponent);
    if (p.maxExponent > largestExponent)
        return fmt::format("{}.maxExponent is {}; expected at most {}", at, p.maxExponent,
                           largestExponent);
    return std::nullopt;
}

/// A stage that keeps more bits than come to it promises nothing that the engine could hold.
Complaint widerThanCompute(std::string const& at, Numerics const& n) {
    struct Stage {
        std::string_view name;
        Precision const& precision;
    };
    for (Stage const& stage :
         {Stage{"query", n.query}, Stage{"scores", n.scores}, Stage{"weights", n.weights}})
        if (stage.precision.significandBits > n.compute.significandBits)
            return fmt::format("{0}.{1} has {2} significand bits and {0}.compute has {3}; expected "
                               "at most as many, since {1} is used in it",
                               at, stage.name, stage.precision.significandBits,
                               n.compute.significandBits);
    return std::nullopt;
}

Complaint badBlocks(std::string const& at, Numerics const& n) {
    if ((n.fmaTerms == 0) != (n.fmaBits == 0))
        return fmt::format("{0}.fmaTerms is {1} and {0}.fmaBits is {2}; expected both, or both 0",
                           at, n.fmaTerms, n.fmaBits);
    if (n.fmaBits > widestSignificand)
        return fmt::format("{}.fmaBits is {}; expected at most {}", at, n.fmaBits,
                           widestSignificand);
    if (n.fmaTerms > 0 && n.dotBlock > 0)
        return fmt::format("{0}.fmaTerms is {1} and {0}.dotBlock is {2}; expected dotBlock to be "
                           "0, since fmaTerms says how products are added",
                           at, n.fmaTerms, n.dotBlock);
    if (n.parts == 0)
        return fmt::format("{}.parts is 0; expected at least 1, which is no part at all", at);
    if (n.merge == PartMerge::logSumExp && n.parts == 1)
        return fmt::format("{0}.merge is logSumExp and {0}.parts is 1; expected at least 2 parts, "
                           "or weights",
                           at);
    return std::nullopt;
}

/// A schedule that can be replayed has blocks, and one running maximum.
Complaint badSchedule(std::string const& at, Numerics const& n) {
    if (n.keyOrder != KeyOrder::ascending) return std::nullopt;
    if (n.keyBlock == 0)
        return fmt::format("{0}.keyOrder is ascending and {0}.keyBlock is 0; expected the keys of "
                           "a block, 1 if the maximum moves key by key",
                           at);
    if (n.parts > 1)
        return fmt::format("{0}.keyOrder is ascending and {0}.parts is {1}; expected 1, since "
                           "each part has a maximum of its own",
                           at, n.parts);
    return std::nullopt;
}

Complaint badNumerics(std::string const& at, Numerics const& n) {
    Complaint bad;
    boost::hana::for_each(boost::hana::accessors<Numerics>(), [&](auto const& accessor) {
        auto const& field = boost::hana::second(accessor)(n);
        if constexpr (std::same_as<std::remove_cvref_t<decltype(field)>, Precision>)
            if (!bad)
                bad = badPrecision(fmt::format("{}.{}", at, boost::hana::first(accessor).c_str()),
                                   field);
    });
    if (bad) return bad;
    if (auto complaint = widerThanCompute(at, n)) return complaint;
    if (auto complaint = badBlocks(at, n)) return complaint;
    if (auto complaint = badSchedule(at, n)) return complaint;
    // The largest term of a softmax is exp(0), which no engine may lose.
    if (n.expFlushExponent > 0)
        return fmt::format("{}.expFlushExponent is {}; expected at most 0", at,
                           n.expFlushExponent);
    return std::nullopt;
}

Complaint badSinkLogits(std::string_view at, LayerDeclaration const& layer) {
    if (!layer.sinkLogits)
        return std::nullopt;
    if (layer.sinkLogits->size() != layer.queryHeads)
        return fmt::format("{}sinkLogits has {} numbers and {}queryHeads is {}; expected one per "
                           "query head, or no sinkLogits",
                           at, layer.sinkLogits->size(), at, layer.queryHeads);
    return notFinite(at, "sinkLogits", *layer.sinkLogits);
}

Complaint badLayer(std::string_view at, LayerDeclaration const& layer, std::size_t capacity,
                   RotaryTables tables) {
    if (auto complaint = badSizes(at, layer))
        return complaint;
    if (!std::isfinite(layer.scale))
        return fmt::format("{}scale is {}; expected a finite number", at, layer.scale);
    if (auto complaint = badWindow(at, layer, capacity))
        return complaint;
    if (auto complaint = badChunk(at, layer))
        return complaint;
    if (auto complaint = badRotation(at, layer, capacity, tables))
        return complaint;
    if (!layer.slopes.empty() && layer.slopes.size() != layer.queryHeads)
        return fmt::format(
            "{}slopes has {} numbers and {}queryHeads is {}; expected none or one "
            "per query head",
            at, layer.slopes.size(), at, layer.queryHeads);
    if (auto complaint = notFinite(at, "cosine", layer.cosine))
        return complaint;
    if (auto complaint = notFinite(at, "sine", layer.sine))
        return complaint;
    if (auto complaint = notFinite(at, "slopes", layer.slopes))
        return complaint;
    if (auto complaint = badSinkLogits(at, layer))
        return complaint;
    for (auto const& [rows, format] :
         {std::pair{Rows{fmt::format("{}keyFormat", at), "keyDim", "kvHeads", layer.kvHeads,
                         layer.keyDim},
                    &layer.keyFormat},
          std::pair{Rows{fmt::format("{}valueFormat", at), "valueDim", "kvHeads", layer.kvHeads,
                         layer.valueDim},
                    &layer.valueFormat},
          std::pair{Rows{fmt::format("{}queryFormat", at), "keyDim", "queryHeads",
                         layer.queryHeads, layer.keyDim},
                    &layer.queryFormat}})
        if (auto complaint = badFormat(at, rows, *format))
            return complaint;
    return layer.numerics ? badNumerics(fmt::format("{}numerics", at), *layer.numerics)
                          : std::nullopt;
}

/// Where a window hides the first keys, nothing says where blocks begin, nor in which of them a
/// score without a key takes part.
Complaint badOrder(Declaration const& declaration) {
    for (std::size_t l = 0; l < declaration.layers.size(); ++l) {
        if (declaration.numericsOf(l).keyOrder != KeyOrder::ascending)
            continue;
        if (declaration.layers[l].sinkLogits)
            return fmt::format("layers[{0}].sinkLogits is there and its numerics.keyOrder is "
                               "ascending; expected any: a kernel may begin with the sink, or end "
                               "with it",
                               l);
        LayerDeclaration const& layer = declaration.layers[l];
        for (Size hides : {Size{"window", layer.window}, Size{"chunk", layer.chunk.value_or(0)}})
            if (hides.value > 0)
                return fmt::format(
                    "layers[{0}].{1} is {2} and its numerics.keyOrder is ascending; expected any: "
                    "blocks are counted from the first key that a query sees, and in a {1} a "
                    "kernel may count from elsewhere",
                    l, hides.name, hides.value);
    }
    return std::nullopt;
}

/// Queries are rounded before they are turned, and what a codec makes of rounded ones is not said.
Complaint badQueries(Declaration const& declaration) {
    for (std::size_t l = 0; l < declaration.layers.size(); ++l) {
        Numerics const& n = declaration.numericsOf(l);
        if (isConverted(declaration.layers[l].queryFormat) &&
            n.query.significandBits < precisions::f32.significandBits)
            return fmt::format("layers[{}].queryFormat is there and its numerics.query has {} "
                               "significand bits; expected {}: the format says how queries are "
                               "rounded",
                               l, n.query.significandBits, precisions::f32.significandBits);
    }
    return std::nullopt;
}

Complaint repeatedVerb(std::vector<Verb> const& verbs) {
    for (auto verb = verbs.begin(); verb != verbs.end(); ++verb) {
        auto const first = std::find(verbs.begin(), verb, *verb);
        if (first != verb)
            return fmt::format("verbs[{}] and verbs[{}] are the same; expected each verb once",
                               first - verbs.begin(), verb - verbs.begin());
    }
    return std::nullopt;
}

Complaint badPromises(Promises const& promised, std::size_t capacity) {
    if (promised.batchInvariant && !promised.deterministic)
        return "promises.batchInvariant is true and promises.deterministic is false; expected both "
               "to be true, for a run repeats nothing that another batch would";
    for (std::size_t i = 0; i < promised.thresholds.size(); ++i)
        if (promised.thresholds[i] == 0 || promised.thresholds[i] > capacity)
            return fmt::format("promises.thresholds[{}] is {} and capacity is {}; expected 1 to "
                               "{}, a length that a sequence can have",
                               i, promised.thresholds[i], capacity, capacity);
    return std::nullopt;
}

// A sum or a product of sizes that stops at the largest number instead of wrapping.
std::size_t saturatingAdd(std::size_t a, std::size_t b) {
    return b > std::size_t(-1) - a ? std::size_t(-1) : a + b;
}
std::size_t saturatingMultiply(std::size_t a, std::size_t b) {
    return a != 0 && b > std::size_t(-1) / a ? std::size_t(-1) : a * b;
}

Complaint badPool(Pool const& pool, std::size_t capacity) {
    for (Size size : {Size{"blockRows", pool.blockRows}, Size{"blocks", pool.blocks}})
        if (auto complaint = zeroOrHuge("pool.", size))
            return complaint;
    if (saturatingMultiply(pool.blockRows, pool.blocks) < capacity)
        return fmt::format("pool.blocks is {} with pool.blockRows {} and capacity is {}; expected "
                           "enough blocks for the rows of one full sequence",
                           pool.blocks, pool.blockRows, capacity);
    return std::nullopt;
}

}  // namespace

std::optional<std::string> contradiction(Declaration const& declaration, RotaryTables tables) {
    for (Size size :
         {Size{"sequences", declaration.sequences}, Size{"capacity", declaration.capacity}})
        if (auto complaint = zeroOrHuge("", size))
            return complaint;
    if (auto complaint = repeatedVerb(declaration.verbs))
        return complaint;
    if (declaration.layers.empty())
        return "layers is empty; expected at least one layer";
    for (std::size_t i = 0; i < declaration.layers.size(); ++i)
        if (auto complaint = badLayer(fmt::format("layers[{}].", i), declaration.layers[i],
                                      declaration.capacity, tables))
            return complaint;
    if (elementsPerToken(declaration) > largestSize)
        return fmt::format(
            "layers describe more than {} elements per token, heads x dims of "
            "keys, values and queries; expected at most that many",
            largestSize);
    if (auto complaint = badPromises(declaration.promised(), declaration.capacity))
        return complaint;
    if (declaration.pool)
        if (auto complaint = badPool(*declaration.pool, declaration.capacity))
            return complaint;
    if (auto complaint = badNumerics("numerics", declaration.numerics))
        return complaint;
    if (auto complaint = shiftOfChunks(declaration))
        return complaint;
    if (auto complaint = badQueries(declaration))
        return complaint;
    return badOrder(declaration);
}

std::size_t elementsPerToken(Declaration const& declaration) {
    std::size_t elements = 0;
    for (LayerDeclaration const& layer : declaration.layers) {
        std::size_t const stored =
            saturatingMultiply(layer.kvHeads, saturatingAdd(layer.keyDim, layer.valueDim));
        std::size_t const asked = saturatingMultiply(layer.queryHeads, layer.keyDim);
        elements = saturatingAdd(elements, saturatingAdd(stored, asked));
    }
    return elements;
}

}  // namespace kv::properties

#include "oracle/trace_file.hpp"

#include "properties/declaration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <stdexcept>
#include <utility>

namespace kv::oracle {

namespace {

using properties::BatchItem;
using properties::Family;
using properties::largestSize;
using properties::LayerRows;
using properties::Step;
using properties::Tokens;
using properties::Values;

constexpr std::size_t largestFile = std::size_t{1} << 28;
constexpr std::string_view magicKey = "kvspec-trace";
constexpr std::string_view counterexampleKind = "counterexample";
constexpr std::string_view recordingKind = "recording";
constexpr std::string_view tensorsExtension = ".safetensors";
constexpr std::size_t digestLetters = 64;
constexpr auto largestDelta = static_cast<std::int64_t>(largestSize);

// A field of a Step that stands on a line: a size, or, without a member, the signed `delta` or one
// of the lists `parents` and `batch`.
struct Argument {
    std::string_view key;
    std::size_t Step::*size = nullptr;
};
constexpr Argument sequenceArgument{"sequence", &Step::sequence};
constexpr Argument toArgument{"to", &Step::to};
constexpr Argument firstArgument{"first", &Step::first};
constexpr Argument countArgument{"count", &Step::count};
constexpr Argument lengthArgument{"length", &Step::length};
constexpr Argument targetArgument{"target", &Step::target};
constexpr Argument deltaArgument{"delta"};
constexpr Argument parentsArgument{"parents"};
constexpr Argument batchArgument{"batch"};

// What a line carries besides its verb, in the order of the file.
std::vector<Argument> argumentsOf(Verb verb) {
    switch (verb) {
        case Verb::append:
        case Verb::evict:
            return {sequenceArgument, countArgument};
        case Verb::remove:
            return {sequenceArgument, firstArgument, countArgument};
        case Verb::prefill:
            return {sequenceArgument, countArgument, targetArgument};
        case Verb::step:
            return {batchArgument, targetArgument};
        case Verb::attend:
            return {sequenceArgument, targetArgument};
        case Verb::observe:
        case Verb::save:
        case Verb::release:
        case Verb::keep:
            return {sequenceArgument};
        case Verb::rollback:
            return {sequenceArgument, lengthArgument};
        case Verb::fork:
        case Verb::restore:
            return {sequenceArgument, toArgument};
        case Verb::shift:
            return {sequenceArgument, deltaArgument};
        case Verb::reorder:
            return {parentsArgument};
        case Verb::reset:
            return {};
    }
    return {};
}

// The text line by line. The last line must end, too: otherwise the file was cut.
class Lines {
   public:
    Lines(std::string_view text, std::string_view name) : rest_(text), name_(name) {}

    bool done() const { return rest_.empty(); }
    Place place() const { return {name_, number_}; }
    std::string_view next() {
        ++number_;
        auto const end = rest_.find('\n');
        if (end == rest_.npos)
            throw BadInput(place(),
                           "the last line has no newline, so the file is cut off; expected "
                           "a newline at the end");
        std::string_view const line = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        if (line.find_first_not_of(" \t\r") == line.npos)
            throw BadInput(place(), "the line is blank; expected one JSON object");
        return line;
    }

   private:
    std::string_view rest_;
    std::string_view name_;
    std::size_t number_ = 0;
};

std::size_t readSize(Node const& node) {
    return static_cast<std::size_t>(readUnsigned(node, largestSize));
}

std::size_t readSequence(Node const& node, Declaration const& declaration) {
    std::size_t const sequence = readSize(node);
    if (sequence >= declaration.sequences)
        node.refuse(fmt::format("is {} and declaration.sequences is {}; expected at most {}",
                                sequence, declaration.sequences, declaration.sequences - 1));
    return sequence;
}

std::vector<std::size_t> readParents(Node const& node, Declaration const& declaration) {
    if (node.length() != declaration.sequences)
        node.refuse(fmt::format("has {} elements and declaration.sequences is {}; expected one "
                                "parent for each sequence",
                                node.length(), declaration.sequences));
    std::vector<std::size_t> parents;
    for (std::size_t s = 0; s < declaration.sequences; ++s)
        parents.push_back(readSequence(node.at(s), declaration));
    return parents;
}

// Each sequence at most once, so that there are no more items than sequences.
std::vector<BatchItem> readBatch(Node const& node, Declaration const& declaration) {
    std::size_t const items = node.length();
    if (items == 0 || items > declaration.sequences)
        node.refuse(fmt::format("has {} items and declaration.sequences is {}; expected one for "
                                "each sequence at most, and at least one",
                                items, declaration.sequences));
    std::vector<BatchItem> batch;
    std::set<std::size_t> known;
    for (std::size_t i = 0; i < items; ++i) {
        Node const item = node.at(i);
        item.allowOnly({sequenceArgument.key, countArgument.key});
        Node const named = item.at(sequenceArgument.key);
        std::size_t const sequence = readSequence(named, declaration);
        if (!known.insert(sequence).second)
            named.refuse(fmt::format("is {}, which an item before it names; expected each "
                                     "sequence once",
                                     sequence));
        batch.push_back({sequence, readSize(item.at(countArgument.key))});
    }
    return batch;
}

// The verb of a line, which the declaration must offer.
Verb readVerb(Node const& line, Declaration const& declaration) {
    Node const node = line.at("verb");
    Verb const verb = read<Verb>(node);
    auto const& offered = declaration.verbs;
    if (std::find(offered.begin(), offered.end(), verb) == offered.end()) {
        std::vector<std::string_view> names;
        for (Verb known : offered)
            names.push_back(oracle::nameOf(known));
        node.refuse(fmt::format("is {}, which declaration.verbs lacks; expected {}",
                                quote(oracle::nameOf(verb)),
                                names.empty() ? "none" : oneOf(names)));
    }
    return verb;
}

void checkKind(Node const& header) {
    Node const version = header.at(magicKey);
    if (!version.value().is_number_unsigned() || version.value() != traceVersion)
        version.refuseValue(
            fmt::format("{}, since this kvspec reads version {}", traceVersion, traceVersion));
    Node const kind = header.at("kind");
    std::string const name = readString(kind);
    if (name != counterexampleKind && name != recordingKind)
        kind.refuseValue(oneOf({counterexampleKind, recordingKind}));
}

Declaration readDeclaration(Node const& node, Place const& place, properties::RotaryTables tables) {
    auto declaration = read<Declaration>(node);
    if (auto const complaint = properties::contradiction(declaration, tables))
        throw BadInput(place, fmt::format("{}.{}", node.path(), *complaint));
    return declaration;
}

void checkMemory(Node const& node, Declaration const& declaration) {
    std::size_t row = 0;
    for (LayerDeclaration const& layer : declaration.layers)
        row += layer.kvHeads * (layer.keyDim + layer.valueDim);  // at most largestSize in all
    std::size_t const rows = largestEngine / row;
    if (declaration.capacity > rows || declaration.sequences > rows / declaration.capacity)
        node.refuse(
            fmt::format("has {} sequences of capacity {} with {} elements a row; expected "
                        "at most {} elements in all",
                        declaration.sequences, declaration.capacity, row, largestEngine));
}

void appendRow(Node const& node, std::size_t expected, std::vector<float>& rows) {
    auto const row = read<std::vector<float>>(node);
    if (row.size() != expected)
        node.refuse(fmt::format("has {} numbers; expected {}, as the layer declares", row.size(),
                                expected));
    rows.insert(rows.end(), row.begin(), row.end());
}

Tokens readTokens(Node const& node, Declaration const& declaration) {
    Tokens tokens;
    tokens.count = node.length();
    tokens.layers.resize(declaration.layers.size());
    for (std::size_t i = 0; i < tokens.count; ++i) {
        Node const token = node.at(i);
        if (token.length() != declaration.layers.size())
            token.refuse(fmt::format("has {} layers; expected {}, as declared", token.length(),
                                     declaration.layers.size()));
        for (std::size_t l = 0; l < declaration.layers.size(); ++l) {
            LayerDeclaration const& layer = declaration.layers[l];
            LayerRows& rows = tokens.layers[l];
            Node const given = token.at(l);
            given.allowOnly({"keys", "values", "queries"});
            appendRow(given.at("keys"), layer.kvHeads * layer.keyDim, rows.keys);
            appendRow(given.at("values"), layer.kvHeads * layer.valueDim, rows.values);
            appendRow(given.at("queries"), layer.queryHeads * layer.keyDim, rows.queries);
        }
    }
    return tokens;
}

Values readValues(Node const& node, Declaration const& declaration) {
    Values values;
    values.family = read<Family>(node.at("family"));
    if (values.family == Family::inlined) {
        node.allowOnly({"family", "tokens"});
        values.tokens = readTokens(node.at("tokens"), declaration);
    } else {
        node.allowOnly({"family", "seed"});
        values.seed = read<std::uint64_t>(node.at("seed"));
    }
    return values;
}

// What says how many tokens a line stores, and how that is called.
struct StoredCount {
    Node node;
    std::string_view is;
};
StoredCount storedCount(Node const& line, Step const& step) {
    if (step.verb == Verb::step)
        return {line.at(batchArgument.key), "stores"};
    return {line.at(countArgument.key), "is"};
}

void checkStored(Node const& line, Step const& step, std::size_t mostTokens) {
    // A count has 33 bits and a file has fewer items than 2^28, so that no sum overflows.
    std::size_t const stored = tokensStored(step);
    if (stored <= mostTokens)
        return;
    auto const [node, is] = storedCount(line, step);
    node.refuse(fmt::format("{} {}; expected at most {}, so that one line hands "
                            "over at most {} elements",
                            is, stored, mostTokens, largestStep));
}

// `mostTokens` is how many tokens one line may hand over.
Step readStep(Node const& line, Declaration const& declaration, std::size_t mostTokens) {
    Step step;
    step.verb = readVerb(line, declaration);
    std::vector<Argument> const arguments = argumentsOf(step.verb);
    std::vector<std::string_view> keys{"verb"};
    for (Argument const& argument : arguments)
        keys.push_back(argument.key);
    line.allowOnly(keys);
    for (auto const& [key, size] : arguments) {
        Node const node = line.at(key);
        if (key == parentsArgument.key)
            step.parents = readParents(node, declaration);
        else if (key == batchArgument.key)
            step.batch = readBatch(node, declaration);
        else if (size == nullptr)
            step.delta = readSigned(node, -largestDelta, largestDelta);
        else if (size == &Step::sequence || size == &Step::to)
            step.*size = readSequence(node, declaration);
        else
            step.*size = readSize(node);
    }
    checkStored(line, step, mostTokens);
    return step;
}

// Inlined values are a finite supply: a step may ask for no token that is not there.
class Supply {
   public:
    explicit Supply(Values const& values) : values_(values) {}

    void take(Node const& line, Step const& step) {
        if (values_.family != Family::inlined)
            return;
        stored_ += tokensStored(step);
        if (tokensStored(step) > 0 && stored_ > values_.tokens.count) {
            auto const [node, is] = storedCount(line, step);
            node.refuse(fmt::format("{} {}, which makes {} tokens so far, and "
                                    "values.tokens has {}; expected no more than "
                                    "those",
                                    is, tokensStored(step), stored_, values_.tokens.count));
        }
        bool const asks = step.verb == Verb::attend || step.verb == Verb::prefill ||
                          step.verb == Verb::step;
        if (asks && step.target >= values_.tokens.count)
            line.at("target").refuse(
                fmt::format("is {} and values.tokens has {}; expected one of "
                            "those, counted from 0",
                            step.target, values_.tokens.count));
    }

   private:
    Values const& values_;
    std::size_t stored_ = 0;
};

/// What storage holds: what the header says, if the declaration allows it, or the loudest.
properties::Fill readFill(Node const& header, Declaration const& declaration) {
    auto const allowed = properties::fillsFor(declaration);
    auto const said = header.find("fill");
    if (!said)
        return allowed.front();
    auto const fill = read<properties::Fill>(*said);
    if (fill == properties::Fill::poison && allowed.front() != fill)
        said->refuse("is poison and declaration.promises.maskedSlots is readAndMasked; expected "
                     "zero or loud");
    return fill;
}

CounterexampleFile readCounterexample(Node const& header, Lines& lines) {
    Place const place = lines.place();
    header.allowOnly({magicKey, "kind", "declaration", "law", "values", "fill"});
    CounterexampleFile file;
    Node const declaration = header.at("declaration");
    file.declaration = readDeclaration(declaration, place, properties::RotaryTables::declared);
    checkMemory(declaration, file.declaration);
    file.law = readString(header.at("law"));
    file.trace.values = readValues(header.at("values"), file.declaration);
    file.fill = readFill(header, file.declaration);
    Supply supply(file.trace.values);
    std::size_t const mostTokens = largestStep / properties::elementsPerToken(file.declaration);
    while (!lines.done()) {
        std::string_view const text = lines.next();
        Place const at = lines.place();
        JsonObject const object = parseObject(text, at);
        Node const line(object.value, at);
        file.trace.steps.push_back(readStep(line, file.declaration, mostTokens));
        supply.take(line, file.trace.steps.back());
    }
    if (file.trace.steps.empty())
        throw BadInput({place.file, place.line + 1},
                       "the counterexample has no verb; expected at least one verb");
    return file;
}

std::vector<std::size_t> readLayerIndices(Node const& node, Declaration const& declaration) {
    auto const indices = read<std::vector<std::size_t>>(node);
    if (indices.size() != declaration.layers.size())
        node.refuse(
            fmt::format("has {} indices and declaration.layers has {}; expected one per "
                        "recorded layer",
                        indices.size(), declaration.layers.size()));
    for (std::size_t i = 1; i < indices.size(); ++i)
        if (indices[i] <= indices[i - 1])
            node.refuse(fmt::format("has {} after {}; expected ascending indices", indices[i],
                                    indices[i - 1]));
    return indices;
}

// The tensors lie beside the trace: a path could lead anywhere.
std::string readFileName(Node const& node) {
    std::string const name = readString(node);
    if (!name.ends_with(tensorsExtension) || name.size() == tensorsExtension.size() ||
        name.find_first_of(std::string_view("/\\\0", 3)) != name.npos)
        node.refuseValue(fmt::format("NAME{}, a file beside the trace", tensorsExtension));
    return name;
}

std::string readTensorName(Node const& node) {
    std::string const name = readString(node);
    if (name.empty())
        node.refuseValue("the name of a tensor");
    return name;
}

void checkDigest(Node const& node) {
    std::string const digest = readString(node);
    if (digest.size() != digestLetters ||
        digest.find_first_not_of("0123456789abcdef") != digest.npos)
        node.refuseValue(fmt::format("{} lowercase hexadecimal digits", digestLetters));
}

std::vector<LayerTensors> readLayers(Node const& node, Declaration const& declaration) {
    if (node.length() != declaration.layers.size())
        node.refuse(
            fmt::format("has {} elements and declaration.layers has {}; expected one per "
                        "recorded layer",
                        node.length(), declaration.layers.size()));
    auto const layers = read<std::vector<LayerTensors>>(node);
    for (std::size_t i = 0; i < layers.size(); ++i) {
        Node const layer = node.at(i);
        for (auto const& entry : layer.value().items())
            readTensorName(layer.at(entry.key()));
        for (std::string_view key : {"cacheKeySha256", "cacheValueSha256"})
            if (auto const digest = layer.find(key))
                checkDigest(*digest);
    }
    return layers;
}

RecordingFile::Update readUpdate(Node const& line, Declaration const& declaration) {
    RecordingFile::Update update;
    update.verb = readVerb(line, declaration);
    if (update.verb != Verb::append && update.verb != Verb::prefill)
        line.at("verb").refuseValue("append or prefill, the verbs of a recording");
    line.allowOnly({"verb", "sequence", "count", "layers"});
    update.sequence = readSequence(line.at("sequence"), declaration);
    update.count = readSize(line.at("count"));
    if (update.count == 0)
        line.at("count").refuseValue("at least 1");
    update.layers = readLayers(line.at("layers"), declaration);
    return update;
}

bool rotates(LayerDeclaration const& layer) { return layer.rotaryLayout != RotaryLayout::none; }

// What a header says of the rotation: once for all recorded layers, or in a list with one for each.
// `readOne` gets the node and the layer.
template <class ReadOne>
auto readPerLayer(Node const& node, Declaration const& declaration, ReadOne readOne) {
    auto const& layers = declaration.layers;
    if (std::none_of(layers.begin(), layers.end(), rotates))
        node.refuseValue(
            fmt::format("no {}, since no layer declares a rotaryLayout", node.path()));
    bool const isList = node.value().is_array();
    if (isList && node.length() != layers.size())
        node.refuse(fmt::format("has {} elements and declaration.layers has {}; expected one per "
                                "recorded layer",
                                node.length(), layers.size()));
    std::vector<decltype(readOne(node, layers[0]))> out;
    for (std::size_t l = 0; l < layers.size(); ++l)
        out.push_back(readOne(isList ? node.at(l) : node, layers[l]));
    return out;
}

std::vector<LayerTensors::Name> readFrequencies(Node const& node, Declaration const& declaration) {
    bool const isList = node.value().is_array();
    auto names = readPerLayer(
        node, declaration,
        [isList](Node const& one, LayerDeclaration const& layer) -> LayerTensors::Name {
            if (isList && one.value().is_null())
                return {};
            std::string const name = readTensorName(one);
            if (isList && !rotates(layer))
                one.refuseValue("null, since the layer does not rotate");
            return rotates(layer) ? LayerTensors::Name(name) : LayerTensors::Name();
        });
    if (std::none_of(names.begin(), names.end(), [](auto const& name) { return name.has_value(); }))
        names.clear();
    return names;
}

std::vector<double> readAttentionFactors(Node const& node, Declaration const& declaration) {
    return readPerLayer(node, declaration, [](Node const& one, LayerDeclaration const&) {
        double const factor = readDouble(one);
        if (!(factor > 0) || factor > std::numeric_limits<float>::max())
            one.refuseValue("a positive number within the range of f32");
        return factor;
    });
}

RecordingFile readRecording(Node const& header, Lines& lines) {
    Place const place = lines.place();
    header.allowOnly({magicKey, "kind", "declaration", "layerIndices", "tensors", "model", "note",
                      "frequencies", "attentionFactor"});
    RecordingFile file;
    file.file = place.file;
    file.declaration =
        readDeclaration(header.at("declaration"), place, properties::RotaryTables::recorded);
    file.layerIndices = readLayerIndices(header.at("layerIndices"), file.declaration);
    file.tensors = readFileName(header.at("tensors"));
    file.model = readString(header.at("model"));
    file.note = readString(header.at("note"));
    if (auto const node = header.find("frequencies"))
        file.frequencies = readFrequencies(*node, file.declaration);
    if (auto const node = header.find("attentionFactor"))
        file.attentionFactors = readAttentionFactors(*node, file.declaration);
    while (!lines.done()) {
        std::string_view const text = lines.next();
        Place const at = lines.place();
        JsonObject const object = parseObject(text, at);
        file.updates.push_back(readUpdate(Node(object.value, at), file.declaration));
        file.updates.back().line = at.line;
    }
    if (file.updates.empty())
        throw BadInput({place.file, place.line + 1},
                       "the recording has no update; expected a prefill or an append");
    return file;
}

OrderedJson writeTokens(Tokens const& tokens, Declaration const& declaration) {
    auto const row = [](std::vector<float> const& rows, std::size_t token, std::size_t width) {
        if (rows.size() < (token + 1) * width)
            throw std::invalid_argument(
                "values.tokens has too few rows; expected count rows of "
                "keys, values and queries in each layer");
        auto const begin = rows.begin() + static_cast<std::ptrdiff_t>(token * width);
        return write(std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(width)));
    };
    if (tokens.layers.size() != declaration.layers.size())
        throw std::invalid_argument(
            "values.tokens has other layers than the declaration; expected "
            "as many");
    OrderedJson out = OrderedJson::array();
    for (std::size_t i = 0; i < tokens.count; ++i) {
        OrderedJson token = OrderedJson::array();
        for (std::size_t l = 0; l < declaration.layers.size(); ++l) {
            LayerDeclaration const& layer = declaration.layers[l];
            LayerRows const& rows = tokens.layers[l];
            token.push_back({{"keys", row(rows.keys, i, layer.kvHeads * layer.keyDim)},
                             {"values", row(rows.values, i, layer.kvHeads * layer.valueDim)},
                             {"queries", row(rows.queries, i, layer.queryHeads * layer.keyDim)}});
        }
        out.push_back(std::move(token));
    }
    return out;
}

OrderedJson writeValues(Values const& values, Declaration const& declaration) {
    OrderedJson out;
    out["family"] = write(values.family);
    if (values.family == Family::inlined)
        out["tokens"] = writeTokens(values.tokens, declaration);
    else
        out["seed"] = values.seed;
    return out;
}

OrderedJson writeBatch(std::vector<BatchItem> const& batch) {
    OrderedJson items = OrderedJson::array();
    for (auto const& [sequence, count] : batch) {
        OrderedJson& item = items.emplace_back(OrderedJson::object());
        item[std::string(sequenceArgument.key)] = sequence;
        item[std::string(countArgument.key)] = count;
    }
    return items;
}

OrderedJson writeStep(Step const& step) {
    OrderedJson out;
    out["verb"] = write(step.verb);
    for (auto const& [key, size] : argumentsOf(step.verb)) {
        OrderedJson& value = out[std::string(key)];
        if (key == parentsArgument.key)
            value = step.parents;
        else if (key == batchArgument.key)
            value = writeBatch(step.batch);
        else if (size == nullptr)
            value = step.delta;
        else
            value = step.*size;
    }
    return out;
}

OrderedJson writeHeader(std::string_view kind, Declaration const& declaration) {
    OrderedJson out;
    out[std::string(magicKey)] = traceVersion;
    out["kind"] = std::string(kind);
    out["declaration"] = write(declaration);
    return out;
}

// As one name where all layers that rotate have it, and as a list otherwise.
OrderedJson writeFrequencies(RecordingFile const& file) {
    auto const& layers = file.declaration.layers;
    LayerTensors::Name shared;
    for (std::size_t l = layers.size(); l-- > 0;)
        if (rotates(layers[l]))
            shared = file.frequencies[l];
    bool isShared = shared.has_value();
    OrderedJson names = OrderedJson::array();
    for (std::size_t l = 0; l < layers.size(); ++l) {
        auto const& name = file.frequencies[l];
        names.push_back(name ? OrderedJson(*name) : OrderedJson());
        isShared = isShared && name == (rotates(layers[l]) ? shared : LayerTensors::Name());
    }
    return isShared ? OrderedJson(*shared) : names;
}

void writeRotation(OrderedJson& header, RecordingFile const& file) {
    std::size_t const layers = file.declaration.layers.size();
    for (std::size_t const given : {file.frequencies.size(), file.attentionFactors.size()})
        if (given != 0 && given != layers)
            throw std::invalid_argument(
                fmt::format("frequencies or attentionFactors has {} elements and "
                            "declaration.layers has {}; expected none or one per recorded layer",
                            given, layers));
    if (!file.frequencies.empty())
        header["frequencies"] = writeFrequencies(file);
    auto const& factors = file.attentionFactors;
    if (factors.empty())
        return;
    bool const isOne = std::equal(factors.begin() + 1, factors.end(), factors.begin());
    header["attentionFactor"] = isOne ? write(factors[0]) : write(factors);
}

// A file that cannot be read back is worthless, and nobody would notice before it is needed.
std::string readable(std::string text) {
    try {
        parseTrace(text, "trace");
    } catch (BadInput const& complaint) {
        throw std::invalid_argument(complaint.what());
    }
    return text;
}

}  // namespace

TraceFile readTrace(std::filesystem::path const& path) {
    auto const bytes = readFile(path, largestFile);
    std::string const name = path.string();
    return withinMemory(name, bytes.size(), [&] {
        return parseTrace({reinterpret_cast<char const*>(bytes.data()), bytes.size()}, name);
    });
}

TraceFile parseTrace(std::string_view text, std::string_view name) {
    std::string const expected =
        fmt::format("a header that starts with {{\"{}\":{}", magicKey, traceVersion);
    if (text.empty())
        throw BadInput(Place{name}, "the file is empty; expected " + expected);
    if (text.front() != '{')
        throw BadInput(Place{name}, "the file is no trace; expected " + expected);
    Lines lines(text, name);
    std::string_view const first = lines.next();
    Place const place = lines.place();
    JsonObject const object = parseObject(first, place);
    if (object.firstKey != magicKey)
        throw BadInput(place, fmt::format("the first key is {}; expected {}",
                                          quote(object.firstKey), expected));
    Node const header(object.value, place);
    checkKind(header);
    if (header.at("kind").value() == counterexampleKind)
        return readCounterexample(header, lines);
    return readRecording(header, lines);
}

std::string writeTrace(CounterexampleFile const& file) {
    OrderedJson header = writeHeader(counterexampleKind, file.declaration);
    header["law"] = file.law;
    header["values"] = writeValues(file.trace.values, file.declaration);
    if (file.fill != properties::fillsFor(file.declaration).front())
        header["fill"] = write(file.fill);
    std::string text = dump(header) + "\n";
    for (Step const& step : file.trace.steps)
        text += dump(writeStep(step)) + "\n";
    return readable(std::move(text));
}

std::string writeTrace(RecordingFile const& file) {
    OrderedJson header = writeHeader(recordingKind, file.declaration);
    header["layerIndices"] = write(file.layerIndices);
    header["tensors"] = file.tensors;
    header["model"] = file.model;
    header["note"] = file.note;
    writeRotation(header, file);
    std::string text = dump(header) + "\n";
    for (RecordingFile::Update const& update : file.updates) {
        OrderedJson line;
        line["verb"] = write(update.verb);
        line["sequence"] = update.sequence;
        line["count"] = update.count;
        line["layers"] = write(update.layers);
        text += dump(line) + "\n";
    }
    return readable(std::move(text));
}

}  // namespace kv::oracle

// trace_tensors: hold the tensors of a recording against the trace that names them.
//
// The trace says for each tensor what it is, so its shape follows from the declaration and from the
// number of tokens. And the trace has to name every tensor of the file: lines that were cut off
// leave no other mark.
#include "oracle/trace_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

namespace kv::oracle {

namespace {

using Shape = std::vector<std::size_t>;
constexpr std::size_t anyExtent = std::numeric_limits<std::size_t>::max();

bool matches(Shape const& shape, Shape const& expected) {
    return std::equal(shape.begin(), shape.end(), expected.begin(), expected.end(),
                      [](std::size_t a, std::size_t b) { return b == anyExtent || a == b; });
}

std::string expectedText(Shape const& shape) {
    std::vector<std::string> extents;
    for (std::size_t extent : shape)
        extents.push_back(extent == anyExtent ? "rows" : fmt::to_string(extent));
    return fmt::format("[{}]", fmt::join(extents, ", "));
}

// The names of a trace. They stay where they are while the file of tensors is checked.
using Names = std::set<std::string_view>;

// One tensor that the trace names at `place` under the key `where`.
class TensorCheck {
   public:
    TensorCheck(Place const& place, SafeTensors const& tensors, Names& named)
        : place_(place), tensors_(tensors), named_(named) {}

    void operator()(std::string_view where, std::string const& name,
                    std::vector<Shape> const& expected) const {
        std::vector<std::string> texts;
        for (Shape const& shape : expected)
            texts.push_back(expectedText(shape));
        std::string const shapes = fmt::format("{}", fmt::join(texts, " or "));
        if (!tensors_.has(name))
            throw BadInput(place_, fmt::format("{} names the tensor {}, which {} lacks; expected "
                                               "one of shape {}",
                                               where, quote(name), tensors_.file(), shapes));
        if (tensors_.dtype(name) != "F32")
            throw BadInput(place_, fmt::format("{} names the tensor {} of dtype {}; expected F32",
                                               where, quote(name), tensors_.dtype(name)));
        Shape const& shape = tensors_.shape(name);
        if (std::none_of(expected.begin(), expected.end(),
                         [&](Shape const& one) { return matches(shape, one); }))
            throw BadInput(place_, fmt::format("{} names the tensor {} of shape {}; expected {}",
                                               where, quote(name), shapeText(shape), shapes));
        named_.insert(name);
    }

   private:
    Place place_;
    SafeTensors const& tensors_;
    Names& named_;
};

void checkLayer(TensorCheck const& check, std::string const& where, LayerTensors const& named,
                LayerDeclaration const& layer, std::size_t count) {
    auto const demand = [&](char const* key, LayerTensors::Name const& name,
                            std::vector<Shape> const& expected) {
        if (name)
            check(fmt::format("{}.{}", where, key), *name, expected);
    };
    Shape const query{count, layer.queryHeads, layer.keyDim};
    Shape const key{count, layer.kvHeads, layer.keyDim};
    std::vector<Shape> angles{{count, layer.keyDim}};
    if (layer.rotaryDim != 0 && layer.rotaryDim != layer.keyDim)
        angles.push_back({count, layer.rotaryDim});
    if (layer.rotaryDim != 0)
        angles.push_back({count, layer.rotaryDim / 2});
    demand("queryRaw", named.queryRaw, {query});
    demand("query", named.query, {query});
    demand("keyRaw", named.keyRaw, {key});
    demand("key", named.key, {key});
    demand("value", named.value, {{count, layer.kvHeads, layer.valueDim}});
    demand("cosine", named.cosine, angles);
    demand("sine", named.sine, angles);
    demand("cacheKey", named.cacheKey, {{anyExtent, layer.kvHeads, layer.keyDim}});
    demand("cacheValue", named.cacheValue, {{anyExtent, layer.kvHeads, layer.valueDim}});
    demand("output", named.output, {{count, layer.queryHeads, layer.valueDim}});
}

void checkFrequencies(TensorCheck const& check, RecordingFile const& recording) {
    auto const& names = recording.frequencies;
    for (std::size_t l = 0; l < names.size(); ++l)
        if (names[l])
            check("frequencies", *names[l],
                  {{recording.declaration.layers[l].rotaryDim / 2}});
}

void refuseUnnamed(RecordingFile const& recording, SafeTensors const& tensors,
                   Names const& named) {
    std::vector<std::string> unnamed = tensors.names();
    std::erase_if(unnamed, [&](std::string const& name) { return named.contains(name); });
    if (unnamed.empty())
        return;
    bool const isOne = unnamed.size() == 1;
    std::size_t const last = recording.updates.empty() ? 1 : recording.updates.back().line;
    throw BadInput({recording.file, last},
                   fmt::format("{} tensor{} of {} {} named by no line, {}{}: the trace is "
                               "truncated or not of this file; expected every tensor to be named",
                               unnamed.size(), isOne ? "" : "s", tensors.file(),
                               isOne ? "is" : "are", isOne ? "" : "the first is ",
                               quote(unnamed.front())));
}

}  // namespace

void checkTensors(RecordingFile const& recording, SafeTensors const& tensors) {
    Names named;
    checkFrequencies(TensorCheck({recording.file, 1}, tensors, named), recording);
    for (RecordingFile::Update const& update : recording.updates)
        for (std::size_t i = 0; i < update.layers.size(); ++i)
            checkLayer(TensorCheck({recording.file, update.line}, tensors, named),
                       fmt::format("layers[{}]", i), update.layers[i],
                       recording.declaration.layers[i], update.count);
    refuseUnnamed(recording, tensors, named);
}

}  // namespace kv::oracle

// A libFuzzer target: whatever is in a file, reading it ends with a value or with one clear line.
//
// The first byte selects the reader: even ('t') for a trace, odd ('s') for a tensor file. The rest
// is the file. What is accepted must read back equal after it was written.
#include "oracle/trace_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace {

using namespace kv::oracle;

constexpr std::string_view file = "fuzzed";

void demand(bool holds, char const* what) {
    if (holds)
        return;
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

void demandOneLine(BadInput const& complaint) {
    std::string_view const text = complaint.what();
    demand(text.starts_with(std::string(file) + ":"), "a complaint does not start with the file");
    demand(text.find("; expected ") != text.npos, "a complaint does not say what was expected");
    demand(text.size() < 4096, "a complaint is too long to be read");
    for (char letter : text)
        demand(static_cast<unsigned char>(letter) >= ' ', "a complaint has a control character");
}

void readTraceText(std::string_view text) {
    TraceFile const trace = parseTrace(text, file);
    std::string const written =
        std::visit([](auto const& value) { return writeTrace(value); }, trace);
    demand(parseTrace(written, file) == trace, "a trace does not read back equal");
    if (auto const* recording = std::get_if<RecordingFile>(&trace))
        checkTensors(*recording, SafeTensors::parse(writeSafeTensors({{"k", {{1}, {0}}}}), file));
}

void readTensors(std::span<const std::byte> bytes) {
    SafeTensors const tensors = SafeTensors::parse(bytes, file);
    std::map<std::string, Tensor> decoded;
    for (std::string const& name : tensors.names())
        if (tensors.dtype(name) == "F32")
            decoded[name] = tensors.tensor(name);
    auto const written = writeSafeTensors(decoded);
    SafeTensors const back = SafeTensors::parse(written, file);
    std::map<std::string, Tensor> again;
    for (std::string const& name : back.names())
        again[name] = back.tensor(name);
    // Bytes, since a NaN is not equal to itself.
    demand(decoded.size() == again.size() && writeSafeTensors(again) == written,
           "tensors do not read back equal");
    for (auto const& [name, tensor] : decoded)
        demand(again.at(name).shape == tensor.shape, "a shape does not read back equal");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0)
        return 0;
    auto const rest = std::as_bytes(std::span(data, size)).subspan(1);
    try {
        if (data[0] % 2 == 0)
            readTraceText({reinterpret_cast<char const*>(rest.data()), rest.size()});
        else
            readTensors(rest);
    } catch (BadInput const& complaint) {
        demandOneLine(complaint);
    }
    return 0;
}

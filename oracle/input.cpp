#include "oracle/input.hpp"

#include <fmt/format.h>

#include <fstream>
#include <system_error>

namespace kv::oracle {

namespace {

constexpr std::size_t longestQuote = 60;

unsigned at(std::string_view text, std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
}

}  // namespace

BadInput::BadInput(Place const& place, std::string_view complaint)
    : std::runtime_error(printable(fmt::format("{}:{}: {}", place.file, place.line, complaint))) {}

std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned const byte = at(text, i), second = at(text, i + 1), third = at(text, i + 2);
        if (byte == '\n') {
            out += "\\n";
        } else if (byte < 0x20 || byte == 0x7f) {
            out += fmt::format("\\x{:02x}", byte);
        } else if (byte == 0xc2 && second >= 0x80 && second <= 0x9f) {  // U+0080 to U+009F
            out += fmt::format("\\u{:04x}", second);
            i += 1;
        } else if (byte == 0xe2 && second == 0x80 && (third == 0xa8 || third == 0xa9)) {
            out += third == 0xa8 ? "\\u2028" : "\\u2029";  // line and paragraph separator
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string shortened(std::string_view text) {
    if (text.size() <= longestQuote)
        return std::string(text);
    std::size_t end = longestQuote;
    while (end > 0 && (at(text, end) & 0xc0) == 0x80)
        --end;  // not inside a character
    return fmt::format("{}...", text.substr(0, end));
}

std::string quote(std::string_view text) { return fmt::format("\"{}\"", shortened(text)); }

std::string oneOf(std::vector<std::string_view> const& names) {
    std::string out;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0)
            out += i + 1 == names.size() ? " or " : ", ";
        out += names[i];
    }
    return out;
}

InputFile::InputFile(std::filesystem::path const& path, std::size_t limit) : name_(path.string()) {
    Place const place{name_};
    std::error_code error;
    auto const status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status))
        throw BadInput(place, "the file does not exist; expected a readable file");
    if (!std::filesystem::is_regular_file(status))
        throw BadInput(place, "it is not a regular file; expected a readable file");
    auto const size = std::filesystem::file_size(path, error);
    if (error)
        throw BadInput(place, fmt::format("its size is unknown ({}); expected a readable file",
                                          error.message()));
    if (size > limit)
        throw BadInput(place,
                       fmt::format("the file has {} bytes; expected at most {}", size, limit));
    size_ = static_cast<std::size_t>(size);
    stream_.open(path, std::ios::binary);
    if (!stream_)
        throw BadInput(place, "the file cannot be opened; expected a readable file");
}

std::vector<std::byte> InputFile::take(std::size_t count) {
    return withinMemory(name_, size_, [&] {
        std::vector<std::byte> bytes(count);
        stream_.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count));
        auto const got = static_cast<std::size_t>(stream_.gcount());
        taken_ += got;
        if (got != count)
            throw BadInput(Place{name_}, fmt::format("only {} of {} bytes could be read; expected "
                                                     "all",
                                                     taken_, size_));
        return bytes;
    });
}

void refuseForMemory(std::string_view file, std::size_t bytes) {
    throw BadInput(Place{file}, fmt::format("the file has {} bytes, for which memory does not "
                                            "suffice; expected a file that fits in memory",
                                            bytes));
}

std::vector<std::byte> readFile(std::filesystem::path const& path, std::size_t limit) {
    InputFile file(path, limit);
    return file.take(file.size());
}

}  // namespace kv::oracle

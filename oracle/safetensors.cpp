#include "oracle/safetensors.hpp"

#include "oracle/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace kv::oracle {

namespace {

constexpr std::size_t lengthBytes = 8;
// The limit of the format's reference reader.
constexpr std::size_t largestHeader = 100'000'000;
constexpr std::size_t largestFile = std::size_t{1} << 36;
// No known library makes tensors of more; it keeps a complaint that quotes a shape short.
constexpr std::size_t largestRank = 64;
constexpr std::size_t f32Bytes = 4;
constexpr std::string_view metadataKey = "__metadata__";

struct Dtype {
    std::string_view name;
    std::size_t bits;
};
// Every dtype the format names; only F32 is decoded, the others are checked for size.
constexpr Dtype everyDtype[] = {{"BOOL", 8},    {"F4", 4},   {"F6_E2M3", 6}, {"F6_E3M2", 6},
                                {"U8", 8},      {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8},
                                {"F8_E8M0", 8}, {"I16", 16}, {"U16", 16},    {"F16", 16},
                                {"BF16", 16},   {"I32", 32}, {"U32", 32},    {"F32", 32},
                                {"C64", 64},    {"F64", 64}, {"I64", 64},    {"U64", 64}};

std::uint64_t littleEndian(std::span<const std::byte> bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;)
        value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    return value;
}

std::size_t bitsOf(Node const& dtype) {
    std::string const name = readString(dtype);
    std::vector<std::string_view> names;
    for (Dtype const& known : everyDtype) {
        if (known.name == name)
            return known.bits;
        names.push_back(known.name);
    }
    dtype.refuseValue(oneOf(names));
}

// The elements of a tensor, or a complaint where their bits would not fit a size.
std::size_t elementCount(Node const& shape, std::vector<std::size_t> const& extents,
                         std::size_t bits) {
    if (std::find(extents.begin(), extents.end(), 0u) != extents.end())
        return 0;
    std::size_t const most = std::numeric_limits<std::size_t>::max() / bits;
    std::size_t count = 1;
    for (std::size_t extent : extents) {
        if (extent > most / count)
            shape.refuse(
                fmt::format("is {}, whose product overflows; expected a tensor that fits "
                            "the file",
                            shapeText(extents)));
        count *= extent;
    }
    return count;
}

void checkMetadata(Node const& metadata) {
    if (!metadata.value().is_object())
        metadata.refuseValue("an object of strings");
    for (auto const& entry : metadata.value().items())
        readString(metadata.at(entry.key()));
}

}  // namespace

// Checks its length, each entry alone, and then that together they tile the data.
struct SafeTensors::Header {
    static std::size_t lengthOf(std::span<const std::byte> start, std::size_t fileBytes,
                                Place const& place) {
        std::uint64_t const length = littleEndian(start);
        if (length > largestHeader)
            throw BadInput(place, fmt::format("the header claims {} bytes; expected at most {}",
                                              length, largestHeader));
        if (length > fileBytes - lengthBytes)
            throw BadInput(place, fmt::format("the header claims {} bytes and {} follow; expected "
                                              "the whole header",
                                              length, fileBytes - lengthBytes));
        return length;
    }

    static void readInto(SafeTensors& tensors, std::string_view text, std::size_t dataBytes) {
        Place const place{tensors.file_};
        JsonObject const header = parseObject(text, place);
        Node const root(header.value, place);
        for (auto const& item : header.value.items()) {
            Node const node = root.at(item.key());
            if (item.key() == metadataKey)
                checkMetadata(node);
            else
                tensors.entries_.emplace(item.key(), readEntry(node, dataBytes));
        }
        checkTiling(tensors, dataBytes);
    }

    static Entry readEntry(Node const& node, std::size_t dataBytes) {
        node.allowOnly({"dtype", "shape", "data_offsets"});
        std::size_t const bits = bitsOf(node.at("dtype"));
        Node const shape = node.at("shape"), offsets = node.at("data_offsets");
        Entry entry{readString(node.at("dtype")),
                    kv::oracle::read<std::vector<std::size_t>>(shape)};
        if (offsets.length() != 2)
            offsets.refuse(fmt::format("has {} elements; expected [begin, end]", offsets.length()));
        entry.begin = readUnsigned(offsets.at(0), std::numeric_limits<std::size_t>::max());
        entry.end = readUnsigned(offsets.at(1), std::numeric_limits<std::size_t>::max());
        if (entry.begin > entry.end)
            offsets.refuse(fmt::format("is [{}, {}]; expected begin to be at most end", entry.begin,
                                       entry.end));
        if (entry.end > dataBytes)
            offsets.refuse(
                fmt::format("is [{}, {}] and the data has {} bytes; expected the tensor "
                            "inside the data",
                            entry.begin, entry.end, dataBytes));
        if (entry.shape.size() > largestRank)
            shape.refuse(fmt::format("has {} extents; expected at most {}", entry.shape.size(),
                                     largestRank));
        std::size_t const count = elementCount(shape, entry.shape, bits);
        if (count * bits % 8 != 0)
            shape.refuse(fmt::format("is {}, {} elements of {} bits; expected whole bytes",
                                     shapeText(entry.shape), count, bits));
        if (entry.end - entry.begin != count * bits / 8)
            offsets.refuse(
                fmt::format("is [{}, {}], {} bytes, and the shape is {} of {}; expected "
                            "{} bytes",
                            entry.begin, entry.end, entry.end - entry.begin, shapeText(entry.shape),
                            entry.dtype, count * bits / 8));
        return entry;
    }

    static void checkTiling(SafeTensors const& tensors, std::size_t dataBytes) {
        using Item = std::pair<std::string const, Entry>;
        std::vector<Item const*> order;
        for (Item const& item : tensors.entries_)
            order.push_back(&item);
        std::sort(order.begin(), order.end(), [](Item const* a, Item const* b) {
            return std::tie(a->second.begin, a->second.end) <
                   std::tie(b->second.begin, b->second.end);
        });
        Place const place{tensors.file_};
        std::size_t reached = 0;
        Item const* previous = nullptr;
        for (Item const* item : order) {
            auto const& [name, entry] = *item;
            if (entry.begin < reached)
                throw BadInput(place,
                               fmt::format("the tensors {} and {} overlap at byte {} of the "
                                           "data; expected each byte in one tensor",
                                           quote(previous->first), quote(name), entry.begin));
            if (entry.begin > reached)
                throw BadInput(place, fmt::format("bytes {} to {} of the data, before the tensor "
                                                  "{}, belong to no tensor; expected no holes, "
                                                  "which the format forbids",
                                                  reached, entry.begin, quote(name)));
            reached = entry.end;
            previous = item;
        }
        if (reached != dataBytes)
            throw BadInput(place, fmt::format("{} bytes follow the last tensor; expected the file "
                                              "to end there",
                                              dataBytes - reached));
    }
};

SafeTensors SafeTensors::read(std::filesystem::path const& path) {
    InputFile file(path, largestFile);
    return withinMemory(file.name(), file.size(), [&] {
        return from([&](std::size_t count) { return file.take(count); }, file.size(), file.name());
    });
}

SafeTensors SafeTensors::parse(std::span<const std::byte> bytes, std::string_view name) {
    auto const take = [rest = bytes](std::size_t count) mutable {
        auto const next = rest.first(count);
        rest = rest.subspan(count);
        return std::vector(next.begin(), next.end());
    };
    return from(take, bytes.size(), name);
}

std::vector<std::string> SafeTensors::names() const {
    std::vector<std::string> names;
    for (auto const& [name, entry] : entries_)
        names.push_back(name);
    return names;
}

std::vector<std::size_t> const& SafeTensors::shape(std::string_view name) const {
    return entry(name).shape;
}

std::string const& SafeTensors::dtype(std::string_view name) const { return entry(name).dtype; }

Tensor SafeTensors::tensor(std::string_view name) const {
    Entry const& found = entry(name);
    if (found.dtype != "F32")
        throw BadInput(Place{file_}, fmt::format("the tensor {} has dtype {}; expected F32, the "
                                                 "only dtype that is decoded",
                                                 quote(name), found.dtype));
    auto const data = std::span(data_).subspan(found.begin, found.end - found.begin);
    return withinMemory(file_, size_, [&] {
        Tensor tensor{found.shape, {}};
        tensor.values.reserve(data.size() / f32Bytes);
        for (std::size_t i = 0; i < data.size(); i += f32Bytes)
            tensor.values.push_back(std::bit_cast<float>(
                static_cast<std::uint32_t>(littleEndian(data.subspan(i, f32Bytes)))));
        return tensor;
    });
}

SafeTensors SafeTensors::from(Take const& take, std::size_t size, std::string_view name) {
    SafeTensors tensors;
    tensors.file_ = name;
    tensors.size_ = size;
    Place const place{tensors.file_};
    if (size < lengthBytes)
        throw BadInput(place, fmt::format("the file has {} bytes; expected at least {}, the length "
                                          "of the header",
                                          size, lengthBytes));
    std::size_t const headerBytes = Header::lengthOf(take(lengthBytes), size, place);
    std::size_t const dataBytes = size - lengthBytes - headerBytes;
    auto const header = take(headerBytes);
    Header::readInto(
        tensors, {reinterpret_cast<char const*>(header.data()), header.size()}, dataBytes);
    tensors.data_ = take(dataBytes);
    return tensors;
}

SafeTensors::Entry const& SafeTensors::entry(std::string_view name) const {
    auto const found = entries_.find(name);
    if (found == entries_.end())
        throw BadInput(Place{file_}, fmt::format("there is no tensor {} among {}; expected it",
                                                 quote(name), entries_.size()));
    return found->second;
}

std::vector<std::byte> writeSafeTensors(std::map<std::string, Tensor> const& tensors) {
    OrderedJson header = OrderedJson::object();
    std::vector<std::byte> data;
    for (auto const& [name, tensor] : tensors) {
        std::size_t count = 1;
        for (std::size_t extent : tensor.shape)
            count *= extent;
        if (name == metadataKey || count != tensor.values.size())
            throw std::invalid_argument(
                fmt::format("the tensor {} has shape {} and {} values; expected as many as the "
                            "shape says and a name that is not reserved",
                            quote(name), shapeText(tensor.shape), tensor.values.size()));
        std::size_t const begin = data.size();
        appendLittleEndian(data, tensor.values);
        header[name] = {{"dtype", "F32"},
                        {"shape", write(tensor.shape)},
                        {"data_offsets", write(std::vector{begin, data.size()})}};
    }
    std::string text = dump(header);
    text.resize((text.size() + 7) / 8 * 8, ' ');  // the data starts at a multiple of eight bytes
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < lengthBytes; ++i)
        bytes.push_back(static_cast<std::byte>(text.size() >> 8 * i));
    for (char letter : text)
        bytes.push_back(static_cast<std::byte>(letter));
    bytes.insert(bytes.end(), data.begin(), data.end());
    return bytes;
}

void appendLittleEndian(std::vector<std::byte>& bytes, std::span<float const> numbers) {
    bytes.reserve(bytes.size() + numbers.size() * f32Bytes);
    for (float number : numbers) {
        auto const bits = std::bit_cast<std::uint32_t>(number);
        for (std::size_t i = 0; i < f32Bytes; ++i)
            bytes.push_back(static_cast<std::byte>(bits >> 8 * i));
    }
}

std::string shapeText(std::span<const std::size_t> shape) {
    return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace kv::oracle

// safetensors: read named f32 tensors from a file, and believe nothing it says.
//
// A safetensors file is eight bytes with the length N of a header (unsigned, little endian), N
// bytes of header (one JSON object, perhaps padded with spaces), and the data of all tensors. The
// header gives for each tensor its dtype, its shape and where its bytes begin and end in the data:
//
//     {"query": {"dtype": "F32", "shape": [48, 9, 64], "data_offsets": [0, 110592]}, ...}
//
// Data is little endian in C order. The format forbids holes: every byte of the data belongs to
// exactly one tensor. It allows an entry "__metadata__" that maps strings to strings.
// Format: https://huggingface.co/docs/safetensors, section "Format".
//
// Not said here: which tensors a recording needs (trace_file.hpp).
#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kv::oracle {

/// Numbers in C order; as many as the product of the shape (1 for an empty shape).
struct Tensor {
    std::vector<std::size_t> shape;
    std::vector<float> values;
    friend bool operator==(Tensor const&, Tensor const&) = default;
};

/// A file whose header has been checked in full; tensors are decoded when asked for.
class SafeTensors {
   public:
    /// Throws BadInput for a file that cannot be read, breaks the format anywhere, or does not fit
    /// in memory. The header is checked against the size of the file before the data is read.
    static SafeTensors read(std::filesystem::path const& path);
    /// The same for bytes in memory; `name` stands for the file in messages.
    static SafeTensors parse(std::span<const std::byte> bytes, std::string_view name);

    std::string const& file() const { return file_; }
    std::size_t size() const { return size_; }  ///< of the whole file, in bytes
    /// In alphabetical order.
    std::vector<std::string> names() const;
    bool has(std::string_view name) const { return entries_.find(name) != entries_.end(); }
    /// Both throw BadInput where no tensor has that name.
    std::vector<std::size_t> const& shape(std::string_view name) const;
    std::string const& dtype(std::string_view name) const;
    /// Throws BadInput where no tensor has that name, its dtype is not F32, or its numbers do not
    /// fit in memory. They may be NaN or infinite.
    Tensor tensor(std::string_view name) const;

   private:
    struct Entry {
        std::string dtype;
        std::vector<std::size_t> shape;
        std::size_t begin = 0;  // bytes from the start of the data
        std::size_t end = 0;
    };
    struct Header;

    /// The next so many bytes of what is read.
    using Take = std::function<std::vector<std::byte>(std::size_t)>;
    static SafeTensors from(Take const& take, std::size_t size, std::string_view name);
    Entry const& entry(std::string_view name) const;

    std::string file_;
    std::size_t size_ = 0;
    std::vector<std::byte> data_;
    std::map<std::string, Entry, std::less<>> entries_;
};

/// A file with these tensors as F32, which SafeTensors reads back bit for bit.
/// Throws std::invalid_argument where a shape and its values differ or a name cannot stand in JSON.
std::vector<std::byte> writeSafeTensors(std::map<std::string, Tensor> const& tensors);

/// Appends the numbers as f32, lowest byte first.
void appendLittleEndian(std::vector<std::byte>& bytes, std::span<float const> numbers);

/// "[48, 9, 64]".
std::string shapeText(std::span<const std::size_t> shape);

}  // namespace kv::oracle

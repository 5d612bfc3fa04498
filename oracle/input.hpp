// input: read what people hand over, and say in one line what is wrong with it.
//
// Files come from other machines and other programs. Whatever is in them, reading ends with a value
// or with a BadInput, whose text is one line: `FILE:LINE: what was wrong; expected what is right`.
#pragma once
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace kv::oracle {

/// A line of a file, counted from 1. A file without lines (a tensor file) is all line 1.
struct Place {
    std::string_view file;
    std::size_t line = 1;
};

/// A file or an argument that cannot be used. The command answers it with exit code 2.
class BadInput : public std::runtime_error {
   public:
    /// `complaint` reads "what was wrong; expected what would be right".
    BadInput(Place const& place, std::string_view complaint);
};

/// The text with control characters and line separators written as escapes, so that neither a file
/// name nor a string of a file can break the line or drive a terminal.
std::string printable(std::string_view text);

/// The text, cut where it is long.
std::string shortened(std::string_view text);

/// The shortened text in double quotes.
std::string quote(std::string_view text);

/// The names in one phrase: "a, b or c".
std::string oneOf(std::vector<std::string_view> const& names);

/// A regular file that is read piece by piece from its start, so that what its first bytes claim
/// can be doubted before memory is asked for the others.
class InputFile {
   public:
    /// Throws BadInput for a file that is missing, unreadable, not regular or larger than `limit`
    /// bytes.
    InputFile(std::filesystem::path const& path, std::size_t limit);
    std::string const& name() const { return name_; }
    std::size_t size() const { return size_; }  ///< bytes
    /// The next `count` bytes. Throws BadInput where they cannot be read, or memory lacks.
    std::vector<std::byte> take(std::size_t count);

   private:
    std::string name_;
    std::size_t size_ = 0;
    std::size_t taken_ = 0;
    std::ifstream stream_;
};

/// Throws BadInput that names a file and its size, for a file that memory cannot hold.
[[noreturn]] void refuseForMemory(std::string_view file, std::size_t bytes);

/// What `reader` returns. Where it ran out of memory, throws what refuseForMemory throws.
template <class Reader>
auto withinMemory(std::string_view file, std::size_t bytes, Reader reader) {
    try {
        return reader();
    } catch (std::bad_alloc const&) {
        refuseForMemory(file, bytes);
    }
}

/// The bytes of a regular file of at most `limit` bytes. Throws what InputFile throws.
std::vector<std::byte> readFile(std::filesystem::path const& path, std::size_t limit);

}  // namespace kv::oracle

// input: read what people hand over, and say in one line what is wrong with it.
//
// Files come from other machines and other programs. Whatever is in them, reading ends with a value
// or with a BadInput, whose text is one line: `FILE:LINE: what was wrong; expected what is right`.
#pragma once
#include <cstddef>
#include <filesystem>
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

/// The bytes of a regular file of at most `limit` bytes.
/// Throws BadInput for a file that is missing, unreadable, not regular or larger.
std::vector<std::byte> readFile(std::filesystem::path const& path, std::size_t limit);

}  // namespace kv::oracle

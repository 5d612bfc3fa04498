// Tensor files: what is written reads back equal, and a file that lies is refused by name.
#include "oracle/safetensors.hpp"

#include "oracle/input.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace kv::oracle;

std::vector<std::byte> bytesOf(std::string_view text) {
    std::vector<std::byte> bytes;
    for (char letter : text)
        bytes.push_back(static_cast<std::byte>(letter));
    return bytes;
}

// A file with this header text, which claims `claimed` bytes, and `data` zero bytes of data.
std::vector<std::byte> file(std::string_view header, std::size_t data, std::uint64_t claimed) {
    std::vector<std::byte> bytes;
    for (int i = 0; i < 8; ++i)
        bytes.push_back(static_cast<std::byte>(claimed >> 8 * i));
    for (std::byte byte : bytesOf(header))
        bytes.push_back(byte);
    bytes.resize(bytes.size() + data);
    return bytes;
}
std::vector<std::byte> file(std::string_view header, std::size_t data) {
    return file(header, data, header.size());
}

std::string complaintOf(std::vector<std::byte> const& bytes) {
    try {
        SafeTensors::parse(bytes, "t.safetensors");
    } catch (BadInput const& complaint) {
        return complaint.what();
    }
    return "accepted";
}

// One tensor "a" with these fields.
std::string one(std::string const& dtype, std::string const& shape, std::string const& offsets) {
    return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
}
// A shape of so many extents of 1.
std::string ones(int rank) {
    std::string shape = "[1";
    for (int i = 1; i < rank; ++i)
        shape += ",1";
    return shape + "]";
}
// Tensors "a" and "b" of one number each, at these offsets.
std::string two(std::string const& a, std::string const& b) {
    return R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + a +
           R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + b + "}}";
}

TEST(SafeTensors, what_is_written_reads_back_bit_for_bit) {
    std::map<std::string, Tensor> const tensors{
        {"b", {{2, 3}, {1, -0.0f, std::bit_cast<float>(0x3dcccccdu),
                       std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max(),
                       -7}}},
        {"a", {{}, {5}}},
        {"empty", {{4, 0, 2}, {}}},
        {"a name \"with\" \n\u00e9", {{1}, {std::numeric_limits<float>::infinity()}}}};
    auto const back = SafeTensors::parse(writeSafeTensors(tensors), "t.safetensors");
    EXPECT_EQ(back.names().size(), tensors.size());
    for (auto const& [name, tensor] : tensors) {
        EXPECT_TRUE(back.has(name));
        EXPECT_EQ(back.shape(name), tensor.shape);
        EXPECT_EQ(back.tensor(name), tensor);
    }
    EXPECT_EQ(std::bit_cast<std::uint32_t>(back.tensor("b").values[1]), 0x80000000u);
    // The data starts at a multiple of eight bytes, as the format asks of writers.
    EXPECT_EQ(std::to_integer<int>(writeSafeTensors(tensors)[0]) % 8, 0);
    EXPECT_EQ(SafeTensors::parse(writeSafeTensors({}), "t").names().size(), 0u);
}

// Bytes written out by hand, so that reader and writer cannot be wrong together.
TEST(SafeTensors, a_file_from_elsewhere_is_understood) {
    std::string_view const header =
        R"({"__metadata__":{"format":"pt"},"y":{"dtype":"F32","shape":[1],"data_offsets":[6,10]},)"
        R"("x":{"dtype":"BF16","shape":[3,1],"data_offsets":[0,6]}}   )";
    auto bytes = file(header, 10);
    bytes[8 + header.size() + 8] = std::byte{0x20};
    bytes[8 + header.size() + 9] = std::byte{0xc1};
    auto const tensors = SafeTensors::parse(bytes, "t.safetensors");
    EXPECT_EQ(tensors.names(), (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(tensors.tensor("y"), (Tensor{{1}, {-10}}));
    EXPECT_EQ(tensors.dtype("x"), "BF16");
    EXPECT_EQ(tensors.shape("x"), (std::vector<std::size_t>{3, 1}));
}

TEST(SafeTensors, what_is_asked_for_must_be_there_and_f32) {
    auto const tensors =
        SafeTensors::parse(file(one("\"I64\"", "[1]", "[0,8]"), 8), "t.safetensors");
    auto const complaint = [&](std::string_view name) -> std::string {
        try {
            tensors.tensor(name);
        } catch (BadInput const& complaint) {
            return complaint.what();
        }
        return "accepted";
    };
    EXPECT_EQ(complaint("a"),
              "t.safetensors:1: the tensor \"a\" has dtype I64; expected F32, the "
              "only dtype that is decoded");
    EXPECT_EQ(complaint("z"), "t.safetensors:1: there is no tensor \"z\" among 1; expected it");
    EXPECT_FALSE(tensors.has("z"));
    EXPECT_THROW((void)tensors.shape("z"), BadInput);
}

TEST(SafeTensors, each_lie_has_its_sentence) {
    struct Case {
        std::vector<std::byte> bytes;
        std::string complaint;
    };
    std::string const good = one("\"F32\"", "[1]", "[0,4]");
    std::string const integer = "; expected an integer from 0 to 18446744073709551615";
    EXPECT_EQ(complaintOf(file(good, 4)), "accepted");
    EXPECT_EQ(complaintOf(file(one("\"F32\"", ones(64), "[0,4]"), 4)), "accepted");
    for (Case const& bad : std::vector<Case>{
             {{}, "the file has 0 bytes; expected at least 8, the length of the header"},
             {bytesOf("1234567"),
              "the file has 7 bytes; expected at least 8, the length of the header"},
             {file("{}", 0, ~std::uint64_t{0}),
              "the header claims 18446744073709551615 bytes; expected at most 100000000"},
             {file("{}", 0, 100'000'001),
              "the header claims 100000001 bytes; expected at most 100000000"},
             {file("{}", 0, 3),
              "the header claims 3 bytes and 2 follow; expected the whole header"},
             {file("", 0), "the JSON does not start with {; expected one JSON object"},
             {file(" {}", 0), "the JSON does not start with {; expected one JSON object"},
             {file("[]", 0), "the JSON does not start with {; expected one JSON object"},
             {file("{\"a\":", 0),
              "the JSON object ends too early after the key \"a\"; expected it "
              "complete on one line"},
             {file("{a}", 0), "the JSON breaks at byte 2; expected one JSON object in UTF-8"},
             {file("{}x", 0), "the JSON breaks at byte 3; expected one JSON object in UTF-8"},
             {file(std::string_view("{}\0\0", 4), 0),
              "byte 3 is zero; expected one JSON object in UTF-8"},
             {file("{\"a\":" + std::string(1000, '['), 0),
              "the JSON is nested deeper than 16 levels; expected at most that many"},
             {file(good.substr(0, good.size() - 1) + "," + good.substr(1), 4),
              "the key \"a\" stands twice in one object; expected each key once"},
             {file(R"({"a":{"dtype":"F32","dtype":"F32"}})", 0),
              "the key \"dtype\" stands twice in one object; expected each key once"},
             {file(R"({"a":7})", 0), "a is 7; expected an object"},
             {file(R"({"a":{"dtype":"F32","shape":[1]}})", 0),
              "a lacks the key \"data_offsets\"; expected it"},
             {file(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"b":0}})", 4),
              "a has the unknown key \"b\"; expected dtype, shape or data_offsets"},
             {file(one("\"F33\"", "[1]", "[0,4]"), 4),
              "a.dtype is \"F33\"; expected BOOL, F4, F6_E2M3, F6_E3M2, U8, I8, F8_E5M2, F8_E4M3, "
              "F8_E8M0, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64 or U64"},
             {file(one("32", "[1]", "[0,4]"), 4), "a.dtype is 32; expected a string"},
             {file(one("\"F32\"", "1", "[0,4]"), 4), "a.shape is 1; expected an array"},
             {file(one("\"F32\"", "[-1]", "[0,4]"), 4), "a.shape[0] is -1" + integer},
             {file(one("\"F32\"", "[1.0]", "[0,4]"), 4), "a.shape[0] is 1.0" + integer},
             {file(one("\"F32\"", "[1e30]", "[0,4]"), 4), "a.shape[0] is 1e+30" + integer},
             {file(one("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0),
              "a.shape is [4294967296, 4294967296], whose product overflows; expected a tensor "
              "that fits the file"},
             {file(one("\"F32\"", "[4611686018427387904]", "[0,0]"), 0),
              "a.shape is [4611686018427387904], whose product overflows; expected a tensor that "
              "fits the file"},
             {file(one("\"F32\"", ones(65), "[0,4]"), 4),
              "a.shape has 65 extents; expected at most 64"},
             {file("{\"" + std::string(100, 'n') + "\":7}", 0),
              std::string(60, 'n') + "... is 7; expected an object"},
             {file(one("\"F4\"", "[3]", "[0,1]"), 1),
              "a.shape is [3], 3 elements of 4 bits; expected whole bytes"},
             {file(one("\"F32\"", "[1]", "[0]"), 4),
              "a.data_offsets has 1 elements; expected [begin, end]"},
             {file(one("\"F32\"", "[1]", "[0,-4]"), 4), "a.data_offsets[1] is -4" + integer},
             {file(one("\"F32\"", "[1]", "[4,0]"), 4),
              "a.data_offsets is [4, 0]; expected begin to be at most end"},
             {file(one("\"F32\"", "[1]", "[0,4]"), 3),
              "a.data_offsets is [0, 4] and the data has 3 bytes; expected the tensor inside the "
              "data"},
             {file(one("\"F32\"", "[1]", "[18446744073709551612,18446744073709551615]"), 4),
              "a.data_offsets is [18446744073709551612, 18446744073709551615] and the data has 4 "
              "bytes; expected the tensor inside the data"},
             {file(one("\"F32\"", "[2]", "[0,4]"), 4),
              "a.data_offsets is [0, 4], 4 bytes, and the shape is [2] of F32; expected 8 bytes"},
             {file(one("\"F32\"", "[]", "[0,0]"), 0),
              "a.data_offsets is [0, 0], 0 bytes, and the shape is [] of F32; expected 4 bytes"},
             {file(two("[0,4]", "[0,4]"), 4),
              "the tensors \"a\" and \"b\" overlap at byte 0 of the data; expected each byte in "
              "one tensor"},
             {file(two("[3,7]", "[0,4]"), 7),
              "the tensors \"b\" and \"a\" overlap at byte 3 of the data; expected each byte in "
              "one tensor"},
             {file(two("[0,4]", "[5,9]"), 9),
              "bytes 4 to 5 of the data, before the tensor \"b\", belong to no tensor; expected no "
              "holes, which the format forbids"},
             {file(good, 5), "1 bytes follow the last tensor; expected the file to end there"},
             {file("{}", 1), "1 bytes follow the last tensor; expected the file to end there"},
             {file(R"({"__metadata__":[]})", 0),
              "__metadata__ is an array; expected an object of strings"},
             {file(R"({"__metadata__":{"a":1}})", 0), "__metadata__.a is 1; expected a string"},
         })
        EXPECT_EQ(complaintOf(bad.bytes), "t.safetensors:1: " + bad.complaint);
}

TEST(SafeTensors, what_could_not_be_read_is_not_written) {
    EXPECT_THROW(writeSafeTensors({{"a", {{2}, {1}}}}), std::invalid_argument);
    EXPECT_THROW(writeSafeTensors({{"__metadata__", {{1}, {1}}}}), std::invalid_argument);
    EXPECT_THROW(writeSafeTensors({{"\xff", {{1}, {1}}}}), std::invalid_argument);
}

class SafeTensorsOnDisk : public testing::Test {
   protected:
    void SetUp() override {
        path_ = std::filesystem::temp_directory_path() /
                ("kvspec_safetensors_test_" + std::to_string(::getpid()) + ".safetensors");
    }
    void TearDown() override { std::filesystem::remove(path_); }
    void write(std::vector<std::byte> const& bytes) const {
        std::ofstream(path_, std::ios::binary)
            .write(reinterpret_cast<char const*>(bytes.data()), std::ptrdiff_t(bytes.size()));
    }
    std::string complaint() const {
        try {
            SafeTensors::read(path_);
        } catch (BadInput const& complaint) {
            return complaint.what();
        }
        return "accepted";
    }
    std::filesystem::path path_;
};

TEST_F(SafeTensorsOnDisk, a_file_is_read_as_its_bytes) {
    std::map<std::string, Tensor> const tensors{{"a", {{2}, {1, 2}}}, {"b", {{1}, {-3}}}};
    write(writeSafeTensors(tensors));
    auto const back = SafeTensors::read(path_);
    EXPECT_EQ(back.file(), path_.string());
    EXPECT_EQ(back.size(), std::filesystem::file_size(path_));
    EXPECT_EQ(back.names(), (std::vector<std::string>{"a", "b"}));
    for (auto const& [name, tensor] : tensors) EXPECT_EQ(back.tensor(name), tensor);
    write(bytesOf("1234567"));
    EXPECT_EQ(complaint(), path_.string() + ":1: the file has 7 bytes; expected at least 8, the "
                                            "length of the header");
}

#if defined(__SANITIZE_ADDRESS__)  // g++
constexpr bool isAddressSanitized = true;
#elif defined(__has_feature)
constexpr bool isAddressSanitized = __has_feature(address_sanitizer);
#else
constexpr bool isAddressSanitized = false;
#endif

/// What this process may map, while the guard lives; as `ulimit -v` sets it.
class LittleMemory {
   public:
    explicit LittleMemory(std::size_t bytes) {
        ::getrlimit(RLIMIT_AS, &before_);
        rlimit const less{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_AS, &less);
    }
    ~LittleMemory() { ::setrlimit(RLIMIT_AS, &before_); }
    LittleMemory(LittleMemory const&) = delete;
    LittleMemory& operator=(LittleMemory const&) = delete;

   private:
    rlimit before_{};
};

// A sparse file of 30 GiB. The header is wrong in three ways, and no data is read to see it.
TEST_F(SafeTensorsOnDisk, a_huge_file_is_doubted_before_it_is_read) {
    if (isAddressSanitized)
        GTEST_SKIP() << "the sanitizer maps more than that for itself, and ends where memory ends";
    constexpr std::size_t huge = std::size_t{30} << 30;
    std::string const place = path_.string() + ":1: ";
    std::string const good = one("\"F32\"", "[1]", "[0,4]");
    std::string const whole =
        one("\"U8\"", "[" + std::to_string(huge) + "]", "[0," + std::to_string(huge) + "]");
    struct Case {
        std::vector<std::byte> start;
        std::size_t size;
        std::string complaint;
    };
    for (Case const& bad : std::vector<Case>{
             {{}, huge, "the JSON does not start with {; expected one JSON object"},
             {file("{}", 0, 100'000'001), huge,
              "the header claims 100000001 bytes; expected at most 100000000"},
             {file(good, 4), huge,
              std::to_string(huge - 8 - good.size() - 4) +
                  " bytes follow the last tensor; expected the file to end there"},
             // Nothing is wrong with this one, but that it is so large.
             {file(whole, 0), 8 + whole.size() + huge,
              "the file has " + std::to_string(8 + whole.size() + huge) +
                  " bytes, for which memory does not suffice; expected a file that fits in "
                  "memory"}}) {
        write(bad.start);
        std::filesystem::resize_file(path_, bad.size);
        LittleMemory const guard(std::size_t{4} << 30);
        EXPECT_EQ(complaint(), place + bad.complaint);
    }
}

TEST(SafeTensors, a_missing_file_is_said) {
    try {
        SafeTensors::read("no such directory/t.safetensors");
        ADD_FAILURE() << "accepted";
    } catch (BadInput const& complaint) {
        EXPECT_STREQ(complaint.what(),
                     "no such directory/t.safetensors:1: the file does not "
                     "exist; expected a readable file");
    }
}

}  // namespace

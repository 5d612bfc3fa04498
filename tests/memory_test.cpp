// memory_test: bytes of real formats and shapes, and what is refused.
//
// The laws compare two computations of the spec with each other (proofs/memory.cpp). Here the
// numbers come from elsewhere: sizes that the formats' own authors state, rows that quantize has
// made, and products written out.
#include "oracle/catalog.hpp"
#include "oracle/memory.hpp"
#include "properties/spelling.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace kv::tests {

namespace {

using oracle::MemoryQuery;

constexpr Bytes most = std::numeric_limits<Bytes>::max();

StoredFormat formatOf(StoredAs codec, CodecRow row = CodecRow::head) {
    StoredFormat format{};
    format.codec = codec, format.row = row;
    return format;
}

/// A kv head of so many components, keys and values alike.
LayerDeclaration layerOf(std::size_t heads, std::size_t dim, StoredAs codec = {}) {
    LayerDeclaration layer{};
    layer.queryHeads = layer.kvHeads = heads, layer.keyDim = layer.valueDim = dim;
    layer.keyFormat = layer.valueFormat = formatOf(codec);
    return layer;
}

std::string refusalOf(auto count) {
    try {
        count();
    } catch (ShapeError const& error) {
        return error.what();
    }
    return "";
}

TEST(Memory, the_plain_case_is_a_product) {
    for (Bytes const layers : {1, 28, 32})
        for (Bytes const heads : {1, 8, 32})
            for (Bytes const dim : {64, 80, 128})
                for (Bytes const rows : {0, 1, 4096})
                    for (auto const& [codec, width] : std::map<StoredAs, Bytes>{
                             {StoredAs::f32, 4}, {StoredAs::f16, 2}, {StoredAs::bf16, 2}}) {
                        std::vector const all(layers, layerOf(heads, dim, codec));
                        EXPECT_EQ(memoryOf(all, {3, rows}),
                                  2 * layers * heads * dim * rows * width * 3);
                    }
}

TEST(Memory, rows_of_real_formats_take_what_their_authors_say) {
    // Bytes of one head of 128 components: ggml's blocks hold 34 and 18 bytes for 32 elements, MX
    // formats a byte of scale for 32, NVFP4 a byte for 16, and a scale of a row is an f32.
    std::map<std::string_view, Bytes> const known{
        {"f32", 512},          {"f16", 256},       {"bf16", 256},       {"e4m3", 128},
        {"e5m2", 128},         {"e4m3fnuz", 128},  {"int8PerToken", 132},
        {"int8PerTokenHead", 132}, {"int8PerChannel", 128}, {"q8_0", 136}, {"q8_0Avx", 136},
        {"q8_0Neon", 136},     {"q4_0", 72},       {"mxfp4", 68},       {"mxfp8e4m3", 132},
        {"mxfp8e5m2", 132},    {"nvfp4", 72},      {"int4ZeroPoint", 84}};
    for (auto const& [codec, name] : properties::everySpelling<StoredAs>) {
        ASSERT_TRUE(known.contains(name)) << name;
        EXPECT_EQ(rowBytes(formatOf(codec), 1, 128), known.at(name)) << name;
        EXPECT_EQ(rowBytes(formatOf(codec), 8, 128), 8 * known.at(name)) << name;
    }
    EXPECT_EQ(rowBytes(formatOf(StoredAs::int8PerToken, CodecRow::token), 8, 128), 8u * 128 + 4);
}

TEST(Memory, scales_that_are_given_are_held_once) {
    EXPECT_EQ(sharedBytes(formatOf(StoredAs::e4m3), 8, 128), 8u * 4);
    EXPECT_EQ(sharedBytes(formatOf(StoredAs::e4m3, CodecRow::token), 8, 128), 4u);
    EXPECT_EQ(sharedBytes(formatOf(StoredAs::int8PerChannel), 8, 128), 8u * 128 * 4);
    EXPECT_EQ(sharedBytes(formatOf(StoredAs::nvfp4), 8, 128), 4u) << "the tensor's scale";
    EXPECT_EQ(sharedBytes(formatOf(StoredAs::q8_0), 8, 128), 0u);
    auto const layer = layerOf(8, 128, StoredAs::e4m3);
    EXPECT_EQ(memoryOf(layer, {5, 7}), 5u * 7 * 2 * 8 * 128 + 2 * 8 * 4);
}

/// Bytes of what quantize makes of a token, by the widest code that each list could hold.
Bytes bytesMade(StoredFormat const& f, std::size_t heads, std::size_t dim, Quantized const& made) {
    Codec const& c = codecOf(f.codec);
    Bytes const groups = heads * dim / groupLength(f, heads, dim);
    Bytes bits = 0;
    if (auto const* n = std::get_if<Integers>(&c.element))
        bits = n->highest - n->lowest == 15 ? 4 : 8;
    else
        bits = 1 + std::get<Format>(c.element).exponentBits +
               std::get<Format>(c.element).mantissaBits;
    Bytes const codes = made.codes.size() / groups * bits;
    EXPECT_EQ(codes % 8, 0u) << c.name << " at a shape whose groups are whole bytes";
    Bytes const scale = c.scaleFormat == formats::f32   ? 4
                        : c.scaleFormat == formats::f16 ? 2
                                                        : 1;
    bool const isGiven = c.scale == ScaleRule::given;
    return groups * codes / 8 + (isGiven ? 0 : made.scales.size()) * scale + made.zeros.size();
}

TEST(Memory, a_row_takes_the_bytes_of_the_numbers_that_quantize_makes) {
    std::size_t const heads = 3, dim = 64;
    std::vector<float> row;
    for (std::size_t i = 0; i < heads * dim; ++i) row.push_back(float(i % 37) - 17);
    for (auto const& [codec, name] : properties::everySpelling<StoredAs>)
        for (auto const codecRow : {CodecRow::head, CodecRow::token}) {
            auto format = formatOf(codec, codecRow);
            if (codecOf(codec).scale == ScaleRule::given)
                format.scales.assign(heads * dim / groupLength(format, heads, dim), 1);
            auto const made = stored(format, heads, row, Subnormals::kept);
            ASSERT_TRUE(made) << name;
            EXPECT_EQ(rowBytes(format, heads, dim), bytesMade(format, heads, dim, made->stored))
                << name;
            EXPECT_EQ(sharedBytes(format, heads, dim),
                      4 * (format.scales.size() + (codecOf(codec).tensorScale ? 1 : 0)))
                << name;
        }
}

TEST(Memory, the_matrix_of_a_rotation_is_held_once) {
    auto layer = layerOf(8, 128, StoredAs::q8_0);
    layer.keyFormat.rotation = layer.valueFormat.rotation = StoredRotation{64, 3, {}};
    auto const plain = layerOf(8, 128, StoredAs::q8_0);
    EXPECT_EQ(memoryOf(layer, {5, 7}), memoryOf(plain, {5, 7})) << "nobody stores Hadamard's";
    layer.keyFormat.rotation = StoredRotation{2, 0, {0, -1, 1, 0}};
    EXPECT_EQ(memoryOf(layer, {5, 7}), memoryOf(plain, {5, 7}) + 4 * 4);
}

TEST(Memory, codes_of_a_group_fill_whole_bytes) {
    Codec odd = codecs::q4_0;
    EXPECT_EQ(groupBytes(odd, 33), 17u + 2) << "the last nibble takes its byte";
    odd.element = Integers{0, 7};
    EXPECT_EQ(groupBytes(odd, 32), 12u + 2) << "codes of three bits";
    odd.element = Integers{-1, 1};
    EXPECT_EQ(groupBytes(odd, 4), 1u + 2) << "three codes take two bits";
}

TEST(Memory, a_block_that_is_not_full_counts_whole) {
    auto const layer = layerOf(2, 4);
    for (Bytes const rows : {0, 1, 15, 16, 17, 32, 33}) {
        Bytes const held = (rows / 16 + (rows % 16 != 0 ? 1 : 0)) * 16;
        EXPECT_EQ(heldRows(layer, {1, rows, 16}), held);
        EXPECT_EQ(memoryOf(layer, {3, rows, 16}), 3 * held * 64) << "of each sequence";
    }
    EXPECT_NE(refusalOf([&] { heldRows(layer, {1, 1, 0}); }), "");
}

TEST(Memory, a_ring_holds_what_it_retains_and_its_sinks) {
    auto layer = layerOf(1, 1);
    layer.retained = 5, layer.sinks = 2, layer.window = 3;
    for (Bytes rows = 0; rows < 20; ++rows)
        EXPECT_EQ(heldRows(layer, {1, rows}), std::min(rows, Bytes{7})) << rows;
    EXPECT_EQ(heldRows(layer, {1, 1000, 4}), 8u);
    layer.retained = 0;
    EXPECT_EQ(heldRows(layer, {1, 1000}), 1000u) << "a window alone drops nothing";
}

TEST(Memory, rows_are_padded_as_their_codec_takes_them) {
    EXPECT_EQ(rowBytes(formatOf(StoredAs::f16), 3, 5), 30u);
    EXPECT_EQ(rowBytes(formatOf(StoredAs::f16), 3, 5, 16), 48u) << "each head";
    EXPECT_EQ(rowBytes(formatOf(StoredAs::f16, CodecRow::token), 3, 5, 16), 32u) << "the token";
    EXPECT_EQ(rowBytes(formatOf(StoredAs::q8_0), 1, 32, 16), 48u);
    EXPECT_NE(refusalOf([] { rowBytes(formatOf(StoredAs::f16), 3, 5, 0); }), "");
}

TEST(Memory, keys_and_values_have_their_own_sizes) {
    auto layer = layerOf(2, 64, StoredAs::q8_0);
    layer.valueDim = 32, layer.valueFormat = formatOf(StoredAs::q4_0);
    EXPECT_EQ(memoryOf(layer, {1, 10}), 10u * 2 * (2 * 34 + 18));
}

TEST(Memory, what_groups_do_not_divide_is_refused) {
    EXPECT_EQ(refusalOf([] { rowBytes(formatOf(StoredAs::q8_0), 2, 80); }),
              "q8_0: a row of 80 elements; it takes multiples of 32, at least one");
    EXPECT_EQ(rowBytes(formatOf(StoredAs::q8_0, CodecRow::token), 2, 80), 160u / 32 * 34);
    EXPECT_NE(refusalOf([] { rowBytes(formatOf(StoredAs::f16), 2, 0); }), "");
    EXPECT_NE(refusalOf([] { sharedBytes(formatOf(StoredAs::e4m3), 2, 0); }), "");
}

TEST(Memory, a_number_beyond_64_bits_is_refused_and_never_wrapped) {
    std::string const refusal =
        "memory: more bytes than 64 bits can count; expected smaller sizes";
    auto const small = layerOf(1, 1);  // 8 bytes a row
    Bytes const fits = most / 8;
    EXPECT_EQ(memoryOf(small, {1, fits}), most - 7);
    EXPECT_EQ(refusalOf([&] { memoryOf(small, {1, fits + 1}); }), refusal);
    EXPECT_EQ(refusalOf([&] { memoryOf(small, {fits + 1, 1}); }), refusal);
    EXPECT_EQ(refusalOf([&] { memoryOf(small, {most, most}); }), refusal);
    EXPECT_EQ(refusalOf([&] { memoryOf(std::vector(2, small), {1, fits}); }), refusal);
    EXPECT_EQ(refusalOf([&] { memoryOf(small, {1, most, 2}); }), refusal) << "the last block";
    EXPECT_EQ(heldRows(small, {1, most - 1, 3}), most) << "which is a multiple of 3";
    EXPECT_EQ(refusalOf([&] { heldRows(small, {1, most, 2}); }), refusal);
    EXPECT_EQ(refusalOf([&] { memoryOf(small, {1, 1, 1, most}); }), refusal) << "padding";
    for (auto const row : {CodecRow::head, CodecRow::token}) {
        auto const wide = formatOf(StoredAs::f16, row);
        Bytes const half = Bytes{1} << 32;
        EXPECT_EQ(refusalOf([&] { rowBytes(wide, half, half); }), refusal);
        EXPECT_EQ(refusalOf([&] { rowBytes(wide, half, half / 2); }), refusal);
        EXPECT_EQ(rowBytes(wide, half, half / 4), most / 2 + 1);
    }
}

MemoryQuery plainQuery() {
    MemoryQuery q;
    q.layers = 32, q.kvHeads = 32, q.headDim = 128, q.format = "f16", q.length = 4096;
    return q;
}

std::string complaintAbout(MemoryQuery const& query) {
    try {
        memoryFor(query);
    } catch (std::exception const& error) {
        return error.what();
    }
    return "";
}

TEST(MemoryCommand, prints_the_table_of_a_model_of_32_layers) {
    struct Entry {
        std::size_t sequences, length;
        std::string total;
    };
    for (auto const& [sequences, length, total] :
         {Entry{1, 4096, "total 2147483648 bytes, 2 GiB\n"},
          Entry{8, 4096, "total 17179869184 bytes, 16 GiB\n"},
          Entry{32, 8192, "total 137438953472 bytes, 128 GiB\n"},
          Entry{128, 32768, "total 2199023255552 bytes, 2048 GiB\n"}}) {
        auto q = plainQuery();
        q.sequences = sequences, q.length = length;
        EXPECT_TRUE(print(memoryFor(q)).ends_with(total)) << print(memoryFor(q));
    }
}

TEST(MemoryCommand, says_how_the_total_comes_about) {
    auto q = plainQuery();
    q.layers = 2, q.format = "nvfp4", q.valuesFormat = "int8PerToken", q.codecRow = "token";
    q.valueDim = 64, q.retained = 100, q.sinks = 4, q.sequences = 3, q.blockRows = 16;
    q.alignment = 32;
    EXPECT_EQ(print(memoryFor(q)),
              "plain sizes: 3 sequences of 4096 rows, blocks of 16 rows, rows aligned to 32 bytes\n"
              "\n"
              "layers 0 to 1\n"
              "  32 kv heads; a key of 128 in nvfp4 by token, a value of 64 in int8PerToken by "
              "token\n"
              "  a ring of 100 rows and 4 sinks\n"
              "  112 rows of 4384 bytes each, 3 sequences, and 4 bytes of scales for all rows: "
              "1473028 bytes, about 1.405 MiB\n"
              "  2 layers: 2946056 bytes, about 2.810 MiB\n"
              "total 2946056 bytes, about 2.810 MiB\n");
    auto const json = toJson(memoryFor(q));
    EXPECT_EQ(json["kvspec-memory"], 1);
    EXPECT_EQ(json["reports"][0]["total"], 2946056);
    EXPECT_EQ(json["reports"][0]["groups"][0]["layers"], oracle::OrderedJson({0, 1}));
    EXPECT_EQ(json["reports"][0]["groups"][0]["heldRows"], 112);
}

TEST(MemoryCommand, counts_a_recording_and_every_shape_of_an_engine) {
    MemoryQuery q;
    q.of = KVSPEC_SOURCE_DIR "/tests/data/smollm2.trace";
    auto const recorded = memoryFor(q);
    ASSERT_EQ(recorded.size(), 1u);
    ASSERT_EQ(recorded[0].groups.size(), 1u);
    EXPECT_EQ(recorded[0].groups[0].layers, (std::vector<std::size_t>{0, 9, 19, 29}));
    EXPECT_EQ(recorded[0].total, 2u * 4 * 3 * 64 * 8192 * 4);
    q.length = 10, q.sequences = 2;
    EXPECT_EQ(memoryFor(q)[0].total, 2u * 4 * 3 * 64 * 10 * 4 * 2);
    q = {};
    q.of = "contiguous";
    auto const shapes = memoryFor(q);
    EXPECT_GT(shapes.size(), 1u);
    for (auto const& shape : shapes) {
        Bytes all = 0;
        for (auto const& group : shape.groups) all += group.bytes;
        EXPECT_EQ(all, shape.total);
        EXPECT_GT(all, 0u);
    }
}

TEST(MemoryCommand, says_what_is_wrong_and_what_would_be_right) {
    EXPECT_EQ(complaintAbout({}), "--layers is missing; expected an engine, a trace, or --layers, "
                                  "--kv-heads, --head-dim, --format and --length");
    auto q = plainQuery();
    q.format = "f17";
    EXPECT_TRUE(complaintAbout(q).starts_with("--format \"f17\" is not possible; expected f32, "));
    q = plainQuery();
    q.codecRow = "heads";
    EXPECT_EQ(complaintAbout(q), "--codec-row \"heads\" is not possible; expected head or token");
    q = plainQuery();
    q.sinks = 4;
    EXPECT_EQ(complaintAbout(q), "--sinks changes no byte without --retained; expected both, or "
                                 "neither of them");
    q = plainQuery();
    q.headDim = 80, q.format = "q8_0";
    EXPECT_EQ(complaintAbout(q), "plain sizes: q8_0: a row of 80 elements; it takes multiples of "
                                 "32, at least one");
    q = plainQuery();
    q.length = q.sequences = q.kvHeads = std::size_t{1} << 32;
    EXPECT_EQ(complaintAbout(q), "plain sizes: memory: more bytes than 64 bits can count; expected "
                                 "smaller sizes");
    q = plainQuery();
    q.of = "contiguous";
    EXPECT_EQ(complaintAbout(q), "--layers was typed beside \"contiguous\", which declares its "
                                 "own; expected one of the two");
    q = {};
    q.of = "nobody";
    EXPECT_TRUE(complaintAbout(q).starts_with("\"nobody\" is no engine and no file; expected "));
    q.of = "missing.trace";
    EXPECT_EQ(complaintAbout(q).find("missing.trace:1: the file does not exist"), 0u);
}

}  // namespace

}  // namespace kv::tests

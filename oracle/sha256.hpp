// sha256: name a tensor by its bytes, so that a recording need not carry it twice.
//
// A recording stores most read-backs as a digest. Equal digests mean equal bytes, hence equal bits
// of every row. FIPS 180-4, section 6.2, computed by OpenSSL.
#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace kv::oracle {

/// 64 lowercase hexadecimal digits. Throws std::runtime_error where OpenSSL offers no SHA-256.
std::string sha256Hex(std::span<const std::byte> bytes);

/// The digest of the numbers as little-endian f32, the bytes of an F32 tensor in a tensor file.
std::string sha256HexOfFloats(std::span<float const> numbers);

}  // namespace kv::oracle

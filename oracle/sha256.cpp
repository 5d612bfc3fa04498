#include "oracle/sha256.hpp"

#include "oracle/safetensors.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>
#include <vector>

namespace kv::oracle {

std::string sha256Hex(std::span<const std::byte> bytes) {
    std::array<unsigned char, 32> digest{};
    unsigned size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1 ||
        size != digest.size())
        throw std::runtime_error("OpenSSL computed no SHA-256; expected one of 32 bytes");
    std::string hex;
    for (unsigned char byte : digest) {
        hex += "0123456789abcdef"[byte >> 4];
        hex += "0123456789abcdef"[byte & 15];
    }
    return hex;
}

std::string sha256HexOfFloats(std::span<float const> numbers) {
    std::vector<std::byte> bytes;
    appendLittleEndian(bytes, numbers);
    return sha256Hex(bytes);
}

}  // namespace kv::oracle

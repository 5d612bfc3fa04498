// sanitized: ask less where the sanitizers watch.
//
// They make everything several times slower, and they look at memory, not at how often a law held:
// the build without them runs every case.
#pragma once
#include <cstddef>

namespace kv::tests {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool isSanitized = true;
#elif defined(__has_feature)
inline constexpr bool isSanitized = __has_feature(address_sanitizer);
#else
inline constexpr bool isSanitized = false;
#endif

/// So many, or a quarter of them.
constexpr std::size_t fewer(std::size_t count) { return isSanitized ? count / 4 : count; }

}  // namespace kv::tests

#include "queued/journal/crc32c.h"

#include <array>
#include <cstring>

namespace postcot::queued {

namespace {

constexpr std::array<uint32_t, 256> make_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = (c & 1) ? 0x82F63B78U ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
    return table;
}

constexpr auto kTable = make_table();

uint32_t by_table(uint32_t crc, const char* p, size_t n) {
    while (n-- > 0) crc = kTable[(crc ^ static_cast<uint8_t>(*p++)) & 0xFF] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t by_instruction(uint32_t crc, const char* p, size_t n) {
    uint64_t wide = crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        std::memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    return by_table(static_cast<uint32_t>(wide), p, n);
}
#endif

}   // namespace

uint32_t crc32c(std::string_view data) {
#if defined(__x86_64__)
    static const bool have = __builtin_cpu_supports("sse4.2") != 0;
    if (have) return ~by_instruction(~0U, data.data(), data.size());
#endif
    return ~by_table(~0U, data.data(), data.size());
}

}   // namespace postcot::queued

#include "libproto/smtp/queue_id.h"

#include <algorithm>

namespace postcot::smtp {
namespace {

// No vowels: no words by accident. 'z' is only the separator in numbers of base 51.
constexpr std::string_view kDigits = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
constexpr unsigned kTimeBase = 52;
constexpr unsigned kNumberBase = 51;

std::string digits(uint64_t value, unsigned base, size_t width) {
    std::string out;
    do {
        out += kDigits[value % base];
        value /= base;
    } while (value > 0);
    while (out.size() < width) out += kDigits[0];
    std::reverse(out.begin(), out.end());
    return out;
}

std::string hex(uint64_t value, size_t width) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    std::string out;
    do {
        out += kHex[value % 16];
        value /= 16;
    } while (value > 0);
    while (out.size() < width) out += '0';
    std::reverse(out.begin(), out.end());
    return out;
}

std::optional<uint64_t> number(std::string_view text, unsigned base) {
    uint64_t value = 0;
    for (char c : text) {
        const auto digit = kDigits.find(c);
        if (digit == std::string_view::npos || digit >= base) return std::nullopt;
        value = value * base + digit;
    }
    return value;
}

}   // namespace

std::string compose_queue_id(bool long_format, QueueTime time, uint64_t number) {
    if (!long_format) return hex(time.microseconds, 5) + hex(number, 1);
    return digits(static_cast<uint64_t>(time.seconds), kTimeBase, 6) + digits(time.microseconds, kTimeBase, 4) + 'z' +
           digits(number, kNumberBase, 1);
}

bool is_queue_id(std::string_view text) {
    if (text.size() < 6 || text.size() > 32) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    });
}

std::optional<QueueTime> queue_id_time(std::string_view id) {
    const size_t separator = id.rfind('z');
    if (separator == std::string_view::npos || separator < 10 || separator + 1 >= id.size() || id.size() > 32)
        return {};
    const auto seconds = number(id.substr(0, separator - 4), kTimeBase);
    const auto micro = number(id.substr(separator - 4, 4), kTimeBase);
    if (!seconds || !micro || *micro >= 1000000) return {};
    return QueueTime{static_cast<int64_t>(*seconds), static_cast<uint32_t>(*micro)};
}

}   // namespace postcot::smtp

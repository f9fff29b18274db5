#include "libproto/ipc/queue_id.h"

#include <fmt/format.h>

#include <algorithm>

namespace postcot::ipc {

namespace {

// Postfix's alphabet without vowels, so that no id spells a word; base 51 leaves out 'z', which separates.
constexpr std::string_view kDigits = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

std::string in_base(uint64_t value, unsigned base, size_t width) {
    std::string out;
    do {
        out.push_back(kDigits[value % base]);
        value /= base;
    } while (value != 0);
    while (out.size() < width) out.push_back('0');
    std::reverse(out.begin(), out.end());
    return out;
}

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

}   // namespace

std::string make_queue_id(bool long_ids, int64_t seconds, int microseconds, uint64_t number) {
    if (!long_ids) return fmt::format("{:05X}{:X}", microseconds, number);
    return in_base(static_cast<uint64_t>(seconds), 52, 6) + in_base(static_cast<uint64_t>(microseconds), 52, 4) + 'z' +
           in_base(number, 51, 1);
}

bool valid_queue_id(std::string_view id) {
    return id.size() >= 6 && id.size() <= 100 && std::all_of(id.begin(), id.end(), is_alnum);
}

uint64_t queue_id_number(std::string_view id) {
    if (!valid_queue_id(id)) return 0;
    bool hex =
        std::all_of(id.begin(), id.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); });
    uint64_t number = 0;
    if (hex && !(id.size() > 10 && id[10] == 'z')) {
        for (char c : id.substr(5)) number = number * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'A' + 10);
        return number;
    }
    auto z = id.rfind('z');
    if (z == std::string_view::npos) return 0;
    for (char c : id.substr(z + 1)) {
        auto digit = kDigits.find(c);
        if (digit == std::string_view::npos) return 0;
        number = number * 51 + digit;
    }
    return number;
}

}   // namespace postcot::ipc

#include "libproto/smtp/ehlo.h"

#include <algorithm>

#include "libproto/smtp/text.h"

namespace postcot::smtp {
namespace {

struct Flag {
    std::string_view keyword;
    bool EhloKeywords::*member;
};
constexpr Flag kFlags[] = {
    {"PIPELINING", &EhloKeywords::pipelining},
    {"8BITMIME", &EhloKeywords::eight_bit_mime},
    {"BINARYMIME", &EhloKeywords::binary_mime},
    {"CHUNKING", &EhloKeywords::chunking},
    {"DSN", &EhloKeywords::dsn},
    {"ENHANCEDSTATUSCODES", &EhloKeywords::enhanced_status_codes},
    {"STARTTLS", &EhloKeywords::start_tls},
    {"SMTPUTF8", &EhloKeywords::smtp_utf8},
    {"ETRN", &EhloKeywords::etrn},
    {"VRFY", &EhloKeywords::vrfy},
    {"REQUIRETLS", &EhloKeywords::require_tls},
    {"XCLIENT", &EhloKeywords::xclient},
    {"XFORWARD", &EhloKeywords::xforward},
};

void add_mechanisms(EhloKeywords& out, std::string_view rest) {
    for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
        auto name = upper(word);
        if (!out.has_auth(name) && out.auth.size() < 32) out.auth.push_back(std::move(name));
    }
}

}   // namespace

bool EhloKeywords::has_auth(std::string_view mechanism) const {
    return std::find(auth.begin(), auth.end(), mechanism) != auth.end();
}

EhloKeywords parse_ehlo(const Reply& reply, const std::vector<std::string>& ignore) {
    EhloKeywords out;
    for (size_t i = 0; i < reply.lines.size(); ++i) {
        std::string_view rest = reply.lines[i];
        auto keyword = next_word(rest);
        if (i == 0) {
            out.greeting_name = keyword;
            continue;
        }
        // Some servers of the last century wrote "AUTH=LOGIN".
        bool equals_form = false;
        if (starts_with_ignoring_case(keyword, "AUTH=")) {
            equals_form = true;
            rest = std::string_view(reply.lines[i]).substr(5);
            keyword = "AUTH";
        }
        if (std::any_of(ignore.begin(), ignore.end(),
                        [&](const auto& k) { return equals_ignoring_case(k, keyword); })) {
            continue;
        }
        if (equals_form || equals_ignoring_case(keyword, "AUTH")) {
            add_mechanisms(out, rest);
        } else if (equals_ignoring_case(keyword, "SIZE")) {
            out.size = true;
            auto number = next_word(rest);
            uint64_t value = 0;
            if (number.size() > 19) continue;
            for (char c : number) {
                if (!is_digit(c)) {
                    value = 0;
                    break;
                }
                value = value * 10 + static_cast<uint64_t>(c - '0');
            }
            out.max_size = value;
        } else {
            for (const auto& flag : kFlags) {
                if (equals_ignoring_case(keyword, flag.keyword)) out.*flag.member = true;
            }
        }
    }
    return out;
}

}   // namespace postcot::smtp

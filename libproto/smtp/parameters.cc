#include "libproto/smtp/parameters.h"

#include "libproto/smtp/path.h"
#include "libproto/smtp/text.h"
#include "libproto/smtp/xtext.h"

namespace postcot::smtp {
namespace {

tl::unexpected<Error> unsupported(std::string_view word) {
    return fail(555, "5.5.4", "Unsupported option: " + std::string(word.substr(0, 100)));
}
tl::unexpected<Error> bad(std::string_view what) { return fail(501, "5.5.4", std::string(what)); }

struct Parameter {
    std::string_view word;    // "SIZE=100"
    std::string_view name;    // "SIZE"
    std::string_view value;   // "100"
    bool has_value = false;
};

// False at the end of the text.
bool next_parameter(std::string_view& text, Parameter& out) {
    out.word = next_word(text);
    if (out.word.empty()) return false;
    const size_t equals = out.word.find('=');
    out.has_value = equals != std::string_view::npos;
    out.name = out.word.substr(0, equals);
    out.value = out.has_value ? out.word.substr(equals + 1) : std::string_view{};
    return true;
}

Expected<void> take_size(std::string_view value, MailParameters& out) {
    if (value.empty() || value.size() > 20) return bad("Bad message size syntax");   // RFC 1870 §5: 1 to 20 digits
    uint64_t size = 0;
    for (char c : value) {
        if (!is_digit(c)) return bad("Bad message size syntax");
        const auto digit = static_cast<uint64_t>(c - '0');
        if (size > (UINT64_MAX - digit) / 10) {
            size = UINT64_MAX;
            break;
        }
        size = size * 10 + digit;
    }
    out.size = size;
    return {};
}

Expected<void> take_auth(std::string_view value, MailParameters& out) {
    auto decoded = decode_xtext(value);
    if (!decoded || value.empty()) return bad("Bad AUTH parameter syntax");
    if (equals_ignoring_case(*decoded, "<>")) {
        out.auth = "<>";
        return {};
    }
    std::string_view rest;
    auto path = parse_path(*decoded, PathKind::kReverse, PathOptions{true, false}, rest);
    if (!path || !rest.empty()) return bad("Bad AUTH parameter syntax");
    out.auth = path->internal();
    return {};
}

Expected<void> take_body(std::string_view value, const Offered& offered, MailParameters& out) {
    if (equals_ignoring_case(value, "7BIT")) {
        out.body = Body::k7Bit;
    } else if (equals_ignoring_case(value, "8BITMIME")) {
        out.body = Body::k8BitMime;
    } else if (equals_ignoring_case(value, "BINARYMIME") && offered.binary_mime) {
        out.body = Body::kBinaryMime;
    } else {
        return unsupported("BODY=" + std::string(value.substr(0, 50)));
    }
    return {};
}

}   // namespace

Expected<MailParameters> parse_mail_parameters(std::string_view text, const Offered& offered) {
    MailParameters out;
    Parameter p;
    while (next_parameter(text, p)) {
        Expected<void> taken;
        if (offered.size && p.has_value && equals_ignoring_case(p.name, "SIZE")) {
            taken = out.size ? Expected<void>(bad("Bad message size syntax")) : take_size(p.value, out);
        } else if (offered.eight_bit_mime && p.has_value && equals_ignoring_case(p.name, "BODY")) {
            taken = out.body ? Expected<void>(bad("Repeated BODY parameter")) : take_body(p.value, offered, out);
        } else if (offered.smtputf8 && !p.has_value && equals_ignoring_case(p.name, "SMTPUTF8")) {
            out.smtputf8 = true;
        } else if (offered.auth && p.has_value && equals_ignoring_case(p.name, "AUTH")) {
            taken = out.auth ? Expected<void>(bad("Bad AUTH parameter syntax")) : take_auth(p.value, out);
        } else if (offered.dsn && p.has_value && equals_ignoring_case(p.name, "RET")) {
            if (out.ret != Ret::kUnset) return bad("Bad RET parameter syntax");
            if (equals_ignoring_case(p.value, "FULL")) {
                out.ret = Ret::kFull;
            } else if (equals_ignoring_case(p.value, "HDRS")) {
                out.ret = Ret::kHeaders;
            } else {
                return bad("Bad RET parameter syntax");
            }
        } else if (offered.dsn && p.has_value && equals_ignoring_case(p.name, "ENVID")) {
            // RFC 3461 §4.4: at most 100 characters; must decode to printable US-ASCII.
            auto decoded = decode_xtext(p.value);
            if (!decoded || decoded->empty() || p.value.size() > 100 || !out.envid.empty())
                return bad("Bad ENVID parameter syntax");
            for (char c : *decoded) {
                if (c < 32 || c > 126) return bad("Bad ENVID parameter syntax");
            }
            out.envid = std::move(*decoded);
        } else {
            return unsupported(p.word);
        }
        if (!taken) return fail(std::move(taken.error()));
    }
    return out;
}

Expected<RcptParameters> parse_rcpt_parameters(std::string_view text, const Offered& offered, bool smtputf8) {
    RcptParameters out;
    Parameter p;
    while (next_parameter(text, p)) {
        if (offered.dsn && p.has_value && equals_ignoring_case(p.name, "NOTIFY")) {
            auto notify = parse_notify(p.value);
            if (!notify || out.notify != kNotifyUnset) return bad("Error: Bad NOTIFY parameter syntax");
            out.notify = *notify;
        } else if (offered.dsn && p.has_value && equals_ignoring_case(p.name, "ORCPT")) {
            // RFC 3461 §4.2: addr-type ";" xtext; RFC 6533 §3 for utf-8.
            const size_t semicolon = p.value.find(';');
            if (semicolon == std::string_view::npos || semicolon == 0 || !out.orcpt.empty() || p.value.size() > 500) {
                return bad("Error: Bad ORCPT parameter syntax");
            }
            const auto type = p.value.substr(0, semicolon);
            for (char c : type) {
                if (!is_alpha(c) && !is_digit(c) && c != '-') return bad("Error: Bad ORCPT parameter syntax");
            }
            const auto encoded = p.value.substr(semicolon + 1);
            const bool utf8 = equals_ignoring_case(type, "utf-8");
            auto decoded = utf8 ? decode_utf8_xtext(encoded) : decode_xtext(encoded);
            if (!decoded || decoded->empty()) return bad("Error: Bad ORCPT parameter syntax");
            for (char c : *decoded) {
                const auto u = static_cast<unsigned char>(c);
                if (u < 32 || u == 127 || (u >= 128 && !(utf8 && smtputf8) && !utf8))
                    return bad("Error: Bad ORCPT parameter syntax");
            }
            out.orcpt = lower(type) + ';' + *decoded;
        } else {
            return unsupported(p.word);
        }
    }
    return out;
}

bool asks_smtputf8(std::string_view text) {
    for (auto word = next_word(text); !word.empty(); word = next_word(text)) {
        if (equals_ignoring_case(word, "SMTPUTF8")) return true;
    }
    return false;
}

Expected<uint8_t> parse_notify(std::string_view value) {
    if (equals_ignoring_case(value, "NEVER")) return static_cast<uint8_t>(kNotifyNever);
    unsigned notify = 0;
    while (true) {
        const size_t comma = value.find(',');
        const auto word = value.substr(0, comma);
        unsigned bit = 0;
        if (equals_ignoring_case(word, "SUCCESS")) bit = kNotifySuccess;
        if (equals_ignoring_case(word, "FAILURE")) bit = kNotifyFailure;
        if (equals_ignoring_case(word, "DELAY")) bit = kNotifyDelay;
        if (bit == 0) return fail(501, "5.5.4", "Bad NOTIFY parameter syntax");
        notify |= bit;
        if (comma == std::string_view::npos) break;
        value.remove_prefix(comma + 1);
    }
    return static_cast<uint8_t>(notify);
}

std::string notify_text(uint8_t notify) {
    if (notify & kNotifyNever) return "NEVER";
    std::string out;
    auto add = [&](unsigned bit, const char* name) {
        if (!(notify & bit)) return;
        if (!out.empty()) out += ',';
        out += name;
    };
    add(kNotifySuccess, "SUCCESS");
    add(kNotifyFailure, "FAILURE");
    add(kNotifyDelay, "DELAY");
    return out;
}

}   // namespace postcot::smtp

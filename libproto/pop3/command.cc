#include "libproto/pop3/command.h"

namespace postcot::pop3 {

namespace {

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    return out;
}

// What may be shown of a client's word.
std::string printable(std::string_view text) {
    std::string out(text.substr(0, 64));
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) c = '?';
    return out;
}

// A number at the start of `in`, taken off it with one following space.
Expected<uint64_t> take_number(std::string_view& in) {
    while (in.size() > 1 && in.front() == ' ') in.remove_prefix(1);   // spaces too many are forgiven, as Dovecot does
    uint64_t n = 0;
    size_t i = 0;
    for (; i < in.size() && in[i] >= '0' && in[i] <= '9'; ++i) {
        n = n * 10 + static_cast<uint64_t>(in[i] - '0');
        if (n > UINT32_MAX) return fail(0, "Message number too large: ");   // Dovecot names it not
    }
    if (i == 0 || (i < in.size() && in[i] != ' ')) return fail(0, "Invalid message number: " + printable(in));
    in.remove_prefix(i);
    return n;
}

Expected<uint32_t> only_number(std::string_view in) {
    auto n = take_number(in);
    if (!n) return fail(n.error());
    if (!in.empty()) return fail(0, "Noise after message number: " + printable(in));
    return static_cast<uint32_t>(*n);
}

}   // namespace

Expected<Command> parse_command(std::string_view line) {
    size_t space = line.find(' ');
    std::string verb = upper(line.substr(0, space));
    std::string_view rest = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
    if (verb == "PASS") return Pass{std::string(rest)};
    while (rest.ends_with(' ')) rest.remove_suffix(1);
    auto bare = [&](Command command) -> Expected<Command> { return command; };   // Dovecot ignores what follows these
    if (verb == "CAPA") return bare(Capa{});
    if (verb == "QUIT") return bare(Quit{});
    if (verb == "NOOP") return bare(Noop{});
    if (verb == "STLS") return bare(Stls{});
    if (verb == "STAT") return bare(Stat{});
    if (verb == "RSET") return bare(Rset{});
    if (verb == "USER") return User{std::string(rest)};   // none given: PASS says so
    if (verb == "AUTH") {
        Auth auth;
        size_t end = rest.find(' ');
        auth.mechanism = upper(rest.substr(0, end));
        if (end != std::string_view::npos) auth.initial = std::string(rest.substr(end + 1));
        return auth;
    }
    if (verb == "LIST" || verb == "UIDL") {
        std::optional<uint32_t> number;
        if (!rest.empty()) {
            auto n = only_number(rest);
            if (!n) return fail(n.error());
            number = *n;
        }
        if (verb == "LIST") return List{number};
        return Uidl{number};
    }
    if (verb == "RETR" || verb == "DELE") {
        auto n = only_number(rest);
        if (!n) return fail(n.error());
        if (verb == "RETR") return Retr{*n};
        return Dele{*n};
    }
    if (verb == "TOP") {
        auto n = take_number(rest);
        if (!n) return fail(n.error());
        if (rest.empty()) return fail(0, "Missing number of lines");
        rest.remove_prefix(1);
        std::string_view lines_text = rest;
        auto lines = take_number(rest);
        if (!lines || !rest.empty()) return fail(0, "Invalid number of lines: " + printable(lines_text));
        return Top{static_cast<uint32_t>(*n), *lines};
    }
    return fail(0, "Unknown command: " + printable(verb));
}

}   // namespace postcot::pop3

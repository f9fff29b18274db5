#include "libproto/imap/session_commands.h"

#include "libproto/imap/command_parsers.h"
#include "libproto/imap/text.h"

namespace postcot::imap {

namespace {

// RFC 3501 §6.2.2, RFC 4959 §3.
Expected<Command> authenticate(Lexer& in) {
    Authenticate out;
    auto space = in.space();
    if (!space) return fail(space.error());
    auto mechanism = in.astring();
    if (!mechanism) return fail(0, "expected a SASL mechanism");
    out.mechanism = to_upper(*mechanism);
    if (in.eat(' ') && !in.at_end()) {
        std::string_view initial = in.rest();
        for (char c : initial) {
            if (c <= ' ' || c >= 0x7F) return fail(0, "expected base64 as the initial response");
        }
        out.initial = std::string(initial);
    } else if (!in.at_end()) {
        return fail(0, "expected a space after the mechanism");
    }
    return Command(std::move(out));
}

Expected<Command> login(Lexer& in) {
    Login out;
    auto space = in.space();
    if (!space) return fail(space.error());
    auto user = in.astring();
    if (!user) return fail(0, "expected a user name");
    space = in.space();
    if (!space) return fail(0, "expected a password");
    auto password = in.astring();
    if (!password) return fail(0, "expected a password");
    auto end = in.end();
    if (!end) return fail(end.error());
    out.user = std::move(*user);
    out.password = std::move(*password);
    return Command(std::move(out));
}

// RFC 2971 §3.3: at most 30 pairs; we forgive more up to what a line holds but keep 30.
Expected<Command> id(Lexer& in) {
    Id out;
    auto space = in.space();
    if (!space) return fail(space.error());
    if (in.eat('(')) {
        while (!in.eat(')')) {
            auto key = in.astring();
            if (!key) return fail(key.error());
            space = in.space();
            if (!space) return fail(space.error());
            auto value = in.nstring();
            if (!value) return fail(value.error());
            if (out.fields.size() < 30) out.fields.emplace_back(std::move(*key), value->value_or(""));
            if (in.peek() != ')' && !in.eat(' ')) return fail(0, "expected \")\" after the ID fields");
        }
    } else if (!in.eat_word("NIL")) {
        return fail(0, "expected NIL or a parenthesised list of fields");
    }
    auto end = in.end();
    if (!end) return fail(end.error());
    return Command(std::move(out));
}

Expected<Command> enable(Lexer& in) {
    Enable out;
    while (in.eat(' ')) {
        if (in.at_end() && !out.capabilities.empty()) break;
        auto capability = in.atom();
        if (!capability) return fail(0, "expected a capability");
        if (out.capabilities.size() == 64) return fail(0, "too many capabilities");
        out.capabilities.push_back(to_upper(*capability));
    }
    if (out.capabilities.empty()) return fail(0, "expected a capability");
    auto end = in.end();
    if (!end) return fail(end.error());
    return Command(std::move(out));
}

constexpr Verb kVerbs[] = {
    {"CAPABILITY", without_arguments<Capability>},
    {"NOOP", without_arguments<Noop>},
    {"LOGOUT", without_arguments<Logout>},
    {"STARTTLS", without_arguments<StartTls>},
    {"IDLE", without_arguments<Idle>},
    {"NAMESPACE", without_arguments<Namespace>},
    {"AUTHENTICATE", authenticate},
    {"LOGIN", login},
    {"ID", id},
    {"ENABLE", enable},
};

}   // namespace

const Verb* find_session_verb(std::string_view name) {
    for (const Verb& verb : kVerbs) {
        if (verb.name == name) return &verb;
    }
    return nullptr;
}

}   // namespace postcot::imap

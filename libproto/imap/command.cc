#include "libproto/imap/command.h"

#include "libproto/imap/command_parsers.h"
#include "libproto/imap/text.h"

namespace postcot::imap {

Request parse_request(std::string_view text) {
    Request request;
    size_t n = 0;
    while (n < text.size() && is_tag_char(text[n])) ++n;
    if (n == 0 || n > 255 || (n < text.size() && text[n] != ' ')) {
        request.command = fail(0, "Invalid tag");
        return request;
    }
    request.tag = text.substr(0, n);
    if (n == text.size()) return request;

    Lexer in(text.substr(n + 1));
    request.verb = to_upper(in.word());
    const Verb* verb = nullptr;
    if (request.verb == "UID") {
        in.eat_spaces();
        std::string second = to_upper(in.word());
        verb = find_uid_verb(second);
        request.verb += ' ' + second;
    } else if (!request.verb.empty()) {
        verb = find_session_verb(request.verb);
        if (!verb) verb = find_mailbox_verb(request.verb);
        if (!verb) verb = find_message_verb(request.verb);
    }
    if (request.verb.size() > 64) request.verb.resize(64);
    if (!verb)
        request.command = fail(0, request.verb.empty() ? "missing command" : "Unknown command");
    else
        request.command = verb->parse(in);
    return request;
}

}   // namespace postcot::imap

// Internal to libproto/imap: the argument parsers of each command family, called after "tag SP verb".
#pragma once

#include "libproto/imap/command.h"
#include "libproto/imap/lexer.h"

namespace postcot::imap {

struct Verb {
    std::string_view name;
    Expected<Command> (*parse)(Lexer& in);
};
const Verb* find_session_verb(std::string_view name);
const Verb* find_mailbox_verb(std::string_view name);
const Verb* find_message_verb(std::string_view name);
const Verb* find_uid_verb(std::string_view name);   // after "UID SP"

template <class T>
Expected<Command> without_arguments(Lexer& in) {
    auto end = in.end();
    if (!end) return fail(end.error());
    return Command(T{});
}

}   // namespace postcot::imap

#include "libproto/imap/mailbox_commands.h"

#include "libproto/imap/command_parsers.h"
#include "libproto/imap/mailbox_name.h"
#include "libproto/imap/text.h"

namespace postcot::imap {

namespace {

Expected<std::string> mailbox_argument(Lexer& in) {
    auto space = in.space();
    if (!space) return fail(space.error());
    return in.mailbox();
}

template <class T>
Expected<Command> one_mailbox(Lexer& in) {
    auto name = mailbox_argument(in);
    if (!name) return fail(name.error());
    auto end = in.end();
    if (!end) return fail(end.error());
    T out;
    out.mailbox = std::move(*name);
    return Command(std::move(out));
}

// RFC 7162 §7 qresync-param: "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")".
Expected<Resync> resync_parameter(Lexer& in) {
    Resync out;
    auto space = in.space();
    if (!space) return fail(space.error());
    auto open = in.expect('(');
    if (!open) return fail(open.error());
    auto validity = in.nz_number();
    if (!validity) return fail(validity.error());
    out.uid_validity = *validity;
    space = in.space();
    if (!space) return fail(space.error());
    auto modseq = in.number64();
    if (!modseq || *modseq == 0) return fail(0, "expected a mod-sequence");
    out.modseq = *modseq;
    auto set = [&]() -> Expected<SequenceSet> {   // known numbers: no "*"
        auto uids = in.sequence_set();
        if (!uids) return uids;
        if (uids->saved) return fail(0, "expected UIDs");
        for (const auto& range : uids->ranges)
            if (range.first == SequenceSet::kStar || range.last == SequenceSet::kStar)
                return fail(0, "\"*\" is no known number");
        return uids;
    };
    bool more = in.eat_spaces();
    if (more && in.peek() != '(') {
        auto known = set();
        if (!known) return fail(known.error());
        out.known_uids = std::move(*known);
        more = in.eat_spaces();
    }
    if (more) {
        auto pairs = in.expect('(');
        if (!pairs) return fail(pairs.error());
        auto numbers = set();
        if (!numbers) return fail(numbers.error());
        space = in.space();
        if (!space) return fail(space.error());
        auto uids = set();
        if (!uids) return fail(uids.error());
        pairs = in.expect(')');
        if (!pairs) return fail(pairs.error());
    }
    auto close = in.expect(')');
    if (!close) return fail(close.error());
    return out;
}

// RFC 3501 §6.3.1, RFC 4466 §2.1 select-params: CONDSTORE and QRESYNC (RFC 7162 §3.1.8, §3.2.5).
Expected<Command> select_or_examine(Lexer& in, bool examine) {
    Select out;
    out.examine = examine;
    auto name = mailbox_argument(in);
    if (!name) return fail(name.error());
    out.mailbox = std::move(*name);
    if (in.rest().starts_with(" (")) {
        in.eat(' ');
        in.eat('(');
        do {
            if (in.eat_word("CONDSTORE")) {
                out.condstore = true;
            } else if (in.eat_word("QRESYNC") && !out.resync) {
                auto resync = resync_parameter(in);
                if (!resync) return fail(resync.error());
                out.resync = std::move(*resync);
            } else {
                return fail(0, "Unknown parameter " + to_upper(in.word()));
            }
        } while (in.eat(' '));
        auto close = in.expect(')');
        if (!close) return fail(close.error());
    }
    auto end = in.end();
    if (!end) return fail(end.error());
    return Command(std::move(out));
}
Expected<Command> select(Lexer& in) { return select_or_examine(in, false); }
Expected<Command> examine(Lexer& in) { return select_or_examine(in, true); }

// RFC 6154 §3: CREATE mailbox (USE (\Sent))
Expected<Command> create(Lexer& in) {
    Create out;
    auto name = mailbox_argument(in);
    if (!name) return fail(name.error());
    out.mailbox = std::move(*name);
    if (in.rest().starts_with(" (")) {
        in.eat(' ');
        in.eat('(');
        if (!in.eat_word("USE") || !in.eat(' ') || !in.eat('('))
            return fail(0, "expected USE (...) in the create parameters");
        while (!in.eat(')')) {
            auto use = in.flag();
            if (!use || !use->starts_with('\\')) return fail(0, "expected a special-use attribute");
            if (out.special_use.size() == 16) return fail(0, "too many special-use attributes");
            out.special_use.push_back(std::move(*use));
            if (in.peek() != ')' && !in.eat(' ')) return fail(0, "expected \")\" after the special-use attributes");
        }
        auto close = in.expect(')');
        if (!close) return fail(close.error());
    }
    auto end = in.end();
    if (!end) return fail(end.error());
    return Command(std::move(out));
}

Expected<Command> rename(Lexer& in) {
    Rename out;
    auto from = mailbox_argument(in);
    if (!from) return fail(from.error());
    auto to = mailbox_argument(in);
    if (!to) return fail(to.error());
    auto end = in.end();
    if (!end) return fail(end.error());
    out.from = std::move(*from);
    out.to = std::move(*to);
    return Command(std::move(out));
}

Expected<StatusItems> status_items(Lexer& in) {
    StatusItems items;
    auto open = in.expect('(');
    if (!open) return fail(open.error());
    in.eat_spaces();
    do {
        if (in.eat_word("MESSAGES"))
            items.messages = true;
        else if (in.eat_word("RECENT"))
            items.recent = true;
        else if (in.eat_word("UIDNEXT"))
            items.uid_next = true;
        else if (in.eat_word("UIDVALIDITY"))
            items.uid_validity = true;
        else if (in.eat_word("UNSEEN"))
            items.unseen = true;
        else if (in.eat_word("HIGHESTMODSEQ"))
            items.highest_modseq = true;
        else if (in.eat_word("SIZE"))
            items.size = true;
        else if (in.eat_word("APPENDLIMIT"))
            items.append_limit = true;
        else
            return fail(0, "Unknown status item " + to_upper(in.word()));
    } while (in.eat_spaces() && in.peek() != ')');
    auto close = in.expect(')');
    if (!close) return fail(close.error());
    return items;
}

Expected<Command> status(Lexer& in) {
    Status out;
    auto name = mailbox_argument(in);
    if (!name) return fail(name.error());
    out.mailbox = std::move(*name);
    auto space = in.space();
    if (!space) return fail(space.error());
    auto items = status_items(in);
    if (!items) return fail(items.error());
    out.items = *items;
    auto end = in.end();
    if (!end) return fail(end.error());
    return Command(std::move(out));
}

// A pattern's wildcards are ASCII and never inside "&...-", so that decoding the name does not touch them. A pattern
// that is no valid name is kept: it matches nothing.
std::string pattern_from_wire(std::string wire) {
    auto decoded = mailbox_name_from_wire(wire);
    std::string out;
    for (char c : decoded ? *decoded : wire) {   // "**" and "*%" say no more than "*"
        bool wild = c == '*' || c == '%';
        if (wild && out.ends_with('*')) continue;
        while (c == '*' && out.ends_with('%')) out.pop_back();
        if (wild && out.ends_with(c)) continue;
        out += c;
    }
    return out;
}

Expected<void> select_options(Lexer& in, List& out) {
    while (!in.eat(')')) {
        if (in.eat_word("SUBSCRIBED"))
            out.select_subscribed = true;
        else if (in.eat_word("REMOTE"))
            out.select_remote = true;
        else if (in.eat_word("RECURSIVEMATCH"))
            out.select_recursive_match = true;
        else if (in.eat_word("SPECIAL-USE"))
            out.select_special_use = true;
        else
            return fail(0, "Unknown select option " + to_upper(in.word()));
        if (in.peek() != ')' && !in.eat(' ')) return fail(0, "expected \")\" after the select options");
    }
    // RFC 5258 §3.1: RECURSIVEMATCH cannot stand alone or with REMOTE only.
    if (out.select_recursive_match && !out.select_subscribed && !out.select_special_use)
        return fail(0, "RECURSIVEMATCH needs another select option");
    return {};
}

Expected<void> return_options(Lexer& in, List& out) {
    while (!in.eat(')')) {
        if (in.eat_word("SUBSCRIBED"))
            out.return_subscribed = true;
        else if (in.eat_word("CHILDREN"))
            out.return_children = true;
        else if (in.eat_word("SPECIAL-USE"))
            out.return_special_use = true;
        else if (in.eat_word("STATUS")) {
            auto space = in.space();
            if (!space) return space;
            auto items = status_items(in);
            if (!items) return fail(items.error());
            out.return_status = *items;
        } else {
            return fail(0, "Unknown return option " + to_upper(in.word()));
        }
        if (in.peek() != ')' && !in.eat(' ')) return fail(0, "expected \")\" after the return options");
    }
    return {};
}

Expected<Command> list_or_lsub(Lexer& in, bool lsub) {
    List out;
    out.lsub = lsub;
    auto space = in.space();
    if (!space) return fail(space.error());
    if (!lsub && in.eat('(')) {
        out.extended = true;
        auto options = select_options(in, out);
        if (!options) return fail(options.error());
        space = in.space();
        if (!space) return fail(space.error());
    }
    auto reference = in.astring();
    if (!reference) return fail(reference.error());
    out.reference = pattern_from_wire(std::move(*reference));
    space = in.space();
    if (!space) return fail(space.error());
    if (!lsub && in.eat('(')) {
        out.extended = true;
        do {
            auto pattern = in.list_mailbox();
            if (!pattern) return fail(pattern.error());
            if (out.patterns.size() == 64) return fail(0, "too many mailbox patterns");
            out.patterns.push_back(pattern_from_wire(std::move(*pattern)));
        } while (in.eat(' '));
        auto close = in.expect(')');
        if (!close) return fail(close.error());
    } else {
        auto pattern = in.list_mailbox();
        if (!pattern) return fail(pattern.error());
        out.patterns.push_back(pattern_from_wire(std::move(*pattern)));
    }
    if (!lsub && istarts_with(in.rest(), " RETURN (")) {
        out.extended = true;
        in.eat(' ');
        in.eat_word("RETURN");
        in.eat(' ');
        in.eat('(');
        auto options = return_options(in, out);
        if (!options) return fail(options.error());
    }
    auto end = in.end();
    if (!end) return fail(end.error());
    return Command(std::move(out));
}
Expected<Command> list(Lexer& in) { return list_or_lsub(in, false); }
Expected<Command> lsub(Lexer& in) { return list_or_lsub(in, true); }

// [SP flag-list] [SP date-time], the literal's header already cut off.
Expected<void> append_tail(Lexer& in, Append& out) {
    in.eat_spaces();
    if (in.peek() == '(') {
        auto flags = parse_flag_list(in, false);
        if (!flags) return fail(flags.error());
        out.flags = std::move(*flags);
    }
    in.eat_spaces();
    if (in.peek() == '"') {
        auto date = in.string();
        if (!date) return fail(date.error());
        auto parsed = parse_date_time(*date);
        if (!parsed) return fail(parsed.error());
        out.date = *parsed;
    }
    if (!in.at_end()) return fail(0, "expected a flag list, a date-time or the message literal");
    return {};
}

Expected<Command> append(Lexer& in) {
    Append out;
    auto name = mailbox_argument(in);
    if (!name) return fail(name.error());
    out.mailbox = std::move(*name);
    auto tail = append_tail(in, out);
    if (!tail) return fail(tail.error());
    return Command(std::move(out));
}

constexpr Verb kVerbs[] = {
    {"SELECT", select},
    {"EXAMINE", examine},
    {"CREATE", create},
    {"DELETE", one_mailbox<Delete>},
    {"RENAME", rename},
    {"SUBSCRIBE", one_mailbox<Subscribe>},
    {"UNSUBSCRIBE", one_mailbox<Unsubscribe>},
    {"STATUS", status},
    {"LIST", list},
    {"LSUB", lsub},
    {"APPEND", append},
};

}   // namespace

Expected<Append> parse_append_next(std::string_view text) {
    Lexer in(text);
    Append out;
    auto tail = append_tail(in, out);
    if (!tail) return fail(tail.error());
    return out;
}

const Verb* find_mailbox_verb(std::string_view name) {
    for (const Verb& verb : kVerbs) {
        if (verb.name == name) return &verb;
    }
    return nullptr;
}

}   // namespace postcot::imap

#include "libproto/imap/message_commands.h"

#include "libproto/imap/command_parsers.h"
#include "libproto/imap/text.h"

namespace postcot::imap {

namespace {

Expected<Command> uid_expunge(Lexer& in) {
    auto space = in.space();
    if (!space) return fail(space.error());
    auto set = in.sequence_set();
    if (!set) return fail(set.error());
    auto end = in.end();
    if (!end) return fail(end.error());
    Expunge out;
    out.uids = std::move(*set);
    return Command(std::move(out));
}

// RFC 3501 §6.4.6; store-modifiers of RFC 4466 §2.5.
Expected<Command> store_messages(Lexer& in, bool uid) {
    Store out;
    out.uid = uid;
    auto space = in.space();
    if (!space) return fail(space.error());
    auto set = in.sequence_set();
    if (!set) return fail(set.error());
    out.set = std::move(*set);
    space = in.space();
    if (!space) return fail(space.error());
    if (in.eat('(')) {
        if (!in.eat_word("UNCHANGEDSINCE")) return fail(0, "expected the store modifier UNCHANGEDSINCE");
        space = in.space();
        if (!space) return fail(space.error());
        auto since = in.number64();
        if (!since) return fail(since.error());
        out.unchanged_since = *since;
        auto close = in.expect(')');
        if (!close) return fail(close.error());
        space = in.space();
        if (!space) return fail(space.error());
    }
    if (in.eat('+'))
        out.how = Store::How::kAdd;
    else if (in.eat('-'))
        out.how = Store::How::kRemove;
    if (in.eat_word("FLAGS.SILENT"))
        out.silent = true;
    else if (!in.eat_word("FLAGS"))
        return fail(0, "expected FLAGS, +FLAGS or -FLAGS");
    space = in.space();
    if (!space) return fail(space.error());
    auto flags = parse_flag_list(in, true);
    if (!flags) return fail(flags.error());
    out.flags = std::move(*flags);
    auto end = in.end();
    if (!end) return fail(end.error());
    return Command(std::move(out));
}

Expected<Command> copy_or_move(Lexer& in, bool uid, bool move) {
    Copy out;
    out.uid = uid;
    out.move = move;
    auto space = in.space();
    if (!space) return fail(space.error());
    auto set = in.sequence_set();
    if (!set) return fail(set.error());
    out.set = std::move(*set);
    space = in.space();
    if (!space) return fail(space.error());
    auto name = in.mailbox();
    if (!name) return fail(name.error());
    out.mailbox = std::move(*name);
    auto end = in.end();
    if (!end) return fail(end.error());
    return Command(std::move(out));
}

template <class T, Expected<T> (*kParse)(Lexer&, bool), bool kUid>
Expected<Command> after_space(Lexer& in) {
    auto space = in.space();
    if (!space) return fail(space.error());
    auto out = kParse(in, kUid);
    if (!out) return fail(out.error());
    return Command(std::move(*out));
}

Expected<Command> store(Lexer& in) { return store_messages(in, false); }
Expected<Command> uid_store(Lexer& in) { return store_messages(in, true); }
Expected<Command> copy(Lexer& in) { return copy_or_move(in, false, false); }
Expected<Command> uid_copy(Lexer& in) { return copy_or_move(in, true, false); }
Expected<Command> move(Lexer& in) { return copy_or_move(in, false, true); }
Expected<Command> uid_move(Lexer& in) { return copy_or_move(in, true, true); }

constexpr Verb kVerbs[] = {
    {"CHECK", without_arguments<Check>},
    {"CLOSE", without_arguments<Close>},
    {"UNSELECT", without_arguments<Unselect>},
    {"EXPUNGE", without_arguments<Expunge>},
    {"FETCH", after_space<Fetch, parse_fetch, false>},
    {"SEARCH", after_space<Search, parse_search, false>},
    {"SORT", after_space<Sort, parse_sort, false>},
    {"THREAD", after_space<Thread, parse_thread, false>},
    {"STORE", store},
    {"COPY", copy},
    {"MOVE", move},
};

constexpr Verb kUidVerbs[] = {
    {"EXPUNGE", uid_expunge},
    {"FETCH", after_space<Fetch, parse_fetch, true>},
    {"SEARCH", after_space<Search, parse_search, true>},
    {"SORT", after_space<Sort, parse_sort, true>},
    {"THREAD", after_space<Thread, parse_thread, true>},
    {"STORE", uid_store},
    {"COPY", uid_copy},
    {"MOVE", uid_move},
};

}   // namespace

const Verb* find_message_verb(std::string_view name) {
    for (const Verb& verb : kVerbs) {
        if (verb.name == name) return &verb;
    }
    return nullptr;
}

const Verb* find_uid_verb(std::string_view name) {
    for (const Verb& verb : kUidVerbs) {
        if (verb.name == name) return &verb;
    }
    return nullptr;
}

}   // namespace postcot::imap

#include "libproto/imap/flags.h"

#include <algorithm>

#include "libproto/imap/text.h"

namespace postcot::imap {

namespace {

Expected<void> add(FlagList& list, const std::string& flag) {
    if (flag == "\\Answered")
        list.answered = true;
    else if (flag == "\\Flagged")
        list.flagged = true;
    else if (flag == "\\Deleted")
        list.deleted = true;
    else if (flag == "\\Seen")
        list.seen = true;
    else if (flag == "\\Draft")
        list.draft = true;
    // \Recent too: RFC 3501 §2.3.2, a client cannot change it.
    else if (flag.starts_with('\\'))
        return fail(0, "Invalid system flag " + flag);
    else if (list.keywords.size() == kMaxFlags)
        return fail(0, "too many keywords");
    else if (std::none_of(list.keywords.begin(), list.keywords.end(),
                          [&](const std::string& k) { return iequals(k, flag); }))
        list.keywords.push_back(flag);
    return {};
}

}   // namespace

Expected<FlagList> parse_flag_list(Lexer& in, bool bare_allowed) {
    FlagList list;
    bool parentheses = in.eat('(');
    if (!parentheses && !bare_allowed) return fail(0, "expected a parenthesised flag list");
    if (parentheses) in.eat_spaces();
    if (parentheses && in.eat(')')) return list;
    for (;;) {
        auto flag = in.flag();
        if (!flag) return fail(flag.error());
        auto added = add(list, *flag);
        if (!added) return fail(added.error());
        if (parentheses && in.eat(')')) return list;
        if (!parentheses && in.at_end()) return list;
        if (!in.eat_spaces()) return fail(0, "expected a space between flags");
        if (parentheses ? in.eat(')') : in.at_end()) return list;
    }
}

}   // namespace postcot::imap

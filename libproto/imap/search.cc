#include "libproto/imap/search.h"

#include <array>

#include "libproto/imap/text.h"

namespace postcot::imap {

namespace {

using Kind = SearchKey::Kind;

enum class Argument { kNone, kText, kKeyword, kDate, kNumber, kNonZero };

struct KeyWord {
    std::string_view name;
    Kind kind;
    bool negate;
    Argument argument;
};

constexpr std::array kKeyWords = std::to_array<KeyWord>({
    {"ALL", Kind::kAll, false, Argument::kNone},
    {"ANSWERED", Kind::kAnswered, false, Argument::kNone},
    {"BCC", Kind::kBcc, false, Argument::kText},
    {"BEFORE", Kind::kBefore, false, Argument::kDate},
    {"BODY", Kind::kBody, false, Argument::kText},
    {"CC", Kind::kCc, false, Argument::kText},
    {"DELETED", Kind::kDeleted, false, Argument::kNone},
    {"DRAFT", Kind::kDraft, false, Argument::kNone},
    {"FLAGGED", Kind::kFlagged, false, Argument::kNone},
    {"FROM", Kind::kFrom, false, Argument::kText},
    {"KEYWORD", Kind::kKeyword, false, Argument::kKeyword},
    {"LARGER", Kind::kLarger, false, Argument::kNumber},
    {"OLD", Kind::kRecent, true, Argument::kNone},
    {"OLDER", Kind::kOlder, false, Argument::kNonZero},
    {"ON", Kind::kOn, false, Argument::kDate},
    {"RECENT", Kind::kRecent, false, Argument::kNone},
    {"SAVEDATESUPPORTED", Kind::kAll, false, Argument::kNone},   // RFC 8514 §4.3: every mailbox has them
    {"SAVEDBEFORE", Kind::kSavedBefore, false, Argument::kDate},
    {"SAVEDON", Kind::kSavedOn, false, Argument::kDate},
    {"SAVEDSINCE", Kind::kSavedSince, false, Argument::kDate},
    {"SEEN", Kind::kSeen, false, Argument::kNone},
    {"SENTBEFORE", Kind::kSentBefore, false, Argument::kDate},
    {"SENTON", Kind::kSentOn, false, Argument::kDate},
    {"SENTSINCE", Kind::kSentSince, false, Argument::kDate},
    {"SINCE", Kind::kSince, false, Argument::kDate},
    {"SMALLER", Kind::kSmaller, false, Argument::kNumber},
    {"SUBJECT", Kind::kSubject, false, Argument::kText},
    {"TEXT", Kind::kText, false, Argument::kText},
    {"TO", Kind::kTo, false, Argument::kText},
    {"UNANSWERED", Kind::kAnswered, true, Argument::kNone},
    {"UNDELETED", Kind::kDeleted, true, Argument::kNone},
    {"UNDRAFT", Kind::kDraft, true, Argument::kNone},
    {"UNFLAGGED", Kind::kFlagged, true, Argument::kNone},
    {"UNKEYWORD", Kind::kKeyword, true, Argument::kKeyword},
    {"UNSEEN", Kind::kSeen, true, Argument::kNone},
    {"YOUNGER", Kind::kYounger, false, Argument::kNonZero},
});

class KeyParser {
  public:
    explicit KeyParser(Lexer& in) : in_(in) {}

    // search-key *(SP search-key), until ")" or the end.
    Expected<SearchKey> keys(int depth) {
        SearchKey all;
        all.kind = Kind::kAnd;
        for (;;) {
            auto next = key(depth);
            if (!next) return next;
            all.children.push_back(std::move(*next));
            if (in_.at_end() || in_.peek() == ')') return all;
            auto space = in_.space();
            if (!space) return fail(space.error());
            if (in_.at_end() || in_.peek() == ')') return all;
        }
    }

  private:
    Expected<SearchKey> key(int depth) {
        if (depth > kMaxSearchDepth) return fail(0, "search keys are nested too deeply");
        if (++count_ > kMaxSearchKeys) return fail(0, "too many search keys");
        SearchKey out;
        if (in_.eat('(')) {
            auto group = keys(depth + 1);
            if (!group) return group;
            auto close = in_.expect(')');
            if (!close) return fail(close.error());
            return group;
        }
        char c = in_.peek();
        if (c == '*' || c == '$' || (c >= '0' && c <= '9')) {
            auto set = in_.sequence_set();
            if (!set) return fail(set.error());
            out.kind = Kind::kSequence;
            out.set = std::move(*set);
            return out;
        }
        std::string name = to_upper(in_.word());
        if (name == "NOT") {
            auto inner = argument_key(depth);
            if (inner) inner->negate = !inner->negate;
            return inner;
        }
        if (name == "OR") {
            out.kind = Kind::kOr;
            for (int i = 0; i < 2; ++i) {
                auto side = argument_key(depth);
                if (!side) return side;
                out.children.push_back(std::move(*side));
            }
            return out;
        }
        if (name == "NEW") {   // RFC 3501 §6.4.4: RECENT UNSEEN
            out.kind = Kind::kAnd;
            out.children.resize(2);
            out.children[0].kind = Kind::kRecent;
            out.children[1].kind = Kind::kSeen;
            out.children[1].negate = true;
            return out;
        }
        if (name == "UID") {
            auto space = in_.space();
            if (!space) return fail(space.error());
            auto set = in_.sequence_set();
            if (!set) return fail(set.error());
            out.kind = Kind::kUid;
            out.set = std::move(*set);
            return out;
        }
        if (name == "HEADER") {
            out.kind = Kind::kHeader;
            auto field = argument_text();
            if (!field) return fail(field.error());
            out.header = std::move(*field);
            auto text = argument_text();
            if (!text) return fail(text.error());
            out.text = std::move(*text);
            return out;
        }
        if (name == "MODSEQ") return modseq();
        for (const KeyWord& known : kKeyWords) {
            if (name == known.name) return simple(known);
        }
        return fail(0, name.empty() ? "expected a search key" : "Unknown argument " + name);
    }

    Expected<SearchKey> argument_key(int depth) {
        auto space = in_.space();
        if (!space) return fail(space.error());
        return key(depth + 1);
    }

    Expected<std::string> argument_text() {
        auto space = in_.space();
        if (!space) return fail(space.error());
        return in_.astring();
    }

    Expected<SearchKey> simple(const KeyWord& known) {
        SearchKey out;
        out.kind = known.kind;
        out.negate = known.negate;
        if (known.argument == Argument::kNone) return out;
        if (known.argument == Argument::kNumber || known.argument == Argument::kNonZero) {
            auto space = in_.space();
            if (!space) return fail(space.error());
            auto number = in_.number64();   // sizes too: RFC 9051 §9
            if (!number) return fail(number.error());
            if (known.argument == Argument::kNonZero && *number == 0) return fail(0, "expected a non-zero number");
            out.number = *number;
            return out;
        }
        auto text = argument_text();
        if (!text) return fail(text.error());
        if (known.argument == Argument::kDate) {
            auto date = parse_date(*text);
            if (!date) return fail(date.error());
            out.date = *date;
        } else {
            out.text = std::move(*text);
        }
        return out;
    }

    // RFC 7162 §3.1.5: "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer; entry names are advisory.
    Expected<SearchKey> modseq() {
        SearchKey out;
        out.kind = Kind::kModSeq;
        auto space = in_.space();
        if (!space) return fail(space.error());
        if (in_.peek() == '"') {
            auto entry = in_.string();
            if (!entry) return fail(entry.error());
            space = in_.space();
            if (!space) return fail(space.error());
            if (!in_.eat_word("priv") && !in_.eat_word("shared") && !in_.eat_word("all"))
                return fail(0, "expected priv, shared or all");
            space = in_.space();
            if (!space) return fail(space.error());
        }
        auto number = in_.number64();
        if (!number) return fail(number.error());
        out.number = *number;
        return out;
    }

    Lexer& in_;
    size_t count_ = 0;
};

Expected<SearchReturn> parse_return(Lexer& in) {
    SearchReturn out;
    auto space = in.space();
    if (!space) return fail(space.error());
    auto open = in.expect('(');
    if (!open) return fail(open.error());
    while (!in.eat(')')) {
        if (in.eat_word("MIN"))
            out.min = true;
        else if (in.eat_word("MAX"))
            out.max = true;
        else if (in.eat_word("ALL"))
            out.all = true;
        else if (in.eat_word("COUNT"))
            out.count = true;
        else if (in.eat_word("SAVE"))
            out.save = true;
        else
            return fail(0, "expected MIN, MAX, ALL, COUNT or SAVE in RETURN");
        if (in.peek() != ')' && !in.eat(' ')) return fail(0, "expected \")\" after the RETURN options");
    }
    if (!out.any()) out.all = true;   // RFC 4731 §3.1
    return out;
}

Expected<std::string> parse_charset(Lexer& in) {
    auto charset = in.astring();
    if (!charset) return fail(0, "expected a charset");
    return to_upper(*charset);
}

Expected<void> parse_keys(Lexer& in, Search& search) {
    KeyParser parser(in);
    auto key = parser.keys(0);
    if (!key) return fail(key.error());
    search.key = std::move(*key);
    return in.end();
}

// "SORT" SP "(" ... ")" SP charset SP keys; "THREAD" SP algorithm SP charset SP keys: the common tail.
Expected<void> parse_charset_and_keys(Lexer& in, Search& search) {
    auto space = in.space();
    if (!space) return space;
    auto charset = parse_charset(in);
    if (!charset) return fail(charset.error());
    search.charset = std::move(*charset);
    space = in.space();
    if (!space) return space;
    return parse_keys(in, search);
}

Expected<SortOrder> parse_order(Lexer& in) {
    SortOrder order;
    if (in.eat_word("REVERSE")) {
        order.reverse = true;
        auto space = in.space();
        if (!space) return fail(space.error());
    }
    using Field = SortOrder::Field;
    if (in.eat_word("ARRIVAL"))
        order.field = Field::kArrival;
    else if (in.eat_word("CC"))
        order.field = Field::kCc;
    else if (in.eat_word("DATE"))
        order.field = Field::kDate;
    else if (in.eat_word("FROM"))
        order.field = Field::kFrom;
    else if (in.eat_word("SIZE"))
        order.field = Field::kSize;
    else if (in.eat_word("SUBJECT"))
        order.field = Field::kSubject;
    else if (in.eat_word("TO"))
        order.field = Field::kTo;
    else
        return fail(0, "expected a sort key ARRIVAL, CC, DATE, FROM, SIZE, SUBJECT or TO");
    return order;
}

}   // namespace

Expected<Search> parse_search(Lexer& in, bool uid) {
    Search search;
    search.uid = uid;
    if (in.eat_word("RETURN")) {
        auto result = parse_return(in);
        if (!result) return fail(result.error());
        search.result = *result;
        auto space = in.space();
        if (!space) return fail(space.error());
    }
    if (in.eat_word("CHARSET")) {
        auto space = in.space();
        if (!space) return fail(space.error());
        auto charset = parse_charset(in);
        if (!charset) return fail(charset.error());
        search.charset = std::move(*charset);
        space = in.space();
        if (!space) return fail(space.error());
    }
    auto keys = parse_keys(in, search);
    if (!keys) return fail(keys.error());
    return search;
}

Expected<Sort> parse_sort(Lexer& in, bool uid) {
    Sort sort;
    sort.search.uid = uid;
    auto open = in.expect('(');
    if (!open) return fail(open.error());
    do {
        auto order = parse_order(in);
        if (!order) return fail(order.error());
        if (sort.order.size() == 32) return fail(0, "too many sort keys");
        sort.order.push_back(*order);
    } while (in.eat(' '));
    auto close = in.expect(')');
    if (!close) return fail(close.error());
    auto rest = parse_charset_and_keys(in, sort.search);
    if (!rest) return fail(rest.error());
    return sort;
}

Expected<Thread> parse_thread(Lexer& in, bool uid) {
    Thread thread;
    thread.search.uid = uid;
    if (in.eat_word("ORDEREDSUBJECT"))
        thread.algorithm = Thread::Algorithm::kOrderedSubject;
    else if (in.eat_word("REFERENCES"))
        thread.algorithm = Thread::Algorithm::kReferences;
    else if (in.eat_word("REFS"))
        thread.algorithm = Thread::Algorithm::kRefs;
    else
        return fail(0, "expected a thread algorithm ORDEREDSUBJECT, REFERENCES or REFS");
    auto rest = parse_charset_and_keys(in, thread.search);
    if (!rest) return fail(rest.error());
    return thread;
}

bool uses_modseq(const SearchKey& key) {
    if (key.kind == SearchKey::Kind::kModSeq) return true;
    for (const auto& child : key.children) {
        if (uses_modseq(child)) return true;
    }
    return false;
}

}   // namespace postcot::imap

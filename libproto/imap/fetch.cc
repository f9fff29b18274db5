#include "libproto/imap/fetch.h"

#include "libproto/imap/response.h"
#include "libproto/imap/text.h"

namespace postcot::imap {

namespace {

using Kind = FetchItem::Kind;

FetchItem simple(Kind kind, std::string_view label) {
    FetchItem item;
    item.kind = kind;
    item.label = label;
    return item;
}

FetchItem old_name(Kind kind, mime::Section::Kind section, bool peek, std::string_view label) {
    FetchItem item = simple(kind, label);
    item.section.kind = section;
    item.peek = peek;
    return item;
}

// header-list = "(" header-fld-name *(SP header-fld-name) ")"
Expected<void> parse_header_list(Lexer& in, FetchItem& item) {
    auto space = in.space();
    if (!space) return space;
    auto open = in.expect('(');
    if (!open) return open;
    item.label += " (";
    for (;;) {
        auto name = in.astring();
        if (!name) return fail(0, "expected a header field name");
        if (item.section.fields.size() == kMaxFetchItems) return fail(0, "too many header field names");
        if (!item.section.fields.empty()) item.label += ' ';
        append_astring(item.label, to_upper(*name));
        item.section.fields.push_back(std::move(*name));
        if (in.eat(')')) break;
        space = in.space();
        if (!space) return space;
    }
    item.label += ')';
    return {};
}

// section = "[" [section-spec] "]"; `in` is after the "[".
Expected<void> parse_section(Lexer& in, FetchItem& item) {
    auto& section = item.section;
    bool need_text = false;
    while (in.peek() >= '0' && in.peek() <= '9') {
        auto number = in.nz_number();
        if (!number) return fail(0, "expected a non-zero part number");
        if (section.part.size() == 64) return fail(0, "section has too many part numbers");
        if (!section.part.empty()) item.label += '.';
        append_number(item.label, *number);
        section.part.push_back(*number);
        need_text = in.eat('.');
        if (!need_text) break;
    }
    if (in.eat(']')) {
        if (need_text) return fail(0, "expected a part number or HEADER, TEXT or MIME after \".\"");
        item.label += ']';
        return {};
    }
    if (!section.part.empty()) {
        if (!need_text) return fail(0, "expected \".\" or \"]\" after a part number");
        item.label += '.';
    }
    std::string word = to_upper(in.word());
    item.label += word;
    if (word == "HEADER")
        section.kind = mime::Section::Kind::kHeader;
    else if (word == "TEXT")
        section.kind = mime::Section::Kind::kText;
    else if (word == "MIME" && !section.part.empty())
        section.kind = mime::Section::Kind::kMime;
    else if (word == "HEADER.FIELDS")
        section.kind = mime::Section::Kind::kHeaderFields;
    else if (word == "HEADER.FIELDS.NOT")
        section.kind = mime::Section::Kind::kHeaderFieldsNot;
    else
        return fail(0, "expected HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME or a part number in the section");
    if (section.kind == mime::Section::Kind::kHeaderFields || section.kind == mime::Section::Kind::kHeaderFieldsNot) {
        auto list = parse_header_list(in, item);
        if (!list) return list;
    }
    item.label += ']';
    return in.expect(']');
}

// "<" number "." nz-number ">"; the response names the offset only.
Expected<void> parse_partial(Lexer& in, FetchItem& item) {
    if (!in.eat('<')) return {};
    auto offset = in.number64();
    if (!offset) return fail(offset.error());
    item.partial = FetchItem::Partial{*offset, UINT64_MAX};   // "<offset>" is Dovecot's: up to the end
    if (in.eat('.')) {
        auto length = in.number64();
        if (!length || *length == 0) return fail(0, "expected a non-zero length in <offset.length>");
        item.partial->length = *length;
    }
    item.label += '<';
    append_number(item.label, *offset);
    item.label += '>';
    return in.expect('>');
}

// RFC 3516 §4: section-binary = "[" [section-part] "]"; `in` is after the "[".
Expected<void> parse_binary_section(Lexer& in, FetchItem& item) {
    item.section.decoded = true;
    while (!in.eat(']')) {
        if (!item.section.part.empty()) {
            auto dot = in.expect('.');
            if (!dot) return dot;
            item.label += '.';
        }
        auto number = in.nz_number();
        if (!number) return fail(0, "expected a part number");
        if (item.section.part.size() == 64) return fail(0, "section has too many part numbers");
        append_number(item.label, *number);
        item.section.part.push_back(*number);
    }
    item.label += ']';
    return {};
}

// RFC 8970 §3.1: "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]. Previews are always at hand: LAZY changes nothing.
Expected<void> parse_preview_modifiers(Lexer& in) {
    if (!in.rest().starts_with(" (")) return {};
    in.eat(' ');
    in.eat('(');
    do {
        if (!in.eat_word("LAZY")) return fail(0, "Unknown PREVIEW modifier " + to_upper(in.word()));
    } while (in.eat_spaces());
    return in.expect(')');
}

// The name up to "[", " ", ")" or the end.
std::string_view take_name(Lexer& in) {
    std::string_view rest = in.rest();
    size_t n = 0;
    while (n < rest.size() && is_atom_char(rest[n]) && rest[n] != '[') ++n;
    for (size_t i = 0; i < n; ++i) in.eat(rest[i]);
    return rest.substr(0, n);
}

Expected<void> parse_item(Lexer& in, std::vector<FetchItem>& items, bool alone) {
    std::string name = to_upper(take_name(in));
    if ((name == "BODY" || name == "BODY.PEEK") && in.eat('[')) {
        FetchItem item = simple(Kind::kSection, "BODY[");
        item.peek = name == "BODY.PEEK";
        auto section = parse_section(in, item);
        if (!section) return section;
        auto partial = parse_partial(in, item);
        if (!partial) return partial;
        items.push_back(std::move(item));
        return {};
    }
    if ((name == "BINARY" || name == "BINARY.PEEK" || name == "BINARY.SIZE") && in.eat('[')) {
        bool size = name == "BINARY.SIZE";
        FetchItem item = simple(size ? Kind::kBinarySize : Kind::kSection, size ? "BINARY.SIZE[" : "BINARY[");
        item.peek = name != "BINARY";
        auto section = parse_binary_section(in, item);
        if (!section) return section;
        if (!size) {
            auto partial = parse_partial(in, item);
            if (!partial) return partial;
        }
        items.push_back(std::move(item));
        return {};
    }
    auto add = [&](Kind kind) { items.push_back(simple(kind, name)); };
    if (name == "UID")
        add(Kind::kUid);
    else if (name == "FLAGS")
        add(Kind::kFlags);
    else if (name == "INTERNALDATE")
        add(Kind::kInternalDate);
    else if (name == "RFC822.SIZE")
        add(Kind::kRfc822Size);
    else if (name == "ENVELOPE")
        add(Kind::kEnvelope);
    else if (name == "BODYSTRUCTURE")
        add(Kind::kBodyStructure);
    else if (name == "BODY")
        add(Kind::kBody);
    else if (name == "MODSEQ")
        add(Kind::kModSeq);
    else if (name == "SAVEDATE")
        add(Kind::kSaveDate);
    else if (name == "PREVIEW") {
        add(Kind::kPreview);
        return parse_preview_modifiers(in);
    } else if (name == "RFC822")
        items.push_back(old_name(Kind::kRfc822, mime::Section::Kind::kAll, false, name));
    else if (name == "RFC822.HEADER")
        items.push_back(old_name(Kind::kRfc822Header, mime::Section::Kind::kHeader, true, name));
    else if (name == "RFC822.TEXT")
        items.push_back(old_name(Kind::kRfc822Text, mime::Section::Kind::kText, false, name));
    else if (alone && (name == "ALL" || name == "FAST" || name == "FULL")) {
        items.push_back(simple(Kind::kFlags, "FLAGS"));
        items.push_back(simple(Kind::kInternalDate, "INTERNALDATE"));
        items.push_back(simple(Kind::kRfc822Size, "RFC822.SIZE"));
        if (name != "FAST") items.push_back(simple(Kind::kEnvelope, "ENVELOPE"));
        if (name == "FULL") items.push_back(simple(Kind::kBody, "BODY"));
    } else {
        return fail(0, name.empty() ? "expected a message data item" : "Unknown parameter " + name);
    }
    return {};
}

// RFC 4466 §2.4, RFC 7162 §3.1.4.1 and §3.2.6: fetch-modifiers.
Expected<void> parse_modifiers(Lexer& in, Fetch& fetch) {
    if (in.rest().find_first_not_of(' ') == std::string_view::npos) return {};
    auto space = in.space();
    if (!space) return space;
    auto open = in.expect('(');
    if (!open) return open;
    do {
        if (in.eat_word("CHANGEDSINCE")) {
            space = in.space();
            if (!space) return space;
            auto since = in.number64();
            if (!since) return fail(since.error());
            fetch.changed_since = *since;
        } else if (in.eat_word("VANISHED")) {
            fetch.vanished = true;
        } else {
            return fail(0, "Unknown FETCH modifier " + to_upper(in.word()));
        }
    } while (in.eat_spaces());
    if (fetch.vanished && !(fetch.uid && fetch.changed_since))
        return fail(0, "VANISHED is for UID FETCH with CHANGEDSINCE");
    return in.expect(')');
}

}   // namespace

Expected<Fetch> parse_fetch(Lexer& in, bool uid) {
    Fetch fetch;
    fetch.uid = uid;
    auto set = in.sequence_set();
    if (!set) return fail(set.error());
    fetch.set = std::move(*set);
    auto space = in.space();
    if (!space) return fail(space.error());
    if (in.eat('(')) {
        in.eat_spaces();
        do {
            auto item = parse_item(in, fetch.items, false);
            if (!item) return fail(item.error());
            if (fetch.items.size() > kMaxFetchItems) return fail(0, "too many message data items");
        } while (in.eat_spaces() && in.peek() != ')');
        auto close = in.expect(')');
        if (!close) return fail(close.error());
    } else {
        auto item = parse_item(in, fetch.items, true);
        if (!item) return fail(item.error());
    }
    auto modifiers = parse_modifiers(in, fetch);
    if (!modifiers) return fail(modifiers.error());
    auto end = in.end();
    if (!end) return fail(end.error());
    return fetch;
}

}   // namespace postcot::imap

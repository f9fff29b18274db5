#include "libproto/mime/envelope.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "libproto/mime/encoded_word.h"

namespace postcot::mime {

namespace {
constexpr size_t kMaxSubject = 64 * 1024;
}

void append_nstring(std::string& out, std::string_view text) {
    bool literal = text.size() > 4096;
    for (char c : text) {
        auto u = static_cast<unsigned char>(c);
        if (u >= 0x80 || u == '\r' || u == '\n' || u == 0 || u == '"' || u == '\\') {
            literal = true;
            break;
        }
    }
    if (!literal) {
        out += '"';
        out += text;
        out += '"';
        return;
    }
    // RFC 3501: a literal holds no NUL.
    std::string clean;
    if (text.find('\0') != std::string_view::npos) {
        for (char c : text)
            if (c != '\0') clean += c;
        text = clean;
    }
    out += fmt::format("{{{}}}\r\n", text.size());
    out += text;
}

namespace {

void append_text(std::string& out, bool present, std::string_view text) {
    if (present) {
        append_nstring(out, text);
    } else {
        out += "NIL";
    }
}

void append_addresses(std::string& out, const std::vector<Address>& list) {
    if (list.empty()) {
        out += "NIL";
        return;
    }
    out += '(';
    for (const Address& a : list) {
        if (a.kind == Address::Kind::kGroupEnd) {
            out += "(NIL NIL NIL NIL)";
            continue;
        }
        out += '(';
        append_text(out, !a.name.empty(), a.name);
        out += ' ';
        append_text(out, !a.route.empty(), a.route);
        out += ' ';
        if (a.kind == Address::Kind::kGroupStart) {
            append_nstring(out, a.mailbox);
            out += " NIL)";
            continue;
        }
        append_nstring(out, a.mailbox.empty() ? std::string_view("MISSING_MAILBOX") : a.mailbox);
        out += ' ';
        append_nstring(out, a.host.empty() ? std::string_view("MISSING_DOMAIN") : a.host);
        out += ')';
    }
    out += ')';
}

}   // namespace

Envelope envelope_of(const std::vector<Field>& fields) {
    Envelope e;
    auto addresses = [&](std::string_view name) {
        std::vector<Address> all;
        for (const Field& f : fields) {
            if (!iequals(f.name, name)) continue;
            auto some = parse_addresses(f.value);
            all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
            if (all.size() > kMaxAddresses) break;
        }
        return all;
    };
    auto text = [&](std::string_view name, std::string& value, bool& has) {
        if (const Field* f = find_field(fields, name)) {
            has = true;
            value = unfold(f->value);
        }
    };
    text("Date", e.date, e.has_date);
    text("Subject", e.subject, e.has_subject);
    // As Dovecot shows it: where it was folded, and elsewhere, white space is one space.
    auto space = [](char c) { return c == ' ' || c == '\t'; };
    std::replace(e.subject.begin(), e.subject.end(), '\t', ' ');
    e.subject.erase(
        std::unique(e.subject.begin(), e.subject.end(), [&](char a, char b) { return space(a) && space(b); }),
        e.subject.end());
    text("In-Reply-To", e.in_reply_to, e.has_in_reply_to);
    text("Message-ID", e.message_id, e.has_message_id);
    e.from = addresses("From");
    e.sender = addresses("Sender");
    e.reply_to = addresses("Reply-To");
    e.to = addresses("To");
    e.cc = addresses("Cc");
    e.bcc = addresses("Bcc");
    if (e.sender.empty()) e.sender = e.from;
    if (e.reply_to.empty()) e.reply_to = e.from;
    return e;
}

void append_imap(std::string& out, const Envelope& e) {
    out += '(';
    append_text(out, e.has_date, e.date);
    out += ' ';
    append_text(out, e.has_subject, e.subject);
    for (const auto* list : {&e.from, &e.sender, &e.reply_to, &e.to, &e.cc, &e.bcc}) {
        out += ' ';
        append_addresses(out, *list);
    }
    out += ' ';
    append_text(out, e.has_in_reply_to, e.in_reply_to);
    out += ' ';
    append_text(out, e.has_message_id, e.message_id);
    out += ')';
}

std::string base_subject(std::string_view raw_subject, bool* is_reply_or_forward) {
    // A megabyte of "[a][a][a]" is looked at a hundred times over.
    std::string decoded = decode_header(raw_subject.substr(0, kMaxSubject));
    std::string text;   // RFC 5256 §2.1 (1)
    for (char c : decoded) {
        if (c == '\t') c = ' ';
        if (c == ' ' && (text.empty() || text.back() == ' ')) continue;
        text += c;
    }
    bool reply = false;
    std::string_view s = text;
    auto skip_spaces = [](std::string_view& v) {
        while (!v.empty() && v.front() == ' ') v.remove_prefix(1);
    };
    // subj-blob = "[" *BLOBCHAR "]" *WSP
    auto blob = [&](std::string_view v) -> std::optional<std::string_view> {
        if (v.empty() || v.front() != '[') return std::nullopt;
        size_t end = v.find_first_of("[]", 1);
        if (end == std::string_view::npos || v[end] != ']') return std::nullopt;
        v.remove_prefix(end + 1);
        skip_spaces(v);
        return v;
    };
    // subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
    auto refwd = [&](std::string_view v) -> std::optional<std::string_view> {
        if (iequals(v.substr(0, 3), "fwd")) {
            v.remove_prefix(3);
        } else if (iequals(v.substr(0, 2), "re") || iequals(v.substr(0, 2), "fw")) {
            v.remove_prefix(2);
        } else {
            return std::nullopt;
        }
        skip_spaces(v);
        if (auto after = blob(v)) v = *after;
        if (v.empty() || v.front() != ':') return std::nullopt;
        v.remove_prefix(1);
        return v;
    };
    for (;;) {
        for (;;) {   // (2) trailer
            while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
            if (s.size() >= 5 && iequals(s.substr(s.size() - 5), "(fwd)")) {
                s.remove_suffix(5);
                reply = true;
            } else {
                break;
            }
        }
        for (bool again = true; again;) {
            again = false;
            for (;;) {   // (3) leader
                std::string_view v = s;
                skip_spaces(v);
                std::string_view after_spaces = v;
                int blobs = 0;
                while (blobs < 100) {
                    auto after = blob(v);
                    if (!after) break;
                    v = *after;
                    ++blobs;
                }
                if (auto after = refwd(v)) {
                    s = *after;
                    reply = true;
                    continue;
                }
                s = after_spaces;
                break;
            }
            if (auto after = blob(s); after && !after->empty()) {   // (4)
                s = *after;
                again = true;
            }
        }
        if (s.size() >= 6 && iequals(s.substr(0, 5), "[fwd:") && s.back() == ']') {   // (6)
            s.remove_prefix(5);
            s.remove_suffix(1);
            reply = true;
            continue;
        }
        break;
    }
    if (is_reply_or_forward) *is_reply_or_forward = reply;
    return std::string(s);
}

std::vector<std::string> message_ids(std::string_view value, size_t max) {
    std::vector<std::string> ids;
    while (ids.size() < max) {
        size_t open = value.find('<');
        if (open == std::string_view::npos) break;
        size_t close = value.find('>', open);
        if (close == std::string_view::npos) break;
        std::string id;
        for (char c : value.substr(open + 1, close - open - 1)) {
            if (c == '<') {
                id.clear();
            } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '"' && c != '\\' && c != '\0') {
                id += c;
            }
        }
        if (id.size() > 1000) id.resize(1000);
        if (!id.empty()) ids.push_back(std::move(id));
        value.remove_prefix(close + 1);
    }
    return ids;
}

}   // namespace postcot::mime

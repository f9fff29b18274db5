// SEARCH. Each message is decided with as little as possible: first from memory (flags, numbers, dates, sizes), then from the cached header fields, and
// only what is still open from its file.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <map>

#include "libmaildir/parallel.h"
#include "libmaildir/view.h"
#include "libproto/mime/charset.h"
#include "libproto/mime/encoded_word.h"
#include "libproto/mime/message.h"

namespace postcot::maildir {

namespace {

enum class Verdict : uint8_t { kNo, kYes, kOpen };
enum class Level { kMemory, kHead, kFile };

using Kind = SearchKey::Kind;

struct Compiled {
    const SearchKey* key = nullptr;
    std::string needle;        // casemapped
    std::string spaced;        // of BODY and TEXT, for the header fields in them
    std::string_view header;   // field looked at
    uint32_t keyword = 0;
    int cost = 0;
    std::vector<Compiled> children;
};

constexpr int kMaxDepth = 100;

// As Dovecot compares header fields: folding and other runs of white space count as one space.
std::string one_spaced(std::string text) {
    size_t kept = 0;
    for (char c : text) {
        bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (space && kept > 0 && text[kept - 1] == ' ') continue;
        text[kept++] = space ? ' ' : c;
    }
    text.resize(kept);
    return text;
}

std::string header_needle(const std::string& text) { return one_spaced(mime::casemap(text)); }
std::string header_value(std::string_view raw) { return one_spaced(mime::casemap(mime::decode_header(raw))); }

std::string_view field_of(const SearchKey& key) {
    switch (key.kind) {
        case Kind::kBcc: return "Bcc";
        case Kind::kCc: return "Cc";
        case Kind::kFrom: return "From";
        case Kind::kTo: return "To";
        case Kind::kSubject: return "Subject";
        default: return key.header;
    }
}

Compiled compile(const SearchKey& key, const std::vector<std::string>& keywords, int depth) {
    Compiled out;
    out.key = &key;
    switch (key.kind) {
        case Kind::kKeyword:
            for (size_t i = 0; i < keywords.size(); ++i)
                if (mime::iequals(keywords[i], key.text)) out.keyword = 1U << i;
            break;
        case Kind::kBcc:
        case Kind::kCc:
        case Kind::kFrom:
        case Kind::kTo:
        case Kind::kSubject:
        case Kind::kHeader:
            out.header = field_of(key);
            out.needle = header_needle(key.text);
            out.cost = 3;
            break;
        case Kind::kSentBefore:
        case Kind::kSentOn:
        case Kind::kSentSince: out.cost = 2; break;
        case Kind::kBody:
        case Kind::kText:
            out.needle = mime::casemap(key.text);
            out.spaced = one_spaced(out.needle);
            out.cost = 4;
            break;
        case Kind::kBefore:
        case Kind::kOn:
        case Kind::kSince:
        case Kind::kSavedBefore:
        case Kind::kSavedOn:
        case Kind::kSavedSince:
        case Kind::kLarger:
        case Kind::kSmaller:
        case Kind::kOlder:
        case Kind::kYounger: out.cost = 1; break;
        default: break;
    }
    if (depth < kMaxDepth)
        for (const SearchKey& child : key.children) out.children.push_back(compile(child, keywords, depth + 1));
    // The cheap ones first: they may settle it.
    std::stable_sort(out.children.begin(), out.children.end(),
                     [](const Compiled& a, const Compiled& b) { return a.cost < b.cost; });
    for (const Compiled& child : out.children) out.cost = std::max(out.cost, child.cost);
    return out;
}

bool found_in(std::string_view casemapped, std::string_view needle) {
    return needle.empty() || ::memmem(casemapped.data(), casemapped.size(), needle.data(), needle.size()) != nullptr;
}

bool field_matches(std::string_view header, const Compiled& key) {
    for (const mime::Field& field : mime::parse_fields(header)) {
        if (!mime::iequals(field.name, key.header)) continue;
        if (key.needle.empty() || found_in(header_value(field.value), key.needle)) return true;
    }
    return false;
}

bool header_text_matches(std::string_view header, const std::string& needle) {
    size_t at = 0;
    auto between = [&](size_t end) {   // lines that are no field, and fields past what is parsed
        return at < end && found_in(one_spaced(mime::casemap(header.substr(at, end - at))), needle);
    };
    for (const mime::Field& field : mime::parse_fields(header)) {
        if (between(field.begin)) return true;
        at = field.end;
        std::string line = mime::casemap(field.name);
        line += ": ";
        line += header_value(field.value);
        if (found_in(line, needle)) return true;
    }
    return between(header.size());
}

// `all_headers`: TEXT looks at the headers of parts too; to BODY only that of an enclosed message is body.
bool body_matches(std::string_view text, const mime::Part& part, const Compiled& key, bool all_headers) {
    for (const mime::Part& child : part.children) {
        if ((all_headers || part.is_message()) &&
            header_text_matches(text.substr(child.begin, child.body - child.begin), key.spaced))
            return true;
        if (body_matches(text, child, key, all_headers)) return true;
    }
    // As Dovecot: message/delivery-status and its like are text; a letter in the letter was looked at as such.
    if (!part.children.empty() || (part.type != "text" && part.type != "message")) return false;
    return found_in(mime::casemap(mime::text_of(text, part)), key.needle);
}

int64_t day_of(int64_t seconds, int64_t zone_seconds) {
    int64_t local = seconds + zone_seconds;
    return local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
}

// RFC 3501: internal dates are compared in the server's own zone.
int64_t server_day(int64_t seconds) {
    std::time_t t = seconds;
    std::tm local{};
    ::localtime_r(&t, &local);
    return day_of(seconds, local.tm_gmtoff);
}

struct Subject {
    View& view;
    size_t index;
    Level level;
    std::string_view head;   // from kHead on
    std::string_view text;   // kFile
    const mime::Part* root = nullptr;
    int64_t now;
};

Verdict is(bool yes) { return yes ? Verdict::kYes : Verdict::kNo; }

Verdict decide(const Compiled& compiled, const Subject& s);

Verdict decide_one(const Compiled& compiled, const Subject& s) {
    const SearchKey& key = *compiled.key;
    switch (key.kind) {
        case Kind::kAll: return Verdict::kYes;
        case Kind::kAnd: {
            bool open = false;
            for (const Compiled& child : compiled.children) {
                Verdict v = decide(child, s);
                if (v == Verdict::kNo) return v;
                open = open || v == Verdict::kOpen;
            }
            return open ? Verdict::kOpen : Verdict::kYes;
        }
        case Kind::kOr: {
            bool open = false;
            for (const Compiled& child : compiled.children) {
                Verdict v = decide(child, s);
                if (v == Verdict::kYes) return v;
                open = open || v == Verdict::kOpen;
            }
            return open ? Verdict::kOpen : Verdict::kNo;
        }
        case Kind::kSequence: return is(contains(key.numbers, static_cast<uint32_t>(s.index + 1)));
        case Kind::kUid: return is(contains(key.numbers, s.view.uid_at(s.index)));
        case Kind::kFlag: return is(s.view.flags_at(s.index).has(key.flag));
        case Kind::kKeyword: return is((s.view.flags_at(s.index).keywords & compiled.keyword) != 0);
        case Kind::kRecent: return is(s.view.recent_at(s.index));
        case Kind::kModSeq: return is(s.view.modseq_at(s.index).value >= key.number);
        case Kind::kBefore: return is(server_day(s.view.date_at(s.index).seconds) < key.day);
        case Kind::kOn: return is(server_day(s.view.date_at(s.index).seconds) == key.day);
        case Kind::kSince: return is(server_day(s.view.date_at(s.index).seconds) >= key.day);
        case Kind::kOlder: return is(s.view.date_at(s.index).seconds <= s.now - static_cast<int64_t>(key.number));
        case Kind::kYounger: return is(s.view.date_at(s.index).seconds >= s.now - static_cast<int64_t>(key.number));
        case Kind::kLarger: {
            auto size = s.view.size_at(s.index);
            return is(size && *size > key.number);
        }
        case Kind::kSmaller: {
            auto size = s.view.size_at(s.index);
            return is(size && *size < key.number);
        }
        case Kind::kSavedBefore:
        case Kind::kSavedOn:
        case Kind::kSavedSince: {
            auto date = s.view.save_date_at(s.index);
            if (!date) return Verdict::kNo;
            int64_t day = server_day(date->seconds);
            return is(key.kind == Kind::kSavedBefore ? day < key.day
                      : key.kind == Kind::kSavedOn   ? day == key.day
                                                     : day >= key.day);
        }
        case Kind::kSentBefore:
        case Kind::kSentOn:
        case Kind::kSentSince: {
            if (s.level == Level::kMemory) return Verdict::kOpen;
            HeadStart start = head_start(s.head);
            // Dovecot: a message without a usable Date: was sent at the beginning of time.
            int64_t day = start.has_date ? day_of(start.sent, start.zone_minutes * 60) : 0;
            return is(key.kind == Kind::kSentBefore ? day < key.day
                      : key.kind == Kind::kSentOn   ? day == key.day
                                                    : day >= key.day);
        }
        case Kind::kBcc:
        case Kind::kCc:
        case Kind::kFrom:
        case Kind::kTo:
        case Kind::kSubject:
        case Kind::kHeader:
            if (s.level == Level::kMemory) return Verdict::kOpen;
            if (s.level == Level::kFile) return is(field_matches(s.text.substr(0, s.root->body), compiled));
            if (!field_is_cached(compiled.header) || !head_start(s.head).complete) return Verdict::kOpen;
            return is(field_matches(head_fields(s.head), compiled));
        case Kind::kBody:
            if (s.level != Level::kFile) return Verdict::kOpen;
            return is(body_matches(s.text, *s.root, compiled, false));
        case Kind::kText:
            if (s.level != Level::kFile) return Verdict::kOpen;
            return is(header_text_matches(s.text.substr(0, s.root->body), compiled.spaced) ||
                      body_matches(s.text, *s.root, compiled, true));
    }
    return Verdict::kNo;
}

Verdict decide(const Compiled& compiled, const Subject& s) {
    Verdict v = decide_one(compiled, s);
    if (compiled.key->negate && v != Verdict::kOpen) v = is(v == Verdict::kNo);
    return v;
}

}   // namespace

Expected<std::vector<SeqNum>> run_search(View& view, const SearchKey& key) {
    Compiled compiled = compile(key, view.keywords(), 0);
    std::vector<SeqNum> hits, open, in_files;
    Subject subject{view, 0, Level::kMemory, {}, {}, nullptr, std::time(nullptr)};
    for (size_t i = 0; i < view.size(); ++i) {
        subject.index = i;
        Verdict v = decide(compiled, subject);
        SeqNum seq{static_cast<uint32_t>(i + 1)};
        if (v == Verdict::kYes) hits.push_back(seq);
        if (v == Verdict::kOpen) open.push_back(seq);
    }
    if (!open.empty()) {
        size_t settled = hits.size();
        subject.level = Level::kHead;
        // A search of bodies alone learns nothing from the header fields.
        bool heads_help = compiled.key->kind != Kind::kBody && compiled.key->kind != Kind::kText;
        if (heads_help) {
            auto done = view.each_head(open, [&](SeqNum seq, std::string_view head) {
                if (head.empty()) return;   // gone
                subject.index = seq.value - 1;
                subject.head = head;
                Verdict v = decide(compiled, subject);
                if (v == Verdict::kYes) hits.push_back(seq);
                if (v == Verdict::kOpen) in_files.push_back(seq);
            });
            if (!done) return fail(done.error());
            std::sort(in_files.begin(), in_files.end());
        } else {
            in_files = std::move(open);
        }
        // Files in parallel, a bounded number at a time; the view itself is not touched by the threads, so what they need of it is fetched first.
        constexpr size_t kChunk = 1024;
        std::vector<uint8_t> yes;
        for (size_t begin = 0; begin < in_files.size(); begin += kChunk) {
            size_t count = std::min(kChunk, in_files.size() - begin);
            std::vector<std::string> paths(count), heads(count);
            for (size_t i = 0; i < count; ++i) {
                size_t index = in_files[begin + i].value - 1;
                paths[i] = view.path_at(index);
                if (heads_help) {
                    if (auto head = view.head_at(index)) heads[i] = std::string(*head);
                    (void)view.date_at(index);
                    (void)view.size_at(index);
                }
            }
            yes.assign(count, 0);
            std::vector<uint8_t> missing(count, 0);
            auto judge = [&](size_t i, const MessageFile& file) {
                mime::Part root = mime::parse_message(file.text());
                Subject s{view, in_files[begin + i].value - 1, Level::kFile, heads[i], file.text(), &root, subject.now};
                yes[i] = decide(compiled, s) == Verdict::kYes;
            };
            parallel_for(count, [&](size_t i) {
                auto file = MessageFile::open(view.files(), paths[i]);
                if (file) {
                    judge(i, **file);
                } else {
                    missing[i] = 1;
                }
            });
            for (size_t i = 0; i < count; ++i) {
                if (missing[i]) {   // renamed meanwhile, or gone: then it does not match
                    auto file = view.file_at(in_files[begin + i].value - 1);
                    if (file) judge(i, **file);
                }
                if (yes[i]) hits.push_back(in_files[begin + i]);
            }
        }
        if (hits.size() != settled) std::sort(hits.begin(), hits.end());
    }
    view.finish();
    return hits;
}

Expected<std::vector<SeqNum>> View::search(const SearchKey& key) { return run_search(*this, key); }

}   // namespace postcot::maildir

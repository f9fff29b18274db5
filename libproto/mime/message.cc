#include "libproto/mime/message.h"

#include <algorithm>
#include <cstring>

#include "libproto/mime/charset.h"
#include "libproto/mime/header.h"

namespace postcot::mime {

namespace {

std::string lowered(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

// One pass over the lines. `crlf` and `lines` count what lies before `at`, so a part's sizes are differences.
class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    Part run() {
        Part root;
        parse(root, false, 0);
        // What stands after the last thing understood still belongs to the message.
        return root;
    }

  private:
    struct Mark {
        uint64_t at = 0, crlf = 0, lines = 0;
    };
    static constexpr int kEnd = -1;   // end of the text; else index of the boundary that was hit
    struct Stop {
        int boundary = kEnd;
        bool closing = false;
        Mark before;   // without the line end that belongs to the boundary
    };

    // The next line without consuming it; empty at the end.
    std::string_view peek() const {
        std::string_view rest = text_.substr(here_.at);
        const void* lf = rest.empty() ? nullptr : std::memchr(rest.data(), '\n', rest.size());
        return lf ? rest.substr(0, static_cast<size_t>(static_cast<const char*>(lf) - rest.data()) + 1) : rest;
    }

    void consume(std::string_view line) {
        before_ = here_;
        here_.at += line.size();
        here_.crlf += line.size();
        if (line.ends_with('\n')) {
            ++here_.lines;
            if (line.size() < 2 || line[line.size() - 2] != '\r') ++here_.crlf;
        }
        last_line_ = line;
    }

    // The place before the line end just consumed (RFC 2046 §5.1.1), not before `floor`.
    Mark before_line_end(const Mark& floor) const {
        Mark m = here_;
        if (m.at <= floor.at || !last_line_.ends_with('\n')) return m;
        m.at -= last_line_.ends_with("\r\n") ? 2 : 1;
        m.crlf -= 2;
        m.lines -= 1;
        return m.at < floor.at ? floor : m;
    }

    // A boundary delimiter of an enclosing multipart. RFC 2046 §5.1.1: it is enough that the boundary stands at the line's
    // beginning; of several that do the longest is meant, and of equal ones the innermost.
    int match(std::string_view line, bool& closing) const {
        if (boundaries_.empty() || !line.starts_with("--")) return kEnd;
        line.remove_prefix(2);
        int found = kEnd;
        size_t longest = 0;
        for (size_t i = boundaries_.size(); i-- > 0;) {
            const std::string& boundary = boundaries_[i];
            if ((found != kEnd && boundary.size() <= longest) || !line.starts_with(boundary)) continue;
            found = static_cast<int>(i);
            longest = boundary.size();
        }
        if (found != kEnd) closing = line.substr(longest).starts_with("--");
        return found;
    }

    // Skips lines up to a boundary line (consumed) or the end.
    Stop skip_to_boundary(Mark floor) {
        Stop stop;
        for (;;) {
            std::string_view line = peek();
            if (line.empty()) {
                stop.before = here_;
                return stop;
            }
            stop.boundary = match(line, stop.closing);
            if (stop.boundary != kEnd) {
                stop.before = before_line_end(floor);
                consume(line);
                return stop;
            }
            consume(line);
        }
    }

    // Parses header and body at here_; ends after the boundary line that ends the part.
    Stop parse(Part& part, bool in_digest, int depth) {
        ++parts_;
        Mark begin = here_;
        part.begin = begin.at;
        Stop early;
        bool ended = false;
        for (;;) {
            std::string_view line = peek();
            if (line.empty() || here_.at - begin.at > kMaxHeader) break;
            early.boundary = match(line, early.closing);
            if (early.boundary != kEnd) {   // no empty line: the part is all header
                early.before = before_line_end(begin);
                consume(line);
                ended = true;
                break;
            }
            consume(line);
            if (line == "\n" || line == "\r\n") break;
        }
        Mark body = ended ? early.before : here_;
        part.body = body.at;
        part.header_crlf = body.crlf - begin.crlf;
        std::string boundary;
        read_header(part, boundary, in_digest);

        Stop stop = early;
        bool room = depth < kMaxDepth && parts_ < kMaxParts;
        if (!room &&
            (part.is_multipart() || part.is_message())) {   // not looked into: then it is octets, as Dovecot says
            part.type = "application";
            part.subtype = "octet-stream";
        }
        if (!ended) {
            if (part.is_multipart() && !boundary.empty() && room) {
                stop = parse_multipart(part, boundary, body, depth);
            } else if (part.is_message() && room && part.encoding != "base64" && part.encoding != "quoted-printable") {
                part.children.emplace_back();
                stop = parse(part.children.back(), false, depth + 1);
            } else {
                stop = skip_to_boundary(body);
            }
        }
        if (stop.before.at < body.at) stop.before = body;
        part.end = stop.before.at;
        part.body_crlf = stop.before.crlf - body.crlf;
        part.body_lines = stop.before.lines - body.lines;
        return stop;
    }

    Stop parse_multipart(Part& part, const std::string& boundary, const Mark& body, int depth) {
        int mine = static_cast<int>(boundaries_.size());
        boundaries_.push_back(boundary);
        Stop stop = skip_to_boundary(body);   // preamble
        while (stop.boundary == mine && !stop.closing && parts_ < kMaxParts) {
            part.children.emplace_back();
            stop = parse(part.children.back(), part.subtype == "digest", depth + 1);
        }
        boundaries_.pop_back();
        if (stop.boundary == mine)
            stop = skip_to_boundary(here_);   // epilogue; as Dovecot counts, the closing line keeps its line end
        return stop;
    }

    void read_header(Part& part, std::string& boundary, bool in_digest) {
        if (in_digest) {   // RFC 2046 §5.1.5
            part.type = "message";
            part.subtype = "rfc822";
        }
        for (const Field& field : parse_fields(text_.substr(part.begin, part.body - part.begin))) {
            if (iequals(field.name, "Content-Type")) {
                Parameterised type = parse_parameterised(field.value);
                size_t slash = type.value.find('/');
                if (slash == 0 || slash == std::string::npos || slash + 1 == type.value.size()) continue;
                part.type = lowered(std::string_view(type.value).substr(0, slash));
                part.subtype = lowered(std::string_view(type.value).substr(slash + 1));
                part.charset = lowered(type.parameter("charset"));
                for (const auto& [name, value] : type.raw)
                    if (iequals(name, "boundary") && boundary.empty()) boundary = value.substr(0, 200);
                while (!boundary.empty() && boundary.back() == ' ') boundary.pop_back();
            } else if (iequals(field.name, "Content-Transfer-Encoding")) {
                part.encoding = lowered(parse_parameterised(field.value).value);
            }
        }
    }

    std::string_view text_;
    Mark here_, before_;
    std::string_view last_line_;
    std::vector<std::string> boundaries_;
    size_t parts_ = 0;
};

// `alone`: has a part that is no multipart been taken for its own part 1 already?
const Part* child_number(const Part& part, uint32_t number, bool at_top, bool& alone) {
    const Part* holder = &part;
    if (!at_top && part.is_message()) {   // RFC 3501 §6.4.5: a message/rfc822 part's numbers are those of its message
        if (part.children.empty()) return nullptr;
        holder = &part.children[0];
    }
    if (holder->is_multipart()) {
        alone = false;
        return number >= 1 && number <= holder->children.size() ? &holder->children[number - 1] : nullptr;
    }
    // What is no multipart is its own part 1, once (as Dovecot takes it): of a message that is the standard's rule.
    bool again = alone && !(!at_top && part.is_message());
    alone = true;
    return number == 1 && !again ? holder : nullptr;
}

bool chosen(const Section& section, std::string_view name) {
    bool listed = std::any_of(section.fields.begin(), section.fields.end(),
                              [&](const std::string& f) { return iequals(f, name); });
    return listed == (section.kind == Section::Kind::kHeaderFields);
}

}   // namespace

Part parse_message(std::string_view text) { return Parser(text).run(); }

SectionRanges locate(std::string_view text, const Part& message, const Section& section) {
    SectionRanges out;
    const Part* part = &message;
    bool at_top = true, alone = false;
    for (uint32_t number : section.part) {
        part = child_number(*part, number, at_top, alone);
        if (!part) return out;
        at_top = false;
    }
    bool root = section.part.empty();
    const Part* header_of = part;
    if (!root && section.kind != Section::Kind::kAll && section.kind != Section::Kind::kMime) {
        if (!part->is_message() || part->children.empty()) return out;
        header_of = &part->children[0];
    }
    switch (section.kind) {
        case Section::Kind::kAll:
            out.part = part;
            out.ranges.emplace_back(root ? part->begin : part->body, root ? text.size() : part->end);
            break;
        case Section::Kind::kMime:
            if (root) return out;
            out.ranges.emplace_back(part->begin, part->body);
            break;
        case Section::Kind::kHeader: out.ranges.emplace_back(header_of->begin, header_of->body); break;
        case Section::Kind::kText: out.ranges.emplace_back(header_of->body, root ? text.size() : header_of->end); break;
        case Section::Kind::kHeaderFields:
        case Section::Kind::kHeaderFieldsNot: {
            std::string_view header = text.substr(header_of->begin, header_of->body - header_of->begin);
            auto add = [&](uint64_t begin, uint64_t end) {
                begin += header_of->begin;
                end += header_of->begin;
                if (begin >= end) return;
                if (!out.ranges.empty() && out.ranges.back().second == begin) {
                    out.ranges.back().second = end;
                } else {
                    out.ranges.emplace_back(begin, end);
                }
            };
            bool others = section.kind == Section::Kind::kHeaderFieldsNot;   // lines that are no field too
            uint64_t at = 0;
            for (const Field& field : parse_fields(header)) {
                if (others) add(at, field.begin);
                if (chosen(section, field.name)) add(field.begin, field.end);
                at = field.end;
            }
            uint64_t end = header.size();
            if (header.ends_with("\r\n\r\n") || header == "\r\n") {
                end -= 2;
            } else if (header.ends_with("\n\n") || header.ends_with("\n\r\n") || header == "\n") {
                end -= header.ends_with("\r\n") ? 2 : 1;
            }
            if (others) add(at, end);
            out.add_blank = true;
            break;
        }
    }
    out.found = true;
    return out;
}

std::string decode_transfer(std::string_view body, std::string_view encoding, LineEnds line_ends) {
    auto hex = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        return -1;
    };
    std::string out;
    if (iequals(encoding, "base64")) {
        out.reserve(body.size() / 4 * 3 + 3);
        uint32_t bits = 0;
        int have = 0;
        for (char c : body) {
            uint32_t v;
            if (c >= 'A' && c <= 'Z') {
                v = static_cast<uint32_t>(c - 'A');
            } else if (c >= 'a' && c <= 'z') {
                v = static_cast<uint32_t>(c - 'a' + 26);
            } else if (c >= '0' && c <= '9') {
                v = static_cast<uint32_t>(c - '0' + 52);
            } else if (c == '+') {
                v = 62;
            } else if (c == '/') {
                v = 63;
            } else if (c == '=') {   // padding: what follows may be another base64 run
                bits = 0;
                have = 0;
                continue;
            } else {
                continue;
            }
            bits = (bits << 6) | v;
            have += 6;
            if (have >= 8) {
                have -= 8;
                out += static_cast<char>((bits >> have) & 0xFF);
            }
        }
        return out;
    }
    if (iequals(encoding, "quoted-printable")) {
        out.reserve(body.size());
        for (size_t i = 0; i < body.size(); ++i) {
            char c = body[i];
            if (c == ' ' || c == '\t') {   // RFC 2045 §6.7 (3): white space at a line's end is not content
                size_t end = body.find_first_not_of(" \t", i);
                if (end == std::string_view::npos || body[end] == '\n' || body.substr(end, 2) == "\r\n") {
                    if (end == std::string_view::npos) break;
                    i = end - 1;
                    continue;
                }
                out += body.substr(i, end - i);
                i = end - 1;
                continue;
            }
            if (c != '=') {
                if (c == '\n' && line_ends == LineEnds::kCrlf && (i == 0 || body[i - 1] != '\r')) out += '\r';
                out += c;
                continue;
            }
            if (i + 2 < body.size() + 0 && hex(body[i + 1]) >= 0 && hex(body[i + 2]) >= 0) {
                out += static_cast<char>(hex(body[i + 1]) * 16 + hex(body[i + 2]));
                i += 2;
                continue;
            }
            size_t end = body.find_first_not_of(" \t", i + 1);   // soft line break
            if (end == std::string_view::npos) break;
            if (body[end] == '\n') {
                i = end;
            } else if (body.substr(end, 2) == "\r\n") {
                i = end + 1;
            } else {
                out += c;
            }
        }
        return out;
    }
    return std::string(body);
}

std::string text_of(std::string_view text, const Part& part) {
    std::string_view body = text.substr(part.body, part.end - part.body);
    std::string decoded = decode_transfer(body, part.encoding);
    if (part.charset.empty() || part.charset == "utf-8" || part.charset == "us-ascii") {
        if (valid_utf8(decoded)) return decoded;
        if (part.charset == "utf-8") return scrub_utf8(decoded);
        return to_utf8(decoded, "windows-1252").value_or(scrub_utf8(decoded));
    }
    auto converted = to_utf8(decoded, part.charset);
    return converted ? *converted : scrub_utf8(decoded);
}

}   // namespace postcot::mime

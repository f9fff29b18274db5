// The MIME structure of a message (RFC 2045, 2046). Total and bounded: any bytes give a tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libproto/mime/section.h"

namespace postcot::mime {

inline constexpr int kMaxDepth = 100;   // Dovecot's MESSAGE_PARSER_DEFAULT_MAX_NESTED_MIME_PARTS
inline constexpr size_t kMaxParts = 10000;

// Offsets are octets into the parsed text (as on disk: LF or CRLF).
struct Part {
    uint64_t begin = 0;         // of the part's header
    uint64_t body = 0;          // after the header's empty line
    uint64_t end = 0;           // before the line end that belongs to the boundary
    uint64_t header_crlf = 0;   // octets in CRLF form
    uint64_t body_crlf = 0;
    uint64_t body_lines = 0;
    std::string type = "text", subtype = "plain";   // lower case
    std::string charset;                            // of text parts, lower case
    std::string encoding;                           // lower case; empty: 7bit
    // RFC 3501 §9 media-message: message/global (RFC 6532) has no envelope before RFC 9051.
    bool is_message() const { return type == "message" && subtype == "rfc822"; }
    bool is_multipart() const { return type == "multipart"; }
    std::vector<Part> children;   // multipart: its parts; message: one, the message inside
};

// `text` is the whole message.
Part parse_message(std::string_view text);

// BODY[...]'s octets. found == false: no such part. For kHeaderFields* the ranges are the chosen fields, and
// `add_blank` asks for a final CRLF.
struct SectionRanges {
    bool found = false;
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    bool add_blank = false;
    const Part* part = nullptr;   // kAll with part numbers: whose encoding `decoded` takes off
};
SectionRanges locate(std::string_view text, const Part& message, const Section& section);

// Transfer encodings off: base64, quoted-printable; anything else is returned as it is. Bad input gives what can be
// read. kCrlf: line ends of quoted-printable's own become CRLF, and encoded octets (a "=0A") stay what they are.
enum class LineEnds : unsigned char { kAsTheyAre, kCrlf };
std::string decode_transfer(std::string_view body, std::string_view encoding,
                            LineEnds line_ends = LineEnds::kAsTheyAre);

// First characters of the text a reader would see, white space folded, HTML tags taken out (RFC 8970).
std::string preview_of(std::string_view text, const Part& message, size_t max_characters = 200);
// Calls `fn` with each text part's decoded UTF-8 until it returns true; returns whether it did. For SEARCH BODY.
template <class Fn>
bool for_each_text(std::string_view text, const Part& message, Fn fn);
std::string text_of(std::string_view text, const Part& part);   // one part, decoded to UTF-8

template <class Fn>
bool for_each_text(std::string_view text, const Part& message, Fn fn) {
    if (message.children.empty()) return message.type == "text" && fn(text_of(text, message));
    for (const Part& child : message.children)
        if (for_each_text(text, child, fn)) return true;
    return false;
}

}   // namespace postcot::mime

#include "libproto/mime/bodystructure.h"

#include <fmt/format.h>

#include <algorithm>

#include "libproto/mime/envelope.h"
#include "libproto/mime/header.h"

namespace postcot::mime {

namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

// RFC 2231 §4: characters that are no attribute-char, for a piece that stands among encoded ones.
void append_percent_encoded(std::string& out, std::string_view text) {
    for (char c : text) {
        if (c <= ' ' || c >= 0x7F || std::string_view("*'%()<>@,;:\\\"/[]?=").find(c) != std::string_view::npos)
            out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
}

// RFC 2231 §3: "name*0", "name*1*" ... become one "name" or, when a piece is encoded, one "name*", as Dovecot answers: few clients
// put them together themselves. Pieces with a gap in their numbers stay as they came.
Parameters joined(const Parameters& raw) {
    struct Piece {
        std::string name;   // lower case
        unsigned long number;
        bool encoded;
        const std::pair<std::string, std::string>* from;
    };
    Parameters out;
    std::vector<Piece> pieces;
    for (const auto& parameter : raw) {
        const std::string& key = parameter.first;
        size_t star = key.find('*');
        std::string_view digits =
            star == std::string::npos ? std::string_view() : std::string_view(key).substr(star + 1);
        bool encoded = digits.ends_with('*');
        if (encoded) digits.remove_suffix(1);
        if (digits.empty() || digits.size() > 4 || digits.find_first_not_of("0123456789") != std::string_view::npos) {
            out.push_back(parameter);
            continue;
        }
        std::string name = key.substr(0, star);
        for (char& c : name)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        pieces.push_back({std::move(name), std::stoul(std::string(digits)), encoded, &parameter});
    }
    std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
        return a.name != b.name ? a.name < b.name : a.number < b.number;
    });
    for (size_t begin = 0, end = 0; begin < pieces.size(); begin = end) {
        bool whole = true, encoded = false;
        for (end = begin; end < pieces.size() && pieces[end].name == pieces[begin].name; ++end) {
            whole = whole && pieces[end].number == end - begin;
            encoded = encoded || pieces[end].encoded;
        }
        if (!whole) {
            for (size_t i = begin; i < end; ++i) out.push_back(*pieces[i].from);
            continue;
        }
        // An encoded value says its charset and language first, if only that there are none.
        std::string value = encoded && !pieces[begin].encoded ? "''" : "";
        for (size_t i = begin; i < end; ++i) {
            if (encoded && !pieces[i].encoded)
                append_percent_encoded(value, pieces[i].from->second);
            else
                value += pieces[i].from->second;
        }
        const std::string& key = pieces[begin].from->first;
        out.emplace_back(key.substr(0, key.find('*')) + (encoded ? "*" : ""), std::move(value));
    }
    return out;
}

void append_parameters(std::string& out, const Parameters& as_written, bool text) {
    Parameters raw = joined(as_written);
    bool charset = false;
    for (const auto& [name, value] : raw)
        if (iequals(name, "charset")) charset = true;
    if (raw.empty() && !text) {
        out += "NIL";
        return;
    }
    out += '(';
    bool first = true;
    for (const auto& [name, value] : raw) {
        if (!first) out += ' ';
        first = false;
        append_nstring(out, name);
        out += ' ';
        append_nstring(out, value);
    }
    if (text && !charset) {   // RFC 2046 §4.1.2: the default
        if (!first) out += ' ';
        out += "\"charset\" \"us-ascii\"";
    }
    out += ')';
}

void append_field(std::string& out, const std::vector<Field>& fields, std::string_view name) {
    const Field* field = find_field(fields, name);
    if (field) {
        append_nstring(out, unfold(field->value));
    } else {
        out += "NIL";
    }
}

// body-fld-dsp SP body-fld-lang SP body-fld-loc
void append_extension(std::string& out, const std::vector<Field>& fields) {
    out += ' ';
    if (const Field* field = find_field(fields, "Content-Disposition")) {
        Parameterised disposition = parse_parameterised(field->value);
        if (disposition.value.empty()) {
            out += "NIL";
        } else {
            out += '(';
            append_nstring(out, disposition.value);
            out += ' ';
            append_parameters(out, disposition.raw, false);
            out += ')';
        }
    } else {
        out += "NIL";
    }
    out += ' ';
    std::string languages;
    if (const Field* field = find_field(fields, "Content-Language")) {
        std::string value = unfold(field->value);
        for (size_t at = 0; at < value.size();) {
            size_t end = value.find_first_of(", \t", at);
            if (end == std::string::npos) end = value.size();
            if (end > at) {
                languages += languages.empty() ? "(" : " ";
                append_nstring(languages, std::string_view(value).substr(at, end - at));
            }
            at = end + 1;
        }
    }
    out += languages.empty() ? "NIL" : languages + ")";
    out += ' ';
    append_field(out, fields, "Content-Location");
}

}   // namespace

void append_bodystructure(std::string& out, std::string_view text, const Part& part, bool extended) {
    std::vector<Field> fields = parse_fields(text.substr(part.begin, part.body - part.begin));
    const Field* type_field = find_field(fields, "Content-Type");
    Parameterised type;
    if (type_field) type = parse_parameterised(type_field->value);
    size_t slash = type.value.find('/');
    // As written, so that a client sees the sender's case; the parsed type where there is none.
    bool written = slash != std::string::npos && iequals(std::string_view(type.value).substr(0, slash), part.type);
    std::string type_name = written ? type.value.substr(0, slash) : part.type;
    std::string subtype_name = written ? type.value.substr(slash + 1) : part.subtype;

    // The commonest message of all, however it was written: Dovecot says it in lower case.
    bool plain_ascii = part.begin == 0 && part.type == "text" && part.subtype == "plain" &&
                       (part.encoding.empty() || part.encoding == "7bit") && type.raw.size() == 1 &&
                       iequals(type.raw[0].first, "charset") && iequals(type.raw[0].second, "us-ascii");
    if (plain_ascii) {
        type_name = "text";
        subtype_name = "plain";
        type.raw.clear();
    }

    out += '(';
    if (part.is_multipart()) {
        for (const Part& child : part.children) append_bodystructure(out, text, child, extended);
        if (part.children.empty()) {   // the grammar wants at least one
            out += "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0";
            if (extended) out += " NIL NIL NIL NIL";
            out += ')';
        }
        out += ' ';
        append_nstring(out, subtype_name);
        if (extended) {
            out += ' ';
            append_parameters(out, type.raw, false);
            append_extension(out, fields);
        }
        out += ')';
        return;
    }
    append_nstring(out, type_name);
    out += ' ';
    append_nstring(out, subtype_name);
    out += ' ';
    append_parameters(out, type.raw, part.type == "text");
    out += ' ';
    append_field(out, fields, "Content-ID");
    out += ' ';
    append_field(out, fields, "Content-Description");
    out += ' ';
    if (const Field* encoding = find_field(fields, "Content-Transfer-Encoding");
        encoding && !parse_parameterised(encoding->value).value.empty()) {
        append_nstring(out, parse_parameterised(encoding->value).value);
    } else {
        out += "\"7bit\"";
    }
    out += fmt::format(" {}", part.body_crlf);
    if (part.is_message() && !part.children.empty()) {
        const Part& inner = part.children[0];
        out += ' ';
        append_imap(out, envelope_of(parse_fields(text.substr(inner.begin, inner.body - inner.begin))));
        out += ' ';
        append_bodystructure(out, text, inner, extended);
        out += fmt::format(" {}", part.body_lines);
    } else if (part.is_message()) {   // not opened (encoded or too deep): an empty message inside
        out +=
            " (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL "
            "\"7bit\" 0 0";
        if (extended) out += " NIL NIL NIL NIL";
        out += fmt::format(") {}", part.body_lines);
    } else if (part.type == "text") {
        out += fmt::format(" {}", part.body_lines);
    }
    if (extended) {
        out += ' ';
        append_field(out, fields, "Content-MD5");
        append_extension(out, fields);
    }
    out += ')';
}

}   // namespace postcot::mime

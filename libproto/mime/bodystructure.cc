#include "libproto/mime/bodystructure.h"

#include <fmt/format.h>

#include "libproto/mime/envelope.h"
#include "libproto/mime/header.h"

namespace postcot::mime {

namespace {

void append_parameters(std::string& out, const std::vector<std::pair<std::string, std::string>>& raw, bool text) {
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

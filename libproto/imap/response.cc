#include "libproto/imap/response.h"

#include <charconv>

#include "libproto/imap/mailbox_name.h"
#include "libproto/imap/text.h"

namespace postcot::imap {

void append_number(std::string& out, uint64_t number) {
    char digits[24];
    auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
    out.append(digits, end);
}

void append_string(std::string& out, std::string_view text) {
    bool literal = text.size() > 4096;
    for (char c : text) {
        if (c == '\r' || c == '\n' || c == '\0' || static_cast<unsigned char>(c) >= 0x80) literal = true;
    }
    if (literal) {
        out += '{';
        append_number(out, text.size());
        out += "}\r\n";
        out += text;
        return;
    }
    out += '"';
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

void append_astring(std::string& out, std::string_view text) {
    bool atom = !text.empty() && !iequals(text, "NIL");
    for (char c : text) atom = atom && (is_atom_char(c) || c == ']');
    if (atom)
        out += text;
    else
        append_string(out, text);
}

void append_mailbox(std::string& out, std::string_view utf8_name, bool quoted) {
    std::string wire = encode_modified_utf7(utf8_name);
    if (quoted)
        append_string(out, wire);
    else
        append_astring(out, wire);
}

std::string clean_text(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    }
    if (out.empty() || out[0] == '[') out.insert(0, 1, ' ');
    return out;
}

std::string tagged(std::string_view tag, std::string_view status, std::string_view code, std::string_view text) {
    std::string out;
    out.reserve(tag.size() + status.size() + code.size() + text.size() + 8);
    out += tag;
    out += ' ';
    out += status;
    out += ' ';
    if (!code.empty()) {
        out += '[';
        out += code;
        out += "] ";
    }
    out += clean_text(text);
    out += "\r\n";
    return out;
}

}   // namespace postcot::imap

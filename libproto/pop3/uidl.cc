#include "libproto/pop3/uidl.h"

#include <optional>

#include "libproto/config/variables.h"

namespace postcot::pop3 {

Expected<std::string> format_uidl(std::string_view format, const UidlParts& parts) {
    auto expanded = config::expand_variables(format, [&](std::string_view name) -> std::optional<std::string> {
        if (name == "user" || name == "uid") return std::to_string(parts.uid);   // %u is the UID here
        if (name == "uidvalidity") return std::to_string(parts.uid_validity);
        if (name == "filename" || name == "guid") return parts.guid;
        return std::nullopt;
    });
    if (!expanded) return fail(0, "pop3_uidl_format: " + expanded.error().text);
    std::string out = std::move(*expanded);
    // RFC 1939 §7: 1 to 70 characters in the range 0x21 to 0x7E.
    std::erase_if(out,
                  [](char c) { return static_cast<unsigned char>(c) < 0x21 || static_cast<unsigned char>(c) > 0x7E; });
    if (out.size() > 70) out.resize(70);
    return out;
}

}   // namespace postcot::pop3

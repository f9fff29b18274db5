// Which part of a message BODY[...] means (RFC 3501 §6.4.5), and which octets those are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postcot::mime {

struct Section {
    enum class Kind {
        kAll,            // BODY[] ; BODY[1.2]: the part's body
        kHeader,         // BODY[HEADER]; with part numbers: of the message/rfc822 part's message
        kHeaderFields,   // only `fields`, in message order, and the empty line
        kHeaderFieldsNot,
        kText,
        kMime,   // needs part numbers: the part's own header
    } kind = Kind::kAll;
    std::vector<uint32_t> part;
    std::vector<std::string> fields;
    bool decoded = false;   // RFC 3516 BINARY[...]: transfer encoding taken off; only with kAll
    bool operator==(const Section&) const = default;
};

}   // namespace postcot::mime

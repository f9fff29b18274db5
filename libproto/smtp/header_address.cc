#include "libproto/smtp/header_address.h"

#include "libproto/smtp/address_list.h"
#include "libproto/smtp/path.h"

namespace postcot::smtp {

std::string rewrite_addresses(std::string_view value, const std::function<std::string(std::string_view)>& rewrite) {
    std::string out;
    size_t copied = 0;
    for (const auto& found : read_address_list(value)) {
        std::string_view between = value.substr(copied, found.offset - copied);
        if (copied > 0 && between.find_first_of(",;:") == std::string_view::npos) {
            const size_t bracket = between.substr(0, 1) == ">" ? 1 : 0;
            out += between.substr(0, bracket);
            out += ',';
            between.remove_prefix(bracket);
        }
        out += between;
        copied = found.offset + found.length;
        const auto rewritten = rewrite(found.address);
        if (rewritten == found.address || rewritten.empty()) {
            out += value.substr(found.offset, found.length);
        } else {
            out += to_external(rewritten);
        }
    }
    out += value.substr(copied);
    return out;
}

}   // namespace postcot::smtp

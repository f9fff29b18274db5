#include "queued/local/alias_grammar.h"

#include "libproto/smtp/address_list.h"
#include "libproto/smtp/text.h"

namespace postcot::queued {

namespace {

constexpr std::string_view kInclude = ":include:";

// As local(8) takes it: what an address begins with says what it is, however it was quoted.
AliasTarget target(std::string address) {
    using Kind = AliasTarget::Kind;
    switch (address.front()) {
        case '|': return {Kind::kCommand, address.substr(1)};
        case '/': return {Kind::kFile, std::move(address)};
        case '~': return {Kind::kHomeFile, std::move(address)};
        case '\\': return {Kind::kExact, address.substr(1)};
        default: break;
    }
    if (smtp::lower(std::string_view(address).substr(0, kInclude.size())) == kInclude)
        return {Kind::kInclude, address.substr(kInclude.size())};
    return {Kind::kAddress, std::move(address)};
}

}   // namespace

std::vector<AliasTarget> parse_destinations(std::string_view line, size_t max) {
    std::vector<AliasTarget> out;
    for (auto& found : smtp::read_address_list(line, smtp::AddressListKind::kDestinations)) {
        if (out.size() >= max) break;
        out.push_back(target(std::move(found.address)));
    }
    return out;
}

std::vector<AliasTarget> parse_destination_file(std::string_view text, size_t max) {
    std::vector<AliasTarget> out;
    while (!text.empty() && out.size() < max) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (!line.empty() && line[0] == '#') continue;
        for (auto& destination : parse_destinations(line, max - out.size())) out.push_back(std::move(destination));
    }
    return out;
}

}   // namespace postcot::queued

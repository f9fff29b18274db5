#include "libproto/address/rewrite.h"

#include <fstream>

namespace postcot::address {

std::string origin(const config::MainCf& main) {
    auto value = main.str("myorigin");
    if (!value.empty() && value.front() == '/') {   // Debian: a file that holds the name
        std::ifstream in(value);
        std::string line;
        if (in && std::getline(in, line)) {
            while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\t')) line.pop_back();
            if (!line.empty()) return line;
        }
        return main.str("myhostname");
    }
    return value.empty() ? main.str("myhostname") : value;
}

Rewriter::Rewriter(const config::MainCf& main)
    : origin_(origin(main)),
      domain_(main.str("mydomain")),
      remote_domain_(main.str("remote_header_rewrite_domain")),
      append_at_myorigin_(main.boolean("append_at_myorigin")),
      append_dot_mydomain_(main.boolean("append_dot_mydomain")),
      swap_bangpath_(main.boolean("swap_bangpath")),
      percent_hack_(main.boolean("allow_percent_hack")) {}

std::string Rewriter::local(std::string_view address) const {
    return rewrite(address, append_at_myorigin_ ? origin_ : std::string(),
                   append_dot_mydomain_ ? domain_ : std::string());
}

std::string Rewriter::remote(std::string_view address) const {
    if (remote_domain_.empty()) return std::string(address);
    return rewrite(address, remote_domain_, remote_domain_);
}

std::string Rewriter::rewrite(std::string_view address, const std::string& origin, const std::string& domain) const {
    if (address.empty()) return {};
    // RFC 5321 appendix C: "@one,@two:user@domain" means user@domain.
    if (address.front() == '@') {
        const size_t colon = address.find(':');
        if (colon != std::string_view::npos) address.remove_prefix(colon + 1);
    }
    std::string out(address);
    size_t at = out.rfind('@');
    if (at == std::string::npos) {
        const size_t bang = out.find('!');
        const size_t percent = out.rfind('%');
        if (swap_bangpath_ && bang != std::string::npos) {
            out = out.substr(bang + 1) + '@' + out.substr(0, bang);
        } else if (percent_hack_ && percent != std::string::npos) {
            out[percent] = '@';
        }
        at = out.rfind('@');
    }
    if (at == std::string::npos) {
        if (!origin.empty() && !out.empty()) out += '@' + origin;
        return out;
    }
    if (out.size() > at + 2 && out.back() == '.' && out[out.size() - 2] != '.') out.pop_back();
    const auto name = std::string_view(out).substr(at + 1);
    if (!domain.empty() && !name.empty() && name.front() != '[' && name.find('.') == std::string_view::npos) {
        out += '.';
        out += domain;
    }
    return out;
}

}   // namespace postcot::address

// reject_rbl_client and its kin (RFC 5782), and check_xxx_{a,mx,ns}_access.
#include <algorithm>
#include <cstdlib>

#include "libproto/dns/records.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/loop_inl.h"
#include "libproto/smtp/text.h"
#include "smtpd/host_names.h"
#include "smtpd/restrictions/access.h"
#include "smtpd/restrictions/rule.h"

namespace postcot::smtpd {
namespace {

// "127.0.0.[2..10;14]": four fields, each a number or a [set of numbers and ranges].
bool field_matches(std::string_view pattern, int value) {
    if (pattern.size() > 1 && pattern.front() == '[' && pattern.back() == ']') {
        pattern = pattern.substr(1, pattern.size() - 2);
        while (!pattern.empty()) {
            const size_t end = pattern.find(';');
            const auto item = std::string(pattern.substr(0, end));
            const size_t dots = item.find("..");
            const int low = std::atoi(item.c_str());
            const int high = dots == std::string::npos ? low : std::atoi(item.c_str() + dots + 2);
            if (value >= low && value <= high) return true;
            pattern.remove_prefix(end == std::string_view::npos ? pattern.size() : end + 1);
        }
        return false;
    }
    return !pattern.empty() && std::atoi(std::string(pattern).c_str()) == value;
}

bool address_matches(std::string_view pattern, std::string_view address) {
    for (int i = 0; i < 4; ++i) {
        // A dot inside [..] is part of a range.
        size_t end = 0;
        int depth = 0;
        while (end < pattern.size() && (depth > 0 || pattern[end] != '.')) {
            if (pattern[end] == '[') ++depth;
            if (pattern[end] == ']') --depth;
            ++end;
        }
        const size_t dot = std::min(address.find('.'), address.size());
        if (!field_matches(pattern.substr(0, end), std::atoi(std::string(address.substr(0, dot)).c_str())))
            return false;
        pattern.remove_prefix(std::min(end + 1, pattern.size()));
        address.remove_prefix(std::min(dot + 1, address.size()));
    }
    return pattern.empty();
}

// "4.3.2.1" for 1.2.3.4; nibbles for IPv6.
std::string reversed(const std::string& address) {
    auto name = dns::reverse_name(address);
    for (const char* suffix : {".in-addr.arpa", ".ip6.arpa"}) {
        const size_t at = name.rfind(suffix);
        if (at != std::string::npos) return name.substr(0, at);
    }
    return {};
}

}   // namespace

Task<Verdict> Restrictions::dns_list(const Rule& rule, Context& c) {
    const bool by_address = rule.op == Op::kRejectRbl || rule.op == Op::kPermitDnswl;
    const auto what = by_address ? reversed(c.client.address) : target_domain(rule.target, c);
    if (what.empty() || what.front() == '[') co_return Verdict::dunno();
    const size_t equals = rule.argument.find('=');
    const auto list = rule.argument.substr(0, equals);
    const auto pattern = equals == std::string::npos ? std::string() : rule.argument.substr(equals + 1);
    const auto name = what + '.' + list;
    if (!dns::is_query_name(name)) co_return Verdict::dunno();
    const auto answers = co_await names_.listed(name);
    bool match = false;
    for (const auto& answer : answers) match = match || pattern.empty() || address_matches(pattern, answer);
    if (!match) co_return Verdict::dunno();
    if (rule.op == Op::kPermitDnswl || rule.op == Op::kPermitRhswl) co_return Verdict::permit();
    const auto reason = co_await names_.reason(name);
    // default_rbl_reply
    std::string subject;
    if (by_address) {
        subject = "Client host [" + c.client.address + ']';
    } else {
        const auto [who, cls] = target_subject(rule.target, c);
        subject = cls + " [" +
                  (rule.target == Target::kSender || rule.target == Target::kRecipient ? who.substr(1, who.size() - 2)
                                                                                       : what) +
                  ']';
    }
    std::string text = "Service unavailable; " + subject + " blocked using " + list;
    if (!reason.empty()) text += "; " + reason;
    co_return Verdict::reject(static_cast<int>(service_->main.integer("maps_rbl_reject_code")), "5.7.1",
                              std::move(text));
}

Task<Verdict> Restrictions::host_access(const Rule& rule, Stage stage, Context& c, Evaluation& e) {
    const auto domain = target_domain(rule.target, c);
    if (domain.empty() || domain.front() == '[' || !dns::is_query_name(domain)) co_return Verdict::dunno();
    auto [who, what] = target_subject(rule.target, c);
    const auto hosts = co_await names_.related_hosts(domain, rule.record);
    for (const auto& host : hosts) {
        auto found = find_host(rule.maps, *service_, host);
        if (found && *found) co_return co_await action(std::move(**found), who, what, stage, c, e);
        std::vector<std::string> addresses;
        if (found) addresses = co_await names_.addresses(host);
        for (size_t i = 0; found && i < addresses.size(); ++i) {
            found = find_host_address(rule.maps, addresses[i]);
            if (found && *found) co_return co_await action(std::move(**found), who, what, stage, c, e);
        }
        if (!found) {
            log::warning_as(service_->ident, "{}: table lookup problem: {}", rule.argument, found.error().text);
            co_return Verdict::reject(451, "4.3.5", who + ": " + what + " rejected: Server configuration error");
        }
    }
    co_return Verdict::dunno();
}

}   // namespace postcot::smtpd

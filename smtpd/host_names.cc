#include "smtpd/host_names.h"

#include <algorithm>
#include <cerrno>

#include "libproto/resolver/resolver.h"
#include "libproto/runtime/loop_inl.h"
#include "libproto/smtp/idna.h"
#include "libproto/smtp/path.h"

namespace postcot::smtpd {
namespace {

constexpr Millis kTimeout{20000};   // of one question: well inside a client's patience (RFC 5321 §4.5.3.2.1: 5 minutes)

Lookup status_of(const Error& error) {
    return error.code == ENOENT || error.code == ENODATA || error.code == EPROTO ? Lookup::kPermanent
                                                                                 : Lookup::kTemporary;
}

}   // namespace

struct HostNames::Impl {
    std::unique_ptr<dns::Resolver> resolver;
};

HostNames::HostNames() : impl_(std::make_unique<Impl>()) {}
HostNames::~HostNames() = default;

Expected<void> HostNames::open() {
    dns::ResolverOptions options;
    options.timeout = kTimeout;
    auto resolver = dns::Resolver::open(options);
    if (!resolver) return fail(std::move(resolver.error()));
    impl_->resolver = std::move(*resolver);
    return {};
}

Task<void> HostNames::find_client_name(Client& client) {
    if (!impl_->resolver) {
        client.name_status = client.reverse_status = Lookup::kTemporary;
        co_return;
    }
    auto reverse = co_await impl_->resolver->reverse(client.address);
    if (!reverse) {
        client.name_status = client.reverse_status = status_of(reverse.error());
        co_return;
    }
    if (!smtp::is_valid_hostname(*reverse)) co_return;   // a PTR record can say anything
    client.reverse_name = *reverse;
    client.reverse_status = Lookup::kOk;
    const auto family =
        client.address.find(':') != std::string::npos ? dns::Resolver::Family::kIpv6 : dns::Resolver::Family::kIpv4;
    auto forward = co_await impl_->resolver->addresses(*reverse, family, true);
    if (!forward) {
        client.name_status = status_of(forward.error());
        co_return;
    }
    if (std::find(forward->begin(), forward->end(), client.address) == forward->end()) co_return;
    client.name = *reverse;
    client.name_status = Lookup::kOk;
}

Task<Lookup> HostNames::mail_domain(std::string domain) {
    auto ascii = smtp::domain_to_ascii(domain);
    if (!ascii) co_return Lookup::kPermanent;
    if (!impl_->resolver) co_return Lookup::kTemporary;
    auto mx = co_await impl_->resolver->mx(*ascii);
    if (mx) {
        const bool null_mx = mx->size() == 1 && mx->front().host.empty();
        co_return null_mx ? Lookup::kPermanent : Lookup::kOk;
    }
    const auto mx_status = status_of(mx.error());
    auto address = co_await impl_->resolver->addresses(*ascii, dns::Resolver::Family::kAny, true);
    if (address) co_return Lookup::kOk;
    const auto address_status = status_of(address.error());
    co_return mx_status == Lookup::kTemporary ? mx_status : address_status;
}

Task<Lookup> HostNames::host(std::string host_name) {
    auto ascii = smtp::domain_to_ascii(host_name);
    if (!ascii) co_return Lookup::kPermanent;
    if (!impl_->resolver) co_return Lookup::kTemporary;
    auto address = co_await impl_->resolver->addresses(*ascii, dns::Resolver::Family::kAny, true);
    if (address) co_return Lookup::kOk;
    const auto address_status = status_of(address.error());
    auto mx = co_await impl_->resolver->mx(*ascii);
    if (mx) co_return Lookup::kOk;
    co_return address_status == Lookup::kTemporary ? address_status : status_of(mx.error());
}

Task<std::vector<std::string>> HostNames::listed(std::string name) {
    std::vector<std::string> out;
    if (!impl_->resolver) co_return out;
    auto found = co_await impl_->resolver->addresses(std::move(name), dns::Resolver::Family::kIpv4, false);
    if (found) out = std::move(*found);
    co_return out;
}

Task<std::string> HostNames::reason(std::string name) {
    std::string out;
    if (!impl_->resolver) co_return out;
    auto found = co_await impl_->resolver->query(std::move(name), dns::Type::kTxt);
    if (found && !found->rdata.empty()) {
        auto text = dns::parse_txt(found->rdata.front());
        if (text) out = text->substr(0, 300);
    }
    co_return out;
}

Task<std::vector<std::string>> HostNames::addresses(std::string name) {
    std::vector<std::string> out;
    if (!impl_->resolver) co_return out;
    auto found = co_await impl_->resolver->addresses(std::move(name), dns::Resolver::Family::kAny, true);
    if (found) out = std::move(*found);
    co_return out;
}

Task<std::vector<std::string>> HostNames::related_hosts(std::string domain, dns::Type type) {
    std::vector<std::string> out;
    if (!impl_->resolver) co_return out;
    if (type == dns::Type::kMx) {
        auto mx = co_await impl_->resolver->mx(domain);
        if (mx) {
            for (const auto& record : *mx) out.push_back(record.host);
        } else if (mx.error().code == ENODATA) {
            out.push_back(domain);   // RFC 5321 §5.1: the implicit MX
        }
        co_return out;
    }
    if (type == dns::Type::kNs) {
        // The zone's servers: of the name itself, or of the nearest parent that has some.
        for (std::string name = domain; name.find('.') != std::string::npos; name = name.substr(name.find('.') + 1)) {
            auto servers = co_await impl_->resolver->query(name, dns::Type::kNs);
            if (!servers) continue;
            for (const auto& rdata : servers->rdata) {
                auto host = dns::parse_name(rdata);
                if (host) out.push_back(*host);
            }
            if (!out.empty()) break;
        }
        co_return out;
    }
    out.push_back(domain);
    co_return out;
}

}   // namespace postcot::smtpd

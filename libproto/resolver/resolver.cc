#include "libproto/resolver/resolver.h"

#include <fmt/format.h>
#include <unbound.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "libproto/dns/hosts.h"
#include "libproto/dns/resolv_conf.h"
#include "libproto/runtime/files.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/reactor.h"

namespace postcot::dns {

namespace {

constexpr size_t kMaxRecords = 200;   // of one answer; more are ignored

// One question. Lives in query()'s frame: libunbound calls back once, or never after ub_cancel().
struct Question {
    Event answered;
    int error = 0;
    ub_result* result = nullptr;
    ~Question() { ub_resolve_free(result); }
};

void on_answer(void* data, int error, ub_result* result) {
    auto* question = static_cast<Question*>(data);
    question->error = error;
    question->result = result;
    question->answered.set();
}

}   // namespace

struct Resolver::Impl final : postcot::detail::IoHandler {
    ub_ctx* context = nullptr;
    Hosts hosts;
    Millis timeout;
    bool watching = false;

    ~Impl() {
        if (watching) postcot::detail::Reactor::current().unwatch(ub_fd(context));
        if (context) ub_ctx_delete(context);
    }

    // Edge-triggered: ub_process() reads all that is there.
    void on_io(uint32_t) override { ub_process(context); }
};

Resolver::Resolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Resolver::~Resolver() = default;

Expected<std::unique_ptr<Resolver>> Resolver::open(ResolverOptions options) {
    auto impl = std::make_unique<Impl>();
    impl->timeout = options.timeout;
    if (const char* path = std::getenv("POSTCOT_RESOLV_CONF")) options.resolv_conf = path;
    if (const char* path = std::getenv("POSTCOT_HOSTS")) options.hosts = path;
    impl->context = ub_ctx_create();
    if (!impl->context) return fail(ENOMEM, "cannot create a resolver");
    struct Option {
        const char *name, *value;
    };
    // The servers are the administrator's: loopback ones (systemd-resolved) and private reverse zones included. Nothing is validated here: no trust
    // anchor is configured.
    for (const Option& option : {Option{"do-not-query-localhost:", "no"}, Option{"unblock-lan-zones:", "yes"},
                                 Option{"insecure-lan-zones:", "yes"}, Option{"module-config:", "iterator"},
                                 Option{"outgoing-range:", "256"}, Option{"num-queries-per-thread:", "1024"},
                                 Option{"infra-host-ttl:", "60"}, Option{"cache-max-negative-ttl:", "300"}}) {
        if (int error = ub_ctx_set_option(impl->context, option.name, option.value))
            return fail(EINVAL,
                        fmt::format("resolver option {} {}: {}", option.name, option.value, ub_strerror(error)));
    }
    // Without a server: the root servers, as libunbound does by itself.
    if (auto text = read_file(Files::disk(), options.resolv_conf, 1 << 20)) {
        for (const auto& server : name_servers(*text))
            if (int error = ub_ctx_set_fwd(impl->context, server.c_str()))
                log::warning("{}: nameserver {}: {}", options.resolv_conf, server, ub_strerror(error));
    } else {
        log::warning("{}", text.error().text);
    }
    ub_ctx_async(impl->context, 1);   // a thread, not a process: the sandbox refuses fork(2)
    // Last: this ends the time of options.
    for (const char* zone : {"test.", "home.arpa."}) ub_ctx_zone_remove(impl->context, zone);
    if (auto text = read_file(Files::disk(), options.hosts, 16 << 20)) impl->hosts = Hosts::parse(*text);
    return std::unique_ptr<Resolver>(new Resolver(std::move(impl)));
}

Error lookup_error(int code, const std::string& name, Type type) {
    Error out;
    out.code = code;
    const char* reason = "Host not found, try again";
    out.enhanced = "4.4.3";
    if (code == ENOENT) {
        reason = "Host not found";
        out.enhanced = "5.4.4";
    } else if (code == ENODATA) {
        reason = "Host found but no data record of requested type";
        out.enhanced = "5.4.4";
    } else if (code == EPROTO) {
        reason = "Malformed or unexpected name server reply";
    } else if (code == EINVAL) {
        reason = "Invalid host name";
        out.enhanced = "5.4.4";
    }
    out.text = fmt::format("Host or domain name not found. Name service error for name={} type={}: {}", name,
                           type_name(type), reason);
    return out;
}

Task<Expected<Records>> Resolver::query(std::string name, Type type) {
    if (!is_query_name(name)) co_return fail(lookup_error(EINVAL, name, type));
    Question question;
    int id = 0;
    int error = ub_resolve_async(impl_->context, name.c_str(), static_cast<int>(type), 1, &question, on_answer, &id);
    if (error != 0) co_return fail(lookup_error(EAGAIN, name, type));
    if (!impl_->watching) {
        impl_->watching = true;
        postcot::detail::Reactor::current().watch(ub_fd(impl_->context), *impl_, EPOLLIN);
    }
    // Answers from the cache may be there already.
    ub_process(impl_->context);
    auto answered = co_await question.answered.wait(impl_->timeout);
    if (!answered) {
        ub_cancel(impl_->context, id);
        int code = answered.error().code == ECANCELED ? ECANCELED : EAGAIN;
        co_return fail(lookup_error(code, name, type));
    }
    ub_result* result = question.result;
    if (question.error != 0 || !result || result->bogus) co_return fail(lookup_error(EAGAIN, name, type));
    if (result->nxdomain) co_return fail(lookup_error(ENOENT, name, type));
    if (result->rcode != 0) co_return fail(lookup_error(EAGAIN, name, type));
    if (!result->havedata) co_return fail(lookup_error(ENODATA, name, type));
    Records out;
    for (size_t i = 0; result->data[i] && out.rdata.size() < kMaxRecords; ++i)
        out.rdata.emplace_back(result->data[i], static_cast<size_t>(result->len[i]));
    if (result->canonname) out.canonical_name = result->canonname;
    out.ttl = static_cast<unsigned>(std::max(0, result->ttl));
    out.secure = result->secure != 0;
    co_return out;
}

Task<Expected<std::vector<Mx>>> Resolver::mx(std::string name) {
    auto records = co_await query(name, Type::kMx);
    if (!records) co_return fail(records.error());
    std::vector<Mx> out;
    for (const auto& rdata : records->rdata)
        if (auto one = parse_mx(rdata)) out.push_back(std::move(*one));
    if (out.empty()) co_return fail(lookup_error(EPROTO, name, Type::kMx));
    std::stable_sort(out.begin(), out.end(), [](const Mx& a, const Mx& b) { return a.preference < b.preference; });
    co_return out;
}

Task<Expected<std::vector<std::string>>> Resolver::addresses(std::string name, Family family, bool hosts_file) {
    std::vector<std::string> out;
    bool local = name == "localhost" || name == "localhost.";
    if (hosts_file || local) {
        for (auto& address : impl_->hosts.addresses(name)) {
            bool six = address.find(':') != std::string::npos;
            if (family == Family::kAny || (family == Family::kIpv6) == six) out.push_back(std::move(address));
        }
        if (!out.empty() || local) {
            if (out.empty()) co_return fail(lookup_error(ENODATA, name, Type::kA));
            co_return out;
        }
    }
    Error worst;
    for (Type type : {Type::kAaaa, Type::kA}) {
        if (family == (type == Type::kA ? Family::kIpv6 : Family::kIpv4)) continue;
        auto records = co_await query(name, type);
        if (!records) {
            // A temporary failure of one outweighs "no such record" of the other.
            bool temporary = records.error().code != ENOENT && records.error().code != ENODATA;
            if (worst.code == 0 || temporary || (worst.code == ENODATA && records.error().code == ENOENT))
                worst = records.error();
            if (records.error().code == ECANCELED) break;
            continue;
        }
        for (const auto& rdata : records->rdata)
            if (auto address = parse_address(type, rdata)) out.push_back(std::move(*address));
    }
    if (out.empty()) co_return fail(worst.code ? worst : lookup_error(EPROTO, name, Type::kA));
    co_return out;
}

Task<Expected<std::string>> Resolver::reverse(std::string address) {
    std::string known = impl_->hosts.name(address);
    if (!known.empty()) co_return known;
    std::string name = reverse_name(address);
    if (name.empty()) co_return fail(lookup_error(EINVAL, address, Type::kPtr));
    auto records = co_await query(name, Type::kPtr);
    if (!records) co_return fail(records.error());
    for (const auto& rdata : records->rdata)
        if (auto host = parse_name(rdata); host && !host->empty()) co_return *host;
    co_return fail(lookup_error(EPROTO, name, Type::kPtr));
}

}   // namespace postcot::dns

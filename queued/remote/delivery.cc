#include "queued/remote/delivery.h"

#include <fmt/format.h>

#include <algorithm>

#include "libproto/runtime/log.h"
#include "libproto/smtp/text.h"
#include "queued/local/headers.h"
#include "queued/remote/tls_policy.h"

namespace postcot::queued {

std::vector<Attempt*> RemoteDelivery::left() {
    std::vector<Attempt*> out;
    for (auto& attempt : attempts_)
        if (!attempt.result) out.push_back(&attempt);
    return out;
}

// The failure of a host or a destination, for whoever is left. `final`: there is nothing else to try that could make it better.
void RemoteDelivery::note(const Failure& failure, bool final) {
    for (auto* attempt : left()) {
        attempt->last = failure;
        if (!final || !failure.permanent()) continue;
        ipc::RecipientResult result;
        result.outcome = ipc::Outcome::kBounced;
        result.dsn = failure.dsn;
        result.text = failure.text;
        result.relay = failure.relay;
        result.remote_mta = failure.remote_mta;
        result.diagnostic = failure.diagnostic;
        attempt->result = std::move(result);
    }
}

// smtp_sasl_password_maps: sender (if wanted), host, nexthop.
tl::expected<std::optional<SaslSecret>, Failure> RemoteDelivery::secret(const Nexthop& nexthop, const Host& host,
                                                                        const std::string& sender) {
    const ClientSettings& settings = transport_.settings;
    if (!settings.sasl_enable || transport_.sasl_passwords.empty()) return std::nullopt;
    std::vector<std::string> keys;
    if (settings.sender_dependent_authentication && !sender.empty()) keys.push_back(smtp::lower(sender));
    std::string port = ":" + std::to_string(host.port);
    if (!host.is_unix()) {
        keys.push_back(smtp::lower(host.name));
        keys.push_back(smtp::lower(host.name) + port);
    }
    std::string given = smtp::lower(nexthop.host);
    if (nexthop.kind == Nexthop::Kind::kHost) given = "[" + given + "]";
    keys.push_back(given);
    keys.push_back(given + port);
    for (const auto& key : keys) {
        auto found = transport_.sasl_passwords.find(key);
        if (!found) {
            log::warning("smtp_sasl_password_maps: {}", found.error().text);
            return tl::unexpected(make_failure("4.3.0", "SASL password lookup error", host.relay()));
        }
        if (!*found) continue;
        auto parsed = parse_sasl_secret(**found);
        if (!parsed) log::warning("smtp_sasl_password_maps: {}: no \"user:password\"", key);
        return parsed;
    }
    return std::nullopt;
}

bool RemoteDelivery::keep(const Session& session, const Nexthop& nexthop, const ipc::Deliver& deliver) const {
    const ClientSettings& settings = transport_.settings;
    if (!session.alive()) return false;
    if (settings.reuse_count_limit > 0 && session.deliveries() >= settings.reuse_count_limit) return false;
    if (std::chrono::steady_clock::now() - session.opened() > settings.reuse_time_limit) return false;
    if (settings.cache_on_demand && deliver.also_waiting > 0) return true;
    const auto& always = settings.cache_destinations;
    return std::any_of(always.begin(), always.end(), [&](const std::string& name) {
        return smtp::equals_ignoring_case(name, nexthop.host) || name == deliver.nexthop || name == "static:all";
    });
}

// True: this host had its say about the message, one way or another (smtp_mx_session_limit counts it).
Task<bool> RemoteDelivery::to_host(const Host& host, const std::string& cache_key, const Nexthop& nexthop,
                                   const ipc::Deliver& deliver, const ipc::DeliverContent& content) {
    auto plan = tls_plan(transport_, nexthop, host);
    if (!plan) {
        note(plan.error(), true);
        co_return false;
    }
    auto login = secret(nexthop, host, deliver.sender);
    if (!login) {
        note(login.error(), true);
        co_return false;
    }
    TlsPlan tls = *plan;
    auto opened = co_await Session::open(host, transport_.settings, tls, *login, transport_.queue_directory);
    if (!opened && opened.error().tls_failed) {
        // RFC 7435 §3: opportunistic means that broken TLS is no worse than none.
        tls.level = TlsLevel::kNone;
        opened = co_await Session::open(host, transport_.settings, tls, *login, transport_.queue_directory);
    }
    if (!opened) {
        // A 5xx of one host before MAIL does not speak for the next one: it is final only after the last.
        note(opened.error(), false);
        co_return opened.error().relay != "none";
    }
    auto session = std::move(*opened);
    reached_ = true;
    auto attempts = left();
    co_await session->deliver(deliver, content, std::move(attempts));
    if (keep(*session, nexthop, deliver))
        cache_.keep(cache_key, std::move(session), transport_.settings.cache_time_limit);
    else
        co_await session->quit();
    co_return true;
}

Task<void> RemoteDelivery::to_nexthop(const std::string& text, const ipc::Deliver& deliver,
                                      const ipc::DeliverContent& content) {
    const ClientSettings& settings = transport_.settings;
    auto nexthop = parse_nexthop(text, settings.lmtp, settings.tcp_port);
    if (!nexthop) {
        note(make_failure("4.3.5", nexthop.error().text), false);
        co_return;
    }
    std::string key = deliver.transport + "\n" + text + "\n" +
                      (settings.sender_dependent_authentication ? deliver.sender : std::string());
    std::string tried;
    if (auto session = cache_.take(key)) {
        session->set_reused();
        auto attempts = left();
        co_await session->deliver(deliver, content, std::move(attempts));
        bool stale = false;
        for (auto* attempt : left()) stale = stale || attempt->last.stale;
        if (!stale) {
            reached_ = true;
            tried = session->host().relay();
        }
        if (keep(*session, *nexthop, deliver))
            cache_.keep(key, std::move(session), settings.cache_time_limit);
        else
            co_await session->quit();
        if (left().empty()) co_return;
    }
    auto hosts = co_await find_hosts(*nexthop, settings, resolver_, transport_.own, random_);
    if (!hosts) {
        // postconf(5) smtp_fallback_relay: also for destinations that are not found.
        note(hosts.error(), last_nexthop_);
        co_return;
    }
    int64_t sessions = 0;
    for (size_t i = 0; i < hosts->size(); ++i) {
        if ((*hosts)[i].relay() == tried) {   // it has just said no
            ++sessions;
            continue;
        }
        bool talked = co_await to_host((*hosts)[i], key, *nexthop, deliver, content);
        if (talked) ++sessions;
        auto remaining = left();
        if (remaining.empty()) co_return;
        bool more = i + 1 < hosts->size() && (settings.mx_session_limit <= 0 || sessions < settings.mx_session_limit);
        if (!more) break;
        if (!remaining.front()->last.text.empty() && talked)
            log::info("{}: {}", queue_id_, remaining.front()->last.text);
    }
}

Task<ipc::Delivered> RemoteDelivery::run(const ipc::Deliver& deliver, const ipc::DeliverContent& content) {
    queue_id_ = deliver.queue_id;
    attempts_.resize(deliver.recipients.size());
    for (size_t i = 0; i < attempts_.size(); ++i) attempts_[i].recipient = &deliver.recipients[i];

    std::vector<std::string> nexthops;
    std::string_view text = deliver.nexthop;
    while (!text.empty()) {   // postconf(5) relayhost: several, separated by commas or blanks
        size_t end = text.find_first_of(", \t");
        if (end != 0) nexthops.emplace_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    if (!transport_.settings.lmtp)
        for (const auto& relay : transport_.settings.fallback_relay) nexthops.push_back(relay);
    if (!transport_.config_error.empty()) {
        log::warning("{}", transport_.config_error);
        note(make_failure("4.3.5", "mail system configuration error"), true);
        nexthops.clear();
    }
    if (transport_.settings.add_delivered_to || transport_.settings.add_original_to) {
        // One header for one recipient, as pipe(8) has it.
        const auto& first = deliver.recipients.front().recipient.address;
        if (deliver.recipients.size() > 1) {
            log::warning("flags D and O need {}_destination_recipient_limit = 1", deliver.transport);
            note(make_failure("4.3.5", "mail system configuration error"), true);
            nexthops.clear();
        } else if (transport_.settings.add_delivered_to && has_delivered_to(deliver.head, first)) {
            note(make_failure("5.4.6", "mail forwarding loop for " + first), true);
        }
    }
    for (size_t i = 0; i < nexthops.size() && !left().empty(); ++i) {
        last_nexthop_ = i + 1 == nexthops.size();
        co_await to_nexthop(nexthops[i], deliver, content);
    }

    ipc::Delivered out;
    out.job = deliver.job;
    for (auto& attempt : attempts_) {
        if (!attempt.result) {
            Failure& last = attempt.last;
            if (last.dsn.empty()) last = make_failure("4.3.0", "no host could be tried");
            ipc::RecipientResult result;
            // All hosts refused before MAIL: final if the last one's word is.
            result.outcome = last.permanent() ? ipc::Outcome::kBounced : ipc::Outcome::kDeferred;
            result.dsn = last.dsn;
            result.text = last.text;
            result.relay = last.relay;
            result.remote_mta = last.remote_mta;
            result.diagnostic = last.diagnostic;
            attempt.result = std::move(result);
        }
        attempt.result->index = attempt.recipient->index;
        out.results.push_back(std::move(*attempt.result));
    }
    out.destination_failed = !reached_;
    co_return out;
}

}   // namespace postcot::queued

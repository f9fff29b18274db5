#include "queued/settings.h"

#include <algorithm>
#include <cstdlib>

namespace postcot::queued {

namespace {

size_t positive(int64_t value) { return value < 0 ? 0 : static_cast<size_t>(value); }

std::string with_default(const config::MainCf& main, const std::string& name, const char* otherwise) {
    std::string value = main.str(name);
    return value.empty() ? otherwise : value;
}

}   // namespace

Expected<Settings> Settings::read(const config::MainCf& base, const config::MasterCf& master) {
    Settings out;
    // Each of Postfix's daemons with the -o settings of its line.
    auto daemon = [&](const char* command, std::string& ident) -> Expected<config::MainCf> {
        auto found = config::main_of(base, master, "", command);
        if (!found) return fail(std::move(found.error()));
        config::MainCf with = *found ? std::move(**found) : base;
        ident = with_default(with, "syslog_name", "postfix") + "/" + command;
        return with;
    };
    auto qmgr = daemon("qmgr", out.qmgr_ident);
    if (!qmgr) return fail(std::move(qmgr.error()));
    auto pickup = daemon("pickup", out.pickup_ident);
    if (!pickup) return fail(std::move(pickup.error()));
    auto bounce = daemon("bounce", out.bounce_ident);
    if (!bounce) return fail(std::move(bounce.error()));
    const config::MainCf& main = *qmgr;
    out.queue_directory = main.str("queue_directory");
    out.hostname = main.str("myhostname");
    out.mail_name = main.str("mail_name");
    out.syslog_name = with_default(base, "syslog_name", "postfix");
    out.long_queue_ids = main.boolean("enable_long_queue_ids");
    out.active_limit = std::max<size_t>(positive(main.integer("qmgr_message_active_limit")), 1);
    out.active_recipient_limit = std::max<size_t>(positive(main.integer("qmgr_message_recipient_limit")), 1);
    out.queue_run_delay = std::max(main.time("queue_run_delay"), std::chrono::seconds(1));
    out.minimal_backoff = std::max(main.time("minimal_backoff_time"), std::chrono::seconds(1));
    out.maximal_backoff = std::max(main.time("maximal_backoff_time"), out.minimal_backoff);
    out.maximal_lifetime = main.time("maximal_queue_lifetime");
    out.bounce_lifetime = std::min(main.time("bounce_queue_lifetime"), out.maximal_lifetime);
    out.delay_warning = main.time("delay_warning_time");
    out.message_size_limit = static_cast<uint64_t>(std::max<int64_t>(main.integer("message_size_limit"), 0));
    out.minimum_free = static_cast<uint64_t>(std::max<int64_t>(main.integer("queue_minfree"), 0));
    out.soft_bounce = main.boolean("soft_bounce");
    for (const auto& name : main.list("defer_transports")) out.defer_transports.insert(name);
    out.content_filter = pickup->str("content_filter");
    out.pickup_cleanup_service = pickup->str("cleanup_service_name");
    for (const auto& word : pickup->list("receive_override_options")) {
        if (word == "no_address_mappings") out.pickup_no_rewrite = true;
        if (word == "no_header_body_checks") out.pickup_no_header_checks = true;
        if (word == "no_milters") out.pickup_no_milters = true;
    }
    for (const auto& word : bounce->list("internal_mail_filter_classes")) out.internal_filter_classes.insert(word);
    out.double_bounce_sender = bounce->str("double_bounce_sender");
    out.bounce_notice_recipient = bounce->str("bounce_notice_recipient");
    out.twobounce_notice_recipient = bounce->str("2bounce_notice_recipient");
    out.delay_notice_recipient = bounce->str("delay_notice_recipient");
    out.error_notice_recipient = bounce->str("error_notice_recipient");
    for (const auto& name : main.list("notify_classes")) out.notify_classes.insert(name);
    out.bounce_size_limit = static_cast<uint64_t>(std::max<int64_t>(bounce->integer("bounce_size_limit"), 1));
    out.delay_digits = static_cast<int>(std::clamp<int64_t>(main.integer("delay_logging_resolution_limit"), 0, 6));

    for (const auto& service : master.services()) {
        if (service.type != "unix") continue;
        TransportSettings transport;
        transport.command = service.command;
        const std::string& c = service.command;
        if (c == "smtp" || c == "lmtp") {
            transport.agent = TransportSettings::Agent::kRemote;
        } else if (c == "local" || c == "virtual" || c == "pipe" || c == "error" || c == "retry" || c == "discard") {
            transport.agent = TransportSettings::Agent::kLocal;
        } else {
            continue;
        }
        auto overridden = base.with_overrides(service.overrides);
        if (!overridden) {
            return fail(overridden.error().code, master.file() + ": line " + std::to_string(service.line) +
                                                     ": service " + service.name + ": " + overridden.error().text);
        }
        const std::string syslog_name = with_default(*overridden, "syslog_name", "postfix");
        transport.missing_filter = config::missing_client_checks(*overridden, c);
        transport.ident = syslog_name + "/" + c;
        const std::string& name = service.name;
        transport.process_limit = service.max_processes > 0 ? static_cast<size_t>(service.max_processes) : 10000;
        transport.recipient_limit = positive(main.transport_integer(name, "destination_recipient_limit"));
        if (transport.recipient_limit == 0) transport.recipient_limit = 10000;
        transport.rate_delay = main.transport_time(name, "destination_rate_delay");
        auto& feedback = transport.feedback;
        feedback.initial =
            std::max<size_t>(positive(main.transport_integer(name, "initial_destination_concurrency")), 1);
        feedback.limit = positive(main.transport_integer(name, "destination_concurrency_limit"));
        feedback.cohort_limit =
            std::strtod(main.transport_str(name, "destination_concurrency_failed_cohort_limit").c_str(), nullptr);
        feedback.positive = FeedbackRule::parse(main.transport_str(name, "destination_concurrency_positive_feedback"));
        feedback.negative = FeedbackRule::parse(main.transport_str(name, "destination_concurrency_negative_feedback"));
        if (c == "local" || c == "virtual") transport.batch = 32;
        if (transport.rate_delay.count() > 0) {   // as Postfix: a rate delay means one at a time
            feedback.limit = 1;
            transport.batch = 1;
        }
        out.transports_[name] = std::move(transport);
    }
    return out;
}

const TransportSettings& Settings::transport(const std::string& name) const {
    static const TransportSettings unknown;
    auto found = transports_.find(name);
    return found == transports_.end() ? unknown : found->second;
}

}   // namespace postcot::queued

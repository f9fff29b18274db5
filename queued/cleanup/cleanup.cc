#include "queued/cleanup/cleanup.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <unordered_set>

#include "libproto/smtp/header_cleanup.h"
#include "libproto/smtp/path.h"
#include "queued/bounce/compose.h"

namespace postcot::queued {

namespace {

std::string lower(std::string_view in) {
    std::string out(in);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return out;
}

std::string quoted_name(const std::string& name) {
    // RFC 5322 §3.2.3: specials need quotes.
    if (name.find_first_of("()<>[]:;@\\,.\"") == std::string::npos) return name;
    std::string out = "\"";
    for (char c : name) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

tl::unexpected<Error> table_error(const Error& error) {
    if (error.code >= 400 && error.code < 600) return fail(error);
    return fail(451, "4.3.0", "Error: queue file write error");
}

}   // namespace

Expected<std::unique_ptr<Cleanup>> Cleanup::open(const config::MainCf& main) {
    auto resolver = address::Resolver::open(main);
    if (!resolver) return fail(resolver.error());
    auto rules = address::Cleanup::open(main, *resolver);
    if (!rules) return fail(rules.error());
    auto out = std::unique_ptr<Cleanup>(new Cleanup);
    out->rules_ = *rules;
    out->hostname_ = main.str("myhostname");
    out->mail_name_ = main.str("mail_name");
    out->undisclosed_ = main.str("undisclosed_recipients_header");
    for (const auto& name : main.list("message_drop_headers")) out->drop_headers_.push_back(lower(name));
    out->always_add_missing_ = main.boolean("always_add_missing_headers");
    out->long_queue_ids_ = main.boolean("enable_long_queue_ids");
    out->keep_original_ = main.boolean("enable_original_recipient");
    out->hop_limit_ = static_cast<size_t>(main.integer("hopcount_limit"));
    out->checks_ = config::missing_checks(main);
    out->milter_ = config::missing_milter(main, "non_smtpd_milters");
    out->message_size_limit_ = static_cast<uint64_t>(std::max<int64_t>(main.integer("message_size_limit"), 0));
    out->header_size_limit_ = static_cast<size_t>(std::max<int64_t>(main.integer("header_size_limit"), 1));
    const auto syslog_name = main.str("syslog_name");
    out->ident_ = (syslog_name.empty() ? "postfix" : syslog_name) + "/cleanup";
    out->duplicate_limit_ = static_cast<size_t>(main.integer("duplicate_filter_limit"));
    return out;
}

config::MissingFilter Cleanup::missing_filter(const ipc::Envelope& envelope) const {
    if (!envelope.no_header_checks && checks_.outcome != config::Unfiltered::kPass) return checks_;
    if ((envelope.local_submission || envelope.unfiltered) && !envelope.no_milters) return milter_;
    return {};
}

Expected<void> Cleanup::recipients(CleanupInput& input, CleanupOutput& out) const {
    const bool maps = !input.envelope.no_rewrite;
    std::vector<ipc::Recipient> given = std::move(input.envelope.recipients);
    out.envelope.recipients.clear();
    std::vector<ipc::Recipient> copies;
    auto add_copies = [&copies](Expected<std::vector<std::string>> addresses) -> Expected<void> {
        if (!addresses) return table_error(addresses.error());
        for (auto& address : *addresses) {
            ipc::Recipient copy;
            copy.address = std::move(address);
            copy.notify = ipc::kNotifyNever;
            copies.push_back(std::move(copy));
        }
        return {};
    };
    if (maps && !input.internal && !out.envelope.verify) {
        if (auto added = add_copies(rules_->bcc_of_sender(out.envelope.sender)); !added) return added;
        for (const auto& recipient : given) {
            if (auto added = add_copies(rules_->bcc_of_recipient(recipient.address)); !added) return added;
        }
        for (auto& copy : copies) given.push_back(std::move(copy));
    }
    std::unordered_set<std::string> seen;
    for (auto& recipient : given) {
        std::string original = recipient.original.empty() ? recipient.address : recipient.original;
        std::vector<std::string> targets;
        if (maps) {
            auto expanded = rules_->expand_recipient(recipient.address);
            if (!expanded) return table_error(expanded.error());
            targets = std::move(*expanded);
        } else {
            targets.push_back(resolver().rewriter().local(recipient.address));
        }
        for (auto& target : targets) {
            // Postfix drops duplicates of one pair of original and final recipient.
            if (seen.size() < duplicate_limit_) {
                std::string key = lower(target);
                if (keep_original_) key += '\n' + lower(original);
                if (!seen.insert(std::move(key)).second) continue;
            }
            ipc::Recipient final_recipient = recipient;
            if (target != original && keep_original_) final_recipient.original = original;
            final_recipient.address = std::move(target);
            out.envelope.recipients.push_back(std::move(final_recipient));
        }
    }
    if (out.envelope.recipients.empty()) return fail(554, "5.5.1", "Error: no valid recipients");
    return {};
}

Expected<CleanupOutput> Cleanup::run(CleanupInput input) const {
    CleanupOutput out;
    out.envelope = input.envelope;
    if (!input.envelope.sender.empty()) {
        auto sender = input.envelope.no_rewrite
                          ? Expected<std::string>(resolver().rewriter().local(input.envelope.sender))
                          : rules_->envelope_sender(input.envelope.sender);
        if (!sender) return table_error(sender.error());
        out.envelope.sender = std::move(*sender);
    }

    const bool local = input.envelope.local_submission;
    smtp::HeaderOptions options;
    options.drop = input.internal ? std::vector<std::string>() : drop_headers_;
    options.header_size_limit = header_size_limit_;
    options.extract_recipients = input.extract_recipients;
    options.add_missing = !input.internal && (local || always_add_missing_);
    if (options.add_missing) {
        auto seconds = static_cast<std::time_t>(input.envelope.arrival_seconds);
        std::tm utc{};
        gmtime_r(&seconds, &utc);
        // A long queue id is unique for ever; a short one needs the time.
        options.message_id = long_queue_ids_ ? fmt::format("<{}@{}>", input.queue_id, hostname_)
                                             : fmt::format("<{:%Y%m%d%H%M%S}.{}@{}>", utc, input.queue_id, hostname_);
        options.date = mail_date(input.envelope.arrival_seconds);
        std::string address = out.envelope.sender.empty() ? "MAILER-DAEMON" : smtp::to_external(out.envelope.sender);
        options.from = input.full_name.empty() ? address : quoted_name(input.full_name) + " <" + address + ">";
        options.undisclosed_recipients = undisclosed_;
    }
    if (local && !input.envelope.no_rewrite) {
        options.rewrite = [this](std::string_view address, smtp::HeaderClass kind) {
            auto rewritten =
                kind == smtp::HeaderClass::kSender ? rules_->header_sender(address) : rules_->header_recipient(address);
            return rewritten ? std::move(*rewritten) : std::string(address);
        };
    }
    size_t blank = input.text.substr(0, 1) == "\n" ? 0 : input.text.find("\n\n");
    std::string_view given =
        blank == std::string_view::npos ? input.text : input.text.substr(0, blank == 0 ? 1 : blank + 2);
    smtp::HeaderCleanup header(std::move(options));
    std::string text;
    text.reserve(given.size() + 256);
    if (!input.received.empty()) header.feed(input.received + "\n", text);
    header.feed(given, text);
    if (blank == std::string_view::npos && !header.in_body()) header.finish(text);
    const auto& facts = header.facts();
    if (facts.hops > hop_limit_) {
        if (!input.bounce_refused) return fail(554, "5.4.0", "Error: too many hops");
        out.refused = Error{554, "5.4.0", "too many hops"};
    }
    for (const auto& address : facts.resent_recipients.empty() ? facts.recipients : facts.resent_recipients) {
        if (!input.extract_recipients) break;
        ipc::Recipient recipient;
        recipient.address = address;
        input.envelope.recipients.push_back(std::move(recipient));
    }
    if (auto done = recipients(input, out); !done) return fail(done.error());
    out.message_id = facts.message_id;
    if (text != given) {
        out.header = std::move(text);
        out.replaced = given.size();
        out.changed = true;
    }
    return out;
}

}   // namespace postcot::queued

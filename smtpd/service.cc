#include "smtpd/service.h"

#include <algorithm>
#include <cerrno>

#include "libproto/smtp/text.h"

namespace postcot::smtpd {
namespace {

struct KeywordName {
    const char* name;
    uint32_t bit;
};
constexpr KeywordName kKeywords[] = {{"pipelining", kPipelining},
                                     {"size", kSize},
                                     {"vrfy", kVrfy},
                                     {"etrn", kEtrn},
                                     {"starttls", kStartTls},
                                     {"auth", kAuth},
                                     {"enhancedstatuscodes", kEnhancedStatusCodes},
                                     {"8bitmime", kEightBitMime},
                                     {"dsn", kDsn},
                                     {"smtputf8", kSmtpUtf8},
                                     {"chunking", kChunking},
                                     {"xclient", kXclient},
                                     {"xforward", kXforward},
                                     {"silent-discard", kSilentDiscard}};

Millis millis(std::chrono::seconds s) { return std::chrono::duration_cast<Millis>(s); }

bool has_word(const std::vector<std::string>& words, const char* word) {
    for (const auto& w : words) {
        if (smtp::equals_ignoring_case(w, word)) return true;
    }
    return false;
}

void read_limits(const config::MainCf& main, Limits& out) {
    auto number = [&](const char* name) { return std::max<int64_t>(0, main.integer(name)); };
    out.line_length = static_cast<size_t>(std::max<int64_t>(512, main.integer("line_length_limit")));
    out.sasl_response = static_cast<size_t>(std::max<int64_t>(512, main.integer("smtpd_sasl_response_limit")));
    out.recipients = static_cast<size_t>(number("smtpd_recipient_limit"));
    out.recipient_overshoot = static_cast<size_t>(number("smtpd_recipient_overshoot_limit"));
    out.message_size = static_cast<uint64_t>(number("message_size_limit"));
    out.soft_errors = static_cast<int>(number("smtpd_soft_error_limit"));
    out.hard_errors = static_cast<int>(number("smtpd_hard_error_limit"));
    out.junk_commands = static_cast<int>(number("smtpd_junk_command_limit"));
    out.error_sleep = millis(main.time("smtpd_error_sleep_time"));
    out.timeout = millis(main.time("smtpd_timeout"));
    out.starttls_timeout = millis(main.time("smtpd_starttls_timeout"));
    out.connection_count = static_cast<int>(number("smtpd_client_connection_count_limit"));
    out.connection_rate = static_cast<int>(number("smtpd_client_connection_rate_limit"));
    out.message_rate = static_cast<int>(number("smtpd_client_message_rate_limit"));
    out.recipient_rate = static_cast<int>(number("smtpd_client_recipient_rate_limit"));
    out.rate_unit = main.time("anvil_rate_time_unit");
}

void read_codes(const config::MainCf& main, RejectCodes& out) {
    auto code = [&](const char* name) { return static_cast<int>(main.integer(name)); };
    out.generic = code("reject_code");
    out.access_map = code("access_map_reject_code");
    out.relay_domains = code("relay_domains_reject_code");
    out.invalid_hostname = code("invalid_hostname_reject_code");
    out.non_fqdn = code("non_fqdn_reject_code");
    out.unknown_hostname = code("unknown_hostname_reject_code");
    out.unknown_address = code("unknown_address_reject_code");
    out.unknown_client = code("unknown_client_reject_code");
    out.defer = code("defer_code");
    out.plaintext = code("plaintext_reject_code");
    out.multi_recipient_bounce = code("multi_recipient_bounce_reject_code");
}

Expected<void> read_tls(const config::MainCf& main, Service& out) {
    const auto level = main.str("smtpd_tls_security_level");
    if (level == "encrypt") {
        out.tls_level = TlsLevel::kEncrypt;
    } else if (level == "may") {
        out.tls_level = TlsLevel::kMay;
    } else if (level == "none") {
        out.tls_level = TlsLevel::kNone;
    } else if (level.empty()) {
        if (main.boolean("smtpd_use_tls")) out.tls_level = TlsLevel::kMay;
        if (main.boolean("smtpd_enforce_tls")) out.tls_level = TlsLevel::kEncrypt;
    } else {
        return fail(EINVAL, "smtpd_tls_security_level: bad value \"" + level + "\", expected none, may or encrypt");
    }
    out.wrapper_mode = main.boolean("smtpd_tls_wrappermode");
    if (out.wrapper_mode) out.tls_level = TlsLevel::kEncrypt;   // RFC 8314 §3: all of it is under TLS
    out.tls_auth_only = main.boolean("smtpd_tls_auth_only") || out.tls_level == TlsLevel::kEncrypt;
    out.tls_received_header = main.boolean("smtpd_tls_received_header");
    out.tls_loglevel = static_cast<int>(main.integer("smtpd_tls_loglevel"));
    return {};
}

Expected<void> read_sasl(const config::MainCf& main, Service& out) {
    out.sasl_enabled = main.boolean("smtpd_sasl_auth_enable");
    if (!out.sasl_enabled) return {};
    const auto type = main.str("smtpd_sasl_type");
    if (type != "dovecot") {
        return fail(EINVAL, "smtpd_sasl_type: \"" + type +
                                "\" is not supported here, expected dovecot (authd speaks Dovecot's auth protocol)");
    }
    auto path = main.str("smtpd_sasl_path");
    if (path.rfind("unix:", 0) == 0) path = path.substr(5);
    if (path.rfind("inet:", 0) == 0) return fail(EINVAL, "smtpd_sasl_path: inet: sockets are not supported");
    if (path.empty() || path.front() != '/') path = main.str("queue_directory") + '/' + path;
    out.sasl_path = path;
    out.sasl_service = main.str("smtpd_sasl_service");
    out.broken_sasl_clients = main.boolean("broken_sasl_auth_clients");
    out.sasl_header = main.boolean("smtpd_sasl_authenticated_header");
    const auto clear = main.list("smtpd_sasl_security_options");
    out.sasl_no_plaintext = has_word(clear, "noplaintext");
    out.sasl_no_anonymous = has_word(clear, "noanonymous");
    const auto tls = main.list("smtpd_sasl_tls_security_options");
    out.sasl_no_plaintext_in_tls = has_word(tls, "noplaintext");
    out.sasl_no_anonymous_in_tls = has_word(tls, "noanonymous");
    return {};
}

// What cleanup(8) does is done here while the message streams by: with the settings of the cleanup service that this one names.
Expected<void> read_cleanup(const config::MainCf& base, const config::MasterCf* master, Service& out) {
    out.cleanup_service = out.main.str("cleanup_service_name");
    out.cleanup_main = base;
    if (master) {
        auto found = config::main_of(base, *master, out.cleanup_service, "cleanup");
        if (!found) return fail(std::move(found.error()));
        if (*found) out.cleanup_main = std::move(**found);
        out.cleanup_missing = !*found && out.cleanup_service != "cleanup";
    }
    const auto& main = out.cleanup_main;
    out.always_add_missing_headers = main.boolean("always_add_missing_headers");
    out.drop_headers = main.list("message_drop_headers");
    out.undisclosed_recipients = main.str("undisclosed_recipients_header");
    out.limits.header_size = static_cast<size_t>(std::max<int64_t>(1, main.integer("header_size_limit")));
    out.limits.hopcount = static_cast<size_t>(std::max<int64_t>(0, main.integer("hopcount_limit")));
    return {};
}

void read_filters(Service& out) {
    if (!out.no_milters) out.milter = config::missing_milter(out.main, "smtpd_milters");
    if (!out.no_header_checks) out.checks = config::missing_checks(out.cleanup_main);
    if (auto proxy = out.main.str("smtpd_proxy_filter"); !proxy.empty())
        out.proxy = {config::Unfiltered::kDefer, "smtpd_proxy_filter", std::move(proxy)};
}

}   // namespace

uint32_t parse_keywords(const std::vector<std::string>& names) {
    uint32_t out = 0;
    for (const auto& name : names) {
        for (const auto& keyword : kKeywords) {
            if (smtp::equals_ignoring_case(name, keyword.name)) out |= keyword.bit;
        }
    }
    return out;
}

Expected<std::shared_ptr<const Service>> Service::make(const config::MasterService& entry, const config::MainCf& base,
                                                       const config::MasterCf* master) {
    auto where = [&](Error e) {
        e.text = "service " + entry.name + ": " + e.text;
        return fail(std::move(e));
    };
    auto overridden = base.with_overrides(entry.overrides);
    if (!overridden) return where(std::move(overridden.error()));
    auto out = std::make_shared<Service>();
    out->main = std::move(*overridden);
    const auto& main = out->main;
    out->name = entry.name;
    out->lmtp = entry.command == "lmtpd";
    out->unix_socket = entry.type != "inet";
    out->max_processes = entry.max_processes;
    out->ident = main.str("syslog_name") + '/' + entry.command;
    out->my_hostname = main.str("myhostname");
    out->mail_name = main.str("mail_name");
    out->banner = main.str("smtpd_banner");
    auto tls = read_tls(main, *out);
    if (!tls) return where(std::move(tls.error()));
    auto sasl = read_sasl(main, *out);
    if (!sasl) return where(std::move(sasl.error()));
    out->helo_required = main.boolean("smtpd_helo_required");
    out->disable_vrfy = main.boolean("disable_vrfy_command");
    out->strict_envelopes = main.boolean("strict_rfc821_envelopes");
    out->min_user = main.boolean("allow_min_user");
    out->smtputf8 = main.boolean("smtputf8_enable");
    out->delay_reject = main.boolean("smtpd_delay_reject");
    out->reject_unlisted_recipient = main.boolean("smtpd_reject_unlisted_recipient");
    out->reject_unlisted_sender = main.boolean("smtpd_reject_unlisted_sender");
    out->relay_before_recipient = main.boolean("smtpd_relay_before_recipient_restrictions");
    out->peername_lookup = main.boolean("smtpd_peername_lookup");
    out->forbid_unauth_pipelining = main.boolean("smtpd_forbid_unauth_pipelining");
    out->allow_untrusted_routing = main.boolean("allow_untrusted_routing");
    out->discard_keywords = parse_keywords(main.list("smtpd_discard_ehlo_keywords"));
    if (!out->smtputf8) out->discard_keywords |= kSmtpUtf8;

    // Postfix 3.7.11 defaults to "no" for old clients' sake; here smuggling is refused unless the administrator says otherwise.
    const auto bare =
        main.is_set("smtpd_forbid_bare_newline") ? smtp::lower(main.str("smtpd_forbid_bare_newline")) : "normalize";
    if (bare == "no") {
        out->bare_newline = smtp::BareNewline::kAllow;
    } else if (bare == "yes" || bare == "normalize") {
        out->bare_newline = smtp::BareNewline::kNormalize;
    } else if (bare == "reject") {
        out->bare_newline = smtp::BareNewline::kReject;
    } else {
        return where(
            Error{EINVAL,
                  {},
                  "smtpd_forbid_bare_newline: bad value \"" + bare + "\", expected no, yes, normalize or reject"});
    }
    out->bare_newline_code = static_cast<int>(main.integer("smtpd_forbid_bare_newline_reject_code"));

    for (const auto& word : main.list("smtpd_noop_commands")) out->noop_commands.insert(smtp::upper(word));
    for (const auto& word : main.list("smtpd_forbidden_commands")) {
        if (word.find(':') == std::string::npos) out->forbidden_commands.insert(smtp::upper(word));
    }
    out->reject_footer = main.str("smtpd_reject_footer");
    out->filter = main.str("content_filter");
    out->null_access_key = main.str("smtpd_null_access_lookup_key");
    const auto overrides = main.list("receive_override_options");
    out->no_rewrite = has_word(overrides, "no_address_mappings");
    out->no_header_checks = has_word(overrides, "no_header_body_checks");
    if (has_word(overrides, "no_unknown_recipient_checks")) out->reject_unlisted_recipient = false;
    out->no_milters = has_word(overrides, "no_milters");
    read_limits(main, out->limits);
    if (auto cleanup = read_cleanup(base, master, *out); !cleanup) return fail(std::move(cleanup.error()));
    read_filters(*out);
    read_codes(main, out->codes);
    return std::shared_ptr<const Service>(std::move(out));
}

Expected<std::shared_ptr<const Service>> Service::make_stand_alone(const config::MainCf& main) {
    config::MasterService entry;
    entry.name = "stand-alone";
    entry.type = "unix";
    entry.command = "smtpd";
    entry.overrides = {{"smtpd_sasl_auth_enable", "no"},
                       {"smtpd_tls_security_level", "none"},
                       {"smtpd_tls_wrappermode", "no"},
                       {"smtpd_reject_unlisted_recipient", "no"},
                       {"smtpd_reject_unlisted_sender", "no"},
                       // As for all of $mynetworks with Postfix's defaults: scripts end their lines in LF.
                       {"smtpd_forbid_bare_newline", "no"}};
    auto made = make(entry, main);
    if (!made) return made;
    auto out = std::make_shared<Service>(**made);
    out->stand_alone = true;
    // As smtpd -S: the filters that see mail of this host are pickup's.
    out->milter = out->proxy = out->checks = {};
    out->cleanup_missing = false;
    return std::shared_ptr<const Service>(std::move(out));
}

// postscreen(8) passes whom it lets in to the smtpd service of type pass. Its tests are not there yet: everybody is let in.
static Expected<void> behind_postscreen(config::MasterService& entry, const config::MainCf& main,
                                        const config::MasterCf& master) {
    auto own = main.with_overrides(entry.overrides);
    if (!own) return fail(std::move(own.error()));
    const auto name = own->str("smtpd_service_name");
    const auto* behind = master.find(name, "pass");
    if (!behind || behind->command != "smtpd") {
        return fail(EINVAL, master.file() + ": line " + std::to_string(entry.line) + ": service " + entry.name +
                                ": postscreen needs a service \"" + name +
                                " pass ... smtpd\" to pass its connections to");
    }
    entry.command = behind->command;
    entry.overrides = behind->overrides;
    entry.max_processes = behind->max_processes;
    return {};
}

Expected<Configuration> load_configuration(const std::string& root) {
    auto main = config::MainCf::load(root + "/postfix");
    if (!main) return fail(std::move(main.error()));
    auto master = config::MasterCf::load(root + "/postfix", *main);
    if (!master) return fail(std::move(master.error()));
    Configuration out;
    out.main = *main;
    for (auto entry : master->services()) {
        if (entry.command == "postscreen" && entry.type == "inet") {
            if (auto behind = behind_postscreen(entry, *main, *master); !behind) return fail(std::move(behind.error()));
        }
        if (entry.type == "pass") continue;   // nobody hands connections over
        if (entry.command != "smtpd" && entry.command != "lmtpd") continue;
        if (entry.type != "inet" && entry.type != "unix") continue;
        auto service = Service::make(entry, *main, &*master);
        if (!service) return fail(std::move(service.error()));
        out.services.push_back(std::move(*service));
        out.entries.push_back(entry);
    }
    return out;
}

}   // namespace postcot::smtpd

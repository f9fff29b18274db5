// One master.cf service that smtpd serves (smtp, submission, submissions, lmtpd), with its parameters read once.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "libproto/config/filters.h"
#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"
#include "libproto/smtp/command.h"
#include "libproto/smtp/data.h"

namespace postcot::smtpd {

// EHLO keywords, as smtpd_discard_ehlo_keywords names them.
enum Keyword : uint32_t {
    kPipelining = 1 << 0,
    kSize = 1 << 1,
    kVrfy = 1 << 2,
    kEtrn = 1 << 3,
    kStartTls = 1 << 4,
    kAuth = 1 << 5,
    kEnhancedStatusCodes = 1 << 6,
    kEightBitMime = 1 << 7,
    kDsn = 1 << 8,
    kSmtpUtf8 = 1 << 9,
    kChunking = 1 << 10,
    kXclient = 1 << 11,
    kXforward = 1 << 12,
    kSilentDiscard = 1 << 13,
};
uint32_t parse_keywords(const std::vector<std::string>& names);

enum class TlsLevel { kNone, kMay, kEncrypt };

struct Limits {
    size_t line_length;
    size_t sasl_response;
    size_t recipients, recipient_overshoot;
    uint64_t message_size;   // 0: none
    size_t header_size;
    size_t hopcount;
    int soft_errors, hard_errors, junk_commands;
    Millis error_sleep, timeout, starttls_timeout;
    int connection_count, connection_rate, message_rate, recipient_rate;   // 0: no limit
    std::chrono::seconds rate_unit;
};

struct RejectCodes {
    int generic, access_map, relay_domains, invalid_hostname, non_fqdn, unknown_hostname, unknown_address,
        unknown_client, defer, plaintext, multi_recipient_bounce;
};

struct Service {
    config::MainCf main;   // with the service's -o overrides
    std::string name;      // as master.cf has it: in "Connection concurrency limit exceeded ... for service smtp"
    std::string ident;     // log ident: "postfix/smtpd", "postfix/submission/smtpd", "postfix/lmtpd"
    bool lmtp = false;
    bool unix_socket = false;
    bool stand_alone = false;   // sendmail -bs
    bool wrapper_mode = false;
    int max_processes = 0;

    std::string my_hostname, mail_name, banner;
    TlsLevel tls_level = TlsLevel::kNone;
    bool tls_auth_only = false, tls_received_header = false;
    int tls_loglevel = 0;
    bool sasl_enabled = false, broken_sasl_clients = false, sasl_header = false;
    std::string sasl_path, sasl_service;
    bool sasl_no_plaintext = false, sasl_no_anonymous = true, sasl_no_plaintext_in_tls = false,
         sasl_no_anonymous_in_tls = true;
    bool helo_required = false, disable_vrfy = false, strict_envelopes = false, smtputf8 = true;
    bool min_user = false;   // allow_min_user
    bool delay_reject = true, reject_unlisted_recipient = true, reject_unlisted_sender = false,
         relay_before_recipient = true;
    bool peername_lookup = true, always_add_missing_headers = false, forbid_unauth_pipelining = false,
         allow_untrusted_routing = false;
    uint32_t discard_keywords = 0;
    smtp::BareNewline bare_newline = smtp::BareNewline::kNormalize;
    int bare_newline_code = 550;
    std::set<std::string> noop_commands, forbidden_commands;   // upper case
    std::vector<std::string> drop_headers;
    std::string undisclosed_recipients, reject_footer, filter, null_access_key;
    bool no_rewrite = false, no_header_checks = false, no_milters = false;
    std::string cleanup_service;   // cleanup_service_name; settings of cleanup(8) are read from its master.cf line
    config::MainCf cleanup_main;
    bool cleanup_missing = false;   // no such service
    config::MissingFilter milter;   // smtpd_milters: MAIL is refused as by a milter that does not answer
    config::MissingFilter proxy;    // smtpd_proxy_filter: RCPT
    config::MissingFilter checks;   // header_checks and the like of the cleanup service: DATA
    Limits limits{};
    RejectCodes codes{};

    // Errors name the service and the parameter.
    static Expected<std::shared_ptr<const Service>> make(const config::MasterService& entry, const config::MainCf& main,
                                                         const config::MasterCf* master = nullptr);
    // Of no master.cf line: `sendmail -bs`. Without TLS, AUTH and restrictions.
    static Expected<std::shared_ptr<const Service>> make_stand_alone(const config::MainCf& main);
};

// A listening socket and the service behind it.
struct Endpoint {
    std::shared_ptr<const Service> service;
    std::shared_ptr<UniqueFd> socket;   // shared by all generations of workers
};

// Every smtpd and lmtpd line of master.cf.
struct Configuration {
    config::MainCf main;
    std::vector<std::shared_ptr<const Service>> services;
    std::vector<config::MasterService> entries;   // same order
};
Expected<Configuration> load_configuration(const std::string& root);

}   // namespace postcot::smtpd

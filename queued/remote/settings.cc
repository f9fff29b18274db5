#include "queued/remote/settings.h"

#include <algorithm>
#include <cerrno>

namespace postcot::queued {

Expected<TlsLevel> parse_tls_level(std::string_view text) {
    if (text.empty() || text == "none") return TlsLevel::kNone;
    if (text == "may") return TlsLevel::kMay;
    if (text == "encrypt") return TlsLevel::kEncrypt;
    if (text == "verify") return TlsLevel::kVerify;
    if (text == "secure") return TlsLevel::kSecure;
    return fail(EINVAL, "4.7.5", "TLS security level \"" + std::string(text) + "\" is not supported");
}

ClientSettings::ClientSettings(const config::MainCf& main, bool is_lmtp) : lmtp(is_lmtp) {
    std::string prefix = lmtp ? "lmtp_" : "smtp_";
    auto str = [&](const char* name) { return main.str(prefix + name); };
    auto list = [&](const char* name) { return main.list(prefix + name); };
    auto boolean = [&](const char* name) { return main.boolean(prefix + name); };
    auto integer = [&](const char* name) { return main.integer(prefix + name); };
    auto time = [&](const char* name) { return std::chrono::duration_cast<Millis>(main.time(prefix + name)); };

    myhostname = main.str("myhostname");
    helo_name = str(lmtp ? "lhlo_name" : "helo_name");
    tcp_port = str("tcp_port");
    always_send_ehlo = lmtp || main.boolean("smtp_always_send_ehlo");
    never_send_ehlo = !lmtp && main.boolean("smtp_never_send_ehlo");
    skip_5xx_greeting = boolean("skip_5xx_greeting");
    skip_quit_response = boolean("skip_quit_response");
    randomize_addresses = boolean("randomize_addresses");
    address_preference = str("address_preference");
    auto protocols = main.list("inet_protocols");
    auto has = [](const std::vector<std::string>& words, std::string_view word) {
        return std::find(words.begin(), words.end(), word) != words.end();
    };
    use_ipv4 = protocols.empty() || has(protocols, "all") || has(protocols, "ipv4");
    use_ipv6 = protocols.empty() || has(protocols, "all") || has(protocols, "ipv6");
    auto lookup = list("host_lookup");
    host_lookup_native = has(lookup, "native");
    host_lookup_dns = has(lookup, "dns") || !host_lookup_native;
    bind_address = str("bind_address");
    bind_address6 = str("bind_address6");
    mx_session_limit = integer("mx_session_limit");
    mx_address_limit = integer("mx_address_limit");
    fallback_relay = list("fallback_relay");
    line_length_limit = static_cast<size_t>(std::max<int64_t>(0, integer("line_length_limit")));
    convert_eight_bit = !main.boolean("disable_mime_output_conversion");
    send_original_recipient = main.boolean("enable_original_recipient");
    final_delivery = lmtp;
    for (const auto& keyword : list(lmtp ? "discard_lhlo_keywords" : "discard_ehlo_keywords"))
        discard_ehlo_keywords.push_back(keyword);

    connect_timeout = time("connect_timeout");
    if (connect_timeout.count() == 0) connect_timeout = Millis(30'000);   // 0: the kernel's; ours never waits for ever
    helo_timeout = time(lmtp ? "lhlo_timeout" : "helo_timeout");
    starttls_timeout = time("starttls_timeout");
    mail_timeout = time("mail_timeout");
    rcpt_timeout = time("rcpt_timeout");
    data_init_timeout = time("data_init_timeout");
    data_xfer_timeout = time("data_xfer_timeout");
    data_done_timeout = time("data_done_timeout");
    rset_timeout = time("rset_timeout");
    quit_timeout = time("quit_timeout");

    cache_on_demand = boolean("connection_cache_on_demand");
    cache_destinations = list("connection_cache_destinations");
    cache_time_limit = time("connection_cache_time_limit");
    reuse_time_limit = time("connection_reuse_time_limit");
    reuse_count_limit = integer("connection_reuse_count_limit");

    tls_security_level = str("tls_security_level");
    if (tls_security_level.empty()) {
        if (boolean("enforce_tls"))
            tls_security_level = boolean("tls_enforce_peername") ? "verify" : "encrypt";
        else if (boolean("use_tls"))
            tls_security_level = "may";
    }
    tls_wrapper = boolean("tls_wrappermode");
    tls_log_level = integer("tls_loglevel");
    tls_servername = str("tls_servername");

    sasl_enable = boolean("sasl_auth_enable");
    sasl_soft_bounce = boolean("sasl_auth_soft_bounce");
    sender_dependent_authentication = boolean("sender_dependent_authentication");
    sasl_options = list("sasl_security_options");
    sasl_tls_options = list("sasl_tls_security_options");
    sasl_mechanism_filter = list("sasl_mechanism_filter");
}

void ClientSettings::read_flags(const std::vector<std::string>& arguments) {
    for (const auto& word : arguments) {
        if (word.rfind("flags=", 0) != 0) {
            wrong_flags = word;
            continue;
        }
        for (const char flag : std::string_view(word).substr(6)) {
            switch (flag) {
                case 'D': add_delivered_to = true; break;
                case 'O': add_original_to = true; break;
                case 'R': add_return_path = true; break;
                case 'X': final_delivery = true; break;
                default: wrong_flags = flag;
            }
        }
    }
}

}   // namespace postcot::queued

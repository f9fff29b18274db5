// smtp_* or lmtp_* of main.cf as one transport sees them, read once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libproto/config/postfix.h"
#include "libproto/runtime/loop.h"

namespace postcot::queued {

enum class TlsLevel { kNone, kMay, kEncrypt, kVerify, kSecure };
// "dane" and the like, which are not there yet, are an error: the caller must not fall back to less.
Expected<TlsLevel> parse_tls_level(std::string_view text);

struct ClientSettings {
    ClientSettings(const config::MainCf& main, bool lmtp);

    bool lmtp;
    std::string myhostname;
    std::string helo_name;
    std::string tcp_port;
    bool always_send_ehlo;
    bool never_send_ehlo;
    bool skip_5xx_greeting;
    bool skip_quit_response;
    bool randomize_addresses;
    std::string address_preference;
    bool use_ipv4;
    bool use_ipv6;
    bool host_lookup_dns;
    bool host_lookup_native;
    std::string bind_address, bind_address6;
    int64_t mx_session_limit;
    int64_t mx_address_limit;
    std::vector<std::string> fallback_relay;
    size_t line_length_limit;
    bool convert_eight_bit;         // not disable_mime_output_conversion
    bool send_original_recipient;   // enable_original_recipient: ORCPT= where the sender gave none
    // smtp(8) and lmtp(8) flags= of the master.cf line.
    bool add_delivered_to = false, add_original_to = false, add_return_path = false;
    bool final_delivery;       // X; always for LMTP
    std::string wrong_flags;   // what of them does not exist
    void read_flags(const std::vector<std::string>& arguments);
    std::vector<std::string> discard_ehlo_keywords;
    Millis connect_timeout, helo_timeout, starttls_timeout, mail_timeout, rcpt_timeout, data_init_timeout,
        data_xfer_timeout, data_done_timeout, rset_timeout, quit_timeout;

    bool cache_on_demand;
    std::vector<std::string> cache_destinations;
    Millis cache_time_limit, reuse_time_limit;
    int64_t reuse_count_limit;

    std::string tls_security_level;   // with smtp_enforce_tls and smtp_use_tls folded in
    bool tls_wrapper;
    int64_t tls_log_level;
    std::string tls_servername;

    bool sasl_enable;
    bool sasl_soft_bounce;
    bool sender_dependent_authentication;
    std::vector<std::string> sasl_options, sasl_tls_options;
    std::vector<std::string> sasl_mechanism_filter;
};

}   // namespace postcot::queued

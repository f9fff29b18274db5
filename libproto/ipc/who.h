// "Who is logged in": what `doveadm who` asks imapd's and pop3d's parents. A Unix socket per service,
// base_dir/SERVICE-who (imap-who, pop3-who; mode 0600), answers each connection with one line per user and address and
// closes; nothing is read from the caller:
//     user TAB service TAB remote-address TAB pid,pid,... TAB connections LF        (fields escaped as in
//     sasl/auth_protocol.h)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::ipc {

struct WhoEntry {
    std::string user;
    std::string service;   // "imap", "pop3"
    std::string remote_address;
    std::vector<uint32_t> pids;   // of the session processes
    uint32_t connections = 1;
};

std::string who_socket_name(std::string_view service);   // "imap-who"
std::string write_who(const WhoEntry& entry);            // with its LF
Expected<WhoEntry> parse_who(std::string_view line);

}   // namespace postcot::ipc

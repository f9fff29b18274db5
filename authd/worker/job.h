// What authd asks of a root worker, one datagram each way over a SOCK_SEQPACKET pair.
#pragma once

#include <string>

#include "authd/request.h"
#include "libproto/ipc/codec.h"

namespace postcot::authd {

inline constexpr size_t kMaxJob = size_t{64} * 1024;

struct Job {
    std::string driver;          // "pam" or "shadow"
    std::string pam_service;     // pam: file of /etc/pam.d
    bool session = false;        // pam: session=yes
    bool setcred = false;        // pam: setcred=yes
    bool show_message = false;   // pam: failure_show_msg=yes
    std::string user;
    std::string password;
    std::string remote_address;
    bool check_password = true;   // shadow: false asks only whether the user is there

    void encode(ipc::Writer& w) const;
    static Job decode(ipc::Reader& r);
};

struct JobAnswer {
    Result result = Result::kInternalFailure;
    std::string user;         // pam may have changed it; empty: as asked
    std::string log;          // why not, for authd's log line
    bool log_error = false;   // a fault of the configuration rather than of the client
    std::string message;      // what PAM said, for the client
    bool last = false;        // the worker ends now

    void encode(ipc::Writer& w) const;
    static JobAnswer decode(ipc::Reader& r);
};

}   // namespace postcot::authd

// Why something with a remote host did not go well, in the words Postfix has for it.
#pragma once

#include <string>

#include "libproto/error.h"

namespace postcot::queued {

struct Failure {
    std::string dsn;           // "4.4.1"
    std::string text;          // "connect to mx.example.com[192.0.2.1]:25: Connection refused"
    std::string remote_mta;    // "dns; mx.example.com" when the words are the remote host's
    std::string diagnostic;    // "smtp; 550 5.1.1 ..."
    std::string relay;         // "mx.example.com[192.0.2.1]:25"; "none" before any host was reached
    bool tls_failed = false;   // with level "may": worth another try in the clear
    bool stale = false;        // an idle connection had died: worth a new one
    bool permanent() const { return !dsn.empty() && dsn[0] == '5'; }
};

inline Failure make_failure(std::string dsn, std::string text, std::string relay = "none") {
    Failure out;
    out.dsn = std::move(dsn);
    out.text = std::move(text);
    out.relay = std::move(relay);
    return out;
}

}   // namespace postcot::queued

// sendmail(1)'s command line, as Postfix understands it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libproto/ipc/envelope.h"

namespace postcot::tools {

struct SendmailOptions {
    enum class Mode { kSubmit, kListQueue, kFlush, kFlushMessage, kFlushSite, kSmtp, kNewaliases } mode = Mode::kSubmit;
    std::string config;                           // -C
    std::optional<std::string> sender;            // -f, -r; empty: the null sender
    std::string full_name;                        // -F
    bool extract_recipients = false;              // -t
    bool verify = false;                          // -bv
    bool dot_ends = true;                         // not -i, not -oi
    std::string argument;                         // -qI, -qR
    ipc::Ret ret = ipc::Ret::kUnset;              // -R
    uint8_t notify = 0;                           // -N
    std::string envid;                            // -V
    ipc::BodyType body = ipc::BodyType::kUnset;   // -B
    std::vector<std::string> recipients;          // words of the command line
    std::string error;                            // what was wrong: usage
};

SendmailOptions parse_sendmail_options(int argc, char** argv);

}   // namespace postcot::tools

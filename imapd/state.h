// What a session is between two commands, and nothing else: small and serialisable, so that an idle one can be parked outside its process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libproto/ipc/codec.h"

namespace postcot::imapd {

struct SessionState {
    std::string mailbox;           // selected; empty: none
    bool read_only = false;        // EXAMINE
    bool condstore = false;        // RFC 7162 §3.1: enabled once, for the rest of the connection
    bool qresync = false;          // RFC 7162 §3.2.3: VANISHED instead of EXPUNGE
    std::string idle_tag;          // of the IDLE in progress
    std::vector<uint32_t> saved;   // RFC 5182 "$", as UIDs

    void encode(ipc::Writer& w) const;
    static SessionState decode(ipc::Reader& r);
};

}   // namespace postcot::imapd

// RFC 1939 §5: the TRANSACTION state.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "libproto/pop3/command.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/stream.h"
#include "pop3d/maildrop.h"

namespace postcot::pop3d {

// How a session ended, for the log: "Disconnected: <reason> <statistics>".
struct Departure {
    bool quit = false;
    std::string reason;
};

// pop3_logout_format's numbers.
struct Statistics {
    uint64_t top_count = 0, top_octets = 0;
    uint64_t retrieved_count = 0, retrieved_octets = 0;
    uint64_t deleted = 0, messages = 0, total_size = 0;
    uint64_t octets_in = 0, octets_out = 0;
    std::string format(std::string_view logout_format) const;
};

class Transaction {
  public:
    Transaction(Stream& client, Maildrop& drop, const Settings& settings)
        : client_(client), drop_(drop), settings_(settings) {}

    // Entered with the maildrop listed; left by QUIT (§6) or by losing the client.
    Task<Departure> run();
    const Statistics& statistics() const { return statistics_; }

  private:
    Task<void> on(const pop3::Capa&);
    Task<void> on(const pop3::Noop&);
    Task<void> on(const pop3::Stat&);
    Task<void> on(const pop3::Rset&);
    Task<void> on(const pop3::List& list);
    Task<void> on(const pop3::Uidl& uidl);
    Task<void> on(const pop3::Retr& retr);
    Task<void> on(const pop3::Dele& dele);
    Task<void> on(const pop3::Top& top);
    Task<void> on(const pop3::Quit&);
    Task<void> unknown(std::string_view verb);
    Task<void> on(const pop3::Stls&) { return unknown("STLS"); }
    Task<void> on(const pop3::User&) { return unknown("USER"); }
    Task<void> on(const pop3::Pass&) { return unknown("PASS"); }
    Task<void> on(const pop3::Auth&) { return unknown("AUTH"); }

    Task<void> reply(std::string text);
    // Says why a message cannot be had; true when it can.
    bool available(uint32_t number, std::string& refusal) const;
    Task<void> send(uint32_t number, uint64_t body_lines);

    Stream& client_;
    Maildrop& drop_;
    const Settings& settings_;
    Statistics statistics_;
    int bad_commands_ = 0;
};

}   // namespace postcot::pop3d

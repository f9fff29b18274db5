// One connection to a remote SMTP or LMTP server, from the greeting to QUIT, with any number of messages in between.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libproto/ipc/delivery.h"
#include "libproto/runtime/stream.h"
#include "libproto/runtime/tls.h"
#include "libproto/smtp/ehlo.h"
#include "libproto/smtp/reply.h"
#include "queued/remote/failure.h"
#include "queued/remote/routing.h"
#include "queued/remote/sasl.h"
#include "queued/remote/settings.h"

namespace postcot::queued {

struct TlsPlan {
    TlsLevel level = TlsLevel::kNone;
    TlsContext* context = nullptr;    // verifying for kVerify and kSecure
    std::string server_name;          // SNI
    std::vector<std::string> names;   // to verify
    TlsVersions versions;
    std::string ciphers;
};

// A recipient of the message in hand.
struct Attempt {
    const ipc::DeliverRecipient* recipient = nullptr;
    std::optional<ipc::RecipientResult> result;   // set: over and done
    Failure last;                                 // else: why the last host did not take it
};

class Session {
  public:
    // Connects, greets, starts TLS, authenticates.
    static Task<tl::expected<std::unique_ptr<Session>, Failure>> open(Host host, const ClientSettings& settings,
                                                                      TlsPlan tls, std::optional<SaslSecret> secret,
                                                                      std::string unix_folder);

    // One mail transaction (RFC 5321 §3.3). Sets result or last of each attempt that has no result yet.
    Task<void> deliver(const ipc::Deliver& deliver, const ipc::DeliverContent& content, std::vector<Attempt*> attempts);

    bool alive() const { return alive_; }
    const Host& host() const { return host_; }
    // The connection was idle: the first failure on it says nothing about the server.
    void set_reused() { reused_ = true; }
    int deliveries() const { return deliveries_; }
    std::chrono::steady_clock::time_point opened() const { return opened_; }
    // Says QUIT; waits for the answer unless skip_quit_response.
    Task<void> quit();
    double connect_delay() const { return connect_delay_; }

  private:
    Session(Host host, const ClientSettings& settings);
    using Step = tl::expected<void, Failure>;
    using Answer = tl::expected<smtp::Reply, Failure>;
    Task<Step> connect(std::string unix_folder);
    Task<Step> greet(TlsPlan tls, std::optional<SaslSecret> secret);
    Task<Step> hello();
    Task<Step> start_tls(TlsPlan tls, bool immediately);
    Task<Step> authenticate(SaslSecret secret);
    Task<Answer> read_reply(const char* doing, Millis timeout);
    Task<Answer> command(std::string line, const char* doing, Millis timeout);
    struct Body;   // of one message: what the server must be told of it, and how it is sent
    Expected<Body> look_at(const ipc::Deliver& deliver, const ipc::DeliverContent& content) const;
    std::string added_header(const ipc::Deliver& deliver) const;
    Task<bool> send_content(const ipc::Deliver& deliver, const ipc::DeliverContent& content, Body& body,
                            Failure& failure);
    Failure lost(const Error& error, const char* doing);
    Failure refused(const smtp::Reply& reply, const char* command) const;
    ipc::RecipientResult accepted(const smtp::Reply& reply) const;
    void give_up(std::vector<Attempt*>& attempts, const Failure& failure);
    std::optional<Failure> cannot_take(const ipc::Deliver& deliver, const ipc::DeliverContent& content,
                                       const std::vector<Attempt*>& attempts, bool& needs_utf8) const;
    std::string mail_command(const ipc::Deliver& deliver, const ipc::DeliverContent& content, bool needs_utf8,
                             const Body& body) const;
    std::string rcpt_command(const ipc::DeliverRecipient& recipient, bool smtputf8) const;

    Host host_;
    const ClientSettings& settings_;
    std::optional<Stream> stream_;
    smtp::EhloKeywords ehlo_;
    bool alive_ = false;
    bool esmtp_ = false;
    bool reused_ = false;
    int deliveries_ = 0;
    double connect_delay_ = 0;
    std::chrono::steady_clock::time_point opened_;
};

}   // namespace postcot::queued

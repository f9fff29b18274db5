// One SMTP (or LMTP) connection, from "connect from" to "disconnect from". The verbs are in commands/, one file a group.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/runtime/net.h"
#include "libproto/runtime/stream.h"
#include "libproto/smtp/command.h"
#include "smtpd/context.h"
#include "smtpd/message.h"
#include "smtpd/worker.h"

namespace postcot::smtpd {

class Session {
  public:
    Session(Worker& worker, ServiceRuntime& runtime, Accepted accepted);
    ~Session();

    Task<void> run();

  private:
    // Why the session ended other than by QUIT: what the log says and whether the client can still be told.
    enum class End { kNone, kQuit, kLost, kTimeout, kTooManyErrors, kShutdown, kHangUp };

    // ---- session.cc: life and replies
    Task<void> serve();
    Task<void> linger();
    Task<bool> admit();   // connection limits, smtpd_client_restrictions when not delayed; false: turned away
    Task<bool> next_command();
    Task<void> dispatch(std::string_view line);
    Task<void> obey(smtp::CommandLine command);
    bool out_of_step(const smtp::CommandLine& command);   // improper pipelining, and the session is over for it
    bool refuse_early(const smtp::CommandLine& command);
    void reply(int code, std::string_view enhanced, std::string_view text);
    void reply(const Error& error) { reply(error.code, error.enhanced, error.text); }
    void reply_lines(int code, const std::vector<std::string>& lines);
    void refuse(std::string_view verb, const Verdict& v);   // logged and answered
    void refuse(std::string_view verb, const Error& error);
    void lost(const Error& error);
    void log_disconnect();
    void reset_transaction();
    bool client_in(const table::MatchList& list) const;
    bool limited() const;   // do rate limits apply to this client?
    void log_illegal_address(std::string_view verb, std::string_view arguments, const Error& error) const;
    void log_info(std::string_view text) const;
    void log_warning(std::string_view text) const;

    // ---- commands/
    Task<void> on_helo(smtp::CommandLine command);
    Task<void> on_mail(std::string_view arguments);
    Task<void> on_rcpt(std::string_view arguments);
    Task<void> on_data(std::string_view arguments);
    Task<void> on_bdat(std::string_view arguments);
    Task<void> on_auth(std::string_view arguments);
    Task<void> on_start_tls(std::string_view arguments);
    Task<void> on_vrfy(std::string_view arguments);
    Task<void> on_etrn(std::string_view arguments);
    void on_rset(std::string_view arguments);
    void on_help();
    void on_quit(std::string_view arguments);
    void on_unknown(const smtp::CommandLine& command);

    // ---- filters.cc: of a filter that is configured and not served
    void choose_milter();
    Verdict unfiltered() const;           // by smtpd_milters: MAIL, VRFY
    Verdict unfiltered_content() const;   // by header_checks and the like: DATA, BDAT
    Verdict no_way_to_queue() const;      // smtpd_proxy_filter, cleanup_service_name: RCPT

    // ---- used by several commands
    Task<bool> start_tls();
    std::vector<std::string> ehlo_keywords();
    std::string auth_mechanisms() const;
    Task<void> learn_mechanisms();
    Error no_recipients() const;
    Task<Expected<void>> begin_message();
    smtp::HeaderOptions header_options() const;
    Task<void> finish_message();
    ipc::Envelope envelope() const;
    void answer_message(const Expected<std::string>& queued);

    Worker& worker_;
    ServiceRuntime& runtime_;
    const Service& service_;
    Stream stream_;
    Context c_;
    std::vector<RecipientFacts> recipients_;
    config::MissingFilter milter_;
    std::unique_ptr<Message> message_;
    bool bdat_active_ = false;     // a BDAT series has begun
    bool bdat_failed_ = false;     // ... and the rest of it is only skipped
    bool access_denied_ = false;   // smtpd_delay_reject=no: refused at connection time
    bool counted_ = false;         // in the connection counters
    bool mechanisms_known_ = false;
    uint32_t discard_keywords_ = 0;
    int errors_ = 0;
    int junk_ = 0;
    size_t overshoot_ = 0;   // recipients past smtpd_recipient_limit
    bool last_reply_was_error_ = false;
    std::string where_ = "CONNECT";   // the last command, for "lost connection after"
    End end_ = End::kNone;
    int64_t arrival_seconds_ = 0;
    uint32_t arrival_microseconds_ = 0;
    struct Count {
        unsigned good = 0, total = 0;
    };
    std::array<Count, smtp::kVerbCount> counts_{};
};

}   // namespace postcot::smtpd

// One IMAP connection after its login: RFC 3501 §3.2-§3.4. Reads a command, lets commands/VERB.cc act, tells what changed, answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "imapd/owner.h"
#include "imapd/settings.h"
#include "imapd/state.h"
#include "imapd/watcher.h"
#include "libmaildir/store.h"
#include "libproto/imap/command.h"
#include "libproto/imap/reader.h"
#include "libproto/login/logged_in.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/stream.h"

namespace postcot::imapd {

// How a command ends.
struct Reply {
    enum class Status { kOk, kNo, kBad, kNone /* already answered */ } status = Status::kOk;
    std::string code;
    std::string text;
    std::string trouble;        // for the log: what the client need not know
    bool with_modseq = false;   // RFC 7162 §3.2.7: say HIGHESTMODSEQ as it is after the news
};
Reply ok(std::string text, std::string code = {});
// Error::enhanced is the response code. What failed in the system is told in Dovecot's words, and logged.
Reply no(const Error& error);
Reply no(std::string code, std::string text);
Reply bad(std::string text);

// Which news may go out with a command's reply (RFC 3501 §7.4.1: no EXPUNGE during FETCH, STORE or SEARCH by sequence number).
enum class News { kNone, kNoExpunges, kAll };

// imap_logout_format
struct Counters {
    uint64_t deleted = 0, expunged = 0, appended = 0, autoexpunged = 0;
    uint64_t header_count = 0, header_bytes = 0, body_count = 0, body_bytes = 0;
};

// The section that a client fetches piece by piece, open at the place it has got to: each piece would otherwise cost another pass over the
// message, and a large one quadratic time.
struct OpenSection {
    maildir::Uid uid;
    mime::Section section;
    std::unique_ptr<maildir::Content> content;
};

class Session {
  public:
    Session(std::shared_ptr<Owner> owner, Watcher& watcher, const Settings& settings, login::LoggedIn facts);
    ~Session();

    Task<void> run();

    Stream& stream() { return stream_; }
    Owner& owner() { return *owner_; }
    Watcher& watcher() { return watcher_; }
    const Settings& settings() const { return settings_; }
    SessionState& state() { return state_; }
    Counters& counters() { return counters_; }
    OpenSection& open_section() { return open_section_; }
    const std::string& tag() const { return tag_; }
    imap::CommandReader& reader() { return reader_; }
    bool by_uid() const { return by_uid_; }

    void put(std::string_view text) { stream_.put(text); }
    void log(log::Level level, const std::string& text) const;

    // The selected mailbox; nullptr in the authenticated state. Use it only inside with_mailbox().
    maildir::Mailbox* mailbox() { return mailbox_.get(); }
    void set_mailbox(std::unique_ptr<maildir::Mailbox> mailbox, bool read_only);
    Task<void> close_mailbox();
    // fn(Mailbox&) with the owner's store to itself, on the thread pool.
    template <class Fn>
    Task<std::invoke_result_t<Fn, maildir::Mailbox&>> with_mailbox(Fn fn) {
        auto call = [this, &fn](maildir::MailStore&) { return fn(*mailbox_); };
        co_return co_await owner_->with_store(call);
    }

    // Looks at the mailbox and puts out what changed. False: the mailbox is gone, the connection must end.
    Task<bool> tell_news(bool expunges);
    void enable_condstore();

    // IDLE: something may have changed.
    void wake() { woken_.set(); }
    Event& woken() { return woken_; }

    // A sequence set of a command, in the selected mailbox's sequence numbers. By number, what is past the last message is an error (BAD);
    // by UID, what is not there is left out.
    Task<Expected<std::vector<maildir::SeqNum>>> resolve(const imap::SequenceSet& set, bool uid);

    void end(std::string reason) {
        end_reason_ = std::move(reason);
        ended_ = true;
    }
    bool ended() const { return ended_; }
    void begin_command(const imap::Request& request);
    // News, then the tagged response.
    Task<void> finish_command(Reply reply, News news, std::string verb);
    void count_bad_command();

  private:
    Task<void> loop();
    Task<bool> read_command();   // false: the connection ends
    Task<void> execute(imap::Request request);
    void answer(const Reply& reply, const std::string& verb);
    std::string logout_line() const;

    std::shared_ptr<Owner> owner_;   // shared by the owner's sessions
    Watcher& watcher_;
    const Settings& settings_;
    Stream stream_;
    login::LoggedIn facts_;
    imap::CommandReader reader_;
    std::unique_ptr<maildir::Mailbox> mailbox_;
    SessionState state_;
    Counters counters_;
    OpenSection open_section_;
    std::string tag_;
    std::string log_prefix_;
    std::string end_reason_;
    Event woken_;
    uint32_t told_exists_ = 0;   // what the client believes
    uint32_t told_recent_ = 0;
    int bad_commands_ = 0;
    bool by_uid_ = false;
    bool ended_ = false;
};

}   // namespace postcot::imapd

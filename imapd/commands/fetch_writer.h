// Writes FETCH responses in pieces of bounded size: a mailbox of any size and a message of any size cost the same memory. Works on the store, so
// fill() runs inside Session::with_mailbox(); between two calls other sessions of the owner have their turn.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "imapd/session.h"
#include "libmaildir/store.h"
#include "libproto/imap/fetch.h"

namespace postcot::imapd {

class FetchWriter {
  public:
    FetchWriter(const imap::Fetch& fetch, std::vector<maildir::SeqNum> messages, bool read_only, bool condstore,
                Counters& counters, OpenSection& kept);

    // Appends to `out` until about `target` octets are in it; true when nothing is left to write. An error ends the connection: a literal that
    // was announced cannot be finished.
    Expected<bool> fill(maildir::Mailbox& mailbox, std::string& out, size_t target);

    bool some_gone() const { return gone_; }   // messages that someone else expunged were left out
    bool set_seen() const { return set_seen_; }
    // A part whose transfer encoding is not known was asked for decoded (RFC 3516 §4.3): its message was left out.
    bool unknown_encoding() const { return unknown_encoding_; }

  private:
    void begin_message(maildir::Mailbox& mailbox, std::string& out);
    void end_message(std::string& out);
    void mark_seen(maildir::Mailbox& mailbox);
    Expected<void> write_item(maildir::Mailbox& mailbox, const imap::FetchItem& item, std::string& out);
    Expected<void> open_section(maildir::Mailbox& mailbox, const imap::FetchItem& item, std::string& out);
    Expected<void> pump_content(std::string& out, size_t target);
    void close_content();
    void append_date(std::string& out, std::string_view label, maildir::DateTime date);   // INTERNALDATE, SAVEDATE

    std::vector<imap::FetchItem> items_;
    std::vector<maildir::SeqNum> messages_;
    std::optional<uint64_t> changed_since_;
    bool sets_seen_ = false;
    bool flags_asked_ = false;
    bool condstore_ = false;
    Counters& counters_;
    OpenSection& kept_;   // of the session

    size_t next_ = 0;   // message
    size_t item_ = 0;
    bool in_message_ = false;
    bool in_out_ = false;   // the current message's response begins in the current piece, at message_start_
    bool first_item_ = true;
    size_t message_start_ = 0;
    std::unique_ptr<maildir::Content> content_;   // the literal that is being written
    uint64_t content_offset_ = 0;
    uint64_t content_left_ = 0;
    bool content_binary_ = false;
    maildir::Uid content_uid_;
    size_t marked_until_ = 0;
    std::vector<maildir::SeqNum> newly_seen_;
    bool gone_ = false;
    bool unknown_encoding_ = false;
    bool set_seen_ = false;
    int64_t zone_block_ = INT64_MIN;   // of the last INTERNALDATE
    int zone_minutes_ = 0;
};

}   // namespace postcot::imapd

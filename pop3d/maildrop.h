// The maildrop: the INBOX as it was when the session began. Messages keep their numbers; deletions wait for QUIT (RFC 1939 §6).
// Synchronous: call from blocking(), one call at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libmaildir/store.h"
#include "pop3d/settings.h"

namespace postcot::pop3d {

class Maildrop {
  public:
    static Expected<std::unique_ptr<Maildrop>> open(const Settings& settings, maildir::StoreOptions options);

    uint32_t count() const { return static_cast<uint32_t>(sizes_.size()); }
    bool exists(uint32_t number) const { return number >= 1 && number <= sizes_.size(); }
    bool deleted(uint32_t number) const { return deleted_[number - 1]; }
    uint64_t size(uint32_t number) const { return sizes_[number - 1]; }
    uint64_t total_size() const;   // of all, deleted ones too
    Expected<std::string> uidl(uint32_t number);
    // All UIDLs, for the reply to UIDL without a number.
    Expected<std::vector<std::string>> uidls();
    Expected<std::unique_ptr<maildir::Content>> content(uint32_t number);

    void mark_deleted(uint32_t number) { deleted_[number - 1] = true; }
    void mark_retrieved(uint32_t number) { retrieved_[number - 1] = true; }
    void reset();
    uint32_t deletions() const;

    // \Seen on what was retrieved (unless pop3_no_flag_updates); with `expunge` (the UPDATE state), deletes what is marked.
    Expected<void> update(bool expunge);

  private:
    explicit Maildrop(const Settings& settings) : settings_(settings) {}
    const Settings& settings_;
    std::unique_ptr<maildir::MailStore> store_;
    std::shared_ptr<void> lock_;
    std::unique_ptr<maildir::Mailbox> inbox_;
    std::vector<uint64_t> sizes_;
    std::vector<bool> deleted_, retrieved_;
};

}   // namespace postcot::pop3d

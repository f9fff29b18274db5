// The mail store. imapd and pop3d name no file: they see a MailStore of one user, Mailboxes (one session's view each)
// and Messages.
//
// All calls are synchronous. A MailStore and everything got from it is used by one thread at a time: hold one mutex per
// store and run long calls in blocking(). Only Content (an opened message) may be read without that mutex, by one
// thread at a time. Other processes (another session, queued's delivery, a real Dovecot) may work on the same Maildir
// at any time.
//
// Folder names are UTF-8 in the namespace's form: prefix and separator included ("INBOX", "INBOX.Sent"). INBOX is
// case-insensitive. Errors carry the IMAP response code in `enhanced`: NONEXISTENT, ALREADYEXISTS, CANNOT, NOPERM,
// LIMIT, OVERQUOTA, EXPUNGEISSUED, INUSE, SERVERBUG, CORRUPTION; TRYCREATE for a missing target of append/copy/move.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libmaildir/options.h"
#include "libmaildir/search.h"
#include "libmaildir/types.h"
#include "libproto/error.h"
#include "libproto/mime/section.h"
#include "libproto/runtime/files.h"

namespace postcot::maildir {

struct FolderInfo {
    std::string name;
    char separator = '.';
    bool exists = true;       // false: only subscribed to
    bool selectable = true;   // false: \Noselect (a parent that is no folder itself)
    bool has_children = false;
    bool subscribed = false;
    bool marked = false;       // \Marked: new mail since the last open; from the cache, never opens the folder
    std::string special_use;   // "\Sent" ...; empty
};

struct FolderStatus {   // STATUS (RFC 3501 §6.3.10, RFC 7162, RFC 8438)
    uint32_t messages = 0;
    uint32_t recent = 0;
    uint32_t unseen = 0;
    uint32_t deleted = 0;
    Uid uid_next;
    uint32_t uid_validity = 0;
    ModSeq highest_modseq;
    uint64_t size = 0;   // only when asked for: may have to read messages
};

// A message as it is read: the octets of a section in CRLF form, whatever the file has.
class Content {
  public:
    virtual ~Content() = default;
    virtual uint64_t size() const = 0;   // octets in CRLF form
    // Octets from `offset` on; 0 at the end. Reading forward is cheap, going back starts over.
    virtual Expected<size_t> read(char* buffer, size_t length, uint64_t offset) = 0;
};
Expected<std::string> read_all(Content& content, uint64_t offset = 0, uint64_t length = UINT64_MAX);

// A message of a Mailbox's view. A light handle: valid until the next sync() of its Mailbox.
// string_views live until the next call on the store.
class Message {
  public:
    Message(class Mailbox& mailbox, size_t index) : mailbox_(&mailbox), index_(index) {}

    Uid uid() const;
    SeqNum seq() const;
    FlagSet flags() const;
    ModSeq modseq() const;
    bool recent() const;
    DateTime internal_date() const;   // the file's time of arrival
    Expected<DateTime> save_date() const;
    Expected<uint64_t> size() const;   // RFC822.SIZE: octets in CRLF form
    std::string guid() const;          // EMAILID, UIDL

    Expected<std::string> pop3_uidl() const;   // UIDL kept from another server; empty: none

    // Ready IMAP wire forms, parentheses included: a FETCH is a copy.
    Expected<std::string_view> envelope() const;
    Expected<std::string_view> bodystructure() const;   // with extension data
    Expected<std::string_view> body() const;            // without
    Expected<std::string_view> preview() const;         // UTF-8 text, at most 200 characters (RFC 8970); not quoted

    // BODY[section]; nullptr when the message has no such part (IMAP: NIL). EXPUNGEISSUED when the message is gone.
    Expected<std::unique_ptr<Content>> open(const mime::Section& section = {}) const;

  private:
    Mailbox* mailbox_;
    size_t index_;
};

// What a session must be told. Apply in this order: expunged, exists/recent, flags.
struct Changes {
    std::vector<SeqNum>
        expunged;   // as EXPUNGE responses go out, one after the other (each already counts the ones before it)
    std::vector<Uid> vanished;     // the same messages by UID, ascending (QRESYNC)
    bool exists_changed = false;   // then say EXISTS and RECENT
    uint32_t exists = 0;
    uint32_t recent = 0;
    std::vector<SeqNum> flags;       // numbers after the expunges; FETCH (FLAGS), with UID/MODSEQ when enabled
    bool keywords_changed = false;   // new keywords: say FLAGS and PERMANENTFLAGS again before `flags`
    bool empty() const { return expunged.empty() && !exists_changed && flags.empty() && !keywords_changed; }
};

struct StoreChange {
    enum class How { kAdd, kRemove, kReplace } how = How::kAdd;
    uint8_t system = 0;                      // SystemFlag bits
    std::vector<std::string> keywords;       // by name; unknown ones are made (LIMIT past 26)
    std::optional<ModSeq> unchanged_since;   // RFC 7162 §3.1.3
};
struct StoreResult {
    std::vector<SeqNum>
        changed;   // of what was asked, in order, those whose flags were (re)stored: FETCH them unless .SILENT
    std::vector<SeqNum> surprising;   // of those, whose flags someone else had changed too: FETCH them even then
    std::vector<SeqNum> modified;     // failed UNCHANGEDSINCE (MODIFIED response code, as numbers or UIDs)
    std::vector<SeqNum> gone;         // expunged by someone else
    bool keywords_changed = false;
};

// RFC 4315 COPYUID/APPENDUID.
struct CopyResult {
    uint32_t uid_validity = 0;
    std::vector<Uid> source;
    std::vector<Uid> target;
};

// One session's view of a folder. Sequence numbers are stable: other sessions' changes show after sync(). Own store()
// shows at once.
class Mailbox {
  public:
    virtual ~Mailbox() = default;

    virtual const std::string& name() const = 0;
    virtual bool read_only() const = 0;
    virtual uint32_t exists() const = 0;
    virtual uint32_t recent() const = 0;
    virtual std::optional<SeqNum> first_unseen() const = 0;
    virtual uint32_t uid_validity() const = 0;
    virtual Uid uid_next() const = 0;
    virtual ModSeq highest_modseq() const = 0;
    virtual std::string mailbox_id() const = 0;   // RFC 8474 MAILBOXID
    virtual const std::vector<std::string>& keywords()
        const = 0;   // index = bit in FlagSet; may contain "" for a dropped one
    virtual bool can_create_keywords() const = 0;

    // Looks at the disk and brings the view up to date. With `expunges` false (during FETCH, STORE, SEARCH: RFC 3501
    // §7.4.1) messages that are gone stay in the view; their Message answers EXPUNGEISSUED where the file is needed.
    virtual Expected<Changes> sync(bool expunges = true) = 0;

    // Directories to watch (inotify: create, moved to/from, delete) for IDLE; then call sync().
    virtual std::vector<std::string> watch_paths() const = 0;

    Message at(SeqNum seq) { return Message(*this, seq.value - 1); }   // 1..exists()
    virtual std::optional<SeqNum> find(Uid uid) const = 0;
    virtual Uid uid_of(SeqNum seq) const = 0;
    // Sequence numbers of the messages whose UIDs are in the set; unknown UIDs are left out.
    virtual std::vector<SeqNum> select_uids(const NumberSet& uids) const = 0;
    virtual std::vector<SeqNum> select(const NumberSet& numbers) const = 0;   // numbers past exists() are left out

    virtual Expected<StoreResult> store(const std::vector<SeqNum>& messages, const StoreChange& change) = 0;
    // Removes \Deleted messages (of `uids` only, when given: UID EXPUNGE). Tell the session through sync().
    virtual Expected<uint32_t> expunge(const NumberSet* uids = nullptr) = 0;
    virtual Expected<CopyResult> copy(const std::vector<SeqNum>& messages, const std::string& target) = 0;
    virtual Expected<CopyResult> move(const std::vector<SeqNum>& messages, const std::string& target) = 0;

    // Ascending sequence numbers. Errors only for the store's own trouble.
    virtual Expected<std::vector<SeqNum>> search(const SearchKey& key) = 0;
    virtual Expected<std::vector<SeqNum>> sort(const SearchKey& key, const std::vector<SortKey>& order) = 0;
    virtual Expected<std::vector<ThreadNode>> thread(const SearchKey& key, ThreadAlgorithm algorithm) = 0;

    // QRESYNC: UIDs expunged after `since` (ascending); nullopt when the log does not reach back so far: then any UID
    // not present may have vanished.
    virtual Expected<std::optional<std::vector<Uid>>> expunged_since(ModSeq since) = 0;

  protected:
    friend class Message;
    virtual FlagSet flags_at(size_t index) const = 0;
    virtual ModSeq modseq_at(size_t index) const = 0;
    virtual bool recent_at(size_t index) const = 0;
    virtual DateTime date_at(size_t index) = 0;
    virtual Expected<DateTime> save_date_at(size_t index) = 0;
    virtual Expected<uint64_t> size_at(size_t index) = 0;
    virtual std::string guid_at(size_t index) = 0;
    virtual Expected<std::string> pop3_uidl_at(size_t index) = 0;
    enum class Cached { kEnvelope, kBodyStructure, kBody, kPreview };
    virtual Expected<std::string_view> cached_at(size_t index, Cached what) = 0;
    virtual Expected<std::unique_ptr<Content>> open_at(size_t index, const mime::Section& section) = 0;
};

// APPEND (RFC 3502 MULTIAPPEND: begin() again for each message). Nothing is visible before commit(); destroying it
// without commit leaves nothing.
class Append {
  public:
    virtual ~Append() = default;
    virtual Expected<void> begin(uint8_t system_flags, const std::vector<std::string>& keywords,
                                 std::optional<DateTime> internal_date) = 0;
    virtual Expected<void> write(std::string_view data) = 0;   // CRLF or LF; kept with LF
    virtual Expected<CopyResult> commit() = 0;                 // all messages durable, all or none; `source` is empty
};

enum class Access { kReadWrite, kReadOnly };   // SELECT, EXAMINE

class MailStore {
  public:
    virtual ~MailStore() = default;

    // Makes the Maildir and `auto = create/subscribe` folders where absent.
    static Expected<std::unique_ptr<MailStore>> open(StoreOptions options, Files& files = Files::disk());

    virtual const std::vector<NamespaceConfig>& namespaces() const = 0;

    // All folders of listed namespaces in name order, parents that are no folders included (\Noselect); with
    // `subscribed_too`, subscriptions without a folder too.
    virtual Expected<std::vector<FolderInfo>> folders(bool subscribed_too = false) = 0;
    virtual Expected<void> create(const std::string& name, const std::string& special_use = {}) = 0;
    virtual Expected<void> remove(const std::string& name) = 0;   // children stay (RFC 3501 §6.3.4)
    virtual Expected<void> rename(const std::string& from,
                                  const std::string& to) = 0;   // with children; INBOX: moves its messages
    virtual Expected<void> subscribe(const std::string& name, bool on) = 0;
    virtual bool exists(const std::string& name) = 0;

    // From the folder list's counters while cur/ and new/ have not changed: opens no folder.
    virtual Expected<FolderStatus> status(const std::string& name, bool want_size = false) = 0;

    virtual Expected<std::unique_ptr<Mailbox>> select(const std::string& name, Access access) = 0;
    virtual Expected<std::unique_ptr<Append>> append(const std::string& name) = 0;

    // pop3_lock_session: keeps other POP3 sessions of this user out until the result is destroyed. INUSE when another has it.
    virtual Expected<std::shared_ptr<void>> lock_pop3_session() = 0;

    // Drops in-memory state of folders that no Mailbox shows, and writes the cache: call when a session idles.
    virtual void trim() = 0;
};

}   // namespace postcot::maildir

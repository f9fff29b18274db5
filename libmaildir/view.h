// A session's view of a Folder: which messages it has been told of, and with what flags.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libmaildir/content.h"
#include "libmaildir/folder.h"
#include "libmaildir/message_cache.h"
#include "libmaildir/store.h"
#include "libproto/mime/message.h"

namespace postcot::maildir {

// What a view needs of its store: other folders by name.
class FolderSource {
  public:
    virtual ~FolderSource() = default;
    virtual Expected<std::shared_ptr<Folder>> folder_named(const std::string& name) = 0;
    virtual bool hard_links() const = 0;
};

class View final : public Mailbox {
  public:
    View(FolderSource& source, std::shared_ptr<Folder> folder, std::string name, bool read_only);
    ~View() override;

    const std::string& name() const override { return name_; }
    bool read_only() const override { return read_only_; }
    uint32_t exists() const override { return static_cast<uint32_t>(rows_.size()); }
    uint32_t recent() const override { return recent_; }
    std::optional<SeqNum> first_unseen() const override;
    uint32_t uid_validity() const override { return uid_validity_; }
    Uid uid_next() const override { return Uid{folder_->next_uid()}; }
    ModSeq highest_modseq() const override { return ModSeq{highest_modseq_}; }
    std::string mailbox_id() const override { return folder_->guid(); }
    const std::vector<std::string>& keywords() const override { return keywords_; }
    bool can_create_keywords() const override;

    Expected<Changes> sync(bool expunges) override;
    std::vector<std::string> watch_paths() const override;

    std::optional<SeqNum> find(Uid uid) const override;
    Uid uid_of(SeqNum seq) const override { return Uid{rows_[seq.value - 1].uid}; }
    std::vector<SeqNum> select_uids(const NumberSet& uids) const override;
    std::vector<SeqNum> select(const NumberSet& numbers) const override;

    Expected<StoreResult> store(const std::vector<SeqNum>& messages, const StoreChange& change) override;
    Expected<uint32_t> expunge(const NumberSet* uids) override;
    Expected<CopyResult> copy(const std::vector<SeqNum>& messages, const std::string& target) override;
    Expected<CopyResult> move(const std::vector<SeqNum>& messages, const std::string& target) override;

    Expected<std::vector<SeqNum>> search(const SearchKey& key) override;
    Expected<std::vector<SeqNum>> sort(const SearchKey& key, const std::vector<SortKey>& order) override;
    Expected<std::vector<ThreadNode>> thread(const SearchKey& key, ThreadAlgorithm algorithm) override;
    Expected<std::optional<std::vector<Uid>>> expunged_since(ModSeq since) override;

    // For search, sort and thread. `head` lives until the next call.
    size_t size() const { return rows_.size(); }
    uint32_t uid_at(size_t index) const { return rows_[index].uid; }
    Expected<std::string_view> head_at(size_t index);
    Expected<std::shared_ptr<MessageFile>> file_at(size_t index);
    // Calls `fn` with the head of each of these messages (ascending), reading files of those not cached. Gone messages get an empty head.
    Expected<void> each_head(const std::vector<SeqNum>& messages,
                             const std::function<void(SeqNum, std::string_view)>& fn);
    std::string path_at(size_t index);   // empty when it is gone
    Files& files() const { return folder_->files(); }
    void finish() { folder_->flush_cache(); }

    FlagSet flags_at(size_t index) const override { return {rows_[index].system, rows_[index].keywords}; }
    ModSeq modseq_at(size_t index) const override { return ModSeq{rows_[index].modseq}; }
    bool recent_at(size_t index) const override { return rows_[index].recent != 0; }
    DateTime date_at(size_t index) override;
    Expected<DateTime> save_date_at(size_t index) override;
    Expected<uint64_t> size_at(size_t index) override;
    std::string guid_at(size_t index) override;
    Expected<std::string> pop3_uidl_at(size_t index) override;
    Expected<std::string_view> cached_at(size_t index, Cached what) override;
    Expected<std::unique_ptr<Content>> open_at(size_t index, const mime::Section& section) override;

  private:
    struct Row {
        uint32_t uid = 0;
        uint32_t keywords = 0;
        uint64_t modseq = 0;
        uint8_t system = 0;
        uint8_t recent = 0;
    };
    Entry* entry_at(size_t index);
    void fill();
    void take(Row& row, const Entry& entry) const;
    void warm(const std::vector<size_t>& indexes);
    maildir::Cached build(size_t index, const MessageFile& file);
    Expected<CopyResult> copy_into(const std::vector<SeqNum>& messages, const std::string& target,
                                   std::vector<uint32_t>& sources);

    FolderSource& source_;
    std::shared_ptr<Folder> folder_;
    std::string name_;
    bool read_only_;
    std::vector<Row> rows_;
    std::vector<std::string> keywords_;
    uint32_t recent_ = 0;
    uint32_t uid_validity_ = 0;
    uint64_t highest_modseq_ = 0;
    uint64_t version_ = 0;
    bool held_back_ = false;   // rows of messages that are gone, not yet told
    std::string scratch_;
    // The message whose parts were asked for last: a client asks for several of one. Until the next sync().
    struct Parsed {
        uint32_t uid = 0;
        std::shared_ptr<MessageFile> file;
        mime::Part root;
    };
    Parsed parsed_;
    uint32_t scratch_uid_ = 0;   // whose wire record `scratch_` is
    size_t last_miss_ = SIZE_MAX;
    int misses_in_order_ = 0;
    std::string head_scratch_;
    std::vector<std::pair<uint32_t, std::string>> uidls_;
    bool uidls_read_ = false;
};

// search.cc
Expected<std::vector<SeqNum>> run_search(View& view, const SearchKey& key);

}   // namespace postcot::maildir

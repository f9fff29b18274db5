// APPEND into a folder: files written in tmp/, made durable, then given UIDs and put into cur/ all at once.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "libmaildir/folder.h"
#include "libmaildir/store.h"

namespace postcot::maildir {

class FolderAppend final : public Append {
  public:
    FolderAppend(std::shared_ptr<Folder> folder, bool fsync) : folder_(std::move(folder)), fsync_(fsync) {}
    ~FolderAppend() override;

    Expected<void> begin(uint8_t system_flags, const std::vector<std::string>& keywords,
                         std::optional<DateTime> internal_date) override;
    Expected<void> write(std::string_view data) override;
    Expected<CopyResult> commit() override;

  private:
    struct Item {
        std::string base, path;
        std::unique_ptr<File> file;
        uint8_t system = 0;
        std::vector<std::string> keywords;
        std::optional<DateTime> date;
        uint64_t size = 0, crlf_size = 0;
        std::string buffer;   // not yet written
        std::string text;     // the whole message, while it is small: cached without reading it back
        bool small = true;
        bool last_was_cr = false;
        bool placed = false;
    };
    Expected<void> drain(Item& item);
    Expected<void> finish(Item& item);

    std::shared_ptr<Folder> folder_;
    bool fsync_;
    std::vector<Item> items_;
};

}   // namespace postcot::maildir

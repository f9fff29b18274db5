// A message file in memory (small) or mapped (large), and its octets in CRLF form.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libmaildir/store.h"
#include "libproto/runtime/files.h"

namespace postcot::maildir {

class MessageFile {
  public:
    static Expected<std::shared_ptr<MessageFile>> open(Files& files, const std::string& path);
    ~MessageFile();
    MessageFile(const MessageFile&) = delete;
    MessageFile& operator=(const MessageFile&) = delete;

    std::string_view text() const { return text_; }
    int64_t modified() const { return modified_; }   // INTERNALDATE
    int64_t changed() const { return changed_; }     // when it came into this folder

  private:
    MessageFile() = default;
    std::string data_;
    void* map_ = nullptr;
    size_t map_length_ = 0;
    std::string_view text_;
    int64_t modified_ = 0, changed_ = 0;
};

// Octets that `text` has in CRLF form.
uint64_t crlf_size(std::string_view text);

// Ranges of the file in CRLF form, one after the other, with a final CRLF if asked for.
std::unique_ptr<Content> content_of(std::shared_ptr<MessageFile> file,
                                    std::vector<std::pair<uint64_t, uint64_t>> ranges, bool add_blank);
// A text made for the purpose; `convert` makes its bare LFs CRLF.
std::unique_ptr<Content> content_of(std::string text, bool convert);

}   // namespace postcot::maildir

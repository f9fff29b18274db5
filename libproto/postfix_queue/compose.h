// Writes a queue file as cleanup(8) does, for Postfix's qmgr(8) to read:
//
//     Composer composer(message);
//     write composer.head(); composer.text(piece) for each piece of the content; composer.end(); then composer.sizes() over the start of the file.
//
// The content has LF line ends. recipients()[i].offset is where recipient i stands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/postfix_queue/message.h"

namespace postcot::postfix_queue {

class Composer {
  public:
    // kMaildrop: as postdrop(1) does, for pickup(8): without the sizes, so without sizes() at the end.
    enum class Kind { kQueue, kMaildrop };
    explicit Composer(Message message, Kind kind = Kind::kQueue);

    const std::string& head() const { return head_; }
    std::string text(std::string_view piece);
    std::string end(const std::vector<std::string>& more_recipients = {});
    std::string sizes() const;   // as long as what head() begins with
    const std::vector<Recipient>& recipients() const { return message_.recipients; }

  private:
    void recipient(Recipient& recipient);

    Message message_;
    std::string head_;
    std::string line_;   // not yet ended
    uint64_t content_size_ = 0;
    bool in_header_ = true, header_utf8_ = false;
    unsigned notify_ = 0;
};

}   // namespace postcot::postfix_queue

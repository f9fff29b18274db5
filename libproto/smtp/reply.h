// RFC 5321 §4.2: replies, with RFC 2034's enhanced status codes. Both directions: the server formats, the client
// parses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::smtp {

struct Reply {
    int code = 0;                     // 200..599
    std::string enhanced;             // "2.1.0"; empty when the peer sent none (or for EHLO, 220 and 354)
    std::vector<std::string> lines;   // text of each line without code and enhanced status; at least one

    bool positive() const { return code >= 200 && code < 300; }
    bool intermediate() const { return code >= 300 && code < 400; }
    bool transient() const { return code >= 400 && code < 500; }
    bool permanent() const { return code >= 500 && code < 600; }
    // "550 5.1.1 <a@b>: Recipient address rejected ..." with lines joined by one space: what logs and DSNs quote.
    std::string text() const;
};

// "250 2.1.0 Ok" CRLF; several lines get "250-". Text is cut to RFC 5321 §4.5.3.1.5's 512 octets a line.
std::string format_reply(const Reply& reply);
std::string format_reply(int code, std::string_view enhanced, std::string_view text);
std::string format_reply(const Error& error);   // code, enhanced and text of a refusal

// Collects one reply from lines without their line ends. Total and bounded: at most kMaxLines lines are kept, the rest
// read and dropped.
class ReplyParser {
  public:
    static constexpr size_t kMaxLines = 100;

    // True when the reply is complete (take() it then). An error (EPROTO) means the peer does not speak SMTP.
    Expected<bool> feed(std::string_view line);
    Reply take();

  private:
    Reply reply_;
};

// Splits "5.1.1 text" into status and text; `text` is untouched and the result empty when there is no status.
std::string_view take_enhanced_status(std::string_view& text);

}   // namespace postcot::smtp

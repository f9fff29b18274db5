// What cleanup(8) does to a message's header as it streams by: removes message_drop_headers, rewrites addresses for
// local clients, adds what is missing, counts hops, and keeps the facts that log lines need. The body passes through
// untouched. LF line ends.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace postcot::smtp {

enum class HeaderClass { kSender, kRecipient };

struct HeaderOptions {
    // Headers to add when absent (local_header_rewrite_clients, always_add_missing_headers); Resent- forms when the
    // message is resent.
    bool add_missing = false;
    std::string message_id;   // with its <>
    std::string date;
    std::string from;                     // the value of From:
    std::string undisclosed_recipients;   // undisclosed_recipients_header, when no recipient is visible

    std::vector<std::string> drop = {"bcc", "content-length", "resent-bcc", "return-path"};   // message_drop_headers
    size_t header_size_limit = 102400;   // octets of one header; the rest of it is dropped
    bool extract_recipients = false;     // sendmail -t

    // Internal form in and out; null: addresses stay as they are.
    std::function<std::string(std::string_view address, HeaderClass)> rewrite;
};

struct HeaderFacts {
    std::string message_id;   // with its <>; what was added, too. Empty when there is none.
    std::string subject;      // raw, unfolded, at most 1000 octets
    std::string from;         // raw value, unfolded, at most 1000 octets
    size_t hops = 0;          // Received: and Delivered-To: are counted by Received: alone (hopcount_limit)
    std::vector<std::string> recipients;          // extract_recipients: To, Cc, Bcc
    std::vector<std::string> resent_recipients;   // ... of Resent- headers, which replace the others when there are any
};

class HeaderCleanup {
  public:
    explicit HeaderCleanup(HeaderOptions options);

    void feed(std::string_view content, std::string& out);
    void finish(std::string& out);   // a message may end inside its header
    // The header is over: from here on feed() only copies, and the caller may leave it out.
    bool in_body() const { return in_body_; }
    const HeaderFacts& facts() const { return facts_; }

  private:
    enum class LineKind { kBlank, kContinuation, kHeader, kMailbox, kBody };
    LineKind classify(std::string_view line) const;
    void take_line(std::string_view line, std::string& out);   // with its LF, unless the content ended
    void end_header(std::string& out);
    void flush_pending(std::string& out);
    void add_missing(std::string& out);
    bool seen(const char* name) const;

    HeaderOptions options_;
    HeaderFacts facts_;
    std::string partial_;   // a line cut by the end of a piece
    std::string pending_;   // a header and its continuation lines so far
    bool first_line_ = true;
    bool in_body_ = false;
    std::vector<std::string> seen_;   // lower-case names of the originator, identification and destination fields met
};

}   // namespace postcot::smtp

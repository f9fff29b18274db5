// RFC 1939 §3 responses, and multi-line data as it goes over the wire.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postcot::pop3 {

std::string ok(std::string_view text = {});
// `code`: an extended response code (RFC 2449 §8, RFC 3206): "AUTH", "SYS/TEMP", "IN-USE".
std::string err(std::string_view text, std::string_view code = {});

// Byte-stuffing (RFC 1939 §3) of a message that comes in pieces, in CRLF form. Stops after `body_lines` lines of the body when asked for (TOP, §7).
class DotStuffer {
  public:
    explicit DotStuffer(uint64_t body_lines = UINT64_MAX, bool end_header = false)
        : lines_left_(body_lines), end_header_(end_header) {}
    // Appends to `out`; false: enough, nothing more of the message is wanted.
    bool feed(std::string_view data, std::string& out);
    // The end of the last line and the "." line.
    void finish(std::string& out);

  private:
    uint64_t lines_left_;
    bool end_header_;   // pop3_client_workarounds = oe-ns-eoh: an empty line after a header that lacks one
    bool line_start_ = true;
    bool in_header_ = true;
    bool line_empty_ = true;
    bool after_cr_ = false;
    bool done_ = false;
};

}   // namespace postcot::pop3

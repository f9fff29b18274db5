// RFC 5321 §4.5.2: the message as it travels after DATA, and back. Streaming, one pass, one copy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postcot::smtp {

// smtpd_forbid_bare_newline
enum class BareNewline {
    kAllow,       // "no": LF ends a line, and <LF>.<CR><LF> or <LF>.<LF> the data, as in the last century
    kNormalize,   // LF ends a line; only <CR><LF>.<CR><LF> ends the data
    kReject,      // as normalize; saw_bare_newline() tells the session to refuse
};

// Takes what the client sends after 354 and gives the content with LF line ends and dots unstuffed. A CR that ends no
// line becomes a blank (cleanup_replace_stray_cr_lf): no server after us can take it for a line end.
class DataDecoder {
  public:
    explicit DataDecoder(BareNewline policy) : policy_(policy) {}

    // Appends decoded content to `out`; returns how many octets of `in` are used up. Less than all of them only when
    // done(): what follows is the next command.
    size_t feed(std::string_view in, std::string& out);
    bool done() const { return done_; }
    bool saw_bare_newline() const { return saw_bare_newline_; }

  private:
    enum class State : uint8_t { kLineStart, kDot, kDotCr, kInLine, kCr };

    BareNewline policy_;
    State state_ = State::kLineStart;
    bool previous_ended_in_crlf_ = true;   // §4.1.1.4: the CRLF of the DATA command counts
    bool done_ = false;
    bool saw_bare_newline_ = false;
};

// For BDAT (RFC 3030): CRLF to LF, no dots.
class ChunkDecoder {
  public:
    void feed(std::string_view in, std::string& out);
    // At the end of the last chunk. True: the last line had no end, and was given one.
    bool finish(std::string& out);
    bool saw_bare_newline() const { return saw_bare_newline_; }

  private:
    bool pending_cr_ = false;
    bool saw_bare_newline_ = false;
    bool at_line_start_ = true;
};

// The other direction: LF to CRLF, dots stuffed; finish() ends the last line if need be and adds the final dot.
class DataEncoder {
  public:
    void feed(std::string_view content, std::string& out);
    void finish(std::string& out);

  private:
    bool at_line_start_ = true;
};

}   // namespace postcot::smtp

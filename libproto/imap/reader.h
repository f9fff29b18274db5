// RFC 3501 §2.2.1 and §4.3: cuts the octets of a connection into commands, literals included. Incremental and bounded:
// what a client sends costs at most Limits::max_command octets, and the message literal of APPEND costs nothing because
// it is handed over as it comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postcot::imap {

class CommandReader {
  public:
    struct Limits {
        size_t max_command = 64 * 1024;   // imap_max_line_length: line and literals together
        bool append_streams = true;       // false before login: APPEND is no command there
    };
    enum class Event {
        kNeedMore,        // all of the input is consumed
        kContinue,        // RFC 3501 §7.5: answer "+ OK" and go on feeding
        kCommand,         // text() is a whole command
        kAppendMessage,   // text() is APPEND up to its message literal (see literal_size()); the caller takes that many
                          // octets from the connection itself, then calls after_message() and feeds on: what follows
                          // arrives as kCommand or kAppendMessage
        kRefused,   // too long: refusal() says what; text() starts with the tag. The input is read up to the end of the
                    // command.
    };

    explicit CommandReader(Limits limits) : limits_(limits) {}

    // Consumes from the front of `in`. After kCommand and kRefused the next call starts a new command.
    Event feed(std::string_view& in);

    // Without the line end and, for kAppendMessage, without the literal's header. Literals are in line: "{3}\r\nabc".
    std::string_view text() const { return text_; }
    const std::string& refusal() const { return refusal_; }
    // A refused command that still waits for a continuation it will not get (a synchronising literal over the bound):
    // nothing to skip.

    uint64_t literal_size() const { return literal_; }
    bool literal_synchronising() const { return synchronising_; }
    bool literal_binary() const { return binary_; }   // RFC 3516: ~{n}
    void after_message();
    // The message literal is not wanted. A synchronising one is never sent; of the other the caller must discard
    // literal_size() octets and the rest of the line: skip_rest() then makes feed() do the latter and answer kCommand
    // with the old text.
    void skip_rest();
    // Is part of a command waiting for more?
    bool in_command() const { return !fresh_ && (in_literal_ || !text_.empty() || discard_); }

  private:
    Event end_of_line();
    bool parse_literal_header(std::string_view line, std::string_view& before);
    Event refuse_literal(std::string why);
    bool at_append_message(std::string_view before) const;
    void refuse(std::string why);

    Limits limits_;
    std::string text_;
    std::string line_;   // while discarding: the last octets of the line, enough to see a literal's header
    std::string refusal_;
    uint64_t literal_ = 0;     // size in the header seen last
    uint64_t remaining_ = 0;   // of the literal being read
    bool fresh_ = true;        // the next feed starts a command
    bool in_literal_ = false;
    bool discard_ = false;     // refused, or skip_rest(): read on, keep nothing
    bool keep_text_ = false;   // skip_rest()
    bool synchronising_ = false;
    bool binary_ = false;
    bool misplaced_ = false;   // without the space that must stand before it
    bool message_done_ = false;
};

}   // namespace postcot::imap

// The lexical level of RFC 3501 §9 over one command as CommandReader gives it. Each method consumes what it names or
// says what it expected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libproto/error.h"
#include "libproto/imap/sequence_set.h"

namespace postcot::imap {

class Lexer {
  public:
    explicit Lexer(std::string_view in) : rest_(in) {}

    bool at_end() const { return rest_.empty(); }
    std::string_view rest() const { return rest_; }
    char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
    bool eat(char c);                       // true if it was next
    bool eat_spaces();                      // true if there was one
    bool eat_word(std::string_view word);   // case-insensitive; not followed by an ATOM-CHAR

    Expected<void> space();   // one SP; more are forgiven, as Dovecot does
    Expected<void> end();     // nothing left; trailing SPs are forgiven
    Expected<void> expect(char c);
    Expected<std::string_view> atom();
    Expected<std::string> string();   // quoted or literal
    Expected<std::string> astring();
    Expected<std::optional<std::string>> nstring();
    Expected<std::string> list_mailbox();
    Expected<std::string> mailbox();   // astring, decoded to UTF-8, INBOX in its canonical case
    Expected<uint32_t> number();
    Expected<uint32_t> nz_number();
    Expected<uint64_t> number64();   // mod-sequence-valzer: below 2^63
    Expected<SequenceSet> sequence_set();
    Expected<std::string> flag();   // "\Seen" in canonical case, "\Foo", or a keyword as written
    std::string_view word();        // the longest run of ATOM-CHARs, possibly empty

  private:
    Expected<std::string> quoted();
    Expected<std::string> literal();
    std::string_view rest_;
};

std::string canonical_inbox(std::string name);

}   // namespace postcot::imap

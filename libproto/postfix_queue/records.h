// Records, of which Postfix's queue files consist: one octet of type, the length in groups of seven bits (the lowest first, the eighth bit says that
// another follows), that many octets of data.
//
// A pointer record ('p', a decimal offset) goes on elsewhere in the file: so cleanup(8) edits a file in place. One that says 0 does nothing, and
// neither does padding ('w').
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::postfix_queue {

namespace type {
inline constexpr char kSize = 'C';
inline constexpr char kTime = 'T';
inline constexpr char kFullName = 'F';
inline constexpr char kFilter = 'L';   // in the envelope; in the content it is kLong
inline constexpr char kSender = 'S';
inline constexpr char kDone = 'D';
inline constexpr char kRecipient = 'R';
inline constexpr char kOriginal = 'O';
inline constexpr char kCanceled = '/';
inline constexpr char kWarn = 'W';
inline constexpr char kAttribute = 'A';
inline constexpr char kRedirect = '>';
inline constexpr char kContent = 'M';
inline constexpr char kLong = 'L';   // text that goes on in the next record
inline constexpr char kLine = 'N';
inline constexpr char kPadding = 'w';
inline constexpr char kExtracted = 'X';
inline constexpr char kPointer = 'p';
inline constexpr char kVerp = 'V';
inline constexpr char kDsnRet = '<';
inline constexpr char kDsnEnvid = 'i';
inline constexpr char kDsnOrcpt = 'o';
inline constexpr char kDsnNotify = 'n';
inline constexpr char kEnd = 'E';
}   // namespace type

// Where the octets come from: a file, or memory.
class Source {
  public:
    virtual ~Source() = default;
    virtual Expected<size_t> read_at(char* buffer, size_t length, uint64_t offset) = 0;   // 0 at the end
    virtual uint64_t size() const = 0;
};

class MemorySource final : public Source {
  public:
    explicit MemorySource(std::string_view bytes) : bytes_(bytes) {}
    Expected<size_t> read_at(char* buffer, size_t length, uint64_t offset) override;
    uint64_t size() const override { return bytes_.size(); }

  private:
    std::string_view bytes_;
};

struct Record {
    char type = 0;
    std::string data;
    uint64_t offset = 0;   // of its type octet: what logs of deliveries call a recipient by
};

class RecordReader {
  public:
    // line_length_limit bounds what Postfix writes; a value 500 times its default is still read.
    static constexpr size_t kMaxData = 1 << 20;

    explicit RecordReader(Source& source) : source_(source), left_(source.size()) {}

    // The next record; pointers are followed and padding is skipped. EPROTO: the file is damaged. No octet is read as two records, so
    // that a circle of pointers ends.
    Expected<void> next(Record& out);

  private:
    Expected<char> octet();
    Expected<void> bytes(std::string& out, size_t length);

    Source& source_;
    uint64_t at_ = 0;
    uint64_t left_;   // octets that may still be read
    std::string buffer_;
    uint64_t buffer_at_ = 0;
};

void append_record(std::string& out, char type, std::string_view data);

}   // namespace postcot::postfix_queue

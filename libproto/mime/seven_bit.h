// RFC 6152 §3: a message with 8-bit text made fit for a server without 8BITMIME, part by part. Two readings: the first finds which parts hold octets above
// 127, the second changes those to quoted-printable and leaves every other octet as it was. Pure, streaming, LF line ends.
//
// As Postfix, which takes quoted-printable for everything and does not look whether a part is signed: RFC 1847 §2.1 and RFC 3156 §3 have signers send
// 7-bit text for this reason. Beyond Postfix, a part that does not say that it is 8-bit is changed, too; text without a charset is labelled
// unknown-8bit (RFC 1428 §3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libproto/mime/entity_walker.h"

namespace postcot::mime {

bool has_eight_bit(std::string_view text);

class EightBitFinder : private EntityVisitor {
  public:
    EightBitFinder() : walker_(*this) {}
    void feed(std::string_view content) { walker_.feed(content); }
    void finish() { walker_.finish(); }
    bool any() const { return !leaves_.empty(); }                 // a part has to be changed
    const std::vector<bool>& leaves() const { return leaves_; }   // by leaf; those behind the end have no such octet

  private:
    static constexpr size_t kMaxLeaves = 1 << 20;
    void header(const Entity& entity, std::string_view block) override;
    void structure(std::string_view) override {}
    void body(std::string_view text) override;
    void body_end() override {}

    EntityWalker walker_;
    std::vector<bool> leaves_;
    size_t leaf_ = 0;
    bool looking_ = false;
};

// RFC 2045 §6.7, of text in pieces.
class QuotedPrintableEncoder {
  public:
    void feed(std::string_view text, std::string& out);
    void finish(std::string& out);

  private:
    void put(std::string_view token, std::string& out);
    size_t column_ = 0;
    char blank_ = 0;   // a blank or tab that may turn out to end its line
};

class SevenBitConverter : private EntityVisitor {
  public:
    explicit SevenBitConverter(std::vector<bool> leaves) : leaves_(std::move(leaves)), walker_(*this) {}
    void feed(std::string_view content, std::string& out);
    void finish(std::string& out);

  private:
    void header(const Entity& entity, std::string_view block) override;
    void structure(std::string_view text) override { *out_ += text; }
    void body(std::string_view text) override;
    void body_end() override;

    std::vector<bool> leaves_;
    EntityWalker walker_;
    QuotedPrintableEncoder encoder_;
    bool encoding_ = false;
    std::string* out_ = nullptr;
};

}   // namespace postcot::mime

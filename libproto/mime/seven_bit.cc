#include "libproto/mime/seven_bit.h"

#include <cstdint>
#include <cstring>

#include "libproto/mime/header.h"

namespace postcot::mime {
namespace {

constexpr size_t kMaxLine = 76;   // RFC 2045 §6.7 (5), the final "=" included

}   // namespace

bool has_eight_bit(std::string_view text) {
    size_t i = 0;
    for (; i + 8 <= text.size(); i += 8) {
        uint64_t word;
        std::memcpy(&word, text.data() + i, 8);
        if (word & 0x8080808080808080u) return true;
    }
    for (; i < text.size(); ++i)
        if (static_cast<unsigned char>(text[i]) > 127) return true;
    return false;
}

void EightBitFinder::header(const Entity& entity, std::string_view) {
    leaf_ = entity.leaf;
    looking_ = entity.kind == Entity::Kind::kLeaf && !entity.is_coded() && leaf_ < kMaxLeaves;
}

void EightBitFinder::body(std::string_view text) {
    if (!looking_ || !has_eight_bit(text)) return;
    leaves_.resize(leaf_ + 1);
    leaves_[leaf_] = true;
    looking_ = false;
}

void QuotedPrintableEncoder::put(std::string_view token, std::string& out) {
    if (column_ + token.size() > kMaxLine - 1) {
        out += "=\n";
        column_ = 0;
    }
    out += token;
    column_ += token.size();
}

void QuotedPrintableEncoder::feed(std::string_view text, std::string& out) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    auto coded = [&](char c) {
        const auto octet = static_cast<unsigned char>(c);
        const char token[] = {'=', kHex[octet >> 4], kHex[octet & 15]};
        put({token, 3}, out);
    };
    for (const char c : text) {
        if (blank_ != 0) {
            if (c == '\n')
                coded(blank_);
            else
                put({&blank_, 1}, out);
            blank_ = 0;
        }
        if (c == '\n') {
            out += '\n';
            column_ = 0;
        } else if (c == ' ' || c == '\t') {
            blank_ = c;
        } else if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > 126 || c == '=') {
            coded(c);
        } else {
            put({&c, 1}, out);
        }
    }
}

void QuotedPrintableEncoder::finish(std::string& out) {
    if (blank_ != 0) {
        const char blank = blank_;
        blank_ = 0;
        put(blank == ' ' ? "=20" : "=09", out);
    }
    column_ = 0;
}

void SevenBitConverter::feed(std::string_view content, std::string& out) {
    out_ = &out;
    walker_.feed(content);
}

void SevenBitConverter::finish(std::string& out) {
    out_ = &out;
    walker_.finish();
}

void SevenBitConverter::header(const Entity& entity, std::string_view block) {
    const bool leaf = entity.kind == Entity::Kind::kLeaf;
    encoding_ = leaf && entity.leaf < leaves_.size() && leaves_[entity.leaf];
    // What holds other parts is 7-bit when they are (RFC 2045 §6.4); so is a part that only said that it might not be.
    const bool relabelled =
        entity.kind != Entity::Kind::kOpaque && (entity.encoding == "8bit" || entity.encoding == "binary");
    if (!encoding_ && !relabelled) {
        *out_ += block;
        return;
    }
    const auto fields = parse_fields(block);
    size_t at = 0;
    for (const auto& field : fields) {
        if (!iequals(field.name, "Content-Transfer-Encoding")) continue;
        out_->append(block, at, field.begin - at);
        at = field.end;
    }
    const bool blank =
        block.size() >= at + 1 && block.back() == '\n' && (block.size() == 1 || block[block.size() - 2] == '\n');
    out_->append(block, at, block.size() - at - (blank ? 1 : 0));
    if (!out_->empty() && out_->back() != '\n') *out_ += '\n';
    if (encoding_ && entity.root && !find_field(fields, "MIME-Version")) *out_ += "MIME-Version: 1.0\n";
    if (encoding_ && !find_field(fields, "Content-Type")) *out_ += "Content-Type: text/plain; charset=unknown-8bit\n";
    *out_ += encoding_ ? "Content-Transfer-Encoding: quoted-printable\n" : "Content-Transfer-Encoding: 7bit\n";
    if (blank) *out_ += '\n';
}

void SevenBitConverter::body(std::string_view text) {
    if (encoding_)
        encoder_.feed(text, *out_);
    else
        *out_ += text;
}

void SevenBitConverter::body_end() {
    if (encoding_) encoder_.finish(*out_);
    encoding_ = false;
}

}   // namespace postcot::mime

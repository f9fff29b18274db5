// What sendmail(1) feeds to postdrop(1). postdrop writes a file as Postfix's does (libproto/postfix_queue); older ones wrote what they read, and queued picks
// that up, too.
//
//     "PCTDROP1", u32 length, that many bytes of MaildropHead (codec.h), then the message as the sender wrote it, with LF line ends, to the end.
//
// What postdrop reads ends in kMaildropEnd besides: a sender that is killed half way leaves no half a message.
//
// Untrusted: whoever may run sendmail wrote it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"
#include "libproto/ipc/codec.h"
#include "libproto/ipc/envelope.h"

namespace postcot::ipc {

struct MaildropHead {
    std::string sender;
    std::string full_name;
    std::string envid;
    Ret ret = Ret::kUnset;
    BodyType body = BodyType::kUnset;
    bool smtputf8 = false;
    std::string verp;
    bool extract_recipients = false;
    bool verify = false;   // sendmail -bv
    int64_t arrival_seconds = 0;
    uint32_t arrival_microseconds = 0;
    std::vector<Recipient> recipients;

    void encode(Writer& w) const;
    static MaildropHead decode(Reader& r);
};

inline constexpr std::string_view kMaildropMagic = "PCTDROP1";
inline constexpr std::string_view kMaildropEnd = "PCTDEND1";
inline constexpr size_t kMaxMaildropHead = 8 << 20;

std::string maildrop_prefix(const MaildropHead& head);   // magic, length and head

struct MaildropParsed {
    MaildropHead head;
    size_t text_at = 0;   // where the message begins
};
// From the first bytes of a file. EAGAIN: more bytes are needed; EPROTO: not such a file.
Expected<MaildropParsed> parse_maildrop(std::string_view start);

}   // namespace postcot::ipc

// The conversation between whoever accepts mail (smtpd workers) and queued, over $queue_directory/private/intake. One
// connection carries any number of submissions at once; `token` matches an answer to its question. The client side is
// ipc/queue_client.h: use that.
//
//   client                              queued
//   IntakeNumbers{token,count}       -> IntakeNumberBlock{token,first,count}     numbers for queue ids; never given
//   twice IntakeSubmit{token,id,env,data}  -> IntakeResult{token,ok}                   sent only after the message is
//   on disk (group commit) IntakeOpenLarge{token,id}        -> IntakeResult{token,ok} + 1 descriptor    write the
//   content there, then IntakeSubmit{large} IntakeAbortLarge{id} (also: the connection ends)
//   IntakeCheckSpace{token,size}     -> IntakeResult{token}                      452 4.3.1 when queue_minfree or the
//   disk would not hold it IntakeFlush{token,site}          -> IntakeResult{token}                      ETRN; 458/459
//   codes when it cannot
//
// Content is the whole message as it is to be stored: LF line ends, not dot-stuffed, smtpd's Return-Path-less Received:
// header first. queued's cleanup adds what Postfix's cleanup(8) adds (missing headers for local submissions, ...) and
// logs "message-id=".
#pragma once

#include <cstdint>
#include <string>

#include "libproto/ipc/codec.h"
#include "libproto/ipc/envelope.h"

namespace postcot::ipc {

// Content up to here travels in the frame and lives in the journal; past it, in a file of its own.
inline constexpr size_t kInlineContent = 128 * 1024;

struct IntakeNumbers {
    static constexpr uint16_t kType = 0x0101;
    uint32_t token = 0;
    uint32_t count = 0;   // at most 4096 are given
    void encode(Writer& w) const;
    static IntakeNumbers decode(Reader& r);
};

struct IntakeNumberBlock {
    static constexpr uint16_t kType = 0x0102;
    uint32_t token = 0;
    uint64_t first = 0;
    uint32_t count = 0;
    void encode(Writer& w) const;
    static IntakeNumberBlock decode(Reader& r);
};

struct IntakeSubmit {
    static constexpr uint16_t kType = 0x0103;
    uint32_t token = 0;
    std::string queue_id;
    Envelope envelope;
    bool large = false;   // content is in the file opened before under this queue id; `content` is empty
    std::string content;
    void encode(Writer& w) const;
    static IntakeSubmit decode(Reader& r);
};

struct IntakeResult {
    static constexpr uint16_t kType = 0x0104;
    uint32_t token = 0;
    bool ok = false;
    int32_t code = 0;   // when not ok: SMTP reply code, enhanced status and text for the client
    std::string enhanced;
    std::string text;
    std::string queue_id;   // submit: the id it is queued as
    void encode(Writer& w) const;
    static IntakeResult decode(Reader& r);
};

struct IntakeOpenLarge {
    static constexpr uint16_t kType = 0x0105;
    uint32_t token = 0;
    std::string queue_id;
    void encode(Writer& w) const;
    static IntakeOpenLarge decode(Reader& r);
};

struct IntakeAbortLarge {
    static constexpr uint16_t kType = 0x0106;
    std::string queue_id;
    void encode(Writer& w) const;
    static IntakeAbortLarge decode(Reader& r);
};

struct IntakeCheckSpace {
    static constexpr uint16_t kType = 0x0107;
    uint32_t token = 0;
    uint64_t size = 0;
    void encode(Writer& w) const;
    static IntakeCheckSpace decode(Reader& r);
};

struct IntakeFlush {
    static constexpr uint16_t kType = 0x0108;
    uint32_t token = 0;
    std::string site;   // domain, "[host]"; "" flushes everything
    void encode(Writer& w) const;
    static IntakeFlush decode(Reader& r);
};

}   // namespace postcot::ipc

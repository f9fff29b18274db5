// What is to be done for one recipient, decided by the local agent (as root) and carried out by a child that has the rights of `uid`. Travels to the child
// in DeliverRecipient::context, and through the queue in Expansion::context where an alias or .forward gave it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::queued {

struct Action {
    enum class Kind : uint8_t {
        // By the agent itself, when such a recipient comes back from the queue:
        kAddress,   // a local name out of an alias: looked up like any other, one level deeper
        kExact,     // "\user": that user's mailbox, no aliases, no .forward
        // By a child with rights of uid:gid:
        kUser,      // .forward, if `may_forward`, else the mailbox as main.cf wants it
        kMailbox,   // one mbox file or, with a trailing slash, a Maildir: `path`
        kCommand,   // `path` is a shell command (|command, mailbox_command)
        kInclude,   // expand the file `path`
        kPipe,      // pipe(8): argv
    };
    Kind kind = Kind::kAddress;
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint32_t level = 0;   // aliases and .forward files passed so far
    bool may_forward = true;
    bool virtual_mailbox = false;   // virtual(8): its limit, its locks, its log texts
    bool crlf = false;              // kPipe: eol=\r\n
    bool from_alias = false;        // allow_mail_to_commands/files: which word allows
    std::string path;
    std::string user;   // login name whose home, shell and environment count; empty: none
    std::string home;
    std::string shell;
    std::string local;                      // local part as it was looked up
    std::string extension;                  // after recipient_delimiter
    std::string delivered_to;               // for the Delivered-To header: the recipient
    std::string new_sender;                 // owner-alias
    std::vector<std::string> argv;          // kPipe
    std::vector<std::string> environment;   // kPipe
    std::string directory;                  // kPipe
    std::string flags;                      // kPipe

    std::string encode() const;
    static Expected<Action> decode(std::string_view bytes);
};

}   // namespace postcot::queued

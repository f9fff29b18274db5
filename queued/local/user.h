// local(8) for one user, with that user's rights: .forward, then the mailbox that main.cf wants.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libproto/config/postfix.h"
#include "libproto/ipc/delivery.h"
#include "queued/local/action.h"
#include "queued/local/alias_grammar.h"

namespace postcot::queued {

struct UserDelivery {
    std::optional<ipc::RecipientResult> result;   // done, one way or another
    std::string mailbox;                          // else: this mbox file or, with a trailing slash, Maildir
};

// mailbox_transport_maps, mailbox_transport: for all local recipients, whether or not passwd knows them (postconf(5)). nullopt: neither is set.
std::optional<ipc::RecipientResult> to_mailbox_transport(const ipc::Deliver& deliver, const std::string& user,
                                                         const config::MainCf& main);

// Blocks on the user's files.
UserDelivery deliver_user(const ipc::Deliver& deliver, int fd, const Action& action, const config::MainCf& main);

// :include:/file/name, read with the child's rights.
ipc::RecipientResult expand_include(const ipc::Deliver& deliver, const Action& action, const config::MainCf& main);

// Result that asks the agent to give the recipient to a child again, with the first expansion's context: mailbox_command found by a child that may
// not run programs.
bool is_redispatch(const ipc::RecipientResult& result);
ipc::RecipientResult redispatch(const Action& action);

// Turns destinations into expansions. `from` is what named them: rights and level; `word` is "alias", "forward" or "include" for
// allow_mail_to_commands and allow_mail_to_files. A refused destination makes the whole a bounce, as in Postfix.
ipc::RecipientResult expand(const std::vector<AliasTarget>& destinations, const ipc::Deliver& deliver,
                            const Action& from, std::string_view word, const config::MainCf& main);

}   // namespace postcot::queued

// local(8): aliases, .forward, users' mailboxes, and what is done about unknown users.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libproto/config/postfix.h"
#include "libproto/table/table.h"
#include "queued/local/decision.h"

namespace postcot::queued {

class LocalUsers {
  public:
    static Expected<std::unique_ptr<LocalUsers>> open(const config::MainCf& main);

    // `deliver` for the message's header (loops) and sender; `context` is empty for a recipient that comes from elsewhere.
    Decision decide(const ipc::Deliver& deliver, const ipc::DeliverRecipient& recipient) const;
    // A child's wish to have something done by another child, with the rights it has itself.
    Decision redispatched(const ipc::RecipientResult& result, const ChildRights& rights) const;
    // What a child returned for the queue: whatever rights it claims, it gets its own.
    void restrict_to(const ChildRights& rights, ipc::RecipientResult& result) const;

  private:
    struct AliasTable {
        std::string source;   // file whose owner's rights commands and files in it get; empty: default_privs
        table::Maps maps;
    };
    struct Alias {
        std::string value;
        const AliasTable* table = nullptr;
    };
    Expected<Alias> find_alias(const std::string& name) const;
    Decision by_name(const ipc::Deliver& deliver, const ipc::DeliverRecipient& recipient, const Action& from) const;
    Decision from_alias(const ipc::Deliver& deliver, const std::string& name, const Alias& alias, Action from) const;
    std::optional<Decision> to_user(const std::string& user, Action action) const;
    Decision unknown(const ipc::Deliver& deliver, const ipc::DeliverRecipient& recipient, const Action& from) const;
    Decision with_rights(Action action) const;
    bool is_local(const std::string& domain) const;

    config::MainCf main_;
    std::vector<AliasTable> aliases_;
    table::MatchList mydestination_;
    table::Maps fallback_transports_;
    std::string delimiter_, myorigin_;
    bool owner_request_special_ = true;
    uint32_t default_uid_ = 65534, default_gid_ = 65534;
    uint32_t spool_gid_ = 0;
};

}   // namespace postcot::queued

// virtual(8): mailboxes of hosted domains, found in virtual_mailbox_maps, with rights from virtual_uid_maps and virtual_gid_maps.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "libproto/address/lookup.h"
#include "libproto/config/postfix.h"
#include "libproto/table/table.h"
#include "queued/local/decision.h"

namespace postcot::queued {

class VirtualMailboxes {
  public:
    static Expected<std::unique_ptr<VirtualMailboxes>> open(const config::MainCf& main);
    Decision decide(const ipc::Recipient& recipient) const;

  private:
    explicit VirtualMailboxes(address::Keys keys) : keys_(std::move(keys)) {}
    Expected<std::optional<std::string>> find(const table::Maps& maps, const std::string& address) const;
    Expected<uint32_t> number(const table::Maps& maps, const std::string& address, const char* parameter) const;

    address::Keys keys_;
    table::Maps mailboxes_, uids_, gids_;
    std::string base_, uid_spec_, gid_spec_;
    int64_t minimum_uid_ = 100;
};

}   // namespace postcot::queued

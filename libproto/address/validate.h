// Does the recipient exist? smtpd's check before it takes responsibility (LOCAL_RECIPIENT_README,
// smtpd_reject_unlisted_recipient).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "libproto/address/expand.h"
#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/table/table.h"

namespace postcot::address {

class Validator {
  public:
    static Expected<std::shared_ptr<const Validator>> open(const config::MainCf& main,
                                                           std::shared_ptr<const Cleanup> cleanup);

    enum class Kind { kRecipient, kSender };
    // Success: known, or cannot be known here. Error: the refusal, e.g. 550 5.1.1 "User unknown in local recipient
    // table" (text without the
    // "<address>: Recipient address rejected: " that smtpd puts before it); code 0: a table failed, temporary.
    Expected<void> check(std::string_view sender, std::string_view address, Kind kind) const;

  private:
    explicit Validator(std::shared_ptr<const Cleanup> cleanup) : cleanup_(std::move(cleanup)) {}

    std::shared_ptr<const Cleanup> cleanup_;
    table::Maps local_maps_, virtual_mailbox_maps_, relay_maps_;
    int local_code_ = 550, virtual_alias_code_ = 550, virtual_mailbox_code_ = 550, relay_code_ = 550;
    bool check_local_ = false, check_virtual_ = false, check_relay_ = false;
    bool show_table_name_ = true;
};

}   // namespace postcot::address

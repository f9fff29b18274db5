// Mail of stand-alone mode goes to postdrop(1): also while queued is down, and with no other right than the caller's. Blocks: there is one session.
#pragma once

#include <cstdint>
#include <string>

#include "libproto/config/postfix.h"
#include "libproto/ipc/submitter.h"

namespace postcot::smtpd {

class PostdropSubmitter final : public ipc::Submitter {
  public:
    explicit PostdropSubmitter(const config::MainCf& main);

    // A name for the log and the client. The queue id is given when queued picks the message up.
    Task<Expected<std::string>> next_queue_id() override;
    Task<Expected<std::string>> submit(std::string queue_id, ipc::Envelope envelope, std::string content) override;
    Task<Expected<UniqueFd>> open_large(std::string queue_id) override;
    Task<Expected<std::string>> submit_large(std::string queue_id, ipc::Envelope envelope) override;
    void abort_large(std::string queue_id) override;
    Task<Expected<void>> check_space(uint64_t size) override;
    Task<Expected<void>> flush_site(std::string site) override;

  private:
    // Runs postdrop on `content` followed by what is in `file`, if it is open.
    Expected<void> drop(const ipc::Envelope& envelope, const std::string& content, const UniqueFd& file) const;

    std::string program_, config_directory_;
    bool long_queue_ids_;
    UniqueFd large_;   // without a name, in the folder for temporary files
};

}   // namespace postcot::smtpd

// main.cf as each transport sees it: with the -o overrides of its master.cf service.
#pragma once

#include <map>
#include <string>

#include "queued/local/agent.h"

namespace postcot::queued {

class TransportConfigs {
  public:
    explicit TransportConfigs(const AgentConfig& config) : config_(config) {}

    const config::MainCf& of(const std::string& transport);
    // nullptr when master.cf has no such unix service.
    const config::MasterService* service(const std::string& transport) const {
        return config_.master.find(transport, "unix");
    }

  private:
    const AgentConfig& config_;
    std::map<std::string, config::MainCf> known_;
};

}   // namespace postcot::queued

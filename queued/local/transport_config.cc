#include "queued/local/transport_config.h"

#include "libproto/runtime/log.h"

namespace postcot::queued {

const config::MainCf& TransportConfigs::of(const std::string& transport) {
    if (auto found = known_.find(transport); found != known_.end()) return found->second;
    const config::MasterService* entry = service(transport);
    if (!entry || entry->overrides.empty()) return known_.emplace(transport, config_.main).first->second;
    auto overridden = config_.main.with_overrides(entry->overrides);
    if (!overridden) {
        log::warning("master.cf, service {}: {}", transport, overridden.error().text);
        return known_.emplace(transport, config_.main).first->second;
    }
    return known_.emplace(transport, std::move(*overridden)).first->second;
}

}   // namespace postcot::queued

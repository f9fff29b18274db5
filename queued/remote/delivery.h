// One Deliver from queued: which hosts, which connection, what became of each recipient.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libproto/ipc/delivery.h"
#include "libproto/resolver/resolver.h"
#include "libproto/runtime/tls.h"
#include "libproto/table/table.h"
#include "queued/remote/connection_cache.h"
#include "queued/remote/session.h"
#include "queued/remote/transport.h"

namespace postcot::queued {

class RemoteDelivery {
  public:
    RemoteDelivery(RemoteTransport& transport, dns::Resolver& resolver, ConnectionCache& cache,
                   std::function<size_t(size_t)> random)
        : transport_(transport), resolver_(resolver), cache_(cache), random_(std::move(random)) {}

    Task<ipc::Delivered> run(const ipc::Deliver& deliver, const ipc::DeliverContent& content);

  private:
    Task<void> to_nexthop(const std::string& text, const ipc::Deliver& deliver, const ipc::DeliverContent& content);
    Task<bool> to_host(const Host& host, const std::string& cache_key, const Nexthop& nexthop,
                       const ipc::Deliver& deliver, const ipc::DeliverContent& content);
    std::vector<Attempt*> left();
    void note(const Failure& failure, bool final);
    tl::expected<std::optional<SaslSecret>, Failure> secret(const Nexthop& nexthop, const Host& host,
                                                            const std::string& sender);
    bool keep(const Session& session, const Nexthop& nexthop, const ipc::Deliver& deliver) const;

    RemoteTransport& transport_;
    dns::Resolver& resolver_;
    ConnectionCache& cache_;
    std::function<size_t(size_t)> random_;
    std::vector<Attempt> attempts_;
    std::string queue_id_;
    bool last_nexthop_ = true;
    bool reached_ = false;   // some server talked to us about this message
};

}   // namespace postcot::queued

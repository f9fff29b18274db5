// One worker process: its loop, its listeners, its sessions, and what they share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libproto/ipc/auth_client.h"
#include "libproto/ipc/queue_client.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/tls.h"
#include "smtpd/host_names.h"
#include "smtpd/limits.h"
#include "smtpd/restrictions/restrictions.h"
#include "smtpd/service.h"
#include "smtpd/tables.h"

namespace postcot::smtpd {

// A service with what only this process has open.
struct ServiceRuntime {
    std::shared_ptr<const Service> service;
    std::shared_ptr<const Tables> tables;
    std::unique_ptr<Restrictions> restrictions;
    std::shared_ptr<TlsContext> tls;   // null: none offered
    ipc::AuthClient* auth = nullptr;   // null: SASL is off
    int listening_fd = -1;
};

class Worker {
  public:
    Worker(const Configuration& configuration, ClientCounters& counters, int index);
    ~Worker();

    // Opens tables, certificates and restrictions while still privileged.
    Expected<void> open(const std::vector<Endpoint>& endpoints);
    // Accepts until SIGHUP (a new generation has taken over: sessions go on to their own end, as Postfix's do on reload) or SIGTERM (they
    // end after the message they are in).
    int run();

    // Stand-alone: serves one connection, and mail goes where `submitter` says.
    void serve_one(std::shared_ptr<const Service> service, UniqueFd connection, ipc::Submitter& submitter);

    ipc::Submitter& queue() { return *submitter_; }
    HostNames& names() { return names_; }
    ClientCounters& counters() { return counters_; }
    int index() const { return index_; }
    // Cancelled when the worker is to end: sessions wait under it between messages.
    CancelSource& drain() { return drain_; }

  private:
    Task<void> accept_loop(ServiceRuntime& runtime);
    Task<void> serve(ServiceRuntime& runtime, Accepted accepted);
    Task<void> main_task();

    const Configuration& configuration_;
    ClientCounters& counters_;
    int index_;
    HostNames names_;
    CancelSource drain_;
    Scope auth_scope_;
    Scope accept_scope_;
    Scope sessions_;
    bool stopping_ = false;   // by SIGTERM
    bool retired_ = false;    // by SIGHUP
    Event changed_;           // retired_, stopping_ or a session ended
    Event room_;              // set while fewer than the most sessions are open
    std::unique_ptr<ipc::QueueClient> queue_;
    ipc::Submitter* submitter_ = nullptr;   // queue_, or serve_one()'s
    std::vector<std::pair<std::string, std::unique_ptr<ipc::AuthClient>>> auth_;
    std::vector<std::unique_ptr<ServiceRuntime>> runtimes_;
    std::vector<Endpoint> endpoints_;
    size_t max_sessions_;
};

// Checks everything a worker will open, so that a bad configuration is refused before it is used.
Expected<void> check_configuration(const Configuration& configuration);

}   // namespace postcot::smtpd

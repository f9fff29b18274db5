// The server's side of the root workers: gives each job to a worker of its own, has more made up to the limit, and has one that is stuck killed.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "authd/worker/job.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"

namespace postcot::authd {

struct WorkerHandle {
    UniqueFd socket;
    uint32_t pid = 0;
};

class WorkerPool {
  public:
    using Spawn = std::function<Task<Expected<WorkerHandle>>()>;
    using Kill = std::function<void(uint32_t pid)>;

    // `timeout`: how long one job may take, and how long it may wait for a free worker.
    WorkerPool(unsigned limit, Millis timeout, Spawn spawn, Kill kill);

    // Always an answer: kInternalFailure when a worker died or did not answer. Not cancelled by whoever waits: a worker in the middle of a PAM
    // conversation is waited for, within the timeout.
    Task<JobAnswer> run(Job job);

    // The daemon ends: no new jobs, and those under way end now.
    void close();

    unsigned busy() const { return busy_; }

  private:
    Task<Expected<WorkerHandle>> take();
    Task<JobAnswer> run_on(WorkerHandle worker, std::string datagram);

    unsigned limit_;
    Millis timeout_;
    Spawn spawn_;
    Kill kill_;
    std::vector<WorkerHandle> idle_;
    unsigned busy_ = 0;
    std::set<uint32_t> working_;   // pids of workers with a job
    bool closed_ = false;
    Event freed_;
    Mutex spawning_;
    CancelSource unhurried_;   // parent of every job: never cancelled
};

}   // namespace postcot::authd

// The children of the local agent: one for each set of rights, forked when first needed, kept while used, let go when idle. A job that a dying
// child left unanswered is given once more, marked as maybe delivered.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libproto/ipc/channel.h"
#include "libproto/ipc/delivery.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"

namespace postcot::queued {

// Rights of a child. Mailbox children never run programs and are sandboxed; program children are not, since set-uid programs must work in them.
struct ChildRights {
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint32_t spool_gid = 0;   // one more group, to make files and locks in mail_spool_directory; 0: none
    bool runs_programs = false;
    auto operator<=>(const ChildRights&) const = default;
};

class Children {
  public:
    using Answer = std::function<void(ipc::Delivered)>;
    using Body = std::function<int(ChildRights, UniqueFd socket)>;   // the child's life; runs in the forked process

    // `close_in_child`: descriptors of the agent that no child may keep.
    Children(Scope& scope, std::vector<int> close_in_child, size_t max_children, Millis idle, Body body);
    ~Children();

    // `job`'s own number is replaced and restored.
    void give(ChildRights rights, ipc::Deliver job, UniqueFd fd, Answer answer);
    size_t unanswered() const { return jobs_.size(); }
    // Lets every child end when it has answered all its jobs: those that it has and those that are still to come to it (redispatched, or given
    // again after the death of another).
    void stop();

  private:
    struct Child;
    struct Job;
    void start_waiting();
    void refuse(uint64_t number, const char* reason);
    void hand_over(Child& child, uint64_t number);
    std::shared_ptr<Child> child_for(const ChildRights& rights);
    Task<void> serve(std::shared_ptr<Child> child);
    void gone(const std::shared_ptr<Child>& child);

    Scope& scope_;
    std::vector<int> close_in_child_;
    size_t max_children_;
    Millis idle_;
    Body body_;
    uint64_t next_job_ = 1;
    std::map<uint64_t, Job> jobs_;
    std::vector<uint64_t> waiting_;   // for a child to become free
    std::map<ChildRights, std::shared_ptr<Child>> children_;
    size_t processes_ = 0;
    bool stopping_ = false;
};

}   // namespace postcot::queued

#include "queued/local/children.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/subprocess.h"

namespace postcot::queued {

struct Children::Job {
    ChildRights rights;
    uint64_t number = 0;   // queued's
    ipc::Deliver deliver;
    UniqueFd fd;
    Answer answer;
    bool given_twice = false;
};

// Shared by the map (while it takes jobs) and its serving task (until the process is reaped).
struct Children::Child {
    ChildRights rights;
    pid_t pid = -1;
    std::unique_ptr<ipc::Channel> channel;
    std::vector<uint64_t> jobs;
    std::chrono::steady_clock::time_point last_used;
};

Children::Children(Scope& scope, std::vector<int> close_in_child, size_t max_children, Millis idle, Body body)
    : scope_(scope),
      close_in_child_(std::move(close_in_child)),
      max_children_(max_children),
      idle_(idle),
      body_(std::move(body)) {}

Children::~Children() = default;

void Children::give(ChildRights rights, ipc::Deliver job, UniqueFd fd, Answer answer) {
    uint64_t number = next_job_++;
    Job& entry = jobs_[number];
    entry.rights = rights;
    entry.number = job.job;
    entry.deliver = std::move(job);
    entry.deliver.job = number;
    entry.fd = std::move(fd);
    entry.answer = std::move(answer);
    waiting_.push_back(number);
    start_waiting();
}

void Children::hand_over(Child& child, uint64_t number) {
    Job& job = jobs_.at(number);
    std::vector<UniqueFd> fds;
    if (job.fd) fds.emplace_back(fcntl(job.fd.get(), F_DUPFD_CLOEXEC, 0));
    child.jobs.push_back(number);
    child.last_used = Loop::current().now();
    child.channel->post(ipc::Channel::pack(job.deliver, std::move(fds)));
}

std::shared_ptr<Children::Child> Children::child_for(const ChildRights& rights) {
    if (auto found = children_.find(rights); found != children_.end()) return found->second;
    if (processes_ >= max_children_) {
        // The one that has been idle longest makes room; it is gone once it has been reaped.
        Child* oldest = nullptr;
        for (auto& [key, child] : children_)
            if (child->jobs.empty() && (!oldest || child->last_used < oldest->last_used)) oldest = child.get();
        if (oldest) {
            ::shutdown(oldest->channel->fd(), SHUT_WR);
            children_.erase(oldest->rights);
        }
        return nullptr;
    }
    auto pair = socket_pair();
    if (!pair) {
        log::warning("socketpair: {}", pair.error().text);
        return nullptr;
    }
    std::vector<int> close_these = close_in_child_;
    close_these.push_back(pair->first.get());
    for (auto& [key, child] : children_) close_these.push_back(child->channel->fd());
    for (auto& [key, job] : jobs_)
        if (job.fd) close_these.push_back(job.fd.get());
    int socket = pair->second.get();
    auto pid = fork_child([this, rights, socket, &close_these]() -> int {
        for (int fd : close_these) ::close(fd);
        return body_(rights, UniqueFd(socket));
    });
    if (!pid) {
        log::warning("fork: {}", pid.error().text);
        return nullptr;
    }
    auto child = std::make_shared<Child>();
    child->rights = rights;
    child->pid = *pid;
    child->channel = std::make_unique<ipc::Channel>(std::move(pair->first));
    child->last_used = Loop::current().now();
    children_[rights] = child;
    ++processes_;
    scope_.spawn(serve(child));
    return child;
}

Task<void> Children::serve(std::shared_ptr<Child> child) {
    for (;;) {
        Millis wait = idle_;
        auto frame = co_await child->channel->receive(wait);
        if (!frame) {
            if (frame.error().code == ETIMEDOUT && !child->jobs.empty()) continue;
            break;
        }
        auto delivered = ipc::Channel::unpack<ipc::Delivered>(*frame);
        if (!delivered) {
            log::warning("local delivery process {}: {}", child->pid, delivered.error().text);
            break;
        }
        auto mine = std::find(child->jobs.begin(), child->jobs.end(), delivered->job);
        if (mine == child->jobs.end()) continue;
        child->jobs.erase(mine);
        auto entry = jobs_.find(delivered->job);
        Answer answer = std::move(entry->second.answer);
        delivered->job = entry->second.number;
        jobs_.erase(entry);
        answer(std::move(*delivered));
        if (!waiting_.empty()) start_waiting();
        if (stopping_ && child->jobs.empty()) break;
    }
    // Nobody gives it new jobs from here on; closing its socket ends it.
    if (auto found = children_.find(child->rights); found != children_.end() && found->second == child)
        children_.erase(found);
    child->channel->close();
    auto status = co_await wait_child(child->pid);
    if (status && *status != 0 && (WIFSIGNALED(*status) || WEXITSTATUS(*status) != 0)) {
        if (WIFSIGNALED(*status))
            log::warning("local delivery process {} killed by signal {}", child->pid, WTERMSIG(*status));
        else
            log::warning("local delivery process {} exit status {}", child->pid, WEXITSTATUS(*status));
    }
    gone(child);
}

void Children::gone(const std::shared_ptr<Child>& child) {
    --processes_;
    std::vector<uint64_t> left = std::move(child->jobs);
    for (uint64_t number : left) {
        auto entry = jobs_.find(number);
        if (entry == jobs_.end()) continue;
        Job& job = entry->second;
        if (!job.given_twice) {
            job.given_twice = true;
            job.deliver.maybe_delivered = true;
            waiting_.push_back(number);
            continue;
        }
        refuse(number, "unexpected end of the delivery process");
    }
    start_waiting();
}

void Children::start_waiting() {
    std::vector<uint64_t> again = std::move(waiting_);
    waiting_.clear();
    for (uint64_t number : again) {
        if (auto child = child_for(jobs_.at(number).rights))
            hand_over(*child, number);
        else if (processes_ < max_children_)
            refuse(number, "cannot start a delivery process");
        else
            waiting_.push_back(number);
    }
}

void Children::refuse(uint64_t number, const char* reason) {
    auto entry = jobs_.find(number);
    Job job = std::move(entry->second);
    jobs_.erase(entry);
    ipc::Delivered delivered;
    delivered.job = job.number;
    for (const auto& recipient : job.deliver.recipients) {
        ipc::RecipientResult result;
        result.index = recipient.index;
        result.dsn = "4.3.0";
        result.text = reason;
        result.relay = job.deliver.transport;
        delivered.results.push_back(std::move(result));
    }
    job.answer(std::move(delivered));
}

void Children::stop() {
    stopping_ = true;
    for (auto& [rights, child] : children_)
        if (child->jobs.empty()) ::shutdown(child->channel->fd(), SHUT_WR);
}

}   // namespace postcot::queued

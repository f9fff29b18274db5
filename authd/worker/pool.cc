#include "authd/worker/pool.h"

#include <openssl/crypto.h>
#include <sys/socket.h>

#include <cerrno>

#include "libproto/runtime/log.h"
#include "libproto/runtime/net.h"

namespace postcot::authd {

namespace {

// An idle worker has nothing to say: what is readable is its end.
bool is_dead(const WorkerHandle& worker) {
    char c;
    ssize_t got = recv(worker.socket.get(), &c, 1, MSG_DONTWAIT | MSG_PEEK);
    return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

JobAnswer internal_failure(std::string why) {
    JobAnswer answer;
    answer.log = std::move(why);
    answer.log_error = true;
    return answer;
}

}   // namespace

WorkerPool::WorkerPool(unsigned limit, Millis timeout, Spawn spawn, Kill kill)
    : limit_(limit), timeout_(timeout), spawn_(std::move(spawn)), kill_(std::move(kill)) {}

Task<Expected<WorkerHandle>> WorkerPool::take() {
    if (closed_) co_return fail(ECANCELED, "stopping");
    auto give_up_at = Loop::current().now() + timeout_;
    while (busy_ >= limit_) {
        freed_.reset();
        auto left = std::chrono::duration_cast<Millis>(give_up_at - Loop::current().now());
        if (left <= Millis(0)) co_return fail(ETIMEDOUT, "all auth workers are busy (auth_worker_max_count)");
        (void)co_await freed_.wait(left);
    }
    ++busy_;
    while (!idle_.empty()) {
        WorkerHandle worker = std::move(idle_.back());
        idle_.pop_back();
        if (!is_dead(worker)) co_return std::move(worker);
    }
    Expected<WorkerHandle> fresh = WorkerHandle();
    {
        auto guard = co_await spawning_.lock();
        fresh = co_await spawn_();
    }
    if (!fresh) {
        --busy_;
        freed_.set();
    }
    co_return std::move(fresh);
}

Task<JobAnswer> WorkerPool::run_on(WorkerHandle worker, std::string datagram) {
    int fd = worker.socket.get();
    ssize_t sent = send(fd, datagram.data(), datagram.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    OPENSSL_cleanse(datagram.data(), datagram.size());
    JobAnswer answer;
    bool keep = false;
    if (sent < 0) {
        answer = internal_failure("auth worker is gone");
        kill_(worker.pid);
    } else {
        working_.insert(worker.pid);
        auto readable = co_await wait_readable(fd, timeout_);
        working_.erase(worker.pid);
        std::string buffer(kMaxJob, '\0');
        ssize_t got = readable ? recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT) : -1;
        if (!readable) {
            answer =
                internal_failure("auth worker " + std::to_string(worker.pid) + " did not answer in time, killing it");
            kill_(worker.pid);
        } else if (got <= 0) {
            answer = internal_failure("auth worker " + std::to_string(worker.pid) + " died");
            kill_(worker.pid);
        } else {
            ipc::Reader reader(std::string_view(buffer.data(), static_cast<size_t>(got)));
            answer = JobAnswer::decode(reader);
            keep = reader.ok() && !answer.last;
        }
    }
    if (keep) idle_.push_back(std::move(worker));
    --busy_;
    freed_.set();
    co_return answer;
}

void WorkerPool::close() {
    closed_ = true;
    for (uint32_t pid : working_) kill_(pid);
}

Task<JobAnswer> WorkerPool::run(Job job) {
    auto taking = take();
    taking.with_cancel(unhurried_);
    auto worker = co_await taking;
    if (!worker) co_return internal_failure(worker.error().text);
    ipc::Writer writer;
    job.encode(writer);
    OPENSSL_cleanse(job.password.data(), job.password.size());
    auto running = run_on(std::move(*worker), writer.take());
    running.with_cancel(unhurried_);
    co_return co_await running;
}

}   // namespace postcot::authd

#include "queued/local/child.h"

#include <grp.h>
#include <unistd.h>

#include <deque>
#include <map>

#include "libproto/ipc/delivery.h"
#include "libproto/runtime/files.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/sandbox.h"
#include "queued/local/action.h"
#include "queued/local/command.h"
#include "queued/local/headers.h"
#include "queued/local/maildir_name.h"
#include "queued/local/maildir_writer.h"
#include "queued/local/mbox.h"
#include "queued/local/results.h"
#include "queued/local/transport_config.h"
#include "queued/local/user.h"

namespace postcot::queued {

namespace {

// Files that wait for the disk together, and threads whose syncs share the file system's journal commits (measured: README of tests/bench).
constexpr size_t kBatch = 128;
constexpr int kSyncThreads = 8;

struct Job {
    ipc::Deliver deliver;
    UniqueFd fd;
    Action action;   // of the first recipient; only pipe(8) has several
};

// RFC 5321 §4.4: the sender as it was when the message was accepted.
std::string headers_for(const Job& job) {
    const ipc::Recipient& recipient = job.deliver.recipients.front().recipient;
    return delivery_headers(job.deliver.sender, recipient.original.empty() ? recipient.address : recipient.original,
                            job.action.delivered_to);
}

class Child {
  public:
    Child(UniqueFd socket, const AgentConfig& config)
        : channel_(std::move(socket)), configs_(config), writer_(Files::disk(), kSyncThreads) {}

    Task<int> run();

  private:
    Task<void> maildir_batches();
    Task<void> other(Job job);
    Task<ipc::RecipientResult> carry_out(Job& job);
    Task<ipc::RecipientResult> to_mbox(Job& job, std::string path, std::string what);
    void to_maildir(Job job, std::string path, std::string done);
    void answer(const Job& job, ipc::RecipientResult result);

    struct MaildirJob {
        Job job;
        std::string path;
        std::string done;   // what the log says
    };

    ipc::Channel channel_;
    TransportConfigs configs_;
    MaildirWriter writer_;
    Scope scope_;
    Event ready_;
    std::deque<MaildirJob> maildir_jobs_;
    bool finishing_ = false;
};

Task<int> Child::run() {
    scope_.spawn(maildir_batches());
    for (;;) {
        auto frame = co_await channel_.receive();
        if (!frame) break;
        auto deliver = ipc::Channel::unpack<ipc::Deliver>(*frame);
        if (!deliver || deliver->recipients.empty()) continue;
        Job job;
        job.deliver = std::move(*deliver);
        if (!frame->fds.empty()) job.fd = std::move(frame->fds.front());
        auto action = Action::decode(job.deliver.recipients.front().context);
        if (!action) {
            answer(job, deferred("4.3.0", action.error().text));
            continue;
        }
        job.action = std::move(*action);
        if (job.action.kind == Action::Kind::kMailbox && job.action.path.back() == '/') {
            std::string path = job.action.path;
            to_maildir(std::move(job), std::move(path), "delivered to maildir");
        } else {
            scope_.spawn(other(std::move(job)));
        }
    }
    finishing_ = true;
    ready_.set();
    co_await scope_.join();
    co_return 0;
}

void Child::answer(const Job& job, ipc::RecipientResult result) {
    ipc::Delivered delivered;
    delivered.job = job.deliver.job;
    if (result.relay.empty()) result.relay = job.deliver.transport;
    for (const auto& recipient : job.deliver.recipients) {
        result.index = recipient.index;
        delivered.results.push_back(result);
    }
    channel_.post(ipc::Channel::pack(delivered));
}

void Child::to_maildir(Job job, std::string path, std::string done) {
    maildir_jobs_.push_back(MaildirJob{std::move(job), std::move(path), std::move(done)});
    ready_.set();
}

// While one batch waits for the disk the next one gathers.
Task<void> Child::maildir_batches() {
    for (;;) {
        if (maildir_jobs_.empty()) {
            if (finishing_) co_return;
            ready_.reset();
            (void)co_await ready_.wait();
            continue;
        }
        std::vector<MaildirJob> jobs;
        std::vector<MaildirDelivery> batch;
        while (!maildir_jobs_.empty() && jobs.size() < kBatch) {
            jobs.push_back(std::move(maildir_jobs_.front()));
            maildir_jobs_.pop_front();
        }
        for (auto& entry : jobs) {
            const ipc::Deliver& deliver = entry.job.deliver;
            const ipc::DeliverRecipient& recipient = deliver.recipients.front();
            const config::MainCf& main = configs_.of(deliver.transport);
            MaildirDelivery delivery;
            delivery.maildir = entry.path;
            delivery.base = maildir_base_name(deliver.arrival_seconds, deliver.arrival_microseconds, deliver.queue_id,
                                              std::to_string(recipient.index) + " " + recipient.recipient.address,
                                              main.str("myhostname"));
            delivery.headers = headers_for(entry.job);
            delivery.head = deliver.head;
            delivery.fd = entry.job.fd.get();
            delivery.offset = deliver.offset;
            delivery.length = deliver.length;
            auto limit =
                main.integer(entry.job.action.virtual_mailbox ? "virtual_mailbox_limit" : "mailbox_size_limit");
            delivery.size_limit = limit > 0 ? static_cast<uint64_t>(limit) : 0;
            delivery.maybe_delivered = deliver.maybe_delivered;
            batch.push_back(std::move(delivery));
        }
        auto work = [this, &batch] { writer_.deliver(batch); };
        co_await blocking(work);
        for (size_t i = 0; i < jobs.size(); ++i) {
            if (batch[i].result)
                answer(jobs[i].job, sent(jobs[i].done));
            else
                answer(jobs[i].job, mailbox_failed("maildir", batch[i].result.error()));
        }
    }
}

Task<ipc::RecipientResult> Child::to_mbox(Job& job, std::string path, std::string what) {
    const config::MainCf& main = configs_.of(job.deliver.transport);
    MboxDelivery delivery;
    delivery.path = std::move(path);
    delivery.from_line = mbox_from_line(job.deliver.sender, job.deliver.arrival_seconds);
    delivery.headers = headers_for(job);
    delivery.head = job.deliver.head;
    delivery.fd = job.fd.get();
    delivery.offset = job.deliver.offset;
    delivery.length = job.deliver.length;
    delivery.maybe_delivered = job.deliver.maybe_delivered;
    bool is_virtual = job.action.virtual_mailbox;
    auto limit = main.integer(is_virtual ? "virtual_mailbox_limit" : "mailbox_size_limit");
    delivery.size_limit = limit > 0 ? static_cast<uint64_t>(limit) : 0;
    for (const auto& lock : main.list(is_virtual ? "virtual_mailbox_lock" : "mailbox_delivery_lock")) {
        if (lock == "fcntl")
            delivery.lock_fcntl = true;
        else if (lock == "flock")
            delivery.lock_flock = true;
        else if (lock == "dotlock")
            delivery.lock_dot = true;
    }
    delivery.lock_attempts = static_cast<int>(main.integer("deliver_lock_attempts"));
    delivery.lock_delay = main.time("deliver_lock_delay");
    delivery.stale_lock = main.time("stale_lock_time");
    delivery.strict_owner = main.boolean("strict_mailbox_ownership");
    auto work = [&delivery] { return deliver_mbox(delivery); };
    auto written = co_await blocking(work);
    if (!written) co_return mailbox_failed("mailbox", written.error());
    co_return sent(std::move(what));
}

Task<ipc::RecipientResult> Child::carry_out(Job& job) {
    switch (job.action.kind) {
        case Action::Kind::kMailbox: {
            std::string what =
                job.action.virtual_mailbox ? "delivered to mailbox" : "delivered to file: " + job.action.path;
            std::string path = job.action.path;
            auto result = co_await to_mbox(job, std::move(path), std::move(what));
            co_return result;
        }
        case Action::Kind::kCommand:
        case Action::Kind::kPipe: {
            auto result =
                co_await run_command(job.deliver, job.fd.get(), job.action, configs_.of(job.deliver.transport));
            co_return result;
        }
        case Action::Kind::kInclude:
            co_return expand_include(job.deliver, job.action, configs_.of(job.deliver.transport));
        default: co_return deferred("4.3.0", "malformed delivery request");
    }
}

Task<void> Child::other(Job job) {
    if (job.action.kind == Action::Kind::kUser) {
        const config::MainCf& main = configs_.of(job.deliver.transport);
        UserDelivery next = deliver_user(job.deliver, job.fd.get(), job.action, main);
        if (next.result) {
            answer(job, std::move(*next.result));
        } else if (job.deliver.verify) {
            answer(job, sent(next.mailbox.back() == '/' ? "delivers to maildir" : "delivers to mailbox"));
        } else if (next.mailbox.back() == '/') {
            to_maildir(std::move(job), std::move(next.mailbox), "delivered to maildir");
        } else {
            auto result = co_await to_mbox(job, std::move(next.mailbox), "delivered to mailbox");
            answer(job, std::move(result));
        }
        co_return;
    }
    auto result = co_await carry_out(job);
    answer(job, std::move(result));
}

// A program child gives up root for good but keeps set-uid programs working; a mailbox child is sandboxed.
Expected<void> enter_rights(const ChildRights& rights) {
    if (!running_as_root() || rights.uid == 0) return {};
    if (rights.runs_programs) {
        gid_t gid = rights.gid;
        if (setgroups(1, &gid) != 0 || setresgid(gid, gid, gid) != 0 ||
            setresuid(rights.uid, rights.uid, rights.uid) != 0)
            return fail_errno(errno, "cannot become uid " + std::to_string(rights.uid));
        return {};
    }
    Account account;
    account.uid = rights.uid;
    account.gid = rights.gid;
    account.name = std::to_string(rights.uid);
    Sandbox sandbox;
    sandbox.account = &account;
    sandbox.may_connect = false;
    if (rights.spool_gid != 0)
        if (const group* spool = getgrgid(rights.spool_gid)) sandbox.extra_groups.push_back(spool->gr_name);
    return enter_sandbox(sandbox);
}

}   // namespace

int run_child(ChildRights rights, UniqueFd socket, const AgentConfig& config) {
    umask(077);
    if (auto entered = enter_rights(rights); !entered) {
        log::error("local delivery: {}", entered.error().text);
        return 75;   // EX_TEMPFAIL
    }
    Child child(std::move(socket), config);
    return Loop::current().run_until_complete(child.run());
}

}   // namespace postcot::queued

// A delivery agent in a process of its own, spoken to as queued does.
#pragma once

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "libproto/ipc/delivery.h"
#include "libproto/runtime/daemon.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/subprocess.h"
#include "queued/local/agent.h"
#include "queued/remote/agent.h"
#include "tests/unit/catch.h"

namespace postcot::queued {

struct TemporaryFolder {
    std::string path;
    TemporaryFolder() {
        char name[] = "/tmp/postcot-agent-XXXXXX";
        path = mkdtemp(name);
        chmod(path.c_str(), 0755);
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

inline std::vector<std::filesystem::path> files_in(const std::string& folder) {
    std::vector<std::filesystem::path> out;
    if (std::filesystem::exists(folder))
        for (const auto& entry : std::filesystem::directory_iterator(folder)) out.push_back(entry.path());
    return out;
}

inline std::string text_of(const std::filesystem::path& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

class AgentUnderTest {
  public:
    AgentUnderTest(int (*run)(ipc::Channel, AgentConfig), const std::string& main_cf, const std::string& master_cf) {
        AgentConfig config;
        // Commands start in queue_directory; Debian's need not be there.
        auto main = config::MainCf::parse("queue_directory = /tmp\n" + main_cf, "main.cf");
        REQUIRE(main.has_value());
        config.main = *main;
        auto master = config::MasterCf::parse(master_cf, "master.cf", *main);
        REQUIRE(master.has_value());
        config.master = *master;
        auto pair = socket_pair();
        REQUIRE(pair.has_value());
        int theirs = pair->second.release();
        int ours = pair->first.get();
        auto pid = fork_child([=]() {
            ::close(ours);
            return run(ipc::Channel(UniqueFd(theirs)), config);
        });
        REQUIRE(pid.has_value());
        pid_ = *pid;
        ::close(theirs);
        channel_ = std::make_unique<ipc::Channel>(std::move(pair->first));
        auto hello = loop_.run_until_complete(channel_->receive(Millis(10000)));
        REQUIRE(hello.has_value());
        REQUIRE(hello->type == ipc::AgentHello::kType);
    }
    ~AgentUnderTest() { stop(); }

    int stop() {
        if (pid_ < 0) return status_;
        channel_->post(ipc::Channel::pack(ipc::AgentStop{}));
        for (;;) {
            auto frame = loop_.run_until_complete(channel_->receive(Millis(20000)));
            if (!frame || frame->type == ipc::AgentStop::kType) break;
        }
        channel_->close();
        auto ended = loop_.run_until_complete(wait_child(pid_));
        pid_ = -1;
        status_ = ended ? *ended : -1;
        return status_;
    }

    static ipc::Deliver job(const std::string& transport, const std::string& recipient, const std::string& text) {
        ipc::Deliver deliver;
        deliver.queue_id = "4F0C312AB7";
        deliver.transport = transport;
        deliver.sender = "sender@example.net";
        deliver.arrival_seconds = 1732445566;
        ipc::DeliverRecipient entry;
        entry.recipient.address = recipient;
        deliver.recipients.push_back(entry);
        deliver.head = text;
        return deliver;
    }

    void send(const ipc::Deliver& deliver) { channel_->post(ipc::Channel::pack(deliver)); }
    ipc::Delivered receive(Millis timeout = Millis(20000)) {
        auto frame = loop_.run_until_complete(channel_->receive(timeout));
        REQUIRE(frame.has_value());
        auto delivered = ipc::Channel::unpack<ipc::Delivered>(*frame);
        REQUIRE(delivered.has_value());
        return *delivered;
    }
    ipc::RecipientResult deliver(ipc::Deliver one) {
        one.job = ++last_job_;
        send(one);
        auto delivered = receive();
        CHECK(delivered.job == last_job_);
        REQUIRE(delivered.results.size() == 1);
        return delivered.results[0];
    }
    Loop& loop() { return loop_; }

  private:
    Loop loop_;
    pid_t pid_ = -1;
    int status_ = 0;
    uint64_t last_job_ = 0;
    std::unique_ptr<ipc::Channel> channel_;
};

}   // namespace postcot::queued

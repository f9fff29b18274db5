// The parent's side of its fronts: fork, restart with back-off, connections to authd.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "libproto/login/front.h"
#include "libproto/login/parent.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/subprocess.h"

namespace postcot::login {

Task<void> Parent::front_life(size_t index, int generation) {
    Millis pause{0};
    while (!stopping_ && generation == generation_) {
        if (pause > Millis(0)) {
            auto slept = co_await sleep_for(pause);
            if (!slept || stopping_ || generation != generation_) co_return;
        }
        auto pair = socket_pair();
        if (!pair) {
            log::error("socketpair: {}", pair.error().text);
            pause = Millis(1000);
            continue;
        }
        int child_end = pair->second.get();
        auto born = std::chrono::steady_clock::now();
        auto pid = fork_child([this, child_end] {
            Front front(protocol_, conf_, child_end, listeners_);
            return front.run();
        });
        if (!pid) {
            log::error("fork: {}", pid.error().text);
            pause = Millis(1000);
            continue;
        }
        pair->second.reset();
        auto front = std::make_shared<FrontChild>();   // shared with the requests that are under way when it dies
        front->pid = *pid;
        front->channel = std::make_unique<ipc::Channel>(std::move(pair->first), size_t{1} << 20);
        front_children_[index] = front;
        co_await read_front(front);
        auto status = co_await wait_child(front->pid);
        auto found = front_children_.find(index);
        if (found != front_children_.end() && found->second == front) front_children_.erase(found);
        old_fronts_.remove(front->pid);
        if (stopping_ || generation != generation_) co_return;
        if (status && WIFSIGNALED(*status))
            log::error("service({}-login): child {} killed with signal {}", protocol_.name, front->pid,
                       WTERMSIG(*status));
        else
            log::error("service({}-login): child {} returned error {}", protocol_.name, front->pid,
                       status ? WEXITSTATUS(*status) : -1);
        bool quick = std::chrono::steady_clock::now() - born < std::chrono::seconds(5);
        pause = quick ? std::min(std::max(pause * 2, Millis(100)), Millis(60'000)) : Millis(0);
    }
}

Task<void> Parent::read_front(std::shared_ptr<FrontChild> front) {
    for (;;) {
        auto frame = co_await front->channel->receive();
        if (!frame) co_return;
        if (auto connect = ipc::Channel::unpack<AuthConnect>(*frame)) {
            sessions_.spawn(connect_auth(front, connect->sequence));
        } else if (auto login = ipc::Channel::unpack<HandOver>(*frame); login && !frame->fds.empty()) {
            sessions_.spawn(hand_over(front, std::move(*login), std::move(frame->fds[0])));
        } else {
            log::error("{}-login: child {} sent what is no message; it is killed", protocol_.name, front->pid);
            kill(front->pid, SIGKILL);
            co_return;
        }
    }
}

Task<void> Parent::connect_auth(std::shared_ptr<FrontChild> front, uint32_t sequence) {
    AuthConnected reply;
    reply.sequence = sequence;
    std::string path = conf_.str("login_auth_socket_path");
    if (path.empty()) path = "login/login";
    if (!path.starts_with('/')) path = conf_.str("base_dir") + "/" + path;
    std::vector<UniqueFd> fds;
    auto address = SockAddr::unix_path(path);
    if (!address) {
        reply.error = address.error().text;
    } else {
        auto fd = co_await connect_to(*address, Millis(5000));
        if (fd)
            fds.push_back(std::move(*fd));
        else
            reply.error = fmt::format("connect({}) failed: {}", path, fd.error().text);
    }
    (void)co_await front->channel->send_message(reply, std::move(fds));
}

}   // namespace postcot::login

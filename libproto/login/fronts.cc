// The parent's side of its fronts: what one is, what it asks for, connections to authd.
#include <fmt/format.h>
#include <signal.h>

#include "libproto/login/front.h"
#include "libproto/login/parent.h"
#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"

namespace postcot::login {

// One front is kept alive; its channel is made anew with each start.
void Parent::keep_front() {
    auto front =
        std::make_shared<std::shared_ptr<FrontChild>>();   // the one that runs now; shared by start and conversation
    Kept kept;
    kept.name = protocol_.name + "-login";
    kept.start = [this, front]() -> Expected<pid_t> {
        auto pair = socket_pair();
        if (!pair) return fail(pair.error());
        int child_end = pair->second.get();
        ChildDescriptors descriptors;
        descriptors.keep = {child_end};
        for (const auto& listener : listeners_) descriptors.keep.push_back(listener.fd.get());
        auto pid = fork_child(
            [this, child_end] {
                Front child(protocol_, conf_, child_end, listeners_);
                return child.run();
            },
            std::move(descriptors));
        if (!pid) return pid;
        *front = std::make_shared<FrontChild>();   // shared with the requests that are under way when it dies
        (*front)->pid = *pid;
        (*front)->channel = std::make_unique<ipc::Channel>(std::move(pair->first), size_t{1} << 20);
        return pid;
    };
    kept.converse = [this, front](pid_t) { return read_front(*front); };
    front_children_.keep(std::move(kept));
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

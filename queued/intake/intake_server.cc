#include "queued/intake/intake_server.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "libproto/runtime/log.h"
#include "libproto/smtp/queue_id.h"

namespace postcot::queued {

struct IntakeServer::Connection {
    explicit Connection(UniqueFd fd) : channel(std::move(fd)) {}
    ipc::Channel channel;
    std::map<std::string, std::shared_ptr<File>> opened;   // large files not yet submitted
    bool gone = false;

    void answer(uint32_t token, const Expected<std::string>& result, std::vector<UniqueFd> fds = {}) {
        if (gone) return;
        ipc::IntakeResult out;
        out.token = token;
        out.ok = result.has_value();
        if (result) {
            out.queue_id = *result;
        } else {
            out.code = result.error().code >= 400 && result.error().code < 600 ? result.error().code : 451;
            out.enhanced = result.error().enhanced.empty() ? "4.3.0" : result.error().enhanced;
            out.text = result.error().text;
        }
        channel.post(ipc::Channel::pack(out, std::move(fds)));
    }
};

IntakeServer::IntakeServer(QueueManager& manager, Scope& scope, UniqueFd listening)
    : manager_(manager), scope_(scope), listener_(std::move(listening)) {}

Task<void> IntakeServer::run() {
    for (;;) {
        auto accepted = co_await listener_.accept();
        if (!accepted) {
            if (accepted.error().code == ECANCELED) co_return;
            log::warning("intake: accept: {}", accepted.error().text);
            auto slept = co_await sleep_for(Millis(100));
            if (!slept) co_return;
            continue;
        }
        scope_.spawn(serve(std::make_shared<Connection>(std::move(accepted->fd))));
    }
}

Task<void> IntakeServer::serve(std::shared_ptr<Connection> connection) {
    for (;;) {
        auto frame = co_await connection->channel.receive();
        if (!frame) break;
        handle(connection, *frame);
    }
    connection->gone = true;   // submissions under way finish without an answer
    for (auto& [id, file] : connection->opened) manager_.store().abort_large(id);
    connection->opened.clear();
}

void IntakeServer::handle(const std::shared_ptr<Connection>& connection, const ipc::Frame& frame) {
    switch (frame.type) {
        case ipc::IntakeSubmit::kType: {
            auto message = ipc::Channel::unpack<ipc::IntakeSubmit>(frame);
            if (!message) break;
            uint32_t token = message->token;
            Submission submission;
            submission.input.queue_id = message->queue_id;
            submission.input.envelope = std::move(message->envelope);
            if (message->large) {
                auto found = connection->opened.find(message->queue_id);
                if (found == connection->opened.end()) {
                    connection->answer(token, fail(451, "4.3.0", "Error: queue file write error"));
                    return;
                }
                submission.large = std::move(found->second);
                connection->opened.erase(found);
            } else {
                submission.text = std::move(message->content);
            }
            manager_.accept(std::move(submission),
                            [connection, token](Expected<std::string> result) { connection->answer(token, result); });
            return;
        }
        case ipc::IntakeNumbers::kType: {
            auto message = ipc::Channel::unpack<ipc::IntakeNumbers>(frame);
            if (!message) break;
            ipc::IntakeNumberBlock block;
            block.token = message->token;
            block.count = std::min<uint32_t>(std::max<uint32_t>(message->count, 1), 4096);
            block.first = manager_.store().take_numbers(block.count);
            connection->channel.post(ipc::Channel::pack(block));
            return;
        }
        case ipc::IntakeOpenLarge::kType: {
            auto message = ipc::Channel::unpack<ipc::IntakeOpenLarge>(frame);
            if (!message) break;
            if (!smtp::is_queue_id(message->queue_id)) break;
            auto file = manager_.store().create_large(message->queue_id);
            int fd = file && (*file)->fd() >= 0 ? ::dup((*file)->fd()) : -1;
            if (fd < 0) {
                log::error("{}: create queue file: {}", message->queue_id, file ? "no descriptor" : file.error().text);
                bool full = !file && (file.error().code == ENOSPC || file.error().code == EDQUOT);
                connection->answer(message->token,
                                   full ? Expected<std::string>(fail(452, "4.3.1", "Insufficient system storage"))
                                        : Expected<std::string>(fail(451, "4.3.0", "Error: queue file write error")));
                return;
            }
            connection->opened[message->queue_id] = std::move(*file);
            std::vector<UniqueFd> fds;
            fds.emplace_back(fd);
            connection->answer(message->token, message->queue_id, std::move(fds));
            return;
        }
        case ipc::IntakeAbortLarge::kType: {
            auto message = ipc::Channel::unpack<ipc::IntakeAbortLarge>(frame);
            if (!message) break;
            if (connection->opened.erase(message->queue_id)) manager_.store().abort_large(message->queue_id);
            return;
        }
        case ipc::IntakeCheckSpace::kType: {
            auto message = ipc::Channel::unpack<ipc::IntakeCheckSpace>(frame);
            if (!message) break;
            auto room = manager_.check_space(message->size);
            connection->answer(message->token,
                               room ? Expected<std::string>("") : Expected<std::string>(fail(room.error())));
            return;
        }
        case ipc::IntakeFlush::kType: {
            auto message = ipc::Channel::unpack<ipc::IntakeFlush>(frame);
            if (!message) break;
            auto flushed = manager_.flush_site(message->site);
            connection->answer(message->token,
                               flushed ? Expected<std::string>("") : Expected<std::string>(fail(flushed.error())));
            return;
        }
        default: break;
    }
    log::error("intake: unexpected message {:#x}", frame.type);
    connection->channel.close();
}

}   // namespace postcot::queued

#include "libproto/ipc/queue_client.h"

#include <sys/time.h>

#include <cerrno>
#include <map>

#include "libproto/ipc/channel.h"
#include "libproto/smtp/queue_id.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/net.h"

namespace postcot::ipc {

namespace {

constexpr uint32_t kNumbersAtOnce = 256;
constexpr Millis kConnectTimeout{10000};
constexpr Millis kRoomKnown{1000};

tl::unexpected<Error> unavailable() { return fail(451, "4.3.0", "Error: queue file write error"); }

}   // namespace

struct QueueClient::Impl : std::enable_shared_from_this<QueueClient::Impl> {
    struct Question {
        Event answered;
        Expected<Frame> answer = fail(ECONNRESET, "no answer");
    };

    std::string path;
    bool long_ids = false;
    std::unique_ptr<Channel> channel;
    std::unique_ptr<Scope> readers = std::make_unique<Scope>();
    Mutex connecting;
    std::map<uint32_t, Question*> questions;
    uint32_t last_token = 0;
    uint64_t next_number = 0;
    uint64_t end_number = 0;
    Mutex refilling;
    Expected<void> room;   // for a small message
    std::chrono::steady_clock::time_point room_known_until{};

    Task<Expected<void>> ensure_connected() {
        auto guard = co_await connecting.lock();
        if (channel) co_return Expected<void>{};
        auto address = SockAddr::unix_path(path);
        if (!address) co_return fail(address.error());
        auto fd = co_await connect_to(*address, kConnectTimeout);
        if (!fd) {
            log::warning("connect to queue service {}: {}", path, fd.error().text);
            co_return unavailable();
        }
        channel = std::make_unique<Channel>(std::move(*fd));
        next_number = end_number = 0;   // numbers of an earlier queued may be given again
        readers->spawn(read_answers(shared_from_this()));
        co_return Expected<void>{};
    }

    static Task<void> read_answers(std::shared_ptr<Impl> self) {
        for (;;) {
            auto frame = co_await self->channel->receive();
            if (!frame) {
                self->lost(frame.error());
                co_return;
            }
            Reader reader(frame->payload);   // every answer begins with its token
            uint32_t token = reader.u32();
            auto found = self->questions.find(token);
            if (found == self->questions.end()) continue;   // its session is gone
            Question* question = found->second;
            self->questions.erase(found);
            question->answer = std::move(frame);
            question->answered.set();
        }
    }

    void lost(const Error& error) {
        channel.reset();
        auto open = std::move(questions);
        questions.clear();
        for (auto& [token, question] : open) {
            question->answer = fail(error);
            question->answered.set();
        }
    }

    // Takes the token out again however the waiting ends.
    struct Registration {
        Impl& impl;
        uint32_t token;
        ~Registration() { impl.questions.erase(token); }
    };

    template <class M>
    Task<Expected<Frame>> ask(M message) {
        auto connected = co_await ensure_connected();
        if (!connected) co_return fail(connected.error());
        message.token = ++last_token;
        Question question;
        questions[message.token] = &question;
        Registration registration{*this, message.token};
        channel->post(Channel::pack(message));
        auto waited = co_await question.answered.wait();
        if (!waited) co_return fail(waited.error());
        if (!question.answer) {
            if (question.answer.error().code == ECANCELED) co_return fail(question.answer.error());
            co_return unavailable();
        }
        co_return std::move(question.answer);
    }

    template <class M>
    Task<Expected<IntakeResult>> ask_result(M message, std::vector<UniqueFd>* fds = nullptr) {
        auto frame = co_await ask(std::move(message));
        if (!frame) co_return fail(frame.error());
        auto result = Channel::unpack<IntakeResult>(*frame);
        if (!result) co_return unavailable();
        if (!result->ok) co_return fail(result->code, result->enhanced, result->text);
        if (fds) *fds = std::move(frame->fds);
        co_return std::move(*result);
    }
};

QueueClient::QueueClient(std::string socket_path, bool long_queue_ids) : impl_(std::make_shared<Impl>()) {
    impl_->path = std::move(socket_path);
    impl_->long_ids = long_queue_ids;
}

QueueClient::~QueueClient() = default;

Task<Expected<void>> QueueClient::connect() {
    auto impl = impl_;
    auto result = co_await impl->ensure_connected();
    co_return result;
}

Task<void> QueueClient::close() {
    auto impl = impl_;
    impl->readers->cancel();
    co_await impl->readers->join();
    impl->channel.reset();
    impl->readers = std::make_unique<Scope>();
}

Task<Expected<std::string>> QueueClient::next_queue_id() {
    auto impl = impl_;
    if (impl->next_number == impl->end_number || !impl->channel) {
        auto guard = co_await impl->refilling.lock();
        if (impl->next_number == impl->end_number || !impl->channel) {
            IntakeNumbers request;
            request.count = kNumbersAtOnce;
            auto frame = co_await impl->ask(std::move(request));
            if (!frame) co_return fail(frame.error());
            auto block = Channel::unpack<IntakeNumberBlock>(*frame);
            if (!block || block->count == 0) co_return unavailable();
            impl->next_number = block->first;
            impl->end_number = block->first + block->count;
        }
    }
    timeval now{};
    gettimeofday(&now, nullptr);
    smtp::QueueTime time{now.tv_sec, static_cast<uint32_t>(now.tv_usec)};
    co_return smtp::compose_queue_id(impl->long_ids, time, impl->next_number++);
}

Task<Expected<std::string>> QueueClient::submit(std::string queue_id, Envelope envelope, std::string content) {
    auto impl = impl_;
    IntakeSubmit message;
    message.queue_id = std::move(queue_id);
    message.envelope = std::move(envelope);
    message.content = std::move(content);
    auto result = co_await impl->ask_result(std::move(message));
    if (!result) co_return fail(result.error());
    co_return std::move(result->queue_id);
}

Task<Expected<UniqueFd>> QueueClient::open_large(std::string queue_id) {
    auto impl = impl_;
    IntakeOpenLarge message;
    message.queue_id = std::move(queue_id);
    std::vector<UniqueFd> fds;
    auto result = co_await impl->ask_result(std::move(message), &fds);
    if (!result) co_return fail(result.error());
    if (fds.size() != 1) co_return unavailable();
    co_return std::move(fds[0]);
}

Task<Expected<std::string>> QueueClient::submit_large(std::string queue_id, Envelope envelope) {
    auto impl = impl_;
    IntakeSubmit message;
    message.queue_id = std::move(queue_id);
    message.envelope = std::move(envelope);
    message.large = true;
    auto result = co_await impl->ask_result(std::move(message));
    if (!result) co_return fail(result.error());
    co_return std::move(result->queue_id);
}

void QueueClient::abort_large(std::string queue_id) {
    if (!impl_->channel) return;
    IntakeAbortLarge message;
    message.queue_id = std::move(queue_id);
    impl_->channel->post(Channel::pack(message));
}

Task<Expected<void>> QueueClient::check_space(uint64_t size) {
    auto impl = impl_;
    const bool small = size <= kInlineContent;
    const auto now = Loop::current().now();
    if (small && now < impl->room_known_until) co_return impl->room;
    IntakeCheckSpace message;
    message.size = small ? 0 : size;
    auto result = co_await impl->ask_result(std::move(message));
    Expected<void> room;
    // Where there is no answer, the message itself will be refused.
    if (!result && (!small || result.error().code == 452 || result.error().code == ECANCELED)) room = fail(result.error());
    if (small && (result || result.error().code == 452)) {
        impl->room = room;
        impl->room_known_until = now + kRoomKnown;
    }
    co_return room;
}

Task<Expected<void>> QueueClient::flush_site(std::string site) {
    auto impl = impl_;
    IntakeFlush message;
    message.site = std::move(site);
    auto result = co_await impl->ask_result(std::move(message));
    if (!result) co_return fail(result.error());
    co_return Expected<void>{};
}

}   // namespace postcot::ipc

#include "queued/postfix_queue/hand_back.h"

#include <sys/stat.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

#include "libproto/runtime/log.h"
#include "libproto/smtp/path.h"
#include "libproto/smtp/queue_id.h"
#include "queued/postfix_queue/reinject.h"

namespace postcot::queued {

namespace {

namespace pq = postfix_queue;

constexpr size_t kAtOnce = 100;
constexpr size_t kMaxBatchFile = 1 << 20;
constexpr size_t kPiece = 256 * 1024;
constexpr Millis kLookAgain{20};   // whether the journal can be written

Expected<void> set_modified(File& file, int64_t seconds) {
    if (file.fd() < 0) return {};
    timespec times[2] = {{seconds, 0}, {seconds, 0}};
    if (::futimens(file.fd(), times) != 0) return fail_errno(errno, "set the time of a queue file");
    return {};
}

}   // namespace

HandBack::HandBack(Store& store, HandBackSettings settings)
    : store_(store), files_(store.files()), settings_(std::move(settings)) {}

Expected<std::string> HandBack::place(const std::string& queue, const std::string& name) {
    std::string folder = queue;
    std::string key = name;
    if (auto time = smtp::queue_id_time(name)) key = smtp::compose_queue_id(false, *time, 0);
    const size_t depth = settings_.hash_names.count(queue) ? std::min(settings_.hash_depth, key.size()) : 0;
    for (size_t i = 0; i < depth; ++i) {
        const std::string above = folder;
        folder += std::string("/") + key[i];
        if (files_.exists(path_of(folder))) continue;
        if (auto made = files_.mkdir(path_of(folder), 0700); !made) return fail(made.error());
        dirty_.insert(above);
    }
    dirty_.insert(folder);
    return folder + "/" + name;
}

Expected<void> HandBack::copy_text(const StoredMessage& message,
                                   const std::function<Expected<void>(std::string_view)>& to) {
    auto head = store_.read_head(message);
    if (!head) return fail(head.error());
    if (auto written = to(*head); !written || !message.large) return written;
    auto file = store_.open_large(message);
    if (!file) return fail(file.error());
    std::string piece;
    for (uint64_t done = 0; done < message.large_length;) {
        piece.resize(static_cast<size_t>(std::min<uint64_t>(kPiece, message.large_length - done)));
        auto n = (*file)->read_at(piece.data(), piece.size(), message.large_offset + done);
        if (!n) return fail(n.error());
        if (*n == 0) return fail(EIO, store_.large_path(message.id) + " is too short");
        done += *n;
        if (auto written = to(std::string_view(piece).substr(0, *n)); !written) return written;
    }
    return {};
}

Expected<void> HandBack::write_log(const char* kind, const std::string& name,
                                   const std::vector<pq::DeliveryLogEntry>& entries) {
    if (entries.empty()) return {};
    auto path = place(kind, name);
    if (!path) return fail(path.error());
    auto file = files_.open(path_of(*path), Open::kTruncate, 0600);
    if (!file) return fail(file.error());
    if (auto written = (*file)->append(pq::compose_delivery_log(entries)); !written) return written;
    return (*file)->sync();
}

Expected<HandBack::Staged> HandBack::stage(const StoredMessage& message) {
    Staged out{message, {}};
    std::vector<size_t> states;
    pq::Message converted = queued::to_postfix(message, states);
    if (!converted.warned && settings_.delay_warning > 0 && !converted.sender.empty()) {
        converted.warn_seconds = converted.arrival_seconds + settings_.delay_warning;
    }
    pq::Composer composer(std::move(converted));

    const std::string staged = path_of("handback/" + message.id);
    auto file = files_.open(staged, Open::kTruncate, 0700);   // the x bit tells Postfix that a file is whole
    if (!file) return fail(file.error());
    Expected<void> done = (*file)->append(composer.head());
    if (done) done = copy_text(message, [&](std::string_view text) { return (*file)->append(composer.text(text)); });
    if (done) done = (*file)->append(composer.end());
    if (done) done = (*file)->write_at(composer.sizes(), 0);
    // A deferred file's time is that of its next attempt.
    if (done && message.attempts > 0) done = set_modified(**file, message.next_attempt);
    if (done) done = (*file)->sync();
    if (!done) return fail(done.error());

    // Postfix names a file by its inode, and renames what is not.
    auto status = files_.stat(staged);
    if (!status) return fail(status.error());
    timeval now{};
    ::gettimeofday(&now, nullptr);
    const smtp::QueueTime time{now.tv_sec, static_cast<uint32_t>(now.tv_usec)};
    const std::string name = smtp::compose_queue_id(settings_.long_queue_ids, time, status->st_ino);
    auto path = place(message.hold ? "hold" : message.attempts > 0 ? "deferred" : "incoming", name);
    if (!path) return fail(path.error());
    out.path = *path;
    const DeliveryLogs logs = logs_for_postfix(message, composer.recipients(), states);
    done = write_log("defer", name, logs.defer);
    if (done) done = write_log("bounce", name, logs.bounce);
    if (done) done = write_log("trace", name, logs.trace);
    if (!done) return fail(done.error());
    return out;
}

Expected<void> HandBack::publish(const std::vector<Staged>& batch) {
    std::string list;
    for (const auto& one : batch) list += one.message.id + " " + one.path + "\n";
    auto sync_folders = [this]() -> Expected<void> {
        for (const auto& folder : dirty_) {
            if (auto synced = files_.sync_dir(path_of(folder)); !synced) return synced;
        }
        return {};
    };
    dirty_.insert("handback");
    if (auto synced = sync_folders(); !synced) return synced;   // new folders, before a file is in them
    if (auto written = replace_file(files_, path_of("handback/batch"), list); !written) return written;
    for (const auto& one : batch) {
        if (auto moved = files_.rename(path_of("handback/" + one.message.id), path_of(one.path)); !moved) return moved;
    }
    if (auto synced = sync_folders(); !synced) return synced;
    dirty_.clear();
    return {};
}

Task<Expected<void>> HandBack::forget(std::vector<StoredMessage> messages) {
    struct State {
        size_t waiting;
        Event all;
        Expected<void> result;
    };
    auto state = std::make_shared<State>();   // the answers may come after we have given up
    state->waiting = messages.size();
    for (const auto& message : messages) {
        store_.record(
            {}, {}, true,
            [state](Expected<std::vector<StoredMessage>> done) {
                if (!done && state->result) state->result = fail(done.error());
                if (--state->waiting == 0) state->all.set();
            },
            &message);
    }
    while (state->waiting > 0) {
        auto woken = co_await state->all.wait(kLookAgain);
        if (!woken && woken.error().code != ETIMEDOUT) co_return fail(woken.error());
        if (store_.commits().blocked()) co_return fail(EIO, "the queue journal cannot be written");
    }
    co_return state->result;
}

Task<Expected<void>> HandBack::recover() {
    if (!files_.exists(path_of("handback"))) co_return Expected<void>{};
    if (files_.exists(path_of("handback/batch"))) {
        auto list = read_file(files_, path_of("handback/batch"), kMaxBatchFile);
        if (!list) co_return fail(list.error());
        std::vector<StoredMessage> gone;
        std::string_view rest = *list;
        while (!rest.empty()) {
            const size_t end = std::min(rest.find('\n'), rest.size());
            const std::string_view line = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            const std::string id(line.substr(0, line.find(' ')));
            if (!smtp::is_queue_id(id)) continue;
            if (files_.exists(path_of("handback/" + id))) continue;   // not given yet
            if (auto message = store_.find(id)) gone.push_back(std::move(*message));
        }
        for (const auto& message : gone) log::info_as(settings_.ident, "{}: was handed back to Postfix", message.id);
        // Before the journal forgets, what was seen must be lasting.
        if (auto synced = files_.sync_dir(path_of("handback")); !synced) co_return synced;
        auto forgotten = co_await forget(std::move(gone));
        if (!forgotten) co_return forgotten;
        if (auto removed = files_.unlink(path_of("handback/batch")); !removed) co_return removed;
        if (auto synced = files_.sync_dir(path_of("handback")); !synced) co_return synced;
    }
    auto names = files_.list(path_of("handback"));
    if (!names) co_return fail(names.error());
    for (const auto& name : *names) (void)files_.unlink(path_of("handback/" + name));
    co_return Expected<void>{};
}

Task<Expected<uint64_t>> HandBack::to_postfix() {
    auto recovered = co_await recover();
    if (!recovered) co_return fail(recovered.error());
    uint64_t count = 0;
    std::string after;
    do {
        std::string last;
        auto entries = store_.list(after, kAtOnce, &last);
        after = last;
        std::vector<Staged> batch;
        std::vector<StoredMessage> messages;
        for (const auto& entry : entries) {
            auto staged = co_await blocking([&] { return stage(entry.message); });
            if (!staged) co_return fail(staged.error().code, entry.message.id + ": " + staged.error().text);
            messages.push_back(entry.message);
            batch.push_back(std::move(*staged));
        }
        if (batch.empty()) continue;
        auto published = co_await blocking([&] { return publish(batch); });
        if (!published) co_return fail(published.error());
        auto forgotten = co_await forget(std::move(messages));
        if (!forgotten) co_return fail(forgotten.error());
        if (auto removed = files_.unlink(path_of("handback/batch")); !removed) co_return fail(removed.error());
        for (const auto& one : batch) {
            log::info_as(settings_.ident, "{}: from=<{}>, size={}, nrcpt={} (handed back to Postfix as {})",
                         one.message.id, smtp::to_external(one.message.envelope.sender), one.message.size(),
                         one.message.pending(), one.path);
        }
        count += batch.size();
    } while (!after.empty());
    co_return count;
}

Expected<void> HandBack::write_plain(const std::string& folder, const StoredMessage& message) {
    auto write = [&](const std::string& name, const std::function<Expected<void>(File&)>& content) -> Expected<void> {
        auto file = files_.open(folder + "/" + name, Open::kTruncate, 0600);
        if (!file) return fail(file.error());
        if (auto written = content(**file); !written) return written;
        return (*file)->sync();
    };
    auto text = write(message.id + ".eml", [&](File& file) {
        return copy_text(message, [&](std::string_view piece) { return file.append(piece); });
    });
    if (!text) return text;
    // Read by `reinject`: a word, a tab, a value.
    const Envelope& envelope = message.envelope;
    std::string lines = "sender\t" + smtp::to_external(envelope.sender) + "\n";
    auto add = [&lines](const char* name, const std::string& value) {
        if (!value.empty()) lines += std::string(name) + "\t" + value + "\n";
    };
    add("arrival", std::to_string(envelope.arrival_seconds));
    add("envid", envelope.envid);
    add("ret", envelope.ret == ipc::Ret::kHeaders ? "hdrs" : envelope.ret == ipc::Ret::kFull ? "full" : "");
    add("body", envelope.body == ipc::BodyType::k8BitMime ? "8bitmime"
                : envelope.body == ipc::BodyType::k7Bit   ? "7bit"
                                                          : "");
    add("hold", message.hold ? "yes" : "");
    std::vector<size_t> states;
    const pq::Message converted = queued::to_postfix(message, states);
    for (size_t i = 0; i < converted.recipients.size(); ++i) {
        const auto& to = converted.recipients[i];
        if (to.done) continue;
        std::string notify;
        for (auto [bit, word] :
             {std::pair{1, "never"}, std::pair{2, "success"}, std::pair{4, "failure"}, std::pair{8, "delay"}}) {
            if (to.notify & bit) notify += (notify.empty() ? "" : ",") + std::string(word);
        }
        lines += "recipient\t" + smtp::to_external(to.address) + "\t" + (notify.empty() ? "-" : notify) + "\t" +
                 (to.orcpt.empty() ? "-" : to.orcpt) + "\t" + message.states[states[i]].result.text + "\n";
    }
    return write(message.id + ".envelope", [&](File& file) { return file.append(lines); });
}

Task<Expected<uint64_t>> HandBack::to_folder(std::string folder, bool keep) {
    uint64_t count = 0;
    auto script = files_.open(folder + "/reinject", Open::kTruncate, 0700);
    if (!script) co_return fail(script.error());
    Expected<void> written = (*script)->append(kReinject);
    if (written) written = (*script)->sync();
    if (!written) co_return fail(written.error());
    std::string after;
    do {
        std::string last;
        auto entries = store_.list(after, kAtOnce, &last);
        after = last;
        std::vector<StoredMessage> messages;
        for (const auto& entry : entries) {
            auto done = co_await blocking([&] { return write_plain(folder, entry.message); });
            if (!done) co_return fail(done.error().code, entry.message.id + ": " + done.error().text);
            messages.push_back(entry.message);
        }
        count += messages.size();
        if (auto synced = files_.sync_dir(folder); !synced) co_return fail(synced.error());
        if (keep) continue;
        for (const auto& message : messages) {
            log::info_as(settings_.ident, "{}: from=<{}>, size={}, nrcpt={} (exported)", message.id,
                         smtp::to_external(message.envelope.sender), message.size(), message.pending());
        }
        auto forgotten = co_await forget(std::move(messages));
        if (!forgotten) co_return fail(forgotten.error());
    } while (!after.empty());
    co_return count;
}

}   // namespace postcot::queued

#include "queued/postfix_queue/import.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "libproto/ipc/queue.h"
#include "libproto/runtime/log.h"
#include "libproto/smtp/path.h"
#include "libproto/smtp/queue_id.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

namespace {

namespace pq = postfix_queue;

constexpr size_t kAtOnce = 100;
constexpr int kMaxDepth = 16;   // hash_queue_depth
constexpr size_t kMaxLog = 16 << 20;
constexpr int64_t kDay = 86400;
constexpr Millis kLookAgain{200};   // whether Postfix has ended
constexpr Millis kTryLocked{2000};
constexpr int kLockedTries = 150;
constexpr const char* kQueues[] = {"incoming", "active", "deferred", "hold"};
constexpr const char* kLogs[] = {"defer", "bounce", "trace"};

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

// `file` outlives it.
CallSource source_of(File& file, uint64_t size) {
    return CallSource(
        size, [&file](char* buffer, size_t length, uint64_t offset) { return file.read_at(buffer, length, offset); });
}

}   // namespace

PostfixImport::PostfixImport(Store& store, std::string queue_directory, std::string ident, Hooks hooks)
    : store_(store),
      files_(store.files()),
      directory_(std::move(queue_directory)),
      ident_(std::move(ident)),
      hooks_(std::move(hooks)) {}

PostfixImport::Hooks PostfixImport::hooks_of(QueueManager& manager) {
    Hooks hooks;
    hooks.reserve = [&manager](const std::string& id) { return manager.reserve(id); };
    hooks.unreserve = [&manager](const std::string& id) { manager.unreserve(id); };
    hooks.fresh_id = [&manager] { return manager.new_queue_id(); };
    hooks.adopted = [&manager](const StoredMessage& message) { manager.adopted(message); };
    hooks.ready = [&manager](StoredMessage message) { manager.ready(std::move(message)); };
    hooks.now = [] { return static_cast<int64_t>(time(nullptr)); };
    return hooks;
}

void PostfixImport::scan() {
    if (scanned_) return;
    scanned_ = true;
    for (const char* queue : kQueues) scan_folder(queue, queue, 0);
    std::reverse(found_.begin(), found_.end());
    if (!found_.empty()) log::info_as(ident_, "taking over {} messages of Postfix's queue", found_.size());
}

// hash_queue_names and hash_queue_depth: files may lie in folders with names of one character, several deep.
void PostfixImport::scan_folder(const std::string& queue, const std::string& below, int depth) {
    auto names = files_.list(path_of(below));
    if (!names) {
        if (names.error().code != ENOENT) log::warning_as(ident_, "{}: {}", below, names.error().text);
        return;
    }
    std::sort(names->begin(), names->end());
    for (const auto& name : *names) {
        if (name.size() == 1) {
            if (depth < kMaxDepth) scan_folder(queue, below + "/" + name, depth + 1);
        } else if (smtp::is_queue_id(name)) {
            found_.push_back(Found{below + "/" + name, name, queue});
        }
    }
}

std::vector<std::string> PostfixImport::log_paths(const char* kind, const std::string& name) const {
    // Short ids are hashed by their first characters, long ones by the microseconds in hexadecimal.
    std::string key = name;
    if (auto time = smtp::queue_id_time(name)) key = smtp::compose_queue_id(false, *time, 0);
    std::vector<std::string> out;
    std::string folder = kind;
    out.push_back(folder + "/" + name);
    for (size_t depth = 0; depth < key.size() && depth < 5; ++depth) {
        folder += std::string("/") + key[depth];
        out.push_back(folder + "/" + name);
    }
    return out;
}

std::vector<pq::DeliveryLogEntry> PostfixImport::read_log(const char* kind, const std::string& name) {
    for (const auto& path : log_paths(kind, name)) {
        auto text = read_file(files_, path_of(path), kMaxLog);
        if (text) return pq::read_delivery_log(*text);
    }
    return {};
}

std::shared_ptr<PostfixImport::Work> PostfixImport::open(Found file) {
    auto status = files_.stat(path_of(file.path));
    if (!status) return nullptr;
    if (!S_ISREG(status->st_mode)) return nullptr;
    if (!(status->st_mode & S_IXUSR)) {
        // cleanup(8) did not finish it: its sender was never told that it was accepted. As Postfix: removed after a day.
        if (hooks_.now() - status->st_mtime > kDay) (void)files_.unlink(path_of(file.path));
        return nullptr;
    }
    if (store_.was_picked_up(file.path)) return nullptr;   // recover() could not remove it, and said so
    auto work = std::make_shared<Work>();
    work->file = std::move(file);
    work->size = static_cast<uint64_t>(status->st_size);
    work->changed = status->st_mtime;
    work->id = work->file.name;
    if (!hooks_.reserve(work->id)) {
        do work->id = hooks_.fresh_id();
        while (!hooks_.reserve(work->id));
        log::info_as(ident_, "{}: taken over as {}: this queue id is in use", work->file.name, work->id);
    }
    if (work->size > ipc::kInlineContent) {
        auto large = store_.create_large(work->id);
        if (!large) {
            work->failure = fail(large.error());
        } else {
            work->large = std::move(*large);
        }
    }
    return work;
}

void PostfixImport::read(Work& work) {
    if (!work.failure) return;
    auto file = files_.open(path_of(work.file.path), Open::kRead);
    if (!file) {
        work.failure = fail(file.error());
        return;
    }
    // Postfix's agents lock what they deliver.
    if ((*file)->fd() >= 0 && ::flock((*file)->fd(), LOCK_EX | LOCK_NB) != 0) {
        work.failure = fail(EBUSY, "another mail system has it locked");
        return;
    }
    auto source = source_of(**file, work.size);
    std::string held;   // towards the large file
    uint64_t large_size = 0;
    auto flush = [&]() -> Expected<void> {
        large_size += held.size();
        auto written = work.large->append(held);
        held.clear();
        return written;
    };
    auto message = pq::read_message(source, [&](std::string_view piece) -> Expected<void> {
        if (!work.large) {
            work.text += piece;
            return {};
        }
        held += piece;
        return held.size() < 256 * 1024 ? Expected<void>() : flush();
    });
    if (message && work.large) {
        if (auto written = flush(); !written) message = fail(written.error());
    }
    if (!message) {
        work.damaged = message.error().code == EPROTO;
        work.failure = fail(message.error());
        return;
    }
    work.logs.defer = read_log("defer", work.file.name);
    work.logs.bounce = read_log("bounce", work.file.name);
    work.logs.trace = read_log("trace", work.file.name);
    StoredMessage& out = work.message;
    out = from_postfix(*message, work.logs);
    out.id = work.id;
    out.envelope.log_ident = work.file.path;
    out.hold = work.file.queue == "hold";
    if (work.file.queue == "deferred") {
        out.attempts = 1;
        out.next_attempt = std::min<int64_t>(work.changed, hooks_.now() + kDay);   // as Postfix keeps it
    } else {
        out.next_attempt = hooks_.now();
    }
    if (work.large) {
        out.large = true;
        out.large_length = large_size;
    }
    work.nothing = out.states.empty() || (message->trace_flags() & pq::Message::kVerifyForServer);
}

void PostfixImport::commit(std::shared_ptr<Work> work) {
    auto undo = [&] {
        if (work->large) store_.abort_large(work->id);
        work->large = nullptr;
        hooks_.unreserve(work->id);
    };
    if (!work->failure) {
        undo();
        if (work->damaged) {
            ++counts_.damaged;
            set_aside(*work);
        } else if (work->failure.error().code == EBUSY) {
            locked_.push_back(work->file);
        } else {
            ++counts_.left;
            log::warning_as(ident_, "{}: {}: left where it is", work->file.path, work->failure.error().text);
        }
        return;
    }
    if (work->nothing) {
        undo();
        log::info_as(ident_, "{}: nothing is left to deliver", work->file.name);
        batch_.push_back(std::move(work));
        return;
    }
    ++unanswered_;
    batch_.push_back(work);
    std::vector<std::shared_ptr<File>> files;
    if (work->large) files.push_back(work->large);
    StoredMessage message = work->message;
    store_.accept(std::move(message), work->text, std::move(files), [this, work](Expected<StoredMessage> done) {
        work->text.clear();
        work->large = nullptr;
        if (done) {
            work->message = std::move(*done);
            work->committed = true;
            hooks_.adopted(work->message);
        } else {
            work->failure = fail(done.error());
        }
        if (--unanswered_ == 0) answered_.set();
    });
}

// As Postfix's qmgr(8): a damaged file goes to corrupt/, for a human to look at.
void PostfixImport::set_aside(const Work& work) {
    std::string target = "corrupt/" + work.file.name;
    for (int i = 1; files_.exists(path_of(target)); ++i) target = "corrupt/" + work.file.name + "." + std::to_string(i);
    auto moved = files_.rename(path_of(work.file.path), path_of(target));
    if (moved) {
        (void)files_.sync_dir(path_of("corrupt"));
        (void)files_.sync_dir(path_of(folder_of(work.file.path)));
        log::warning_as(ident_, "{}: {}: moved to {}", work.file.path, work.failure.error().text, target);
    } else {
        log::warning_as(ident_, "{}: {}: left where it is: {}", work.file.path, work.failure.error().text,
                        moved.error().text);
    }
}

bool PostfixImport::remove_file(const Work& work) {
    auto removed = files_.unlink(path_of(work.file.path));
    if (!removed && removed.error().code != ENOENT) {
        log::warning_as(ident_, "{}: remove: {}", work.file.path, removed.error().text);
        return false;
    }
    return true;
}

void PostfixImport::recover() {
    std::set<std::string> folders;
    auto marks = store_.picked_up();
    for (const auto& [path, id] : marks) {
        if (path.rfind("maildrop/", 0) == 0) continue;
        // Another message may have got the name since: then Postfix ran in between.
        auto file = files_.open(path_of(path), Open::kRead);
        auto size = file ? (*file)->size() : Expected<uint64_t>(fail(file.error()));
        auto stored = store_.find(id);
        if (!size || !stored) continue;
        auto source = source_of(**file, *size);
        auto there = pq::read_message(source, [](std::string_view) { return Expected<void>(); });
        if (!there || there->arrival_seconds != stored->envelope.arrival_seconds ||
            there->arrival_microseconds != stored->envelope.arrival_microseconds) {
            store_.forget_picked_up(path);
            continue;
        }
        if (auto removed = files_.unlink(path_of(path)); !removed && removed.error().code != ENOENT) {
            log::warning_as(ident_, "{}: {} was taken over from it: remove: {}", path, id, removed.error().text);
            continue;
        }
        folders.insert(folder_of(path));
        remove_logs(path.substr(path.rfind('/') + 1));
        store_.forget_picked_up(path);
        log::info_as(ident_, "{}: {} was taken over from it", path, id);
    }
    for (const auto& folder : folders) {
        if (auto synced = files_.sync_dir(path_of(folder)); !synced)
            log::warning_as(ident_, "{}: {}", folder, synced.error().text);
    }
}

void PostfixImport::remove_logs(const std::string& name) {
    for (const char* kind : kLogs) {
        for (const auto& path : log_paths(kind, name)) {
            if (files_.exists(path_of(path))) (void)files_.unlink(path_of(path));
        }
    }
}

bool PostfixImport::begin_batch() {
    scan();
    while (batch_.size() < kAtOnce && !found_.empty()) {
        Found file = std::move(found_.back());
        found_.pop_back();
        auto work = open(std::move(file));
        if (!work) continue;
        read(*work);
        commit(std::move(work));
    }
    return !batch_.empty();
}

void PostfixImport::finish() {
    std::set<std::string> folders;
    std::vector<std::shared_ptr<Work>> gone;
    for (auto& work : batch_) {
        if (!work->failure) {
            ++counts_.left;
            log::warning_as(ident_, "{}: {}: left where it is", work->file.path, work->failure.error().text);
            hooks_.unreserve(work->id);
            continue;
        }
        if (!remove_file(*work)) {
            ++counts_.left;
            continue;   // it stays adopted and undelivered: the next start tries again
        }
        folders.insert(folder_of(work->file.path));
        gone.push_back(work);
    }
    for (const auto& folder : folders) {
        if (auto synced = files_.sync_dir(path_of(folder)); !synced)
            log::warning_as(ident_, "{}: {}", folder, synced.error().text);
    }
    for (auto& work : gone) {
        remove_logs(work->file.name);
        if (!work->committed) continue;
        ++counts_.taken;
        log::info_as(ident_, "{}: from=<{}>, size={}, nrcpt={} (taken over from {})", work->id,
                     smtp::to_external(work->message.envelope.sender), work->message.size(), work->message.pending(),
                     work->file.queue);
        hooks_.ready(std::move(work->message));
    }
    batch_.clear();
}

void PostfixImport::summary() const {
    if (counts_.taken + counts_.damaged + counts_.left > 0) {
        log::info_as(ident_, "{} messages of Postfix's queue taken over, {} damaged, {} left", counts_.taken,
                     counts_.damaged, counts_.left);
    }
}

UniqueFd PostfixImport::running_postfix(const std::string& queue_directory) {
    UniqueFd fd(::open((queue_directory + "/pid/master.pid").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    // Our own supervisor locks the same file. Postfix pads the number with blanks; /proc may be hidden from us.
    char first = 0;
    if (!fd || ::read(fd.get(), &first, 1) != 1 || first != ' ') return {};
    return fd;
}

Task<bool> PostfixImport::take_found() {
    while (!found_.empty()) {
        while (batch_.size() < kAtOnce && !found_.empty()) {
            Found file = std::move(found_.back());
            found_.pop_back();
            auto work = open(std::move(file));
            if (!work) continue;
            co_await blocking([this, &work] { read(*work); });
            commit(std::move(work));
        }
        while (unanswered_ > 0) {
            answered_.reset();
            auto waited = co_await answered_.wait();
            if (!waited) co_return false;   // what is committed is found again at the next start
        }
        finish();
    }
    co_return true;
}

Task<void> PostfixImport::run(UniqueFd master_pid) {
    for (bool said = false; master_pid && ::flock(master_pid.get(), LOCK_SH | LOCK_NB) != 0;) {
        if (!said) log::info_as(ident_, "waiting for the end of the Postfix that has this queue");
        said = true;
        auto slept = co_await sleep_for(kLookAgain);
        if (!slept) co_return;
    }
    master_pid.reset();
    co_await blocking([this] { scan(); });
    if (!co_await take_found()) co_return;
    for (int tries = 0; !locked_.empty() && tries < kLockedTries; ++tries) {
        auto slept = co_await sleep_for(kTryLocked);
        if (!slept) co_return;
        found_ = std::exchange(locked_, {});
        if (!co_await take_found()) co_return;
    }
    for (const auto& file : locked_) {
        ++counts_.left;
        log::warning_as(ident_, "{}: another mail system has it locked: left where it is", file.path);
    }
    summary();
}

}   // namespace postcot::queued

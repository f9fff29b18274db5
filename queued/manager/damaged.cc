// A message whose text cannot be read is set aside, so that the rest of the queue goes on: what is left of it becomes a queue file of Postfix's format in
// corrupt/ (moved to incoming/, it is taken in again at the next start), and the postmaster is told.
#include <algorithm>
#include <cerrno>

#include "libproto/postfix_queue/compose.h"
#include "libproto/runtime/log.h"
#include "queued/manager/manager.h"
#include "queued/postfix_queue/convert.h"

namespace postcot::queued {

namespace {

// Of the process, not of the message: it may read in a moment what it cannot read now.
bool may_pass(const Error& error) {
    switch (error.code) {
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case EAGAIN:
        case EINTR: return true;
        default: return false;
    }
}

// As much of a file as can be read.
void append_readable(File& from, uint64_t offset, uint64_t length,
                     const std::function<Expected<void>(std::string_view)>& to, Expected<void>& done) {
    constexpr uint64_t kPiece = 128 << 10;
    std::string piece;
    while (done && length > 0) {
        piece.resize(static_cast<size_t>(std::min(kPiece, length)));
        auto n = from.read_at(piece.data(), piece.size(), offset);
        if (!n || *n == 0) return;
        done = to(std::string_view(piece).substr(0, *n));
        offset += *n;
        length -= *n;
    }
}

}   // namespace

Expected<QueueManager::Content> QueueManager::open_content(const ActiveMessage& message) {
    const StoredMessage& stored = message.stored;
    Content out;
    if (message.head) {
        out.head = *message.head;
    } else {
        auto head = store_.read_head(stored);
        if (!head) return fail(head.error());
        out.head = std::move(*head);
    }
    if (!stored.large) return out;
    auto file = store_.open_large(stored);
    if (!file) return fail(file.error());
    auto size = (*file)->size();
    if (!size) return fail(size.error());
    if (*size < stored.large_offset + stored.large_length)
        return fail(EIO, store_.large_path(stored.id) + " is too short");
    out.large = std::move(*file);
    return out;
}

Sent QueueManager::unreadable(std::unique_ptr<Entry>& entry, const Error& error) {
    ActiveMessage& message = *entry->message;
    if (may_pass(error)) {
        if (!read_trouble_) log::error("{}: {}", message.stored.id, error.text);
        read_trouble_ = true;
        return Sent::kNotNow;
    }
    message.then = ActiveMessage::Then::kSetAside;
    message.why_unreadable = error.text;
    entry.reset();
    --message.entries;
    // The scheduler is in the middle of its round.
    Loop::current().post([this, id = message.stored.id] {
        auto found = active_.find(id);
        if (found == active_.end()) return;
        found->second->entries -= scheduler_->withdraw(*found->second).size();
        finish_when_idle(*found->second);
    });
    return Sent::kDropped;
}

Expected<void> QueueManager::write_corrupt(const StoredMessage& stored, const std::string& path) {
    Files& files = store_.files();
    std::vector<size_t> states;
    postfix_queue::Composer composer(to_postfix(stored, states));
    auto file = files.open(path, Open::kTruncate, 0700);   // the x bit tells Postfix that a file is whole
    if (!file) return fail(file.error());
    auto add = [&](std::string_view text) { return (*file)->append(composer.text(text)); };
    Expected<void> done = (*file)->append(composer.head());
    if (auto head = store_.read_head(stored); done && head) done = add(*head);
    if (auto large = stored.large ? store_.open_large(stored) : Expected<std::unique_ptr<File>>(nullptr);
        large && *large) {
        append_readable(**large, stored.large_offset, stored.large_length, add, done);
    }
    if (done) done = (*file)->append(composer.end());
    if (done) done = (*file)->write_at(composer.sizes(), 0);
    if (done) done = (*file)->sync();
    if (done) done = files.sync_dir(path.substr(0, path.rfind('/')));
    return done;
}

// False: it could not be kept, or the postmaster not be told. The message stays, and this is tried again.
bool QueueManager::set_aside(ActiveMessage& message, std::vector<Store::Extra>& extra) {
    StoredMessage& stored = message.stored;
    const auto& s = settings();
    const std::string name = "corrupt/" + stored.id;
    auto kept = write_corrupt(stored, s.queue_directory + "/" + name);
    if (!kept) {
        log::error("{}: message cannot be read: {}: and not be set aside as {}: {}", stored.id, message.why_unreadable,
                   name, kept.error().text);
        return false;
    }
    std::vector<uint32_t> pending;
    for (uint32_t i = 0; i < stored.states.size(); ++i) {
        if (stored.states[i].status == RecipientStatus::kDone) continue;
        pending.push_back(i);
        stored.states[i].result = {};
        stored.states[i].result.dsn = "5.3.0";
        stored.states[i].result.text = "the message cannot be read from the queue (" + message.why_unreadable +
                                       "); what is left of it is in " + name;
    }
    Notices made(*this, message);
    if (!pending.empty() && !made.add(DsnKind::kFailure, pending, double_bounce_sender(), s.error_notice_recipient,
                                      true, "postmaster notification of a damaged message")) {
        return false;
    }
    made.commit(extra);
    log::warning_as(s.qmgr_ident, "{}: message cannot be read: {}: moved to {}", stored.id, message.why_unreadable,
                    name);
    return true;
}

}   // namespace postcot::queued

// RFC 2177. Waits for the client's DONE and for news of the mailbox at once: inotify where it can be had, else a look every
// mailbox_idle_check_interval. imap_idle_notify_interval keeps NATs awake.
#include <algorithm>

#include "imapd/commands/commands.h"
#include "libproto/imap/response.h"
#include "libproto/imap/text.h"

namespace postcot::imapd {

namespace {

constexpr size_t kMaxLine = 8192;

struct Client {
    bool finished = false;   // a line came, or the client went
    bool lost = false;
    bool done = false;   // it was DONE
    int code = 0;
};

Task<void> wait_for_done(Session& session, Client& client) {
    auto line = co_await session.stream().read_line(kMaxLine);
    client.finished = true;
    if (line) {
        client.done = imap::iequals(line->text, "DONE");
    } else {
        client.lost = true;
        client.code = line.error().code;
    }
    session.wake();
}

}   // namespace

Task<Dispatch> on(Session& session, const imap::Idle&) {
    session.state().idle_tag = session.tag();
    session.open_section() = {};
    bool watched = true;
    if (session.mailbox()) {
        auto paths_of = [](maildir::Mailbox& mailbox) { return mailbox.watch_paths(); };
        auto paths = co_await session.with_mailbox(paths_of);
        watched = session.watcher().add(session, paths);
    }
    session.put("+ idling\r\n");
    // What changed between the last command and the watch.
    bool alive = true;
    if (session.mailbox()) alive = co_await session.tell_news(true);

    auto* cancel = co_await current_cancel();
    Scope scope(cancel);
    Client client;
    session.woken().reset();
    scope.spawn(wait_for_done(session, client));
    auto last_word = std::chrono::steady_clock::now();
    Millis interval = watched ? session.settings().idle_notify
                              : std::min(session.settings().idle_notify, session.settings().mailbox_idle_check);
    while (alive && !client.finished) {
        auto flushed = co_await session.stream().flush(kOutputTimeout);
        if (!flushed) break;
        auto woken = co_await session.woken().wait(interval);
        if (client.finished) break;
        if (!woken && woken.error().code == ECANCELED) break;
        session.woken().reset();
        if (session.mailbox()) alive = co_await session.tell_news(true);
        auto now = std::chrono::steady_clock::now();
        if (!woken && now - last_word >= session.settings().idle_notify - Millis(100)) {
            session.put("* OK Still here\r\n");
            last_word = now;
        }
    }
    scope.cancel();
    co_await scope.join();
    session.watcher().remove(session);
    session.state().idle_tag.clear();
    if (!alive) co_return Dispatch{Reply{Reply::Status::kNone, {}, {}, {}}, News::kNone};
    if (client.lost || !client.finished) {
        if (cancel && cancel->cancelled()) {
            session.put("* BYE Server shutting down.\r\n");
            session.end("Server shutting down.");
        } else {
            session.end("Connection closed");
        }
        co_return Dispatch{Reply{Reply::Status::kNone, {}, {}, {}}, News::kNone};
    }
    if (!client.done) co_return Dispatch{bad("Expected DONE"), News::kNone};
    co_return Dispatch{ok("Idle completed."), News::kAll};
}

}   // namespace postcot::imapd

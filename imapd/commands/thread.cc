// RFC 5256 THREAD.
#include "imapd/commands/commands.h"
#include "imapd/commands/search_key.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Thread& thread) {
    News news = thread.search.uid ? News::kAll : News::kNoExpunges;
    if (!charset_known(thread.search.charset))
        co_return Dispatch{no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset"), news};
    using From = imap::Thread::Algorithm;
    auto algorithm = thread.algorithm == From::kOrderedSubject ? maildir::ThreadAlgorithm::kOrderedSubject
                     : thread.algorithm == From::kRefs         ? maildir::ThreadAlgorithm::kRefs
                                                               : maildir::ThreadAlgorithm::kReferences;
    std::string out = "* THREAD";
    auto run = [&](maildir::Mailbox& mailbox) -> Expected<void> {
        auto key = to_store(thread.search.key, mailbox, thread.search.charset, session.state().saved);
        auto threads = mailbox.thread(key, algorithm);
        if (!threads) return fail(threads.error());
        if (!threads->empty()) out += ' ' + maildir::thread_response(*threads, thread.search.uid ? &mailbox : nullptr);
        return {};
    };
    auto done = co_await session.with_mailbox(run);
    if (!done) co_return Dispatch{no(done.error()), news};
    out += "\r\n";
    auto written = co_await session.stream().write(out, kOutputTimeout);
    if (!written) session.end("Connection closed");
    co_return Dispatch{ok("Thread completed."), news};
}

}   // namespace postcot::imapd

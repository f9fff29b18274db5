// RFC 3501 §6.4.7 COPY: all or nothing; RFC 6851 MOVE; COPYUID (RFC 4315 §3).
#include <fmt/format.h>

#include "imapd/commands/commands.h"
#include "libproto/imap/response.h"
#include "libproto/imap/sequence_set.h"

namespace postcot::imapd {

namespace {

// Source and target UIDs in the same order: runs of both stay together.
std::string copy_uid(const maildir::CopyResult& result) {
    std::vector<imap::SequenceSet::Range> source, target;
    for (size_t i = 0; i < result.source.size() && i < result.target.size(); ++i) {
        uint32_t from = result.source[i].value, to = result.target[i].value;
        if (!source.empty() && source.back().last + 1 == from)
            source.back().last = from;
        else
            source.push_back({from, from});
        if (!target.empty() && target.back().last + 1 == to)
            target.back().last = to;
        else
            target.push_back({to, to});
    }
    return fmt::format("COPYUID {} {} {}", result.uid_validity, imap::format_ranges(source),
                       imap::format_ranges(target));
}

}   // namespace

Task<Dispatch> on(Session& session, const imap::Copy& command) {
    if (command.move && session.state().read_only) co_return Dispatch{no("", "Mailbox is read-only."), News::kAll};
    auto seqs = co_await session.resolve(command.set, command.uid);
    if (!seqs) co_return Dispatch{bad(seqs.error().text), News::kNone};
    News news = command.uid || command.move ? News::kAll : News::kNoExpunges;
    if (seqs->empty()) co_return Dispatch{ok(command.move ? "No messages found." : "No messages found."), news};
    auto copy = [&](maildir::Mailbox& mailbox) {
        return command.move ? mailbox.move(*seqs, command.mailbox) : mailbox.copy(*seqs, command.mailbox);
    };
    auto copied = co_await session.with_mailbox(copy);
    if (!copied) co_return Dispatch{no(copied.error()), news};
    session.owner().changed(command.mailbox, &session);
    std::string code = copied->source.empty() ? std::string() : copy_uid(*copied);
    if (!command.move) co_return Dispatch{ok("Copy completed.", code), news};
    session.counters().expunged += copied->source.size();
    session.owner().changed(session.state().mailbox, &session);
    // RFC 6851 §4.3: the COPYUID goes out before the EXPUNGEs.
    if (!code.empty()) session.put("* OK [" + code + "] Moved UIDs.\r\n");
    Reply reply = ok("Move completed.");
    reply.with_modseq = session.state().qresync;
    co_return Dispatch{std::move(reply), news};
}

}   // namespace postcot::imapd

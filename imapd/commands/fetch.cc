// RFC 3501 §6.4.5; CHANGEDSINCE and VANISHED (RFC 7162 §3.1.4, §3.2.6).
#include <fmt/format.h>

#include <algorithm>

#include "imapd/commands/commands.h"
#include "imapd/commands/fetch_writer.h"
#include "imapd/vanished.h"

namespace postcot::imapd {

namespace {
constexpr size_t kPiece = 256 * 1024;
}

Task<Dispatch> on(Session& session, const imap::Fetch& fetch) {
    auto seqs = co_await session.resolve(fetch.set, fetch.uid);
    if (!seqs) co_return Dispatch{bad(seqs.error().text), News::kNone};
    bool asks_modseq = fetch.changed_since.has_value() ||
                       std::any_of(fetch.items.begin(), fetch.items.end(), [](const imap::FetchItem& item) {
                           return item.kind == imap::FetchItem::Kind::kModSeq;
                       });
    if (asks_modseq) session.enable_condstore();

    if (fetch.vanished) {
        if (!session.state().qresync) co_return Dispatch{bad("QRESYNC is not enabled"), News::kNone};
        std::string vanished;
        auto look = [&](maildir::Mailbox& mailbox) {
            return append_vanished_earlier(vanished, mailbox, maildir::ModSeq{*fetch.changed_since}, fetch.set);
        };
        auto looked = co_await session.with_mailbox(look);
        if (!looked) co_return Dispatch{no(looked.error()), News::kNone};
        session.put(vanished);
    }
    FetchWriter writer(fetch, std::move(*seqs), session.state().read_only, session.state().condstore,
                       session.counters(), session.open_section());
    std::string out;
    bool finished = false;
    while (!finished) {
        out.clear();
        auto fill = [&](maildir::Mailbox& mailbox) { return writer.fill(mailbox, out, kPiece); };
        auto filled = co_await session.with_mailbox(fill);
        if (!filled) {
            session.log(log::Level::kError,
                        fmt::format("FETCH for mailbox {} failed: {}", session.state().mailbox, filled.error().text));
            session.end("FETCH failed: " + filled.error().text);
            co_return Dispatch{Reply{Reply::Status::kNone, {}, {}, {}}, News::kNone};
        }
        finished = *filled;
        auto written = co_await session.stream().write(out, kOutputTimeout);
        if (!written) {
            session.end("Connection closed");
            co_return Dispatch{Reply{Reply::Status::kNone, {}, {}, {}}, News::kNone};
        }
    }
    if (writer.set_seen()) session.owner().changed(session.state().mailbox, &session);
    News news = fetch.uid ? News::kAll : News::kNoExpunges;
    if (writer.unknown_encoding()) co_return Dispatch{no("UNKNOWN-CTE", "Unknown Content-Transfer-Encoding."), news};
    if (writer.some_gone())
        co_return Dispatch{no("EXPUNGEISSUED", "Some of the requested messages no longer exist."), news};
    co_return Dispatch{ok("Fetch completed."), news};
}

}   // namespace postcot::imapd

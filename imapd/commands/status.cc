// RFC 3501 §6.3.10; HIGHESTMODSEQ (RFC 7162), SIZE (RFC 8438), APPENDLIMIT (RFC 7889).
#include "imapd/commands/status.h"

#include "imapd/commands/commands.h"
#include "libproto/imap/response.h"

namespace postcot::imapd {

Expected<void> append_status(std::string& out, maildir::MailStore& store, const std::string& mailbox,
                             const imap::StatusItems& items, std::optional<uint32_t> recent) {
    auto status = store.status(mailbox, items.size);
    if (!status) return fail(status.error());
    std::string list;
    auto add = [&](std::string_view name, uint64_t value) {
        if (!list.empty()) list += ' ';
        list += name;
        list += ' ';
        imap::append_number(list, value);
    };
    if (items.messages) add("MESSAGES", status->messages);
    if (items.recent) add("RECENT", recent ? *recent : status->recent);
    if (items.uid_next) add("UIDNEXT", status->uid_next.value);
    if (items.uid_validity) add("UIDVALIDITY", status->uid_validity);
    if (items.unseen) add("UNSEEN", status->unseen);
    if (items.highest_modseq) add("HIGHESTMODSEQ", status->highest_modseq.value);
    if (items.size) add("SIZE", status->size);
    if (items.append_limit) add("APPENDLIMIT", kMaxMessage);   // RFC 7889 §4
    out += "* STATUS ";
    imap::append_mailbox(out, mailbox);
    out += " (" + list + ")\r\n";
    return {};
}

Task<Dispatch> on(Session& session, const imap::Status& command) {
    if (command.items.highest_modseq) session.enable_condstore();   // RFC 7162 §3.1: it is a CONDSTORE enabling command
    std::string out;
    // The \Recent messages of the selected mailbox belong to this session: another look at the folder does not see them.
    std::optional<uint32_t> recent;
    if (session.mailbox() && session.state().mailbox == command.mailbox) recent = session.mailbox()->recent();
    auto ask = [&](maildir::MailStore& store) {
        return append_status(out, store, command.mailbox, command.items, recent);
    };
    auto asked = co_await session.owner().with_store(ask);
    if (!asked) co_return Dispatch{no(asked.error()), News::kAll};
    session.put(out);
    co_return Dispatch{ok("Status completed."), News::kAll};
}

}   // namespace postcot::imapd

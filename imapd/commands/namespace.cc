// RFC 2342: personal, other users', shared.
#include "imapd/commands/commands.h"
#include "libproto/imap/mailbox_name.h"
#include "libproto/imap/response.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Namespace&) {
    auto copy = [](maildir::MailStore& store) { return store.namespaces(); };
    auto spaces = co_await session.owner().with_store(copy);
    using Type = maildir::NamespaceConfig::Type;
    std::string out = "* NAMESPACE";
    for (Type type : {Type::kPrivate, Type::kShared, Type::kPublic}) {
        std::string list;
        for (const auto& space : spaces) {
            if (space.type != type || space.hidden) continue;
            list += '(';
            imap::append_string(list, imap::encode_modified_utf7(space.prefix));
            list += ' ';
            imap::append_string(list, std::string(1, space.separator));
            list += ')';
        }
        out += list.empty() ? " NIL" : " (" + list + ")";
    }
    session.put(out + "\r\n");
    co_return Dispatch{ok("Namespace completed."), News::kAll};
}

}   // namespace postcot::imapd

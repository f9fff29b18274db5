// RFC 3501 §6.3.3; RFC 6154 §3 CREATE ... (USE (...)).
#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Create& create) {
    if (create.mailbox.empty()) co_return Dispatch{no("CANNOT", "Invalid mailbox name: Name is empty"), News::kAll};
    std::string use;
    for (const std::string& attribute : create.special_use) use += (use.empty() ? "" : " ") + attribute;
    auto make = [&](maildir::MailStore& store) -> Expected<void> {
        std::string name = create.mailbox;
        // §6.3.3: a trailing separator says that names under it will follow; nothing has to be done for that.
        for (const auto& space : store.namespaces()) {
            if (name.size() > 1 && name.back() == space.separator && name.starts_with(space.prefix)) {
                name.pop_back();
                break;
            }
        }
        return store.create(name, use);
    };
    auto made = co_await session.owner().with_store(make);
    if (!made) co_return Dispatch{no(made.error()), News::kAll};
    co_return Dispatch{ok("Create completed."), News::kAll};
}

}   // namespace postcot::imapd

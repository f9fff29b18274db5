#include "imapd/commands/commands.h"

#include <type_traits>

namespace postcot::imapd {

namespace {

template <class T, class... List>
constexpr bool is_one_of = (std::is_same_v<T, List> || ...);

// RFC 3501 §6.4: commands of the selected state.
template <class T>
constexpr bool needs_mailbox = is_one_of<T, imap::Check, imap::Close, imap::Unselect, imap::Expunge, imap::Search,
                                         imap::Sort, imap::Thread, imap::Fetch, imap::Store, imap::Copy>;

Task<Dispatch> refuse(Reply reply) { co_return Dispatch{std::move(reply), News::kNone}; }

}   // namespace

Task<Dispatch> run_command(Session& session, const imap::Command& command) {
    auto choose = [&session](const auto& typed) -> Task<Dispatch> {
        if constexpr (needs_mailbox<std::decay_t<decltype(typed)>>) {
            if (!session.mailbox()) return refuse(bad("No mailbox selected"));
        }
        return on(session, typed);
    };
    return std::visit(choose, command);
}

}   // namespace postcot::imapd

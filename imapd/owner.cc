#include "imapd/owner.h"

#include "imapd/session.h"

namespace postcot::imapd {

void Owner::leave(Session& session) {
    sessions_.erase(&session);
    left_ = std::chrono::steady_clock::now();
}

void Owner::changed(const std::string& folder, const Session* origin) {
    for (Session* session : sessions_) {
        if (session != origin && session->state().mailbox == folder) session->wake();
    }
}

}   // namespace postcot::imapd

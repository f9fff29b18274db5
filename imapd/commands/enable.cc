// RFC 5161. Only CONDSTORE (RFC 7162) is there to be enabled; what is not known is passed over.
#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Enable& enable) {
    std::string enabled;
    for (const std::string& capability : enable.capabilities) {
        if (capability != "CONDSTORE" || !enabled.empty()) continue;
        session.enable_condstore();
        enabled = " CONDSTORE";
    }
    session.put("* ENABLED" + enabled + "\r\n");
    co_return Dispatch{ok("Enabled."), News::kAll};
}

}   // namespace postcot::imapd

// RFC 5161. CONDSTORE and QRESYNC (RFC 7162) are there to be enabled; what is not known is passed over.
#include <algorithm>

#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Enable& enable) {
    auto asked = [&](const char* capability) {
        return std::find(enable.capabilities.begin(), enable.capabilities.end(), capability) !=
               enable.capabilities.end();
    };
    std::string enabled;
    if (asked("CONDSTORE") || asked("QRESYNC"))
        session.enable_condstore();   // RFC 7162 §3.2.3: the one is in the other
    if (asked("CONDSTORE")) enabled += " CONDSTORE";
    if (asked("QRESYNC")) {
        session.state().qresync = true;
        enabled += " QRESYNC";
    }
    session.put("* ENABLED" + enabled + "\r\n");
    co_return Dispatch{ok("Enabled."), News::kAll};
}

}   // namespace postcot::imapd

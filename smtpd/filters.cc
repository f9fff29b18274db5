// A filter that is configured and not served must not let mail through: the client is told what Postfix tells it when the filter does not answer.
#include "libproto/config/filters.h"

#include "libproto/smtp/text.h"
#include "smtpd/session.h"

namespace postcot::smtpd {

using config::Unfiltered;

// smtpd_milter_maps: by the client's address; DISABLE means no milters for it.
void Session::choose_milter() {
    milter_ = service_.milter;
    if (service_.no_milters || service_.stand_alone || runtime_.tables->milters.empty()) return;
    auto found = runtime_.tables->milters.find(c_.client.address);
    if (!found) {
        milter_ = {Unfiltered::kDefer, "smtpd_milter_maps", found.error().text};
    } else if (*found) {
        const bool disabled = smtp::equals_ignoring_case(**found, "DISABLE");
        milter_ =
            disabled ? config::MissingFilter{} : config::missing_milter(service_.main, "smtpd_milter_maps", **found);
    }
}

Verdict Session::unfiltered() const {
    switch (milter_.outcome) {
        case Unfiltered::kPass:
        case Unfiltered::kHold: return Verdict::dunno();   // hold: envelope() says so
        case Unfiltered::kDefer: break;
        case Unfiltered::kReject: return Verdict::reject(550, "5.5.0", "Service unavailable");
        case Unfiltered::kMisconfigured:
            return Verdict::reject(451, "4.3.5", "Server configuration problem - try again later");
    }
    log_warning(milter_.reason());
    return Verdict::reject(451, "4.7.1", "Service unavailable - try again later");
}

Verdict Session::unfiltered_content() const {
    if (service_.checks.outcome == Unfiltered::kPass) return Verdict::dunno();
    log_warning(c_.queue_id + ": " + service_.checks.reason());
    return Verdict::reject(451, "4.7.1", "Service unavailable - try again later");
}

Verdict Session::no_way_to_queue() const {
    if (service_.proxy.waits()) {
        log_warning(service_.proxy.reason());
    } else if (service_.cleanup_missing) {
        log_warning("cleanup_service_name: no service " + service_.cleanup_service + " in master.cf: mail waits");
    } else {
        return Verdict::dunno();
    }
    return Verdict::reject(451, "4.3.0", "Error: queue file write error");
}

}   // namespace postcot::smtpd

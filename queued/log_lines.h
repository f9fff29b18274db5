// Log lines in the shapes of Postfix's queue manager, delivery agents and bounce daemon: pflogsumm, fail2ban and people know them.
#pragma once

#include <string>
#include <string_view>

namespace postcot::queued {

// format_tv(): two significant digits, at most `digits` behind the point, no trailing zeros: 0.05, 1.2, 12.
std::string delay_text(double seconds, int digits);

struct RecipientLine {
    std::string_view queue_id;
    std::string_view address;       // internal form
    std::string_view original;      // internal form; empty or equal: left out
    std::string_view relay;         // "none" when empty
    double before_queue = 0, in_queue = 0, connecting = 0, transmitting = 0;   // delays=a/b/c/d; delay= is their sum
    std::string_view dsn;
    std::string_view status;        // "sent", "deferred", "bounced", "expired"
    std::string_view text;
};
std::string recipient_line(const RecipientLine& line, int digits);

}   // namespace postcot::queued

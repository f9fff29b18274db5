#include "queued/log_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "libproto/smtp/path.h"

namespace postcot::queued {

std::string delay_text(double seconds, int digits) {
    if (seconds <= 0) return "0";
    int places = digits;
    if (seconds >= 10) {
        places = 0;
    } else if (seconds >= 1) {
        places = std::min(digits, 1);
    } else if (seconds >= 0.1) {
        places = std::min(digits, 2);
    }
    std::string out = fmt::format("{:.{}f}", seconds, places);
    if (out.find('.') != std::string::npos) {
        while (out.back() == '0') out.pop_back();
        if (out.back() == '.') out.pop_back();
    }
    return out;
}

std::string recipient_line(const RecipientLine& line, int digits) {
    std::string out = fmt::format("{}: to=<{}>, ", line.queue_id, smtp::to_external(line.address));
    if (!line.original.empty() && line.original != line.address) {
        out += fmt::format("orig_to=<{}>, ", smtp::to_external(line.original));
    }
    auto clamp = [](double v) { return std::max(v, 0.0); };
    double total = clamp(line.before_queue) + clamp(line.in_queue) + clamp(line.connecting) + clamp(line.transmitting);
    out += fmt::format("relay={}, delay={}, delays={}/{}/{}/{}, dsn={}, status={} ({})", line.relay.empty() ? "none" : line.relay,
                       delay_text(total, digits), delay_text(line.before_queue, digits), delay_text(line.in_queue, digits),
                       delay_text(line.connecting, digits), delay_text(line.transmitting, digits), line.dsn, line.status, line.text);
    return out;
}

}   // namespace postcot::queued

// RFC 5322 §3.3 dates, obsolete and broken forms too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postcot::mime {

struct Date {
    int64_t seconds = 0;         // since 1970, UTC
    int zone_minutes = 0;        // as written
    int64_t local_day() const;   // days since 1970-01-01 on the sender's calendar (IMAP SENTON)
};
std::optional<Date> parse_date(std::string_view value);
std::string format_rfc5322(int64_t seconds, int zone_minutes);   // "Tue, 24 Nov 2026 08:15:56 +0000"
std::string format_internaldate(
    int64_t seconds, int zone_minutes);   // "24-Nov-2026 08:15:56 +0000", without quotes, day padded with a space
int64_t days_from_civil(int year, int month, int day);   // month 1..12

}   // namespace postcot::mime

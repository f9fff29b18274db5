// RFC 3501 §9: date ("1-Feb-1994", SEARCH) and date-time (" 1-Jul-1996 02:44:25 -0700", INTERNALDATE).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::imap {

struct Date {
    int year = 0;
    int month = 0;   // 1-12
    int day = 0;     // 1-31
    bool operator==(const Date&) const = default;
    int64_t days() const;   // since 1970-01-01
};

struct DateTime {
    int64_t seconds = 0;    // since 1970-01-01 UTC
    int zone_minutes = 0;   // east of UTC
    bool operator==(const DateTime&) const = default;
};

Expected<Date> parse_date(std::string_view text);            // without quotes
Expected<DateTime> parse_date_time(std::string_view text);   // without quotes
std::string format_date_time(const DateTime& when);          // without quotes; 26 octets

}   // namespace postcot::imap

#include "libproto/imap/date.h"

#include <fmt/format.h>

#include <array>

#include "libproto/imap/text.h"

namespace postcot::imap {

namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Days since 1970-01-01 of a proleptic Gregorian date.
int64_t days_of(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

bool digits(std::string_view text, int& out) {
    out = 0;
    if (text.empty()) return false;
    for (char c : text) {
        if (c < '0' || c > '9') return false;
        out = out * 10 + (c - '0');
    }
    return true;
}

int month_of(std::string_view name) {
    for (size_t i = 0; i < kMonths.size(); ++i) {
        if (iequals(name, kMonths[i])) return static_cast<int>(i) + 1;
    }
    return 0;
}

int days_in(int year, int month) {
    if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

}   // namespace

int64_t Date::days() const { return days_of(year, month, day); }

Expected<Date> parse_date(std::string_view text) {
    Date date;
    size_t dash = text.find('-');
    if ((dash != 1 && dash != 2) || text.size() != dash + 9 || text[dash + 4] != '-' ||
        !digits(text.substr(0, dash), date.day) || !digits(text.substr(dash + 5), date.year))
        return fail(0, "expected a date like 1-Feb-1994");
    date.month = month_of(text.substr(dash + 1, 3));
    if (date.month == 0) return fail(0, "expected a month name Jan..Dec in the date");
    if (date.day < 1 || date.day > days_in(date.year, date.month)) return fail(0, "no such day in that month");
    return date;
}

Expected<DateTime> parse_date_time(std::string_view text) {
    auto bad = [] { return fail(0, "expected a date-time like \"17-Jul-1996 02:44:25 -0700\""); };
    std::string padded;
    if (text.size() == 25 && text[1] == '-') {   // "7-Jul-..." without its leading space: forgiven, as Dovecot does
        padded = " " + std::string(text);
        text = padded;
    }
    if (text.size() != 26) return bad();
    std::string_view day = text.substr(0, 11);
    if (day[0] == ' ') day.remove_prefix(1);
    auto date = parse_date(day);
    if (!date) return fail(date.error());
    int hour, minute, second, zone_hour, zone_minute;
    if (text[11] != ' ' || text[14] != ':' || text[17] != ':' || text[20] != ' ' ||
        (text[21] != '+' && text[21] != '-') || !digits(text.substr(12, 2), hour) ||
        !digits(text.substr(15, 2), minute) || !digits(text.substr(18, 2), second) ||
        !digits(text.substr(22, 2), zone_hour) || !digits(text.substr(24, 2), zone_minute))
        return bad();
    if (hour > 23 || minute > 59 || second > 60 || zone_hour > 23 || zone_minute > 59)
        return fail(0, "time of day out of range");
    DateTime when;
    when.zone_minutes = (zone_hour * 60 + zone_minute) * (text[21] == '-' ? -1 : 1);
    when.seconds = date->days() * 86400 + hour * 3600 + minute * 60 + second - when.zone_minutes * 60;
    return when;
}

std::string format_date_time(const DateTime& when) {
    int64_t local = when.seconds + when.zone_minutes * 60;
    int64_t days = local / 86400, rest = local % 86400;
    if (rest < 0) {
        rest += 86400;
        --days;
    }
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * shifted + 2) / 5 + 1;
    int64_t month = shifted + (shifted < 10 ? 3 : -9);
    int64_t year = year_of_era + era * 400 + (month <= 2);
    int zone = when.zone_minutes < 0 ? -when.zone_minutes : when.zone_minutes;
    return fmt::format("{:02}-{}-{:04} {:02}:{:02}:{:02} {}{:02}{:02}", day, kMonths[static_cast<size_t>(month - 1)],
                       year, rest / 3600, rest / 60 % 60, rest % 60, when.zone_minutes < 0 ? '-' : '+', zone / 60,
                       zone % 60);
}

}   // namespace postcot::imap

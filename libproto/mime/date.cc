#include "libproto/mime/date.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "libproto/mime/header.h"

namespace postcot::mime {

namespace {

constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

struct Civil {
    int64_t year;
    int month, day, hour, minute, second, weekday;
};
Civil civil(int64_t seconds) {
    int64_t days = seconds >= 0 ? seconds / 86400 : -((-seconds + 86399) / 86400);
    int64_t rest = seconds - days * 86400;
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    Civil c{};
    c.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
    c.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
    c.year = yoe + era * 400 + (c.month <= 2 ? 1 : 0);
    c.hour = static_cast<int>(rest / 3600);
    c.minute = static_cast<int>(rest / 60 % 60);
    c.second = static_cast<int>(rest % 60);
    c.weekday = static_cast<int>(((days % 7) + 11) % 7);   // 1970-01-01 was a Thursday
    return c;
}

bool digits(std::string_view s) {
    if (s.empty()) return false;
    for (char c : s)
        if (c < '0' || c > '9') return false;
    return true;
}
int number(std::string_view s) {
    int n = 0;
    for (char c : s.substr(0, 8)) n = n * 10 + (c - '0');
    return n;
}

int month_of(std::string_view word) {
    if (word.size() < 3) return 0;
    for (size_t i = 0; i < kMonths.size(); ++i)
        if (iequals(word.substr(0, 3), kMonths[i])) return static_cast<int>(i) + 1;
    return 0;
}

// RFC 5322 §4.3
std::optional<int> zone_of(std::string_view word) {
    static constexpr std::array<std::pair<std::string_view, int>, 13> kZones{{{"UT", 0},
                                                                              {"UTC", 0},
                                                                              {"GMT", 0},
                                                                              {"Z", 0},
                                                                              {"EST", -300},
                                                                              {"EDT", -240},
                                                                              {"CST", -360},
                                                                              {"CDT", -300},
                                                                              {"MST", -420},
                                                                              {"MDT", -360},
                                                                              {"PST", -480},
                                                                              {"PDT", -420},
                                                                              {"KST", 540}}};
    for (const auto& [name, minutes] : kZones)
        if (iequals(word, name)) return minutes;
    return std::nullopt;
}

bool parse_time_of_day(std::string_view word, int& seconds) {
    int fields[3] = {0, 0, 0};
    size_t n = 0;
    while (n < 3) {
        size_t end = 0;
        while (end < word.size() && word[end] >= '0' && word[end] <= '9') ++end;
        if (end == 0 || end > 2) return false;
        fields[n++] = number(word.substr(0, end));
        word.remove_prefix(end);
        if (word.empty() || word[0] != ':') break;
        word.remove_prefix(1);
    }
    if (n < 2 || fields[0] > 23 || fields[1] > 59 || fields[2] > 60) return false;
    seconds = fields[0] * 3600 + fields[1] * 60 + fields[2];
    return true;
}

}   // namespace

int64_t days_from_civil(int year, int month, int day) {
    int64_t y = year - (month <= 2 ? 1 : 0);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

int64_t Date::local_day() const {
    int64_t local = seconds + int64_t{zone_minutes} * 60;
    return local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
}

std::optional<Date> parse_date(std::string_view value) {
    // By what each word looks like, not by where it stands: this reads RFC 5322, RFC 850, asctime and what lies
    // between.
    std::optional<int> day, year, zone;
    int month = 0, time = -1, depth = 0;
    size_t i = 0, words = 0;
    value = value.substr(0, 256);
    while (i < value.size()) {
        char c = value[i];
        if (c == '(') ++depth;
        if (c == ')' && depth > 0) --depth;
        if (depth > 0 || c == ')' || c == ' ' || c == '\t' || c == ',' || c == '\r' || c == '\n' || c == '"') {
            ++i;
            continue;
        }
        size_t end = i + 1;
        // '-' splits "24-Nov-2026" but begins a zone.
        while (end < value.size() && std::string_view(" \t,()\r\n\"").find(value[end]) == std::string_view::npos &&
               !((value[end] == '-' || value[end] == '+') && time < 0) &&
               !((value[end] == '+' || value[end] == '-') && value[i] != '+' && value[i] != '-'))
            ++end;
        std::string_view word = value.substr(i, end - i);
        i = end;
        if (++words > 20) break;
        if (word.find(':') != std::string_view::npos && time < 0) {
            if (!parse_time_of_day(word, time)) return std::nullopt;
        } else if ((word[0] == '+' || word[0] == '-') && digits(word.substr(1)) && time >= 0 && word.size() >= 4) {
            int n = number(word.substr(1).substr(0, 4));
            if (word.size() == 4) n = number(word.substr(1));   // "+900"
            int minutes = n / 100 * 60 + n % 100;
            if (minutes < 24 * 60) zone = word[0] == '-' ? -minutes : minutes;
        } else {
            if (word[0] == '-') word.remove_prefix(1);
            if (word.empty()) continue;
            if (digits(word)) {
                if (!day && word.size() <= 2) {
                    day = number(word);
                } else if (!year && word.size() <= 4) {
                    int n = number(word);
                    year = word.size() == 4 ? n : word.size() == 3 ? n + 1900 : n < 50 ? n + 2000 : n + 1900;
                }
            } else if (int m = month_of(word); m != 0 && month == 0) {
                month = m;
            } else if (auto z = zone_of(word); z && !zone) {
                zone = z;
            }
        }
    }
    if (!day || !year || month == 0 || *day < 1 || *day > 31 || *year < 1900 || *year > 9999) return std::nullopt;
    Date date;
    date.zone_minutes = zone.value_or(0);
    date.seconds =
        days_from_civil(*year, month, *day) * 86400 + std::max(time, 0) - static_cast<int64_t>(date.zone_minutes) * 60;
    return date;
}

static std::string zone_text(int minutes) {
    int absolute = minutes < 0 ? -minutes : minutes;
    return fmt::format("{}{:02}{:02}", minutes < 0 ? '-' : '+', absolute / 60, absolute % 60);
}

std::string format_rfc5322(int64_t seconds, int zone_minutes) {
    Civil c = civil(seconds + int64_t{zone_minutes} * 60);
    return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} {}", kDays[static_cast<size_t>(c.weekday)], c.day,
                       kMonths[static_cast<size_t>(c.month - 1)], c.year, c.hour, c.minute, c.second,
                       zone_text(zone_minutes));
}

std::string format_internaldate(int64_t seconds, int zone_minutes) {
    Civil c = civil(seconds + int64_t{zone_minutes} * 60);
    return fmt::format("{:2}-{}-{:04} {:02}:{:02}:{:02} {}", c.day, kMonths[static_cast<size_t>(c.month - 1)], c.year,
                       c.hour, c.minute, c.second, zone_text(zone_minutes));
}

}   // namespace postcot::mime

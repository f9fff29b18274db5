#include "tools/queue_common/list_queue.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

#include "libproto/smtp/path.h"
#include "tools/queue_common/control_client.h"

namespace postcot::tools {

namespace {

// RFC 8259 §7. Bytes that are not UTF-8 would make the line unreadable: they become U+FFFD one by one.
std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (size_t i = 0; i < text.size(); ++i) {
        auto c = static_cast<unsigned char>(text[i]);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += static_cast<char>(c);
        } else if (c < 0x20 || c == 0x7F) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04X", c);
            out += escaped;
        } else if (c < 0x80) {
            out += static_cast<char>(c);
        } else {
            size_t length = c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 0;
            bool whole = length > 0 && c < 0xF5 && i + length <= text.size();
            for (size_t k = 1; whole && k < length; ++k)
                whole = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
            if (whole) {
                out.append(text, i, length);
                i += length - 1;
            } else {
                out += "\xEF\xBF\xBD";
            }
        }
    }
    return out + "\"";
}

void print_json(const ipc::ControlItem& item) {
    std::string out =
        "{\"queue_name\": " + quoted(item.queue) + ", \"queue_id\": " + quoted(item.id) +
        ", \"arrival_time\": " + std::to_string(item.arrival) + ", \"message_size\": " + std::to_string(item.size) +
        ", \"forced_expire\": " + (item.forced_expire ? "true" : "false") +
        ", \"sender\": " + quoted(item.sender.empty() ? "MAILER-DAEMON" : smtp::to_external(item.sender)) +
        ", \"recipients\": [";
    bool first = true;
    for (const auto& recipient : item.recipients) {
        if (!first) out += ", ";
        first = false;
        out += "{\"address\": " + quoted(smtp::to_external(recipient.address));
        if (!recipient.reason.empty()) out += ", \"delay_reason\": " + quoted(recipient.reason);
        out += "}";
    }
    out += "]}\n";
    std::fputs(out.c_str(), stdout);
}

// Columns as postqueue(1) of Postfix has them, for short and for long queue ids.
struct Columns {
    const char* headings;
    int id_width, size_width, time_width, recipient_indent;
};
constexpr Columns kShortIds{"-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------", 11, 7, 20, 41};
constexpr Columns kLongIds{"----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------", 17, 8, 19, 47};

void print_plain(const ipc::ControlItem& item, const Columns& columns) {
    std::string id = item.id;
    if (item.queue == "active") {
        id += '*';
    } else if (item.queue == "hold") {
        id += '!';
    } else if (item.forced_expire) {
        id += '#';
    }
    char when[32];
    auto seconds = static_cast<time_t>(item.arrival);
    std::tm local{};
    localtime_r(&seconds, &local);
    std::strftime(when, sizeof when, "%a %b %e %H:%M:%S ", &local);
    std::printf("%-*s %*llu %.*s %s\n", columns.id_width, id.c_str(), columns.size_width,
                static_cast<unsigned long long>(item.size), columns.time_width, when,
                item.sender.empty() ? "MAILER-DAEMON" : smtp::to_external(item.sender).c_str());
    std::string reason;
    for (const auto& recipient : item.recipients) {
        if (!recipient.reason.empty() && recipient.reason != reason) {
            int indent = recipient.reason.size() < 76 ? static_cast<int>(76 - recipient.reason.size()) : 0;
            std::printf("%*s(%s)\n", indent, "", recipient.reason.c_str());
            reason = recipient.reason;
        }
        std::printf("%*s%s\n", columns.recipient_indent, "", smtp::to_external(recipient.address).c_str());
    }
    std::printf("\n");
}

}   // namespace

int report_down(const config::MainCf& main, const char* program, const char* what, int error) {
    if (error == EACCES || error == EPERM) {
        std::fprintf(stderr, "%s: fatal: Connect to the %s queue service: Permission denied\n", program,
                     main.str("mail_name").c_str());
        return 69;
    }
    std::fprintf(stderr, "%s: fatal: %s - mail system is down\n", program, what);
    return 69;
}

int list_queue(const config::MainCf& main, bool json, const char* program) {
    const Columns& columns = main.boolean("enable_long_queue_ids") ? kLongIds : kShortIds;
    uint64_t count = 0;
    uint64_t octets = 0;
    ControlHandlers handlers;
    handlers.item = [&](const ipc::ControlItem& item) {
        if (json) {
            print_json(item);
        } else {
            if (count == 0) std::printf("%s\n", columns.headings);
            print_plain(item, columns);
        }
        ++count;
        octets += item.size;
    };
    ipc::ControlRequest request;
    request.verb = ipc::ControlVerb::kList;
    auto done = control(main, std::move(request), std::move(handlers));
    if (!done) return report_down(main, program, "Queue report unavailable", done.error().code);
    if (!done->ok) {
        std::fprintf(stderr, "%s: fatal: %s\n", program, done->text.c_str());
        return 69;
    }
    if (json) return 0;
    if (count == 0) {
        std::printf("Mail queue is empty\n");
    } else {
        std::printf("-- %llu Kbytes in %llu Request%s.\n", static_cast<unsigned long long>(octets / 1024),
                    static_cast<unsigned long long>(count), count == 1 ? "" : "s");
    }
    return 0;
}

}   // namespace postcot::tools

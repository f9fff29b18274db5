// SMTP commands, replies and header addresses: any bytes give a value or a reason.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "libproto/smtp/command.h"
#include "libproto/smtp/ehlo.h"
#include "libproto/smtp/address_list.h"
#include "libproto/smtp/header_address.h"
#include "libproto/smtp/idna.h"
#include "libproto/smtp/queue_id.h"
#include "libproto/smtp/reply.h"
#include "libproto/smtp/xtext.h"

using namespace postcot::smtp;

namespace {

void check_path(const Path& path) {
    // What was accepted can be written and read again, and means the same.
    if (path.null()) return;
    const auto wire = '<' + path.external() + '>';
    std::string_view rest;
    PathOptions options;
    options.smtputf8 = true;
    auto again = parse_path(wire, PathKind::kForward, options, rest);
    if (!again || again->internal() != path.internal()) std::abort();
    if (to_internal(path.external()) != path.internal()) std::abort();
}

void one_line(std::string_view line) {
    const auto command = split_command(line);
    for (bool strict : {false, true}) {
        MailOptions options;
        options.strict = strict;
        if (auto mail = parse_mail(command.arguments, options)) check_path(mail->path);
        if (auto rcpt = parse_rcpt(command.arguments, options, strict)) check_path(rcpt->path);
    }
    (void)parse_bdat(command.arguments);
    (void)parse_auth(command.arguments);
    if (auto decoded = decode_xtext(command.arguments)) {
        if (*decode_xtext(encode_xtext(*decoded)) != *decoded) std::abort();
    }
    (void)decode_utf8_xtext(command.arguments);
    (void)queue_id_time(line);
    (void)domain_to_ascii(command.arguments);
    for (auto kind : {AddressListKind::kHeader, AddressListKind::kDestinations}) {
        size_t behind = 0;
        for (const auto& found : read_address_list(line, kind)) {
            if (found.address.empty() || found.offset < behind || found.offset + found.length > line.size()) std::abort();
            behind = found.offset + found.length;
        }
    }
    // Commas aside, what is not rewritten stays as it was.
    auto same = rewrite_addresses(line, [](std::string_view address) { return std::string(address); });
    std::string before(line);
    std::erase(same, ',');
    std::erase(before, ',');
    if (same != before) std::abort();
}

}   // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    ReplyParser parser;
    while (!input.empty()) {
        const size_t end = input.find('\n');
        auto line = input.substr(0, end);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        one_line(line);
        if (auto complete = parser.feed(line); complete && *complete) {
            const auto reply = parser.take();
            (void)parse_ehlo(reply);
            (void)format_reply(reply);
        }
        input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
    }
    return 0;
}

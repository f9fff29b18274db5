#include "pop3d/transaction.h"

#include <fmt/format.h>

#include <algorithm>

#include "libproto/pop3/response.h"
#include "pop3d/capability.h"

namespace postcot::pop3d {

namespace {

constexpr std::chrono::minutes kIdle{10};   // RFC 1939 §3: at least ten minutes
constexpr int kMaxBadCommands = 20;         // Dovecot's CLIENT_MAX_BAD_COMMANDS
constexpr size_t kChunk = 64 << 10;

}   // namespace

std::string Statistics::format(std::string_view logout_format) const {
    std::string out;
    for (size_t i = 0; i < logout_format.size(); ++i) {
        if (logout_format[i] != '%' || i + 1 == logout_format.size()) {
            out += logout_format[i];
            continue;
        }
        switch (logout_format[++i]) {
            case 't': out += fmt::format("{}", top_count); break;
            case 'p': out += fmt::format("{}", top_octets); break;
            case 'r': out += fmt::format("{}", retrieved_count); break;
            case 'b': out += fmt::format("{}", retrieved_octets); break;
            case 'd': out += fmt::format("{}", deleted); break;
            case 'm': out += fmt::format("{}", messages); break;
            case 's': out += fmt::format("{}", total_size); break;
            case 'i': out += fmt::format("{}", octets_in); break;
            case 'o': out += fmt::format("{}", octets_out); break;
            case '%': out += '%'; break;
            default: break;
        }
    }
    return out;
}

Task<Departure> Transaction::run() {
    statistics_.messages = drop_.count();
    statistics_.total_size = drop_.total_size();
    for (;;) {
        auto line = co_await client_.read_line(pop3::kMaxCommandLine, kIdle);
        if (!line) {
            int code = line.error().code;
            if (code == ETIMEDOUT) client_.put(pop3::err("Disconnected for inactivity."));
            if (code == ECANCELED) client_.put(pop3::err("Server shutting down.", "SYS/TEMP"));
            if (code == EMSGSIZE) client_.put(pop3::err("Input line too long."));
            co_return Departure{false, code == ETIMEDOUT   ? "Disconnected for inactivity."
                                       : code == ECANCELED ? "Server shutting down."
                                       : code == EMSGSIZE  ? "Input line too long."
                                                           : "Connection closed"};
        }
        auto command = pop3::parse_command(line->text);
        if (!command) {
            co_await reply(pop3::err(command.error().text));
            if (!command.error().text.starts_with("Unknown command")) continue;
            if (++bad_commands_ < kMaxBadCommands) continue;
            client_.put(pop3::err("Too many bad commands."));
            co_return Departure{false, "Too many bad commands."};
        }
        if (std::holds_alternative<pop3::Quit>(*command)) co_return Departure{true, "Logged out"};
        bad_commands_ = 0;
        co_await std::visit([this](const auto& c) { return on(c); }, *command);
    }
}

Task<void> Transaction::reply(std::string text) {
    (void)co_await client_.write(text, kIdle);   // a lost client is found by the next read
}

bool Transaction::available(uint32_t number, std::string& refusal) const {
    if (!drop_.exists(number)) {
        refusal = pop3::err(fmt::format("There's no message {}.", number));
        return false;
    }
    if (drop_.deleted(number)) {
        refusal = pop3::err("Message is deleted.");
        return false;
    }
    return true;
}

Task<void> Transaction::on(const pop3::Capa&) { return reply(capabilities_after_login()); }
Task<void> Transaction::on(const pop3::Noop&) { return reply(pop3::ok()); }
Task<void> Transaction::on(const pop3::Quit&) { return reply(pop3::ok()); }   // run() never sends it here
Task<void> Transaction::unknown(std::string_view verb) {
    return reply(pop3::err(fmt::format("Unknown command: {}", verb)));
}

Task<void> Transaction::on(const pop3::Rset&) {
    drop_.reset();
    return reply(pop3::ok());
}

Task<void> Transaction::on(const pop3::Stat&) {
    uint32_t count = 0;
    uint64_t octets = 0;
    for (uint32_t n = 1; n <= drop_.count(); ++n) {
        if (drop_.deleted(n)) continue;
        ++count;
        octets += drop_.size(n);
    }
    return reply(pop3::ok(fmt::format("{} {}", count, octets)));
}

Task<void> Transaction::on(const pop3::List& list) {
    std::string out;
    if (list.number) {
        if (available(*list.number, out)) out = pop3::ok(fmt::format("{} {}", *list.number, drop_.size(*list.number)));
        co_await reply(std::move(out));
        co_return;
    }
    out = pop3::ok(fmt::format("{} messages:", drop_.count() - drop_.deletions()));
    for (uint32_t n = 1; n <= drop_.count(); ++n) {
        if (drop_.deleted(n)) continue;
        out += fmt::format("{} {}\r\n", n, drop_.size(n));
        if (out.size() < kChunk) continue;
        co_await reply(std::move(out));
        out = std::string();
    }
    out += ".\r\n";
    co_await reply(std::move(out));
}

Task<void> Transaction::on(const pop3::Uidl& uidl) {
    std::string out;
    if (uidl.number) {
        uint32_t number = *uidl.number;
        if (available(number, out)) {
            auto ask = [this, number] { return drop_.uidl(number); };
            auto one = co_await blocking(ask);
            out = one ? pop3::ok(fmt::format("{} {}", number, *one)) : pop3::err(one.error().text, "SYS/TEMP");
        }
        co_await reply(std::move(out));
        co_return;
    }
    auto ask = [this] { return drop_.uidls(); };
    auto all = co_await blocking(ask);
    if (!all) {
        co_await reply(pop3::err(all.error().text, "SYS/TEMP"));
        co_return;
    }
    out = pop3::ok();
    for (uint32_t n = 1; n <= drop_.count(); ++n) {
        if (drop_.deleted(n)) continue;
        out += fmt::format("{} {}\r\n", n, (*all)[n - 1]);
        if (out.size() < kChunk) continue;
        co_await reply(std::move(out));
        out = std::string();
    }
    out += ".\r\n";
    co_await reply(std::move(out));
}

Task<void> Transaction::on(const pop3::Dele& dele) {
    std::string out;
    if (available(dele.number, out)) {
        drop_.mark_deleted(dele.number);
        statistics_.deleted = drop_.deletions();
        out = pop3::ok("Marked to be deleted.");
    }
    return reply(std::move(out));
}

Task<void> Transaction::on(const pop3::Retr& retr) { return send(retr.number, UINT64_MAX); }
Task<void> Transaction::on(const pop3::Top& top) { return send(top.number, top.lines); }

// RETR and TOP: streams; memory stays constant.
Task<void> Transaction::send(uint32_t number, uint64_t body_lines) {
    std::string refusal;
    if (!available(number, refusal)) {
        co_await reply(std::move(refusal));
        co_return;
    }
    auto open = [this, number] { return drop_.content(number); };
    auto content = co_await blocking(open);
    if (!content || !*content) {
        co_await reply(pop3::err(fmt::format("Message {} is no longer available.", number), "SYS/TEMP"));
        co_return;
    }
    bool whole = body_lines == UINT64_MAX;
    std::string first = whole ? pop3::ok(fmt::format("{} octets", drop_.size(number))) : pop3::ok();
    client_.put(first);
    uint64_t octets = first.size();   // as Dovecot counts: what goes over the wire but for the last line
    pop3::DotStuffer stuffer(body_lines, settings_.end_of_header);
    std::string buffer(kChunk, '\0'), out;
    for (uint64_t offset = 0;;) {
        auto fill = [&] { return (*content)->read(buffer.data(), buffer.size(), offset); };
        Expected<size_t> n;
        if ((*content)->size() <= kChunk)
            n = fill();   // in memory already
        else
            n = co_await blocking(fill);
        if (!n) {   // half a message must not look like a whole one
            client_.close();
            co_return;
        }
        if (*n == 0) break;
        offset += *n;
        if (settings_.no_nuls)
            std::replace(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*n), '\0', '\x80');
        bool more = stuffer.feed(std::string_view(buffer.data(), *n), out);
        octets += out.size();
        auto sent = co_await client_.write(out, kIdle);
        if (!sent) co_return;
        out.clear();
        if (!more) break;
    }
    stuffer.finish(out);
    octets += out.size() - 3;
    if (whole) {
        ++statistics_.retrieved_count;
        statistics_.retrieved_octets += octets;
        drop_.mark_retrieved(number);
    } else {
        ++statistics_.top_count;
        statistics_.top_octets += octets;
    }
    co_await reply(std::move(out));
}

}   // namespace postcot::pop3d

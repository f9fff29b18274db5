#include "imapd/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "imapd/commands/commands.h"
#include "imapd/flags.h"
#include "imapd/vanished.h"
#include "libproto/imap/response.h"
#include "libproto/login/user_log.h"

namespace postcot::imapd {

Reply ok(std::string text, std::string code) { return {Reply::Status::kOk, std::move(code), std::move(text), {}}; }
Reply no(std::string code, std::string text) { return {Reply::Status::kNo, std::move(code), std::move(text), {}}; }
Reply bad(std::string text) { return {Reply::Status::kBad, {}, std::move(text), {}}; }

Reply no(const Error& error) {
    const int why = error.code;
    auto told = [&](const char* code, std::string text) {
        return Reply{Reply::Status::kNo, code, std::move(text), error.text};
    };
    // RFC 5530 §3. LIMIT is ours: too many keywords or messages.
    if ((why == ENOSPC || why == EDQUOT) && error.enhanced != "LIMIT")
        return told("OVERQUOTA", why == EDQUOT ? "Not enough disk quota" : "Not enough disk space");
    if (error.enhanced == "INUSE") return told("INUSE", "Timeout while waiting for lock");
    if (error.enhanced.empty() && (why == EACCES || why == EPERM || why == EROFS))
        return told("NOPERM", "Permission denied");
    if (error.enhanced == "SERVERBUG" || (error.enhanced.empty() && why > 0)) {
        const std::time_t now = std::time(nullptr);
        std::tm local{};
        ::localtime_r(&now, &local);
        char stamp[32];
        std::strftime(stamp, sizeof stamp, " [%Y-%m-%d %H:%M:%S]", &local);
        return told("SERVERBUG",
                    std::string("Internal error occurred. Refer to server log for more information.") + stamp);
    }
    return no(error.enhanced, error.text);
}

namespace {
imap::CommandReader::Limits reader_limits(const Settings& settings) {
    imap::CommandReader::Limits limits;
    limits.max_command = settings.max_line;
    return limits;
}
}   // namespace

Session::Session(std::shared_ptr<Owner> owner, Watcher& watcher, const Settings& settings, login::LoggedIn facts)
    : owner_(std::move(owner)),
      watcher_(watcher),
      settings_(settings),
      stream_(std::move(facts.fd), std::move(facts.unread)),
      facts_(std::move(facts)),
      reader_(reader_limits(settings)),
      log_prefix_(facts_.log_prefix("imap")) {
    owner_->join(*this);
}

Session::~Session() {
    watcher_.remove(*this);
    owner_->leave(*this);
}

void Session::log(log::Level level, const std::string& text) const { login::user_log(log_prefix_, level, text); }

Task<void> Session::run() {
    tag_ = facts_.payload;
    put(imap::tagged(tag_, "OK", "CAPABILITY " + settings_.capability, "Logged in"));
    co_await loop();
    co_await close_mailbox();
    // A cancelled session says its last words on a source of its own.
    CancelSource last;
    auto flushing = stream_.flush(Millis(5000));
    flushing.with_cancel(last);
    (void)co_await flushing;
    log(log::Level::kInfo,
        "Disconnected: " + (end_reason_.empty() ? std::string("Connection closed") : end_reason_) + logout_line());
    stream_.close();
}

Task<void> Session::loop() {
    while (!ended_) {
        bool complete = co_await read_command();
        if (!complete) co_return;
        imap::Request request = imap::parse_request(reader_.text());
        co_await execute(std::move(request));
    }
}

// Reads until a whole command stands in the reader. What is refused is answered here.
Task<bool> Session::read_command() {
    using Event = imap::CommandReader::Event;
    for (;;) {
        auto view = co_await stream_.peek(kInactivity);
        if (!view) {
            if (view.error().code == ETIMEDOUT) {
                put("* BYE Disconnected for inactivity.\r\n");
                end(fmt::format("Inactivity - no input for {} secs", kInactivity.count() / 1000));
            } else if (view.error().code == ECANCELED) {
                put("* BYE Server shutting down.\r\n");
                end("Server shutting down.");
            }
            co_return false;
        }
        std::string_view in = *view;
        Event event = reader_.feed(in);
        stream_.consume(view->size() - in.size());
        switch (event) {
            case Event::kNeedMore: break;
            case Event::kContinue: put("+ OK\r\n"); break;
            case Event::kCommand: co_return true;
            case Event::kRefused: {
                imap::Request request = imap::parse_request(reader_.text());
                put(imap::tagged(request.tag.empty() ? "*" : request.tag, "BAD", {},
                                 "Error in IMAP command: " + reader_.refusal() + "."));
                count_bad_command();
                if (ended_) co_return false;
                break;
            }
            case Event::kAppendMessage: {
                imap::Request request = imap::parse_request(reader_.text());
                co_await append_messages(*this, std::move(request));
                if (ended_) co_return false;
                break;
            }
        }
    }
}

void Session::count_bad_command() {
    if (++bad_commands_ < kMaxBadCommands) return;
    put("* BYE Too many invalid IMAP commands.\r\n");
    end("Too many invalid IMAP commands.");
}

void Session::begin_command(const imap::Request& request) {
    tag_ = request.tag;
    by_uid_ = request.verb.starts_with("UID ");
}

Task<void> Session::execute(imap::Request request) {
    begin_command(request);
    if (!request.command) {
        const Error& error = request.command.error();
        if (tag_.empty()) {
            put(imap::tagged("*", "BAD", {}, "Error in IMAP command received by server."));
            count_bad_command();
        } else {
            answer(error.enhanced.empty() ? bad(error.text) : no(error), request.verb);
        }
        co_return;
    }
    Dispatch dispatch = co_await run_command(*this, *request.command);
    co_await finish_command(std::move(dispatch.reply), dispatch.news, std::move(request.verb));
}

Task<void> Session::finish_command(Reply reply, News news, std::string verb) {
    if (reply.status == Reply::Status::kOk) bad_commands_ = 0;
    if (!reply.trouble.empty()) log(log::Level::kError, verb + ": " + reply.trouble);
    if (news != News::kNone && mailbox_ && !ended_) {
        bool alive = co_await tell_news(news == News::kAll);
        if (!alive) co_return;
    }
    if (reply.with_modseq && mailbox_ && reply.code.empty())
        reply.code = fmt::format("HIGHESTMODSEQ {}", mailbox_->highest_modseq().value);
    answer(reply, verb);
    // Replies gather while commands are pipelined; reading flushes them. A client that does not read is not read from.
    auto written = co_await stream_.write({}, kOutputTimeout);
    if (!written) end("Connection closed");
}

void Session::answer(const Reply& reply, const std::string& verb) {
    switch (reply.status) {
        case Reply::Status::kOk: put(imap::tagged(tag_, "OK", reply.code, reply.text)); break;
        case Reply::Status::kNo: put(imap::tagged(tag_, "NO", reply.code, reply.text)); break;
        case Reply::Status::kBad:
            put(imap::tagged(tag_, "BAD", reply.code,
                             verb.empty() ? "Error in IMAP command: " + reply.text + "."
                                          : "Error in IMAP command " + verb + ": " + reply.text + "."));
            count_bad_command();
            break;
        case Reply::Status::kNone: break;
    }
}

void Session::set_mailbox(std::unique_ptr<maildir::Mailbox> mailbox, bool read_only) {
    mailbox_ = std::move(mailbox);
    told_exists_ = mailbox_->exists();
    told_recent_ = mailbox_->recent();
    open_section_ = {};
    state_.mailbox = mailbox_->name();
    state_.read_only = read_only;
    state_.saved.clear();
}

Task<void> Session::close_mailbox() {
    if (!mailbox_) co_return;
    watcher_.remove(*this);
    open_section_ = {};
    auto drop = [this](maildir::MailStore&) { mailbox_.reset(); };
    co_await owner_->with_store(drop);
    state_.mailbox.clear();
    state_.saved.clear();
}

Task<bool> Session::tell_news(bool expunges) {
    std::string out;
    auto look = [&](maildir::Mailbox& mailbox) -> Expected<void> {
        auto changes = mailbox.sync(expunges);
        if (!changes) return fail(changes.error());
        if (state_.qresync) {   // RFC 7162 §3.2.10
            append_vanished(out, changes->vanished);
        } else {
            for (maildir::SeqNum seq : changes->expunged) {
                out += "* ";
                imap::append_number(out, seq.value);
                out += " EXPUNGE\r\n";
            }
        }
        // An EXPUNGE has already told the client to count down.
        told_exists_ -= std::min(told_exists_, static_cast<uint32_t>(changes->expunged.size()));
        auto tell = [&](uint32_t& told, uint32_t now, std::string_view what) {
            if (told == now) return;
            told = now;
            out += "* ";
            imap::append_number(out, now);
            out += what;
        };
        tell(told_exists_, mailbox.exists(), " EXISTS\r\n");
        tell(told_recent_, mailbox.recent(), " RECENT\r\n");
        if (changes->keywords_changed) append_flag_lines(out, mailbox, state_.read_only);
        for (maildir::SeqNum seq : changes->flags)
            append_flags_fetch(out, mailbox, seq, by_uid_ || state_.qresync, state_.condstore);
        return {};
    };
    auto looked = co_await with_mailbox(look);
    if (!looked) {
        log(log::Level::kError, fmt::format("Syncing mailbox {} failed: {}", state_.mailbox, looked.error().text));
        if (looked.error().enhanced != "NONEXISTENT") co_return true;
        put("* BYE Selected mailbox was deleted, have to disconnect.\r\n");
        end("Selected mailbox was deleted, have to disconnect.");
        co_return false;
    }
    auto written = co_await stream_.write(out, kOutputTimeout);
    if (!written) {
        end("Connection closed");
        co_return false;
    }
    co_return true;
}

void Session::enable_condstore() {
    if (state_.condstore) return;
    state_.condstore = true;
    // RFC 7162 §3.1.2.1: the client must know from where on it is told.
    if (mailbox_) put(fmt::format("* OK [HIGHESTMODSEQ {}] Highest\r\n", mailbox_->highest_modseq().value));
}

Task<Expected<std::vector<maildir::SeqNum>>> Session::resolve(const imap::SequenceSet& set, bool uid) {
    using Result = Expected<std::vector<maildir::SeqNum>>;
    auto find = [&](maildir::Mailbox& mailbox) -> Result {
        maildir::NumberSet numbers;
        if (set.saved) {   // RFC 5182 §2.1: "$" are the messages of the saved search that are still there
            std::vector<maildir::SeqNum> out;
            for (uint32_t value : state_.saved) {
                if (auto seq = mailbox.find(maildir::Uid{value})) out.push_back(*seq);
            }
            return out;
        }
        uint32_t exists = mailbox.exists();
        uint32_t largest = uid ? (exists ? mailbox.uid_of(maildir::SeqNum{exists}).value : 0) : exists;
        if (!uid) {   // RFC 3501 §9 seq-number
            for (const auto& range : set.ranges) {
                auto wrong = [&](uint32_t n) { return n == imap::SequenceSet::kStar ? exists == 0 : n > exists; };
                if (wrong(range.first) || wrong(range.last)) return fail(0, "Invalid messageset");
            }
        }
        for (const auto& range : set.resolve(largest)) numbers.push_back({range.first, range.last});
        return uid ? mailbox.select_uids(numbers) : mailbox.select(numbers);
    };
    co_return co_await with_mailbox(find);
}

// imap_logout_format: %i %o %{deleted} ...
std::string Session::logout_line() const {
    const std::string& format = settings_.logout_format;
    std::string out = " ";
    for (size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%' || i + 1 == format.size()) {
            out += format[i];
            continue;
        }
        std::string_view name;
        if (format[i + 1] == '{') {
            size_t end = format.find('}', i);
            if (end == std::string::npos) break;
            name = std::string_view(format).substr(i + 2, end - i - 2);
            i = end;
        } else {
            name = std::string_view(format).substr(++i, 1);
        }
        uint64_t value = 0;
        if (name == "i" || name == "input")
            value = stream_.bytes_in();
        else if (name == "o" || name == "output")
            value = stream_.bytes_out();
        else if (name == "deleted")
            value = counters_.deleted;
        else if (name == "expunged")
            value = counters_.expunged;
        else if (name == "autoexpunged")
            value = counters_.autoexpunged;
        else if (name == "appended")
            value = counters_.appended;
        else if (name == "fetch_hdr_count")
            value = counters_.header_count;
        else if (name == "fetch_hdr_bytes")
            value = counters_.header_bytes;
        else if (name == "fetch_body_count")
            value = counters_.body_count;
        else if (name == "fetch_body_bytes")
            value = counters_.body_bytes;
        imap::append_number(out, value);
    }
    return out;
}

}   // namespace postcot::imapd

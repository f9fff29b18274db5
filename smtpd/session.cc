#include "smtpd/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "libproto/runtime/log.h"
#include "libproto/runtime/loop_inl.h"
#include "libproto/smtp/reply.h"
#include "libproto/smtp/text.h"
#include "smtpd/log_lines.h"

namespace postcot::smtpd {
namespace {

constexpr size_t kMaxLinger = 256 * 1024;
constexpr size_t kMaxSkippedLine = 100 << 20;   // of one overlong command line, before the client is given up

// What a client said, as it may stand in a log line or a reply.
std::string printable(std::string_view text, size_t limit) {
    std::string out(text.substr(0, limit));
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    }
    return out;
}

}   // namespace

Session::Session(Worker& worker, ServiceRuntime& runtime, Accepted accepted)
    : worker_(worker), runtime_(runtime), service_(*runtime.service), stream_(std::move(accepted.fd)) {
    c_.service = runtime.service.get();
    if (accepted.peer.is_unix()) {
        c_.client.name = c_.client.reverse_name = "localhost";
        c_.client.address = "127.0.0.1";   // as Postfix's smtpd -S and Dovecot's LMTP socket: a local client
        c_.client.name_status = c_.client.reverse_status = Lookup::kOk;
    } else {
        c_.client.address = accepted.peer.address();
        c_.client.port = std::to_string(accepted.peer.port());
        c_.client.local_address = accepted.local.address();
        c_.client.local_port = std::to_string(accepted.local.port());
    }
    stream_.set_timeout(service_.limits.timeout);
}

Session::~Session() {
    if (counted_) worker_.counters().disconnect(worker_.index(), service_.name, c_.client.address);
}

void Session::log_info(std::string_view text) const { log::write_as(service_.ident, log::Level::kInfo, text); }
void Session::log_warning(std::string_view text) const { log::write_as(service_.ident, log::Level::kWarning, text); }

bool Session::client_in(const table::MatchList& list) const {
    if (list.empty()) return false;
    auto match = list.matches_host(c_.client.name, c_.client.address);
    return match && *match;
}

bool Session::limited() const { return !service_.unix_socket && !client_in(runtime_.tables->limit_exceptions); }

Task<void> Session::run() {
    // A stop does not wait for a slow name server.
    if (service_.peername_lookup && !service_.unix_socket)
        co_await worker_.names().find_client_name(c_.client).with_cancel(worker_.drain());
    log_info("connect from " + c_.client.name_address());
    co_await serve();
    if (end_ != End::kLost) (void)co_await stream_.flush(Millis(5000));
    log_disconnect();
    if (end_ == End::kTooManyErrors || end_ == End::kHangUp) co_await linger();
    stream_.close();
}

// Closing while input is unread resets the connection, and the last reply with it: read a little longer what nobody wants.
Task<void> Session::linger() {
    stream_.shutdown_write();
    for (size_t dropped = 0; dropped < kMaxLinger;) {
        auto input = co_await stream_.peek(Millis(1000));
        if (!input) co_return;
        dropped += input->size();
        stream_.consume(input->size());
    }
}

Task<void> Session::serve() {
    discard_keywords_ = service_.discard_keywords;
    if (!runtime_.tables->discard_keywords.empty()) {
        auto found = runtime_.tables->discard_keywords.find(c_.client.address);
        if (found && *found) {
            std::vector<std::string> words;
            std::string_view rest = **found;
            while (!rest.empty()) {
                const size_t end = rest.find_first_of(", \t");
                if (end != 0) words.emplace_back(rest.substr(0, end));
                rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
            }
            discard_keywords_ = parse_keywords(words);
        }
    }
    if (service_.wrapper_mode) {
        if (!runtime_.tls) {
            log_warning("smtpd_tls_wrappermode: no TLS certificate");
            co_return;
        }
        const bool started = co_await start_tls();
        if (!started) co_return;
    }
    const bool admitted = co_await admit();
    if (!admitted) co_return;
    for (;;) {
        const bool more = co_await next_command();
        if (!more) co_return;
    }
}

Task<bool> Session::admit() {
    if (limited()) {
        auto& counters = worker_.counters();
        const auto& limits = service_.limits;
        if (limits.connection_count > 0) {
            counted_ = true;
            const int open = counters.connect(worker_.index(), service_.name, c_.client.address);
            if (open > limits.connection_count) {
                reply(421, "4.7.0", service_.my_hostname + " Error: too many connections from " + c_.client.address);
                log_warning(fmt::format("Connection concurrency limit exceeded: {} from {} for service {}", open,
                                        c_.client.name_address(), service_.name));
                co_return false;
            }
        }
        if (limits.connection_rate > 0) {
            const int rate =
                counters.count(ClientCounters::Event::kConnection, service_.name, c_.client.address, limits.rate_unit);
            if (rate > limits.connection_rate) {
                reply(421, "4.7.0", service_.my_hostname + " Error: too many connections from " + c_.client.address);
                log_warning(fmt::format("Connection rate limit exceeded: {} from {} for service {}", rate,
                                        c_.client.name_address(), service_.name));
                co_return false;
            }
        }
    }
    if (!service_.delay_reject) {
        auto v = co_await runtime_.restrictions->at_connect(c_);
        if (v.refused()) {
            log_refusal(c_, "reject", "CONNECT", v);
            access_denied_ = true;
            reply(554, "", service_.my_hostname + " ESMTP not accepting connections");
            co_return true;   // RFC 5321 §3.1: the client may still QUIT
        }
    }
    reply(220, "", service_.banner);
    co_return true;
}

// One command, or the end of the session.
Task<bool> Session::next_command() {
    if (errors_ >= service_.limits.hard_errors) {
        reply(421, "4.7.0", service_.my_hostname + " Error: too many errors");
        end_ = End::kTooManyErrors;
        log_info("too many errors after " + where_ + " from " + c_.client.name_address());
        co_return false;
    }
    // The reply to an erring client waits; nobody else does.
    if (last_reply_was_error_ && errors_ > service_.limits.soft_errors) {
        auto slept = co_await sleep_for(service_.limits.error_sleep);
        if (!slept) {
            lost(slept.error());
            co_return false;
        }
    }
    last_reply_was_error_ = false;

    // The longest line is an AUTH command with its initial response (RFC 4954 §4).
    const size_t longest = std::max(service_.limits.line_length, service_.limits.sasl_response + 32);
    auto reading = stream_.read_line(longest);
    if (!c_.in_transaction) reading.with_cancel(worker_.drain());
    auto line = co_await reading;
    if (!line) {
        if (line.error().code == EMSGSIZE) {
            log_warning(c_.client.name_address() + fmt::format(": request longer than {}: ", longest) +
                        printable(stream_.buffered(), 30) + "...");
            auto skipped = co_await stream_.skip_line(kMaxSkippedLine);
            if (!skipped) {
                lost(skipped.error());
                co_return false;
            }
            ++counts_[static_cast<size_t>(smtp::Verb::kUnknown)].total;
            where_ = "UNKNOWN";
            reply(500, "5.5.2", "Error: line too long");   // RFC 5321 §4.5.3.1.9
            co_return true;
        }
        lost(line.error());
        co_return false;
    }
    if (service_.bare_newline == smtp::BareNewline::kReject && line->bare_lf &&
        !client_in(runtime_.tables->bare_newline_exclusions)) {
        reply(service_.bare_newline_code, "5.5.2", "Error: bare <LF> received");
        log_info("disconnect: bare <LF> received after " + where_ + " from " + c_.client.name_address());
        co_return false;
    }
    const std::string text(line->text);   // the buffer may move under the command
    co_await dispatch(text);
    co_return end_ == End::kNone;
}

void Session::lost(const Error& error) {
    std::string where = where_;
    if (message_ && where_ == "DATA") where += fmt::format(" ({} bytes)", message_->wire_octets());
    if (error.code == ETIMEDOUT) {
        end_ = End::kTimeout;
        reply(421, "4.4.2", service_.my_hostname + " Error: timeout exceeded");
        log_info("timeout after " + where + " from " + c_.client.name_address());
    } else if (error.code == ECANCELED) {
        end_ = End::kShutdown;
        reply(421, "4.3.2", service_.my_hostname + " Service shutting down");   // RFC 5321 §3.8
    } else {
        end_ = End::kLost;
        log_info("lost connection after " + where + " from " + c_.client.name_address());
    }
}

Task<void> Session::dispatch(std::string_view line) {
    auto command = smtp::split_command(line);
    if (command.word.empty()) {
        reply(500, "5.5.2", "Error: bad syntax");
        co_return;
    }
    auto& count = counts_[static_cast<size_t>(command.verb)];
    ++count.total;
    where_ = command.verb == smtp::Verb::kUnknown ? "UNKNOWN" : smtp::upper(smtp::verb_name(command.verb));
    const int before = errors_;

    // Commands that get nothing done are counted as errors past a limit.
    switch (command.verb) {
        case smtp::Verb::kHelo:
        case smtp::Verb::kEhlo:
        case smtp::Verb::kLhlo:
        case smtp::Verb::kRset:
        case smtp::Verb::kNoop:
        case smtp::Verb::kVrfy:
        case smtp::Verb::kEtrn:
        case smtp::Verb::kHelp:
            if (junk_++ >= service_.limits.junk_commands) ++errors_;
            break;
        default: break;
    }
    const int junk_errors = errors_ - before;
    if (out_of_step(command)) co_return;
    if (!refuse_early(command)) co_await obey(command);
    if (errors_ <= before + junk_errors) ++count.good;   // fewer: a message was taken, and they start again
}

// RFC 2920 §3.1: EHLO, DATA, VRFY, NOOP and the like end a group of pipelined commands; a client that sends more behind them does not wait
// for our answers, as spam engines do.
bool Session::out_of_step(const smtp::CommandLine& command) {
    if (service_.stand_alone || c_.pipelined || stream_.buffered().empty()) return false;
    switch (command.verb) {
        case smtp::Verb::kHelo:
        case smtp::Verb::kEhlo:
        case smtp::Verb::kLhlo:
        case smtp::Verb::kNoop:
        case smtp::Verb::kVrfy:
        case smtp::Verb::kData: break;
        default: return false;
    }
    c_.pipelined = true;
    std::string shown;
    for (char c : stream_.buffered().substr(0, 100)) {
        if (c == '\r') {
            shown += "\\r";
        } else if (c == '\n') {
            shown += "\\n";
        } else {
            shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
        }
    }
    log_info("improper command pipelining after " + where_ + " from " + c_.client.name_address() + ": " + shown);
    if (!service_.forbid_unauth_pipelining) return false;
    reply(554, "5.5.0", "Error: SMTP protocol synchronization");
    end_ = End::kHangUp;
    return true;
}

// What is refused whatever the verb would say. True: answered.
bool Session::refuse_early(const smtp::CommandLine& command) {
    const auto verb = command.verb;
    const auto word = smtp::upper(command.word);
    if (service_.forbidden_commands.count(word) ||
        (verb == smtp::Verb::kUnknown && (!smtp::is_alpha(command.word.front()) || command.word.ends_with(':')))) {
        log_warning("non-SMTP command from " + c_.client.name_address() + ": " + printable(command.word, 30) + ' ' +
                    printable(command.arguments, 100));
        ++errors_;   // not done, whatever the code says
        reply(221, "2.7.0", "Error: I can break rules, too. Goodbye.");
        end_ = End::kHangUp;
        return true;
    }
    if (access_denied_ && verb != smtp::Verb::kQuit) {
        reply(503, "5.7.0", "Error: access denied for " + c_.client.name_address());
        return true;
    }
    if (service_.noop_commands.count(word)) {
        reply(250, "2.0.0", "Ok");
        return true;
    }
    if (service_.tls_level == TlsLevel::kEncrypt && !stream_.tls()) {
        switch (verb) {   // RFC 3207 §4
            case smtp::Verb::kHelo:
            case smtp::Verb::kEhlo:
            case smtp::Verb::kLhlo:
            case smtp::Verb::kNoop:
            case smtp::Verb::kQuit:
            case smtp::Verb::kStartTls: break;
            default: reply(530, "5.7.0", "Must issue a STARTTLS command first"); return true;
        }
    }
    return false;
}

Task<void> Session::obey(smtp::CommandLine command) {
    const auto arguments = command.arguments;
    switch (command.verb) {
        case smtp::Verb::kHelo:
        case smtp::Verb::kEhlo:
        case smtp::Verb::kLhlo: co_await on_helo(command); break;
        case smtp::Verb::kMail: co_await on_mail(arguments); break;
        case smtp::Verb::kRcpt: co_await on_rcpt(arguments); break;
        case smtp::Verb::kData: co_await on_data(arguments); break;
        case smtp::Verb::kBdat: co_await on_bdat(arguments); break;
        case smtp::Verb::kAuth: co_await on_auth(arguments); break;
        case smtp::Verb::kStartTls: co_await on_start_tls(arguments); break;
        case smtp::Verb::kVrfy: co_await on_vrfy(arguments); break;
        case smtp::Verb::kEtrn: co_await on_etrn(arguments); break;
        case smtp::Verb::kRset: on_rset(arguments); break;
        case smtp::Verb::kNoop: reply(250, "2.0.0", "Ok"); break;
        case smtp::Verb::kHelp: on_help(); break;
        case smtp::Verb::kQuit: on_quit(arguments); break;
        default: on_unknown(command); break;
    }
}

void Session::reply(int code, std::string_view enhanced, std::string_view text) {
    if (code >= 400) {
        ++errors_;
        last_reply_was_error_ = true;
    }
    if (code >= 400 && !service_.reject_footer.empty()) {
        smtp::Reply whole;
        whole.code = code;
        whole.enhanced = enhanced;
        whole.lines = {std::string(text), service_.reject_footer};
        stream_.put(smtp::format_reply(whole));
        return;
    }
    stream_.put(smtp::format_reply(code, enhanced, text));
}

void Session::reply_lines(int code, const std::vector<std::string>& lines) {
    smtp::Reply whole;
    whole.code = code;
    whole.lines = lines;
    stream_.put(smtp::format_reply(whole));
}

void Session::refuse(std::string_view verb, const Verdict& v) {
    log_refusal(c_, "reject", verb, v);
    reply(v.code, v.enhanced, v.text);
}

void Session::refuse(std::string_view verb, const Error& error) {
    log_refusal(c_, verb, error);
    reply(error);
}

void Session::reset_transaction() {
    c_.in_transaction = false;
    c_.sender.clear();
    c_.mail = {};
    c_.recipient.clear();
    c_.recipient_count = 0;
    c_.queue_id.clear();
    c_.size = 0;
    c_.effects = {};
    recipients_.clear();
    message_.reset();
    bdat_active_ = bdat_failed_ = false;
    overshoot_ = 0;
}

void Session::log_disconnect() {
    // In the order of Postfix's command table.
    static constexpr smtp::Verb kOrder[] = {
        smtp::Verb::kHelo, smtp::Verb::kEhlo,    smtp::Verb::kLhlo,    smtp::Verb::kStartTls, smtp::Verb::kAuth,
        smtp::Verb::kMail, smtp::Verb::kRcpt,    smtp::Verb::kData,    smtp::Verb::kBdat,     smtp::Verb::kRset,
        smtp::Verb::kNoop, smtp::Verb::kVrfy,    smtp::Verb::kExpn,    smtp::Verb::kHelp,     smtp::Verb::kEtrn,
        smtp::Verb::kQuit, smtp::Verb::kXclient, smtp::Verb::kXforward};
    std::string line = "disconnect from " + c_.client.name_address();
    Count all;
    Count unknown;
    std::array<bool, smtp::kVerbCount> shown{};
    auto add = [&line](std::string_view name, const Count& count) {
        line += fmt::format(" {}={}", name, count.good);
        if (count.good != count.total) line += fmt::format("/{}", count.total);
    };
    for (auto verb : kOrder) {
        const auto& count = counts_[static_cast<size_t>(verb)];
        shown[static_cast<size_t>(verb)] = true;
        if (count.total == 0) continue;
        add(smtp::verb_name(verb), count);
        all.good += count.good;
        all.total += count.total;
    }
    for (size_t i = 0; i < counts_.size(); ++i) {
        if (shown[i]) continue;
        unknown.good += counts_[i].good;
        unknown.total += counts_[i].total;
    }
    if (unknown.total > 0) add("unknown", unknown);
    all.good += unknown.good;
    all.total += unknown.total;
    add("commands", all);
    log_info(line);
}

}   // namespace postcot::smtpd

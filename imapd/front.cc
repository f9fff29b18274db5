#include "imapd/front.h"

#include "imapd/capability.h"
#include "libproto/imap/command.h"
#include "libproto/imap/reader.h"
#include "libproto/imap/response.h"
#include "libproto/sasl/base64.h"

namespace postcot::imapd {

namespace {

constexpr size_t kMaxCommand = 64 * 1024;   // RFC 2971 §3.3: ID may hold 30 values of 1024 octets, before login, too
constexpr size_t kMaxResponse = 8192;       // a SASL response line
constexpr int kMaxBadCommands = 3;

class BeforeLogin {
  public:
    explicit BeforeLogin(login::FrontClient& client) : client_(client), reader_(limits()) {}

    Task<void> run() {
        client_.stream().put("* OK [CAPABILITY " + capability_before_login(client_) + "] " + client_.greeting() +
                             "\r\n");
        while (!ended_) {
            bool got = co_await next_command();
            if (!got) break;
        }
    }

  private:
    static imap::CommandReader::Limits limits() {
        imap::CommandReader::Limits out;
        out.max_command = kMaxCommand;
        out.append_streams = false;
        return out;
    }
    void put(const std::string& text) { client_.stream().put(text); }
    void bad(const std::string& tag, const std::string& text) {
        put(imap::tagged(tag.empty() ? "*" : tag, "BAD", {}, text));
        if (++bad_commands_ < kMaxBadCommands) return;
        put("* BYE Too many invalid IMAP commands.\r\n");
        client_.end_reason("Disconnected: Too many invalid commands");
        ended_ = true;
    }

    // One command read and answered; false when the client is gone or out of time.
    Task<bool> next_command() {
        using Event = imap::CommandReader::Event;
        for (;;) {
            auto view = co_await client_.stream().peek(client_.time_left());
            if (!view) {
                if (view.error().code == ETIMEDOUT)
                    put("* BYE Disconnected for inactivity.\r\n");
                else if (view.error().code == ECANCELED)
                    put("* BYE Server shutting down.\r\n");
                co_return false;
            }
            std::string_view in = *view;
            Event event = reader_.feed(in);
            client_.stream().consume(view->size() - in.size());
            if (event == Event::kNeedMore) continue;
            if (event == Event::kContinue) {
                put("+ OK\r\n");
                continue;
            }
            if (event == Event::kRefused) {
                bad(imap::parse_request(reader_.text()).tag, "Error in IMAP command: " + reader_.refusal() + ".");
                co_return true;
            }
            break;
        }
        imap::Request request = imap::parse_request(reader_.text());
        if (!request.command) {
            std::string verb = request.verb.empty() ? std::string("IMAP command") : "IMAP command " + request.verb;
            bad(request.tag, "Error in " + verb + ": " + request.command.error().text + ".");
            co_return true;
        }
        co_await answer(request);
        co_return true;
    }

    Task<void> answer(imap::Request& request) {
        const std::string& tag = request.tag;
        auto& command = *request.command;
        if (std::holds_alternative<imap::Capability>(command)) {
            put("* CAPABILITY " + capability_before_login(client_) + "\r\n");
            put(imap::tagged(tag, "OK", {}, "Pre-login capabilities listed, post-login capabilities have more."));
        } else if (std::holds_alternative<imap::Noop>(command)) {
            put(imap::tagged(tag, "OK", {}, "NOOP completed."));
        } else if (std::holds_alternative<imap::Id>(command)) {
            put("* ID (\"name\" \"Postcot\")\r\n");
            put(imap::tagged(tag, "OK", {}, "ID completed."));
        } else if (std::holds_alternative<imap::Logout>(command)) {
            put("* BYE Logging out\r\n");
            put(imap::tagged(tag, "OK", {}, "Logout completed."));
            client_.end_reason("Aborted login by logging out");
            ended_ = true;
        } else if (std::holds_alternative<imap::StartTls>(command)) {
            co_await start_tls(tag);
        } else if (auto* login = std::get_if<imap::Login>(&command)) {
            auto outcome = co_await client_.login(std::move(login->user), std::move(login->password), tag);
            finish(tag, outcome);
        } else if (auto* authenticate = std::get_if<imap::Authenticate>(&command)) {
            login::Challenger challenger = [this](std::string challenge) {
                return challenge_client(std::move(challenge));
            };
            auto outcome =
                co_await client_.authenticate(authenticate->mechanism, authenticate->initial, challenger, tag);
            finish(tag, outcome);
        } else {
            bad(tag, "Error in IMAP command " + request.verb + ": Please log in first.");
        }
    }

    Task<void> start_tls(const std::string& tag) {
        if (!client_.starttls_available()) {
            bad(tag, client_.tls() ? "TLS is already active." : "TLS support isn't enabled.");
            co_return;
        }
        put(imap::tagged(tag, "OK", {}, "Begin TLS negotiation now."));
        bool shaken = co_await client_.start_tls();
        if (!shaken) ended_ = true;
    }

    // RFC 3501 §6.2.2: "+ base64"; the answer is one line.
    Task<Expected<std::string>> challenge_client(std::string challenge) {
        put("+ " + sasl::base64_encode(challenge) + "\r\n");
        auto line = co_await client_.stream().read_line(kMaxResponse, client_.time_left());
        if (!line) co_return fail(line.error());
        co_return std::string(line->text);
    }

    void finish(const std::string& tag, const login::LoginOutcome& outcome) {
        using Kind = login::LoginOutcome::Kind;
        switch (outcome.kind) {
            case Kind::kLoggedIn:
            case Kind::kLost: ended_ = true; break;
            case Kind::kBadBase64:
            case Kind::kCancelled: put(imap::tagged(tag, "BAD", {}, outcome.text)); break;
            case Kind::kDisallowed:
                put("* BAD [ALERT] Plaintext authentication not allowed without SSL/TLS, but your client did it "
                    "anyway. "
                    "If anyone was listening, the password was exposed.\r\n");
                put(imap::tagged(tag, "NO", outcome.code, outcome.text));
                break;
            default: put(imap::tagged(tag, "NO", outcome.code, outcome.text)); break;
        }
    }

    login::FrontClient& client_;
    imap::CommandReader reader_;
    int bad_commands_ = 0;
    bool ended_ = false;
};

}   // namespace

Task<void> before_login(login::FrontClient& client) {
    BeforeLogin conversation(client);
    co_await conversation.run();
}

}   // namespace postcot::imapd

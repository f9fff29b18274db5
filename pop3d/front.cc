#include "pop3d/front.h"

#include "libproto/pop3/command.h"
#include "libproto/pop3/response.h"
#include "libproto/sasl/base64.h"
#include "pop3d/capability.h"

namespace postcot::pop3d {

namespace {

constexpr int kMaxBadCommands = 10;   // Dovecot's CLIENT_MAX_BAD_COMMANDS

class BeforeLogin {
  public:
    explicit BeforeLogin(login::FrontClient& client) : client_(client) {}

    Task<void> run() {
        put(pop3::ok(client_.greeting()));
        while (!ended_) {
            auto line = co_await client_.stream().read_line(pop3::kMaxResponseLine, client_.time_left());
            if (!line) {
                if (line.error().code == ETIMEDOUT) put(pop3::err("Disconnected for inactivity."));
                if (line.error().code == ECANCELED) put(pop3::err("Server shutting down.", "SYS/TEMP"));
                if (line.error().code == EMSGSIZE) put(pop3::err("Input line too long."));
                co_return;
            }
            std::string text(line->text);
            auto command = pop3::parse_command(text);
            if (!command) {
                bad(command.error().text.starts_with("Unknown command") ? "Unknown command." : command.error().text);
                continue;
            }
            co_await answer(*command);
        }
    }

  private:
    void put(const std::string& text) { client_.stream().put(text); }

    void bad(const std::string& text) {
        if (++bad_commands_ < kMaxBadCommands) return put(pop3::err(text));
        put(pop3::err("Too many invalid commands."));
        client_.end_reason("Disconnected: Too many invalid commands");
        ended_ = true;
    }

    Task<void> answer(pop3::Command& command) {
        if (std::holds_alternative<pop3::Capa>(command)) {
            put(capabilities_before_login(client_));
        } else if (std::holds_alternative<pop3::Quit>(command)) {
            put(pop3::ok("Logging out"));
            client_.end_reason("Aborted login by logging out");
            ended_ = true;
        } else if (std::holds_alternative<pop3::Stls>(command)) {
            co_await start_tls();
        } else if (auto* user = std::get_if<pop3::User>(&command)) {
            if (client_.plaintext_disabled()) {
                put(pop3::err("Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", "AUTH"));
            } else {
                user_ = std::move(user->name);
                put(pop3::ok());
            }
        } else if (auto* pass = std::get_if<pop3::Pass>(&command)) {
            if (user_.empty()) {
                put(pop3::err("No username given."));
                co_return;
            }
            std::string name = std::exchange(user_, std::string());
            auto outcome = co_await client_.login(std::move(name), std::move(pass->password), std::string());
            finish(outcome);
        } else if (auto* auth = std::get_if<pop3::Auth>(&command)) {
            if (auth->mechanism.empty()) {
                std::string list = pop3::ok();
                for (const std::string& mechanism : client_.mechanisms()) list += mechanism + "\r\n";
                put(list + ".\r\n");
                co_return;
            }
            login::Challenger challenger = [this](std::string challenge) {
                return challenge_client(std::move(challenge));
            };
            auto outcome = co_await client_.authenticate(auth->mechanism, auth->initial, challenger, std::string());
            finish(outcome);
        } else {
            bad("Unknown command.");
        }
    }

    // RFC 2595 §4.
    Task<void> start_tls() {
        if (!client_.starttls_available()) {
            bad(client_.tls() ? "TLS is already active." : "TLS support isn't enabled.");
            co_return;
        }
        user_.clear();
        put(pop3::ok("Begin TLS negotiation now."));
        bool shaken = co_await client_.start_tls();
        if (!shaken) ended_ = true;
    }

    // RFC 5034 §4.
    Task<Expected<std::string>> challenge_client(std::string challenge) {
        put("+ " + sasl::base64_encode(challenge) + "\r\n");
        auto line = co_await client_.stream().read_line(pop3::kMaxResponseLine, client_.time_left());
        if (!line) co_return fail(line.error());
        co_return std::string(line->text);
    }

    // RFC 3206: [AUTH] the credentials are wrong; [SYS/TEMP] try the same again later.
    void finish(const login::LoginOutcome& outcome) {
        using Kind = login::LoginOutcome::Kind;
        switch (outcome.kind) {
            case Kind::kLoggedIn:
            case Kind::kLost: ended_ = true; break;
            case Kind::kUnavailable: put(pop3::err(outcome.text, "SYS/TEMP")); break;
            case Kind::kFailed:
                put(pop3::err(outcome.text, outcome.code == "LIMIT" || outcome.code == "INUSE" ? "IN-USE"
                                            : outcome.code == "CONTACTADMIN"                   ? "SYS/PERM"
                                                                                               : "AUTH"));
                break;
            case Kind::kDisallowed:
            case Kind::kUnsupported: put(pop3::err(outcome.text, "AUTH")); break;
            case Kind::kCancelled:
            case Kind::kBadBase64: put(pop3::err(outcome.text)); break;
        }
    }

    login::FrontClient& client_;
    std::string user_;
    int bad_commands_ = 0;
    bool ended_ = false;
};

}   // namespace

Task<void> before_login(login::FrontClient& client) {
    BeforeLogin conversation(client);
    co_await conversation.run();
}

}   // namespace postcot::pop3d

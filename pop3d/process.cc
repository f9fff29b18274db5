#include "pop3d/process.h"

#include "libmaildir/options.h"
#include "libproto/login/user_log.h"
#include "libproto/pop3/response.h"
#include "pop3d/maildrop.h"
#include "pop3d/transaction.h"

namespace postcot::pop3d {

namespace {

class Process final : public login::SessionProcess {
  public:
    explicit Process(const config::DovecotConf& conf) : settings_(conf) {}

    Task<void> serve(login::LoggedIn facts) override {
        std::string prefix = facts.log_prefix("pop3");
        Stream client(std::move(facts.fd), std::move(facts.unread));
        auto drop = co_await open(facts);
        if (!drop) {
            bool in_use = drop.error().enhanced == "INUSE";
            login::user_log(prefix, log::Level::kError, "Couldn't open INBOX: " + drop.error().text);
            // RFC 3206: SYS/PERM where what is configured for this user is not served: trying again does not help.
            bool unavailable = drop.error().enhanced == "UNAVAILABLE";
            client.put(in_use ? pop3::err("Maildrop is locked by another session.", "IN-USE")
                              : pop3::err("Internal error occurred. Refer to server log for more information.",
                                          unavailable ? "SYS/PERM" : "SYS/TEMP"));
            (void)co_await client.flush(Millis(5000));
            co_return;
        }
        client.put(pop3::ok("Logged in."));
        Transaction transaction(client, **drop, settings_);
        Departure departure = co_await transaction.run();
        Maildrop& maildrop = **drop;
        // RFC 1939 §6: only QUIT enters the UPDATE state. What was read is marked either way.
        auto update = [&maildrop, quit = departure.quit] { return maildrop.update(quit); };
        auto updated = co_await blocking(update);
        if (!updated) login::user_log(prefix, log::Level::kError, "Couldn't update INBOX: " + updated.error().text);
        if (departure.quit) {
            if (!updated)
                client.put(pop3::err("Logging out, but some messages weren't deleted.", "SYS/TEMP"));
            else
                client.put(pop3::ok(maildrop.deletions() > 0 ? "Logging out, messages deleted." : "Logging out."));
        }
        (void)co_await client.flush(Millis(5000));
        Statistics statistics = transaction.statistics();
        statistics.deleted = departure.quit && updated ? maildrop.deletions() : 0;
        statistics.octets_in = client.bytes_in();
        statistics.octets_out = client.bytes_out();
        login::user_log(prefix, log::Level::kInfo,
                        "Disconnected: " + departure.reason + " " + statistics.format(settings_.logout_format));
    }

  private:
    Task<Expected<std::unique_ptr<Maildrop>>> open(const login::LoggedIn& facts) {
        maildir::UserVariables variables;
        variables.user = facts.user;
        variables.home = facts.home;
        auto options = maildir::store_options(settings_.conf, "pop3", variables, facts.mail);
        if (!options) co_return fail(options.error());
        auto work = [this, &options] { return Maildrop::open(settings_, std::move(*options)); };
        co_return co_await blocking(work);
    }

    Settings settings_;
};

}   // namespace

std::unique_ptr<login::SessionProcess> make_session_process(const config::DovecotConf& conf) {
    return std::make_unique<Process>(conf);
}

}   // namespace postcot::pop3d

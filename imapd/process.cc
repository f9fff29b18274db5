#include "imapd/process.h"

#include <map>

#include "imapd/owner.h"
#include "imapd/session.h"
#include "imapd/settings.h"
#include "imapd/watcher.h"
#include "libmaildir/options.h"
#include "libproto/imap/response.h"
#include "libproto/login/user_log.h"

namespace postcot::imapd {

namespace {

constexpr std::chrono::seconds kKeepStore{60};   // after an owner's last connection

class Process final : public login::SessionProcess {
  public:
    explicit Process(const config::DovecotConf& conf) : settings_(conf), watcher_(scope_) {
        Loop::current().every(Millis(15'000), [this] { sweep(); });
    }

    Task<void> serve(login::LoggedIn facts) override {
        std::string prefix = facts.log_prefix("imap");
        auto owner = co_await owner_of(facts);
        if (!owner) {
            login::user_log(prefix, log::Level::kError, owner.error().text);
            Stream stream(std::move(facts.fd));
            // RFC 5530 §3: UNAVAILABLE where what is configured for this user is not served, SERVERBUG for the rest.
            bool unavailable = owner.error().enhanced == "UNAVAILABLE";
            stream.put(imap::tagged(facts.payload, "NO", unavailable ? "UNAVAILABLE" : "SERVERBUG",
                                    "Internal error occurred. Refer to server log for more information."));
            stream.put("* BYE Internal error occurred. Refer to server log for more information.\r\n");
            (void)co_await stream.flush(Millis(5000));
            co_return;
        }
        try {
            Session session(*owner, watcher_, settings_, std::move(facts));
            co_await session.run();
        } catch (const std::exception& bug) {
            login::user_log(prefix, log::Level::kPanic, bug.what());
        }
    }

    Task<void> finish() override {
        scope_.cancel();
        co_await scope_.join();
        owners_.clear();
    }

  private:
    Task<Expected<std::shared_ptr<Owner>>> owner_of(const login::LoggedIn& facts) {
        std::string key = facts.user + '\0' + facts.home + '\0' + facts.mail;
        auto guard = co_await opening_.lock();
        auto found = owners_.find(key);
        if (found != owners_.end()) co_return found->second;
        maildir::UserVariables variables;
        variables.user = facts.user;
        variables.home = facts.home;
        auto options = maildir::store_options(settings_.conf, "imap", variables, facts.mail);
        if (!options) co_return fail(options.error());
        auto open = [&] { return maildir::MailStore::open(*options); };
        auto store = co_await blocking(open);
        if (!store) co_return fail(store.error());
        auto owner = std::make_shared<Owner>(std::move(*store));   // shared by its sessions and this table
        owners_[key] = owner;
        co_return owner;
    }

    void sweep() {
        auto before = std::chrono::steady_clock::now() - kKeepStore;
        for (auto it = owners_.begin(); it != owners_.end();) {
            if (it->second->idle_since(before))
                it = owners_.erase(it);
            else
                ++it;
        }
    }

    Settings settings_;
    Scope scope_;
    Watcher watcher_;
    Mutex opening_;
    std::map<std::string, std::shared_ptr<Owner>> owners_;
};

}   // namespace

std::unique_ptr<login::SessionProcess> make_session_process(const config::DovecotConf& conf) {
    return std::make_unique<Process>(conf);
}

}   // namespace postcot::imapd

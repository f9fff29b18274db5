// A session on a socket pair over a real Maildir in a temporary folder.
#pragma once

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "imapd/owner.h"
#include "imapd/session.h"
#include "imapd/settings.h"
#include "imapd/watcher.h"
#include "libmaildir/options.h"
#include "libproto/runtime/net.h"
#include "tests/unit/catch.h"

namespace postcot::imapd {

class TestServer {
  public:
    TestServer() : settings_(*config::DovecotConf::parse("", "dovecot.conf")), watcher_(scope_) {
        char name[] = "/tmp/imapd_test.XXXXXX";
        folder_ = mkdtemp(name);
        maildir::UserVariables variables;
        variables.user = "bob";
        variables.home = folder_;
        auto options = maildir::store_options(settings_.conf, "imap", variables, "maildir:" + folder_ + "/Maildir");
        REQUIRE(options);
        auto store = maildir::MailStore::open(*options);
        INFO((store ? std::string() : store.error().text));
        REQUIRE(store);
        owner_ = std::make_shared<Owner>(std::move(*store));
    }
    ~TestServer() {
        scope_.cancel();
        loop_.run_until_complete(scope_.join());
        owner_.reset();
        std::filesystem::remove_all(folder_);
    }

    // Sends everything at once, as a pipelining client may, and gives back everything that was answered. LOGOUT is
    // added.
    std::string talk(const std::string& commands) {
        auto pair = socket_pair();
        REQUIRE(pair);
        std::string all = commands + "zz LOGOUT\r\n";
        REQUIRE(write(pair->second.get(), all.data(), all.size()) == static_cast<ssize_t>(all.size()));
        loop_.run_until_complete(serve(std::move(pair->first)));
        std::string out;
        char piece[65536];
        ssize_t n;
        while ((n = read(pair->second.get(), piece, sizeof piece)) > 0) out.append(piece, static_cast<size_t>(n));
        return out;
    }
    // A client on the same loop, for tests in which several sessions talk in turn.
    class Client {
      public:
        explicit Client(UniqueFd fd) : stream_(std::move(fd)) {}
        // Everything up to the tagged answer.
        Task<std::string> say(std::string command) {
            std::string tag = "t" + std::to_string(++number_);
            stream_.put(tag + " " + command + "\r\n");
            co_return co_await until(tag + " ");
        }
        void send(std::string text) { stream_.put(text); }
        // Lines up to and with the one that begins with `start`; what a read finds wrong ends it too.
        Task<std::string> until(std::string start) {
            std::string out;
            for (;;) {
                auto line = co_await stream_.read_line(1 << 20, Millis(5000));
                if (!line) co_return out + "<" + line.error().text + ">";
                out += line->text;
                out += "\r\n";
                if (line->text.starts_with(start)) co_return out;
            }
        }
        Task<void> flush() { (void)co_await stream_.flush(); }

      private:
        Stream stream_;
        int number_ = 0;
    };
    // A session and its client. The session ends when the client goes; run() waits for it.
    std::unique_ptr<Client> connect() {
        auto pair = socket_pair();
        REQUIRE(pair);
        sessions_.spawn(serve(std::move(pair->first)));
        return std::make_unique<Client>(std::move(pair->second));
    }
    void run(Task<void> script) {
        loop_.run_until_complete(std::move(script));
        loop_.run_until_complete(sessions_.join());
    }

    static std::string append(const std::string& tag, const std::string& arguments, const std::string& message) {
        return tag + " APPEND " + arguments + " {" + std::to_string(message.size()) + "+}\r\n" + message + "\r\n";
    }

  private:
    Task<void> serve(UniqueFd fd) {
        login::LoggedIn facts;
        facts.user = "bob";
        facts.payload = "login";
        facts.session_id = "s";
        facts.fd = std::move(fd);
        Session session(owner_, watcher_, settings_, std::move(facts));
        co_await session.run();
    }

    Loop loop_;
    Settings settings_;
    Scope scope_;
    Scope sessions_;
    Watcher watcher_;
    std::string folder_;
    std::shared_ptr<Owner> owner_;
};

}   // namespace postcot::imapd

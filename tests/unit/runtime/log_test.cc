#include "libproto/runtime/log.h"

#include <unistd.h>

#include <algorithm>
#include <functional>

#include "libproto/runtime/files.h"
#include "tests/unit/catch.h"

using namespace postcot;

namespace {
std::string logged(log::Options options, const std::function<void()>& write) {
    std::string path = "/tmp/postcot-log-" + std::to_string(::getpid());
    options.destination = {log::Destination::Kind::kFile, path};
    log::open(options);
    write();
    auto text = read_file(Files::disk(), path);
    ::unlink(path.c_str());
    log::open({});
    REQUIRE(text);
    return text->substr(std::min<size_t>(16, text->size()));   // without "Nov 24 08:15:56 "
}
}   // namespace

TEST_CASE("log lines have the shape of Postfix's and of Dovecot's") {
    log::Options postfix;
    postfix.ident = "postfix/smtpd";
    std::string line = logged(postfix, [] { log::warning("hello {}", 1); });
    std::string tail = " postfix/smtpd[" + std::to_string(::getpid()) + "]: warning: hello 1\n";
    CHECK((line.size() > tail.size() && line.ends_with(tail)));
    line = logged(postfix, [] { log::info_as("postfix/qmgr", "QID: removed"); });
    CHECK(line.ends_with(" postfix/qmgr[" + std::to_string(::getpid()) + "]: QID: removed\n"));

    log::Options dovecot;
    dovecot.ident = "dovecot";
    dovecot.dialect = log::Dialect::kDovecot;
    dovecot.prefix = "imap-login: ";
    CHECK(logged(dovecot, [] { log::info("Login: user=<a>"); }) == "imap-login: Info: Login: user=<a>\n");
    CHECK(logged(dovecot, [] { log::error("x"); }) == "imap-login: Error: x\n");
}

TEST_CASE("what a peer says cannot forge a log line") {
    log::Options options;
    options.dialect = log::Dialect::kDovecot;
    CHECK(logged(options, [] { log::info("a\r\nb\x1b[31m\x7f"); }) == "Info: a??b?[31m?\n");
    CHECK(logged(options, [] { log::info("{}", "\xc3\xa9 \xec\x95\x88 \xf0\x9f\x93\xa7"); }) ==
          "Info: \xc3\xa9 \xec\x95\x88 \xf0\x9f\x93\xa7\n");
    CHECK(logged(options, [] { log::info("{}", "\xff\xc3 \xc0\xaf \xed\xa0\x80 \xe2\x82"); }) ==
          "Info: ?? ?? ??? ??\n");
}

#include "queued/remote/line_folder.h"
#include "queued/remote/nexthop.h"
#include "queued/remote/routing.h"
#include "queued/remote/sasl.h"
#include "tests/unit/delivery/agent_under_test.h"
#include "tests/unit/delivery/fake_smtp.h"
#include "tests/unit/resolver/fake_dns.h"

using namespace postcot;
using namespace postcot::queued;

namespace {

constexpr const char* kMaster = "smtp unix - - n - - smtp\nlmtp unix - - n - - lmtp\n";
const std::string kMain =
    "myhostname = mx.example.com\nmail_owner = nobody\ninet_protocols = ipv4\ninet_interfaces = 127.0.0.1\n";

ipc::Deliver letter(const FakeSmtp& server) {
    auto job = AgentUnderTest::job("smtp", "a@far.example", "Subject: x\n\n.dot\nend");
    job.nexthop = server.nexthop();
    return job;
}

void add(ipc::Deliver& job, const std::string& address) {
    ipc::DeliverRecipient recipient;
    recipient.index = static_cast<uint32_t>(job.recipients.size());
    recipient.recipient.address = address;
    job.recipients.push_back(recipient);
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}   // namespace

TEST_CASE("nexthop: domain, port, brackets, inet:, unix:") {
    auto plain = parse_nexthop("Example.com", false, "smtp");
    CHECK(plain->kind == Nexthop::Kind::kDomain);
    CHECK(plain->port == 25);
    CHECK(plain->default_port);
    auto host = parse_nexthop("[mail.example.com]:submission", false, "smtp");
    CHECK(host->kind == Nexthop::Kind::kHost);
    CHECK(host->port == 587);
    CHECK(parse_nexthop("[IPv6:::1]:2525", false, "smtp")->host == "::1");
    CHECK(parse_nexthop("[::1]", false, "smtp")->host == "::1");
    CHECK(parse_nexthop("inet:127.0.0.1:24", true, "24")->port == 24);
    CHECK(parse_nexthop("unix:private/lmtp", true, "24")->kind == Nexthop::Kind::kUnix);
    CHECK(parse_nexthop("example.com", true, "24")->kind == Nexthop::Kind::kHost);
    for (const char* bad : {"", "[x", "[x]y", "x:", "x:nosuchport", "unix:", "[]"})
        CHECK_FALSE(parse_nexthop(bad, false, "smtp").has_value());
}

TEST_CASE("smtp_line_length_limit: long lines are folded, whatever the pieces") {
    for (size_t piece : {1u, 3u, 100u}) {
        LineFolder folder(5);
        std::string in = "abcdefghijkl\n12345\n", out;
        for (size_t at = 0; at < in.size(); at += piece) folder.feed(std::string_view(in).substr(at, piece), out);
        CHECK(out == "abcde\n fghi\n jkl\n12345\n");
    }
}

TEST_CASE("SASL: PLAIN, LOGIN and RFC 2195's CRAM-MD5 example; options and filter choose") {
    SaslSecret tim{"tim", "tanstaaftanstaaf"};
    SaslClient cram("CRAM-MD5", tim);
    CHECK_FALSE(cram.initial().has_value());
    CHECK(cram.step("<1896.697170952@postoffice.reston.mci.net>") == "tim b913a602c7eda7a495b4e6e7334d3890");
    CHECK_FALSE(cram.step("again").has_value());
    CHECK(SaslClient("PLAIN", tim).initial() == std::string("\0tim\0tanstaaftanstaaf", 21));
    SaslClient login("LOGIN", tim);
    CHECK(login.step("Username:") == "tim");
    CHECK(login.step("Password:") == "tanstaaftanstaaf");
    CHECK(choose_mechanism({"LOGIN", "PLAIN"}, {"noanonymous"}, {}) == "PLAIN");
    CHECK(choose_mechanism({"LOGIN", "PLAIN"}, {"noplaintext"}, {}).empty());
    CHECK(choose_mechanism({"LOGIN", "PLAIN", "CRAM-MD5"}, {}, {"!CRAM-MD5", "login"}) == "LOGIN");
    CHECK(parse_sasl_secret("u:p:q")->password == "p:q");
    CHECK_FALSE(parse_sasl_secret("nocolon").has_value());
}

TEST_CASE("smtp(8): a pipelined transaction, dots stuffed, DSN parameters passed on") {
    AgentUnderTest agent(run_remote_agent, kMain, kMaster);
    FakeSmtp server;
    server.start();
    auto job = letter(server);
    job.envid = "QQ+1";
    job.ret = ipc::Ret::kHeaders;
    job.body = ipc::BodyType::k8BitMime;
    job.recipients[0].recipient.notify = ipc::kNotifySuccess | ipc::kNotifyDelay;
    job.recipients[0].recipient.orcpt = "rfc822;b+c@d.example";
    auto result = agent.deliver(job);
    CHECK(result.outcome == ipc::Outcome::kSent);
    CHECK(result.text == "250 2.0.0 Ok: queued as FAKE1");
    CHECK(result.dsn == "2.0.0");
    CHECK(result.relay == "127.0.0.1[127.0.0.1]:" + server.nexthop().substr(12));
    CHECK(result.dsn_passed_on);
    CHECK(server.data() == "Subject: x\r\n\r\n..dot\r\nend\r\n");
    CHECK(contains(server.log(), "EHLO mx.example.com\n"));
    CHECK(contains(server.log(), "MAIL FROM:<sender@example.net> SIZE=20 BODY=8BITMIME ENVID=QQ+2B1 RET=HDRS\n"));
    CHECK(contains(server.log(), "RCPT TO:<a@far.example> ORCPT=rfc822;b+2Bc@d.example NOTIFY=SUCCESS,DELAY\n"));
}

TEST_CASE("smtp(8): each recipient has its own reply; EHLO falls back to HELO; no pipelining without the keyword") {
    AgentUnderTest agent(run_remote_agent, kMain, kMaster);
    FakeSmtp server;
    server.replies["EHLO"] = "502 5.5.1 never heard";
    server.replies["RCPT TO:<bad"] = "550 5.1.1 <bad@far.example>: no such user";
    server.replies["RCPT TO:<later"] = "450 try later";
    server.start();
    auto job = letter(server);
    add(job, "bad@far.example");
    add(job, "later@far.example");
    agent.send(job);
    auto delivered = agent.receive();
    REQUIRE(delivered.results.size() == 3);
    CHECK_FALSE(delivered.destination_failed);
    CHECK(delivered.results[0].outcome == ipc::Outcome::kSent);
    CHECK(delivered.results[0].relayed_without_dsn);
    CHECK(delivered.results[1].outcome == ipc::Outcome::kBounced);
    CHECK(delivered.results[1].dsn == "5.1.1");
    CHECK(delivered.results[1].text ==
          "host 127.0.0.1[127.0.0.1] said: 550 5.1.1 <bad@far.example>: no such user (in reply to RCPT TO command)");
    CHECK(delivered.results[1].diagnostic == "smtp; 550 5.1.1 <bad@far.example>: no such user");
    CHECK(delivered.results[1].remote_mta == "dns; 127.0.0.1");
    CHECK(delivered.results[2].outcome == ipc::Outcome::kDeferred);
    CHECK(delivered.results[2].dsn == "4.0.0");
    CHECK(contains(server.log(), "HELO mx.example.com\n"));
    CHECK(contains(server.log(), "MAIL FROM:<sender@example.net>\n"));
}

TEST_CASE("smtp(8): refusals at every stage are worded as Postfix words them") {
    AgentUnderTest agent(run_remote_agent, kMain, kMaster);
    struct Case {
        const char *command, *reply;
        ipc::Outcome outcome;
        const char *dsn, *text;
    };
    const Case cases[] = {
        {"GREETING", "554 no", ipc::Outcome::kDeferred, "4.0.0",
         "host 127.0.0.1[127.0.0.1] refused to talk to me: 554 no"},
        {"GREETING", "", ipc::Outcome::kDeferred, "4.4.2",
         "lost connection with 127.0.0.1[127.0.0.1] while receiving the initial server greeting"},
        {"GREETING", "hello", ipc::Outcome::kDeferred, "4.5.0", nullptr},
        {"EHLO", "421 4.3.2 closing", ipc::Outcome::kDeferred, "4.3.2",
         "host 127.0.0.1[127.0.0.1] refused to talk to me: 421 4.3.2 closing"},
        {"EHLO", "", ipc::Outcome::kDeferred, "4.4.2",
         "lost connection with 127.0.0.1[127.0.0.1] while performing the EHLO handshake"},
        {"MAIL", "550 5.7.1 no", ipc::Outcome::kBounced, "5.7.1",
         "host 127.0.0.1[127.0.0.1] said: 550 5.7.1 no (in reply to MAIL FROM command)"},
        {"MAIL", "", ipc::Outcome::kDeferred, "4.4.2",
         "lost connection with 127.0.0.1[127.0.0.1] while sending MAIL FROM"},
        {"RCPT", "552 5.2.2 too many", ipc::Outcome::kDeferred, "4.2.2",
         "host 127.0.0.1[127.0.0.1] said: 452 4.2.2 too many (in reply to RCPT TO command)"},
        {"RCPT", "", ipc::Outcome::kDeferred, "4.4.2",
         "lost connection with 127.0.0.1[127.0.0.1] while sending RCPT TO"},
        {"DATA", "451 4.3.0 no", ipc::Outcome::kDeferred, "4.3.0",
         "host 127.0.0.1[127.0.0.1] said: 451 4.3.0 no (in reply to DATA command)"},
        {".", "554 5.6.0 spam", ipc::Outcome::kBounced, "5.6.0",
         "host 127.0.0.1[127.0.0.1] said: 554 5.6.0 spam (in reply to end of DATA command)"},
        {".", "", ipc::Outcome::kDeferred, "4.4.2",
         "lost connection with 127.0.0.1[127.0.0.1] while sending end of data -- message may be sent more than once"},
    };
    for (const auto& one : cases) {
        for (bool pipelining : {true, false}) {
            FakeSmtp server;
            server.replies[one.command] = one.reply;
            if (!pipelining && std::string(one.command) != "EHLO") server.replies["EHLO"] = "250 fake.example";
            server.start();
            auto result = agent.deliver(letter(server));
            INFO(one.command << " " << one.reply << " " << result.text);
            CHECK(result.outcome == one.outcome);
            CHECK(result.dsn == one.dsn);
            if (one.text) CHECK(result.text == one.text);
        }
    }
    auto job = AgentUnderTest::job("smtp", "a@far.example", "\nx\n");
    {
        FakeSmtp gone;
        gone.start();
        job.nexthop = gone.nexthop();
    }
    auto result = agent.deliver(job);
    CHECK(result.text == "connect to 127.0.0.1[127.0.0.1]:" + job.nexthop.substr(12) + ": Connection refused");
    CHECK(result.dsn == "4.4.1");
    CHECK(result.relay == "none");
}

TEST_CASE("smtp(8): SIZE and SMTPUTF8 limits of the server are kept") {
    AgentUnderTest agent(run_remote_agent, kMain, kMaster);
    FakeSmtp server;
    server.replies["EHLO"] = "250-fake.example\r\n250 SIZE 10";
    server.start();
    auto result = agent.deliver(letter(server));
    CHECK(result.dsn == "5.3.4");
    CHECK(contains(result.text, "message size 20 exceeds size limit 10 of server"));
    FakeSmtp old;
    old.replies["EHLO"] = "250 fake.example";
    old.start();
    auto job = letter(old);
    job.smtputf8 = true;
    CHECK(agent.deliver(job).outcome == ipc::Outcome::kSent);   // asked for, not needed
    job.recipients[0].recipient.address = "유저@far.example";
    result = agent.deliver(job);
    CHECK(result.outcome == ipc::Outcome::kBounced);
    CHECK(result.dsn == "5.6.7");
    FakeSmtp utf8;
    utf8.start();
    job.nexthop = utf8.nexthop();
    CHECK(agent.deliver(job).outcome == ipc::Outcome::kSent);
    CHECK(contains(utf8.log(), " SMTPUTF8\nRCPT TO:<유저@far.example>"));
}

TEST_CASE("lmtp(8): one reply for each recipient after the data; Unix sockets name their path") {
    AgentUnderTest agent(run_remote_agent, kMain, kMaster);
    FakeSmtp server;
    server.lmtp = true;
    server.replies["RCPT TO:<bad"] = "550 5.1.1 no";
    server.start();
    auto job = letter(server);
    job.transport = "lmtp";
    job.nexthop = "inet:127.0.0.1:" + server.nexthop().substr(12);
    add(job, "bad@far.example");
    add(job, "b@far.example");
    agent.send(job);
    auto delivered = agent.receive();
    CHECK(delivered.results.at(0).outcome == ipc::Outcome::kSent);
    CHECK(delivered.results.at(1).outcome == ipc::Outcome::kBounced);
    CHECK(delivered.results.at(2).outcome == ipc::Outcome::kSent);
    CHECK(contains(server.log(), "LHLO mx.example.com\n"));
    job.nexthop = "unix:/nonexistent/lmtp";
    job.recipients.resize(1);
    CHECK(agent.deliver(job).text == "connect to mx.example.com[/nonexistent/lmtp]: No such file or directory");
}

TEST_CASE("smtp(8): a connection is kept while more mail waits, and a dead one is replaced without loss") {
    AgentUnderTest agent(run_remote_agent, kMain, kMaster);
    FakeSmtp server;
    server.start();
    auto job = letter(server);
    job.also_waiting = 1;
    for (int i = 0; i < 5; ++i) CHECK(agent.deliver(job).outcome == ipc::Outcome::kSent);
    CHECK(server.connections == 1);
    FakeSmtp closing;
    closing.replies["."] = "250 2.0.0 Ok";
    closing.start();
    job.nexthop = closing.nexthop();
    CHECK(agent.deliver(job).outcome == ipc::Outcome::kSent);
    closing.replies["MAIL FROM:<second"] = "";
    job.sender = "second@example.net";
    CHECK(agent.deliver(job).outcome == ipc::Outcome::kDeferred);   // the old and a new connection both die
    CHECK(closing.connections == 2);
}

TEST_CASE("smtp(8): SASL by host; what may not be said in the clear is not said") {
    std::string main = kMain +
                       "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = inline:{127.0.0.1=tim:secret}\n"
                       "smtp_sasl_security_options = noanonymous\n";
    FakeSmtp server;
    server.replies["EHLO"] = "250-fake.example\r\n250 AUTH PLAIN LOGIN";
    {
        AgentUnderTest agent(run_remote_agent, main, kMaster);
        server.start();
        CHECK(agent.deliver(letter(server)).outcome == ipc::Outcome::kSent);
        CHECK(contains(server.log(), "AUTH PLAIN AHRpbQBzZWNyZXQ=\n"));
    }
    AgentUnderTest strict(run_remote_agent, main + "smtp_sasl_security_options = noplaintext\n", kMaster);
    auto result = strict.deliver(letter(server));
    CHECK(result.outcome == ipc::Outcome::kDeferred);
    CHECK(contains(result.text, "no mechanism available"));
}

TEST_CASE("smtp(8): TLS that is required and not offered defers; opportunistic does without") {
    FakeSmtp server;
    {
        AgentUnderTest agent(run_remote_agent, kMain + "smtp_tls_security_level = encrypt\n", kMaster);
        server.start();
        auto result = agent.deliver(letter(server));
        CHECK(result.dsn == "4.7.4");
        CHECK(result.text == "TLS is required, but was not offered by host 127.0.0.1[127.0.0.1]");
    }
    AgentUnderTest agent(run_remote_agent, kMain + "smtp_tls_security_level = may\n", kMaster);
    FakeSmtp broken;   // offers it, and then talks nonsense
    broken.replies["EHLO"] = "250-fake.example\r\n250 STARTTLS";
    broken.patience_seconds = 1;
    broken.replies["STARTTLS"] = "220 go\r\nno TLS at all";
    broken.start();
    CHECK(agent.deliver(letter(broken)).outcome == ipc::Outcome::kSent);
    CHECK(broken.connections == 2);
}

TEST_CASE("RFC 5321 5.1: MX by preference, implicit MX, null MX, loops, fallback relay") {
    FakeDns dns;
    dns.mx("far.example", 10, "dead.example");
    dns.mx("far.example", 20, "live.example");
    dns.a("dead.example", "127.0.0.2");
    dns.a("live.example", "127.0.0.1");
    dns.a("plain.example", "127.0.0.1");
    dns.mx("null.example", 0, "");
    dns.mx("self.example", 10, "us.example");
    dns.a("us.example", "127.0.0.1");
    dns.mx("nohost.example", 10, "gone.example");
    dns.servfail("broken.example");
    dns.start();
    FakeSmtp server;
    AgentUnderTest agent(run_remote_agent, kMain, kMaster);
    server.start();
    std::string port = server.nexthop().substr(11);
    auto to = [&](const std::string& nexthop) {
        auto job = AgentUnderTest::job("smtp", "a@far.example", "\nx\n");
        job.nexthop = nexthop;
        return agent.deliver(job);
    };
    auto result = to("far.example" + port);
    CHECK(result.outcome == ipc::Outcome::kSent);
    CHECK(result.relay == "live.example[127.0.0.1]" + port);
    CHECK(to("plain.example" + port).outcome == ipc::Outcome::kSent);
    result = to("null.example");
    CHECK(result.dsn == "5.1.10");
    CHECK(result.text == "Domain null.example does not accept mail (nullMX)");
    result = to("self.example");
    CHECK(result.outcome == ipc::Outcome::kBounced);
    CHECK(result.dsn == "5.4.6");
    CHECK(result.text == "mail for self.example loops back to myself");
    result = to("none.example");
    CHECK(result.outcome == ipc::Outcome::kBounced);
    CHECK(result.text ==
          "Host or domain name not found. Name service error for name=none.example type=MX: Host not found");
    CHECK(to("nohost.example").dsn == "5.4.4");
    result = to("broken.example");
    CHECK(result.outcome == ipc::Outcome::kDeferred);
    CHECK(result.dsn == "4.4.3");
    AgentUnderTest with_fallback(run_remote_agent, kMain + "smtp_fallback_relay = " + server.nexthop() + "\n", kMaster);
    auto job = AgentUnderTest::job("smtp", "a@far.example", "\nx\n");
    job.nexthop = "none.example";
    CHECK(with_fallback.deliver(job).outcome == ipc::Outcome::kSent);
}

// Never an open relay: client x authentication x recipient, over the whole restrictions engine.
#include "libproto/runtime/loop.h"
#include "libproto/runtime/loop_inl.h"
#include "smtpd/host_names.h"
#include "smtpd/restrictions/restrictions.h"
#include "smtpd/tables.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::smtpd;

namespace {

constexpr const char* kMain = R"(
compatibility_level = 3.6
myhostname = mail.ours.example
mydomain = ours.example
myorigin = ours.example
mydestination = ours.example, mail.ours.example, localhost
mynetworks = 127.0.0.0/8 [::1]/128 192.0.2.0/24
inet_interfaces = 127.0.0.1
relay_domains = relay.example
relay_recipient_maps =
virtual_alias_domains = alias.example
virtual_alias_maps = inline:{known@alias.example=user@ours.example}
virtual_mailbox_domains = virtual.example
virtual_mailbox_maps = inline:{box@virtual.example=box/, list+x@virtual.example=x/}
local_recipient_maps = inline:{user=x, postmaster=x}
alias_maps =
recipient_delimiter = +
)";

struct Server {
    std::shared_ptr<const Service> service;
    std::shared_ptr<const Tables> tables;
    std::unique_ptr<Restrictions> restrictions;
    HostNames names;
};

std::string error;   // of the last make()

std::unique_ptr<Server> make(const std::string& more) {
    auto main = config::MainCf::parse(std::string(kMain) + more, "main.cf");
    REQUIRE(main);
    config::MasterService entry;
    entry.name = "smtp";
    entry.type = "inet";
    entry.command = "smtpd";
    auto service = Service::make(entry, *main);
    if (!service) {
        error = service.error().text;
        return nullptr;
    }
    auto out = std::make_unique<Server>();
    out->service = *service;
    auto tables = Tables::open(**service);
    if (!tables) {
        error = tables.error().text;
        return nullptr;
    }
    out->tables = *tables;
    auto restrictions = Restrictions::open(*service, *tables, out->names);
    if (!restrictions) {
        error = restrictions.error().text;
        return nullptr;
    }
    out->restrictions = std::move(*restrictions);
    return out;
}

struct Try {
    std::string address = "203.0.113.9";   // a stranger
    std::string user;
    std::string sender = "someone@elsewhere.example";
    std::string helo = "client.elsewhere.example";
};

Try from(const std::string& address, const std::string& user = {}) {
    Try t;
    t.address = address;
    t.user = user;
    return t;
}

Verdict ask(Server& server, const std::string& recipient, Try t = {}) {
    Loop loop;
    smtp::PathOptions options;
    options.smtputf8 = true;
    std::string_view rest;
    auto path = smtp::parse_path(recipient, smtp::PathKind::kForward, options, rest);
    if (!path) return Verdict::reject(path.error().code, path.error().enhanced, path.error().text);
    Context c;
    c.service = server.service.get();
    c.client.address = t.address;
    c.client.name = t.address == "127.0.0.1" ? "localhost" : "unknown";
    c.sasl_username = t.user;
    c.helo_name = t.helo;
    c.extended = true;
    c.in_transaction = true;
    c.sender = t.sender;
    c.recipient = path->internal();
    return loop.run_until_complete(server.restrictions->at_rcpt(c));
}

}   // namespace

TEST_CASE("never an open relay: a stranger reaches our recipients and nobody else") {
    auto server = make("");
    REQUIRE(server);
    const char* ours[] = {"<user@ours.example>",
                          "<USER@Ours.Example>",
                          "<user+tag@ours.example>",
                          "<postmaster>",
                          "<user@localhost>",
                          "<box@virtual.example>",
                          "<box+ext@virtual.example>",
                          "<known@alias.example>",
                          "<anyone@relay.example>",
                          "<anyone@sub.relay.example>",
                          "<@route.example:user@ours.example>",
                          "<user@[127.0.0.1]>",
                          "<user@ours.example.>"};
    for (const auto* recipient : ours) {
        INFO(recipient);
        const auto v = ask(*server, recipient);
        INFO(v.text);
        CHECK(!v.refused());
    }
    const char* theirs[] = {"<victim@elsewhere.example>",
                            "<victim%elsewhere.example@ours.example>",
                            "<victim%elsewhere.example@[127.0.0.1]>",
                            "<elsewhere.example!victim@ours.example>",
                            "<elsewhere.example!victim>",
                            "<victim%elsewhere.example>",
                            "<\"victim@elsewhere.example\"@ours.example>",
                            "<\"victim%elsewhere.example\"@ours.example>",
                            "<\"elsewhere.example!victim\"@ours.example>",
                            "<\"victim@elsewhere.example\">",
                            "<\"victim%elsewhere.example\">",
                            "<@ours.example:victim@elsewhere.example>",
                            "<@ours.example,@mail.ours.example:victim@elsewhere.example>",
                            "<victim@[203.0.113.5]>",
                            "<victim@[IPv6:2001:db8::5]>",
                            "<victim@203.0.113.5>",
                            "<victim%elsewhere.example@relay.example>",
                            "<\"victim@elsewhere.example\"@relay.example>",
                            "<elsewhere.example!victim@relay.example>",
                            "<a%b%elsewhere.example@ours.example>",
                            "<\"a%b@elsewhere.example\"@virtual.example>",
                            "<victim@notours.example>",
                            "<victim@ours.example.elsewhere.example>",
                            "<victim@xours.example>",
                            "<victim@[127.0.0.2]>",
                            "<victim@elsewhere.example@ours.example>",
                            "<victim@ours.example@elsewhere.example>",
                            "<\\\"victim@elsewhere.example\\\"@ours.example>",
                            "<victim\\@elsewhere.example@ours.example>",
                            "<@ours.example:@victim@elsewhere.example>",
                            "<victim@elsewhere.example.>",
                            "victim@elsewhere.example",
                            "<victim%elsewhere.example%ours.example@ours.example>",
                            "<ours.example!elsewhere.example!victim@ours.example>",
                            "<\"\\victim@elsewhere.example\"@[127.0.0.1]>"};
    for (const auto* recipient : theirs) {
        for (const auto* sender : {"someone@elsewhere.example", "user@ours.example", "", "box@virtual.example"}) {
            Try t;
            t.sender = sender;
            t.helo = "mail.ours.example";   // claiming to be us proves nothing
            const auto v = ask(*server, recipient, t);
            INFO(recipient << " from " << sender);
            CHECK(v.refused());
        }
    }
    CHECK(ask(*server, "<victim@elsewhere.example>").code == 454);   // defer_unauth_destination, the default
    CHECK(ask(*server, "<victim@elsewhere.example>").text == "<victim@elsewhere.example>: Relay access denied");
}

TEST_CASE("permit_mynetworks and permit_sasl_authenticated relay, and only they") {
    auto server =
        make("smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination\n");
    REQUIRE(server);
    for (const auto* address : {"127.0.0.1", "::1", "192.0.2.200"})
        CHECK(!ask(*server, "<x@elsewhere.example>", from(address)).refused());
    for (const auto* address : {"203.0.113.9", "192.0.3.1", "2001:db8::1", "unknown", ""}) {
        CHECK(ask(*server, "<x@elsewhere.example>", from(address)).code == 554);
        CHECK(!ask(*server, "<x@elsewhere.example>", from(address, "someone")).refused());
    }
}

TEST_CASE("smtpd_reject_unlisted_recipient: unknown users of our domains are refused") {
    auto server = make("");
    REQUIRE(server);
    CHECK(ask(*server, "<nobody@ours.example>").text ==
          "<nobody@ours.example>: Recipient address rejected: User unknown in local recipient table");
    CHECK(ask(*server, "<nobody@virtual.example>").text ==
          "<nobody@virtual.example>: Recipient address rejected: User unknown in virtual mailbox table");
    const auto v = ask(*server, "<nobody@alias.example>");
    CHECK(v.code == 550);
    CHECK(v.enhanced == "5.1.1");
    CHECK(v.text == "<nobody@alias.example>: Recipient address rejected: User unknown in virtual alias table");
    // Local clients are told, too.
    CHECK(ask(*server, "<nobody@ours.example>", from("127.0.0.1")).code == 550);
}

TEST_CASE("a configuration that could relay for everyone, or names an unknown restriction, is refused") {
    CHECK(!make("smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks, permit\n"));
    CHECK(error.find("specify at least one working instance of: reject_unauth_destination") != std::string::npos);
    CHECK(!make("smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = warn_if_reject reject\n"));
    CHECK(!make("smtpd_recipient_restrictions = permit_mynetwork\n"));
    CHECK(error.find("smtpd_recipient_restrictions: unknown smtpd restriction: \"permit_mynetwork\"") !=
          std::string::npos);
    CHECK(!make("smtpd_sender_restrictions = reject_unverified_sender\n"));
    CHECK(error.find("not supported yet") != std::string::npos);
    CHECK(!make("smtpd_sender_restrictions = check_sender_access\n"));
}

TEST_CASE("SMTPD_ACCESS_README: each list decides for itself; access tables, classes and warn_if_reject") {
    auto server = make(R"(
smtpd_restriction_classes = strict
strict = check_sender_access inline:{{bad.example=REJECT spam}}, reject_non_fqdn_sender
smtpd_client_restrictions = check_client_access inline:{203.0.113=OK}
smtpd_helo_restrictions = reject_invalid_helo_hostname, warn_if_reject reject_non_fqdn_helo_hostname
smtpd_sender_restrictions = strict
smtpd_recipient_restrictions = check_recipient_access inline:{{user@ours.example = 450 4.2.0 later}, {quota@ = DUNNO}}
smtpd_reject_unlisted_recipient = no
)");
    INFO(error);
    REQUIRE(server);
    Try t;
    t.sender = "a@sub.bad.example";
    auto v = ask(*server, "<quota@ours.example>", t);
    CHECK(v.code == 554);
    CHECK(v.text == "<a@sub.bad.example>: Sender address rejected: spam");
    t.sender = "a@unqualified";
    CHECK(ask(*server, "<quota@ours.example>", t).code == 504);
    t.sender = "a@good.example";
    CHECK(!ask(*server, "<quota@ours.example>", t).refused());
    v = ask(*server, "<user@ours.example>", t);
    CHECK(v.code == 450);
    CHECK(v.enhanced == "4.2.0");
    CHECK(v.text == "<user@ours.example>: Recipient address rejected: later");
    t.helo = "plain";
    CHECK(!ask(*server, "<quota@ours.example>", t).refused());
    t.helo = "-bad-.example";
    CHECK(ask(*server, "<quota@ours.example>", t).text == "<-bad-.example>: Helo command rejected: Invalid name");
    // The client list's OK does not open the relay list.
    t.helo = "client.example";
    CHECK(ask(*server, "<x@elsewhere.example>", t).refused());
}

TEST_CASE("reject_sender_login_mismatch: who may send as whom") {
    auto server = make(
        "smtpd_sender_restrictions = reject_sender_login_mismatch\n"
        "smtpd_sender_login_maps = inline:{{user@ours.example = alice, bob}}\n");
    REQUIRE(server);
    Try t;
    t.sender = "user@ours.example";
    CHECK(ask(*server, "<box@virtual.example>", t).text ==
          "<user@ours.example>: Sender address rejected: not logged in");
    t.user = "bob";
    CHECK(!ask(*server, "<box@virtual.example>", t).refused());
    t.user = "mallory";
    CHECK(ask(*server, "<box@virtual.example>", t).text ==
          "<user@ours.example>: Sender address rejected: not owned by user mallory");
    t.sender = "stranger@elsewhere.example";
    CHECK(ask(*server, "<box@virtual.example>", t).code == 553);
    t.user.clear();
    CHECK(!ask(*server, "<box@virtual.example>", t).refused());
}

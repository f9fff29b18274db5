#include "libproto/address/expand.h"
#include "libproto/address/validate.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::address;

namespace {

struct Opened {
    std::shared_ptr<const Resolver> resolver;
    std::shared_ptr<const Cleanup> cleanup;
    std::shared_ptr<const Validator> validator;
};

Opened open(const std::string& more) {
    auto main = config::MainCf::parse(
        "compatibility_level = 3.6\nmyhostname = mail.example.com\nmydomain = example.com\nmyorigin = example.com\n"
        "mydestination = example.com, localhost\ninet_interfaces = 127.0.0.1\nlocal_recipient_maps =\nalias_maps =\n" +
            more,
        "main.cf");
    REQUIRE(main);
    Opened out;
    auto resolver = Resolver::open(*main);
    REQUIRE(resolver);
    out.resolver = *resolver;
    auto cleanup = Cleanup::open(*main, *resolver);
    if (!cleanup) FAIL(cleanup.error().text);
    out.cleanup = *cleanup;
    auto validator = Validator::open(*main, *cleanup);
    REQUIRE(validator);
    out.validator = *validator;
    return out;
}

std::string route(const Opened& o, std::string_view recipient, std::string_view sender = "s@elsewhere.org") {
    auto r = o.resolver->resolve(sender, recipient);
    if (!r) return r.error().text;
    return r->transport + ':' + r->nexthop + ' ' + r->recipient + (r->routed ? " routed" : "");
}

using List = std::vector<std::string>;

}   // namespace

TEST_CASE("trivial-rewrite(8): the standard form of an address") {
    auto o = open("append_dot_mydomain = yes\n");
    const auto& rewriter = o.resolver->rewriter();
    CHECK(rewriter.local("user") == "user@example.com");
    CHECK(rewriter.local("user@host") == "user@host.example.com");
    CHECK(rewriter.local("user@host.org.") == "user@host.org");
    CHECK(rewriter.local("site!user") == "user@site.example.com");
    CHECK(rewriter.local("user%site.org") == "user@site.org");
    CHECK(rewriter.local("@a.org,@b.org:user@c.org") == "user@c.org");
    CHECK(rewriter.local("user@[192.0.2.1]") == "user@[192.0.2.1]");
    CHECK(rewriter.local("").empty());
    CHECK(rewriter.remote("user") == "user");
}

TEST_CASE("ADDRESS_CLASS_README: the class decides the transport") {
    auto o = open(
        "virtual_alias_domains = alias.org\nvirtual_mailbox_domains = box.org\nrelay_domains = "
        "relay.org\nvirtual_transport = lmtp:unix:private/dovecot\n");
    CHECK(route(o, "user@example.com") == "local:mail.example.com user@example.com");
    CHECK(route(o, "user") == "local:mail.example.com user@example.com");
    CHECK(route(o, "user@LOCALHOST") == "local:mail.example.com user@LOCALHOST");
    CHECK(route(o, "user@[127.0.0.1]") == "local:mail.example.com user@[127.0.0.1]");
    CHECK(route(o, "x@alias.org") == "error:5.1.1 User unknown in virtual alias table x@alias.org");
    CHECK(route(o, "x@box.org") == "lmtp:unix:private/dovecot x@box.org");
    CHECK(route(o, "x@relay.org") == "relay:relay.org x@relay.org");
    CHECK(route(o, "x@far.org") == "smtp:far.org x@far.org");
    CHECK(route(o, "x%far.org@example.com") == "smtp:far.org x@far.org");
    CHECK(route(o, "far.org!x@example.com") == "smtp:far.org x@far.org");
    CHECK(route(o, "x@far.org@example.com") == "smtp:far.org x@far.org");
    CHECK(route(o, "x%far.org@relay.org") == "relay:relay.org x%far.org@relay.org routed");
    CHECK(route(o, "x@192.0.2.1") == "error:5.1.3 bad address syntax x@192.0.2.1");
}

TEST_CASE("transport(5), relayhost and the sender dependent tables") {
    auto o = open(
        "relayhost = [smart.org]:587\nrecipient_delimiter = +\n"
        "sender_dependent_relayhost_maps = inline:{{boss@example.com = [boss.org]}, {<> = [null.org]}}\n"
        "transport_maps = inline:{{one@t.org = slow:}, {t.org = smtp:[mx.t.org]}, {.sub.org = :[mx.sub.org]}, "
        "{keep.org = :}}\n"
        "relocated_maps = inline:{{gone@example.com = new@place.org}}\n");
    CHECK(route(o, "x@far.org") == "smtp:[smart.org]:587 x@far.org");
    CHECK(route(o, "x@far.org", "boss@example.com") == "smtp:[boss.org] x@far.org");
    CHECK(route(o, "x@far.org", "boss+a@example.com") == "smtp:[boss.org] x@far.org");
    CHECK(route(o, "x@far.org", "") == "smtp:[null.org] x@far.org");
    CHECK(route(o, "one+ext@t.org") == "slow:t.org one+ext@t.org");
    CHECK(route(o, "two@t.org") == "smtp:[mx.t.org] two@t.org");
    CHECK(route(o, "x@a.b.sub.org") == "smtp:[mx.sub.org] x@a.b.sub.org");
    CHECK(route(o, "x@sub.org") == "smtp:[smart.org]:587 x@sub.org");
    CHECK(route(o, "x@keep.org") == "smtp:[smart.org]:587 x@keep.org");
    CHECK(route(o, "gone@example.com") == "error:5.1.6 User has moved to new@place.org gone@example.com");
}

TEST_CASE("virtual(5): expansion, extensions, catch-all and limits") {
    auto o = open(
        "recipient_delimiter = +\nvirtual_alias_expansion_limit = 5\n"
        "virtual_alias_maps = inline:{{list@example.com = a@x.org, b@y.org a@x.org}, {user = real@z.org}, {@catch.org "
        "= @other.org},"
        "{one@catch.org = special@x.org}, {self@example.com = self@example.com, copy@x.org}, {l1@example.com = "
        "l2@example.com},"
        "{l2@example.com = l1@example.com}, {big@example.com = a1@x.org,a2@x.org,a3@x.org,a4@x.org,a5@x.org,a6@x.org},"
        "{chain = list@example.com}}\n");
    auto expand = [&](std::string_view address) {
        auto out = o.cleanup->expand_recipient(address);
        return out ? *out : List{out.error().enhanced};
    };
    CHECK(expand("list@example.com") == List{"a@x.org", "b@y.org"});
    CHECK(expand("LIST@Example.Com") == List{"a@x.org", "b@y.org"});
    CHECK(expand("user@example.com") == List{"real@z.org"});
    CHECK(expand("user+ext@example.com") == List{"real+ext@z.org"});
    CHECK(expand("user@elsewhere.org") == List{"user@elsewhere.org"});
    CHECK(expand("Any+x@catch.org") == List{"Any+x@other.org"});
    CHECK(expand("one@catch.org") == List{"special@x.org"});
    CHECK(expand("self@example.com") == List{"self@example.com", "copy@x.org"});
    CHECK(expand("l1@example.com") == List{"l1@example.com"});
    CHECK(expand("chain") == List{"a@x.org", "b@y.org"});
    CHECK(expand("big@example.com") == List{"4.6.0"});
}

TEST_CASE("canonical(5), masquerading and automatic bcc") {
    auto o = open(
        "canonical_maps = inline:{{old@example.com = new@example.com}, {@dept.org = @example.org}}\n"
        "sender_canonical_maps = inline:{{root = admin}}\n"
        "masquerade_domains = !keep.example.net, example.net\nmasquerade_exceptions = root\nalways_bcc = "
        "all@example.com\n"
        "sender_bcc_maps = inline:{{s@example.com = archive@example.com}}\nrecipient_bcc_maps = inline:{{@example.com "
        "= in@example.com}}\n");
    CHECK(*o.cleanup->envelope_recipient("old@example.com") == "new@example.com");
    CHECK(*o.cleanup->envelope_sender("Some.One@dept.org") == "Some.One@example.org");
    CHECK(*o.cleanup->envelope_sender("root") == "admin@example.com");
    CHECK(*o.cleanup->envelope_recipient("root") == "root@example.com");
    CHECK(*o.cleanup->envelope_sender("") == "");
    CHECK(*o.cleanup->envelope_sender("u@host.example.net") == "u@example.net");
    CHECK(*o.cleanup->envelope_sender("u@host.keep.example.net") == "u@host.keep.example.net");
    CHECK(*o.cleanup->envelope_sender("root@host.example.net") == "root@host.example.net");
    CHECK(*o.cleanup->envelope_recipient("u@host.example.net") ==
          "u@host.example.net");   // not among the default classes
    CHECK(*o.cleanup->header_recipient("u@host.example.net") == "u@example.net");
    CHECK(*o.cleanup->bcc_of_sender("s@example.com") == List{"all@example.com", "archive@example.com"});
    CHECK(*o.cleanup->bcc_of_recipient("x@example.com") == List{"in@example.com"});
    CHECK(o.cleanup->bcc_of_recipient("x@far.org")->empty());
}

TEST_CASE("LOCAL_RECIPIENT_README: which recipients exist") {
    auto main =
        "virtual_mailbox_domains = box.org\nvirtual_mailbox_maps = inline:{{user@box.org = x}, {@all.org = y}}\n"
        "recipient_delimiter = +\nvirtual_alias_maps = inline:{{alias@box.org = user@box.org}}\nrelay_domains = r.org\n"
        "relay_recipient_maps = inline:{{known@r.org = x}}\nlocal_recipient_maps = inline:{{alice = x}}\n";
    // The last value of a parameter counts.
    auto o = open(main);
    auto check = [&](std::string_view address) {
        auto known = o.validator->check("s@far.org", address, Validator::Kind::kRecipient);
        return known ? std::string("known") : known.error().enhanced + ' ' + known.error().text;
    };
    CHECK(check("user@box.org") == "known");
    CHECK(check("user+tag@box.org") == "known");
    CHECK(check("alias@box.org") == "known");
    CHECK(check("nobody@box.org") == "5.1.1 User unknown in virtual mailbox table");
    CHECK(check("known@r.org") == "known");
    CHECK(check("other@r.org") == "5.1.1 User unknown in relay recipient table");
    CHECK(check("alice@example.com") == "known");
    CHECK(check("Alice+x@localhost") == "known");
    CHECK(check("bob@example.com") == "5.1.1 User unknown in local recipient table");
    CHECK(check("anyone@far.org") == "known");
}

TEST_CASE("table results: addresses apart by commas or white space, quotes and comments respected") {
    CHECK(split_addresses("a@b, c@d") == List{"a@b", "c@d"});
    CHECK(split_addresses("a@b c@d\te@f") == List{"a@b", "c@d", "e@f"});
    CHECK(split_addresses("\"a b\"@c, Full Name <d@e> (comment, here), f") == List{"a b@c", "d@e", "f"});
    CHECK(split_addresses("").empty());
    CHECK(split_addresses(" , ,").empty());
}

#include <pwd.h>

#include <chrono>
#include <fstream>

#include "queued/local/action.h"
#include "queued/local/context_seal.h"
#include "tests/unit/delivery/agent_under_test.h"

using namespace postcot;
using namespace postcot::queued;
namespace fs = std::filesystem;

namespace {

constexpr const char* kMaster =
    "virtual unix - n n - - virtual\n"
    "local unix - n n - - local\n"
    "error unix - - n - - error\n"
    "retry unix - - n - - error\n"
    "discard unix - - n - - discard\n"
    "filter unix - n n - - pipe flags=DRO user=nobody argv=/bin/sh -c {cat > $PIPED; echo ${sender} "
    "${recipient}>>$PIPED} x\n";

uint32_t mail_uid() { return geteuid() == 0 ? 12345 : geteuid(); }

std::string virtual_main(const TemporaryFolder& folder) {
    if (chown(folder.path.c_str(), mail_uid(), static_cast<gid_t>(-1)) != 0) return {};
    return "myhostname = mx.example.com\n"
           "data_directory = " +
           folder.path +
           "\n"
           "virtual_mailbox_base = " +
           folder.path +
           "\n"
           "virtual_mailbox_maps = inline:{user@example.com=example.com/user/, box@example.com=box, "
           "@all.example=all/}\n"
           "virtual_uid_maps = static:" +
           std::to_string(mail_uid()) +
           "\n"
           "virtual_gid_maps = static:" +
           std::to_string(geteuid() == 0 ? 12345 : getegid()) +
           "\n"
           "virtual_minimum_uid = " +
           (geteuid() == 0 ? "100" : "0") +
           "\n"
           "recipient_delimiter = +\n";
}

// Empty in a container whose uid has no name: there is nobody to deliver to then.
std::string my_name() {
    const passwd* entry = getpwuid(geteuid());
    return entry ? entry->pw_name : "";
}

}   // namespace

TEST_CASE("virtual(8): Maildir, mbox, extensions, catch-all, unknown users") {
    TemporaryFolder folder;
    AgentUnderTest agent(run_local_agent, virtual_main(folder), kMaster);
    auto result = agent.deliver(AgentUnderTest::job("virtual", "User+x@example.com", "Subject: a\n\nb\n"));
    CHECK(result.outcome == ipc::Outcome::kSent);
    CHECK(result.text == "delivered to maildir");
    CHECK(result.relay == "virtual");
    CHECK(result.dsn == "2.0.0");
    auto files = files_in(folder.path + "/example.com/user/new");
    REQUIRE(files.size() == 1);
    CHECK(text_of(files[0]) ==
          "Return-Path: <sender@example.net>\nX-Original-To: User+x@example.com\nDelivered-To: User+x@example.com\n"
          "Subject: a\n\nb\n");
    struct stat st {};
    REQUIRE(stat(files[0].c_str(), &st) == 0);
    CHECK(st.st_uid == mail_uid());
    CHECK((st.st_mode & 0777) == 0600);

    result = agent.deliver(AgentUnderTest::job("virtual", "box@example.com", "Subject: a\n\nb\n"));
    CHECK(result.text == "delivered to mailbox");
    CHECK(text_of(folder.path + "/box").substr(0, 5) == "From ");
    CHECK(agent.deliver(AgentUnderTest::job("virtual", "any@all.example", "\nx\n")).outcome == ipc::Outcome::kSent);
    result = agent.deliver(AgentUnderTest::job("virtual", "nobody@example.com", "\nx\n"));
    CHECK(result.outcome == ipc::Outcome::kBounced);
    CHECK(result.dsn == "5.1.1");
    CHECK(result.text == "unknown user: \"nobody@example.com\"");
    CHECK(agent.stop() == 0);
}

TEST_CASE("virtual(8): an attempt that may be a repetition finds its own file; several recipients are one answer") {
    TemporaryFolder folder;
    AgentUnderTest agent(run_local_agent, virtual_main(folder), kMaster);
    auto job = AgentUnderTest::job("virtual", "user@example.com", "\nx\n");
    agent.deliver(job);
    auto files = files_in(folder.path + "/example.com/user/new");
    REQUIRE(files.size() == 1);
    fs::rename(files[0], folder.path + "/example.com/user/cur/" + files[0].filename().string() + ":2,S");
    job.maybe_delivered = true;
    CHECK(agent.deliver(job).outcome == ipc::Outcome::kSent);
    CHECK(files_in(folder.path + "/example.com/user/new").empty());
    job.maybe_delivered = false;
    job.recipients.push_back(job.recipients[0]);
    job.recipients[1].index = 1;
    job.recipients.push_back(job.recipients[0]);
    job.recipients[2].index = 2;
    job.recipients[2].recipient.address = "none@example.com";
    agent.send(job);
    auto delivered = agent.receive();
    CHECK(delivered.results.size() == 3);
    CHECK(files_in(folder.path + "/example.com/user/new").size() == 2);
}

TEST_CASE("error(8), retry(8), discard(8): the nexthop is the reason") {
    TemporaryFolder folder;
    AgentUnderTest agent(run_local_agent, virtual_main(folder), kMaster);
    auto job = AgentUnderTest::job("error", "a@b.example", "\n");
    job.nexthop = "5.1.2 no such place";
    auto result = agent.deliver(job);
    CHECK(result.outcome == ipc::Outcome::kBounced);
    CHECK(result.dsn == "5.1.2");
    CHECK(result.text == "no such place");
    job.transport = "retry";
    job.nexthop = "later";
    result = agent.deliver(job);
    CHECK(result.outcome == ipc::Outcome::kDeferred);
    CHECK(result.dsn == "4.0.0");
    job.transport = "discard";
    CHECK(agent.deliver(job).outcome == ipc::Outcome::kSent);
    job.transport = "nonsense";
    CHECK(agent.deliver(job).text == "mail transport unavailable");
}

TEST_CASE("pipe(8): headers by flags, macros per recipient, sysexits") {
    TemporaryFolder folder;
    chmod(folder.path.c_str(), 0777);
    std::string master = "filter unix - n n - - pipe flags=DRO user=nobody argv=/usr/bin/tee " + folder.path +
                         "/${user}-${extension}-${nexthop}\n"
                         "deny unix - n n - - pipe user=nobody argv=/bin/sh -c {echo 5.7.1 go away; exit 69}\n";
    AgentUnderTest agent(run_local_agent,
                         "myhostname = mx.example.com\nrecipient_delimiter = +\ndata_directory = " + folder.path + "\n",
                         master);
    auto job = AgentUnderTest::job("filter", "User+ext@Example.com", "Subject: x\n\ny\n");
    job.nexthop = "hop";
    auto result = agent.deliver(job);
    CHECK(result.outcome == ipc::Outcome::kSent);
    CHECK(result.text.substr(0, 28) == "delivered via filter service");
    CHECK(text_of(folder.path + "/User-ext-hop") ==
          "Return-Path: <sender@example.net>\nX-Original-To: User+ext@Example.com\nDelivered-To: User+ext@Example.com\n"
          "Subject: x\n\ny\n");
    job.transport = "deny";
    result = agent.deliver(job);
    CHECK(result.outcome == ipc::Outcome::kBounced);
    CHECK(result.dsn == "5.7.1");
    CHECK(result.text == "go away");
}

TEST_CASE("pipe(8): dots and From lines are quoted in the message alone; q, h and u fold and quote whole addresses") {
    TemporaryFolder folder;
    if (chown(folder.path.c_str(), mail_uid(), static_cast<gid_t>(-1)) != 0) return;
    chmod(folder.path.c_str(), 0777);
    // In a file, since "$@" would be a macro.
    const std::string script = folder.path + "/bsmtp";
    std::ofstream(script) << "#!/bin/sh\ncat > " << folder.path << "/out\nprintf '%s\\n' \"$@\" >> " << folder.path << "/out\n";
    chmod(script.c_str(), 0755);
    const std::string master = "bsmtp unix - n n - - pipe flags=BF.>hqu user=nobody argv=" + script +
                               " ${sender} ${recipient} ${original_recipient}\n";
    AgentUnderTest agent(run_local_agent, "myhostname = mx.example.com\ndata_directory = " + folder.path + "\n",
                         master);
    auto job = AgentUnderTest::job("bsmtp", "A User@Example.COM", "Subject: x\n\n.dot\nFrom me\n");
    job.sender = "The Sender@Example.NET";
    job.recipients[0].recipient.original = "Orig@Example.COM";
    auto result = agent.deliver(job);
    REQUIRE(result.outcome == ipc::Outcome::kSent);
    CHECK(result.relayed_without_dsn);
    auto text = text_of(folder.path + "/out");
    CHECK(text.substr(0, 5) == "From ");
    CHECK(text.substr(text.find('\n') + 1) ==
          "Subject: x\n\n..dot\n>From me\n\n\"The Sender\"@Example.NET\n\"a user\"@example.com\norig@example.com\n");
}

TEST_CASE("delivery contexts: sealed with a key that is kept, and only believed with it") {
    TemporaryFolder folder;
    ContextSeal seal = ContextSeal::open(folder.path);
    std::string sealed = seal.seal("what");
    CHECK(ContextSeal::open(folder.path).unseal(sealed).value() == "what");
    for (size_t i = 0; i < sealed.size(); ++i) {
        std::string bent = sealed;
        bent[i] = static_cast<char>(bent[i] ^ 1);
        CHECK_FALSE(seal.unseal(bent).has_value());
    }
    CHECK_FALSE(seal.unseal("what").has_value());
    chmod((folder.path + "/local.key").c_str(), 0644);
    CHECK_FALSE(ContextSeal::open(folder.path).unseal(sealed).has_value());
}

TEST_CASE("local(8): users, aliases, owner-, unknown users, loops") {
    TemporaryFolder folder;
    chmod(folder.path.c_str(), 01777);
    std::string name = my_name();
    if (name.empty()) return;
    AgentUnderTest agent(
        run_local_agent,
        "myhostname = mx.example.com\nmyorigin = example.com\nmydestination = example.com\ndata_directory = " +
            folder.path +
            "\n"
            "recipient_delimiter = +\nmail_spool_directory = " +
            folder.path +
            "/\n"
            "forward_path = \n"
            "alias_maps = inline:{ {two=" +
            name +
            ", other@far.example} {cmd=|/bin/true} {list=a@far.example} "
            "{owner-list=" +
            name + "} {file=" + folder.path + "/file} {loop=loop} }\n",
        kMaster);
    auto job = AgentUnderTest::job("local", name + "+ext@example.com", "Subject: x\n\ny\n");
    auto result = agent.deliver(job);
    CHECK(result.text == "delivered to maildir");
    CHECK(files_in(folder.path + "/" + name + "/new").size() == 1);

    job.recipients[0].recipient.address = "two@example.com";
    result = agent.deliver(job);
    REQUIRE(result.outcome == ipc::Outcome::kExpanded);
    CHECK(result.delivered_to == "two@example.com");
    REQUIRE(result.expansions.size() == 2);
    CHECK(result.expansions[0].address == name + "@example.com");
    CHECK_FALSE(result.expansions[0].context.empty());
    CHECK(result.expansions[1].address == "other@far.example");
    CHECK(result.expansions[1].context.empty());
    // The local one comes back.
    job.recipients[0].recipient.original = "two@example.com";
    job.recipients[0].recipient.address = result.expansions[0].address;
    job.recipients[0].context = result.expansions[0].context;
    CHECK(agent.deliver(job).text == "delivered to maildir");

    job = AgentUnderTest::job("local", "cmd@example.com", "\ny\n");
    result = agent.deliver(job);
    REQUIRE(result.expansions.size() == 1);
    job.recipients[0].context = result.expansions[0].context;
    CHECK(agent.deliver(job).text == "delivered to command: /bin/true");

    result = agent.deliver(AgentUnderTest::job("local", "list@example.com", "\ny\n"));
    CHECK(result.new_sender == "owner-list@example.com");
    CHECK(result.expansions.at(0).context.empty());

    // Nobody but the agent can say what is run with whose rights.
    Action forged;
    forged.kind = Action::Kind::kCommand;
    forged.path = "touch " + folder.path + "/forged";
    job.recipients[0].context = forged.encode();
    CHECK(agent.deliver(job).outcome == ipc::Outcome::kExpanded);   // looked up as if there was none
    CHECK_FALSE(fs::exists(folder.path + "/forged"));

    job = AgentUnderTest::job("local", "file@example.com", "\ny\n");
    job.recipients[0].context = agent.deliver(job).expansions.at(0).context;
    CHECK(agent.deliver(job).text == "delivered to file: " + folder.path + "/file");

    result = agent.deliver(AgentUnderTest::job("local", "No.Such@example.com", "\ny\n"));
    CHECK(result.dsn == "5.1.1");
    CHECK(result.text == "unknown user: \"no.such\"");
    result = agent.deliver(
        AgentUnderTest::job("local", name + "@example.com", "Delivered-To: " + name + "@example.com\n\nx\n"));
    CHECK(result.dsn == "5.4.6");
    CHECK(result.text == "mail forwarding loop for " + name + "@example.com");

    job = AgentUnderTest::job("local", "loop@example.com", "\ny\n");
    int rounds = 0;
    do {
        result = agent.deliver(job);
        if (result.outcome == ipc::Outcome::kExpanded) job.recipients[0].context = result.expansions.at(0).context;
    } while (result.outcome == ipc::Outcome::kExpanded && ++rounds < 200);
    CHECK(result.outcome == ipc::Outcome::kBounced);
    CHECK(result.dsn == "5.4.6");
}

TEST_CASE("local(8): .forward, mailbox_command, mailbox_transport") {
    TemporaryFolder folder;
    chmod(folder.path.c_str(), 01777);
    std::string name = my_name();
    if (name.empty()) return;
    std::string base =
        "myhostname = mx.example.com\nmyorigin = example.com\nmydestination = example.com\nalias_maps "
        "=\ndata_directory = " +
        folder.path +
        "\n"
        "mail_spool_directory = " +
        folder.path +
        "/\n"
        "forward_path = " +
        folder.path + "/.forward${recipient_delimiter}${extension}\n";
    std::ofstream(folder.path + "/.forward") << "\\" << name << ", \"|/bin/cat > /dev/null\"\n# x\nfar@away.example\n";
    {
        AgentUnderTest agent(run_local_agent, base, kMaster);
        auto job = AgentUnderTest::job("local", name + "@example.com", "\ny\n");
        auto result = agent.deliver(job);
        REQUIRE(result.outcome == ipc::Outcome::kExpanded);
        REQUIRE(result.expansions.size() == 3);
        CHECK(result.expansions[2].address == "far@away.example");
        job.recipients[0].context = result.expansions[0].context;
        CHECK(agent.deliver(job).text == "delivered to maildir");
        job.recipients[0].context = result.expansions[1].context;
        CHECK(agent.deliver(job).text == "delivered to command: /bin/cat > /dev/null");
        // Anybody could have written it: not believed.
        chmod((folder.path + "/.forward").c_str(), 0666);
        job.recipients[0].context.clear();
        CHECK(agent.deliver(job).text == "delivered to maildir");
    }
    {
        AgentUnderTest agent(run_local_agent, base + "mailbox_command = /bin/cat >/dev/null; exit 75\n", kMaster);
        auto result = agent.deliver(AgentUnderTest::job("local", name + "@example.com", "\ny\n"));
        CHECK(result.outcome == ipc::Outcome::kDeferred);
        CHECK(result.text == "temporary failure");
    }
    {
        AgentUnderTest agent(run_local_agent, base + "mailbox_transport = lmtp:unix:private/lmtp\n", kMaster);
        auto result = agent.deliver(AgentUnderTest::job("local", name + "@example.com", "\ny\n"));
        REQUIRE(result.outcome == ipc::Outcome::kExpanded);
        CHECK(result.expansions.at(0).transport == "lmtp:unix:private/lmtp");
    }
}

TEST_CASE("bench: 5 KB messages into one Maildir", "[.bench]") {
    TemporaryFolder folder;
    const char* where = getenv("BENCH_DIR");
    TemporaryFolder used;
    if (where) used.path = where;
    AgentUnderTest agent(run_local_agent, virtual_main(used), kMaster);
    std::string text = "Subject: x\n\n" + std::string(5000, 'x') + "\n";
    auto start = std::chrono::steady_clock::now();
    int total = 10000, sent = 0, done = 0;
    while (done < total) {
        while (sent < total && sent - done < 512) {
            auto job = AgentUnderTest::job("virtual", "user@example.com", text);
            job.job = static_cast<uint64_t>(++sent);
            job.queue_id = "Q" + std::to_string(sent);
            agent.send(job);
        }
        CHECK(agent.receive().results.at(0).outcome == ipc::Outcome::kSent);
        ++done;
    }
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    WARN(total / seconds << " messages/s");
    CHECK(files_in(used.path + "/example.com/user/new").size() == static_cast<size_t>(total));
}

#include "queued/scheduler/scheduler.h"

#include <algorithm>

#include "libproto/config/postfix.h"
#include "queued/log_lines.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;

namespace {

Settings settings_with(const std::string& more) {
    auto main = config::MainCf::parse("myhostname = mail.example.com\n" + more, "main.cf");
    REQUIRE(main);
    auto master =
        config::MasterCf::parse("smtp unix - - n - - smtp\nvirtual unix - n n - - virtual\n", "master.cf", *main);
    REQUIRE(master);
    auto settings = Settings::read(*main, *master);
    REQUIRE(settings);
    return std::move(*settings);
}

// A message of `count` recipients at one domain.
std::unique_ptr<ActiveMessage> message_to(const std::string& domain, size_t count) {
    auto message = std::make_unique<ActiveMessage>();
    message->stored.id = domain;
    for (size_t i = 0; i < count; ++i) {
        Recipient recipient;
        recipient.address = "user" + std::to_string(i) + "@" + domain;
        message->stored.envelope.recipients.push_back(recipient);
        message->stored.states.emplace_back();
    }
    return message;
}

std::vector<uint32_t> all_of(const ActiveMessage& message) {
    std::vector<uint32_t> out;
    for (uint32_t i = 0; i < message.stored.states.size(); ++i) out.push_back(i);
    return out;
}

struct Harness {
    explicit Harness(Settings s)
        : settings(std::move(s)),
          scheduler(
              [this](std::unique_ptr<Entry>& entry) {
                  if (entry->message->stored.id == unreadable) {
                      --entry->message->entries;
                      entry.reset();
                      return Sent::kDropped;
                  }
                  if (sent.size() >= capacity) return Sent::kNotNow;
                  sent.push_back(std::move(entry));
                  return Sent::kYes;
              },
              [this](std::unique_ptr<Entry> entry, const StoredResult& why) {
                  --entry->message->entries;
                  reasons.push_back(why.text);
              }) {
        scheduler.configure(settings, 0);
    }
    size_t count(const std::string& nexthop) const {
        return static_cast<size_t>(std::count_if(
            sent.begin(), sent.end(), [&](const auto& e) { return e && e->destination->nexthop == nexthop; }));
    }
    void finish(const std::string& nexthop, bool failed, double now) {
        for (auto& entry : sent) {
            if (!entry || entry->destination->nexthop != nexthop) continue;
            auto mine = std::move(entry);
            sent.erase(std::find(sent.begin(), sent.end(), nullptr));
            --mine->message->entries;
            StoredResult why;
            why.text = "connection refused";
            scheduler.finished(std::move(mine), failed, why, now);
            return;
        }
    }
    Settings settings;
    size_t capacity = 1000;
    std::string unreadable;   // id of a message that is not to be sent
    std::vector<std::unique_ptr<Entry>> sent;
    std::vector<std::string> reasons;
    Scheduler scheduler;
};

}   // namespace

TEST_CASE("SCHEDULER_README: a destination begins with initial_destination_concurrency and grows to its limit") {
    Harness h(
        settings_with("initial_destination_concurrency = 2\nsmtp_destination_concurrency_limit = "
                      "4\nsmtp_destination_recipient_limit = 1\n"));
    auto message = message_to("a.test", 1);
    std::vector<std::unique_ptr<ActiveMessage>> messages;
    for (int i = 0; i < 20; ++i) {
        messages.push_back(message_to("a.test", 1));
        h.scheduler.add(*messages.back(), "smtp", "a.test", {0}, 0);
    }
    h.scheduler.run(0);
    CHECK(h.count("a.test") == 2);   // one recipient a time: all to user0@a.test, one destination
    for (int i = 0; i < 6; ++i) {
        h.finish("a.test", false, 1);
        h.scheduler.run(1);
    }
    CHECK(h.count("a.test") == 4);
}

TEST_CASE("a dead destination defers its own mail and delays no other") {
    Harness h(
        settings_with("initial_destination_concurrency = 1\ndefault_destination_recipient_limit = "
                      "50\nminimal_backoff_time = 100s\n"));
    std::vector<std::unique_ptr<ActiveMessage>> messages;
    for (int i = 0; i < 10; ++i) {
        for (const char* domain : {"dead.test", "good.test"}) {
            messages.push_back(message_to(domain, 1));
            h.scheduler.add(*messages.back(), "smtp", domain, {0}, 0);
        }
    }
    h.scheduler.run(0);
    h.finish("dead.test", true, 1);   // one failed cohort of a window of one
    CHECK(h.reasons.size() == 9);
    CHECK(h.reasons[0] == "connection refused");
    size_t good = 0;
    while (h.count("good.test") > 0) {
        h.finish("good.test", false, 2);
        ++good;
        h.scheduler.run(2);
    }
    CHECK(good == 10);
    // What comes while it is dead is not tried.
    messages.push_back(message_to("dead.test", 1));
    h.scheduler.add(*messages.back(), "smtp", "dead.test", {0}, 50);
    CHECK(h.reasons.size() == 10);
    h.scheduler.tick(102);
    messages.push_back(message_to("dead.test", 1));
    h.scheduler.add(*messages.back(), "smtp", "dead.test", {0}, 102);
    h.scheduler.run(102);
    CHECK(h.count("dead.test") == 1);
}

TEST_CASE("*_destination_recipient_limit splits a message into deliveries") {
    Harness h(settings_with("smtp_destination_recipient_limit = 50\ninitial_destination_concurrency = 20\n"));
    auto message = message_to("a.test", 120);
    h.scheduler.add(*message, "smtp", "a.test", all_of(*message), 0);
    h.scheduler.run(0);
    REQUIRE(h.sent.size() == 3);
    CHECK(h.sent[0]->recipients.size() == 50);
    CHECK(h.sent[2]->recipients.size() == 20);
    CHECK(message->entries == 3);
}

TEST_CASE("an agent without room is offered nothing twice, and a lost delivery is marked") {
    Harness h(settings_with("initial_destination_concurrency = 20\n"));
    h.capacity = 1;
    auto first = message_to("a.test", 1);
    auto second = message_to("b.test", 1);
    h.scheduler.add(*first, "smtp", "a.test", {0}, 0);
    h.scheduler.add(*second, "smtp", "b.test", {0}, 0);
    h.scheduler.run(0);
    CHECK(h.sent.size() == 1);
    CHECK(h.scheduler.waiting() == 1);
    auto lost = std::move(h.sent[0]);
    h.sent.clear();
    h.capacity = 10;
    h.scheduler.again(std::move(lost));
    h.scheduler.run(0);
    REQUIRE(h.sent.size() == 2);
    CHECK(h.sent[0]->maybe_delivered != h.sent[1]->maybe_delivered);
    auto withdrawn = message_to("c.test", 3);
    h.capacity = 2;
    h.scheduler.add(*withdrawn, "smtp", "c.test", all_of(*withdrawn), 0);
    h.scheduler.run(0);
    CHECK(h.scheduler.withdraw(*withdrawn).size() == 1);
    CHECK(h.scheduler.waiting() == 0);
}

TEST_CASE("a message that cannot be read holds up nothing behind it") {
    Harness h(settings_with("initial_destination_concurrency = 1\n"));
    h.unreadable = "bad.test";
    auto bad = message_to("bad.test", 1);
    auto good = message_to("good.test", 1);
    h.scheduler.add(*bad, "smtp", "same.test", {0}, 0);
    h.scheduler.add(*good, "smtp", "same.test", {0}, 0);
    h.scheduler.run(0);
    REQUIRE(h.sent.size() == 1);
    CHECK(h.sent[0]->message == good.get());
    CHECK(bad->entries == 0);
    CHECK(h.scheduler.waiting() == 0);
    CHECK(h.scheduler.in_flight() == 1);
}

TEST_CASE("delays are logged with two significant digits (delay_logging_resolution_limit)") {
    CHECK(delay_text(0.004, 2) == "0");
    CHECK(delay_text(0.05, 2) == "0.05");
    CHECK(delay_text(0.1, 2) == "0.1");
    CHECK(delay_text(1.234, 2) == "1.2");
    CHECK(delay_text(12.3, 2) == "12");
    CHECK(delay_text(-1, 2) == "0");
}

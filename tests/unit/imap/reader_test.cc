#include "libproto/imap/reader.h"

#include <string>
#include <vector>

#include "tests/unit/catch.h"

using postcot::imap::CommandReader;
using Event = CommandReader::Event;

namespace {
// Feeds in pieces of `step` octets; returns the events other than kNeedMore.
std::vector<Event> feed_all(CommandReader& reader, std::string_view in, size_t step,
                            std::vector<std::string>* texts = nullptr) {
    std::vector<Event> events;
    while (!in.empty()) {
        std::string_view piece = in.substr(0, step);
        in.remove_prefix(piece.size());
        while (!piece.empty()) {
            Event event = reader.feed(piece);
            if (event == Event::kNeedMore) continue;
            events.push_back(event);
            if (texts) texts->emplace_back(reader.text());
        }
    }
    return events;
}
}   // namespace

TEST_CASE("RFC 3501 4.3: literals become part of their command, however the octets arrive") {
    for (size_t step : {1u, 2u, 3u, 7u, 1000u}) {
        CommandReader reader({});
        std::vector<std::string> texts;
        auto events =
            feed_all(reader, "a LOGIN {2}\r\nu\n {3+}\r\npwd\r\nb NOOP\nc LOGIN {0+}\r\n x\r\n", step, &texts);
        REQUIRE(events == std::vector<Event>{Event::kContinue, Event::kCommand, Event::kCommand, Event::kCommand});
        CHECK(texts[1] == "a LOGIN {2}\r\nu\n {3+}\r\npwd");
        CHECK(texts[2] == "b NOOP");
        CHECK(texts[3] == "c LOGIN {0+}\r\n x");
    }
}

TEST_CASE("RFC 3501 6.3.11: the message literal of APPEND is handed over, its mailbox literal is not") {
    for (size_t step : {1u, 5u, 1000u}) {
        CommandReader reader({});
        std::vector<std::string> texts;
        auto events = feed_all(reader, "a APPEND {5+}\r\nINBOX (\\Seen) {310+}\r\n", step, &texts);
        REQUIRE(events == std::vector<Event>{Event::kAppendMessage});
        CHECK(texts[0] == "a APPEND {5+}\r\nINBOX (\\Seen)");
        CHECK(reader.literal_size() == 310);
        CHECK_FALSE(reader.literal_synchronising());
        reader.after_message();
        texts.clear();
        CHECK(feed_all(reader, "\r\nb NOOP\r\n", step, &texts) == std::vector<Event>{Event::kCommand, Event::kCommand});
        CHECK(texts == std::vector<std::string>{"", "b NOOP"});
    }
}

TEST_CASE("RFC 3502: a further message after the first one's literal") {
    CommandReader reader({});
    feed_all(reader, "a APPEND x {1+}\r\n", 100);
    reader.after_message();
    std::vector<std::string> texts;
    CHECK(feed_all(reader, " (\\Draft) {4}\r\n", 100, &texts) == std::vector<Event>{Event::kAppendMessage});
    CHECK(texts[0] == " (\\Draft)");
    CHECK(reader.literal_size() == 4);
}

TEST_CASE("a literal without a space before it is taken, and its command refused") {
    for (size_t step : {1u, 4u, 1000u}) {
        CommandReader reader({});
        std::vector<std::string> texts;
        for (std::string command : {"a APPEND INBOX (\\Seen){7+}", "a LOGIN x{7+}", "a SEARCH TEXT\"{7+}"}) {
            auto events = feed_all(reader, command + "\r\nb NOOP\n\r\nc NOOP\r\n", step, &texts);
            CHECK(events == std::vector<Event>{Event::kRefused, Event::kCommand});
            CHECK(texts.back() == "c NOOP");
        }
        // A synchronising one is never sent.
        auto events = feed_all(reader, "a APPEND INBOX (\\Seen){7}\r\nb NOOP\r\n", step, &texts);
        CHECK(events == std::vector<Event>{Event::kRefused, Event::kCommand});
        CHECK(texts.back() == "b NOOP");
    }
}

TEST_CASE("imap_max_line_length: a longer command is refused once, read to its end and forgotten") {
    for (size_t step : {1u, 4u, 1000u}) {
        CommandReader reader({16, true});
        std::vector<std::string> texts;
        auto events = feed_all(reader, "a NOOP xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nb NOOP\r\n", step, &texts);
        CHECK(events == std::vector<Event>{Event::kRefused, Event::kCommand});
        CHECK(texts[0].starts_with("a NOOP"));
        events = feed_all(reader,
                          "c LOGIN {90}\r\nd NOOP\r\ne LOGIN {20+}\r\n12345678901234567890 x {2+}\r\nab\r\nf NOOP\r\n",
                          step, &texts);
        CHECK(events == std::vector<Event>{Event::kRefused, Event::kCommand, Event::kRefused, Event::kCommand});
    }
}

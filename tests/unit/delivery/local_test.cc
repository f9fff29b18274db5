#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "queued/local/action.h"
#include "queued/local/command.h"
#include "queued/local/headers.h"
#include "queued/local/macros.h"
#include "queued/local/mbox.h"
#include "queued/local/results.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;

TEST_CASE("local(8): Return-Path, X-Original-To and Delivered-To, quoted as on the wire, never two lines") {
    CHECK(delivery_headers("", "a@b", "c@d") == "Return-Path: <>\nX-Original-To: a@b\nDelivered-To: c@d\n");
    CHECK(delivery_headers("x y@z", "", "") == "Return-Path: <\"x y\"@z>\n");
    CHECK(delivery_headers("a@b\nEvil: 1", "", "").find("\nEvil") == std::string::npos);
}

TEST_CASE("local(8): Delivered-To tells loops, in the header only") {
    std::string message =
        "Received: x\nDELIVERED-TO: User@Example.com\nSubject: s\n\nDelivered-To: other@example.com\n";
    CHECK(has_delivered_to(message, "user@example.com"));
    CHECK_FALSE(has_delivered_to(message, "other@example.com"));
    CHECK_FALSE(has_delivered_to("", "a@b"));
}

TEST_CASE("postconf(5) recipient_delimiter: any of the characters; owner- and -request stay whole") {
    auto split = split_local("user+a+b", "+");
    CHECK(split.user == "user");
    CHECK(split.extension == "a+b");
    CHECK(split_local("user-x", "+-").delimiter == '-');
    CHECK(split_local("+user", "+").user == "+user");
    CHECK(split_local("owner-list", "-").delimiter == 0);
    CHECK(split_local("list-request", "-").delimiter == 0);
    CHECK(split_local("list-request", "-", false).user == "list");
    CHECK(split_local("mailer-daemon", "-").delimiter == 0);
}

TEST_CASE("forward_path: ${name?text}, filters") {
    Macros macros = {{"home", "/home/a"}, {"extension", "x/y"}, {"recipient_delimiter", "+"}};
    CHECK(expand_macros("$home/.forward${recipient_delimiter}${extension}", macros, "+xyz/homea") ==
          "/home/a/.forward+x/y");
    CHECK(expand_macros("${extension?{[$extension]}}${user:none}$$", macros, "xy") == "[x_y]none$");
    CHECK(expand_macros("${unclosed", macros, "") == "${unclosed");
}

TEST_CASE("sysexits.h: what a command's end means for the mail") {
    SubprocessResult result;
    CHECK(command_result("c", result, "delivered to command: c").outcome == ipc::Outcome::kSent);
    result.status = 67 << 8;
    result.output = "no such\nperson\n";
    auto answer = command_result("c", result, "");
    CHECK(answer.dsn == "5.1.1");
    CHECK(answer.text == "user unknown. Command output: no such person");
    CHECK(answer.outcome == ipc::Outcome::kBounced);
    result.status = 75 << 8;
    CHECK(command_result("c", result, "").outcome == ipc::Outcome::kDeferred);
    result.status = 69 << 8;
    result.output = "4.2.2 over quota";
    answer = command_result("c", result, "");
    CHECK(answer.dsn == "4.2.2");
    CHECK(answer.text == "over quota");
    result.status = 1 << 8;
    result.output.clear();
    CHECK(command_result("/bin/false", result, "").text == "Command died with status 1: \"/bin/false\"");
    result.timed_out = true;
    CHECK(command_result("c", result, "").text == "Command time limit exceeded: \"c\"");
}

TEST_CASE("local(8): a shell only for commands that need one") {
    CHECK(plain_command_words("/usr/bin/vacation user") == std::vector<std::string>{"/usr/bin/vacation", "user"});
    CHECK(plain_command_words("a | b").empty());
    CHECK(plain_command_words("echo $HOME").empty());
    CHECK(plain_command_words("A=b c").empty());
}

TEST_CASE("Action: round trip, and malformed bytes are refused") {
    Action action;
    action.kind = Action::Kind::kPipe;
    action.uid = 7;
    action.argv = {"a", "b c"};
    action.delivered_to = "x@y";
    auto back = Action::decode(action.encode());
    REQUIRE(back.has_value());
    CHECK(back->uid == 7);
    CHECK(back->argv == action.argv);
    CHECK(back->delivered_to == "x@y");
    CHECK_FALSE(Action::decode("x").has_value());
    CHECK_FALSE(Action::decode(std::string(1, '\x63') + action.encode().substr(1)).has_value());
}

TEST_CASE("mbox: From lines are quoted, an empty line ends the message, failure cuts the file back") {
    char name[] = "/tmp/postcot-mbox-XXXXXX";
    std::string folder = mkdtemp(name);
    MboxDelivery delivery;
    delivery.path = folder + "/user";
    delivery.from_line = mbox_from_line("a@b", 0);
    delivery.headers = "Return-Path: <a@b>\n";
    delivery.head = "Subject: x\n\nFrom here\nFro\nFrom";
    delivery.lock_dot = delivery.lock_fcntl = true;
    delivery.lock_attempts = 1;
    REQUIRE(deliver_mbox(delivery).has_value());
    std::ostringstream text;
    text << std::ifstream(delivery.path).rdbuf();
    CHECK(text.str() == delivery.from_line + "Return-Path: <a@b>\nSubject: x\n\n>From here\nFro\nFrom\n\n");
    delivery.size_limit = 10;
    auto refused = deliver_mbox(delivery);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == EFBIG);
    CHECK(mailbox_failed("mailbox", refused.error()).dsn == "5.2.2");
    std::ofstream(delivery.path + ".lock") << "";
    CHECK(deliver_mbox(delivery).error().code == EAGAIN);
    CHECK(std::filesystem::file_size(delivery.path) == text.str().size());
    std::filesystem::remove_all(folder);
}

TEST_CASE("mbox: after a crash the message is there once, whether it had been written not at all, in part or whole") {
    char name[] = "/tmp/postcot-mbox-XXXXXX";
    std::string folder = mkdtemp(name);
    MboxDelivery delivery;
    delivery.path = folder + "/user";
    delivery.from_line = mbox_from_line("a@b", 0);
    delivery.headers = "Return-Path: <a@b>\n";
    std::string head = "Received: by x id 1234\nSubject: x\n\n" + std::string(1000, 'y') + "\nFrom z\n";
    delivery.head = head;
    auto text = [&] {
        std::ostringstream out;
        out << std::ifstream(delivery.path).rdbuf();
        return out.str();
    };
    std::string other = "From x Thu\nSubject: other\n\nFrom a\n\n";
    std::ofstream(delivery.path) << other;
    REQUIRE(deliver_mbox(delivery).has_value());
    std::string whole = text();
    delivery.maybe_delivered = true;
    for (size_t cut = other.size(); cut <= whole.size(); ++cut) {
        // A From_ line that is itself cut cannot be told from somebody else's text: it stays, and the message follows.
        if (cut > other.size() && cut < other.size() + delivery.from_line.size()) continue;
        std::ofstream(delivery.path, std::ios::trunc) << whole.substr(0, cut);
        auto delivered = deliver_mbox(delivery);
        if (!delivered) FAIL("cut at " << cut << ": " << delivered.error().text);
        if (text() != whole) FAIL("cut at " << cut);
    }
    // Read meanwhile, and another one after it.
    std::string read = whole;
    read.insert(read.find("\n\nyyy") + 1, "Status: RO\n");
    std::ofstream(delivery.path, std::ios::trunc) << read << other;
    REQUIRE(deliver_mbox(delivery).has_value());
    CHECK(text() == read + other);
    std::filesystem::remove_all(folder);
}

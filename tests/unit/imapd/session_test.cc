#include <initializer_list>

#include "tests/unit/imapd/server.h"

using namespace postcot;
using namespace postcot::imapd;

namespace {

const std::string kLetter =
    "From: a@example.com\r\nTo: b@example.com\r\nSubject: hello\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
    "Message-ID: <1@x>\r\n\r\nbody\r\n";
std::string letter(const std::string& tag) { return TestServer::append(tag, "INBOX", kLetter); }

void answers(const std::string& out, std::initializer_list<std::string> parts) {
    INFO(out);
    for (const std::string& part : parts) {
        INFO("expected: " << part);
        CHECK(out.find(part) != std::string::npos);
    }
}
void lacks(const std::string& out, const std::string& part) {
    INFO(out);
    INFO("not expected: " << part);
    CHECK(out.find(part) == std::string::npos);
}

}   // namespace

TEST_CASE("RFC 3501 6.3.1: SELECT tells FLAGS, EXISTS, RECENT, UIDVALIDITY, UIDNEXT and PERMANENTFLAGS") {
    TestServer server;
    auto out = server.talk("a SELECT INBOX\r\nb EXAMINE inbox\r\nc SELECT nowhere\r\nd FETCH 1 FLAGS\r\n");
    answers(out, {"login OK [CAPABILITY IMAP4rev1 ", "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft",
                  "* 0 EXISTS\r\n", "[UIDVALIDITY ", "[UIDNEXT ", "\\*)]", "a OK [READ-WRITE] ", "b OK [READ-ONLY] ",
                  "c NO [NONEXISTENT] ", "* BYE Logging out\r\nzz OK "});
    answers(out, {"d BAD "});   // a failed SELECT leaves nothing selected
}

TEST_CASE("RFC 3501 6.3.11, RFC 4315: APPEND answers APPENDUID; TRYCREATE when there is no such mailbox") {
    TestServer server;
    auto out = server.talk("s SELECT INBOX\r\n" +
                           TestServer::append("a", "INBOX (\\Seen $Work) \"07-Feb-1994 22:43:04 -0800\"", kLetter) +
                           TestServer::append("b", "nowhere", kLetter) +
                           "c APPEND nowhere {10}\r\nd FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)\r\n");
    answers(out, {"a OK [APPENDUID ", "* 1 EXISTS\r\n", "b NO [TRYCREATE] ", "c NO [TRYCREATE] ", "\\Seen", "$Work",
                  "Feb-1994 ", "RFC822.SIZE " + std::to_string(kLetter.size())});
    lacks(out, "+ OK");
}

TEST_CASE("RFC 3502: MULTIAPPEND is all or nothing") {
    TestServer server;
    std::string size = std::to_string(kLetter.size());
    std::string both =
        "a APPEND INBOX {" + size + "+}\r\n" + kLetter + " (\\Draft) {" + size + "+}\r\n" + kLetter + "\r\n";
    auto out = server.talk("s SELECT INBOX\r\n" + both + "b APPEND INBOX {3+}\r\nabc junk\r\nc NOOP\r\n");
    answers(out, {"* 2 EXISTS\r\n", "a OK [APPENDUID ", "b BAD "});
    lacks(out, "* 3 EXISTS");
}

TEST_CASE("RFC 3501 6.4.5: sections, partials; a body that is not peeked at becomes \\Seen") {
    TestServer server;
    auto out = server.talk(
        letter("a") +
        "s SELECT INBOX\r\nb FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT]<1.2>)\r\n"
        "c FETCH 1 BODY[]<100.5>\r\nd UID FETCH 1:* (ENVELOPE BODY BODYSTRUCTURE)\r\ne FETCH 1 BODY.PEEK[7]\r\n"
        "f FETCH 2 FLAGS\r\ng FETCH 1 RFC822.HEADER\r\nh FETCH 1 BODY.PEEK[]<5000.1>\r\n");
    answers(out, {"BODY[HEADER.FIELDS (SUBJECT)] {18}\r\nSubject: hello\r\n\r\n BODY[TEXT]<1> {2}\r\nod)\r\n",
                  "* 1 FETCH (FLAGS (\\Seen", " BODY[]<100> {5}\r\n",
                  "* 1 FETCH (UID 1 ENVELOPE (\"Mon, 7 Feb 1994 21:52:25 -0800\" \"hello\" ((", "e OK ", "BODY[7] {0}",
                  "f BAD ", "BODY[]<5000> {0}\r\n)"});
}

TEST_CASE("RFC 3501 6.4.6: STORE answers with the new flags unless it is silent; EXPUNGE counts down") {
    TestServer server;
    auto out = server.talk(letter("a") + letter("b") + letter("c") +
                           "s SELECT INBOX\r\nd STORE 1,3 +FLAGS (\\Deleted)\r\ne UID STORE 2 +FLAGS.SILENT $x\r\n"
                           "f EXPUNGE\r\ng FETCH 1 (UID FLAGS)\r\nh STORE 1 FLAGS (\\Recent)\r\n");
    answers(out, {"* 1 FETCH (FLAGS (\\Deleted", "* 3 FETCH (FLAGS (\\Deleted", "* 1 FETCH (UID 2 FLAGS (", "$x"});
    lacks(out, "* 2 FETCH");
    CHECK((out.find("* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n") != std::string::npos ||
           out.find("* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n") != std::string::npos));
}

TEST_CASE("RFC 3501 6.4.7, RFC 6851: COPY and MOVE answer COPYUID; MOVE says EXPUNGE") {
    TestServer server;
    auto out = server.talk(letter("a") + letter("b") +
                           "s SELECT INBOX\r\nc COPY 1:2 Archive\r\nd CREATE Archive\r\ne COPY 1:2 Archive\r\n"
                           "f UID MOVE 1 Archive\r\ng STATUS Archive (MESSAGES UNSEEN)\r\n");
    answers(out, {"c NO [TRYCREATE] ", "e OK [COPYUID ", " 1:2 1:2] ", "* OK [COPYUID ", "* 1 EXPUNGE\r\n",
                  "* STATUS Archive (MESSAGES 3 UNSEEN 3)\r\n"});
}

TEST_CASE("RFC 3501 6.4.4, RFC 4731, RFC 5182: SEARCH, ESEARCH and the saved result") {
    TestServer server;
    auto out =
        server.talk(letter("a") + letter("b") + letter("c") +
                    "s SELECT INBOX\r\nd SEARCH SUBJECT HELLO\r\ne SEARCH CHARSET X-NONE ALL\r\n"
                    "f UID SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN\r\ng SEARCH RETURN (SAVE) 2:3\r\nh FETCH $ UID\r\n"
                    "i SEARCH NOT 1\r\nj SEARCH RETURN (COUNT) BODY nothere\r\nk SORT (ARRIVAL) UTF-8 ALL\r\n"
                    "l THREAD REFERENCES UTF-8 ALL\r\n");
    answers(out, {"* SEARCH 1 2 3\r\nd OK", "e NO [BADCHARSET (US-ASCII UTF-8)] ",
                  "* ESEARCH (TAG \"f\") UID MIN 1 MAX 3 ALL 1:3 COUNT 3\r\n",
                  "* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\nh OK", "* SEARCH 2 3\r\ni OK",
                  "* ESEARCH (TAG \"j\") COUNT 0\r\n", "* SORT 1 2 3\r\n", "* THREAD ((1)(2)(3))\r\n"});
}

TEST_CASE("RFC 3501 6.3.8, RFC 5258: LIST, LSUB, their wildcards and options") {
    TestServer server;
    auto out = server.talk(
        "a CREATE Work.Sub\r\nb SUBSCRIBE Work.Sub\r\nc LIST \"\" \"\"\r\nd LIST \"\" %\r\ne LSUB \"\" %\r\n"
        "f LIST \"\" inbox\r\ng LIST (SUBSCRIBED) \"\" *\r\nh LIST \"\" (INBOX) RETURN (STATUS (MESSAGES))\r\n"
        "i LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %\r\nj DELETE INBOX\r\nk CREATE INBOX\r\nl RENAME Work.Sub Moved\r\n"
        "m LIST \"\" *\r\nn NAMESPACE\r\n");
    answers(out, {"* LIST (\\Noselect) \".\" \"\"\r\nc OK", "\".\" INBOX\r\n", "* LSUB (\\Noselect) \".\" Work\r\ne OK",
                  "* LIST (\\Subscribed) \".\" Work.Sub\r\ng OK", "* STATUS INBOX (MESSAGES 0)\r\nh OK",
                  "Work (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n", "j NO ", "k NO ", "\".\" Moved\r\n",
                  "* NAMESPACE ((\"\" \".\")) NIL NIL\r\n"});
}

TEST_CASE("RFC 7162: CONDSTORE: MODSEQ in answers, UNCHANGEDSINCE, CHANGEDSINCE") {
    TestServer server;
    auto out = server.talk(letter("a") + letter("b") +
                           "s SELECT INBOX (CONDSTORE)\r\nc STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)\r\n"
                           "d STORE 1 +FLAGS (\\Flagged)\r\ne FETCH 1:2 (UID) (CHANGEDSINCE 1)\r\n"
                           "f ENABLE CONDSTORE\r\ng SEARCH MODSEQ 1\r\n");
    answers(out, {"[HIGHESTMODSEQ ", "c OK [MODIFIED 1] ", "MODSEQ (", "* 2 FETCH (UID 2 MODSEQ (",
                  "* ENABLED CONDSTORE\r\n", "* SEARCH 1 2 (MODSEQ "});
}

TEST_CASE("RFC 2177: IDLE ends with DONE, anything else is BAD") {
    TestServer server;
    auto out = server.talk("s SELECT INBOX\r\na IDLE\r\nDONE\r\nb IDLE\r\nnonsense\r\nc NOOP\r\n");
    answers(out, {"+ idling\r\na OK ", "b BAD ", "c OK "});
}

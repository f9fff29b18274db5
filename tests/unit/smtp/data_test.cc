#include "libproto/smtp/data.h"

#include "tests/unit/catch.h"

using namespace postcot::smtp;

namespace {

struct Decoded {
    std::string content;
    std::string rest;
    bool done;
};

// Feeds `wire` in pieces of `step` octets: the result must not depend on it.
Decoded decode(std::string_view wire, BareNewline policy = BareNewline::kNormalize) {
    Decoded first;
    for (size_t step : {wire.size(), size_t{1}, size_t{2}, size_t{3}, size_t{7}}) {
        if (step == 0) continue;
        DataDecoder decoder(policy);
        Decoded out;
        size_t at = 0;
        while (at < wire.size() && !decoder.done()) {
            auto piece = wire.substr(at, step);
            at += decoder.feed(piece, out.content);
        }
        out.rest = wire.substr(at);
        out.done = decoder.done();
        if (step == wire.size()) {
            first = out;
        } else {
            REQUIRE(out.content == first.content);
            REQUIRE(out.rest == first.rest);
            REQUIRE(out.done == first.done);
        }
    }
    return first;
}

}   // namespace

TEST_CASE("RFC 5321 4.5.2: a lone dot ends the data, stuffed dots are removed") {
    auto d = decode("a\r\n..b\r\n.c\r\n\r\n.\r\nQUIT\r\n");
    CHECK(d.done);
    CHECK(d.content == "a\n.b\nc\n\n");
    CHECK(d.rest == "QUIT\r\n");
    CHECK(decode(".\r\n").done);
    CHECK(decode(".\r\n").content.empty());
    CHECK(!decode("a.\r\n").done);
    CHECK(decode("..\r\n.\r\n").content == ".\n");
}

TEST_CASE("smtpd_forbid_bare_newline = normalize: only CRLF.CRLF ends the data (SMTP smuggling)") {
    for (auto ending : {"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r\n.\r\r\n", "\r.\r\n", "\n\n.\r\n"}) {
        auto d = decode(std::string("body") + ending + "MAIL FROM:<evil@example>\r\n");
        INFO(ending);
        CHECK(!d.done);
        CHECK(d.content.find("MAIL FROM") != std::string::npos);
        CHECK(d.content.find('\r') == std::string::npos);
    }
    auto d = decode("a\n.\r\n.\r\n");
    CHECK(d.done);
    CHECK(d.content == "a\n.\n");
    CHECK(decode("a\n..b\r\n.\r\n").content == "a\n.b\n");
}

TEST_CASE("smtpd_forbid_bare_newline = no: LF.LF ends the data") {
    auto d = decode("a\n.\nQUIT\n", BareNewline::kAllow);
    CHECK(d.done);
    CHECK(d.content == "a\n");
    CHECK(d.rest == "QUIT\n");
}

TEST_CASE("cleanup_replace_stray_cr_lf: a CR that ends no line becomes a blank") {
    CHECK(decode("a\rb\r\r\n.\r\n").content == "a b \n");
    CHECK(decode(".\rx\r\n.\r\n").content == " x\n");
    CHECK(decode("\r\rX\r\n.\r\n").content == "  X\n");
}

TEST_CASE("RFC 3030: chunks may cut a line end; a last line without end gets one") {
    ChunkDecoder decoder;
    std::string out;
    decoder.feed("a\r", out);
    decoder.feed("\n.\r\nb\rc", out);
    decoder.finish(out);
    CHECK(out == "a\n.\nb c\n");
}

TEST_CASE("RFC 5321 4.5.2: dot-stuffing and back") {
    DataEncoder encoder;
    std::string wire;
    encoder.feed(".a\n..b\nc.\n.", wire);
    encoder.finish(wire);
    CHECK(wire == "..a\r\n...b\r\nc.\r\n..\r\n.\r\n");
    CHECK(decode(wire).content == ".a\n..b\nc.\n.\n");
    DataEncoder empty;
    wire.clear();
    empty.finish(wire);
    CHECK(wire == ".\r\n");
}

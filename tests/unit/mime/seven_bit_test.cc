#include "libproto/mime/seven_bit.h"

#include <algorithm>
#include <functional>
#include <random>

#include "libproto/mime/message.h"
#include "tests/unit/catch.h"

using namespace postcot::mime;

namespace {

std::string convert(const std::string& text, size_t piece = 1 << 20) {
    EightBitFinder finder;
    for (size_t i = 0; i < text.size(); i += piece) finder.feed(std::string_view(text).substr(i, piece));
    finder.finish();
    SevenBitConverter converter(finder.leaves());
    std::string out;
    for (size_t i = 0; i < text.size(); i += piece) converter.feed(std::string_view(text).substr(i, piece), out);
    converter.finish(out);
    return out;
}

const std::string kKim = "\xea\xb9\x80";
const std::string kKimQp = "=EA=B9=80";

std::string encode(const std::string& text) {
    QuotedPrintableEncoder encoder;
    std::string out;
    encoder.feed(text, out);
    encoder.finish(out);
    return out;
}

void decoded_leaves(const std::string& text, const Part& part, std::vector<std::string>& out) {
    if (part.children.empty())
        out.push_back(decode_transfer(std::string_view(text).substr(part.body, part.end - part.body), part.encoding));
    for (const auto& child : part.children) decoded_leaves(text, child, out);
}

std::vector<std::string> decoded_leaves(const std::string& text) {
    std::vector<std::string> out;
    decoded_leaves(text, parse_message(text), out);
    // decode_transfer() of quoted-printable gives CRLF line ends (RFC 2045 §6.7).
    for (auto& leaf : out) {
        std::string lf;
        for (size_t i = 0; i < leaf.size(); ++i)
            if (leaf[i] != '\r' || i + 1 >= leaf.size() || leaf[i + 1] != '\n') lf += leaf[i];
        leaf = lf;
    }
    return out;
}

}   // namespace

TEST_CASE("RFC 2045 6.7: quoted-printable") {
    CHECK(encode("a=b\n") == "a=3Db\n");
    CHECK(encode("end \nend\t\nin side\n") == "end=20\nend=09\nin side\n");
    CHECK(encode("last ") == "last=20");
    CHECK(encode(std::string("\0\r\x7f", 3)) == "=00=0D=7F");
    for (const auto& line :
         {std::string(75, 'x'), std::string(200, 'x'), std::string(100, '\xff'), std::string(74, 'x') + "\xff"}) {
        const auto out = encode(line + "\n");
        for (size_t at = 0; at < out.size(); at = out.find('\n', at) + 1) CHECK(out.find('\n', at) - at <= 76);
        CHECK(decode_transfer(out, "quoted-printable").substr(0, line.size()) == line);
    }
}

TEST_CASE("RFC 6152 3: what is 7-bit stays as it is, octet for octet") {
    for (const std::string text : {"Subject: x\n\nbody\n", "", "\n", "Subject: x", "no header\n\n",
                                   "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\nepilogue"}) {
        INFO(text);
        CHECK(convert(text) == text);
    }
}

TEST_CASE("RFC 6152 3: 8-bit parts become quoted-printable, others do not") {
    const std::string text =
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: "
        "8bit\n\npreamble\n--b\n"
        "Content-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=utf-8\n\n" +
        kKim + " =\n--b\nContent-Type: text/plain\n\na = b \n--b\nContent-Type: message/rfc822\n\nSubject: in\n\n" +
        kKim + "\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\nepilogue\n";
    const std::string expected =
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: "
        "7bit\n\npreamble\n--b\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" +
        kKimQp +
        " =3D\n--b\nContent-Type: text/plain\n\na = b \n--b\nContent-Type: message/rfc822\n\nSubject: "
        "in\nContent-Type: text/plain; "
        "charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n" +
        kKimQp + "\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\nepilogue\n";
    auto got = convert(text);
    // The message inside has a root of its own; only the outermost one gets a MIME-Version when it lacks it.
    CHECK(got == expected);
    for (const size_t piece : {1, 2, 7, 64}) CHECK(convert(text, piece) == got);
    CHECK(convert("Subject: " + kKim + "\n\n" + kKim + "\n") ==
          "Subject: " + kKim +
              "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: "
              "quoted-printable\n\n" +
              kKimQp + "\n");
    CHECK(convert("Content-Transfer-Encoding: x-own\n\n" + kKim) == "Content-Transfer-Encoding: x-own\n\n" + kKim);
}

TEST_CASE("RFC 6152 3: whatever the structure, every part decodes to what it was") {
    std::mt19937 random(6152);
    auto number = [&random](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
    for (int round = 0; round < 300; ++round) {
        std::function<std::string(int)> entity = [&](int depth) -> std::string {
            const int kind = depth > 3 ? 0 : number(3);
            if (kind == 1) {
                const std::string b = "b" + std::to_string(number(9)) + std::to_string(depth);
                std::string out = "Content-Type: multipart/" + std::string(number(4) ? "mixed" : "alternative") +
                                  "; boundary=\"" + b + "\"\n\n";
                for (int i = number(3); i >= 0; --i) out += "--" + b + "\n" + entity(depth + 1) + "\n";
                return out + "--" + b + "--\n";
            }
            if (kind == 2) return "Content-Type: message/rfc822\n\nSubject: inner\n" + entity(depth + 1);
            std::string out = number(1) ? "Content-Type: text/html; charset=utf-8\n" : "X-Other: y\n";
            if (number(1))
                out += number(1) ? "Content-Transfer-Encoding: 8bit\n" : "content-transfer-encoding: BINARY (c)\n";
            out += "\n";
            for (int i = number(4); i > 0; --i) {
                for (int n = number(200); n > 0; --n)
                    out += number(9) ? static_cast<char>(' ' + number(94)) : static_cast<char>(128 + number(127));
                out += number(5) ? "\n" : " \n";
            }
            return out;
        };
        const auto text = entity(0);
        const auto got = convert(text, static_cast<size_t>(1 + number(100)));
        INFO(text);
        CHECK(decoded_leaves(got) == decoded_leaves(text));
        const auto body = got.find("\n\n");
        CHECK_FALSE(has_eight_bit(std::string_view(got).substr(std::min(body, got.size()))));
    }
}

TEST_CASE("RFC 2046 5.1.5: parts of a digest are messages where they do not say otherwise") {
    CHECK(convert("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\n" + kKim + "\n--b--\n") ==
          "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\nContent-Type: text/plain; "
          "charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n" +
              kKimQp + "\n--b--\n");
}

TEST_CASE("octets above 127 are found wherever they stand") {
    for (size_t length = 1; length < 40; ++length)
        for (size_t at = 0; at < length; ++at) {
            std::string text(length, 'a');
            CHECK_FALSE(has_eight_bit(text));
            text[at] = '\x80';
            CHECK(has_eight_bit(text));
        }
}

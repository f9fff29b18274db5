"""The same SMTP conversation with us and with Debian's Postfix set up alike: the same reply codes, enhanced statuses and (but for names and ids) texts."""
import re
import socket
import sys

from _peers import PostfixPeer
from harness import Postcot, main

HELLO = ["EHLO client.example.org"]
MAIL = HELLO + ["MAIL FROM:<user01@peer.test>"]
RCPT = MAIL + ["RCPT TO:<user02@peer.test>"]

# name: lines to send; a tuple is sent in one segment without waiting (pipelining), bytes are sent raw.
CONVERSATIONS = {
    "greetings": ["HELO client.example.org", "EHLO client.example.org", "HELO", "EHLO", "EHLO [127.0.0.1]", "EHLO two words", "EHLO _x", "NOOP", "NOOP extra words", "RSET", "RSET extra", "HELP", "VRFY user01@peer.test",
                  "VRFY nobody@peer.test", "VRFY", "EXPN list", "BOGUS", "", "   ", "QUIT extra", "QUIT"],
    "order": ["RCPT TO:<user02@peer.test>", "DATA", "BDAT 0 LAST", "MAIL FROM:<user01@peer.test>", "MAIL FROM:<user01@peer.test>", "DATA", "RCPT TO:<user02@peer.test>", "EHLO client.example.org",
              "RCPT TO:<user02@peer.test>", "DATA", "QUIT"],
    "senders": HELLO + sum(([line, "RSET"] for line in [
        "MAIL FROM:<>", "MAIL FROM: <user01@peer.test>", "MAIL FROM:user01@peer.test", "MAIL FROM:<user01>", "MAIL FROM:<user01@>", "MAIL FROM:<@peer.test>", "MAIL FROM:<a b@peer.test>", 'MAIL FROM:<"a b"@peer.test>',
        "MAIL FROM:<a@b@peer.test>", "MAIL FROM:<user01@peer.test", "MAIL FROM:user01@peer.test>", "MAIL FROM", "MAIL", "MAIL FROM:", "MAIL <user01@peer.test>", "MAIL FROM:<user01@[127.0.0.1]>", "MAIL FROM:<user01@[x]>",
        "MAIL FROM:<@a.test,@b.test:user01@peer.test>", "mail from:<user01@peer.test>", "MAIL FROM:<user01@peer.test> SIZE=1000", "MAIL FROM:<user01@peer.test> SIZE=99999999999", "MAIL FROM:<user01@peer.test> SIZE=x",
        "MAIL FROM:<user01@peer.test> SIZE=", "MAIL FROM:<user01@peer.test> BODY=8BITMIME", "MAIL FROM:<user01@peer.test> BODY=7BIT", "MAIL FROM:<user01@peer.test> BODY=BINARYMIME", "MAIL FROM:<user01@peer.test> BODY=X",
        "MAIL FROM:<user01@peer.test> SMTPUTF8", "MAIL FROM:<user01@peer.test> RET=FULL ENVID=abc", "MAIL FROM:<user01@peer.test> RET=X", "MAIL FROM:<user01@peer.test> RET=FULL RET=HDRS", "MAIL FROM:<user01@peer.test> ENVID=a+20b",
        "MAIL FROM:<user01@peer.test> ENVID=a+2", "MAIL FROM:<user01@peer.test> BOGUS=1", "MAIL FROM:<user01@peer.test> AUTH=<>", "MAIL FROM:<user01@peer.test> BOGUS", "MAIL FROM:<" + "a" * 300 + "@peer.test>",
        "MAIL FROM:<user01@peer.test> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS", "MAIL FROM:<김@peer.test>", "MAIL FROM:<김@peer.test> SMTPUTF8", "MAIL FROM:<-x@peer.test>",
        "MAIL FROM:<a@-peer.test>", "MAIL FROM:<a@peer-.test>", "MAIL FROM:<a@1.2.3>", "MAIL FROM:<a@127.0.0.1>", "MAIL FROM:<a@[IPv6:::1]>", "MAIL FROM:<a@[::1]>", "MAIL FROM:<a@[300.0.0.1]>", 'MAIL FROM:<"a"b@peer.test>',
        "MAIL FROM:<a@peer.test>SIZE=1", "MAIL FROM:<a@peer.test> =1", "MAIL\tFROM:<a@peer.test>"]), []),
    "recipients": MAIL + ["RCPT TO:<user02@peer.test>", "RCPT TO:<nobody@peer.test>", "RCPT TO:<user02@elsewhere.test>", "RCPT TO:<>", "RCPT TO:<user02>", "RCPT TO:<user02@>", "RCPT TO:<@x.test:user02@peer.test>", "RCPT TO:user02@peer.test",
                          "RCPT TO: <user02@peer.test>", "RCPT", "RCPT TO", "RCPT TO:", "RCPT FROM:<user02@peer.test>", "RCPT TO:<user02@peer.test> NOTIFY=NEVER", "RCPT TO:<user02@peer.test> NOTIFY=SUCCESS,FAILURE,DELAY",
                          "RCPT TO:<user02@peer.test> NOTIFY=NEVER,SUCCESS", "RCPT TO:<user02@peer.test> NOTIFY=X", "RCPT TO:<user02@peer.test> ORCPT=rfc822;user02@peer.test", "RCPT TO:<user02@peer.test> ORCPT=bad", "RCPT TO:<user02@peer.test> BOGUS=1",
                          "RCPT TO:<USER02@PEER.TEST>", 'RCPT TO:<"user02"@peer.test>', "RCPT TO:<user02+ext@peer.test>", "RCPT TO:<user02%peer.test>", "RCPT TO:<user02@peer.test.>", "RCPT TO:<user02@peer..test>", "RCPT TO:<a@" + "b" * 70 + ".test>", "RCPT TO:<-x@peer.test>", "RCPT TO:<a@-x.test>", "DATA",
                          b"Subject: x\r\n\r\nbody\r\n.\r\n", "QUIT"],
    "data": RCPT + ["DATA x", "DATA", b"Subject: x\r\n\r\n..stuffed\r\n.\r\n"] + MAIL[1:] + ["DATA"] + ["RSET"] + RCPT[1:] + ["DATA", b".\r\n"] + RCPT[1:] + ["DATA", b"Subject: y\n\nbare\n.\nstill\r\n.\r\n"] + RCPT[1:]
            + ["DATA", b"Subject: z\r\n\r\nx\n.\r\nMAIL FROM:<smuggled@peer.test>\r\n.\r\n"] + ["NOOP", "QUIT"],
    # No way of ending a line but CRLF ends the data or starts a command.
    "smuggling": HELLO + sum(([*MAIL[1:], "RCPT TO:<user02@peer.test>", "DATA", b"Subject: x\r\n\r\na" + end + b"NOOP\r\n.\r\n", "NOOP"] for end in [
        b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n.\n", b"\r\n.\r\r\n", b"\r\n.\0\r\n", b"\r\n\0.\r\n", b"\n\r.\r\n", b"\x85.\x85"]), []),
    "headers": ["Subject: x"],
    "browser": ["POST / HTTP/1.0"],
    "bdat": RCPT + [b"BDAT 12\r\nSubject: x\r\n", b"BDAT 12\r\n\r\nlast one\r\n", "BDAT 0 LAST"] + RCPT[1:] + [b"BDAT 15 LAST\r\nSubject: y\r\n\r\nx", "BDAT", "BDAT x", "BDAT 5 BOGUS", "RSET"] + RCPT[1:]
            + [b"BDAT 4\r\nSubj", "DATA", "RSET", b"BDAT 4\r\nabcd", b"BDAT 4 LAST\r\nabcd", "NOOP", "QUIT"],
    "pipelining": [("EHLO client.example.org",), ("MAIL FROM:<user01@peer.test>", "RCPT TO:<nobody@peer.test>", "RCPT TO:<user02@peer.test>", "DATA"), b"Subject: x\r\n\r\n.\r\n", ("RSET", "NOOP", "VRFY user01@peer.test", "QUIT")],
    "utf8": HELLO + ["MAIL FROM:<user01@peer.test> SMTPUTF8", "RCPT TO:<사용자@peer.test>", "RCPT TO:<user02@한국.test>", "RSET", "MAIL FROM:<user01@peer.test>", "RCPT TO:<사용자@peer.test>", "VRFY 사용자@peer.test SMTPUTF8", "VRFY user01@peer.test SMTPUTF8", "QUIT"],
    "errors": HELLO + ["AUTH PLAIN", "STARTTLS", "ETRN peer.test", "ETRN", "ETRN #x", "X" * 600, "NOOP " + "y" * 3000, "GET / HTTP/1.0"],
}

# (conversation, command): why we answer otherwise on purpose.
DIFFERENT = {
    ("greetings", "HELP"): "RFC 5321 4.5.1 wants HELP answered",
    ("greetings", "EXPN list"): "RFC 5321 4.2.4: 502 for a command that is known and not implemented",
    ("senders", "MAIL FROM:<@peer.test>"): "RFC 5321 4.1.2: a mailbox has a local part",
    ("senders", "MAIL FROM:<a@b@peer.test>"): "RFC 5321 4.1.2: an unquoted @ is no local part",
    ("senders", "MAIL FROM:user01@peer.test>"): "RFC 5321 4.1.2: a bracket that was never opened",
    ("senders", "MAIL FROM:<김@peer.test>"): "RFC 6531 3.5: UTF-8 needs SMTPUTF8",
    ("utf8", "RCPT TO:<사용자@peer.test>"): "RFC 6531 3.5: UTF-8 needs SMTPUTF8",
}


class Wire:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.data = b""
        self.reply()

    def reply(self):
        lines = []
        while True:
            while b"\r\n" not in self.data:
                try:
                    got = self.socket.recv(65536)
                except OSError:
                    got = b""
                if not got:
                    return lines + ["<closed>"]
                self.data += got
            line, self.data = self.data.split(b"\r\n", 1)
            lines.append(normal(line.decode(errors="backslashreplace")))
            if line[3:4] != b"-":
                return lines

    def say(self, what):
        try:
            if isinstance(what, tuple):
                self.socket.sendall("".join(line + "\r\n" for line in what).encode())
                return [self.reply() for _ in what]
            self.socket.sendall(what if isinstance(what, bytes) else what.encode() + b"\r\n")
        except OSError:
            return ["<closed>"]
        return self.reply()


def normal(text):
    text = re.sub(r"queued as \w+", "queued as ID", text)
    text = text.replace("mail.example.com", "HOST").replace("mx.peer.test", "HOST")
    text = re.sub(r"\bProceed|See https?://\S+", "", text)
    return text


def test_the_same_replies():
    wanted = sys.argv[1:] or list(CONVERSATIONS)
    common = "smtpd_forbid_bare_newline = normalize\nsmtpd_forbid_bare_newline_exclusions =\nsmtpd_error_sleep_time = 0\nsmtpd_hard_error_limit = 500\nsmtpd_soft_error_limit = 400\nsmtpd_relay_restrictions = reject_unauth_destination\nsmtpd_junk_command_limit = 500\nrecipient_delimiter = +\n"
    with PostfixPeer(common) as postfix:
        ours = "virtual_mailbox_domains = peer.test\nvirtual_mailbox_maps = inline:{ user01@peer.test=user01/, user02@peer.test=user02/ }\nmydestination =\nlocal_recipient_maps =\n"
        with Postcot(main_cf=common + ours + "smtpd_tls_security_level = none\n") as server:
            different = 0
            for name in wanted:
                theirs, mine = Wire(postfix.port), Wire(server.smtp)
                for command in CONVERSATIONS[name]:
                    expected, got = theirs.say(command), mine.say(command)
                    if isinstance(command, str) and command.upper().startswith("EHLO"):
                        expected, got = sorted(line[4:] for line in expected), sorted(line[4:] for line in got)
                    if expected != got and (name, command) not in DIFFERENT:
                        different += 1
                        print(f"--- {name}: {command!r:.200}\n    postfix: {expected}\n    postcot: {got}")
            assert not different, f"{different} commands are answered otherwise than by Postfix"


main(test_the_same_replies)

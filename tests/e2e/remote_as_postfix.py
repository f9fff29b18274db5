"""What the SMTP and LMTP client says to a server, beside Debian's Postfix with the same letters: 8-bit text for servers without 8BITMIME, BODY=, DSN
parameters, flags= of smtp and lmtp services."""
import email
import re
import smtplib

from _peers import PostfixPeer
from _sink import Sink
from harness import Postcot, main, wait_until

KIM = "김".encode()
PLAIN = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
LETTERS = {
    "plain": PLAIN + b"\r\n" + KIM + b" a \r\n.dot =3D\r\n" + KIM * 100 + b"\r\n",
    "multipart": b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\npre\r\n--b\r\n" + PLAIN + b"\r\n" + KIM
                 + b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nascii = \r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n" + PLAIN + b"\r\n" + KIM + b"\r\n--b--\r\nend\r\n",
    "signed": b"MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s; protocol=\"application/pgp-signature\"\r\n\r\n--s\r\n" + PLAIN + b"\r\n" + KIM
              + b"\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n",
    "binary": b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff\xfe\x01\r\n",
    "ascii": b"\r\nonly ascii = \r\n",
}
DSN = [("to@far.test", ["RET=HDRS", "ENVID=e+2B1"], ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;o+2Bp@x.test"]), ("to@far.test", ["BODY=7BIT"], []), ("al@far.test", ["RET=FULL"], ["NOTIFY=NEVER"]),
       ("a+b=c@far.test", ["BODY=8BITMIME"], []), ('"a b"@far.test', [], [])]
COMMON = "virtual_alias_maps = inline:{ {al@far.test = zz@far.test} }\nrelay_domains = far.test\nlmtp_destination_recipient_limit = 1\n"


def letter(subject, rest):
    return b"From: a@b.test\r\nSubject: " + subject.encode() + b"\r\nMessage-Id: <x@b.test>\r\nDate: Fri, 27 Nov 2026 15:00:00 +0000\r\n" + rest


def leaves(content):
    return [(part.get_content_type(), part.get_payload(decode=True).replace(b"\r\n", b"\n")) for part in email.message_from_bytes(content).walk() if not part.is_multipart()]


def carried(server_of, port_of, keywords, settings, send):
    """What a sink with these EHLO keywords was given."""
    with_sink = Sink(keywords=keywords)
    with server_of(main_cf=COMMON + f"relayhost = [127.0.0.1]:{with_sink.port}\n" + settings(with_sink)) as server:
        with smtplib.SMTP("127.0.0.1", port_of(server), timeout=30) as client:
            count = send(client)
        wait_until(lambda: sum(not sender.startswith("<>") for sender, _, _ in list(with_sink.taken)) >= count, f"{count} letters at the sink", 30)
    with_sink.shutdown()
    return with_sink.taken


def both(keywords, send, settings=lambda sink: ""):
    theirs = carried(PostfixPeer, lambda peer: peer.port, keywords, settings, send)
    ours = carried(Postcot, lambda server: server.smtp, keywords, lambda sink: settings(sink) + "smtp_tls_security_level = none\nsmtpd_tls_security_level = none\n", send)
    return theirs, ours


def send_letters(client):
    for name, rest in LETTERS.items():
        client.sendmail("a@b.test", ["to@far.test"], letter(name, rest))
    return len(LETTERS)


def by_subject(taken):
    return {re.search(rb"^Subject: (.*)$", content, re.M)[1].decode(): (sender, content) for sender, _, content in taken}


def test_eight_bit_letters_are_converted_as_postfix_does():
    theirs, ours = map(by_subject, both(("PIPELINING", "DSN"), send_letters))
    for name in LETTERS:
        assert all(octet < 128 for octet in ours[name][1]), (name, ours[name])
        assert leaves(ours[name][1]) == leaves(theirs[name][1]) == leaves(letter(name, LETTERS[name])), (name, ours[name][1], theirs[name][1])
        encodings = [re.findall(rb"(?i)^content-transfer-encoding: *(\S+)", taken[name][1], re.M) for taken in (theirs, ours)]
        assert encodings[0] == encodings[1], (name, encodings)


def test_eight_bit_letters_go_as_they_are_where_they_may():
    def bare(content):
        return content[content.index(b"From: a@b.test"):]
    theirs, ours = map(by_subject, both(("8BITMIME", "PIPELINING"), send_letters))
    for name in LETTERS:
        wanted = letter(name, LETTERS[name]).replace(b"\r\n", b"\n")
        assert bare(ours[name][1]) == wanted, (name, ours[name][1])
        # Postfix believes the labels; who looks at the text itself says it for the part in "signed", too.
        assert ("BODY=8BITMIME" in ours[name][0]) == (name != "ascii"), (name, ours[name][0])
        assert name == "signed" or ("BODY=8BITMIME" in theirs[name][0]) == ("BODY=8BITMIME" in ours[name][0]), (name, theirs[name][0])
    taken = carried(Postcot, lambda server: server.smtp, ("PIPELINING",), lambda sink: "disable_mime_output_conversion = yes\nsmtpd_tls_security_level = none\n", send_letters)
    assert KIM in by_subject(taken)["plain"][1]


def test_text_that_nobody_labelled_is_labelled():
    def send(client):
        client.sendmail("a@b.test", ["to@far.test"], letter("bare", b"\r\n" + KIM + b"\r\n"))
        return 1
    (_, _, content), = carried(Postcot, lambda server: server.smtp, (), lambda sink: "smtpd_tls_security_level = none\n", send)
    message = email.message_from_bytes(content)
    assert message["MIME-Version"] == "1.0" and message.get_content_charset() == "unknown-8bit" and message.get_payload(decode=True) == KIM + b"\n", content


def test_dsn_parameters():
    def send(client):
        for to, mail, rcpt in DSN:
            client.ehlo_or_helo_if_needed()
            assert client.mail("a@b.test", mail)[0] == 250 and client.rcpt(to, rcpt)[0] == 250, (to, mail, rcpt)
            client.data(letter("x", b"\r\nx\r\n"))
        return len(DSN)

    def commands(taken):
        # Without the report of success, which may have come by then.
        return sorted((re.sub(r" SIZE=\d+", "", sender), tuple(recipients)) for sender, recipients, _ in taken if not sender.startswith("<>"))
    for keywords in (("DSN", "8BITMIME"), ("8BITMIME",)):
        theirs, ours = map(commands, both(keywords, send))
        assert theirs == ours, f"postfix {theirs}\npostcot {ours}"


def test_flags_put_fields_in_front():
    def send(client):
        for to in ("to@far.test", "al@far.test"):
            client.sendmail("a@b.test", [to], letter(to, b"\r\nx\r\n"))
        return 2

    def fields(taken):
        return sorted(re.findall(rb"(?m)^(?:Return-Path|X-Original-To|Delivered-To): .*$", content.split(b"\n\n")[0]) for _, _, content in taken)

    def run(peer, port, program, flags):
        def start(main_cf):
            made = peer(main_cf=main_cf, start=False) if peer is Postcot else peer(main_cf=main_cf)
            with open((made.etc / "postfix" if peer is Postcot else made.etc) / "master.cf", "a") as file:
                file.write(f"flagged unix - - n - - {program} flags={flags}\n")
            if peer is Postcot:
                made.start()
            return made
        settings = "flagged_destination_recipient_limit = 1\n" + ("smtp_tls_security_level = none\nsmtpd_tls_security_level = none\n" if peer is Postcot else "")
        return fields(carried(start, port, ("PIPELINING",), lambda sink: settings + f"relay_transport = flagged:inet:127.0.0.1:{sink.port}\n" if program == "lmtp" else settings + f"relay_transport = flagged:[127.0.0.1]:{sink.port}\n", send))
    for program, flags in (("smtp", "DORX"), ("lmtp", "DO"), ("smtp", "R")):
        theirs = run(PostfixPeer, lambda peer: peer.port, program, flags)
        ours = run(Postcot, lambda server: server.smtp, program, flags)
        assert theirs == ours and theirs[0], (program, flags, theirs, ours)


main(test_eight_bit_letters_are_converted_as_postfix_does, test_eight_bit_letters_go_as_they_are_where_they_may, test_text_that_nobody_labelled_is_labelled, test_dsn_parameters, test_flags_put_fields_in_front)

"""Mail to and from another MTA: Debian's Postfix as next hop with STARTTLS, bounces, a peer that is down and comes back, and never an open relay."""
import email
import email.policy
import json
import re
import smtplib

from _peers import PostfixPeer
from harness import BIN, Postcot, free_port, main, run

LETTER = b"From: user01@example.com\nTo: user01@peer.test\nSubject: over there\n\n.dot\nbody\n"


def read(path):
    with open(path, "rb") as file:
        return email.message_from_binary_file(file, policy=email.policy.default)


def test_a_letter_reaches_postfix_through_relayhost():
    with PostfixPeer() as peer, Postcot(main_cf=f"relayhost = [127.0.0.1]:{peer.port}\n") as server:
        server.sendmail("-f", "user01@example.com", "user01@peer.test", data=LETTER)
        path = peer.wait_for_mail("user01", 1)[0]
        assert path.read_bytes().endswith(b"\n\n.dot\nbody\n")
        server.wait_for_log(rf"to=<user01@peer.test>, relay=127.0.0.1\[127.0.0.1\]:{peer.port}, .*dsn=2.0.0, status=sent \(250 2.0.0 Ok: queued as \w+\)")
        server.wait_for_empty_queue()


def test_starttls_is_used_when_offered():
    with Postcot(start=False) as keys:
        cert = keys.state / "etc/tls"
        tls = f"smtpd_tls_cert_file = {cert}/cert.pem\nsmtpd_tls_key_file = {cert}/key.pem\nsmtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n"
        with PostfixPeer(main_cf=tls) as peer, Postcot(main_cf=f"relayhost = [127.0.0.1]:{peer.port}\n") as server:
            server.sendmail("-f", "user01@example.com", "user01@peer.test", data=LETTER)
            peer.wait_for_mail("user01", 1)
            assert re.search(r"Anonymous TLS connection established from .*TLSv1.3", peer.log()), peer.log()


def test_an_unknown_user_over_there_comes_back_as_a_readable_bounce():
    with PostfixPeer() as peer, Postcot(main_cf=f"relayhost = [127.0.0.1]:{peer.port}\n") as server:
        server.sendmail("-f", "user01@example.com", "nobody.here@peer.test", data=LETTER)
        bounce = read(server.wait_for_mail("user01", 1)[0])
        assert bounce.get_content_type() == "multipart/report" and bounce.get_param("report-type") == "delivery-status"
        assert bounce["Return-Path"] == "<>" and "MAILER-DAEMON@example.com" in bounce["From"]
        assert bounce["Subject"] == "Undelivered Mail Returned to Sender"
        text, status, original = bounce.get_payload()
        assert "This is the mail system at host mail.example.com." in text.get_content()
        assert "550 5.1.1" in text.get_content()
        fields = status.get_payload()[1]
        assert fields["Final-Recipient"] == "rfc822; nobody.here@peer.test"
        assert fields["Action"] == "failed" and fields["Status"] == "5.1.1"
        assert fields["Diagnostic-Code"].startswith("smtp; 550 5.1.1")
        assert original.get_payload()[0]["Subject"] == "over there"
        server.wait_for_log(r"sender non-delivery notification: \w+")
        server.wait_for_empty_queue()


def test_mail_waits_while_the_peer_is_down_and_leaves_when_it_returns():
    port = free_port()
    with Postcot(main_cf=f"relayhost = [127.0.0.1]:{port}\nminimal_backoff_time = 2s\nqueue_run_delay = 1s\nmaximal_backoff_time = 4s\n") as server:
        server.sendmail("-f", "user01@example.com", "user01@peer.test", data=LETTER)
        server.wait_for_log(rf"status=deferred \(connect to 127.0.0.1\[127.0.0.1\]:{port}: Connection refused\)")
        shown = server.tool("postqueue", "-p").stdout.decode()
        assert "user01@peer.test" in shown and "Connection refused" in shown and "in 1 Request." in shown, shown
        entry = json.loads(server.tool("postqueue", "-j").stdout.splitlines()[0])
        assert entry["queue_name"] in ("deferred", "active") and entry["recipients"][0]["address"] == "user01@peer.test"
        with PostfixPeer() as peer:
            server.tool("postconf", "-e", f"relayhost = [127.0.0.1]:{peer.port}")
            run(BIN / "postcot", "reload", "-c", server.etc)
            server.tool("postqueue", "-f")
            peer.wait_for_mail("user01", 1)
            server.wait_for_empty_queue()


def test_postfix_delivers_to_us():
    with Postcot() as server:
        with PostfixPeer(main_cf=f"relayhost = [127.0.0.1]:{server.smtp}\nsmtp_tls_security_level = may\n") as peer:
            client = smtplib.SMTP("127.0.0.1", peer.port, timeout=30)
            client.sendmail("user01@peer.test", ["user02@example.com", "user01@example.com"], LETTER.replace(b"\n", b"\r\n"))
            client.quit()
            server.wait_for_mail("user02", 1)
            server.wait_for_mail("user01", 1)
            server.wait_for_log(r"connect from ")
            assert "with ESMTPS" in open(server.messages("user02")[0]).read()


def test_strangers_are_denied_relaying():
    with Postcot(main_cf="mynetworks = 192.0.2.0/24\n") as server:
        client = server.smtp_client()
        client.ehlo("stranger.test")
        client.mail("a@stranger.test")
        for address in ("user01@peer.test", "user01%peer.test@example.com", "@example.com:user01@peer.test", '"user01@peer.test"@example.com', "peer.test!user01",
                        "user01@[192.0.2.1]", '"user01@peer.test"'):
            code, text = client.rcpt(address)
            assert code >= 400, (address, code, text)
        code, text = client.rcpt("user01@peer.test")
        assert (code, text) == (454, b"4.7.1 <user01@peer.test>: Relay access denied"), (code, text)
        assert client.rcpt("user02@example.com")[0] == 250
        client.quit()


main(test_a_letter_reaches_postfix_through_relayhost, test_starttls_is_used_when_offered, test_an_unknown_user_over_there_comes_back_as_a_readable_bounce,
     test_mail_waits_while_the_peer_is_down_and_leaves_when_it_returns, test_postfix_delivers_to_us, test_strangers_are_denied_relaying)

"""Mail that nothing here can take waits in the queue with the reason, is never bounced and never lost, and `postcot check` names it before it waits; cleanup
services and their settings do what they do in Postfix."""
import smtplib

from _peers import PostfixPeer
from harness import BIN, Postcot, main, run, wait_until

LETTER = b"From: user01@example.com\nSubject: waits\n\nbody\n"
# settings, what the queue says, what the check says
UNSERVED = [("virtual_transport = lmtp:unix:private/dovecot-lmtp\n", "private/dovecot-lmtp]: No such file or directory", "private/dovecot-lmtp is not there"),
            ("virtual_transport = dovecot\n", "mail transport unavailable", "no service dovecot in master.cf"),
            ("content_filter = smtp-amavis:[127.0.0.1]:10024\n", "mail transport unavailable", "no service smtp-amavis in master.cf"),
            ("local_transport = local\nmydestination = $myhostname, example.com\nvirtual_mailbox_domains =\nlocal_recipient_maps =\nmailbox_transport = lmtp:unix:private/none\n", "No such file or directory", "private/none is not there")]


def test_mail_without_a_way_waits_with_the_reason():
    for settings, why, said in UNSERVED:
        with Postcot(users=2, main_cf=settings) as server:
            check = run(BIN / "postcot", "check", "-c", server.etc, check=False)
            shown = (check.stdout + check.stderr).decode()
            assert said in shown and "waits in the queue" in shown, (settings, shown)
            assert said in server.log(), settings
            with smtplib.SMTP("127.0.0.1", server.smtp, timeout=30) as client:
                client.sendmail("user01@example.com", ["user02@example.com"], LETTER)
            wait_until(lambda: why in server.tool("postqueue", "-p").stdout.decode(), f"{why} in the queue", 20)
            assert not server.messages("user01") and "status=bounced" not in server.log(), settings


CLEANUP = """subcleanup unix n - n - 0 cleanup
  -o always_bcc=user02@DOMAIN
  -o syslog_name=postfix/sub
  -o virtual_alias_maps=inline:{{alias@DOMAIN=user01@DOMAIN}}
"""


def test_cleanup_services_have_their_settings():
    def went(port, domain, wait):
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            client.sendmail("s@far.example", [f"alias@{domain}"], b"Subject: x\r\n\r\nx\r\n")
        wait("user01", 1)
        wait("user02", 1)
    # As in Postfix, smtpd's own recipient check does not know the maps of its cleanup service.
    common = "smtpd_reject_unlisted_recipient = no\ncleanup_service_name = subcleanup\n"
    with PostfixPeer(main_cf=common) as peer:
        with open(peer.etc / "master.cf", "a") as file:
            file.write(CLEANUP.replace("DOMAIN", "peer.test"))
        run("postfix", "-c", peer.etc, "reload")
        went(peer.port, "peer.test", peer.wait_for_mail)
        assert "postfix/sub/cleanup" in peer.log()
    with Postcot(users=2, main_cf=common, master_cf=CLEANUP.replace("DOMAIN", "example.com")) as server:
        went(server.smtp, "example.com", server.wait_for_mail)
        assert "postfix/sub/cleanup" in server.log()
        server.sendmail("-f", "s@far.example", "alias@example.com", data=LETTER)   # pickup's, too
        server.wait_for_mail("user01", 2)
        server.wait_for_mail("user02", 2)


def test_pickup_has_its_own_settings():
    with Postcot(users=2, main_cf="header_checks = regexp:{{/^X/ REJECT}}\n", master_cf="pickup unix n - n 60 1 pickup\n  -o receive_override_options=no_header_body_checks\n") as server:
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=LETTER)
        server.wait_for_mail("user02", 1)


def test_a_cleanup_service_that_is_not_there_keeps_mail_out():
    with Postcot(users=2, main_cf="cleanup_service_name = nosuch\n") as server:
        check = run(BIN / "postcot", "check", "-c", server.etc, check=False)
        assert b"no service nosuch in master.cf" in check.stdout + check.stderr
        with smtplib.SMTP("127.0.0.1", server.smtp, timeout=30) as client:
            client.ehlo("c.example")
            client.mail("s@far.example")
            assert client.rcpt("user01@example.com") == (451, b"4.3.0 Error: queue file write error")


main(test_mail_without_a_way_waits_with_the_reason, test_cleanup_services_have_their_settings, test_pickup_has_its_own_settings, test_a_cleanup_service_that_is_not_there_keeps_mail_out)

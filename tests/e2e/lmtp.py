"""Mail into a real Dovecot over LMTP on a Unix socket: virtual_transport for hosted domains, mailbox_transport for local users."""
import os
import pathlib

from _peers import DovecotPeer, dovecot_version, need_root
from harness import Postcot, main, need, wait_until

UID = 12345
LETTER = b"From: user01@example.com\nSubject: over LMTP\n\n.dot\nbody\n"


def peer(*users):
    need_root()
    need("dovecot")
    two_four = dovecot_version() >= (2, 4)
    name, mail = ("%{user | username}", "mail_path = ") if two_four else ("%n", "mail_location = maildir:")
    dovecot = DovecotPeer({user: ("x", UID, UID, "/dev/null") for user in users},
                          conf=f"protocols = lmtp\nauth_username_format = {name}\n{mail}%{{env:MAILS}}/{name}\n")
    mails = dovecot.root / "mails"
    mails.mkdir()
    os.chown(mails, UID, UID)
    dovecot.conf.write_text(dovecot.conf.read_text().replace("%{env:MAILS}", str(mails)))
    return dovecot, mails


def received(mails, user):
    new = pathlib.Path(mails) / user / "new"
    return list(new.iterdir()) if new.is_dir() else []


def test_hosted_domains_and_each_recipients_own_reply():
    dovecot, mails = peer("user01", "user02")
    with dovecot, Postcot(main_cf=f"virtual_transport = lmtp:unix:{dovecot.root}/run/lmtp\n"
                          "virtual_mailbox_maps = static:x\nlmtp_destination_recipient_limit = 50\n") as server:
        server.sendmail("-f", "user01@example.com", "user01@example.com", "user02@example.com", "stranger@example.com", data=LETTER)
        for user in ("user01", "user02"):
            wait_until(lambda user=user: len(received(mails, user)) >= 1, f"a message for {user}")
        text = received(mails, "user02")[0].read_bytes()
        assert text.endswith(b"\n\n.dot\nbody\n"), text
        server.wait_for_log(rf"postfix/lmtp\[\d+\]: \w+: to=<user02@example.com>, relay=mail.example.com\[{dovecot.root}/run/lmtp\], .*status=sent \(250 2.0.0")
        server.wait_for_log(r"to=<stranger@example.com>, .*dsn=5.1.1, status=bounced \(host mail.example.com\[.*\] said: 550 5.1.1 .* \(in reply to RCPT TO command\)\)")


def test_local_users_through_mailbox_transport():
    dovecot, mails = peer("daemon")
    with dovecot, Postcot(main_cf=f"myorigin = $myhostname\nmydestination = $myhostname\nmailbox_transport = lmtp:unix:{dovecot.root}/run/lmtp\n") as server:
        server.sendmail("-f", "user01@example.com", "daemon@mail.example.com", data=LETTER)
        wait_until(lambda: len(received(mails, "daemon")) >= 1, "a message for daemon")
        server.wait_for_log(r"postfix/lmtp\[\d+\]: \w+: to=<daemon@mail.example.com>, .*status=sent \(250 2.0.0")


main(test_hosted_domains_and_each_recipients_own_reply, test_local_users_through_mailbox_transport)

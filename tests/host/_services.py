"""systemctl per service on mail.example.com: what each one's absence means, and that systemd brings a killed one back."""
import imaplib
import poplib
import smtplib

from _hosts import wait_until
from _peer import letter, send
from _setup import PASSWORDS

UNITS = {"postcot-smtpd": 25, "postcot-queued": None, "postcot-authd": None, "postcot-imapd": 143, "postcot-pop3d": 110}


class Services:
    def __init__(self, mail, peer):
        self.mail, self.peer = mail, peer

    def main_pid(self, unit):
        return int(self.mail.run("systemctl", "show", "-p", "MainPID", "--value", unit).stdout)

    def login(self):
        """A mail user of both protocols, from this side of the bridge."""
        client = imaplib.IMAP4(self.mail.address4, timeout=20)
        client.login("user02", PASSWORDS["user02"])
        client.select("INBOX", readonly=True)
        client.logout()
        client = poplib.POP3(self.mail.address4, timeout=20)
        client.user("user02")
        client.pass_(PASSWORDS["user02"])
        client.quit()

    def imapd_stopped(self):
        """No mail client is served, and all mail still comes in."""
        self.mail.run("systemctl", "stop", "postcot-imapd")
        try:
            imaplib.IMAP4(self.mail.address4, timeout=20)
            raise AssertionError("port 143 is served by a stopped imapd")
        except ConnectionRefusedError:
            pass
        send(self.peer, "bob", "user01@example.com", "without imapd")
        letter(self.mail, "user01", "without imapd")
        self.mail.run("systemctl", "start", "postcot-imapd")
        self.login()

    def queued_stopped(self):
        """sendmail takes mail with nobody to deliver it; so does an SMTP client's server: come back later, and nothing is lost."""
        self.mail.run("systemctl", "stop", "postcot-queued")
        assert self.mail.run("systemctl", "is-active", "postcot-smtpd").stdout == "active\n"
        send(self.mail, "user01", "user02@example.com", "without queued")
        with smtplib.SMTP(self.mail.address4, timeout=60) as client:
            client.ehlo("mx.other.test")
            try:
                client.sendmail("bob@other.test", ["user02@example.com"], b"Subject: refused\r\n\r\n")
                raise AssertionError("smtpd took mail that nobody keeps")
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
                code = next(iter(error.recipients.values()))[0] if isinstance(error, smtplib.SMTPRecipientsRefused) else error.smtp_code
                assert 400 <= code < 500, error
        self.mail.run("systemctl", "start", "postcot-queued")
        letter(self.mail, "user02", "without queued")

    def authd_stopped(self):
        """Logins fail as temporary failures do, not as wrong passwords; they work again after the start."""
        self.mail.run("systemctl", "stop", "postcot-authd")
        client = imaplib.IMAP4(self.mail.address4, timeout=60)
        try:
            client.login("user02", PASSWORDS["user02"])
            raise AssertionError("a login without authd")
        except imaplib.IMAP4.error as error:
            assert "AUTHENTICATIONFAILED" not in str(error), error
        send(self.peer, "bob", "user02@example.com", "without authd")
        letter(self.mail, "user02", "without authd")
        self.mail.run("systemctl", "start", "postcot-authd")
        self.mail.run("systemctl", "start", "dovecot")
        self.mail.wait_for_port(143)
        self.login()

    def killed(self):
        """kill -9 each; systemd starts it again and everything works."""
        for unit, port in UNITS.items():
            before = self.main_pid(unit)
            assert before > 0, unit
            self.mail.run("kill", "-9", before)
            wait_until(lambda unit=unit, before=before: self.main_pid(unit) not in (0, before), f"{unit} is back", 30, 0.1)
            self.mail.wait_for_unit(unit)
            if port:
                self.mail.wait_for_port(port)
        self.login()
        send(self.peer, "bob", "user02@example.com", "after the kills")
        letter(self.mail, "user02", "after the kills", 60)
        send(self.mail, "user02", "bob@other.test", "after the kills")
        letter(self.peer, "bob", "after the kills", 60)
        assert not self.mail.run("systemctl", "--failed", "--no-legend", "--plain").stdout

    def grouped(self):
        """postfix and dovecot act on all of theirs, and mail.log has what Postfix's postfix-script and master(8) say then."""
        after = len(self.mail.log())
        for group, units in (("postfix", ("postcot-smtpd", "postcot-queued")), ("dovecot", ("postcot-authd", "postcot-imapd", "postcot-pop3d"))):
            for action, state in (("stop", "inactive"), ("start", "active"), ("restart", "active")):
                before = [self.main_pid(unit) for unit in units]
                self.mail.run("systemctl", action, group)
                for unit in units:
                    self.mail.wait_for_unit(unit, state)
                if action == "restart":
                    assert not set(before) & {self.main_pid(unit) for unit in units}, f"{group} was not restarted"
            before = [self.main_pid(unit) for unit in units]
            self.mail.run("systemctl", "reload", group)
            assert before == [self.main_pid(unit) for unit in units], f"reload {group} restarted"
        for line in (r"postfix/postfix-script\[\d+\]: stopping the Postfix mail system", r"postfix/master\[\d+\]: terminating on signal 15",
                     r"postfix/postfix-script\[\d+\]: starting the Postfix mail system", r"postfix/master\[\d+\]: daemon started -- version 3\.\d",
                     r"postfix/postfix-script\[\d+\]: refreshing the Postfix mail system", r"postfix/master\[\d+\]: reload -- version 3\.\d"):
            self.mail.wait_for_log(line, after=after)
        self.login()

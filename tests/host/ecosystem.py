#!/usr/bin/env python3
"""What others read of a host's mail.log: the stock filters of fail2ban, pflogsumm and logwatch, with a traffic whose numbers are known.
The stock clients (neomutt, s-nail, msmtp, getmail6, isync, offlineimap3, imapfilter) and Thunderbird's questions are in tests/e2e/clients.py and readers.py."""
import contextlib
import imaplib
import poplib
import re
import smtplib

from _hosts import Lab, main, our_packages
from _peer import letter, send
from _setup import Guide

READERS = ["fail2ban", "pflogsumm", "logwatch"]


class Ecosystem:
    def __init__(self, mail):
        self.mail = mail

    def submission_takes_logins(self):
        """As Debian's documentation says it: the listener in 10-master.conf, and three settings."""
        self.mail.sh("sed -i '/#unix_listener .*private.auth {/,/#}/ s/#//' /etc/dovecot/conf.d/10-master.conf")
        self.mail.sh("postconf -e smtpd_sasl_type=dovecot smtpd_sasl_path=private/auth smtpd_sasl_auth_enable=yes 'transport_maps=inline:{ {bounce.test=error:5.1.1 nobody}, {far.test=smtp:[192.0.2.99]} }'")
        self.mail.sh("systemctl restart dovecot postfix")
        for port in (25, 143, 110):
            self.mail.wait_for_port(port)

    def traffic(self):
        """Six messages from here: four delivered, one returned, one waiting; two strangers refused; and wrong passwords."""
        for number in range(4):
            send(self.mail, "user01", "user02@example.com", f"letter {number}")
            letter(self.mail, "user02", f"letter {number}")
        send(self.mail, "user01", "someone@far.test", "waits")
        self.mail.wait_for_log(r"to=<someone@far\.test>, .*status=deferred", 60)
        send(self.mail, "user01", "no@bounce.test", "returned")
        letter(self.mail, "user01", "Undelivered Mail Returned to Sender")
        with smtplib.SMTP(self.mail.address4, timeout=30) as client:
            client.ehlo("mx.other.test")
            client.mail("a@other.test")
            for _ in range(2):
                assert client.rcpt("nosuchuser@example.com")[0] == 550
        client = smtplib.SMTP(self.mail.address4, timeout=60)
        client.ehlo("mx.other.test")
        for method in ("PLAIN", "LOGIN"):
            client.user, client.password = "user02", "wrong"
            try:
                client.auth(method, getattr(client, f"auth_{method.lower()}"))
                raise AssertionError("a wrong password was right")
            except smtplib.SMTPAuthenticationError as error:
                assert error.smtp_code == 535, error
        client.close()
        client = imaplib.IMAP4(self.mail.address4, timeout=60)
        with contextlib.suppress(imaplib.IMAP4.error):
            client.login("user02", "wrong")
            raise AssertionError("a wrong password was right")
        client.shutdown()
        client = poplib.POP3(self.mail.address4, timeout=60)
        client.user("user02")
        with contextlib.suppress(poplib.error_proto):
            client.pass_("wrong")
            raise AssertionError("a wrong password was right")
        client.close()
        for name in ("imap", "pop3"):
            self.mail.wait_for_log(rf"{name}-login: .*\(auth failed")

    def install_readers(self):
        self.mail.sh(f"apt-get update && apt-get install -y {' '.join(READERS)}", timeout=300)

    def matched(self, name):
        said = self.mail.run("fail2ban-regex", "/var/log/mail.log", name, timeout=120).stdout
        return int(re.search(r"Lines: .* (\d+) matched", said)[1])

    def fail2ban(self):
        assert self.matched("postfix") == 2, "the refused recipients"
        assert self.matched("postfix[mode=auth]") == 2, "the wrong passwords over SMTP"
        assert self.matched("dovecot") == 2, "the wrong passwords over IMAP and POP3"

    def pflogsumm(self):
        summary = self.mail.run("pflogsumm", "/var/log/mail.log").stdout
        grand = {what: int(number) for number, what in re.findall(r"^ +(\d+) +(received|delivered|forwarded|deferred|bounced|rejected)\b", summary, re.M)}
        assert grand == {"received": 6, "delivered": 5, "forwarded": 0, "deferred": 1, "bounced": 1, "rejected": 2}, summary[:2000]

    def logwatch(self):
        report = self.mail.run("logwatch", "--range", "all", "--detail", "10", "--service", "postfix", "--service", "dovecot", "--output", "stdout", timeout=120).stdout
        counts = {what.strip(): int(number) for number, what in re.findall(r"^ *(\d+)   (\S.*?)  ", report, re.M)}
        expected = {"Accepted": 6, "Rejected": 2, "Delivered": 5, "Deferred": 1, "Bounced (local)": 1, "5xx Reject unknown user": 2, "SASL authentication failed": 2}
        assert {what: counts.get(what) for what in expected} == expected, report[:5000]
        assert "Unmatched" not in report, report


packages = our_packages()
with Lab(repository=["mailutils", *READERS, *packages]) as lab:
    lab.start_dns()
    mail = lab.host("mail.example.com")
    guide, ecosystem = Guide(mail), Ecosystem(mail)
    main(guide.name_the_host, guide.install_mail, guide.configure_postfix, guide.configure_dovecot, guide.users,
         ecosystem.submission_takes_logins, ecosystem.traffic, ecosystem.install_readers, ecosystem.fail2ban, ecosystem.pflogsumm, ecosystem.logwatch)

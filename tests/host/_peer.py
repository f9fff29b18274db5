"""mx.other.test: Debian's own Postfix and Dovecot, and the mail between it and mail.example.com."""
import email
import email.policy
import re

from _hosts import wait_until
from _setup import PASSWORDS

PACKAGES = ["postfix", "dovecot-imapd", "dovecot-pop3d", "mailutils", "swaks", "libnet-ssleay-perl", "ssl-cert", "ufw"]
MAIL4, PEER4 = "192.0.2.25", "192.0.2.26"
PEER = r"mx\.other\.test\[[0-9a-f.:]+\]:25"


def start(lab):
    peer = lab.host("mx.other.test", PACKAGES)
    for setting in ("myhostname=mx.other.test", "mydestination=$myhostname, other.test, localhost", "myorigin=other.test", "home_mailbox=Maildir/", "mailbox_command=",
                    "inet_interfaces=all", "inet_protocols=all", "relayhost=", "smtp_tls_security_level=may", "smtpd_tls_security_level=may",
                    "smtpd_tls_received_header=yes", "smtp_tls_loglevel=1", "smtpd_tls_loglevel=1", "minimal_backoff_time=5s", "queue_run_delay=5s"):
        peer.run("postconf", "-e", setting)
    peer.sh("adduser --gecos '' --disabled-password bob && newaliases")
    two_four = peer.run("dovecot", "--version").stdout.startswith("2.4")
    if two_four:
        # Debian's own files say mbox in three settings; local.conf cannot take the third back, and empty it means another place for INBOX.
        peer.sh("sed -i 's/^mail_inbox_path/#&/' /etc/dovecot/conf.d/10-mail.conf")
    peer.write("/etc/dovecot/local.conf", "mail_driver = maildir\nmail_path = ~/Maildir\n" if two_four else "mail_location = maildir:~/Maildir\n")
    peer.sh(f"systemctl restart {units(peer)} dovecot")
    peer.wait_for_port(25)
    return peer


def units(peer):
    """Debian 12's postfix.service is a name only; the work is postfix@-'s. On Debian 13 it is postfix.service itself."""
    return "postfix@- postfix" if peer.path("/lib/systemd/system/postfix@.service").exists() and "/bin/true" in peer.read("/lib/systemd/system/postfix.service") else "postfix"


def text_of(message):
    """The body, whether or not its header says that it is UTF-8: mail(1) leaves that out."""
    return message.get_payload(decode=True).decode()


def letters(host, user, folder="Maildir"):
    """The messages in a user's INBOX, as the standard library reads them, oldest first."""
    top = host.path(f"/home/{user}/{folder}")
    files = [file for sub in ("new", "cur") if (top / sub).exists() for file in (top / sub).iterdir()]
    return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in sorted(files, key=lambda file: file.name)]


def letter(host, user, subject, timeout=30.0):
    """The message with this subject, when it has come."""
    def look():
        return [found for found in letters(host, user) if found["Subject"] == subject]
    try:
        return wait_until(look, f"{user} on {host.name} has '{subject}'", timeout, 0.05)[0]
    except AssertionError as error:
        raise AssertionError(f"{error}; there are {[found['Subject'] for found in letters(host, user)]}") from None


def send(host, user, recipient, subject, text="text\n"):
    host.run("mail", "-s", subject, recipient, data=text, user=user)


class Peers:
    """The tests of mail between the two."""

    def __init__(self, mail, peer):
        self.mail, self.peer = mail, peer

    def both_ways_with_starttls(self):
        self.mail.run("postconf", "-e", "smtp_tls_loglevel=1", "smtpd_tls_loglevel=1")
        self.mail.run("systemctl", "restart", "postfix")
        mark = len(self.peer.log())
        send(self.mail, "user01", "bob@other.test", "밖으로 out", "안녕하세요\n")
        there = letter(self.peer, "bob", "밖으로 out")
        assert "안녕하세요" in text_of(there), there
        assert "mail.example.com" in there["Received"] and "using TLSv1.3" in there["Received"], there["Received"]
        self.mail.wait_for_log(rf"postfix/smtp\[\d+\]: Untrusted TLS connection established to {PEER}: TLSv1\.3 with cipher")
        self.mail.wait_for_log(rf"postfix/smtp\[\d+\]: \w+: to=<bob@other\.test>, relay={PEER}, .*dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok: queued as \w+\)")
        self.peer.wait_for_log(r"postfix/smtpd\[\d+\]: connect from mail\.example\.com\[", after=mark)   # our address has its name
        # Dovecot there, with its own eyes.
        read = self.peer.run("doveadm", "fetch", "-u", "bob", "hdr.subject body", "mailbox", "INBOX").stdout
        assert "밖으로 out" in read and "안녕하세요" in read, read

        send(self.peer, "bob", "user01@example.com", "안으로 in", "반갑습니다\n")
        here = letter(self.mail, "user01", "안으로 in")
        assert "반갑습니다" in text_of(here), here
        received = str(here["Received"])
        assert re.search(r"from mx\.other\.test \(mx\.other\.test \[[0-9a-f.:IPv]+\]\)", received), received
        self.mail.wait_for_log(r"postfix/smtpd\[\d+\]: Anonymous TLS connection established from mx\.other\.test\[[0-9a-f.:]+\]: TLSv1\.3")
        self.peer.wait_for_log(r"postfix/smtp\[\d+\]: Untrusted TLS connection established to mail\.example\.com\[[0-9a-f.:]+\]:25: TLSv1\.3")
        self.peer.wait_for_log(r"to=<user01@example\.com>, relay=mail\.example\.com\[[0-9a-f.:]+\]:25, .*status=sent \(250 2\.0\.0 Ok: queued as \w+\)")
        assert self.mail.run("mailq").stdout.strip() == "Mail queue is empty"

    def bounces(self):
        """Ours to our user for a name that the peer refuses, and the peer's to bob for one that we refuse."""
        send(self.mail, "user01", "no-such-user@other.test", "no such user there")
        ours = letter(self.mail, "user01", "Undelivered Mail Returned to Sender")
        self.readable(ours, "no-such-user@other.test", "User unknown in local recipient table", "no such user there", "mail.example.com")
        send(self.peer, "bob", "no-such-user@example.com", "no such user here")
        theirs = letter(self.peer, "bob", "Undelivered Mail Returned to Sender")
        self.readable(theirs, "no-such-user@example.com", "User unknown in local recipient table", "no such user here", "mx.other.test")
        # A domain that does not exist: refused by DNS, not by a server.
        send(self.mail, "user01", "somebody@nowhere.invalid", "no such domain")
        self.mail.wait_for_log(r"to=<somebody@nowhere\.invalid>, relay=none, .*dsn=5\.4\.4, status=bounced \(Host or domain name not found")

    @staticmethod
    def readable(bounce, recipient, reason, subject, reporter):
        """RFC 3464: words for people, fields for programs, and the message or its header."""
        assert bounce.get_content_type() == "multipart/report" and bounce["From"].addresses[0].username == "MAILER-DAEMON", bounce
        words, fields, returned = list(bounce.iter_parts())
        said = " ".join(words.get_content().split())
        assert f"the mail system at host {reporter}." in said and f"<{recipient}>: " in said and reason in said, words.get_content()
        status = fields.get_payload()
        assert status[0]["Reporting-MTA"] == f"dns; {reporter}" and status[1]["Final-Recipient"] == f"rfc822; {recipient}", fields
        assert status[1]["Action"] == "failed" and status[1]["Status"].startswith("5.1.1"), fields
        inner = returned.get_payload(0) if returned.is_multipart() else email.message_from_string(returned.get_content(), policy=email.policy.default)
        assert inner["Subject"] == subject, inner

    def peer_stopped(self):
        """Mail waits, mailq says why, and it leaves by itself when the peer is back."""
        for setting in ("minimal_backoff_time=5s", "maximal_backoff_time=10s", "queue_run_delay=5s"):
            self.mail.run("postconf", "-e", setting)
        self.mail.run("systemctl", "reload", "postfix")
        self.peer.sh(f"systemctl stop {units(self.peer)}")
        mark = len(self.mail.log())
        send(self.mail, "user01", "bob@other.test", "waits")
        found = self.mail.wait_for_log(rf"postfix/smtp\[\d+\]: (\w+): to=<bob@other\.test>, relay=none, .*dsn=4\.4\.1, status=deferred "
                                       rf"\(connect to {PEER}: Connection refused\)", after=mark)
        listed = self.mail.run("mailq").stdout
        assert re.search(rf"^{found.group(1)}\s+\d+ .*user01@mail\.example\.com\n\s*\(connect to {PEER}: Connection refused\)\n\s+bob@other\.test", listed, re.M), listed
        assert re.search(r"^-- \d+ Kbytes in 1 Request\.", listed, re.M), listed
        self.peer.sh(f"systemctl start {units(self.peer)}")
        letter(self.peer, "bob", "waits")
        wait_until(lambda: self.mail.run("mailq").stdout.strip() == "Mail queue is empty", "our queue is empty")

    def relay_access_denied(self):
        mark = len(self.mail.log())
        done = self.peer.run("swaks", "--server", "mail.example.com", "--helo", "mx.other.test", "--from", "bob@other.test", "--to", "somebody@elsewhere.test", check=False)
        assert done.returncode and re.search(r"^<\*\* 454 4\.7\.1 <somebody@elsewhere\.test>: Relay access denied", done.stdout, re.M), done.stdout
        self.mail.wait_for_log(r"postfix/smtpd\[\d+\]: NOQUEUE: reject: RCPT from mx\.other\.test\[[0-9a-f.:]+\]: 454 4\.7\.1 <somebody@elsewhere\.test>: Relay access denied; "
                               r"from=<bob@other\.test> to=<somebody@elsewhere\.test> proto=ESMTP helo=<mx\.other\.test>", after=mark)

    def submission(self):
        """Port 587, which the guide opens: a user away from home sends through us with the system password, and nobody else does."""
        self.mail.sh("sed -i '/^#submission /,/^# *-o smtpd_relay_restrictions/ s/^#//' /etc/postfix/master.cf")
        self.mail.sh("sed -i '/#unix_listener .*private.auth {/,/#}/ s/#//' /etc/dovecot/conf.d/10-master.conf")
        self.mail.sh("systemctl restart dovecot postfix")
        self.mail.wait_for_port(587)
        common = ["swaks", "--server", "mail.example.com:587", "--helo", "laptop.other.test", "--from", "user01@example.com", "--to", "bob@other.test", "--header",
                  "Subject: from away"]
        login = ["--auth", "PLAIN", "--auth-user", "user01", "--auth-password"]
        mark = len(self.mail.log())
        plain = self.peer.run(*common, *login, PASSWORDS["user01"], check=False)
        assert plain.returncode and "Host did not advertise authentication" in plain.stdout + plain.stderr, plain
        wrong = self.peer.run(*common, "--tls", *login, "wrong", check=False)
        assert wrong.returncode and "535 5.7.8 Error: authentication failed" in wrong.stdout, wrong.stdout
        self.mail.wait_for_log(r"postfix/submission/smtpd\[\d+\]: warning: mx\.other\.test\[[0-9a-f.:]+\]: SASL PLAIN authentication failed", after=mark)
        stranger = self.peer.run(*common, "--tls", check=False)
        assert stranger.returncode and "554 5.7.1 <bob@other.test>: Recipient address rejected: Access denied" in stranger.stdout, stranger.stdout
        self.peer.run(*common, "--tls", *login, PASSWORDS["user01"])
        self.mail.wait_for_log(r"postfix/submission/smtpd\[\d+\]: \w+: client=mx\.other\.test\[[0-9a-f.:]+\], sasl_method=PLAIN, sasl_username=user01", after=mark)
        letter(self.peer, "bob", "from away")

    def connection_timed_out(self):
        """A firewall in front of the peer drops what it gets: the guide's "port 25 is blocked"."""
        self.mail.run("postconf", "-e", "smtp_connect_timeout=2s")
        self.mail.run("systemctl", "reload", "postfix")
        self.peer.sh("ufw allow 22/tcp && ufw --force enable")
        mark = len(self.mail.log())
        send(self.mail, "user01", "bob@other.test", "blocked")
        self.mail.wait_for_log(rf"postfix/smtp\[\d+\]: connect to {PEER}: Connection timed out", after=mark)
        self.mail.wait_for_log(rf"to=<bob@other\.test>, relay=none, .*dsn=4\.4\.1, status=deferred \(connect to {PEER}: Connection timed out\)", after=mark)
        self.peer.sh("ufw --force disable")
        self.mail.run("postqueue", "-f")
        letter(self.peer, "bob", "blocked")
        # A host that is not there at all.
        mark = len(self.mail.log())
        send(self.mail, "user01", "bob@gone.other.test", "nobody home")
        self.mail.wait_for_log(r"to=<bob@gone\.other\.test>, relay=none, .*status=deferred \(connect to off\.other\.test\[192\.0\.2\.99\]:25: "
                               r"(No route to host|Connection timed out)\)", after=mark)
        self.mail.run("postsuper", "-d", "ALL")

    def service_down(self):
        """sendmail with the mail system stopped: the mail is taken, mailq says what is wrong, and it goes out after the start."""
        self.mail.run("systemctl", "stop", "postfix")
        assert self.mail.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"
        refused = self.peer.run("swaks", "--server", "mail.example.com", "--to", "user01@example.com", "--quit-after", "RCPT", check=False)
        assert "Connection refused" in refused.stdout + refused.stderr, refused
        send(self.mail, "user01", "user02@example.com", "while down")
        said = self.mail.run("mailq", check=False)
        assert "mail system is down" in (said.stdout + said.stderr).lower(), said
        self.mail.run("systemctl", "start", "postfix")
        letter(self.mail, "user02", "while down")

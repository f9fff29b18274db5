"""Our smtpd against the auth socket of Debian's Dovecot (smtpd_sasl_type = dovecot)."""
import pwd
import smtplib

from _peers import DovecotPeer
from harness import Postcot, main, wait_until


def test_submission_asks_a_real_dovecot():
    nobody = pwd.getpwnam("nobody")
    with Postcot(start=False) as server:
        socket = server.state / "spool/private/dovecot-auth"
        socket.parent.mkdir(parents=True, exist_ok=True)
        listener = f"service auth {{\n  unix_listener {socket} {{\n    mode = 0666\n  }}\n}}\n"
        with DovecotPeer({"joe@example.com": ("sesame", nobody.pw_uid, nobody.pw_gid, "/nonexistent")}, listener) as dovecot:
            wait_until(socket.exists, "Dovecot's auth socket")
            with open(server.etc / "postfix/main.cf", "a") as main_cf:
                main_cf.write("smtpd_sasl_path = private/dovecot-auth\n")
            server.start()
            client = smtplib.SMTP("127.0.0.1", server.submission, timeout=30)
            client.ehlo()
            assert client.has_extn("auth")
            try:
                client.login("joe@example.com", "wrong")
                raise AssertionError("let in with a wrong password")
            except smtplib.SMTPAuthenticationError as error:
                assert error.smtp_code == 535, error
            client.login("joe@example.com", "sesame")
            client.sendmail("joe@example.com", ["user02@example.com"], b"Subject: by Dovecot's leave\r\n\r\nx\r\n")
            client.quit()
            server.wait_for_mail("user02", 1)
            server.wait_for_log(r"sasl_method=PLAIN, sasl_username=joe@example.com")
            server.wait_for_log(r"SASL (PLAIN|LOGIN) authentication failed")


main(test_submission_asks_a_real_dovecot)

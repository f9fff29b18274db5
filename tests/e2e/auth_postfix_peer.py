"""Debian's real Postfix asks our authd (smtpd_sasl_type = dovecot); and authd's userdb, reload, and PAM in worker processes."""
import base64
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

from _peers import PostfixPeer, need_root
from harness import BIN, kill, main, need, run, skip, wait_until


class Authd:
    """authd alone, in the foreground, with a passwd-file of two users."""

    def __init__(self, conf="", prefix=()):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="au.", dir="/tmp"))
        os.chmod(self.root, 0o755)
        self.run = self.root / "run"
        self.conf = self.root / "etc/dovecot/dovecot.conf"
        self.conf.parent.mkdir(parents=True)
        self.prefix = list(prefix)
        self.users = self.root / "users"
        # The second hash is Dovecot's own of "pass02".
        self.users.write_text(
            "user01@example.com:{PLAIN}pass01:5000:5000::/var/vmail/user01::userdb_quota_rule=*:storage=1G\n"
            "user02@example.com:" + run("openssl", "passwd", "-6", "pass02").stdout.decode().strip() + ":5000:5000::/var/vmail/user02::\n"
        )
        self.conf.write_text(
            conf
            or f"""
passdb {{
  driver = passwd-file
  args = {self.users}
}}
userdb {{
  driver = passwd-file
  args = {self.users}
}}
"""
        )
        with open(self.conf, "a") as file:
            file.write(
                f"""
base_dir = {self.run}
log_path = {self.root}/dovecot.log
auth_mechanisms = plain login
auth_verbose = yes
auth_failure_delay = 1 secs
service auth {{
  unix_listener {self.root}/auth {{
    mode = 0666
  }}
}}
"""
            )

    def __enter__(self):
        self.process = subprocess.Popen([*self.prefix, BIN / "authd", "-c", self.root / "etc"], stdin=subprocess.DEVNULL)
        wait_until(self.answers, "authd to answer")
        return self

    def __exit__(self, kind, *_):
        self.process.terminate()
        try:
            status = self.process.wait(timeout=20)
        finally:
            self.process.kill()
        if kind and kind is not SystemExit:
            print("---- authd's log\n" + self.log())
        elif not self.prefix:
            assert status == 0, status
            assert not (self.root / "auth").exists(), "the socket stays behind"
        shutil.rmtree(self.root, ignore_errors=True)

    def log(self):
        path = self.root / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def answers(self):
        assert self.process.poll() is None, "authd ended"
        with contextlib.suppress(OSError):
            with Client(self.root / "auth"):
                return True
        return False

    def doveadm(self, *words, check=True):
        return run(BIN / "doveadm", "-c", self.conf, *words, check=check)


class Client:
    """The client side of the protocol, byte for byte."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rwb")
        self.greeting = []
        while True:
            line = self.line()
            if not line:
                raise OSError("closed in the greeting")
            self.greeting.append(line)
            if line == "DONE":
                break
        self.send("VERSION\t1\t2", f"CPID\t{os.getpid()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, *lines):
        self.file.write("".join(line + "\n" for line in lines).encode())
        self.file.flush()

    def line(self):
        return self.file.readline().decode().rstrip("\n")

    def plain(self, number, user, password, more="service=smtp\tnologin\trip=192.0.2.7"):
        response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.send(f"AUTH\t{number}\tPLAIN\t{more}\tresp={response}")
        return self.line()


def submit(port, user, password, mechanism):
    """Authenticates and sends; the reply code of a refused AUTH."""
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        client.ehlo("client.example")
        assert "PLAIN" in client.esmtp_features["auth"] and "LOGIN" in client.esmtp_features["auth"], client.esmtp_features
        client.user, client.password = user, password
        try:
            client.auth(mechanism, getattr(client, "auth_" + mechanism.lower()), initial_response_ok=mechanism == "PLAIN")
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code
        client.sendmail("user01@example.com", ["user01@peer.test"], f"Subject: by {mechanism}\n\nx\n")
        return 235


def test_real_postfix_submits_with_our_authd():
    need_root()
    with Authd() as authd:
        main_cf = f"""smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = unix:{authd.root}/auth
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
mynetworks_style = host
smtpd_client_restrictions =
"""
        with PostfixPeer(main_cf) as postfix:
            assert submit(postfix.port, "user01@example.com", "pass01", "PLAIN") == 235
            assert submit(postfix.port, "User02@Example.COM", "pass02", "LOGIN") == 235
            assert submit(postfix.port, "user01@example.com", "wrong", "PLAIN") == 535
            assert submit(postfix.port, "nobody@example.com", "wrong", "LOGIN") == 535
            postfix.wait_for_mail("user01", 2)
            log = postfix.log()
            assert "sasl_method=PLAIN, sasl_username=user01@example.com" in log, log
            assert "sasl_method=LOGIN, sasl_username=user02@example.com" in log, log
            assert "SASL PLAIN authentication failed" in log, log
            # authd goes and comes back: Postfix connects again by itself.
            authd.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "reloading configuration" in authd.log(), "reload")
            assert submit(postfix.port, "user01@example.com", "pass01", "PLAIN") == 235
        log = authd.log()
        # What fail2ban's stock filter for Dovecot looks for.
        assert "auth: Info: passwd-file(user01@example.com,127.0.0.1): Password mismatch" in log, log
        assert "auth: Info: passwd-file(nobody@example.com,127.0.0.1): unknown user" in log, log
        if shutil.which("fail2ban-regex"):
            found = run("fail2ban-regex", authd.root / "dovecot.log", "dovecot").stdout.decode()
            assert re.search(r" 2 matched", found), found


def test_many_requests_share_a_connection_and_failures_wait():
    with Authd() as authd, Client(authd.root / "auth") as client:
        start = time.monotonic()
        for number in range(1, 101):
            password = "pass01" if number % 2 else "wrong"
            response = base64.b64encode(f"\0user01@example.com\0{password}".encode()).decode()
            client.send(f"AUTH\t{number}\tPLAIN\tservice=smtp\tnologin\tresp={response}")
        replies = [client.line() for _ in range(100)]
        assert {reply.split("\t")[1] for reply in replies[:50]} == {str(n) for n in range(1, 101, 2)}, "successes come first"
        assert all(reply.startswith("OK\t") for reply in replies[:50])
        assert all(reply.startswith("FAIL\t") and "pass" not in reply for reply in replies[50:])
        assert 0.95 < time.monotonic() - start < 10


def test_reload_keeps_the_old_configuration_on_error_and_a_killed_server_comes_back():
    with Authd() as authd:
        good = authd.conf.read_text()
        authd.conf.write_text(good + "\nauth_mechanisms = plain nosuch\n")
        authd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "Unknown authentication mechanism 'NOSUCH'" in authd.log(), "the error")
        assert authd.answers()
        with Client(authd.root / "auth") as client:
            assert client.plain(1, "user01@example.com", "pass01").startswith("OK\t1\tuser=user01@example.com")
            spid = next(int(line[5:]) for line in client.greeting if line.startswith("SPID"))
        authd.conf.write_text(good)
        kill(spid)
        wait_until(authd.answers, "authd to come back")
        with authd.users.open("a") as file:
            file.write("user03@example.com:{PLAIN}pass03:5000:5000::/var/vmail/user03::\n")
        with Client(authd.root / "auth") as client:
            assert client.plain(1, "user03@example.com", "pass03").startswith("OK\t1"), "a changed passwd-file counts at once"


def test_a_login_in_progress_survives_a_reload():
    with Authd() as authd, Client(authd.run / "login/login") as front:
        cookie = next(line.split("\t")[1] for line in front.greeting if line.startswith("COOKIE"))
        pid = next(line for line in front.greeting if line.startswith("SPID"))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(authd.run / "auth-master"))
            master = connection.makefile("rwb")
            assert master.readline() == b"VERSION\t1\t1\n" and master.readline().startswith(b"SPID\t")
            assert front.plain(1, "user01@example.com", "pass01", "service=imap").startswith("OK\t1\t")
            authd.process.send_signal(signal.SIGHUP)

            def replaced():
                with Client(authd.root / "auth") as fresh:
                    return pid not in fresh.greeting

            wait_until(replaced, "a new server")
            question = f"VERSION\t1\t1\nREQUEST\t9\t{os.getpid()}\t1\t{cookie}\n".encode()
            master.write(question)
            master.flush()
            assert master.readline().startswith(b"USER\t9\tuser01@example.com\t"), "the old server still knows the login"
            assert master.readline() == b"", "and ends when nobody needs it"
            assert front.line() == ""


def hostile(path, data, half_close):
    """Sends it all, reads until the other end closes or has nothing more to say."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(3)
        peer.connect(str(path))
        with contextlib.suppress(OSError):
            peer.sendall(data)
            if half_close:
                peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass


def test_bad_input_and_silent_peers_harm_nobody():
    with Authd() as authd, Client(authd.root / "auth") as client:
        dice = random.Random(1)
        inputs = [
            dice.randbytes(200_000),
            b"A" * 10_000_000,
            b"\0" * 50_000 + b"\n",
            b"VERSION\t1\t2\nCPID\t1\nAUTH\t1\tPLAIN\tservice=x\tresp=" + b"A" * 100_000 + b"\n",
            b"VERSION\t1\t1\nUSER\t1\t" + b"\1" * 3000 + b"\tservice=x\nLIST\t2\nREQUEST\t3\t1\t1\t\n",
            b"VERSION\t1\t2\nCPID\t1\n" + b"".join(b"AUTH\t%d\tLOGIN\tservice=x\n" % n for n in range(9000)),
            b"VERSION\t1\t2\nCPID\t1\nAUTH\t1\tLOGIN\tservice=x\nCONT\t1\t%s\n" % base64.b64encode(b"u" * 5000) + b"CONT\t1\t\n" * 1000,
        ]
        for path in [authd.root / "auth", *(authd.run / name for name in ("auth-userdb", "auth-master", "auth-client", "login/login"))]:
            for data in inputs:
                hostile(path, data, half_close=True)
            silent = []
            for _ in range(500 if path.name == "login" else 20):
                peer = socket.socket(socket.AF_UNIX)
                peer.connect(str(path))
                silent.append(peer)
            assert client.plain(dice.randrange(1000, 1 << 31), "user01@example.com", "pass01").startswith("OK\t")
            for peer in silent:
                peer.close()
        assert "killed with signal" not in authd.log() and "returned error" not in authd.log(), authd.log()[-3000:]


def test_doveadm_speaks_to_it():
    with Authd() as authd:
        assert b"auth succeeded" in authd.doveadm("auth", "test", "user02@example.com", "pass02").stdout
        bad = authd.doveadm("auth", "test", "user02@example.com", "x", check=False)
        assert bad.returncode == 77 and b"auth failed" in bad.stdout
        fields = dict(line.split("\t") for line in authd.doveadm("user", "user01@example.com").stdout.decode().splitlines())
        assert fields["uid"] == "5000" and fields["home"] == "/var/vmail/user01" and fields["quota_rule"] == "*:storage=1G", fields
        assert authd.doveadm("user", "*").stdout.split() == [b"user01@example.com", b"user02@example.com"]
        assert authd.doveadm("user", "nobody@example.com", check=False).returncode == 67
        login = authd.doveadm("auth", "login", "user01@example.com", "pass01").stdout.decode()
        assert "auth_mech=PLAIN" in login and "home=/var/vmail/user01" in login, login
        assert authd.doveadm("nosuch", check=False).returncode == 64


PAM_CONF = """
passdb {
  driver = pam
  args = pctest-%s
}
userdb {
  driver = passwd
}
"""


def test_a_stuck_pam_module_hangs_nobody_else():
    """In a mount namespace with an /etc/pam.d, passwd and shadow of its own: service "smtp" checks nothing, "deny" refuses, "stuck" comes back
    after 20 s, "unix" asks the shadow file."""
    need_root()
    need("unshare")
    with tempfile.TemporaryDirectory(prefix="pam.", dir="/tmp") as folder:
        for name, stack in (
            ("smtp", "auth required pam_permit.so\naccount required pam_permit.so\n"),
            ("deny", "auth required pam_deny.so\naccount required pam_permit.so\n"),
            ("stuck", "auth required pam_exec.so /bin/sleep 20\naccount required pam_permit.so\n"),
            ("unix", "auth required pam_unix.so\naccount required pam_unix.so\n"),
            ("other", "auth required pam_deny.so\naccount required pam_deny.so\n"),
        ):
            (pathlib.Path(folder) / (f"pctest-{name}" if name != "other" else name)).write_text(stack)
        accounts = pathlib.Path(folder)
        (accounts / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + "pctest:x:4242:4242:Test:/home/pctest:/bin/sh\n")
        (accounts / "shadow").write_text("pctest:" + run("openssl", "passwd", "-6", "sesame").stdout.decode().strip() + ":19000:0:99999:7:::\n")
        os.chmod(accounts / "shadow", 0o600)
        mounts = f"mount --bind {folder}/passwd /etc/passwd && mount --bind {folder}/shadow /etc/shadow && mount --bind {folder} /etc/pam.d"
        inside = ["unshare", "--mount", "sh", "-c", mounts + " && exec \"$@\"", "sh"]
        if subprocess.run([*inside, "true"], capture_output=True).returncode:
            skip("no mount namespaces here")
        with Authd(PAM_CONF, inside) as authd, Client(authd.root / "auth") as client:
            assert client.plain(1, "mail", "x").startswith("OK\t1\tuser=mail")
            refused = client.plain(2, "mail", "x", "service=deny\trip=192.0.2.7\tsession=abc")
            assert refused.startswith("FAIL\t2"), refused
            assert "pam(mail,192.0.2.7,<abc>): pam_authenticate() failed: Authentication failure (Password mismatch?)" in authd.log(), authd.log()
            response = base64.b64encode(b"\0mail\0x").decode()
            client.send(*(f"AUTH\t{n}\tPLAIN\tservice=stuck\tresp={response}" for n in range(10, 15)))
            start = time.monotonic()
            for number in range(20, 40):
                assert client.plain(number, "mail", "x").startswith(f"OK\t{number}\t")
            assert time.monotonic() - start < 10
            assert client.plain(50, "pctest", "sesame", "service=unix").startswith("OK\t50\tuser=pctest")
            assert client.plain(51, "pctest", "wrong", "service=unix").startswith("FAIL\t51")
            assert client.plain(52, "nosuchuser", "wrong", "service=unix").startswith("FAIL\t52")
            user = authd.doveadm("user", "mail").stdout.decode()
            assert "system_groups_user\tmail" in user and "uid\t8" in user, user
        with Authd(PAM_CONF.replace("driver = pam", "driver = shadow"), inside) as authd, Client(authd.root / "auth") as client:
            assert client.plain(1, "pctest", "sesame").startswith("OK\t1\tuser=pctest")
            assert client.plain(2, "pctest", "wrong").startswith("FAIL\t2")
            assert client.plain(3, "nosuchuser", "x").startswith("FAIL\t3")
            assert "shadow(pctest,192.0.2.7): Password mismatch" in authd.log() and "shadow(nosuchuser,192.0.2.7): unknown user" in authd.log(), authd.log()
            assert authd.doveadm("auth", "lookup", "pctest").stdout.startswith(b"passdb: pctest")


main(test_real_postfix_submits_with_our_authd, test_many_requests_share_a_connection_and_failures_wait,
     test_reload_keeps_the_old_configuration_on_error_and_a_killed_server_comes_back,
     test_a_login_in_progress_survives_a_reload, test_bad_input_and_silent_peers_harm_nobody, test_doveadm_speaks_to_it,
     test_a_stuck_pam_module_hangs_nobody_else)

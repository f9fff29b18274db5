"""What the end-to-end tests share: a Postcot of their own in a temporary folder, made by etc/quickstart, and a few ways to look at it.

    with Postcot(users=3) as server:
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=b"Subject: x\\n\\nbody\\n")
        server.wait_for_mail("user02", 1)

Every wait has a deadline and polls a fact (a log line, a file, a socket); nothing sleeps for luck. Ports are free ones, chosen per server.
"""
import contextlib
import glob
import imaplib
import os
import pathlib
import poplib
import random
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("POSTCOT_BIN", TOP / "build/release/bin"))
OFFSETS = {"smtp": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "lmtp": 24}


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def need(*programs):
    """Skips the test when a peer is not installed."""
    for program in programs:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            skip(f"{program} is not installed")


def wait_until(fact, what, timeout=20.0, interval=0.02):
    """Polls fact() until it is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what}")
        time.sleep(interval)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_base_port():
    """A base such that every port of the quickstart is free."""
    for _ in range(200):
        base = random.randrange(10000, 31000)
        with contextlib.ExitStack() as stack:
            try:
                for offset in OFFSETS.values():
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", base + offset))
                return base
            except OSError:
                continue
    raise AssertionError("no free port range")


def run(*command, data=None, timeout=60, check=True, env=None):
    """Runs a program to its end; its output goes into the error if it fails."""
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True, timeout=timeout, env=env)
    if check and done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}")
    return done


class Postcot:
    """The five daemons on free ports. `main_cf`, `master_cf` and `dovecot_conf` are appended to the quickstart's configuration."""

    def __init__(self, users=0, main_cf="", dovecot_conf="", master_cf="", start=True):
        self.state = pathlib.Path(tempfile.mkdtemp(prefix="pc.", dir="/tmp"))
        os.chmod(self.state, 0o755)
        self.base = free_base_port()
        for name, offset in OFFSETS.items():
            setattr(self, name, self.base + offset)
        self.quickstart("--prepare", "--users", users)
        for path, text in (("postfix/main.cf", main_cf), ("postfix/master.cf", master_cf), ("dovecot/dovecot.conf", dovecot_conf)):
            with open(self.etc / path, "a") as file:
                file.write("\n" + text)
        if start:
            self.start()

    @property
    def etc(self):
        return self.state / "etc"

    def quickstart(self, *options):
        run(TOP / "etc/quickstart", "--no-build", "--state", self.state, "--base-port", self.base, *options, env={**os.environ, "POSTCOT_BIN": str(BIN)})

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind and kind is not SystemExit:
            print("---- last log lines", flush=True)
            print("\n".join(self.log().splitlines()[-60:]), flush=True)
        self.stop()
        if not os.environ.get("POSTCOT_KEEP"):
            shutil.rmtree(self.state, ignore_errors=True)

    def start(self):
        run(BIN / "postcot", "start", "-c", self.etc)

    def stop(self):
        run(BIN / "postcot", "stop", "-c", self.etc, check=False)

    def tool(self, name, *words, **more):
        """A queue or configuration tool: postqueue, postsuper, postconf ..."""
        return run(BIN / name, "-c", self.etc / "postfix", *words, **more)

    def sendmail(self, *words, data, **more):
        return run(BIN / "sendmail", "-C", self.etc / "postfix", *words, data=data, **more)

    # --- looking at it
    def log(self):
        try:
            return (self.state / "log/mail.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_for_log(self, pattern, timeout=20.0):
        expression = re.compile(pattern)
        return wait_until(lambda: expression.search(self.log()), f"log line matching {pattern}", timeout)

    def maildir(self, user):
        return self.state / "mail" / f"{user}@example.com" / "Maildir"

    def messages(self, user):
        """Paths of the messages of the user's INBOX, oldest name first."""
        return sorted(glob.glob(f"{self.maildir(user)}/new/*") + glob.glob(f"{self.maildir(user)}/cur/*"))

    def wait_for_mail(self, user, count, timeout=20.0):
        wait_until(lambda: len(self.messages(user)) >= count, f"{count} messages for {user}", timeout)
        return self.messages(user)

    def queue_is_empty(self):
        done = self.tool("postqueue", "-p", check=False)
        return done.returncode == 0 and b"Mail queue is empty" in done.stdout

    def wait_for_empty_queue(self, timeout=60.0):
        wait_until(self.queue_is_empty, "empty queue", timeout, 0.1)

    def processes(self, name):
        """Process ids of our daemons by program name that belong to this server."""
        found = []
        for folder in glob.glob("/proc/[0-9]*"):
            try:
                command = pathlib.Path(folder, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if command[0].split(b"/")[-1] == name.encode() and str(self.etc).encode() in command:
                found.append(int(folder[6:]))
        return sorted(found)

    # --- clients of the standard library
    def smtp_client(self, port=None, **more):
        return smtplib.SMTP("127.0.0.1", port or self.smtp, timeout=30, **more)

    def imap_client(self, user="user02", password="pass02"):
        client = imaplib.IMAP4("127.0.0.1", self.imap, timeout=30)
        client.login(f"{user}@example.com", password)
        return client

    def pop3_client(self, user="user02", password="pass02"):
        client = poplib.POP3("127.0.0.1", self.pop3, timeout=30)
        client.user(f"{user}@example.com")
        client.pass_(password)
        return client

    def tls(self):
        """A client context that trusts this server's certificate."""
        return ssl.create_default_context(cafile=str(self.state / "etc/tls/cert.pem"))


def kill(pid, signum=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def main(*tests):
    """Runs the tests of a file in turn; the name of the one that fails is printed."""
    for test in tests:
        began = time.monotonic()
        try:
            test()
        except BaseException as error:
            if isinstance(error, SystemExit) and error.code in (0, 77):
                raise
            print(f"FAILED: {test.__name__}", flush=True)
            raise
        print(f"passed: {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)

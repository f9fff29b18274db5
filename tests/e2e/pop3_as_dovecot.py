"""The same POP3 conversation with us and with Debian's Dovecot on one and the same Maildir, one after the other: the same replies, UIDLs and statistics in the log; then what only a
careful server gets right: dot-stuffing, deletion at QUIT alone, a shared maildrop, and the lock when it is asked for."""
import os
import poplib
import re
import shutil
import socket

from _peers import DovecotPeer
from harness import Postcot, main, wait_until

USER, PASSWORD = "user02@example.com", "pass02"
LETTERS = [
    b"From: a@example.com\nSubject: one\n\n.\n..dots\nlast line without end",
    b"From: a@example.com\nSubject: two\n\nbody\n" + b"line\n" * 50,
    b"Subject: header only\n",
    b"From: b@example.com\n\n" + b"x" * 1900 + b"\n",
]
BEFORE_LOGIN = ["CAPA", "STAT", "PASS x", "USER", "NOOP", "AUTH", "AUTH NONSENSE", f"USER {USER}", "PASS wrong", f"USER {USER}", f"PASS {PASSWORD}"]
SESSION = """CAPA;STAT;LIST;LIST 1;LIST 3;LIST 0;LIST 99;LIST x;LIST 1 2;LIST 99999999999;UIDL;UIDL 2;UIDL 99;UIDL x;TOP 1 0;TOP 2 3;TOP 1 99;TOP 3 5;TOP 99 1;TOP x 1
RETR 1;RETR 3;RETR 4;RETR;RETR 99;DELE 2;DELE 2;RETR 2;TOP 2 1;LIST 2;LIST;STAT;UIDL;RSET;STAT;NOOP;LAST;XYZZY;USER x;PASS y;DELE 99;DELE;NOOP x;STAT x;stat;List;QUIT""".replace("\n", ";").split(";")
MULTI = {"CAPA", "RETR", "TOP"}


class Line:
    """A client that sends what it is told to."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")
        self.greeting = self.file.readline()

    def ask(self, command):
        self.socket.sendall(command.encode() + b"\r\n")
        lines = [self.file.readline()]
        words = command.upper().split()
        many = words and (words[0] in MULTI or (words[0] in ("LIST", "UIDL", "AUTH") and len(words) == 1))
        while lines[0].startswith(b"+OK") and many and lines[-1] not in (b".\r\n", b""):
            lines.append(self.file.readline())
        return b"".join(lines)

    def login(self):
        assert self.ask(f"USER {USER}").startswith(b"+OK")
        return self.ask(f"PASS {PASSWORD}")


def deliver(home, owner):
    maildir = home / "Maildir"
    shutil.rmtree(maildir, ignore_errors=True)
    for folder in ("", "cur", "new", "tmp"):
        (maildir / folder).mkdir()
        os.chown(maildir / folder, owner.st_uid, owner.st_gid)
    for number, letter in enumerate(LETTERS):
        path = maildir / "new" / f"17000000{number}0.M{number}P1.host"
        path.write_bytes(letter)
        os.chown(path, owner.st_uid, owner.st_gid)


def talk(port):
    client = Line(port)
    answers = [(command, client.ask(command)) for command in BEFORE_LOGIN + SESSION]
    assert client.file.read() == b"", "the connection ends after QUIT"
    return answers


def statistics(log):
    return re.findall(r"Disconnected: Logged out (top=.*)", log)[-1]


def same_answers():
    with Postcot() as ours:
        home = ours.maildir("user02").parent
        ours.pop3_client().quit()
        owner = os.stat(home)
        with DovecotPeer({USER: (PASSWORD, owner.st_uid, owner.st_gid, str(home))}) as theirs:
            deliver(home, owner)
            expected = talk(theirs.pop3)
            got = talk(ours.pop3)
            different = 0
            for (command, dovecot), (_, postcot) in zip(expected, got):
                if command == "CAPA":   # they run without TLS here
                    postcot = postcot.replace(b"STLS\r\n", b"")
                if dovecot != postcot:
                    different += 1
                    print(f"--- {command}\n    dovecot: {dovecot[:300]!r}\n    postcot: {postcot[:300]!r}")
            left = wait_until(lambda: "Logged out top=" in theirs.log() and statistics(theirs.log()), "Dovecot's statistics")
            ours.wait_for_log(r"Logged out " + re.escape(left))
            assert not different, f"{different} commands are answered otherwise than by Dovecot"


def maildrop():
    with Postcot() as ours:
        home = ours.maildir("user02").parent
        ours.pop3_client().quit()
        deliver(home, os.stat(home))
        drop = ours.pop3_client()
        assert b"\n".join(drop.retr(1)[1]).endswith(b"..dots\nlast line without end")
        drop.dele(1)
        drop.close()   # no QUIT: nothing is deleted
        ours.wait_for_log(r"Disconnected: Connection closed top=0/0, retr=1/")
        first, second = ours.pop3_client(), ours.pop3_client()   # shared
        assert first.stat()[0] == second.stat()[0] == 4
        first.dele(2)
        first.quit()
        assert second.stat()[0] == 4   # its own maildrop stands still
        try:
            second.retr(2)
            raise AssertionError("a deleted message was sent")
        except poplib.error_proto as error:
            assert b"SYS/TEMP" in error.args[0], error
        assert len(second.retr(4)[1][-1]) == 1900
        second.quit()
        third = ours.pop3_client()
        assert third.stat()[0] == 3
        third.quit()


def locked_maildrop():
    with Postcot(dovecot_conf="protocol pop3 {\n  pop3_lock_session = yes\n}\n") as ours:
        first = ours.pop3_client()
        second = poplib.POP3("127.0.0.1", ours.pop3, timeout=30)
        second.user(USER)
        try:
            second.pass_(PASSWORD)
            raise AssertionError("two sessions under pop3_lock_session")
        except poplib.error_proto as error:
            assert b"IN-USE" in error.args[0], error
        first.quit()
        wait_until(lambda: not os.path.exists(ours.maildir("user02") / "dovecot-pop3-session.lock"), "the lock is gone")
        ours.pop3_client().quit()


if __name__ == "__main__":
    main(same_answers, maildrop, locked_maildrop)

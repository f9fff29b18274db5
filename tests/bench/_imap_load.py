"""What tests/bench/imap puts both servers to: a Maildir of many letters, a list of timed commands, connections that idle."""
import email.utils
import os
import random
import re
import socket
import string
import time

TIMEOUT = 600


def fill(maildir, count, uid, gid, seed=1):
    """`count` letters in cur/, a third of them replies, a quarter unseen; the same for the same seed."""
    choose = random.Random(seed)
    vocabulary = ["".join(choose.choices(string.ascii_lowercase, k=choose.randint(2, 10))) for _ in range(4000)]

    def words(number):
        return " ".join(choose.choices(vocabulary, k=number))

    for folder in (maildir, *(maildir / name for name in ("cur", "new", "tmp"))):
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, uid, gid)
    for number in range(count):
        when = 1500000000 + 60 * number
        date = email.utils.formatdate(when)
        sender = f"{words(1)}@peer{number % 89}.example.net"
        text = "\n".join(words(10) for _ in range(10))
        lines = [f"Return-Path: <{sender}>",
                 f"Received: from mx{number % 7}.example.net (mx{number % 7}.example.net [192.0.2.{number % 250}])\n\tby mail.example.com with ESMTP id {number:08X};\n\t{date}",
                 f"From: {words(2).title()} <{sender}>", "To: user@example.com", f"Subject: {words(4)}", f"Date: {date}", f"Message-ID: <{number}@example.net>"]
        if number % 3 == 2:
            lines.append(f"References: <{choose.randrange(max(0, number - 30), number)}@example.net>")
        lines += ["MIME-Version: 1.0", 'Content-Type: multipart/alternative; boundary="part"', "",
                  "--part", "Content-Type: text/plain; charset=utf-8", "", text,
                  "--part", "Content-Type: text/html; charset=utf-8", "", f"<html><body><pre>{text}</pre></body></html>", "--part--", ""]
        path = maildir / "cur" / f"{when}.M{number}P1.host:2,{'' if number % 4 == 0 else 'S'}"
        path.write_text("\n".join(lines))
        os.utime(path, (when, when))
        os.chown(path, uid, gid)


class Client:
    """Just enough of IMAP: a command is over when its tagged line has come. What comes in between is counted, not kept: imaplib would be timed, not the server."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.number = 0
        self.wait(rb"\* OK")

    def wait(self, start):
        last = b""
        line = re.compile(rb"(?:\A|\n)(" + start + rb"[^\n]*)\n\Z")
        while not (found := line.search(last)):
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise RuntimeError(f"the server hung up after {last[-200:]!r}")
            last = (last + piece)[-4096:]
        return found[1]

    def send(self, command):
        self.number += 1
        tag = f"t{self.number}"
        self.socket.sendall(f"{tag} {command}\r\n".encode())
        return tag.encode()

    def do(self, command):
        """Seconds until the tagged OK."""
        began = time.perf_counter()
        answer = self.wait(self.send(command) + b" ")
        took = time.perf_counter() - began
        if answer.split(b" ")[1] != b"OK":
            raise RuntimeError(f"{command}: {answer!r}")
        return took


WORK = [("SELECT first", "SELECT INBOX"), (None, "UNSELECT"), ("SELECT warm", "SELECT INBOX"), ("FETCH 1:* FLAGS", "FETCH 1:* (UID FLAGS)"),
        ("FETCH 1:* ENVELOPE first", "FETCH 1:* (UID ENVELOPE INTERNALDATE RFC822.SIZE)"), ("FETCH 1:* ENVELOPE again", "FETCH 1:* (UID ENVELOPE INTERNALDATE RFC822.SIZE)"),
        ("FETCH 1:* BODYSTRUCTURE first", "FETCH 1:* (BODYSTRUCTURE)"), ("FETCH 1:* BODYSTRUCTURE again", "FETCH 1:* (BODYSTRUCTURE)"),
        ("SEARCH UNSEEN", "SEARCH UNSEEN"), ("SEARCH SUBJECT", "SEARCH SUBJECT qqxqq"), ("SEARCH BODY", "SEARCH BODY qqxqq"), ("SEARCH BODY again", "SEARCH BODY qqxqq"),
        ("SORT (REVERSE DATE)", "SORT (REVERSE DATE) UTF-8 ALL"), ("SORT (SUBJECT)", "SORT (SUBJECT) UTF-8 ALL"), ("THREAD REFERENCES", "THREAD REFERENCES UTF-8 ALL"),
        ("FETCH 1:2000 BODY.PEEK[]", "FETCH 1:2000 BODY.PEEK[]"), ("STORE 1:* +Flagged", r"STORE 1:* +FLAGS.SILENT (\Flagged)"), ("STORE 1:* -Flagged", r"STORE 1:* -FLAGS.SILENT (\Flagged)")]


def timed(port, user, password):
    """{label: milliseconds} for one session that does WORK."""
    client = Client(port)
    client.do(f"LOGIN {user} {password}")
    times = {}
    for label, command in WORK:
        took = client.do(command)
        if label:
            times[label] = took * 1000
    return times


def memory(root):
    """KiB of PSS, and number, of a process and all that came from it."""
    parents = {}
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit():
                with open(f"/proc/{entry}/stat") as file:
                    parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            pass   # ended meanwhile
    family = {root}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    total = processes = 0
    for pid in family:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M)[1])
            processes += 1
        except (OSError, TypeError):
            pass
    return total, processes


def settled(root):
    """memory() once two looks half a second apart find the same processes, or after ten seconds."""
    before = memory(root)
    for _ in range(20):
        time.sleep(0.5)
        now = memory(root)
        if now[1] == before[1]:
            return now
        before = now
    return before


def idle(port, count, users, password, name, root):
    """One line: what `count` idle connections of `users` users cost the server whose first process is `root`. `name` holds {} for the user's number."""
    before = settled(root)
    began = time.perf_counter()
    clients = []
    for number in range(count):
        client = Client(port)
        client.do(f"LOGIN {name.format(number % users + 1)} {password}")
        client.do("SELECT INBOX")
        client.send("IDLE")
        client.wait(rb"\+ ")
        clients.append(client)
    rate = count / (time.perf_counter() - began)
    after = settled(root)
    return f"{count} idle connections of {users} users: {(after[0] - before[0]) / count:.0f} KiB of PSS each, {before[1]} -> {after[1]} processes, {rate:.0f} connections/s"

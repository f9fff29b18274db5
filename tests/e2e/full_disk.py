"""A full disk: senders hear 452 and keep their mail, readers go on reading, what was accepted is delivered once when there is room again.

The spool or the mail store lies on a small tmpfs that a file fills to the last page. tmpfs is the harshest of disks: a write to a mapped hole
is not an error there but a SIGBUS.
"""
import contextlib
import glob
import os
import pathlib
import poplib
import re
import shutil
import smtplib
import socket
import sys
import threading
import time

from harness import BIN, Postcot, free_port, kill, main, run, skip, wait_until

if os.geteuid() != 0:
    skip("mounting a tmpfs needs root")

LETTER = b"From: user01@example.com\nTo: user02@example.com\nSubject: %s\n\nbody\n"


class Disk:
    """A tmpfs over one of the server's folders. fill() leaves no page, free() makes room again."""

    def __init__(self, folder, size):
        self.folder = pathlib.Path(folder)
        aside = self.folder.with_name(self.folder.name + ".aside")
        self.folder.rename(aside)
        self.folder.mkdir()
        status = aside.stat()
        done = run("mount", "-t", "tmpfs", "-o", f"size={size},mode={status.st_mode & 0o7777:o},uid={status.st_uid},gid={status.st_gid}", "tmpfs", self.folder, check=False)
        if done.returncode:
            skip(f"a tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
        for path in sorted(aside.rglob("*")):
            to = self.folder / path.relative_to(aside)
            status = path.lstat()
            if path.is_dir():
                to.mkdir()
            else:
                shutil.copyfile(path, to)
            os.chown(to, status.st_uid, status.st_gid)
            os.chmod(to, status.st_mode & 0o7777)
        self.filler = self.folder / "filler"

    def fill(self, leave=0):
        with open(self.filler, "ab", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * 65536)
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * 4096)
            if leave:
                file.truncate(max(0, file.tell() - leave))

    def free(self):
        self.filler.unlink(missing_ok=True)

    def unmount(self):
        for _ in range(100):
            if run("umount", self.folder, check=False).returncode == 0:
                return
            time.sleep(0.1)
        run("umount", "-l", self.folder)


@contextlib.contextmanager
def on_small_disk(folder, size="16m", **more):
    server = Postcot(start=False, **more)
    disk = Disk(server.state / folder, size)
    try:
        with server:
            server.start()
            try:
                yield server, disk
                bad = re.search(r"killed by signal (?!9\b)|[Pp]anic|bug:", server.log())   # 9 is ours
                assert not bad, bad
            finally:
                server.stop()
                disk.unmount()
    finally:
        if os.path.ismount(disk.folder):
            disk.unmount()


def reply_to_mail(server, *options):
    client = server.smtp_client()
    client.ehlo()
    code, text = client.mail("user01@example.com", options)
    client.quit()
    return code, text.decode()


def subjects(server, user="user02"):
    out = []
    for path in server.messages(user):
        out += re.findall(r"^Subject: (.*)$", open(path, errors="replace").read(), re.M)
    return sorted(out)


class Far:
    """A server far away: takes mail, or refuses connections' mail with 451 while `busy`."""

    def __init__(self):
        self.taken = []
        self.busy = True
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listening.accept()
                threading.Thread(target=self.session, args=(peer,), daemon=True).start()

    def session(self, peer):
        with peer, peer.makefile("rwb") as stream:
            def say(line):
                stream.write(line + b"\r\n")
                stream.flush()
            say(b"220 far.test")
            for line in stream:
                verb = line[:4].upper()
                if verb == b"EHLO":
                    say(b"250 far.test")
                elif verb == b"RCPT" and self.busy:
                    say(b"451 4.3.2 Not now")
                elif verb == b"DATA":
                    say(b"354 Go on")
                    text = b""
                    for line in stream:
                        if line == b".\r\n":
                            break
                        text += line
                    self.taken += re.findall(rb"^Subject: (.*)\r$", text, re.M)
                    say(b"250 2.0.0 Taken")
                elif verb == b"QUIT":
                    say(b"221 Bye")
                    return
                else:
                    say(b"250 Ok")


def test_smtpd_refuses_before_the_disk_is_full():
    with on_small_disk("spool", main_cf="message_size_limit = 2000000\nqueue_minfree = 4000000\n") as (server, disk):
        assert reply_to_mail(server)[0] == 250
        assert reply_to_mail(server, "SIZE=1900000")[0] == 250
        assert reply_to_mail(server, "SIZE=2100000") == (552, "5.3.4 Message size exceeds fixed limit")
        disk.fill(leave=4500000)
        wait_until(lambda: reply_to_mail(server, "SIZE=1900000") == (452, "4.3.1 Insufficient system storage"), "452 for a large message", 5)
        assert reply_to_mail(server)[0] == 250
        disk.fill(leave=3000000)
        wait_until(lambda: reply_to_mail(server) == (452, "4.3.1 Insufficient system storage"), "452 for a small message", 5)
        server.wait_for_log(r"postfix/smtpd\[\d+\]: warning: not enough free space in mail queue: \d+ bytes < 4000000 bytes")
        server.wait_for_log(r"NOQUEUE: reject: MAIL from localhost\[127\.0\.0\.1\]: 452 4\.3\.1 Insufficient system storage; from=<user01@example\.com>")
        disk.free()
        wait_until(lambda: reply_to_mail(server)[0] == 250, "room again", 5)


def send(server, subject, size=0):
    """What the server said to a message at its end."""
    client = server.smtp_client()
    text = LETTER % subject.encode() + b"x" * 70 + b"\n"
    text += (b"y" * 70 + b"\n") * (size // 71)
    try:
        client.sendmail("user01@example.com", ["user02@example.com"], text)
        return 250
    except smtplib.SMTPDataError as error:
        assert (error.smtp_code, error.smtp_error) == (452, b"4.3.1 Insufficient system storage"), error
        return 452
    finally:
        client.close()


def send_many(server, names):
    client = server.smtp_client()
    for name in names:
        client.sendmail("user01@example.com", ["user02@example.com"], LETTER % name.encode())
    client.quit()


def test_nothing_acknowledged_is_lost_when_the_spool_fills():
    with on_small_disk("spool", main_cf="queue_minfree = 1\n") as (server, disk):
        said = {}
        for number in range(3):
            said[f"before {number}"] = send(server, f"before {number}")
        disk.fill(leave=300000)
        for number in range(12):   # 100 KB in the journal, 200 KB in files of their own
            said[f"filling {number}"] = send(server, f"filling {number}", 100000 + number % 2 * 100000)
        server.wait_for_empty_queue()   # what is delivered makes room
        disk.fill()
        assert send(server, "into the full", 60000) == 452
        assert send(server, "large into the full", 500000) == 452
        assert 250 in said.values() and 452 in said.values(), said
        queued = server.processes("queued")
        disk.free()
        wait_until(lambda: send(server, "afterwards") == 250, "mail is taken again", 10)
        said["afterwards"] = 250
        server.wait_for_empty_queue()
        expected = sorted(subject for subject, code in said.items() if code == 250)
        assert sorted(set(subjects(server))) == expected
        assert len(subjects(server)) == len(expected), subjects(server)
        assert set(queued) <= set(server.processes("queued")), "queued ended"
        for daemon in server.processes("queued"):
            kill(daemon)
        wait_until(lambda: server.tool("postqueue", "-p", check=False).stdout == b"Mail queue is empty\n", "queued again, empty")


def test_deliveries_go_on_and_are_not_repeated_while_the_spool_is_full():
    far = Far()
    with on_small_disk("spool", main_cf=f"queue_minfree = 1\nrelayhost = [127.0.0.1]:{far.port}\n") as (server, disk):
        names = [f"far {number}" for number in range(30)]
        for name in names:
            server.sendmail("-f", "user01@example.com", "someone@far.test", data=LETTER % name.encode())
        server.sendmail("-f", "user01@example.com", "nobody@example.com", data=LETTER % b"unknown here")
        wait_until(lambda: server.log().count("status=deferred (host") >= len(names), "all deferred")
        wait_until(lambda: "Undelivered Mail" in "".join(subjects(server, "user01")), "a bounce")
        disk.fill()
        far.busy = False
        server.tool("postqueue", "-f")
        wait_until(lambda: len(far.taken) >= len(names), "all delivered with a full spool", 30)
        wait_until(lambda: server.log().count("status=sent (250 2.0.0 Taken)") >= len(names), "results read")
        for daemon in server.processes("queued"):   # what became of them is on the full disk nevertheless
            kill(daemon)
        wait_until(lambda: server.tool("postqueue", "-p", check=False).stdout == b"Mail queue is empty\n", "queued again, empty", 30)
        disk.free()
        server.sendmail("-f", "user01@example.com", "someone@far.test", data=LETTER % b"last")
        wait_until(lambda: b"last" in far.taken, "the last one")
        assert sorted(far.taken) == sorted(name.encode() for name in names + ["last"]), far.taken


def test_sendmail_says_that_the_disk_is_full():
    with on_small_disk("spool") as (server, disk):
        disk.fill()
        done = server.sendmail("-f", "user01@example.com", "user02@example.com", data=LETTER % b"no room" + b"x\n" * 20000, check=False)
        assert done.returncode == 75 and b"No space left on device" in done.stderr, done
        assert not os.listdir(server.state / "spool/maildrop")
        disk.free()
        # Room for the maildrop file, not for the journal: it waits there.
        disk.fill(leave=100000)
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=LETTER % b"waited" + b"x" * 70000 + b"\n")
        server.wait_for_log(r"pickup\[\d+\]: warning: \w+: .*: tried again later")
        disk.fill()
        old = server.processes("queued")
        for daemon in old:
            kill(daemon)
        wait_until(lambda: set(server.processes("queued")) - set(old) and server.queue_is_empty(), "queued to start on a full disk")
        assert os.listdir(server.state / "spool/maildrop") and not server.messages("user02")
        disk.free()
        server.tool("postqueue", "-f")
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=LETTER % b"next")
        server.wait_for_mail("user02", 2)
        assert subjects(server) == ["next", "waited"]


def refused(reply, code):
    status, data = reply
    text = b" ".join(part for part in data if part)
    assert status == "NO" and text.startswith(b"[" + code + b"]"), reply
    assert b"/" not in text.split(b"]")[1].split(b"[")[0], f"a path is shown to the client: {text}"


def numbers(imap):
    imap.noop()
    return imap.search(None, "ALL")[1][0].split()


def test_local_delivery_waits_for_room():
    with on_small_disk("mail", size="4m", main_cf="minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\n") as (server, disk):
        send(server, "first")
        server.wait_for_mail("user02", 1)
        disk.fill()
        send(server, "second", 20000)
        server.wait_for_log(r"to=<user02@example\.com>, relay=virtual, .*dsn=4\.3\.0, status=deferred \(maildir delivery failed: .*No space left on device\)")
        assert len(server.messages("user02")) == 1
        assert not os.listdir(server.maildir("user02") / "tmp")
        disk.free()
        server.wait_for_mail("user02", 2)
        server.wait_for_empty_queue()
        assert subjects(server) == ["first", "second"]


MANY = 100   # their lines in dovecot-uidlist do not fit on the page that is there
LITERAL = b"Subject: appended\r\n\r\n" + b"z" * 70 + b"\r\n"


def test_imap_on_a_full_disk():
    with on_small_disk("mail", size="12m") as (server, disk):
        send_many(server, [f"mail {number}" for number in range(MANY)])
        server.wait_for_mail("user02", MANY)
        imap = server.imap_client()
        imap.create("Target")
        imap.select("Target")
        imap.select("INBOX")
        assert imap.store("1", "+FLAGS", "(\\Flagged)")[0] == "OK"
        uids = imap.uid("SEARCH", "ALL")[1][0].split()
        uidlist = (server.maildir("user02") / "dovecot-uidlist").read_bytes()
        # New mail comes in just before the disk is full: its UIDs cannot be written.
        send_many(server, [f"new {number}" for number in range(MANY)])
        server.wait_for_mail("user02", 2 * MANY)
        disk.fill()
        reader = server.imap_client()   # a session that begins on the full disk
        assert reader.select("INBOX")[0] == "OK"
        for client in (imap, reader):
            assert numbers(client) == [str(n).encode() for n in range(1, MANY + 1)]
            assert client.uid("SEARCH", "ALL")[1][0].split() == uids
            status, data = client.fetch(f"1:{MANY}", "(UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
            assert status == "OK" and sum(b"body" in part[1] for part in data if isinstance(part, tuple)) == MANY, data
            assert client.status("Target", "(MESSAGES UIDNEXT)")[0] == "OK"
            assert client.list()[0] == "OK"
            refused(client.append("INBOX", None, None, LITERAL), b"OVERQUOTA")
            refused(client.append("INBOX", None, None, LITERAL + b"q" * 300000), b"OVERQUOTA")
            refused(client.copy(f"1:{MANY}", "Target"), b"OVERQUOTA")
            refused(client._simple_command("MOVE", f"1:{MANY}", "Target"), b"OVERQUOTA")
            refused(client.store("2", "+FLAGS", "(NewKeyword)"), b"OVERQUOTA")
            assert numbers(client) == [str(n).encode() for n in range(1, MANY + 1)]
        assert (server.maildir("user02") / "dovecot-uidlist").read_bytes() == uidlist
        assert not os.listdir(server.maildir("user02") / "tmp")
        # Flags and deletions need no room: that is how room is made.
        assert imap.store("1", "+FLAGS", "(\\Seen \\Answered)")[0] == "OK"
        assert b"\\Answered" in imap.fetch("1", "(FLAGS)")[1][0]
        gone = imap.fetch(str(MANY), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1].strip().decode()
        assert imap.store(str(MANY), "+FLAGS", "(\\Deleted)")[0] == "OK"
        assert imap.expunge()[0] == "OK"
        # No names left, either.
        used = int(run("df", "--output=iused", disk.folder).stdout.split()[-1])
        run("mount", "-o", f"remount,nr_inodes={used}", disk.folder)
        refused(imap.create("More"), b"OVERQUOTA")
        assert b"More" not in b"".join(imap.list()[1])
        run("mount", "-o", "remount,nr_inodes=0", disk.folder)
        disk.free()
        assert imap.create("More")[0] == "OK"
        assert imap.append("INBOX", None, None, LITERAL)[0] == "OK"
        assert imap.copy("1:3", "Target")[0] == "OK"
        assert imap.store("2", "+FLAGS", "(NewKeyword)")[0] == "OK"
        numbers(imap), numbers(reader)
        for client in (imap, reader):
            now = client.uid("SEARCH", "ALL")[1][0].split()
            assert now[:MANY - 1] == uids[:-1] and len(now) == 2 * MANY and len(set(now)) == len(now), now
            assert min(map(int, now[MANY - 1:])) > int(uids[-1]), "a UID was given twice"
        found = client.fetch(f"1:{2 * MANY}", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        said = sorted(part[1].split(b"\r\n")[0].decode() for part in found if isinstance(part, tuple))
        expected = {f"Subject: {kind} {n}" for kind in ("mail", "new") for n in range(MANY)} - {gone} | {"Subject: appended"}
        assert said == sorted(expected), set(said) ^ expected
        imap.logout()
        reader.logout()


def test_a_mailbox_without_cache_is_read_on_a_full_disk():
    with on_small_disk("mail", size="4m") as (server, disk):
        for number in range(4):
            send(server, f"mail {number}")
        server.wait_for_mail("user02", 4)
        server.imap_client().select("INBOX")
        server.stop()
        shutil.rmtree(server.maildir("user02") / "postcot.index")
        disk.fill()
        server.start()
        imap = server.imap_client()
        assert imap.select("INBOX") == ("OK", [b"4"])
        assert imap.fetch("1:4", "(ENVELOPE)")[0] == "OK"
        order = imap.sort("SUBJECT", "UTF-8", "ALL")[1][0].split()   # they need not have been delivered in their order
        found = [imap.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1].strip() for number in order]
        assert found == [b"Subject: mail %d" % number for number in range(4)], found
        # The cache's files are there, but with holes: writing to them as memory would be the end.
        pop = server.pop3_client()
        assert pop.stat()[0] == 4 and b"Subject: mail " in b"\n".join(pop.retr(4)[1])
        pop.dele(1)
        assert pop.quit().startswith(b"+OK")
        assert numbers(imap) == [b"1", b"2", b"3"]
        imap.logout()


def test_pop3_says_sys_temp_where_it_cannot_open():
    with on_small_disk("mail", size="4m") as (server, disk):
        send(server, "first")
        server.wait_for_mail("user02", 1)   # never opened: no UIDVALIDITY yet
        disk.fill()
        try:
            server.pop3_client()
            assert False, "a maildrop without UIDs was opened"
        except poplib.error_proto as error:
            assert error.args[0].startswith(b"-ERR [SYS/TEMP]"), error
        refused(server.imap_client().select("INBOX"), b"OVERQUOTA")
        disk.free()
        assert server.pop3_client().stat()[0] == 1


def test_a_read_only_store_is_read():
    with on_small_disk("mail", size="4m") as (server, disk):
        for number in range(3):
            send(server, f"mail {number}")
        server.wait_for_mail("user02", 3)
        server.imap_client().select("INBOX")
        send(server, "new")
        server.wait_for_mail("user02", 4)
        server.stop()
        run("mount", "-o", "remount,ro", disk.folder)
        server.start()
        imap = server.imap_client()
        assert imap.select("INBOX") == ("OK", [b"4"])
        assert imap.fetch("1:4", "(ENVELOPE BODY.PEEK[])")[0] == "OK"
        refused(imap.append("INBOX", None, None, LITERAL), b"NOPERM")
        refused(imap.create("More"), b"NOPERM")
        refused(imap.store("1", "+FLAGS", "(\\Flagged)"), b"NOPERM")
        send(server, "later")
        server.wait_for_log(r"status=deferred \(maildir delivery failed: .*Read-only file system\)")
        run("mount", "-o", "remount,rw", disk.folder)
        imap.logout()

TESTS = [test_smtpd_refuses_before_the_disk_is_full, test_nothing_acknowledged_is_lost_when_the_spool_fills,
         test_deliveries_go_on_and_are_not_repeated_while_the_spool_is_full, test_sendmail_says_that_the_disk_is_full,
         test_local_delivery_waits_for_room, test_imap_on_a_full_disk, test_a_mailbox_without_cache_is_read_on_a_full_disk,
         test_pop3_says_sys_temp_where_it_cannot_open, test_a_read_only_store_is_read]

if __name__ == "__main__":
    main(*[test for test in TESTS if len(sys.argv) < 2 or any(word in test.__name__ for word in sys.argv[1:])])

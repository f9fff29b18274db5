"""A Maildir made and used by Debian's Dovecot (2.3 or 2.4) is opened by us, changed, and given back, and the other way round: UIDVALIDITY, UIDs, flags, keywords,
subscriptions and POP3's UIDLs are the same for both, with and without either one's index; and both may work on it at the same time."""
import glob
import imaplib
import os
import poplib
import re
import shutil
import threading

from _peers import DovecotPeer
from harness import Postcot, main

USER, PASSWORD = "user02@example.com", "pass02"
ARCHIVE, OLD = "&vPStAA-.2026", "Old"   # 보관.2026: two levels, modified UTF-7


class Both:
    """One home, served by either."""

    def __enter__(self):
        self.ours = Postcot()
        self.ours.__enter__()
        self.home = self.ours.maildir("user02").parent
        self.client(self.ours.imap).logout()   # makes the home
        owner = os.stat(self.home)
        self.theirs = DovecotPeer({USER: (PASSWORD, owner.st_uid, owner.st_gid, str(self.home))})
        self.theirs.__enter__()
        return self

    def __exit__(self, *why):
        self.theirs.__exit__(*why)
        self.ours.__exit__(*why)

    def client(self, port):
        client = imaplib.IMAP4("127.0.0.1", port, timeout=30)
        client.login(USER, PASSWORD)
        return client

    def dovecot(self):
        return self.client(self.theirs.imap)

    def postcot(self):
        return self.client(self.ours.imap)

    def uidls(self):
        """INBOX as POP3 clients know it, by both: they have downloaded what they have seen."""
        seen = []
        for port in (self.ours.pop3, self.theirs.pop3):
            client = poplib.POP3("127.0.0.1", port, timeout=30)
            client.user(USER)
            client.pass_(PASSWORD)
            seen.append(client.uidl()[1])
            client.quit()
        assert seen[0] == seen[1], f"UIDLs: {seen[0]}\nare not\n{seen[1]}"
        return seen[0]

    def forget(self, *patterns):
        for pattern in patterns:
            for path in glob.glob(f"{self.home}/Maildir/**/{pattern}", recursive=True, include_hidden=True):
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def message(subject):
    return f"From: a@example.com\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.com>\r\n\r\n.{subject}\r\n".encode()


def append(client, folder, subject, flags=""):
    ok(client.append(folder, flags, None, message(subject)))


def snapshot(client, folders):
    """What a client may keep: per folder its UIDVALIDITY, UIDNEXT and each UID's flags, keywords and contents; and the subscriptions."""
    state = {}
    for folder in folders:
        ok(client.select(folder, readonly=True))
        state[folder] = {"uidvalidity": client.response("UIDVALIDITY")[1][0], "uidnext": client.response("UIDNEXT")[1][0]}
        messages = {}
        for item in ok(client.uid("FETCH", "1:*", "(FLAGS RFC822.SIZE INTERNALDATE BODY.PEEK[])")):
            if not isinstance(item, tuple):
                continue
            head = item[0].decode()
            flags = set(re.search(r"FLAGS \(([^)]*)\)", head)[1].split()) - {"\\Recent"}
            date = re.search(r'INTERNALDATE "([^"]*)"', head)[1]
            messages[int(re.search(r"UID (\d+)", head)[1])] = (sorted(flags), re.search(r"RFC822.SIZE (\d+)", head)[1], date, item[1])
        state[folder]["messages"] = messages
    state["subscriptions"] = sorted(re.sub(rb'.* "\." "?([^"]*)"?$', rb"\1", line) for line in ok(client.lsub()) if line)
    return state


def same(left, right):
    for folder in left:
        assert left[folder] == right[folder], f"{folder}:\n{left[folder]}\nis not\n{right[folder]}"


def use(client, who, folders):
    """A day's work."""
    inbox, archive, sent = folders[:3]
    for number, flags in enumerate(["", "\\Seen", "\\Flagged \\Answered", f"{who}Word $Forwarded", "\\Draft", "\\Seen"]):
        append(client, inbox, f"{who}{number}", f"({flags})")
    append(client, archive, f"{who}archived", f"(\\Seen other{who} $Forwarded)")
    ok(client.select(inbox))
    last = int(ok(client.uid("SEARCH", "ALL"))[0].split()[-1])
    ok(client.uid("STORE", str(last), "+FLAGS", f"({who}Late \\Seen)"))
    ok(client.uid("STORE", str(last - 1), "-FLAGS", "(\\Draft)"))
    ok(client.uid("STORE", str(last - 2), "FLAGS", "(\\Answered)"))
    ok(client.uid("COPY", f"{last - 3}:{last}", sent))
    ok(client.uid("STORE", str(last), "+FLAGS", "(\\Deleted)"))   # the highest UID goes: it must not come back
    ok(client.expunge())
    ok(client.uid("COPY", str(last - 1), archive))
    ok(client.close())


def given_back():
    with Both() as both:
        folders = ["INBOX", ARCHIVE, "Work"]
        theirs = both.dovecot()
        for folder in folders[1:]:
            ok(theirs.create(folder))
        for folder in folders[:2]:
            ok(theirs.subscribe(folder))
        use(theirs, "d", folders)
        first = snapshot(theirs, folders)
        assert len(first["INBOX"]["messages"]) == 5

        ours = both.postcot()
        same(first, snapshot(ours, folders))
        uidls = both.uidls()
        assert len(uidls) == 5
        use(ours, "p", folders)
        ok(ours.rename("Work", OLD))
        ok(ours.create("Made.By.Us"))
        ok(ours.subscribe("Made.By.Us"))
        ok(ours.unsubscribe(ARCHIVE))
        append(ours, "Made.By.Us", "fresh", "(pWord)")
        folders = ["INBOX", ARCHIVE, OLD, "Made.By.Us"]
        second = snapshot(ours, folders)
        for uid, kept in first["INBOX"]["messages"].items():
            assert second["INBOX"]["messages"][uid] == kept

        theirs.logout()
        theirs = both.dovecot()
        same(second, snapshot(theirs, folders))
        use(theirs, "e", folders)
        third = snapshot(theirs, folders)
        same(third, snapshot(ours, folders))
        later = both.uidls()
        assert later[:5] == uidls and len(later) == len(third["INBOX"]["messages"]), (uidls, later)
        theirs.logout()
        ours.logout()

        # Without either's index: the Maildir alone says it all.
        both.forget("dovecot.index*", "dovecot.list.index*", "dovecot.mailbox.log")
        theirs = both.dovecot()
        same(third, snapshot(theirs, folders))
        theirs.logout()
        both.ours.stop()
        both.forget("postcot.index")
        both.ours.start()
        ours = both.postcot()
        same(third, snapshot(ours, folders))
        assert both.uidls() == later
        ours.logout()


def at_the_same_time():
    with Both() as both:
        a, b = both.postcot(), both.dovecot()
        ok(a.select("INBOX"))
        ok(b.select("INBOX"))
        append(a, "INBOX", "one")
        ok(b.noop())
        assert ok(b.uid("SEARCH", "ALL"))[0] == b"1"
        append(b, "INBOX", "two", "(word)")
        ok(a.noop())
        assert ok(a.uid("SEARCH", "ALL"))[0] == b"1 2"
        ok(b.uid("STORE", "1", "+FLAGS", "(\\Flagged later)"))
        ok(a.noop())
        assert ok(a.uid("SEARCH", "KEYWORD", "later"))[0] == b"1"
        ok(a.uid("STORE", "2", "+FLAGS", "(\\Deleted)"))
        ok(a.expunge())
        ok(b.noop())
        assert ok(b.uid("SEARCH", "ALL"))[0] == b"1"

        # Appends, flags and expunges from both at once.
        failures = []

        def mark(client, uid, flag):
            """Somebody else may have expunged it meanwhile: RFC 2180 §4.2.2."""
            status, data = client.uid("STORE", uid.decode(), "+FLAGS", f"({flag})")
            assert status == "OK" or b"EXPUNGEISSUED" in data[0], (status, data)

        def work(client, who):
            try:
                for number in range(60):
                    append(client, "INBOX", f"{who}{number}", "(\\Seen)" if number % 2 else f"({who}k)")
                    if number % 5 == 0:
                        ok(client.noop())
                        uids = ok(client.uid("SEARCH", "ALL"))[0].split()
                        mark(client, uids[-1], "\\Flagged")
                    if number % 20 == 19:
                        mark(client, uids[0], "\\Deleted")
                        ok(client.expunge())
            except BaseException as error:
                failures.append(f"{who}: {error!r}")

        workers = [threading.Thread(target=work, args=(client, who)) for client, who in ((a, "p"), (b, "d"), (both.postcot(), "q"), (both.dovecot(), "e")) if client.state == "SELECTED" or client.select("INBOX")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not failures, failures
        left, right = snapshot(both.postcot(), ["INBOX"]), snapshot(both.dovecot(), ["INBOX"])
        same(left, right)
        subjects = [content[3].split(b"\r\n")[1] for content in left["INBOX"]["messages"].values()]
        assert len(subjects) == len(set(subjects)), "a message twice"
        assert 240 + 1 - 12 <= len(subjects) <= 241, len(subjects)


if __name__ == "__main__":
    main(given_back, at_the_same_time)

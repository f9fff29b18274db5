"""Eight connections change one mailbox at the same time, each keeping the picture that RFC 3501 lets a client keep: what EXISTS, EXPUNGE and FETCH
say must never contradict it, no keyword comes unannounced, a message is \\Recent in one session only, EXPUNGE must not come during commands by sequence
number, and in the end all pictures are the same."""
import random
import re
import socket
import threading
import time

from harness import Postcot, main

SECONDS = 8


RECENT_IN = {}   # UID: the selection that was told \\Recent


class Picture:
    """A client that knows the mailbox only from what the server told it."""

    def __init__(self, port, number, faults):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.data, self.number, self.faults, self.commands = b"", 0, faults, 0
        self.chance = random.Random(number)
        self.id, self.selections, self.keywords = number, 0, set()
        self.line()
        self.say("LOGIN user01@example.com pass01")
        self.qresync = number % 2 == 1   # RFC 7162: every other one is told UIDs instead of numbers
        if self.qresync:
            self.say("ENABLE QRESYNC")
        self.select()

    def line(self):
        while b"\n" not in self.data:
            got = self.socket.recv(65536)
            if not got:
                raise AssertionError("closed")
            self.data += got
        line, self.data = self.data.split(b"\n", 1)
        return line.rstrip(b"\r")

    def fault(self, *what):
        self.faults.append(what)

    def say(self, command, literal=b""):
        self.number += 1
        self.answers = []
        tag = b"t%d" % self.number
        self.socket.sendall(tag + b" " + command.encode() + b"\r\n" + literal)
        while True:
            line = self.line()
            if line.startswith(tag + b" "):
                if line.startswith(tag + b" BAD"):
                    self.fault(command, line)
                return line
            self.answers.append(line)
            self.learn(line, command)

    def select(self):
        self.uids, self.flags = [], {}
        self.selections += 1
        self.say("SELECT INBOX")
        if self.uids:
            self.say("UID FETCH 1:* (FLAGS)")

    def vanish(self, uid, command):
        """VANISHED may name a message of which only EXISTS told: one of those whose place among the known UIDs is free."""
        at = 0
        while at < len(self.uids) and (self.uids[at] is None or self.uids[at] < uid):
            at += 1
        if at < len(self.uids) and self.uids[at] == uid:
            del self.uids[at]
        elif at > 0 and self.uids[at - 1] is None:
            del self.uids[at - 1]
        else:
            self.fault(command, "VANISHED of no message", uid)

    def learn(self, line, command):
        vanished = re.match(rb"\* VANISHED ([0-9:,]+)$", line)
        if vanished:
            if not self.qresync or command.startswith(("FETCH", "STORE", "SEARCH")):
                self.fault(command, "VANISHED during it")
            for part in vanished[1].split(b","):
                first, _, last = part.partition(b":")
                for uid in range(int(first), int(last or first) + 1):
                    self.vanish(uid, command)
            return
        announced = re.match(rb"\* FLAGS \((.*)\)", line)
        if announced:
            self.keywords = set(announced[1].split())
            return
        found = re.match(rb"\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH)(?: \((.*)\))?$", line)
        if not found:
            return
        number, what, rest = int(found[1]), found[2], found[3] or b""
        if what == b"EXISTS":
            if number < len(self.uids):
                self.fault(command, "EXISTS went down", number, len(self.uids))
            self.uids += [None] * (number - len(self.uids))
            return
        if what == b"RECENT":
            if number > len(self.uids):
                self.fault(command, "more RECENT than EXISTS", number, len(self.uids))
            return
        if number > len(self.uids):
            return self.fault(command, line, "past", len(self.uids))
        if what == b"EXPUNGE":
            if self.qresync or command.startswith(("FETCH", "STORE", "SEARCH")):
                self.fault(command, "EXPUNGE during it")
            del self.uids[number - 1]
            return
        uid = re.search(rb"UID (\d+)", rest)
        if uid:
            known = self.uids[number - 1]
            if known is not None and known != int(uid[1]):
                self.fault(command, line, "was", known)
        elif self.qresync:
            self.fault(command, line, "without UID")
        if uid:
            self.uids[number - 1] = int(uid[1])
        flags = re.search(rb"FLAGS \(([^)]*)\)", rest)
        if flags:
            unknown = set(flags[1].split()) - self.keywords - {b"\\Recent"}
            if unknown:
                self.fault(command, line, "flags that FLAGS did not name", unknown)
        if flags and self.uids[number - 1]:
            mine = (self.id, self.selections)
            if b"\\Recent" in flags[1] and RECENT_IN.setdefault(self.uids[number - 1], mine) != mine:
                self.fault(command, line, "\\Recent in two sessions")
            self.flags[self.uids[number - 1]] = frozenset(flags[1].split()) - {b"\\Recent"}

    def check(self):
        """After NOOP everything is known: a FETCH of all flags must say nothing new (what it adds after its own answers, without UID, is news)."""
        self.say("NOOP")
        if not self.uids:
            return
        known = {uid: self.flags.get(uid) for uid in self.uids if uid}
        self.say(f"FETCH 1:{len(self.uids)} (UID FLAGS)")
        for line in self.answers:
            found = re.search(rb"\(UID (\d+) FLAGS \(([^)]*)\)", line)
            if not found:
                continue
            uid, flags = int(found[1]), frozenset(found[2].split()) - {b"\\Recent"}
            if known.get(uid) not in (None, flags):
                self.fault("flags changed unsaid", uid, known[uid], flags)

    def step(self):
        self.commands += 1
        count, dice = len(self.uids), self.chance.random()
        some = self.chance.randint(1, count) if count else 0
        if dice < 0.2 or count < 3:
            letter = b"Subject: x\r\n\r\nx\r\n"
            self.say("APPEND INBOX (%s) {%d+}" % (self.chance.choice(["", "\\Seen", "kw1", "own%d" % self.id]), len(letter)), letter + b"\r\n")
        elif dice < 0.35:
            self.say(f"STORE {some} +FLAGS (\\Deleted)")
        elif dice < 0.5:
            other = self.chance.randint(1, count)
            self.say(f"STORE {some}:{other} {self.chance.choice(['+', '-', ''])}FLAGS (\\Flagged kw2)")
        elif dice < 0.55:   # .SILENT: what it changes is known without being told, what others changed must still be told
            uid, sign = self.uids[some - 1], self.chance.choice("+-")
            if self.flags.get(uid) is not None:
                self.flags[uid] = self.flags[uid] | {b"\\Draft"} if sign == "+" else self.flags[uid] - {b"\\Draft"}
            self.say(f"STORE {some} {sign}FLAGS.SILENT (\\Draft)")
        elif dice < 0.6:
            self.say("EXPUNGE")
        elif dice < 0.64 and self.uids[some - 1]:
            self.say(f"UID EXPUNGE {self.uids[some - 1]}")
        elif dice < 0.7:
            self.say(f"COPY {some} INBOX")
        elif dice < 0.75:
            self.say(f"MOVE {some} Other")
        elif dice < 0.8:
            self.say("SEARCH UNSEEN")
        elif dice < 0.88:
            self.say(f"FETCH {some} (UID FLAGS)")
        elif dice < 0.91:
            self.select()
        else:
            self.check()


def test_many_sessions_of_one_mailbox_agree():
    with Postcot() as server:
        faults, pictures = [], []
        first = Picture(server.imap, 0, faults)
        first.say("CREATE Other")
        until = time.monotonic() + SECONDS

        def live(number):
            try:
                picture = Picture(server.imap, number, faults)
                while time.monotonic() < until:
                    picture.step()
                pictures.append(picture)
            except Exception as error:   # in a thread: the test must hear of it
                faults.append((number, repr(error)))

        threads = [threading.Thread(target=live, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for picture in pictures:
            picture.check()
        assert not faults, faults[:10]
        assert len({tuple(picture.uids) for picture in pictures}) == 1
        print(f"{sum(picture.commands for picture in pictures)} steps, {len(pictures[0].uids)} messages left")


main(test_many_sessions_of_one_mailbox_agree)

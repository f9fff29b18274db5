"""kill -9 of each daemon in turn under a stream of 2000 messages: each acknowledged one is in a Maildir exactly once, no other one more than once."""
import collections
import queue
import random
import re
import smtplib
import threading
import time

from harness import Postcot, kill, main, wait_until

MESSAGES = 2000
SENDERS = 6
USERS = 8
DAEMONS = ["smtpd", "queued", "imapd", "pop3d", "authd"]


def test_what_was_acknowledged_arrives_exactly_once():
    with Postcot(users=USERS) as server:
        work = queue.Queue()
        for number in range(MESSAGES):
            work.put(number)
        acknowledged, lock, failures = set(), threading.Lock(), []

        def send():
            client, attempt = None, 0
            while True:
                try:
                    number = work.get_nowait()
                except queue.Empty:
                    return
                deadline = time.monotonic() + 60
                while True:
                    attempt += 1
                    token = f"{number}-{threading.get_ident()}-{attempt}"
                    size = 400 if number % 50 else 300000   # each 50th takes the way of large messages
                    try:
                        if client is None:
                            client = smtplib.SMTP("127.0.0.1", server.smtp, timeout=20)
                        client.sendmail("user01@example.com", [f"test{number % USERS + 1}@example.com"],
                                        f"Subject: t\r\nX-Token: {token}\r\n\r\n".encode() + (b"x" * 70 + b"\r\n") * (size // 72))
                        with lock:
                            acknowledged.add(token)
                        break
                    except (smtplib.SMTPException, OSError):
                        client = None
                        if time.monotonic() > deadline:
                            failures.append(number)
                            return
                        time.sleep(0.05)

        threads = [threading.Thread(target=send) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        # The next victim falls each time another share of the stream is acknowledged.
        chance, kills = random.Random(4), 0
        for share in range(1, 11):
            wait_until(lambda: len(acknowledged) >= MESSAGES * share / 12 or not any(t.is_alive() for t in threads), "the stream to go on", 90)
            daemon = DAEMONS[share % len(DAEMONS)]
            victims = wait_until(lambda: server.processes(daemon), f"{daemon} to be running", 30)
            if share > 5:   # first whole daemons, then single processes of them
                victims = [chance.choice(victims)]
            for pid in victims:
                kill(pid)
                kills += 1
        for thread in threads:
            thread.join(180)
        assert not failures, f"senders gave up on {failures[:5]}"
        assert len(acknowledged) >= MESSAGES
        wait_until(lambda: all(server.processes(daemon) for daemon in DAEMONS), "all daemons to be back", 60)
        server.wait_for_empty_queue(120)

        found = collections.Counter()
        for user in range(1, USERS + 1):
            for path in server.messages(f"test{user}"):
                with open(path, "rb") as file:
                    found[re.search(rb"^X-Token: (\S+)", file.read(4000), re.M)[1].decode()] += 1
        lost = acknowledged - set(found)
        doubled = [token for token, times in found.items() if times > 1]
        print(f"{len(acknowledged)} acknowledged, {len(found)} found, {kills} processes killed")
        assert not lost, f"lost {len(lost)}: {sorted(lost)[:5]}"
        assert not doubled, f"doubled {len(doubled)}: {doubled[:5]}"
        client = server.imap_client("test1", "pass")
        assert client.select()[1][0] == str(len(server.messages("test1"))).encode()
        client.logout()


main(test_what_was_acknowledged_arrives_exactly_once)

"""The queue as an administrator handles it: mailq, postqueue, postsuper, postcat, and mail that is taken while queued is down."""
import json
import os
import re

from harness import BIN, Postcot, free_port, kill, main, run, wait_until

LETTER = b"From: user01@example.com\nTo: someone@far.test\nSubject: waits\n\nbody of the waiting letter\n"


def deferred(server, count=1):
    for _ in range(count):
        server.sendmail("-f", "user01@example.com", "someone@far.test", data=LETTER)
    wait_until(lambda: server.log().count("status=deferred") >= count, f"{count} deferred")
    return [json.loads(line)["queue_id"] for line in server.tool("postqueue", "-j").stdout.splitlines()]


def test_hold_release_show_requeue_delete():
    with Postcot(main_cf=f"relayhost = [127.0.0.1]:{free_port()}\n") as server:
        first, second = deferred(server, 2)
        server.tool("postsuper", "-h", first)
        shown = server.tool("postqueue", "-p").stdout.decode()
        assert re.search(rf"^{first}!", shown, re.M) and re.search(rf"^{second} ", shown, re.M), shown
        assert re.search(r"^-- \d+ Kbytes in 2 Requests\.$", shown, re.M), shown
        content = server.tool("postcat", "-q", first).stdout
        assert b"body of the waiting letter" in content and b"sender: user01@example.com" in content and b"recipient: someone@far.test" in content, content
        server.tool("postsuper", "-H", first)
        assert not re.search(rf"^{first}!", server.tool("postqueue", "-p").stdout.decode(), re.M)
        server.tool("postsuper", "-d", first)
        assert [json.loads(line)["queue_id"] for line in server.tool("postqueue", "-j").stdout.splitlines()] == [second]
        server.tool("postqueue", "-i", second)
        server.tool("postsuper", "-d", "ALL")
        assert server.tool("postqueue", "-p").stdout == b"Mail queue is empty\n"
        assert run(BIN / "mailq", "-C", server.etc / "postfix").stdout == b"Mail queue is empty\n"


def test_the_queue_survives_a_restart():
    with Postcot(main_cf=f"relayhost = [127.0.0.1]:{free_port()}\n") as server:
        ids = set(deferred(server, 3))
        server.stop()
        server.start()
        assert {json.loads(line)["queue_id"] for line in server.tool("postqueue", "-j").stdout.splitlines()} == ids


def test_sendmail_takes_mail_while_queued_is_down():
    with Postcot() as server:
        server.stop()
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=LETTER)
        assert not server.messages("user02")
        server.start()
        server.wait_for_mail("user02", 1)
        server.wait_for_log(r"pickup\[\d+\]: \w+: uid=\d+ from=<user01@example.com>")


def test_sendmail_t_reads_recipients_and_removes_bcc():
    with Postcot() as server:
        server.sendmail("-t", "-oi", "-f", "user01@example.com", "-F", "Us Er", data=b"To: user02@example.com\nBcc: user01@example.com\nSubject: secret\n\n.\nafter the dot\n")
        for user in ("user01", "user02"):
            text = open(server.wait_for_mail(user, 1)[0]).read()
            assert "Bcc:" not in text and "after the dot" in text, text
        assert "From: Us Er <user01@example.com>" in text, text


def test_errors_name_what_is_wrong():
    with Postcot() as server:
        unknown = server.tool("postcat", "-q", "ABCDEF0123", check=False)
        assert unknown.returncode != 0 and b"ABCDEF0123" in unknown.stderr
        wrong = server.tool("postqueue", "--nonsense", check=False)
        assert wrong.returncode == 64 or b"usage" in wrong.stderr.lower()
        none = server.sendmail("-f", "user01@example.com", data=LETTER, check=False)
        assert none.returncode == 64 and b"recipient" in none.stderr.lower(), none


main(test_hold_release_show_requeue_delete, test_the_queue_survives_a_restart, test_sendmail_takes_mail_while_queued_is_down,
     test_sendmail_t_reads_recipients_and_removes_bcc, test_errors_name_what_is_wrong)

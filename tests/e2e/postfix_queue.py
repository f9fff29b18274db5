"""Switching over with mail in the queue: what a real Postfix left is taken over, each message once, and delivered once."""
import collections
import json
import os
import re
import shutil
import smtplib
import subprocess

from _peers import PostfixPeer, need_root
from _sink import Sink, address_of, subject_of
from harness import BIN, Postcot, kill, main, run, wait_until

COUNT = 300


def letter(subject, body=b"body\n", head=b""):
    return head + f"From: a@x.test\nTo: b@far.test\nSubject: {subject}\n\n".encode() + body


def queue(server):
    """{queue id: listing} of ours or Postfix's."""
    lines = server.tool("postqueue", "-j").stdout if isinstance(server, Postcot) else run("postqueue", "-c", server.etc, "-j").stdout
    return {item["queue_id"]: item for item in map(json.loads, lines.splitlines())}


def spool_files(spool, *folders):
    return sorted(path for folder in folders for path in (spool / folder).rglob("*") if path.is_file())


def set_parameters(server, *settings):
    tool = (lambda *words: server.tool("postconf", *words)) if isinstance(server, Postcot) else (lambda *words: run("postconf", "-c", server.etc, *words))
    tool("-e", *settings)


def fill(postfix):
    """COUNT messages of all kinds in the queue of a Postfix that defers them; {subject: (recipients that wait, facts)}."""
    expected = {}
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.ehlo("client.test")

        def send(subject, recipients, content=None, options=(), rcpt_options=(), waiting=None):
            client.sendmail("a@x.test", recipients, (content or letter(subject)).replace(b"\n", b"\r\n"), list(options), list(rcpt_options))
            expected[subject] = sorted(waiting or recipients)

        for i in range(COUNT - 6):
            send(f"plain {i}", [f"user{i}@far{i % 7}.test"])
        send("several", [f"m{i}@far.test" for i in range(20)])
        send("partly", ["user01@peer.test", "later@far.test"], waiting=["later@far.test"])
        send("status", ["dsn@far.test"], options=["RET=HDRS", "ENVID=QQ+2B1"], rcpt_options=["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;first+2Bone@far.test"])
        send("eight", ["eight@far.test"], letter("eight", b"\xc3\xa4 \xff\n"), options=["BODY=8BITMIME"])
        send("large", ["large@far.test"], letter("large", b"0123456789" * 7 + b"\n") + (b"x" * 70 + b"\n") * 25000 + b"y" * 5000 + b"\n.\nend\n")
        client.command_encoding = "utf-8"
        for command in ("MAIL FROM:<\u00fc@x.test> SMTPUTF8", "RCPT TO:<\u00e4@far.test>"):
            code, text = client.docmd(command)
            assert code == 250, text
        code, text = client.data(letter("utf8 \u00f6"))
        assert code == 250, text
        expected["utf8 \u00f6"] = ["\u00e4@far.test"]
    waiting = sum(len(recipients) for recipients in expected.values())
    wait_until(lambda: postfix.log().count("status=deferred") >= waiting, "all deferred by Postfix", 60)
    wait_until(lambda: postfix.log().count("status=sent") >= 1, "the delivered part")
    return expected


def stop_postfix(postfix):
    run("postfix", "-c", postfix.etc, "stop")


def takes_over(postfix, sink, **more):
    """A Postcot on the queue of that Postfix, which is stopped."""
    main_cf = f"queue_directory = {postfix.root}/spool\nrelayhost = [127.0.0.1]:{sink.port}\nsmtp_tls_security_level = none\n" + more.pop("main_cf", "")
    return Postcot(main_cf=main_cf, **more)


def deliver_now(server):
    set_parameters(server, "defer_transports=")
    server.stop()
    server.start()
    server.tool("postqueue", "-f")


def settled(server, sink, expected):
    """All that is expected was delivered, and nothing twice."""
    want = collections.Counter((subject, to) for subject, recipients in expected.items() for to in recipients)
    try:
        wait_until(lambda: not want - sink.addressed(), "all delivered", 60, 0.1)
        server.wait_for_empty_queue()
    finally:
        got = sink.addressed()
        if got != want:
            print("missing", want - got, "too much", got - want)
    assert sink.addressed() == want


def test_a_queue_of_postfix_is_taken_over():
    need_root()
    with Sink() as sink, PostfixPeer(main_cf="defer_transports = smtp\nmessage_size_limit = 20000000\n") as postfix:
        expected = fill(postfix)
        before = queue(postfix)
        assert len(before) == COUNT, len(before)
        ids = {item["recipients"][0]["address"]: key for key, item in before.items()}
        run("postsuper", "-c", postfix.etc, "-h", ids["user7@far0.test"], "-h", ids["dsn@far.test"])
        before = queue(postfix)
        stop_postfix(postfix)
        # Mail that is dropped while Postfix is down.
        run("sendmail", "-C", postfix.etc, "-f", "z@x.test", "-F", "Full Name", "-V", "ENV7", "-R", "hdrs", "dropped@far.test", data=b"Subject: dropped\n\nx\n")
        run("sendmail", "-C", postfix.etc, "-t", "-f", "z@x.test", data=b"To: to@far.test\nBcc: blind@far.test\nSubject: headers\n\n" + (b"x" * 99 + b"\n") * 3000)
        expected |= {"dropped": ["dropped@far.test"], "headers": ["blind@far.test", "to@far.test"]}
        spool = postfix.root / "spool"
        by_id = {path.name: path for path in spool_files(spool, "deferred", "hold")}
        # One that was on its way when the host lost power, one that returned to its sender but for the notice, one cut short, one that
        # its client never ended, and one whose name another folder already has.
        by_id[ids["user8@far1.test"]].rename(spool / "active" / ids["user8@far1.test"])
        bounced = by_id[ids["user9@far2.test"]]
        content = bounced.read_bytes()
        at = content.index(b"R\x0fuser9@far2.test")
        bounced.write_bytes(content[:at] + b"D" + content[at + 1:])
        (spool / "bounce" / bounced.name).write_text(f"\n<user9@far2.test>: no such user here\nrecipient=user9@far2.test\noffset={at}\nstatus=5.1.1\naction=failed\nreason=no such user here\n\n")
        shutil.chown(spool / "bounce" / bounced.name, "postfix")
        cut = by_id[ids["user10@far3.test"]]
        cut.write_bytes(cut.read_bytes()[:-20])
        unfinished = spool / "incoming" / "ABCDEF0123"
        shutil.copy(by_id[ids["user11@far4.test"]], unfinished)
        shutil.copystat(by_id[ids["user12@far5.test"]], unfinished)
        os.chmod(unfinished, 0o600)
        shutil.chown(unfinished, "postfix")
        del expected["plain 9"], expected["plain 10"]
        twin = spool / "incoming" / ids["user13@far6.test"]
        twin.write_bytes(by_id[ids["user13@far6.test"]].read_bytes().replace(b"plain 13", b"twin  13").replace(b"user13@far6", b"twin13@far6"))
        os.chmod(twin, 0o700)
        shutil.chown(twin, "postfix")
        expected["twin  13"] = ["twin13@far6.test"]

        with takes_over(postfix, sink, main_cf="defer_transports = smtp\nmessage_size_limit = 20000000\n") as server:
            server.wait_for_log(r"postfix/qmgr\[\d+\]: \d+ messages of Postfix's queue taken over, 1 damaged, 0 left")
            wait_until(lambda: not spool_files(spool, "maildrop"), "an empty maildrop")
            after = wait_until(lambda: (listed := queue(server)) and len(listed) >= COUNT + 2 and listed, "all in our queue")
            left = [path.name for path in spool_files(spool, "active", "deferred", "hold", "defer", "bounce", "trace")]
            assert left == [cut.name], left   # its log
            assert spool_files(spool, "incoming") == [unfinished]
            assert [path.name for path in spool_files(spool, "corrupt")] == [cut.name]
            server.wait_for_log(rf"deferred/\w/{cut.name}: .*: moved to corrupt/{cut.name}")

            # Each is what it was.
            renamed = re.search(rf"{twin.name}: taken over as (\w+): this queue id is in use", server.log())[1]
            for key, item in before.items():
                if key in (bounced.name, cut.name):
                    assert key not in after, key
                    continue
                got = after[key if key != twin.name else renamed] if item["recipients"][0]["address"] == "user13@far6.test" and after[key]["recipients"][0]["address"] != "user13@far6.test" else after[key]
                assert {to["address"] for to in got["recipients"]} == {to["address"] for to in item["recipients"]}, (got, item)
                assert (got["sender"], got["arrival_time"]) == (item["sender"], item["arrival_time"]), (got, item)
                assert (got["queue_name"] == "hold") == (item["queue_name"] == "hold"), (got, item)
            assert "deferred transport" in after[ids["user20@far6.test"]]["recipients"][0]["delay_reason"], after[ids["user20@far6.test"]]
            held = [key for key, item in after.items() if item["queue_name"] == "hold"]
            assert sorted(held) == sorted([ids["user7@far0.test"], ids["dsn@far.test"]])
            shown = server.tool("postcat", "-q", ids["large@far.test"]).stdout
            assert b"y" * 5000 + b"\n.\nend\n" in shown

            # The sender of the one that returned is told.
            notice = wait_until(lambda: [item for item in queue(server).values() if item["sender"] == "MAILER-DAEMON"], "a notice")
            assert [to["address"] for to in notice[0]["recipients"]] == ["a@x.test"], notice
            assert b"no such user here" in server.tool("postcat", "-q", notice[0]["queue_id"]).stdout
            server.tool("postsuper", "-d", notice[0]["queue_id"])

            # Nothing is taken twice by another start.
            server.stop()
            server.start()
            assert len(queue(server)) == COUNT + 1, len(queue(server))

            server.tool("postsuper", "-H", "ALL")
            deliver_now(server)
            settled(server, sink, expected)

        sender, recipients, content = sink.one("status")
        assert sender == "<a@x.test> RET=HDRS ENVID=QQ+2B1" or set(sender.split()) >= {"<a@x.test>", "RET=HDRS", "ENVID=QQ+2B1"}, sender
        assert set(recipients[0].split()) == {"<dsn@far.test>", "NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;first+2Bone@far.test"}, recipients
        sender, _, content = sink.one("eight")
        assert "BODY=8BITMIME" in sender and content.endswith(b"\n\n\xc3\xa4 \xff\n"), (sender, content)
        sender, _, content = sink.one("utf8 \u00f6")
        assert "SMTPUTF8" in sender, sender
        content = sink.one("large")[2].replace(b"\n y", b"y")   # smtp_line_length_limit
        assert content.endswith((b"x" * 70 + b"\n") * 25000 + b"y" * 5000 + b"\n.\nend\n") and content.count(b"Received:") == 1
        sender, _, content = sink.one("dropped")
        assert set(sender.split()) >= {"<z@x.test>", "RET=HDRS", "ENVID=ENV7"} and b"From: Full Name <z@x.test>" in content, (sender, content)
        with sink.lock:
            headers = [content for _, _, content in sink.taken if subject_of(content) == "headers"]
        assert all(b"Bcc" not in content and content.endswith((b"x" * 99 + b"\n") * 3000) for content in headers)


def test_kill_9_while_taking_over():
    with Sink() as sink, PostfixPeer(main_cf="defer_transports = smtp\nmessage_size_limit = 20000000\n") as postfix:
        expected = fill(postfix)
        stop_postfix(postfix)
        spool = postfix.root / "spool"
        with takes_over(postfix, sink, main_cf="defer_transports = smtp\nmessage_size_limit = 20000000\n") as server:
            for _ in range(2):
                seen = server.log().count("taken over from")
                wait_until(lambda: server.log().count("taken over from") > seen or not spool_files(spool, "deferred"), "some are taken over", interval=0.001)
                for pid in server.processes("queued"):
                    kill(pid)
                wait_until(lambda: server.tool("postqueue", "-p", check=False).returncode == 0, "queued runs again")
            wait_until(lambda: not spool_files(spool, "deferred"), "all taken over")
            assert len(queue(server)) == COUNT
            deliver_now(server)
            settled(server, sink, expected)


def test_a_postfix_that_runs_keeps_its_queue():
    with Sink() as sink, PostfixPeer(main_cf="defer_transports = smtp\n") as postfix, takes_over(postfix, sink, main_cf="defer_transports = smtp\n", start=False) as server:
        run("sendmail", "-C", postfix.etc, "-f", "a@x.test", "b@far.test", data=letter("waits"))
        wait_until(lambda: "status=deferred" in postfix.log(), "deferred by Postfix")
        before = spool_files(postfix.root / "spool", "deferred")
        daemon = subprocess.Popen([BIN / "queued", "-c", server.etc])
        try:
            server.wait_for_log("waiting for the end of the Postfix that has this queue")
            assert len(before) == 1 and spool_files(postfix.root / "spool", "deferred") == before
            stop_postfix(postfix)
            server.wait_for_log("1 messages of Postfix's queue taken over")
            assert list(queue(server)) == [before[0].name]
        finally:
            daemon.terminate()
            daemon.wait(40)


def test_the_queue_is_handed_back():
    main_cf = "defer_transports = smtp\nmessage_size_limit = 20000000\n"
    with Sink() as sink, PostfixPeer(main_cf=main_cf) as postfix:
        expected = fill(postfix)
        ids = {item["recipients"][0]["address"]: key for key, item in queue(postfix).items()}
        run("postsuper", "-c", postfix.etc, "-h", ids["user7@far0.test"])
        stop_postfix(postfix)
        spool = postfix.root / "spool"
        with takes_over(postfix, sink, main_cf=main_cf) as server:
            wait_until(lambda: not spool_files(spool, "deferred", "hold"), "all taken over")
            # Of ours, too: through smtpd, held, with DSN parameters, and one that sendmail leaves while queued is down.
            with server.smtp_client() as client:
                client.ehlo("client.test")
                client.sendmail("user01@example.com", ["own1@far.test", "own2@far.test"], letter("own").replace(b"\n", b"\r\n"), ["RET=FULL", "ENVID=OWN1"], ["NOTIFY=SUCCESS,FAILURE"])
            expected["own"] = ["own1@far.test", "own2@far.test"]
            server.wait_for_log(r"to=<own2@far.test>.*status=deferred")
            own = [item for item in queue(server).values() if item["recipients"][0]["address"].startswith("own")][0]
            server.tool("postsuper", "-h", own["queue_id"])
            refused = run(BIN / "postcot", "hand-back", "-c", server.etc, check=False)
            assert refused.returncode == 75 and b"stop queued first" in refused.stderr, refused
            before = queue(server)
            assert len(before) == COUNT + 1
            server.stop()
            server.sendmail("-f", "user01@example.com", "-V", "WAIT", "waiting@far.test", data=letter("waiting"))
            expected["waiting"] = ["waiting@far.test"]
            done = run(BIN / "postcot", "hand-back", "-c", server.etc)
            assert f"{COUNT + 2} messages handed back".encode() in done.stdout, done
            assert not spool_files(spool, "maildrop", "large", "handback"), spool_files(spool, "maildrop", "large", "handback")
            assert run(BIN / "postcot", "hand-back", "-c", server.etc).stdout.startswith(b"0 messages")

            # Dropped at the last moment: Postfix's to pick up.
            server.sendmail("-f", "user01@example.com", "-F", "Full Name", "-V", "LAST", "-N", "failure", "last@far.test", data=letter("last").replace(b"From: a@x.test\n", b""))
            server.sendmail("-t", "-f", "user01@example.com", data=b"To: Some One <to@far.test>\nBcc: blind@far.test\nSubject: named\n\n" + (b"x" * 99 + b"\n") * 3000 + b"no line end")
            expected |= {"last": ["last@far.test"], "named": ["blind@far.test", "to@far.test"]}

        run("postfix", "-c", postfix.etc, "start")
        wait_until(lambda: not spool_files(spool, "maildrop") and postfix.log().count("from=<user01@example.com>") >= 2 and len(queue(postfix)) == COUNT + 4, "Postfix picks up what was dropped")
        after = queue(postfix)
        assert "renamed" not in postfix.log(), postfix.log()
        assert not spool_files(spool, "corrupt")

        def facts(listed):
            return sorted((item["sender"], item["arrival_time"], item["queue_name"] == "hold", tuple(sorted((to["address"], to.get("delay_reason", "")) for to in item["recipients"])))
                          for item in listed.values() if item["recipients"][0]["address"] not in ("waiting@far.test", "last@far.test", "to@far.test", "blind@far.test"))
        assert facts(before) == facts(after), [pair for pair in zip(facts(before), facts(after)) if pair[0] != pair[1]][:3]
        assert sum(item["queue_name"] == "hold" for item in after.values()) == 2
        shown = run("postcat", "-c", postfix.etc, "-q", [key for key, item in after.items() if item["recipients"][0]["address"].startswith("own")][0]).stdout
        assert b"envelope_id=OWN1" in shown and b"ret_flags=1" in shown and b"notify_flags=6" in shown, shown

        set_parameters(postfix, "defer_transports=", f"relayhost=[127.0.0.1]:{sink.port}", "default_destination_concurrency_limit=3")
        run("postsuper", "-c", postfix.etc, "-H", "ALL")
        run("postfix", "-c", postfix.etc, "reload")
        want = collections.Counter((subject, to) for subject, recipients in expected.items() for to in recipients)

        def flushed():
            run("postqueue", "-c", postfix.etc, "-f")   # again: the queue manager that is about to end for the reload may have taken the first one
            return not want - sink.addressed() and not queue(postfix)
        wait_until(flushed, "Postfix delivers all", 60, 0.5)
        assert sink.addressed() == want, (want - sink.addressed(), sink.addressed() - want)
        sender, recipients, _ = sink.one("status")
        assert set(sender.split()) >= {"<a@x.test>", "RET=HDRS", "ENVID=QQ+2B1"}, sender
        assert set(recipients[0].split()) == {"<dsn@far.test>", "NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;first+2Bone@far.test"}, recipients
        assert "SMTPUTF8" in sink.one("utf8 \u00f6")[0]
        assert "BODY=8BITMIME" in sink.one("eight")[0] and sink.one("eight")[2].endswith(b"\n\n\xc3\xa4 \xff\n")
        content = sink.one("large")[2].replace(b"\n y", b"y")
        assert content.endswith((b"x" * 70 + b"\n") * 25000 + b"y" * 5000 + b"\n.\nend\n"), content[-6000:]
        assert "ENVID=WAIT" in sink.one("waiting")[0]
        sender, recipients, content = sink.one("last")
        assert "ENVID=LAST" in sender and "NOTIFY=FAILURE" in recipients[0] and b"From: Full Name <user01@example.com>" in content, (sender, recipients, content)
        with sink.lock:
            assert all(b"Bcc" not in content and content.endswith((b"x" * 99 + b"\n") * 3000 + b"no line end\n") for _, _, content in sink.taken if subject_of(content) == "named")


def test_the_queue_is_exported():
    with Sink() as sink, Postcot(main_cf=f"relayhost = [127.0.0.1]:{sink.port}\ndefer_transports = smtp\nsmtp_tls_security_level = none\n") as server:
        for i in range(3):
            server.sendmail("-f", "user01@example.com", "-N", "delay,failure" if i else "never", f"to{i}@far.test", "more@far.test", data=letter(f"number {i}"))
        with server.smtp_client() as client:
            client.ehlo("x.test")
            client.mail('"odd name"@example.com', ["ENVID=a+2Bb"])
            for to, option in (("one@far.test", "NOTIFY=NEVER"), ("two@far.test", "NOTIFY=SUCCESS"), ("'a$b`@far.test", "NOTIFY=SUCCESS")):
                client.rcpt(f"{to}", [option])
            client.data(letter("odd").replace(b"\n", b"\r\n"))
        wait_until(lambda: server.log().count("status=deferred") >= 9, "all deferred")
        held = [key for key, item in queue(server).items() if item["recipients"][0]["address"].startswith("to2")][0]
        server.tool("postsuper", "-h", held)
        server.stop()
        folder = server.state / "export"
        run(BIN / "postcot", "export-queue", folder, "--keep", "-c", server.etc)
        assert len(list(folder.glob("*.eml"))) == 4
        done = run(BIN / "postcot", "export-queue", folder, "-c", server.etc)
        assert b"4 messages moved to" in done.stdout, done
        assert run(BIN / "postcot", "hand-back", "-c", server.etc).stdout.startswith(b"0 messages")

        # Taken by a mail system: by ours, here, which is empty now.
        set_parameters(server, "defer_transports=")
        server.start()
        script = folder / "sendmail"
        script.write_text(f"#!/bin/sh\nexec {BIN}/sendmail -C {server.etc}/postfix \"$@\"\n")
        script.chmod(0o755)
        run(folder / "reinject", env={**os.environ, "SENDMAIL": str(script)})
        assert [path.name for path in folder.glob("*.eml")] == [f"{held}.eml"]
        run(folder / "reinject", held, env={**os.environ, "SENDMAIL": str(script)})
        assert sorted(path.name for path in folder.iterdir()) == ["reinject", "sendmail"]
        settled(server, sink, {**{f"number {i}": [f"to{i}@far.test", "more@far.test"] for i in range(3)}, "odd": ["one@far.test", "two@far.test", "'a$b`@far.test"]})
        notify = {address_of(to): (sender, to) for sender, recipients, content in sink.taken for to in recipients if subject_of(content) in ("odd", "number 1")}
        assert "NOTIFY=NEVER" in notify["one@far.test"][1] and "NOTIFY=SUCCESS" in notify["'a$b`@far.test"][1] and "NOTIFY=FAILURE,DELAY" in notify["to1@far.test"][1], notify
        assert '<"odd name"@example.com>' in notify["one@far.test"][0] and "ENVID=a+2Bb" in notify["one@far.test"][0], notify


main(test_a_queue_of_postfix_is_taken_over, test_kill_9_while_taking_over, test_a_postfix_that_runs_keeps_its_queue, test_the_queue_is_handed_back, test_the_queue_is_exported)

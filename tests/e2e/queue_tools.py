"""The queue as an administrator handles it: mailq, postqueue, postsuper, postcat, and mail that is taken while queued is down."""
import email
import json
import os
import re
import socketserver
import subprocess
import threading

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


def speak(server, *lines, line_end=b"\r\n"):
    """A scripted session with sendmail -bs; the reply lines."""
    done = server.sendmail("-bs", data=b"".join(line.encode() + line_end for line in lines))
    assert b"\n" not in done.stdout.replace(b"\r\n", b""), done.stdout
    return done.stdout.decode().split("\r\n")


ENVELOPE = ["MAIL FROM:<user01@example.com>", "RCPT TO:<user02@example.com>"]


def test_sendmail_bs_speaks_smtp():
    with Postcot() as server:
        replies = speak(server, "EHLO client.example.com", ENVELOPE[0], "RCPT TO:<<>", ENVELOPE[1], "DATA",
                        "Subject: over a pipe", "", "..dot", "end", ".", "AUTH PLAIN", "STARTTLS", "ETRN example.com", "QUIT")
        assert replies[0].startswith("220 ") and not any("STARTTLS" in line or "AUTH" in line for line in replies), replies
        assert any(line.startswith("501 5.1.3") for line in replies), replies
        assert any(re.match(r"250 2\.0\.0 Ok: queued as \w+$", line) for line in replies), replies
        for refused in ("503 5.5.1 Error: authentication not enabled", "502 5.5.1 Error: command not implemented", "458 Unable to queue messages"):
            assert refused in replies, (refused, replies)
        text = open(server.wait_for_mail("user02", 1)[0]).read()
        assert "Received: from client.example.com (localhost [127.0.0.1])" in text and "from userid" in text, text
        assert text.endswith("\n\n.dot\nend\n"), text
        server.wait_for_log(r"smtpd\[\d+\]: disconnect from localhost\[127\.0\.0\.1\] ehlo=1 starttls=0/1 auth=0/1 mail=1 rcpt=1/2 data=1 etrn=0/1 quit=1 commands=5/9")


def test_sendmail_bs_takes_mail_while_queued_is_down():
    with Postcot() as server:
        server.stop()
        # More than one message, one of them too large for memory, one in chunks, and lines that end as a shell script's do.
        large = ["x" * 70] * 10000
        replies = speak(server, "HELO here", *ENVELOPE, "DATA", "Subject: first", "", *large, ".", "QUIT", line_end=b"\n")
        assert sum("Ok: queued as" in line for line in replies) == 1, replies
        chunk = "Subject: second\r\n\r\nin chunks\r\n"
        replies = speak(server, "EHLO here", *ENVELOPE, f"BDAT {len(chunk)} LAST\r\n{chunk}QUIT")
        assert sum("queued as" in line for line in replies) == 1, replies
        # A client that goes away in the middle has sent nothing.
        speak(server, "HELO here", *ENVELOPE, "DATA", "Subject: half", "", "cut off")
        assert len(os.listdir(server.state / "spool/maildrop")) == 2
        assert not server.messages("user02")
        server.start()
        texts = [open(path).read() for path in server.wait_for_mail("user02", 2)]
        assert sorted(len(text) > 700000 for text in texts) == [False, True] and any("in chunks\n" in text for text in texts), [text[:500] for text in texts]


def test_postdrop_leaves_no_half_a_message():
    with Postcot() as server:
        server.stop()
        sending = subprocess.Popen([BIN / "sendmail", "-C", server.etc / "postfix", "-f", "user01@example.com", "user02@example.com"],
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        sending.stdin.write(LETTER * 10000)
        sending.stdin.flush()
        wait_until(lambda: os.listdir(server.state / "spool/maildrop"), "a file in the maildrop")
        sending.kill()
        sending.communicate()
        wait_until(lambda: not os.listdir(server.state / "spool/maildrop"), "no file in the maildrop")


class ListeningServer(socketserver.ThreadingTCPServer):
    """Takes every recipient but <no@...>; keeps the commands it was given."""
    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 far.test\r\n")
            for line in self.rfile:
                command = line.strip().decode()
                self.server.commands.append(command)
                verb = command.split(" ")[0]
                if verb == "QUIT":
                    return
                if verb == "EHLO":
                    self.wfile.write(b"250-far.test\r\n250 PIPELINING\r\n")
                elif command.startswith("RCPT TO:<no@"):
                    self.wfile.write(b"550 5.1.1 Nobody of that name\r\n")
                else:
                    self.wfile.write(b"354 Go on\r\n" if verb == "DATA" else b"250 2.1.5 Fine\r\n")

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.commands = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_sendmail_bv_reports_and_delivers_nothing():
    with ListeningServer() as far, Postcot(start=False) as server:
        port = far.server_address[1]
        with open(server.etc / "postfix/main.cf", "a") as file:
            file.write(f"alias_maps = hash:{server.state}/aliases\nalways_bcc = user01@example.com\n"
                       f"transport_maps = inline:{{ far.test=smtp:[127.0.0.1]:{port}, down.test=smtp:[127.0.0.1]:{free_port()} }}\n")
        mark = server.state / "mark"
        (server.state / "aliases").write_text(f'crowd: other@far.test, "|touch {mark}", {mark}, {mark}.d/\n')
        server.tool("postalias", f"hash:{server.state}/aliases")
        server.start()
        expected = {
            "user02@example.com": ("deliverable", "delivers to maildir"),
            "none@example.com": ("undeliverable", 'unknown user: "none@example.com"'),
            "yes@far.test": ("deliverable", "250 2.1.5 Fine"),
            "no@far.test": ("undeliverable", "550 5.1.1 Nobody of that name"),
            "x@down.test": ("undeliverable", "Connection refused"),
            "nosuchuser@localhost": ("undeliverable", 'unknown user: "nosuchuser"'),
        }
        done = server.sendmail("-bv", "-f", "user01@example.com", *expected, "crowd@localhost", data=b"not read\n")
        assert done.stdout == b"Mail Delivery Status Report will be mailed to <user01@example.com>.\n", done
        report = email.message_from_file(open(server.wait_for_mail("user01", 1)[0]))
        assert report["Subject"] == "Mail Delivery Status Report" and report.get_content_type() == "multipart/report", report.as_string()
        blocks = [block for block in report.get_payload()[1].get_payload() if block["Final-Recipient"]]
        said = [(block["Final-Recipient"].split("; ")[1], block["Action"], " ".join(block["Diagnostic-Code"].split())) for block in blocks]
        for address, (action, text) in expected.items():
            assert any(line[0] == address and line[1] == action and text in line[2] for line in said), (address, said)
        listed = sorted(line[2].split("; delivery via local: ")[1] for line in said if line[0] in ("crowd@localhost", "other@far.test") and line[1] == "deliverable")
        assert listed == [f"delivers to command: touch {mark}", f"delivers to file: {mark}", f"delivers to file: {mark}.d/", "forwards to other@far.test"], said
        assert len(said) == len(expected) + 4, said
        server.wait_for_log(r"to=<user02@example\.com>, relay=virtual, .*dsn=2\.0\.0, status=deliverable \(delivers to maildir\)")
        server.wait_for_empty_queue()
        assert not server.messages("user02") and len(server.messages("user01")) == 1   # no copy either
        assert not list(server.state.glob("mark*")) and not any(command.startswith("DATA") or "other@" in command for command in far.commands), far.commands
        refused = server.sendmail("-bv", "-t", data=b"To: user02@example.com\n\n", check=False)
        assert refused.returncode == 64 and b"-t option cannot be used with -bv" in refused.stderr, refused


def test_sendmail_runs_without_standard_output_and_error():
    with Postcot() as server:
        done = subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", BIN / "sendmail", "-C", server.etc / "postfix", "-f", "user01@example.com", "user02@example.com"],
                              input=LETTER, timeout=20)
        assert done.returncode == 0, done
        server.wait_for_mail("user02", 1)


def test_errors_name_what_is_wrong():
    with Postcot() as server:
        unknown = server.tool("postcat", "-q", "ABCDEF0123", check=False)
        assert unknown.returncode != 0 and b"ABCDEF0123" in unknown.stderr
        wrong = server.tool("postqueue", "--nonsense", check=False)
        assert wrong.returncode == 64 or b"usage" in wrong.stderr.lower()
        none = server.sendmail("-f", "user01@example.com", data=LETTER, check=False)
        assert none.returncode == 64 and b"recipient" in none.stderr.lower(), none



def test_mail_that_is_refused_at_pickup_comes_back_to_its_sender():
    """Nobody waits for an SMTP reply there: as Postfix's cleanup, it bounces."""
    hops = b"".join(b"Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\n" for _ in range(60))
    with Postcot() as server:
        server.sendmail("-f", "user01@example.com", "user02@example.com", "someone@far.test", data=hops + LETTER)
        report = email.message_from_file(open(server.wait_for_mail("user01", 1)[0]))
        assert report["Subject"] == "Undelivered Mail Returned to Sender", report.as_string()
        blocks = [block for block in report.get_payload()[1].get_payload() if block["Final-Recipient"]]
        assert sorted(block["Final-Recipient"] for block in blocks) == ["rfc822; someone@far.test", "rfc822; user02@example.com"], blocks
        assert all(block["Status"] == "5.4.0" and "too many hops" in block["Diagnostic-Code"] for block in blocks)
        server.wait_for_log(r"cleanup\[\d+\]: \w+: to=<user02@example\.com>, relay=none, .*dsn=5\.4\.0, status=bounced \(too many hops\)")
        server.wait_for_empty_queue()
        assert not server.messages("user02") and not os.listdir(server.state / "spool/maildrop")
        # From nobody to nobody: the bounce of a bounce is not made.
        server.sendmail("-f", "<>", "user02@example.com", data=hops + LETTER)
        server.wait_for_log(r"from=<>, size=\d+, nrcpt=0")
        server.wait_for_empty_queue()
        assert len(server.messages("user01")) == 1 and not server.messages("user02")


def test_who_may_submit_list_and_flush():
    if os.geteuid() != 0:
        return
    lists = "authorized_submit_users = !nobody, static:all\nauthorized_mailq_users = root\nauthorized_flush_users = root\n"
    with Postcot(main_cf=lists) as server:
        def as_nobody(tool, *words):
            # In the group that the set-gid bit would give.
            return run("setpriv", "--reuid=nobody", "--regid=postdrop", "--clear-groups", BIN / tool, "-c", server.etc / "postfix", *words, data=b"", check=False)
        for words, what in ((["-p"], "view the mail queue"), (["-j"], "view the mail queue"), (["-f"], "flush the mail queue"),
                            (["-s", "far.test"], "flush the mail queue"), (["-i", "ABC123"], "flush the mail queue")):
            refused = as_nobody("postqueue", *words)
            assert refused.returncode == 77 and re.search(rb"^postqueue: fatal: User nobody\(\d+\) is not allowed to " + what.encode(), refused.stderr), refused
        refused = as_nobody("postdrop")
        assert refused.returncode == 77 and b"is not allowed to submit mail" in refused.stderr, refused
        assert server.tool("postqueue", "-p").returncode == 0 and server.tool("postqueue", "-f").returncode == 0
        with open(server.etc / "postfix/main.cf", "a") as file:
            file.write("authorized_mailq_users = nobody\nauthorized_flush_users = static:anyone\n")
        assert as_nobody("postqueue", "-p").stdout == b"Mail queue is empty\n"
        assert as_nobody("postqueue", "-f").returncode == 0



main(test_hold_release_show_requeue_delete, test_the_queue_survives_a_restart, test_sendmail_takes_mail_while_queued_is_down,
     test_sendmail_t_reads_recipients_and_removes_bcc, test_sendmail_bs_speaks_smtp, test_sendmail_bs_takes_mail_while_queued_is_down,
     test_postdrop_leaves_no_half_a_message, test_sendmail_bv_reports_and_delivers_nothing,
     test_sendmail_runs_without_standard_output_and_error, test_mail_that_is_refused_at_pickup_comes_back_to_its_sender,
     test_who_may_submit_list_and_flush, test_errors_name_what_is_wrong)

"""access(5) actions, policy services with attributes, postscreen's port and the counters of errors and junk: same replies and log lines as a real Postfix."""
import re
import smtplib
import subprocess

from _peers import PostfixPeer
from harness import BIN, Postcot, free_port, main, run

ACTIONS = ("OK", "DUNNO", "REJECT", "REJECT nope", "REJECT 5.6.7 nope", "DEFER", "DEFER later", "DEFER_IF_PERMIT", "DEFER_IF_PERMIT text", "DEFER_IF_REJECT", "DEFER_IF_REJECT why", "550 no",
           "450 4.7.9 hm", "DISCARD", "DISCARD why", "HOLD", "HOLD why", "FILTER smtp:[127.0.0.1]:1", "PREPEND X-A: b", "REDIRECT user02@RCPT", "BCC user02@RCPT", "INFO", "INFO text", "WARN",
           "WARN text", "521 bye", "FILTER foo", "PREPEND foo", "REDIRECT foo", "BCC foo")


def replies(port, senders, recipient):
    out = []
    for sender in senders:
        client = smtplib.SMTP("127.0.0.1", port, timeout=30)
        client.ehlo("h.example")
        client.mail(sender)
        out.append(client.rcpt(recipient))
        client.close()
    return [(code, text.replace(recipient.encode(), b"R")) for code, text in out]


def decisions(log, domain):
    """smtpd's lines about what was decided, without what differs by nature."""
    out = []
    for line in log.splitlines():
        found = re.search(r"smtpd\[\d+\]: (NOQUEUE: .*|warning: access table.* entry \"(?:.*)\" requires .*)", line)
        if found:
            text = re.sub(r'access table.*? entry ".*?" requires', "access table entry requires", found[1])
            out.append(text.replace(domain, "RCPT"))
    return out


def test_every_action_of_access_answers_and_logs_as_postfix():
    table = ", ".join("{a%d@s.example=%s}" % (i, action) for i, action in enumerate(ACTIONS))
    settings = "smtpd_peername_lookup = no\nsmtpd_sender_restrictions = check_sender_access inline:{ %s }\n" % table
    senders = [f"a{i}@s.example" for i in range(len(ACTIONS))]
    with PostfixPeer(main_cf=settings.replace("RCPT", "peer.test")) as postfix, Postcot(users=2, main_cf=settings.replace("RCPT", "example.com")) as server:
        expected, got = replies(postfix.port, senders, "user01@peer.test"), replies(server.smtp, senders, "user01@example.com")
        assert got == expected, [(a, x, y) for a, x, y in zip(ACTIONS, expected, got) if x != y]
        theirs, ours = decisions(postfix.log(), "peer.test"), decisions(server.log(), "example.com")
        assert ours == theirs, "\n".join(f"{x}\n{y}" for x, y in zip(theirs, ours) if x != y)


def test_a_policy_service_with_attributes():
    port = free_port()
    for argument in (f"{{ inet:127.0.0.1:{port}, default_action=DUNNO, try_limit=1 }}", f"{{inet:127.0.0.1:{port} timeout=3s {{ default_action = 554 5.7.9 no way }} retry_delay=1s}}", f"inet:127.0.0.1:{port}"):
        settings = f"smtpd_peername_lookup = no\nsmtpd_recipient_restrictions = check_policy_service {argument}, permit\n"
        with PostfixPeer(main_cf=settings) as postfix, Postcot(users=1, main_cf=settings) as server:
            expected, got = replies(postfix.port, ["a@s.example"], "user01@peer.test"), replies(server.smtp, ["a@s.example"], "user01@example.com")
            assert got == expected, (argument, expected, got)
            said = [re.findall(r"warning: (problem talking to server .*)", text) for text in (postfix.log(), server.log())]
            assert said[0] == said[1], said
    for argument, named in ((f"{{ inet:127.0.0.1:{port}, colour=red }}", 'unknown option: "colour = red"'), (f"{{ inet:127.0.0.1:{port}, timeout }}", "malformed option")):
        with Postcot(main_cf=f"\nsmtpd_recipient_restrictions = check_policy_service {argument}\n", start=False) as server:
            done = run(BIN / "postcot", "check", "-c", server.etc, check=False)
            shown = (done.stdout + done.stderr).decode()
            assert done.returncode != 0 and named in shown and "main.cf, line" in shown, shown


def test_a_postscreen_line_is_served_by_the_smtpd_behind_it():
    port = free_port()
    lines = f"127.0.0.1:{port} inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n  -o {{ smtpd_banner = behind the screen }}\ndnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n"
    with Postcot(users=1, master_cf=lines) as server:
        with server.smtp_client(port) as client:
            assert client.sendmail("a@far.example", ["user01@example.com"], b"Subject: x\r\n\r\nx\r\n") == {}
        server.wait_for_mail("user01", 1)
        raw = smtplib.SMTP(timeout=30)
        assert raw.connect("127.0.0.1", port) == (220, b"behind the screen")
        raw.close()
        shown = run(BIN / "postcot", "check", "-c", server.etc, check=False)
        text = (shown.stdout + shown.stderr).decode()
        assert "postscreen's tests are not there yet" in text and "dnsblog" not in text and "tlsproxy" not in text, text
        assert "postscreen's tests are not there yet" in server.log()
    with Postcot(master_cf=lines.splitlines()[0] + "\n", start=False) as server:
        assert subprocess.run([BIN / "smtpd", "-c", server.etc, "-t"], capture_output=True).returncode != 0


def test_a_message_that_is_taken_starts_the_counters_again():
    with Postcot(users=1) as server, server.smtp_client() as client:
        client.ehlo("c.example")
        for i in range(150):
            assert client.rset()[0] == 250, i
            assert client.docmd("NONSENSE" if i % 3 == 0 else "NOOP")[0] in (250, 500, 502), i
            assert client.sendmail("a@far.example", ["user01@example.com"], b"Subject: x\r\n\r\nx\r\n") == {}, i


main(test_every_action_of_access_answers_and_logs_as_postfix, test_a_policy_service_with_attributes, test_a_postscreen_line_is_served_by_the_smtpd_behind_it,
     test_a_message_that_is_taken_starts_the_counters_again)

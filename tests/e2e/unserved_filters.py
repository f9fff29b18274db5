"""A filter that is configured and not served lets no mail through: clients are told to come back as a real Postfix tells them when the filter is down,
mail of this host waits in the queue with the reason, `postcot check` says so first, and the documented ways out make it go."""
import json
import smtplib

from _peers import PostfixPeer
from harness import BIN, Postcot, main, run, wait_until

LETTER = b"From: user01@example.com\nTo: user02@example.com\nSubject: filtered\n\nbody\n"


def answers(port, recipient):
    """The replies to VRFY, MAIL, RCPT and the end of DATA, without queue ids and addresses."""
    client = smtplib.SMTP("127.0.0.1", port, timeout=30)
    client.ehlo("client.example.org")
    got = [client.docmd("VRFY", recipient), client.docmd("MAIL", "FROM:<s@far.example>")]
    if got[-1][0] == 250:
        got.append(client.docmd("RCPT", f"TO:<{recipient}>"))
    if got[-1][0] == 250:
        got.append(client.docmd("DATA"))
        if got[-1][0] == 354:
            client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            got.append(client.getreply())
    client.close()
    return [(code, text.split(b" as ")[0].replace(recipient.encode(), b"R")) for code, text in got]


def queue(server):
    out = server.tool("postqueue", "-j").stdout.splitlines()
    return [json.loads(line) for line in out]


def test_a_milter_that_is_not_served_answers_as_one_that_is_down():
    dead = "inet:127.0.0.1:1"
    for settings in (f"smtpd_milters = {dead}\n", f"smtpd_milters = {dead}\nmilter_default_action = accept\n", f"smtpd_milters = {dead}\nmilter_default_action = quarantine\n",
                     f"smtpd_milters = {{ {dead}, default_action=accept }}\n", f"smtpd_milters = {dead}\nreceive_override_options = no_milters\n",
                     f"smtpd_milters = {dead}\nsmtpd_milter_maps = inline:{{ {{127.0.0.1 = DISABLE}} }}\n", "smtpd_proxy_filter = 127.0.0.1:1\n"):
        with PostfixPeer(main_cf=settings) as postfix:
            expected = answers(postfix.port, "user01@peer.test")
            held = "HOLD" in postfix.log()
        with Postcot(users=1, main_cf=settings) as server:
            got = answers(server.smtp, "user01@example.com")
            assert got == expected, (settings, expected, got)
            if held:
                assert wait_until(lambda: queue(server), "a held message")[0]["queue_name"] == "hold"


def test_header_checks_that_are_not_served_refuse_data_and_nothing_before():
    with Postcot(users=2, main_cf="header_checks = regexp:{{/^Subject: virus/ REJECT}}\n") as server:
        check = run(BIN / "postcot", "check", "-c", server.etc, check=False)
        shown = (check.stdout + check.stderr).decode()
        assert "header_checks is not served: mail waits" in shown and "main.cf" in shown, shown
        got = answers(server.smtp, "user01@example.com")
        assert [code for code, _ in got] == [252, 250, 250, 451] and got[-1][1] == b"4.7.1 Service unavailable - try again later", got
        with smtplib.SMTP("127.0.0.1", server.smtp, timeout=30) as client:   # BDAT is read to its end, then refused
            client.ehlo("c.example")
            client.mail("s@far.example")
            client.rcpt("user01@example.com")
            client.send(b"BDAT 17 LAST\r\nSubject: x\r\n\r\nx\r\n")
            assert client.getreply()[0] == 451 and client.noop()[0] == 250
            client.mail("s@far.example")
            assert client.rcpt("nobody@example.com")[0] == 550   # what can be refused for good still is
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=LETTER)
        server.wait_for_log(r"status=deferred \(header_checks \(regexp:.*\) is not served: mail waits\)")
        shown = server.tool("postqueue", "-p").stdout.decode()
        assert "header_checks" in shown and "user02@example.com" in shown, shown
        assert not server.messages("user02")
        # Requeued or flushed it still waits; when the setting is gone it goes.
        server.tool("postsuper", "-r", "ALL")
        server.tool("postqueue", "-f")
        wait_until(lambda: len(queue(server)) == 1, "the message still waits")
        server.tool("postconf", "-X", "header_checks")
        run(BIN / "postcot", "reload", "-c", server.etc)
        server.tool("postqueue", "-f")
        server.wait_for_mail("user02", 1)


def test_mail_of_this_host_waits_for_non_smtpd_milters_until_they_may_be_passed_over():
    with Postcot(users=2, main_cf="non_smtpd_milters = inet:127.0.0.1:1\n") as server:
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=LETTER)
        server.wait_for_log(r"status=deferred \(non_smtpd_milters \(inet:127.0.0.1:1\) is not served: mail waits\)")
        with smtplib.SMTP("127.0.0.1", server.smtp, timeout=30) as client:   # they are not smtpd's
            client.sendmail("s@far.example", ["user01@example.com"], LETTER)
        server.wait_for_mail("user01", 1)
        assert not server.messages("user02")
        server.tool("postconf", "-e", "milter_default_action = accept")
        run(BIN / "postcot", "reload", "-c", server.etc)
        server.tool("postqueue", "-f")
        server.wait_for_mail("user02", 1)
        server.wait_for_empty_queue()


def test_a_transport_with_header_checks_keeps_its_mail():
    with PostfixPeer() as postfix, Postcot(users=1, main_cf=f"relayhost = [127.0.0.1]:{postfix.port}\nsmtp_header_checks = regexp:{{{{/^Received:/ IGNORE}}}}\n") as server:
        server.sendmail("-f", "user01@example.com", "user01@peer.test", "user01@example.com", data=LETTER)
        server.wait_for_mail("user01", 1)   # no other transport waits
        server.wait_for_log(r"to=<user01@peer.test>, .*status=deferred \(smtp_header_checks .* is not served: mail waits\)")
        assert not postfix.messages("user01")


main(test_a_milter_that_is_not_served_answers_as_one_that_is_down, test_header_checks_that_are_not_served_refuse_data_and_nothing_before,
     test_mail_of_this_host_waits_for_non_smtpd_milters_until_they_may_be_passed_over, test_a_transport_with_header_checks_keeps_its_mail)

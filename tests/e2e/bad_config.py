"""Broken configuration: start and reload say what is wrong with file and line and fail; what runs goes on with what it had; mail is untouched."""
import os
import re

from harness import BIN, Postcot, main, run, wait_until

MAIN, MASTER, DOVECOT = "postfix/main.cf", "postfix/master.cf", "dovecot/dovecot.conf"
# What is appended, and what must be said of it besides the file and the line.
CASES = [
    (MAIN, "this is no setting", "missing '=' after attribute name"),
    (MAIN, "message_size_limit = much", "message_size_limit"),
    (MAIN, "virtual_alias_maps = nosuchtype:/x", "nosuchtype"),
    (MAIN, "smtpd_recipient_restrictions = permit_mynetwork, reject", "permit_mynetwork"),
    (MAIN, "bounce_template_file = /nonexistent/templates", "bounce_template_file"),
    (MASTER, "smtp inet n", "bad field count"),
    (MASTER, "127.0.0.1:1 nosuchtype n - n - - smtpd", "nosuchtype"),
    (DOVECOT, "service {{{", ""),
    (DOVECOT, "no_such_setting = 1", "no_such_setting"),
    (DOVECOT, "mail_max_userip_connections = many", "many"),
    (DOVECOT, "!include /nonexistent/more.conf", "/nonexistent/more.conf"),
    (DOVECOT, "ssl_cert = </nonexistent/cert.pem", "/nonexistent/cert.pem: No such file or directory"),
    (DOVECOT, "passdb {\n  driver = nosuchdriver\n}", "nosuchdriver"),
    (DOVECOT, "passdb {\n  driver = sql\n  args = /nonexistent\n}", "passdb driver 'sql' is not supported"),
    (DOVECOT, "auth_mechanisms = plain nosuch", "NOSUCH"),
    (DOVECOT, "auth_mechanisms = cram-md5", "nobody could log in"),
    (DOVECOT, "mail_locaton = maildir:~/Maildir", "did you mean mail_location"),
    (DOVECOT, "protocols = imap impa", "Unknown protocol: impa"),
    (DOVECOT, "mail_location = mbox:~/mail:INBOX=/var/mail/%u", "mbox is not served"),
    (DOVECOT, "mail_driver = mbox", "mbox is not served"),
    (DOVECOT, "mail_location = maildir:~/Maildir:UTF-8", "suffix UTF-8 is not served"),
    (DOVECOT, "mail_location = maildir:/v/%q", "unknown variable %q"),
    (DOVECOT, "pop3_uidl_format = %{uid | rot13}", "unsupported variable filter 'rot13'"),
]
# Dovecot has it and nobody serves it here: what is appended, on which of its lines, and what is said.
NOT_SERVED = [
    ("protocols = imap lmtp sieve submission", 1, "protocols: submission is not served"),
    ("managesieve_logout_format = x", 1, "managesieve_logout_format is not supported"),
    ("ssl_protocols = !SSLv3", 1, "ssl_protocols is not supported"),
    ("mail_plugins = quota", 1, "plugin quota is not supported: no quota is kept"),
    ("plugin {\n  sieve = ~/.dovecot.sieve\n}", 2, "plugin setting sieve is not supported: no Sieve script runs"),
    ("service lmtp {\n  unix_listener /var/spool/postfix/private/dovecot-lmtp {\n    mode = 0600\n  }\n}", 1, "nobody listens on /var/spool/postfix/private/dovecot-lmtp"),
    ("service quota-status {\n  executable = quota-status -p postfix\n}", 1, "service quota-status is not served"),
    ("service auth {\n  inet_listener {\n    port = 12345\n  }\n}", 2, "inet_listener is not served"),
    ("service imap {\n  executable = imap postlogin\n}", 2, "executable = imap postlogin is not served"),
    ("protocol lda {\n  mail_plugins = sieve\n}", 1, "protocol lda is not served"),
    ("namespace shared {\n  type = shared\n  prefix = shared/%%u/\n  separator = /\n  location = maildir:%%h/Maildir\n}", 1, "type = shared"),
    ("auth_mechanisms = plain login cram-md5", 1, "cram-md5 is not supported"),
    ("quota \"User quota\" {\n  quota_storage_size = 1G\n}", 1, "section quota \"User quota\" is not supported"),
    ("metric imap {\n  filter = event=imap_command_finished\n}", 1, "section metric imap is not supported"),
]


def rewrite(path, text):
    """At once, as editors do: a daemon that still reloads must not see half of it."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


def command(server, *words):
    done = run(BIN / "postcot", *words, "-c", server.etc, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def names(said, path, line, what):
    name = os.path.basename(path)
    return re.search(rf"{re.escape(name)}\D+{line}\b", said) and what in said


def serves(server):
    client = server.imap_client()
    count = int(client.select("INBOX")[1][0])
    client.logout()
    smtp = server.smtp_client()
    smtp.sendmail("user01@example.com", ["user02@example.com"], b"Subject: still\r\n\r\nhere\r\n")
    smtp.quit()
    server.wait_for_mail("user02", count + 1)


def test_reload_refuses_and_what_runs_goes_on():
    with Postcot() as server:
        pids = {name: server.processes(name) for name in ("smtpd", "queued", "imapd", "authd")}
        for path, text, what in CASES:
            good = (server.etc / path).read_text()
            line = len(good.splitlines()) + 1
            rewrite(server.etc / path, good + text + "\n")
            for word in ("check", "reload"):
                status, said = command(server, word)
                assert status != 0 and names(said, path, line, what), (word, text, said)
            serves(server)
            # The names that administrators know.
            known = [[BIN / "postfix", "-c", server.etc / "postfix", word] for word in ("check", "reload")]
            if path == DOVECOT:
                known = [[BIN / "dovecot", "-c", server.etc / DOVECOT, "reload"], [BIN / "doveadm", "-c", server.etc / DOVECOT, "reload"],
                         [BIN / "doveconf", "-c", server.etc / DOVECOT, "-n"]]
            for words in known:
                done = run(*words, check=False)
                said = (done.stdout + done.stderr).decode()
                # doveadm sends the signal, and doveconf shows drivers, files and formats that only a daemon uses.
                daemons_only = ("driver", "ssl_cert", "auth_mechanisms", "mail_location", "pop3_uidl_format")
                lenient = words[0].name in ("doveadm", "doveconf") and any(key in text for key in daemons_only)
                assert lenient or (done.returncode != 0 and names(said, path, line, what)), (words, text, said)
            rewrite(server.etc / path, good)
        command(server, "reload")
        serves(server)
        for name, old in pids.items():
            assert old[0] in server.processes(name), f"{name} did not survive"


def test_start_refuses_and_leaves_mail_alone():
    with Postcot() as server:
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=b"Subject: kept\n\nx\n")
        kept = server.wait_for_mail("user02", 1)
        server.tool("postsuper", "-d", "ALL", check=False)
        server.stop()
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=b"Subject: waits\n\nx\n")
        for path, text, what in CASES:
            good = (server.etc / path).read_text()
            line = len(good.splitlines()) + 1
            rewrite(server.etc / path, good + text + "\n")
            status, said = command(server, "start")
            assert status != 0 and names(said, path, line, what), (text, said)
            assert not server.processes("queued") and not server.processes("imapd"), text
            assert command(server, "status")[0] != 0
            rewrite(server.etc / path, good)
        assert server.messages("user02") == kept and len(os.listdir(server.state / "spool/maildrop")) == 1
        server.start()
        server.wait_for_mail("user02", 2)


def test_what_nobody_serves_is_named_and_nothing_stops():
    with Postcot() as server:
        path = server.etc / DOVECOT
        good = path.read_text()
        for text, line, what in NOT_SERVED:
            rewrite(path, good + text + "\n")
            status, said = command(server, "check")
            place = f"dovecot.conf:{len(good.splitlines()) + line}: "
            assert status == 0 and any(place in one and what in one for one in said.splitlines()), (text, said)
        rewrite(path, good + "".join(text + "\n" for text, _, _ in NOT_SERVED[1:-3]))
        server.stop()
        server.start()
        for _, _, what in NOT_SERVED[1:-3]:
            server.wait_for_log(re.escape(what))
        serves(server)


def test_a_missing_table_is_a_temporary_error():
    """As in Postfix: the daemons start, mail waits, and the log names the table."""
    with Postcot() as server:
        good = (server.etc / MAIN).read_text()
        rewrite(server.etc / MAIN, good + f"virtual_alias_maps = hash:{server.state}/nosuchtable\n")
        assert command(server, "reload")[0] == 0
        table = re.escape(f"{server.state}/nosuchtable")

        def refused():
            client = server.smtp_client()
            client.ehlo()
            client.mail("user01@example.com")
            code, _ = client.rcpt("user02@example.com")
            client.close()
            return code == 451
        wait_until(refused, "451 for a recipient that cannot be looked up")
        server.wait_for_log(rf"smtpd\[\d+\]: (warning|error): .*{table}")
        rewrite(server.etc / MAIN, good)
        assert command(server, "reload")[0] == 0
        wait_until(lambda: not refused(), "mail to be taken again")


def test_certificates_that_cannot_be_read():
    with Postcot() as server:
        key = server.etc / "tls/key.pem"
        text = key.read_text()
        # One of smtpd's services is nothing without TLS: it keeps what it has, and so do imapd and pop3d, as Dovecot.
        key.write_text("not a key\n")
        status, said = command(server, "reload")
        assert status != 0 and "ssl_cert" in said, said
        server.wait_for_log(r"smtpd\[\d+\]: error: reload: service \S+: smtpd_tls_wrappermode = yes, but TLS is not available: .*key\.pem.*; the old configuration stays in use")
        serves(server)
        with server.smtp_client() as client:
            client.starttls(context=server.tls())
        imap = server.imap_client()
        assert "STARTTLS" in imap.capability()[1][0].decode() or imap.state == "AUTH"
        imap.logout()
        key.write_text(text)
        assert command(server, "reload")[0] == 0


def test_wrong_owners_are_named():
    with Postcot() as server:
        if os.geteuid() != 0:
            return
        os.chown(server.state / "spool/maildrop", 0, 0)
        os.chmod(server.state / "spool/private", 0o777)
        os.chmod(server.etc / MAIN, 0o666)
        status, said = command(server, "check")
        assert status != 0, said
        for name in ("spool/maildrop", "spool/private", "main.cf"):
            assert re.search(rf"warning: .*{name}", said), (name, said)
        os.chmod(server.etc / MAIN, 0o644)
        # A file of users that authd may not read: no login, and the log says why; mail still comes in.
        server.stop()
        os.chmod(server.etc / "dovecot/users", 0o600)
        server.start()
        refused = run(BIN / "doveadm", "-c", server.etc / "dovecot/dovecot.conf", "auth", "test", "user02@example.com", "pass02", check=False)
        assert refused.returncode != 0, refused
        server.wait_for_log(r"auth: Error: .*etc/dovecot/users.*[Pp]ermission denied")
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=b"Subject: x\n\nx\n")
        server.wait_for_mail("user02", 1)

main(test_reload_refuses_and_what_runs_goes_on, test_start_refuses_and_leaves_mail_alone, test_what_nobody_serves_is_named_and_nothing_stops, test_a_missing_table_is_a_temporary_error,
     test_certificates_that_cannot_be_read, test_wrong_owners_are_named)

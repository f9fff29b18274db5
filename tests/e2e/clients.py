"""Stock clients that fetch and send, and stock readers of our log: msmtp, neomutt, s-nail, getmail6, offlineimap3, imapfilter; fail2ban, pflogsumm and
logwatch; and the questions that Thunderbird asks when it guesses a server (mutt, mbsync, fetchmail, mailutils and swaks are in readers.py and senders.py).
"""
import contextlib
import os
import pathlib
import pty
import re
import smtplib
import socket
import ssl
import tempfile

from harness import BIN, Postcot, free_port, main, need, run, wait_until

ME, PASSWORD = "user02@example.com", "pass02"


def subjects(folder):
    out = []
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file() and path.parent.name in ("new", "cur"):
            out += re.findall(r"^Subject: (.*)$", path.read_text(errors="replace"), re.M)
    return sorted(out)


def fill(server, count):
    for number in range(count):
        server.sendmail("-f", "user01@example.com", ME, data=f"From: user01@example.com\nTo: {ME}\nSubject: letter {number}\nMessage-ID: <{number}@x>\n\nbody {number}\n".encode())
    server.wait_for_mail("user02", count)


def private(path, text):
    path = pathlib.Path(path)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_msmtp_sends_with_starttls_and_tls():
    need("msmtp")
    with Postcot() as server, tempfile.TemporaryDirectory() as home:
        for number, (port, starttls, method) in enumerate(((server.submission, "on", "plain"), (server.submissions, "off", "login")), 1):
            rc = private(f"{home}/rc", f"account a\nhost localhost\nport {port}\ntls on\ntls_starttls {starttls}\ntls_trust_file {server.etc}/tls/cert.pem\n"
                                       f"auth {method}\nuser {ME}\npassword {PASSWORD}\nfrom {ME}\naccount default : a\n")
            run("msmtp", "-C", rc, "user01@example.com", data=f"To: user01@example.com\nSubject: by msmtp {number}\n\n.\nx\n".encode())
            server.wait_for_mail("user01", number)
        assert subjects(server.maildir("user01")) == ["by msmtp 1", "by msmtp 2"]
        server.wait_for_log(rf"submission/smtpd\[\d+\]: \w+: client=.*, sasl_method=PLAIN, sasl_username={ME}")
        server.wait_for_log(rf"smtps/smtpd\[\d+\]: \w+: client=.*, sasl_method=LOGIN, sasl_username={ME}")
        wrong = private(f"{home}/rc", rc.read_text().replace(PASSWORD, "wrong"))
        refused = run("msmtp", "-C", wrong, "user01@example.com", data=b"Subject: x\n\nx\n", check=False)
        assert refused.returncode == 77 and b"535" in refused.stderr, refused


def test_neomutt_sends_and_fetches():
    need("neomutt")
    with Postcot() as server, tempfile.TemporaryDirectory() as home:
        fill(server, 3)
        rc = private(f"{home}/rc", f"""set folder=imap://127.0.0.1:{server.imap}/
set imap_user={ME}
set imap_pass={PASSWORD}
set ssl_starttls=no
set ssl_force_tls=no
set smtp_url=smtp://{ME}@127.0.0.1:{server.submission}/
set smtp_pass={PASSWORD}
set from={ME}
set use_from=yes
set copy=no
set record=
set confirmcreate=no
set confirmappend=no
set mbox_type=Maildir
set header_cache=
""")
        run("neomutt", "-n", "-F", rc, "-s", "by neomutt", "user01@example.com", data=b"x\n", env={**os.environ, "HOME": home})
        server.wait_for_mail("user01", 1)
        assert subjects(server.maildir("user01")) == ["by neomutt"]
        copies = f"{home}/copies"
        child, terminal = pty.fork()
        if child == 0:
            os.environ.update(TERM="xterm", HOME=home, LC_ALL="C.UTF-8")
            os.execvp("neomutt", ["neomutt", "-n", "-F", str(rc), "-f", f"imap://127.0.0.1:{server.imap}/INBOX", "-e",
                                  f'push "<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{copies}<enter><quit>y"'])
        screen = b""
        with contextlib.suppress(OSError):   # the terminal ends with its program
            while piece := os.read(terminal, 65536):
                screen += piece
        os.waitpid(child, 0)
        assert subjects(copies) == ["letter 0", "letter 1", "letter 2"], screen[-2000:]


def test_s_nail_fetches_by_pop3():
    need("s-nail")
    with Postcot() as server, tempfile.TemporaryDirectory() as home:
        fill(server, 3)
        copies = f"{home}/copies"
        user = ME.replace("@", "%40")
        run("s-nail", "-:/", "-#", "-S", "v15-compat", "-S", "pop3-no-apop", "-f", f"pop3://{user}:{PASSWORD}@127.0.0.1:{server.pop3}", data=f"copy 1-3 {copies}\nxit\n".encode(),
            env={**os.environ, "HOME": home})
        assert sorted(re.findall(r"^Subject: (.*)$", pathlib.Path(copies).read_text(), re.M)) == ["letter 0", "letter 1", "letter 2"], pathlib.Path(copies).read_text()


# getmail does not write mail as root.
AS_USER = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


def own(folder):
    if AS_USER:
        run("chown", "-R", "nobody:nogroup", folder)


def test_getmail_fetches_once():
    need("getmail")
    with Postcot() as server, tempfile.TemporaryDirectory() as home:
        fill(server, 3)
        for kind, port in (("SimplePOP3Retriever", server.pop3), ("SimpleIMAPRetriever", server.imap), ("SimpleIMAPSSLRetriever", server.imaps)):
            box = f"{home}/{kind}"
            for part in ("new", "cur", "tmp"):
                os.makedirs(f"{box}/{part}")
            rc = private(f"{home}/{kind}.rc", f"[retriever]\ntype = {kind}\nserver = 127.0.0.1\nport = {port}\nusername = {ME}\npassword = {PASSWORD}\n"
                                             f"[destination]\ntype = Maildir\npath = {box}/\n[options]\nread_all = false\ndelete = false\n")
            own(home)
            for _ in range(2):   # what was seen once is not fetched again
                run(*AS_USER, "getmail", "--getmaildir", home, "--rcfile", rc, env={**os.environ, "HOME": home})
                assert subjects(box) == ["letter 0", "letter 1", "letter 2"], kind


def test_offlineimap_synchronises_both_ways():
    need("offlineimap")
    with Postcot() as server, tempfile.TemporaryDirectory() as home:
        fill(server, 3)
        rc = private(f"{home}/rc", f"""[general]
accounts = a
metadata = {home}/metadata
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {home}/mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {server.imaps}
ssl = yes
sslcacertfile = {server.etc}/tls/cert.pem
remoteuser = {ME}
remotepass = {PASSWORD}
""")
        def sync():
            return run("offlineimap", "-c", rc, "-o", "-u", "basic", env={**os.environ, "HOME": home}, timeout=120)
        sync()
        near = pathlib.Path(home, "mail/INBOX")
        assert subjects(near) == ["letter 0", "letter 1", "letter 2"]
        assert {path.name for path in pathlib.Path(home, "mail").iterdir()} >= {"INBOX", "Drafts", "Sent", "Junk", "Trash"}
        (near / "new" / "1.dropped.host").write_text("Subject: dropped\nMessage-ID: <d@x>\n\nhere\n")
        client = server.imap_client()
        client.select()
        client.store("1", "+FLAGS", r"(\Flagged)")
        client.store("2", "+FLAGS", r"(\Deleted)")
        client.expunge()
        sync()
        client.noop()
        assert client.search(None, "SUBJECT", "dropped")[1][0] == b"3"
        client.logout()
        assert len(subjects(near)) == 3 and "dropped" in subjects(near)
        assert sum(":2,F" in path.name for path in near.rglob("*")) == 1


def test_imapfilter_files_mail():
    need("imapfilter")
    with Postcot() as server, tempfile.TemporaryDirectory() as home:
        fill(server, 4)
        rc = private(f"{home}/rc.lua", f"""options.timeout = 30
options.create = true
options.starttls = false
account = IMAP {{ server = '127.0.0.1', port = {server.imap}, username = '{ME}', password = '{PASSWORD}' }}
odd = account.INBOX:contain_subject('letter 1') + account.INBOX:contain_subject('letter 3')
odd:mark_flagged()
odd:move_messages(account['Filed'])
account.INBOX:contain_body('body 2'):delete_messages()
""")
        run("imapfilter", "-c", rc, env={**os.environ, "HOME": home})
        client = server.imap_client()
        assert client.select("Filed")[1] == [b"2"] and client.search(None, "FLAGGED")[1] == [b"1 2"]
        assert client.select("INBOX")[1] == [b"1"]
        client.logout()


def known_traffic(server):
    """Five messages in, four delivered, one bounced, one deferred, two rejected; and failed logins of each kind."""
    for number in range(4):
        server.sendmail("-f", "user01@example.com", ME, data=f"Subject: {number}\n\nx\n".encode())
    server.sendmail("-f", "user01@example.com", "someone@far.test", data=b"Subject: waits\n\nx\n")
    server.wait_for_log(r"to=<someone@far\.test>, .*status=deferred")
    server.sendmail("-f", "user01@example.com", "no@bounce.test", data=b"Subject: bounces\n\nx\n")
    server.wait_for_log(r"to=<no@bounce\.test>, .*status=bounced")
    server.wait_for_mail("user02", 4)
    server.wait_for_mail("user01", 1)
    smtp = server.smtp_client()
    smtp.ehlo("stranger.test")
    smtp.mail("a@stranger.test")
    for _ in range(2):
        assert smtp.rcpt("nosuchuser@example.com")[0] == 550
    smtp.quit()
    login = smtplib.SMTP("127.0.0.1", server.submission, timeout=30)
    login.ehlo()
    for method in ("PLAIN", "LOGIN"):
        login.user, login.password = ME, "wrong"
        with contextlib.suppress(smtplib.SMTPAuthenticationError):
            login.auth(method, getattr(login, f"auth_{method.lower()}"))
    login.close()
    for port, line in ((server.imap, f"a LOGIN {ME} wrong\r\n"), (server.pop3, f"USER {ME}\r\nPASS wrong\r\n")):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as peer, peer.makefile("rwb") as stream:
            # Without a farewell, as guessers do. To a clean LOGOUT Dovecot says "Aborted login by logging out", and so do we: the stock filter does not know that line.
            stream.readline()
            for one in line.splitlines(True):   # the answer first: pop3 clients do not pipeline
                stream.write(one.encode())
                stream.flush()
                stream.readline()
    server.wait_for_log(r"imap-login: .*auth failed")
    server.wait_for_log(r"pop3-login: .*auth failed")


TRAFFIC = "transport_maps = inline:{{ {{bounce.test=error:5.1.1 nobody}}, {{far.test=smtp:[127.0.0.1]:{port}}} }}\n"


def matched(log, name):
    said = run("fail2ban-regex", log, name).stdout.decode()
    return int(re.search(r"Lines: .* (\d+) matched", said)[1])


def test_fail2ban_and_log_summaries_understand_our_log():
    need("fail2ban-regex", "pflogsumm", "logwatch")
    with Postcot(main_cf=TRAFFIC.format(port=free_port())) as server, tempfile.TemporaryDirectory() as folder:
        known_traffic(server)
        run(BIN / "postcot", "reload", "-c", server.etc)
        server.stop()
        log = server.state / "log/mail.log"
        assert matched(log, "postfix") == 2, "the rejected recipients"
        assert matched(log, "postfix[mode=auth]") == 2, "the failed logins on the submission port"
        assert matched(log, "dovecot") == 2, "the failed logins by imap and pop3"

        summary = run("pflogsumm", log).stdout.decode()
        grand = {what: int(number) for number, what in re.findall(r"^ +(\d+) +(received|delivered|forwarded|deferred|bounced|rejected)\b", summary, re.M)}
        # Received is what smtpd or pickup took in; the bounce is delivered, too.
        assert grand == {"received": 6, "delivered": 5, "forwarded": 0, "deferred": 1, "bounced": 1, "rejected": 2}, summary[:1500]
        assert re.search(r"user unknown|User unknown", summary), summary

        # logwatch's own folders stay as they are: the log is given to its filter as its framework does.
        filters = pathlib.Path("/usr/share/logwatch/scripts/services")
        environment = {**os.environ, "LOGWATCH_DETAIL_LEVEL": "10", "PERL5LIB": "/usr/share/logwatch/lib", "LOGWATCH_TEMP_DIR": folder}
        postfix = run("perl", filters / "postfix", data=log.read_bytes(), env=environment).stdout.decode()
        counts = {what.strip(): int(number) for number, what in re.findall(r"^ *(\d+)   (\S.*?)  ", postfix, re.M)}
        expected = {"Accepted": 6, "Rejected": 2, "Delivered": 5, "Deferred": 1, "Bounced (local)": 1, "5xx Reject unknown user": 2, "SASL authentication failed": 2,
                    "Postfix start": 1, "Postfix stop": 1, "Postfix refresh": 1}
        assert {what: counts.get(what) for what in expected} == expected, postfix[:3000]
        assert "Unmatched" not in postfix, postfix


def probe(port, greeting, question, context=None):
    """What Thunderbird's guess sends, and the whole answer."""
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        if context:
            peer = stack.enter_context(context.wrap_socket(peer, server_hostname="localhost"))
        answer = peer.recv(4096)
        assert answer.startswith(greeting), answer
        peer.sendall(question)
        with contextlib.suppress(ssl.SSLError):
            while piece := peer.recv(4096):
                answer += piece
        return answer.decode()


def test_thunderbirds_guess_finds_servers_and_methods():
    """Without an autoconfig file it tries the usual hosts and ports with these octets and looks for STARTTLS and methods in the answers. Nothing more is claimed."""
    with Postcot() as server:
        context = server.tls()
        imap = b"1 CAPABILITY\r\n2 LOGOUT\r\n"
        for answer in (probe(server.imap, b"* OK", imap), probe(server.imaps, b"* OK", imap, context)):
            assert "IMAP4rev1" in answer and "AUTH=PLAIN" in answer and "2 OK" in answer, answer
        assert "STARTTLS" in probe(server.imap, b"* OK", imap)
        for answer in (probe(server.pop3, b"+OK", b"CAPA\r\nQUIT\r\n"), probe(server.pop3s, b"+OK", b"CAPA\r\nQUIT\r\n", context)):
            assert re.search(r"SASL .*PLAIN", answer) and "UIDL" in answer, answer
        assert "STLS" in probe(server.pop3, b"+OK", b"CAPA\r\nQUIT\r\n")
        smtp = b"EHLO we-guess.mozilla.org\r\nQUIT\r\n"
        for answer in (probe(server.submission, b"220", smtp), probe(server.submissions, b"220", smtp, context)):
            assert re.search(r"250[- ]AUTH .*PLAIN", answer) and "221" in answer, answer
        assert "STARTTLS" in probe(server.submission, b"220", smtp)


TESTS = [test_msmtp_sends_with_starttls_and_tls, test_neomutt_sends_and_fetches, test_s_nail_fetches_by_pop3, test_getmail_fetches_once,
         test_offlineimap_synchronises_both_ways, test_imapfilter_files_mail, test_fail2ban_and_log_summaries_understand_our_log,
         test_thunderbirds_guess_finds_servers_and_methods]

if __name__ == "__main__":
    import sys
    main(*[test for test in TESTS if len(sys.argv) < 2 or any(word in test.__name__ for word in sys.argv[1:])])

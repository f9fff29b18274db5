"""postcot, postfix, dovecot and doveadm as an administrator uses them; a broken file keeps the old configuration."""
import imaplib
import itertools
import os
import poplib
import signal
import smtplib
import threading

from harness import BIN, Postcot, kill, main, run, wait_until


def postcot(server, *words, **more):
    return run(BIN / "postcot", *words, "-c", server.etc, **more)


def test_start_status_reload_stop():
    with Postcot(start=False) as server:
        assert postcot(server, "status", check=False).returncode == 1
        server.start()
        assert postcot(server, "status").returncode == 0
        for daemon in ("smtpd", "queued", "imapd", "pop3d", "authd"):
            assert server.processes(daemon), daemon
        postcot(server, "reload")
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=b"Subject: after reload\n\nx\n")
        server.wait_for_mail("user02", 1)
        postcot(server, "stop")
        for daemon in ("smtpd", "queued", "imapd", "pop3d", "authd"):
            assert not server.processes(daemon), daemon
        assert postcot(server, "status", check=False).returncode == 1


def test_what_dies_is_started_again():
    with Postcot() as server:
        for daemon in ("smtpd", "imapd", "authd", "queued", "pop3d"):
            old = server.processes(daemon)
            for pid in old:
                kill(pid)
            wait_until(lambda: (new := server.processes(daemon)) and not set(new) & set(old), f"{daemon} to come back")
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=b"Subject: x\n\nx\n")
        server.wait_for_mail("user02", 1)
        client = wait_until(lambda: try_login(server), "login after the restart")
        client.logout()


def try_login(server):
    try:
        return server.imap_client()
    except OSError:
        return None


def test_a_broken_file_is_named_and_the_old_configuration_stays():
    with Postcot() as server:
        for path in ("postfix/main.cf", "dovecot/dovecot.conf"):
            good = (server.etc / path).read_text()
            with open(server.etc / path, "a") as file:
                file.write("\nthis is no setting\n" if "main" in path else "\nservice {{{\n")
            checked = postcot(server, "check", check=False)
            line = str(len(good.splitlines()) + 2)
            said = (checked.stdout + checked.stderr).decode()
            assert checked.returncode != 0 and path.split("/")[1] in said and line in said, said
            reloaded = postcot(server, "reload", check=False)
            assert reloaded.returncode != 0 and line.encode() in reloaded.stderr, reloaded
            names = {"smtpd": "postfix/smtpd", "queued": "postfix/qmgr"}
            # As systemd would: the daemons themselves read the file and keep what they have.
            for daemon in ("smtpd", "queued") if "main" in path else ("authd", "imapd", "pop3d"):
                os.kill(server.processes(daemon)[0], signal.SIGHUP)
                server.wait_for_log(rf"{names.get(daemon, daemon[:4])}.*{path.split('/')[1]}.*\b{line}\b")
            client = server.imap_client()
            client.logout()
            smtp = server.smtp_client()
            smtp.quit()
            (server.etc / path).write_text(good)


def while_reloading(server, daemons, jobs, turns):
    """Runs the jobs over and over, each in a thread of its own, while the daemons reload again and again. What failed, with the errors in the log."""
    failed, done, runs = [], threading.Event(), itertools.count()

    def repeat(job):
        while not done.is_set():
            try:
                job()
            except (OSError, imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPException) as error:
                failed.append((job.__name__, error))
            next(runs)

    threads = [threading.Thread(target=repeat, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for turn in range(turns):
        for daemon in daemons:
            os.kill(server.processes(daemon)[0], signal.SIGHUP)
        reached = next(runs) + 5 * len(jobs)
        wait_until(lambda: next(runs) >= reached, "more sessions")
    done.set()
    for thread in threads:
        thread.join()
    return failed and (failed, [line for line in server.log().splitlines() if "rror" in line])


def test_logins_go_on_while_authd_reloads():
    """Fronts and parents move to the new server one after the other: nobody who logs in meanwhile is turned away."""
    with Postcot() as server:

        def log_in():
            server.imap_client().logout()

        failed = while_reloading(server, ["authd"], [log_in] * 4, turns=10)
        assert not failed, failed


def test_a_reload_of_everything_disturbs_no_session():
    with Postcot() as server:
        sent = []

        def read():
            client = server.imap_client()
            client.select()
            client.noop()
            client.logout()

        def fetch():
            server.pop3_client().quit()

        def send():
            client = server.smtp_client()
            client.sendmail("user01@example.com", ["user02@example.com"], b"Subject: x\r\n\r\nx\r\n")
            sent.append(1)
            client.quit()

        failed = while_reloading(server, ["authd", "imapd", "pop3d", "smtpd", "queued"], [read, fetch, send, send], turns=6)
        assert not failed, failed
        assert len(server.wait_for_mail("user02", len(sent))) == len(sent)


def test_doveadm_and_dovecot_commands():
    with Postcot() as server:
        conf = server.etc / "dovecot/dovecot.conf"
        good = run(BIN / "doveadm", "-c", conf, "auth", "test", "user01@example.com", "pass01")
        assert b"auth succeeded" in good.stdout
        bad = run(BIN / "doveadm", "-c", conf, "auth", "test", "user01@example.com", "wrong", check=False)
        assert bad.returncode == 77 and b"auth failed" in bad.stdout + bad.stderr, bad
        user = run(BIN / "doveadm", "-c", conf, "user", "user01@example.com").stdout
        assert b"home" in user and str(server.state).encode() in user, user
        client = server.imap_client()
        who = run(BIN / "doveadm", "-c", conf, "who").stdout
        assert b"user02@example.com" in who and b"imap" in who, who
        client.logout()
        assert run(BIN / "doveconf", "-c", conf, "-n").stdout
        run(BIN / "doveadm", "-c", conf, "reload")
        run(BIN / "doveadm", "-c", conf, "log", "errors")


def test_postfix_commands():
    with Postcot() as server:
        run(BIN / "postfix", "-c", server.etc / "postfix", "status")
        run(BIN / "postfix", "-c", server.etc / "postfix", "flush")
        run(BIN / "postfix", "-c", server.etc / "postfix", "check")
        run(BIN / "postfix", "-c", server.etc / "postfix", "reload")


def test_a_shut_folder_is_named_before_anything_starts():
    """As root below a home of mode 0700: the daemons' accounts cannot pass it."""
    if os.geteuid() != 0:
        return
    with Postcot(start=False) as server:
        os.chmod(server.state, 0o700)
        for verb in ("start", "check"):
            done = run(BIN / "postcot", verb, "-c", server.etc, check=False)
            said = (done.stdout + done.stderr).decode()
            assert done.returncode and f"queue_directory: the folder {server.state} is shut for postfix" in said, (verb, said)
        assert not any(server.processes(name) for name in ("smtpd", "queued", "authd", "imapd", "pop3d"))
        os.chmod(server.state, 0o755)


main(test_start_status_reload_stop, test_what_dies_is_started_again, test_a_broken_file_is_named_and_the_old_configuration_stays,
     test_logins_go_on_while_authd_reloads, test_a_reload_of_everything_disturbs_no_session,
     test_doveadm_and_dovecot_commands, test_postfix_commands, test_a_shut_folder_is_named_before_anything_starts)

"""The guide's set-up: OS users with home_mailbox = Maildir/, logins through PAM, aliases and .forward files. Needs root, for the accounts."""
import contextlib
import glob
import imaplib
import os
import pathlib
import pwd
import secrets
import shutil
import tempfile

from _peers import need_root
from harness import BIN, Postcot, main, need, run, wait_until

PAM = """auth required pam_unix.so
account required pam_unix.so
"""


@contextlib.contextmanager
def host(aliases="", main_cf=""):
    """A server for mail.example.com with two OS users; yields (server, first, second, password)."""
    need_root()
    need("useradd", "chpasswd")
    password = secrets.token_hex(8)
    tag = secrets.token_hex(3)
    first, second = f"pca{tag}", f"pcb{tag}"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pchome.", dir="/tmp"))
    os.chmod(folder, 0o755)
    service = pathlib.Path(f"/etc/pam.d/postcot-{tag}")
    try:
        service.write_text(PAM)
        for user in (first, second):
            run("useradd", "-m", "-d", folder / user, "-s", "/bin/sh", user)
            run("chpasswd", data=f"{user}:{password}\n".encode())
        (folder / "aliases").write_text(aliases.format(first=first, second=second, folder=folder))
        with Postcot(
            start=False,
            main_cf=f"myorigin = $myhostname\nmydestination = mail.example.com, localhost\nhome_mailbox = Maildir/\nalias_maps = hash:{folder}/aliases\nalias_database = $alias_maps\n{main_cf}",
        ) as server:
            conf = server.etc / "dovecot/dovecot.conf"
            text = conf.read_text()
            begin, end = text.index("passdb {"), text.index("service auth {")
            conf.write_text(text[:begin] + f"passdb {{\n  driver = pam\n  args = postcot-{tag}\n}}\nuserdb {{\n  driver = passwd\n}}\n" + text[end:])
            server.start()
            yield server, first, second, password
    finally:
        service.unlink(missing_ok=True)
        for user in (first, second):
            run("userdel", "-r", user, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def inbox(user):
    home = pwd.getpwnam(user).pw_dir
    return sorted(glob.glob(f"{home}/Maildir/new/*") + glob.glob(f"{home}/Maildir/cur/*"))


def wait_for(user, count):
    wait_until(lambda: len(inbox(user)) >= count, f"{count} messages for {user}")
    return inbox(user)


def test_local_mail_is_the_users_own_and_pam_lets_him_read_it():
    with host() as (server, first, second, password):
        server.sendmail("-f", f"{first}@mail.example.com", f"{second}+work@mail.example.com", data=b"Subject: local\n\nhello\n")
        path = wait_for(second, 1)[0]
        facts, owner = os.stat(path), pwd.getpwnam(second)
        assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (owner.pw_uid, owner.pw_gid, 0o600), facts
        text = open(path).read()
        assert f"Delivered-To: {second}+work@mail.example.com\n" in text, text
        assert f"Return-Path: <{first}@mail.example.com>\n" in text, text
        client = imaplib.IMAP4("127.0.0.1", server.imap, timeout=30)
        client.login(second, password)
        assert client.select()[1] == [b"1"]
        client.logout()
        owners = {os.stat(f"/proc/{pid}").st_uid for pid in server.processes("imapd")}
        assert owner.pw_uid in owners and pwd.getpwnam("dovenull").pw_uid in owners, owners
        client = imaplib.IMAP4("127.0.0.1", server.imap, timeout=30)
        try:
            client.login(second, "wrong")
            raise AssertionError("let in with a wrong password")
        except imaplib.IMAP4.error as error:
            assert "AUTHENTICATIONFAILED" in str(error), error
        client.logout()
        server.wait_for_log(rf"imap-login: Info: .*\(auth failed, 1 attempts in \d+ secs\): user=<{second}>")


def test_a_login_needs_no_syslog():
    """With log_path at its default, whether anybody listens at /dev/log or not. Descriptor numbers differ then: PAM's helpers must find theirs."""
    with host() as (server, _, second, password):
        server.stop()
        conf = server.etc / "dovecot/dovecot.conf"
        conf.write_text("".join(line for line in conf.read_text().splitlines(True) if not line.startswith("log_path")))
        server.start()
        client = imaplib.IMAP4("127.0.0.1", server.imap, timeout=30)
        client.login(second, password)
        client.logout()


def test_unknown_local_users_are_refused():
    with host() as (server, first, _, __):
        client = server.smtp_client()
        client.ehlo()
        client.mail(f"{first}@mail.example.com")
        assert client.rcpt("nobody.at.all@mail.example.com") == (
            550, b"5.1.1 <nobody.at.all@mail.example.com>: Recipient address rejected: User unknown in local recipient table")
        client.quit()


def test_aliases_and_forward_files():
    aliases = 'both: {first}, {second}\nprogram: "|cat > {folder}/program.out"\nfile: {folder}/file.out\nlist: :include:{folder}/members\nowner-list: {first}\nchain: both\n'
    with host(aliases) as (server, first, second, _):
        folder = pathlib.Path(pwd.getpwnam(first).pw_dir).parent
        (folder / "members").write_text(f"{second}\n# comment\n{first}\n")
        os.chmod(folder, 0o777)
        client = server.smtp_client()
        for name in ("chain", "program", "file", "list"):
            client.sendmail(f"{first}@mail.example.com", [f"{name}@mail.example.com"], f"Subject: to {name}\r\n\r\nx\r\n")
        client.quit()
        assert len(wait_for(first, 2)) == 2
        assert len(wait_for(second, 2)) == 2

        wait_until(lambda: (folder / "program.out").exists() and "Subject: to program" in (folder / "program.out").read_text(), "the command's output")
        wait_until(lambda: (folder / "file.out").exists() and "Subject: to file" in (folder / "file.out").read_text(), "the file")
        # .forward: one copy kept, one to the other user, one to a command.
        home = pathlib.Path(pwd.getpwnam(first).pw_dir)
        (home / ".forward").write_text(f'\\{first}, {second}\n"|cat > {home}/forwarded"\n')
        shutil.chown(home / ".forward", first, first)
        server.sendmail("-f", "someone@example.com", f"{first}@mail.example.com", data=b"Subject: forwarded\n\nx\n")
        wait_for(first, 3)
        wait_for(second, 3)
        wait_until((home / "forwarded").exists, "the command of .forward")
        assert (home / "forwarded").owner() == first
        server.wait_for_empty_queue()


def test_newaliases_makes_the_index_that_is_read():
    with host("postmaster: {first}\n") as (server, first, second, _):
        run(BIN / "newaliases", env={**os.environ, "MAIL_CONFIG": str(server.etc / "postfix")})
        server.sendmail("-f", "someone@example.com", "postmaster@mail.example.com", data=b"Subject: x\n\nx\n")
        wait_for(first, 1)


main(test_local_mail_is_the_users_own_and_pam_lets_him_read_it, test_a_login_needs_no_syslog, test_unknown_local_users_are_refused, test_aliases_and_forward_files,
     test_newaliases_makes_the_index_that_is_read)

#!/usr/bin/env python3
"""A host with a live Postfix and Dovecot of Debian switches over to our packages, and back, by apt alone.

Kept both ways: the configuration as the administrator made it, 2000 messages in folders with UIDVALIDITY, UIDs, flags and keywords, subscriptions, and the queue, each
message once. A client that synchronised before (mbsync) transfers no message again after either switch.
"""
import collections
import hashlib
import imaplib
import json
import pathlib
import poplib
import re
import shutil
import smtplib
import subprocess
import tempfile

from _hosts import Lab, main, our_packages, skip, wait_until
from _sink import Sink

PACKAGES = ["postfix", "dovecot-imapd", "dovecot-pop3d"]
FOLDERS = {"INBOX": 800, "Archive": 500, "Archive.2025": 400, "Lists.debian": 200, "Entw&APw-rfe": 100}
DEFERRED = 300
MAIN_CF = ["myhostname=mail.example.com", "mydestination=example.com, mail.example.com, localhost", "mynetworks=127.0.0.0/8 192.0.2.0/24", "inet_protocols=ipv4",
           "home_mailbox=Maildir/", "message_size_limit=20480000", "smtpd_banner=$myhostname ESMTP of our own", "virtual_alias_maps=hash:/etc/postfix/virtual",
           "maximal_queue_lifetime=4d", "smtp_tls_security_level=may"]
# In /etc/dovecot/conf.d, by the dialect of each Dovecot's own files.
EDITS_2_3 = (("10-mail.conf", r"^mail_location = .*", "mail_location = maildir:~/Maildir"), ("10-auth.conf", r"^#?disable_plaintext_auth = .*", "disable_plaintext_auth = no"))
EDITS_2_4 = (("10-mail.conf", r"^mail_driver = .*", "mail_driver = maildir"), ("10-mail.conf", r"^mail_path = .*", "mail_path = %{home}/Maildir"),
             ("10-mail.conf", r"^mail_inbox_path = .*", "#mail_inbox_path ="),   # not empty: then INBOX would be a folder below the others
             ("10-auth.conf", r"^#?auth_allow_cleartext = .*", "auth_allow_cleartext = yes"))


def say(text):
    print(f"  {text}", flush=True)


# --- the host as it was

def configure(host):
    """What its administrator did to Debian's files, over time."""
    if not host.path("/etc/postfix/main.cf").exists():
        host.sh("cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf")
    for user in ("user01", "user02"):
        host.sh(f"adduser --quiet --disabled-password --gecos '' {user} && echo {user}:pass-{user} | chpasswd")
    host.run("postconf", "-e", *MAIN_CF)
    with open(host.path("/etc/postfix/main.cf"), "a") as file:
        file.write("\n# do not touch: asked for by the accountants\nheader_size_limit = 204800\n")
    host.write("/etc/postfix/virtual", "office@example.com user02\n")
    host.write("/etc/mailname", "example.com\n")
    host.write("/etc/aliases", "postmaster: root\nroot: user01\ninfo: user02\n")
    host.sh("postmap /etc/postfix/virtual && newaliases")
    for file, old, new in EDITS_2_4 if host.run("dovecot", "--version").stdout.startswith("2.4") else EDITS_2_3:
        path = f"/etc/dovecot/conf.d/{file}"
        text, count = re.subn(old, new, host.read(path), flags=re.M)
        assert count == 1, f"{path} has {count} lines like {old}"
        host.write(path, text)
    host.write("/etc/dovecot/local.conf", "# ours\nprotocol imap {\n  mail_max_userip_connections = 33\n}\n")
    host.run("systemctl", "restart", "postfix", "dovecot")
    for port in (25, 143, 110):
        host.wait_for_port(port)


def fill_mailbox(host):
    home = host.path("/home/user01/Maildir")
    number = 0
    for folder, count in FOLDERS.items():
        place = home if folder == "INBOX" else home / f".{folder}"
        for part in ("cur", "new", "tmp"):
            (place / part).mkdir(parents=True)
        for _ in range(count):
            number += 1
            text = f"From: a@x.test\nTo: user01@example.com\nSubject: number {number}\nMessage-ID: <{number}@x.test>\nDate: Mon, 3 Nov 2025 10:{number % 60:02}:00 +0000\n\n" + f"line of {number}\n" * (number % 40)
            flags = "".join(letter for letter, every in (("F", 7), ("R", 5), ("S", 2)) if number % every == 0)
            (place / "cur" / f"{1700000000 + number}.M{number}P1.mail:2,{flags}").write_text(text)
    host.sh("chown -R user01:user01 /home/user01/Maildir && chmod -R go= /home/user01/Maildir")
    client = imap(host)
    for folder, flags, messages in (("INBOX", r"($Label1 Wichtig)", "10:60"), ("INBOX", r"(\Deleted)", "100:149"), ("Archive", "($Forwarded)", "1:400"), ("Archive", "(Wichtig $Label2)", "20:30"),
                                    ("Lists.debian", r"(\Seen \Answered)", "1:20"), ("Entw&APw-rfe", r"(\Draft)", "1:*")):
        checked(client.select(folder))
        checked(client.store(messages, "+FLAGS.SILENT", flags))
        if "Deleted" in flags:
            checked(client.expunge())   # holes among the UIDs
    for folder in ("INBOX", "Archive", "Lists.debian", "Entw&APw-rfe", "Gone"):
        client.subscribe(folder)
    client.logout()


def fill_queue(host):
    """Mail for a relay that does not answer; the listing of the queue."""
    host.run("postconf", "-e", "relayhost=[192.0.2.1]:9")
    host.run("systemctl", "reload", "postfix")
    with smtplib.SMTP(host.address4, 25, timeout=60) as client:
        client.ehlo("client.test")
        for i in range(DEFERRED - 1):
            client.sendmail("sender@x.test", [f"to{i}@far.test"], f"Subject: waits {i}\r\n\r\ntext\r\n".encode())
        client.sendmail("sender@x.test", ["user02@example.com", "status@far.test"], b"Subject: status\r\n\r\ntext\r\n", ["RET=HDRS", "ENVID=E1"], ["NOTIFY=FAILURE"])
    wait_until(lambda: len(postqueue(host)) == DEFERRED and all(item["queue_name"] == "deferred" for item in postqueue(host)), "all deferred", 60, 0.2)
    ids = {item["recipients"][0]["address"]: item["queue_id"] for item in postqueue(host)}
    host.run("postsuper", "-h", ids["to5@far.test"])
    return queue_facts(host)


# --- looking at it

def checked(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def imap(host):
    client = imaplib.IMAP4(host.address4, 143, timeout=60)
    client.login("user01", "pass-user01")
    return client


def mailbox_facts(host):
    """All that a client knows the mailbox by."""
    client = imap(host)
    facts = {"list": sorted(line.decode().rpartition(' "." ')[2].strip('"') for line in checked(client.list())),
             "lsub": sorted(line.decode().rpartition(' "." ')[2].strip('"') for line in checked(client.lsub()))}
    for folder in FOLDERS:
        status = checked(client.status(folder, "(MESSAGES UIDVALIDITY UIDNEXT UNSEEN)"))[0].decode()
        facts[folder, "status"] = sorted(re.findall(r"([A-Z]+) (\d+)", status.partition(" (")[2]))
        checked(client.select(folder, readonly=True))
        messages = []
        for line in checked(client.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE)")):
            flags = sorted(set(re.search(rb"FLAGS \(([^)]*)\)", line)[1].decode().split()) - {"\\Recent"})
            messages.append((int(re.search(rb"UID (\d+)", line)[1]), flags, re.search(rb'INTERNALDATE "([^"]*)"', line)[1], re.search(rb"RFC822.SIZE (\d+)", line)[1]))
        facts[folder, "messages"] = messages
    client.logout()
    pop = poplib.POP3(host.address4, 110, timeout=60)
    pop.user("user01")
    pop.pass_("pass-user01")
    facts["uidl"] = pop.uidl()[1]
    pop.quit()
    return facts


def same(before, after, what):
    for key, value in before.items():
        if after[key] == value:
            continue
        if isinstance(value, list):
            pairs = [pair for pair in zip(value, after[key]) if pair[0] != pair[1]][:3]
            raise AssertionError(f"{what}: {key} differs ({len(value)} and {len(after[key])}): {pairs}")
        raise AssertionError(f"{what}: {key}: {value} became {after[key]}")


def postqueue(host):
    return [json.loads(line) for line in host.run("postqueue", "-j").stdout.splitlines()]


def queue_facts(host):
    return {to["address"]: (item["sender"], item["arrival_time"], item["queue_name"] == "hold", item["queue_id"]) for item in postqueue(host) for to in item["recipients"]}


def configuration(host):
    """Digests of the files that the administrator has; and what they mean."""
    files = {}
    for top in ("/etc/postfix", "/etc/dovecot", "/etc/aliases", "/etc/mailname"):
        for name in host.sh(f"find {top} -type f ! -name '*.db' ! -name '*.ucf-*' ! -name '*.dpkg-*'").stdout.split():
            files[name] = hashlib.sha256(host.path(name).read_bytes()).hexdigest()
    return files


class Client:
    """mbsync with a mirror of the mailbox."""

    def __init__(self, host):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mirror."))
        (self.folder / "mail").mkdir()
        (self.folder / "mbsyncrc").write_text(f"""IMAPAccount host
Host {host.address4}
User user01
Pass pass-user01
SSLType None
AuthMechs LOGIN

IMAPStore far
Account host

MaildirStore near
Path {self.folder}/mail/
Inbox {self.folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Expunge None
SyncState *
""")

    def sync(self):
        done = subprocess.run(["mbsync", "-c", str(self.folder / "mbsyncrc"), "-a"], capture_output=True, text=True, timeout=300, env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self):
        return sorted(path.name for path in self.folder.glob("mail/**/*") if path.parent.name in ("cur", "new"))

    def changes_nothing(self, what):
        """A sync that moves neither messages nor flags."""
        before = self.files()
        said = self.sync()
        assert self.files() == before, f"{what}: {len(before)} became {len(self.files())} files\n{said}"
        moved = re.search(r"Far: \+(\d+) \*(\d+) #(\d+)\s+Near: \+(\d+) \*(\d+) #(\d+)", said)
        assert not moved or set(moved.groups()) == {"0"}, said


# --- the steps

def install(host, *words):
    return host.run("apt-get", "install", "-y", "--no-install-recommends", *words, timeout=300)


def sends(host, recipient, subject):
    host.sh(f"printf 'Subject: {subject}\\n\\ntext\\n' | sendmail {recipient}@example.com")
    return wait_until(lambda: host.run("grep", "-rl", f"Subject: {subject}", "/home/user02/Maildir/new", check=False).stdout.strip(), f"mail for {recipient}")


def test_there_and_back():
    if not shutil.which("mbsync"):
        skip("mbsync is not installed")
    ours = our_packages()
    with Lab(repository=PACKAGES) as lab, Sink("192.0.2.1") as sink:
        lab.prepare.repository(ours)   # not at once: they conflict
        lab.start_dns()
        host = lab.host("mail.example.com", PACKAGES)
        configure(host)
        fill_mailbox(host)
        queue = fill_queue(host)
        client = Client(host)
        try:
            client.sync()
            client.changes_nothing("a second sync")
            mailbox = mailbox_facts(host)
            files = configuration(host)
            settings = host.run("postconf", "-n").stdout
            assert sum(len(mailbox[folder, "messages"]) for folder in FOLDERS) == sum(FOLDERS.values()) - 50
            say(f"Postfix and Dovecot have {len(queue)} recipients waiting")

            # There.
            host.run("apt-get", "update")
            install(host, *host.copy_in(ours, "/root/packages"))
            for unit in ("postcot-smtpd", "postcot-queued", "postcot-authd", "postcot-imapd", "postcot-pop3d", "postfix", "dovecot"):
                host.wait_for_unit(unit)
            assert "postfix" not in host.sh("dpkg -l | awk '$1 == \"ii\" && $2 ~ /^(postfix|dovecot)/ {print $2}'").stdout
            after = configuration(host)
            changed = [name for name in files if after.get(name) != files[name]]
            assert not changed, f"configuration files that changed: {changed}"
            assert host.run("postconf", "-n").stdout == settings
            wait_until(lambda: queue_facts(host).keys() >= queue.keys(), "the queue is ours")
            assert queue_facts(host) == queue, [pair for pair in queue.items() if queue_facts(host).get(pair[0]) != pair[1]][:5]
            assert len(postqueue(host)) == DEFERRED
            same(mailbox, mailbox_facts(host), "after the switch")
            client.changes_nothing("after the switch")
            sends(host, "info", "through an alias")
            sends(host, "office", "through a map")
            host.run("sendmail", "later@far.test", data="Subject: from ours\n\ntext\n")
            wait_until(lambda: "later@far.test" in queue_facts(host), "one more that waits")
            say("our packages have taken over")

            # And back.
            install(host, *PACKAGES)
            for unit in ("postfix", "dovecot"):
                host.wait_for_unit(unit)
            for port in (25, 143, 110):
                host.wait_for_port(port)
            assert not host.sh("dpkg -l | awk '$1 == \"ii\" && $2 ~ /^postcot/ {print $2}'").stdout
            after = configuration(host)
            changed = [name for name in files if after.get(name) != files[name]]
            assert not changed, f"configuration files that changed: {changed}"
            same(mailbox, mailbox_facts(host), "after the way back")
            client.changes_nothing("after the way back")
            listed = queue_facts(host)
            assert len(postqueue(host)) == DEFERRED + 1, len(postqueue(host))
            assert {to: facts[:3] for to, facts in listed.items() if to != "later@far.test"} == {to: facts[:3] for to, facts in queue.items()}
            sends(host, "info", "alias once more")
            sends(host, "office", "map once more")

            host.run("postconf", "-e", f"relayhost=[192.0.2.1]:{sink.port}")
            host.run("systemctl", "reload", "postfix")
            host.run("postsuper", "-H", "ALL")
            host.run("postqueue", "-f")
            expected = collections.Counter({(f"waits {i}", f"to{i}@far.test"): 1 for i in range(DEFERRED - 1)})
            expected |= collections.Counter({("status", "status@far.test"): 1, ("from ours", "later@far.test"): 1})
            wait_until(lambda: not expected - sink.addressed() and not postqueue(host), "all delivered", 60, 0.2)
            assert sink.addressed() == expected, (expected - sink.addressed(), sink.addressed() - expected)
            sender, recipients, _ = sink.one("status")
            assert set(sender.split()) >= {"<sender@x.test>", "RET=HDRS", "ENVID=E1"} and "NOTIFY=FAILURE" in recipients[0], (sender, recipients)
            say("Postfix and Dovecot have gone on with all of it")
        finally:
            shutil.rmtree(client.folder, ignore_errors=True)


main(test_there_and_back)

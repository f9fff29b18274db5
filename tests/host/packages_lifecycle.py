#!/usr/bin/env python3
"""The packages over their life on one host: install, what systemctl says of a good and of a broken configuration, watchdog, upgrade, remove, purge.

As piuparts does, files and accounts are compared before the installation and after the purge.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from _hosts import Lab, main, our_packages, wait_until

PARTS = {"postfix": ["postcot-queued", "postcot-smtpd"], "dovecot": ["postcot-authd", "postcot-imapd", "postcot-pop3d"]}
ALL = [part for parts in PARTS.values() for part in parts]
# What stays by intent, see docs/packages.md; and what other packages and the running system write.
STAYS = re.compile(r"/etc/(aliases|mailname|passwd|group|g?shadow|sub[ug]id|ld\.so\.cache|\.pwd\.lock|letsencrypt.*|ufw.*|apparmor\.d(/(local|disable))?)-?$|/etc/(ssl|sasl2|ufw)(/.*)?$"
                   r"|/var/(log|cache|tmp)/|/var/lib/(dpkg|apt|systemd|ucf|private|logrotate)/|/var/cache$|/root/|/home(/.*)?$|.*\.pyc$|/var/mail/")
ACCOUNTS_STAY = {"postfix", "dovecot", "dovenull", "postdrop", "ssl-cert"}


def say(text):
    print(f"  {text}", flush=True)


def files_of(host):
    found = host.sh("find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /srv \\) -prune -o -print", timeout=120).stdout.splitlines()
    return {path for path in found if not STAYS.match(path)}


def accounts_of(host):
    return {line.split(":")[0] for name in ("passwd", "group") for line in host.read(f"/etc/{name}").splitlines()}


def enabled_of(host):
    return set(host.sh("find /etc/systemd/system -type l").stdout.split())


def main_pid(host, unit):
    return int(host.run("systemctl", "show", "-p", "MainPID", "--value", unit).stdout)


def install(host, files, version="0.1.0", check=True):
    paths = host.copy_in(files, f"/root/{version}")
    return host.run("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", *paths, timeout=240, check=check)


def next_version(files, folder):
    """The same packages as if a new version had been made."""
    made = []
    for file in files:
        tree = pathlib.Path(folder) / file.stem
        subprocess.run(["dpkg-deb", "-R", file, tree], check=True)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"\b0\.1\.0\b", "0.1.1", control.read_text()))
        new = pathlib.Path(folder) / f"{file.name.split('_')[0]}_0.1.1.deb"
        subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", tree, new], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)
        made.append(new)
    return made


# --- the steps

def running(host):
    for unit in ("postfix", "dovecot", "postcot.target", *ALL):
        assert host.run("systemctl", "is-active", unit, check=False).stdout.strip() == "active", host.run("systemctl", "status", unit, check=False).stdout
    for port in (25, 143, 993, 110, 995):
        host.wait_for_port(port, 1)


def ready_when_it_returns(host):
    """No wait between systemctl and the first connection, and nothing left when stop returns."""
    for group, parts in PARTS.items():
        host.run("systemctl", "stop", group)
        for part in parts:
            assert main_pid(host, part) == 0, f"{part} still runs after stop {group}"
        host.run("systemctl", "start", group)
        running(host)
        before = {part: main_pid(host, part) for part in parts}
        host.run("systemctl", "restart", group)
        running(host)
        assert all(before[part] != main_pid(host, part) for part in parts)
        before = {part: main_pid(host, part) for part in parts}
        host.run("systemctl", "reload", group)
        assert before == {part: main_pid(host, part) for part in parts}
    # One part less is the administrator's right: the group starts without it.
    host.run("systemctl", "disable", "--now", "postcot-pop3d")
    host.run("systemctl", "restart", "dovecot")
    assert main_pid(host, "postcot-pop3d") == 0
    host.run("systemctl", "enable", "--now", "postcot-pop3d")
    running(host)


def broken(host, path, text, group, parts, where):
    """A file with an error: reload and an upgrade's restart leave what runs, restart fails, and each status names file and line."""
    good = host.read(path)
    before = {part: main_pid(host, part) for part in parts}
    host.write(path, good + text)
    line = (good + text).rstrip("\n").count("\n") + 1
    where = where.format(line=line)

    def named(unit):
        status = host.run("systemctl", "status", "--no-pager", "--full", unit, check=False).stdout
        assert re.search(where, status), f"{path}: {where} is not in the status of {unit}:\n{status}"

    try:
        assert host.run("systemctl", "reload", group, check=False).returncode != 0
        named(group)
        assert before == {part: main_pid(host, part) for part in parts}
        done = host.run(f"/usr/lib/postcot/{group}-group", f"{group}.service", "renew", "0.1.0", check=False)
        assert re.search(where, done.stderr), done.stderr
        assert before == {part: main_pid(host, part) for part in parts}
        assert host.run("systemctl", "restart", group, check=False, timeout=120).returncode != 0
        named(group)
        for part in parts:
            named(part)
        assert host.run("systemctl", "start", group, check=False, timeout=120).returncode != 0
    finally:
        host.write(path, good)
    # The start limit of what failed is a matter of seconds; nothing else has to be mended.
    host.run("systemctl", "reset-failed")
    host.run("systemctl", "start", group)
    running(host)


def broken_configuration(host):
    host.sh("useradd -m -s /bin/sh keeper; printf 'Subject: kept\\n\\nx\\n' | sendmail -f root keeper", timeout=30)
    host.wait_for_log(r"to=<keeper@.*status=sent")
    mail = host.sh("cat /var/mail/keeper").stdout
    assert "Subject: kept" in mail
    broken(host, "/etc/postfix/main.cf", "no equals sign here\n", "postfix", PARTS["postfix"], r"main\.cf.*line {line}\b")
    broken(host, "/etc/postfix/master.cf", "smtp bogus n - n - - smtpd\n", "postfix", PARTS["postfix"], r"master\.cf.*line {line}\b")
    broken(host, "/etc/dovecot/dovecot.conf", "no_such_setting = 1\n", "dovecot", PARTS["dovecot"], r"dovecot\.conf.*(line |:) ?{line}\b")
    assert host.sh("cat /var/mail/keeper").stdout == mail


def watchdog(host):
    """A parent that no longer turns is ended by systemd and started again; a queue manager's counts for its parent."""
    for part in ALL:
        host.write(f"/run/systemd/system/{part}.service.d/watchdog.conf", "[Service]\nWatchdogSec=2s\n")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "postfix", "dovecot")
    before = {part: main_pid(host, part) for part in ALL}
    stopped = dict(before)
    # Of queued, the event loop is in a child.
    stopped["postcot-queued"] = int(host.sh(f"pgrep -P {before['postcot-queued']} -o").stdout)
    for pid in stopped.values():
        host.run("kill", "-STOP", pid)
    for part in ALL:
        wait_until(lambda: main_pid(host, part) not in (0, before[part]), f"{part} is started again", 30, 0.1)
    assert host.sh("journalctl -b --no-pager | grep -c 'Watchdog timeout'").stdout.strip() == str(len(ALL))
    # And those that turn are left alone for longer than the limit.
    for part in ALL:
        host.wait_for_unit(part)
    after = {part: main_pid(host, part) for part in ALL}
    host.run("sleep", "3")
    assert after == {part: main_pid(host, part) for part in ALL}
    host.sh("rm -r /run/systemd/system/postcot-*.service.d; systemctl daemon-reload; systemctl restart postfix dovecot")
    running(host)


def hardened(host):
    for unit in ("postcot-smtpd", "postcot-imapd", "postcot-pop3d"):
        said = host.run("systemd-analyze", "security", "--no-pager", unit).stdout
        exposure = float(re.search(r"Overall exposure level for .*: ([0-9.]+)", said).group(1))
        say(f"{unit}: exposure {exposure}")
        assert exposure <= 3.0, said


def firewall_profiles(host):
    said = host.run("ufw", "app", "list")
    for name in ("Postfix", "Postfix Submission", "Postfix SMTPS", "Dovecot IMAP", "Dovecot Secure IMAP", "Dovecot POP3", "Dovecot Secure POP3"):
        assert re.search(rf"^  {name}$", said.stdout, re.M), said.stdout
    assert "WARN" not in said.stdout + said.stderr, said.stdout + said.stderr
    for name, port in (("Postfix", 25), ("Postfix Submission", 587), ("Postfix SMTPS", 465), ("Dovecot Secure IMAP", 993), ("Dovecot Secure POP3", 995)):
        said = host.run("ufw", "app", "info", name).stdout
        assert re.search(rf"Ports?:\n  {port}/tcp", said), said


def shell_completion(host):
    def complete(line):
        words = line.split(" ")
        return host.sh(f"""bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader {words[0]}; COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}
            COMP_WORDS=({" ".join(word or '""' for word in words)}); COMP_CWORD={len(words) - 1}
            $(complete -p {words[0]} | sed "s/.*-F \\([^ ]*\\).*/\\1/") {words[0]} "{words[-1]}" "{words[-2]}"; printf "%s\\n" "${{COMPREPLY[@]}}"'""").stdout.split()
    for line, word in (("postcot re", "reload"), ("postqueue -", "-f"), ("doveadm wh", "who"), ("doveadm auth te", "test"), ("doveconf mail_loc", "mail_location"),
                       ("doveadm user kee", "keeper"), ("postconf mynet", "mynetworks"), ("sendmail -b", "-bp")):
        assert word in complete(line), f"{line}: {complete(line)}"
    assert "auth" not in complete("doveadm wh")


def access_control(host):
    host.run("sh", "-c", "for profile in /etc/apparmor.d/usr.lib.postcot.*; do apparmor_parser -Q -K $profile || exit 1; done")
    assert len(list(host.path("/etc/apparmor.d").glob("usr.lib.postcot.*"))) == 5


def certificates(host):
    """The hook reloads who uses the renewed certificate, by whatever links, and nobody else."""
    host.sh("mkdir -p /etc/letsencrypt/archive/mail /etc/letsencrypt/live/mail /etc/letsencrypt/live/other && cd /etc/letsencrypt/live/mail"
            " && cp /etc/ssl/certs/ssl-cert-snakeoil.pem ../../archive/mail/fullchain1.pem && cp /etc/ssl/private/ssl-cert-snakeoil.key ../../archive/mail/privkey1.pem"
            " && ln -s ../../archive/mail/fullchain1.pem fullchain.pem && ln -s ../../archive/mail/privkey1.pem privkey.pem"
            " && postconf -e smtpd_tls_cert_file=/etc/letsencrypt/live/mail/fullchain.pem smtpd_tls_key_file=/etc/letsencrypt/live/mail/privkey.pem && systemctl restart postfix")
    for lineage, reloads in (("mail", 1), ("other", 0)):
        at = host.run("date", "+%s.%N").stdout.strip()
        host.sh("for hook in /etc/letsencrypt/renewal-hooks/deploy/*; do $hook || exit 1; done", env={"RENEWED_LINEAGE": f"/etc/letsencrypt/live/{lineage}"})
        said = host.sh(f"journalctl --no-pager -b --since @{at} _PID=1 | grep -oE 'Reloaded (postfix|dovecot).service' || true").stdout.split("\n")
        assert len([line for line in said if "postfix" in line]) == reloads and not [line for line in said if "dovecot" in line], (lineage, said)
    host.sh("postconf -e smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key; rm -r /etc/letsencrypt/live /etc/letsencrypt/archive")


def housekeeping(host):
    host.sh("sed -i 's|^#* *mail_location *=.*|mail_location = maildir:~/Maildir|' /etc/dovecot/conf.d/10-mail.conf; systemctl restart dovecot")
    host.sh("cd && mkdir -p Maildir/tmp Maildir/new Maildir/cur Maildir/.Sent/tmp Maildir/.Sent/new Maildir/.Sent/cur other/tmp && touch Maildir/tmp/now"
            " && touch -d '3 days ago' Maildir/tmp/old Maildir/.Sent/tmp/old Maildir/cur/old other/tmp/old && ln -s ../other Maildir/.Link", user="keeper")
    assert host.run("systemctl", "is-enabled", "postcot-housekeeping.timer").stdout == "enabled\n"
    host.run("systemctl", "start", "postcot-housekeeping")
    left = host.sh("cd ~keeper && find Maildir other -type f | sort").stdout.split()
    assert left == ["Maildir/cur/old", "Maildir/tmp/now", "other/tmp/old"], left + [host.sh("journalctl -u postcot-housekeeping --no-pager").stdout]


def upgrade(host, files):
    """Settings stay as they were edited, the new programs run, nothing is asked, and a broken configuration keeps the old ones running."""
    host.sh("postconf -e 'smtpd_banner = $myhostname edited'; echo '# edited' >>/etc/dovecot/conf.d/10-mail.conf")
    kept = {path: host.read(path) for path in ("/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/dovecot/conf.d/10-mail.conf", "/etc/aliases", "/etc/mailname")}
    with tempfile.TemporaryDirectory() as folder:
        new = next_version(files, folder)
        before = {part: main_pid(host, part) for part in ALL}
        install(host, new, "0.1.1")
        after = {part: main_pid(host, part) for part in ALL}
        running(host)
        for part in ALL:
            assert before[part] != after[part] != 0, part
            exe = host.run("readlink", f"/proc/{after[part]}/exe").stdout
            assert "deleted" not in exe, exe
        host.write("/etc/postfix/main.cf", kept["/etc/postfix/main.cf"] + "no equals sign\n")
        said = host.run(
            "apt-get", "install", "-y", "--allow-downgrades", "--no-install-recommends", *[f"/root/0.1.0/{file.name}" for file in files], timeout=240)
        assert re.search(r"main\.cf.*line \d+", said.stdout + said.stderr), said.stdout + said.stderr
        for part in PARTS["postfix"]:
            assert main_pid(host, part) == after[part], f"{part} was restarted with a broken configuration"
        status = host.run("systemctl", "status", "--no-pager", "postfix", check=False).stdout
        assert re.search(r"main\.cf.*line \d+", status), status
        host.write("/etc/postfix/main.cf", kept["/etc/postfix/main.cf"])
        host.run("systemctl", "restart", "postfix")
        running(host)
    for path, text in kept.items():
        assert host.read(path) == text, f"{path} was changed by the upgrade"


def removal(host, before):
    files, accounts, enabled = before
    names = ["postcot", "postcot-mta", "postcot-auth", "postcot-imapd", "postcot-pop3d"]
    host.run("apt-get", "remove", "-y", *names, timeout=120)
    assert not host.sh("ps -eo comm | grep -xE 'smtpd|queued|imapd|pop3d|authd'", check=False).stdout
    for path in ("/etc/postfix/main.cf", "/etc/dovecot/dovecot.conf", "/var/spool/postfix"):
        assert host.path(path).exists(), f"{path} went with remove"
    assert not host.path("/usr/lib/postcot").exists()
    # Removed and installed again: as it was.
    host.run("apt-get", "install", "-y", "--no-install-recommends", *[f"/root/0.1.0/{file.name}" for file in our_packages()], timeout=240)
    running(host)
    assert "edited" in host.read("/etc/postfix/main.cf")
    host.run("apt-get", "purge", "-y", *names, timeout=120)
    host.run("apt-get", "autoremove", "--purge", "-y", timeout=120)
    host.sh("userdel -r keeper 2>/dev/null || true")
    left = sorted(files_of(host) - files)
    assert not left, f"{len(left)} files stay after the purge: {left[:30]}"
    gone = sorted(files - files_of(host))
    assert not gone, f"{len(gone)} files of others went: {gone[:30]}"
    assert enabled_of(host) == enabled, enabled_of(host) ^ enabled
    assert accounts_of(host) - accounts <= ACCOUNTS_STAY, accounts_of(host) - accounts
    assert not host.sh("debconf-show postcot-mta").stdout.strip()
    assert not host.sh("dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' 'postcot*' 2>/dev/null | grep -v '^un'", check=False).stdout


def test_life_of_the_packages():
    files = our_packages()
    with Lab(repository=files) as lab:
        host = lab.host("mail.example.com", ["ufw", "bash-completion", "apparmor"])
        host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")   # nobody: an answer comes at once
        host.run("apt-get", "update")
        before = files_of(host), accounts_of(host), enabled_of(host)
        install(host, files)
        running(host)
        for step in (ready_when_it_returns, broken_configuration, hardened, firewall_profiles, shell_completion, access_control, certificates, housekeeping, watchdog):
            step(host)
            say(step.__name__)
        upgrade(host, files)
        say("upgrade")
        removal(host, before)


main(test_life_of_the_packages)

#!/usr/bin/env python3
"""After a takeover the removed packages of Postfix and Dovecot are purged, as a tidy administrator does: nothing that Postcot uses goes with them.
Later, with Postcot gone, they purge as ever."""
import re

from _hosts import Lab, main, our_packages

THEIRS = ["postfix", "dovecot-core", "dovecot-imapd", "dovecot-pop3d"]
OURS = ["postcot", "postcot-mta", "postcot-auth", "postcot-imapd", "postcot-pop3d"]
UNITS = ("postfix", "dovecot", "postcot-queued", "postcot-smtpd", "postcot-authd", "postcot-imapd", "postcot-pop3d")


def state(host):
    """What is ours to keep: configuration, queue, accounts, the units that boot starts."""
    # Files of their programs that nobody reads here may go, their init scripts and hooks.
    configuration = host.sh("cd /etc && find postfix dovecot pam.d/dovecot -type f -exec sha256sum {} + | grep -vE 'postfix/(post-install|postfix-script|postfix-files|makedefs.out|dynamicmaps|(main|master).cf.proto)'"
                            " | sort").stdout
    accounts = host.sh("getent passwd postfix dovecot dovenull; getent group postdrop").stdout
    queue = host.run("postqueue", "-p").stdout
    enabled = host.run("systemctl", "is-enabled", *UNITS, check=False).stdout
    links = host.sh("ls -l /etc/dovecot/private").stdout
    return configuration, accounts, queue, enabled, links


def install(host):
    files = host.copy_in(our_packages(), "/root/debs")
    return host.run("apt-get", "install", "-y", "--no-install-recommends", *files, timeout=240)


def still_served(host):
    for unit in UNITS:
        assert host.run("systemctl", "is-active", unit, check=False).stdout == "active\n", host.run("systemctl", "status", unit, check=False).stdout
    at = len(host.log())
    host.sh("printf 'Subject: x\\n\\nx\\n' | sendmail -f root keeper@localhost")
    host.wait_for_log(r"to=<keeper@localhost>.*status=sent", after=at)
    host.run("newaliases")
    for port in (25, 143, 110):
        host.wait_for_port(port, 5)


def firewall(host):
    """Each profile once: ufw warns of two with one name."""
    profiles = host.run("ufw", "app", "list")
    assert "WARN" not in profiles.stdout + profiles.stderr, profiles.stdout + profiles.stderr
    assert len(re.findall(r"^  (?:Postfix|Dovecot)", profiles.stdout, re.M)) == 7, profiles.stdout


def after_takeover(lab):
    host = lab.host("mail.example.com", ["postfix", "dovecot-imapd", "dovecot-pop3d", "ufw"])
    host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    host.sh("useradd -m keeper; postconf -e 'smtpd_banner = kept' defer_transports=smtp mydestination=localhost; echo '# kept' >>/etc/dovecot/conf.d/20-imap.conf; systemctl restart postfix")
    # Debian's own files say mbox, of which we serve nothing; in 2.3's words or in 2.4's.
    host.sh("sed -i 's|^mail_location = .*|mail_location = maildir:~/Maildir|; s|^mail_driver = .*|mail_driver = maildir|; s|^mail_path = .*|mail_path = %{home}/Maildir|; s|^mail_inbox_path|#&|'"
            " /etc/dovecot/conf.d/10-mail.conf")
    host.run("apt-get", "update")
    install(host)
    host.sh("printf 'Subject: x\\n\\nx\\n' | sendmail -f root somebody@other.test")
    host.wait_for_log(r"to=<somebody@other\.test>.*status=deferred")
    firewall(host)
    before = state(host)
    assert "kept" in host.read("/etc/postfix/main.cf") and "other.test" in before[2], before

    said = host.run("apt-get", "purge", "-y", *THEIRS, timeout=120)
    assert re.search("postfix: configuration and data stay", said.stdout + said.stderr), said.stdout + said.stderr
    assert state(host) == before, (state(host), before)
    assert not host.sh("dpkg-query -W -f '${db:Status-Abbrev}${Package}\\n' " + " ".join(THEIRS) + " 2>/dev/null | grep -v '^un'", check=False).stdout
    still_served(host)
    host.sh("systemctl restart postfix dovecot")
    still_served(host)
    host.reboot()
    still_served(host)
    assert state(host) == before
    firewall(host)


def of_both(lab):
    """The guard ends with Postcot: what is left of the two is removed by whoever is purged last."""
    host = lab.host("mx.other.test", ["postfix", "dovecot-imapd", "dovecot-pop3d"])
    host.run("apt-get", "update")
    install(host)
    host.run("apt-get", "purge", "-y", *OURS, timeout=120)
    for path in ("/etc/postfix/main.cf", "/etc/dovecot/dovecot.conf"):
        assert host.path(path).exists(), f"{path} belongs to a package that is not purged"
    host.run("apt-get", "purge", "-y", *THEIRS, timeout=120)
    for path in ("/etc/postfix", "/etc/dovecot/dovecot.conf", "/var/spool/postfix"):
        assert not host.path(path).exists(), f"{path} stays"


def test_purge():
    with Lab(repository=our_packages()) as lab:
        after_takeover(lab)
        of_both(lab)


main(test_purge)

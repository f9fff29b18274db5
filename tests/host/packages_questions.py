#!/usr/bin/env python3
"""debconf: each answer to "Kind of mail server", preseeded for us or for Debian's postfix, gives the main.cf that is meant, and a host that works."""
import io
import re
import subprocess
import tarfile

from _hosts import Lab, main, our_packages

SETTINGS = ("myorigin", "relayhost", "inet_interfaces", "mydestination", "default_transport")
DEFAULT = {"myorigin": "/etc/mailname", "relayhost": "", "inet_interfaces": "all", "default_transport": "smtp"}
OWN = "$myhostname, {name}, localhost.localdomain, localhost"

# Preseeds ("name=value", of postcot-mta unless a package is named), settings that come out, aliases for root.
CASES = [
    # Nothing said, nobody to ask.
    ((), {"mydestination": OWN.format(name="mail.example.com")}, "mail.example.com"),
    (("postfix/main_mailer_type=Internet Site", "postfix/mailname=example.com", "postfix/root_address=keeper"), {"mydestination": OWN.format(name="example.com")}, "example.com"),
    (("main_mailer_type=Internet with smarthost", "mailname=example.com", "relayhost=[smtp.other.test]:587"),
     {"relayhost": "[smtp.other.test]:587", "mydestination": "$myhostname, localhost.localdomain, localhost"}, "example.com"),
    (("postfix/main_mailer_type=Satellite system", "postfix/mailname=other.test", "postfix/relayhost=smtp.other.test"),
     {"relayhost": "smtp.other.test", "inet_interfaces": "loopback-only", "mydestination": OWN.format(name="other.test")}, "other.test"),
    (("main_mailer_type=Local only", "mailname=not a name"),
     {"inet_interfaces": "loopback-only", "default_transport": "error", "mydestination": OWN.format(name="mail.example.com")}, "mail.example.com"),
    (("main_mailer_type=Internet Site", "mailname=example.com", "destinations=example.com, lists.example.com"), {"mydestination": "example.com, lists.example.com"}, "example.com"),
]


def install(host, preseeds):
    lines = [f"{'postfix' if name.startswith('postfix/') else 'postcot-mta'} {name if '/' in name else 'postcot-mta/' + name} {kind(name)} {value}"
             for name, _, value in (preseed.partition("=") for preseed in preseeds)]
    if lines:
        host.run("debconf-set-selections", data="\n".join(lines) + "\n")
    return host.run("apt-get", "install", "-y", "--no-install-recommends", "/root/debs/" + mta().name, timeout=180)


def kind(name):
    return "select" if name.endswith("main_mailer_type") else "string"


def mta():
    return next(file for file in our_packages() if file.name.startswith("postcot-mta_"))


def purge(host):
    host.run("apt-get", "purge", "-y", "postcot-mta", timeout=120)
    host.sh("rm -f /etc/mailname /etc/aliases; for q in main_mailer_type mailname relayhost root_address destinations; do"
            " printf 'UNREGISTER postfix/%s\\n' $q; done | debconf-communicate postfix >/dev/null 2>&1 || true")


def looks_like(host, wanted, mailname):
    said = {name: host.run("postconf", "-h", name).stdout.strip() for name in SETTINGS}
    assert said == {**DEFAULT, **wanted}, (said, {**DEFAULT, **wanted})
    assert host.read("/etc/mailname") == mailname + "\n"
    assert host.run("systemctl", "is-active", "postcot-smtpd").stdout == "active\n"
    listening = host.sh("ss -ltnH 'sport = 25'").stdout
    everywhere = bool(re.search(r"(0\.0\.0\.0|\*|\[::\]):25 ", listening))
    assert everywhere == (wanted.get("inet_interfaces", "all") == "all"), listening


def delivers_locally(host, wanted):
    at = len(host.log())
    domain = wanted["mydestination"].split(",")[-1].strip()
    host.sh(f"printf 'Subject: x\\n\\nx\\n' | sendmail -f root keeper@{domain}")
    host.wait_for_log(rf"to=<keeper@{re.escape(domain)}>.*status=sent \(delivered to mailbox", after=at)


def test_answers():
    with Lab(repository=our_packages()) as lab:
        host = lab.host("mail.example.com")
        host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        host.write("/etc/hosts", "127.0.0.1 localhost\n192.0.2.25 mail.example.com mail\n")
        host.run("apt-get", "update")
        host.sh("useradd -m keeper")
        host.copy_in([mta()], "/root/debs")
        for preseeds, wanted, mailname in CASES:
            print(f"  {', '.join(preseeds) or 'nothing preseeded'}", flush=True)
            install(host, preseeds)
            looks_like(host, wanted, mailname)
            delivers_locally(host, wanted)
            aliases = host.read("/etc/aliases")
            assert ("root:    keeper" in aliases) == ("postfix/root_address=keeper" in preseeds), aliases
            purge(host)
            assert not host.path("/etc/postfix/main.cf").exists()

        # Local only: what is for others comes back at once.
        install(host, ("main_mailer_type=Local only", "mailname=example.com"))
        host.sh("printf 'Subject: x\\n\\nx\\n' | sendmail -f keeper@localhost somebody@other.test")
        host.wait_for_log(r"to=<somebody@other\.test>.*status=bounced")
        # dpkg-reconfigure changes what its questions are about, and nothing else.
        host.sh("postconf -e 'smtpd_banner = edited'; echo 'postcot-mta postcot-mta/main_mailer_type select Internet Site' | debconf-set-selections;"
                " dpkg-reconfigure -fnoninteractive postcot-mta")
        said = host.run("postconf", "-h", "smtpd_banner", "default_transport", "inet_interfaces").stdout
        assert said == "edited\nsmtp\nall\n", said
        # An upgrade or a second installation changes nothing, whatever is preseeded.
        before = host.read("/etc/postfix/main.cf")
        host.run("apt-get", "remove", "-y", "postcot-mta")
        install(host, ("main_mailer_type=Satellite system", "relayhost=elsewhere.test"))
        assert host.read("/etc/postfix/main.cf") == before
        purge(host)

        # No configuration: nothing is made and nothing runs, and nothing fails for that.
        install(host, ("main_mailer_type=No configuration",))
        assert not host.path("/etc/postfix/main.cf").exists()
        assert host.run("systemctl", "is-active", "postcot-smtpd", check=False).stdout == "inactive\n"
        assert not host.run("systemctl", "--failed", "--no-legend", "--plain").stdout
        purge(host)


def test_korean():
    control = subprocess.run(["dpkg-deb", "--ctrl-tarfile", mta()], check=True, stdout=subprocess.PIPE).stdout
    templates = tarfile.open(fileobj=io.BytesIO(control)).extractfile("./templates").read().decode()
    for text in ("메일 서버의 종류:", "시스템 메일 이름:", "설정하지 않음, 인터넷 사이트, 인터넷 사이트 (스마트호스트 사용), 위성 시스템, 로컬 전용"):
        assert text in templates, text
    assert templates.count("Description-ko.UTF-8:") == templates.count("Template:") == 7, templates


main(test_korean, test_answers)

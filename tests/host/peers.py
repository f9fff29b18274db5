#!/usr/bin/env python3
"""The real Postfix and Dovecot of the hosts' suite as peers: the scripts of tests/e2e that judge with them, run on a booted host of that suite, with our programs from its
packages. On the machine's own suite `tests/run e2e` does the same with the peers that are installed there.

Debian 13 brings Dovecot 2.4 (its own configuration dialect, index format and auth protocol) and Postfix 3.10."""
import os
import pathlib
import re
import subprocess
import tempfile

import _roots
import _suite
from _hosts import Lab, main, our_packages, skip

PEERS = ["postfix", "dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd", "python3", "swaks", "libnet-ssleay-perl", "openssl", "socat"]
# store: UIDs, UIDVALIDITY, flags, keywords, subscriptions and UIDLs, both ways; auth: either's socket under the other's smtpd; queue: takeover and hand-back.
SCRIPTS = ["store_dovecot_roundtrip", "auth_dovecot_peer", "auth_postfix_peer", "postfix_queue", "relay", "lmtp", "os_users"]
PLACE = "/srv/postcot"


def programs(folder):
    """Our programs in one folder, as a build leaves them; the packages cannot be installed beside those whose place they take."""
    bin = folder / "bin"
    bin.mkdir()
    for package in our_packages():
        unpacked = folder / package.stem
        subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        for file in [*unpacked.glob("usr/lib/postcot/*"), *unpacked.glob("usr/bin/*"), *unpacked.glob("usr/sbin/*")]:
            if not file.is_dir() and not (bin / file.name).is_symlink():
                target = os.readlink(file) if file.is_symlink() else None
                if target:
                    (bin / file.name).symlink_to(os.path.basename(target))
                else:
                    file.rename(bin / file.name)
    return bin


def needed(packages):
    """The libraries that our packages ask for, as apt has to install them for programs that are only unpacked."""
    fields = [subprocess.run(["dpkg-deb", "-f", package, "Depends"], check=True, stdout=subprocess.PIPE, text=True).stdout for package in packages]
    names = {re.split(r"[ (|]", word.strip())[0] for field in fields for word in field.split(",")}
    return sorted(name for name in names if name and not name.startswith("postcot"))


def test_peers():
    if _suite.OWN:
        skip("tests/e2e does this with the peers of this machine")
    packages = our_packages()
    with Lab() as lab:
        host = lab.host("mail.example.com", [*PEERS, *needed(packages)])
        host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        host.run("systemctl", "disable", "--now", "postfix", "dovecot", check=False)
        with tempfile.TemporaryDirectory() as folder:
            bin = programs(pathlib.Path(folder))
            tree = subprocess.run(["tar", "-c", "-C", _roots.TOP, "tests/e2e", "etc"], check=True, stdout=subprocess.PIPE).stdout
            host.run("mkdir", "-p", PLACE)
            host.run("tar", "-x", "--no-same-owner", "-C", PLACE, data=tree)
            host.run("tar", "-x", "--no-same-owner", "-C", PLACE, data=subprocess.run(["tar", "-c", "-C", bin.parent, "bin"], check=True, stdout=subprocess.PIPE).stdout)
        versions = host.sh("dovecot --version; postconf -h mail_version").stdout.split("\n")
        print(f"  peers: Dovecot {versions[0]}, Postfix {versions[1]}", flush=True)
        failed = []
        for script in os.environ.get("POSTCOT_PEER_SCRIPTS", "").split() or SCRIPTS:
            done = host.sh(f"python3 {PLACE}/tests/e2e/{script}.py 2>&1", timeout=240, check=False, env={"POSTCOT_BIN": f"{PLACE}/bin"})
            if done.returncode not in (0, 77):
                failed.append(script)
            print(f"  {'ok' if done.returncode == 0 else 'skip' if done.returncode == 77 else 'FAIL'} {script}"
                  + ("" if done.returncode == 0 else "\n" + "\n".join(done.stdout.splitlines()[-(1 if done.returncode == 77 else 50):])), flush=True)
        assert not failed, failed


main(test_peers)

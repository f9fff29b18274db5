"""The real Postfix and the real Dovecot of Debian, each as a private instance in a temporary folder. Needs root, as they do."""
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile

from harness import free_port, need, run, skip, wait_until


def need_root():
    if os.getuid() != 0:
        skip("Postfix and Dovecot start only as root")


class PostfixPeer:
    """Debian's Postfix with smtpd on .port; mail for users of peer.test goes to Maildirs under .mail (virtual)."""

    def __init__(self, main_cf="", smtpd_options=(), domain="peer.test", users=("user01", "user02")):
        need_root()
        need("postfix")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="pf.", dir="/tmp"))
        os.chmod(self.root, 0o755)
        self.port = free_port()
        self.etc = self.root / "etc"
        self.mail = self.root / "mail"
        for folder in (self.etc, self.root / "spool", self.root / "data", self.mail):
            folder.mkdir()
        owner = pwd.getpwnam("nobody")
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        shutil.chown(self.root / "data", "postfix")
        mailboxes = ", ".join(f"{user}@{domain}={user}/" for user in users)
        base = (
            f"""compatibility_level = 3.6
queue_directory = {self.root}/spool
data_directory = {self.root}/data
maillog_file = {self.root}/mail.log
maillog_file_prefixes = {self.root}
myhostname = mx.{domain}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:no local mail here
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = inline:{{ {mailboxes} }}
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
virtual_minimum_uid = 1
"""
        )
        # Each setting once: Postfix warns of a second one in every process, and so many lines at once can block postlogd for good.
        own = {line.split("=")[0].strip() for line in main_cf.splitlines() if "=" in line and not line[0].isspace()}
        kept = [line for line in base.splitlines() if line.split("=")[0].strip() not in own]
        (self.etc / "main.cf").write_text("\n".join(kept) + f"\n{main_cf}\n")
        options = "".join(f"\n  -o {option}" for option in smtpd_options)
        (self.etc / "master.cf").write_text(
            f"""127.0.0.1:{self.port} inet n - n - - smtpd{options}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
        )

    def __enter__(self):
        run("postfix", "-c", self.etc, "start")
        return self

    def __exit__(self, kind, *_):
        if kind and kind is not SystemExit:
            print("---- Postfix's log")
            print("\n".join(self.log().splitlines()[-40:]))
        subprocess.run(["postfix", "-c", str(self.etc), "stop"], capture_output=True)
        shutil.rmtree(self.root, ignore_errors=True)

    def log(self):
        path = self.root / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def messages(self, user):
        return sorted((self.mail / user / "new").glob("*")) if (self.mail / user / "new").is_dir() else []

    def wait_for_mail(self, user, count, timeout=30):
        wait_until(lambda: len(self.messages(user)) >= count, f"{count} messages for {user} at Postfix", timeout)
        return self.messages(user)


def dovecot_version():
    """Of the one that is installed: (2, 3, 19), (2, 4, 1) ..."""
    return tuple(map(int, re.match(rb"\d+(?:\.\d+)+", run("dovecot", "--version").stdout)[0].split(b".")))


class DovecotPeer:
    """Debian's Dovecot with IMAP on .imap and POP3 on .pop3; users of a passwd-file: {name: (password, uid, gid, home)}."""

    def __init__(self, users, conf=""):
        need_root()
        need("dovecot")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="dc.", dir="/tmp"))
        os.chmod(self.root, 0o755)
        self.imap, self.pop3 = free_port(), free_port()
        self.conf = self.root / "dovecot.conf"
        (self.root / "users").write_text("".join(f"{name}:{{PLAIN}}{password}:{uid}:{gid}::{home}::\n" for name, (password, uid, gid, home) in users.items()))
        self.conf.write_text(
            f"""{self.dialect()}
base_dir = {self.root}/run
state_dir = {self.root}/state
log_path = {self.root}/dovecot.log
listen = 127.0.0.1
protocols = imap pop3
ssl = no
auth_mechanisms = plain login
first_valid_uid = 1
service imap-login {{
  inet_listener imap {{
    port = {self.imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {self.pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
namespace inbox {{
  inbox = yes
}}
{conf}
"""
        )

    def dialect(self):
        """What 2.3 and 2.4 say in different words."""
        users = self.root / "users"
        if dovecot_version() < (2, 4):
            return f"""disable_plaintext_auth = no
mail_location = maildir:~/Maildir
passdb {{
  driver = passwd-file
  args = {users}
}}
userdb {{
  driver = passwd-file
  args = {users}
}}"""
        version = ".".join(map(str, dovecot_version()))
        return f"""dovecot_config_version = {version}
dovecot_storage_version = {version}
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = ~/Maildir
passdb passwd-file {{
  passwd_file_path = {users}
}}
userdb passwd-file {{
  passwd_file_path = {users}
}}"""

    def __enter__(self):
        # It keeps its standard output open for good: no pipe here.
        subprocess.run(["dovecot", "-c", str(self.conf)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return self

    def __exit__(self, kind, *_):
        if kind and kind is not SystemExit:
            print("---- Dovecot's log")
            print("\n".join(self.log().splitlines()[-40:]))
        subprocess.run(["doveadm", "-c", str(self.conf), "stop"], capture_output=True)
        shutil.rmtree(self.root, ignore_errors=True)

    def log(self):
        path = self.root / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

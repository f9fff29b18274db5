"""The walk-through "Postfix + Dovecot + Roundcube on Ubuntu", command by command, on mail.example.com. Editors are sed here, dialogues their options."""
import os
import re

import _dns
from _hosts import our_packages, wait_until

WEB = ["apache2", "mariadb-server", "php", "php-mysql", "roundcube"]
REPOSITORY = [*WEB, "ufw", "mailutils"]
PASSWORDS = {"user01": "first-secret", "user02": "second-secret"}
SUBJECT = "테스트 메일 제목"
PORTS = {"smtp": 25, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}


class Guide:
    """The steps in their order; each looks at what an administrator would look at after it."""

    def __init__(self, host):
        self.host = host

    def do(self, command, timeout=60, **more):
        print(f"  # {command}", flush=True)
        return self.host.run("bash", "-c", command, timeout=timeout, **more)

    def name_the_host(self):
        self.host.write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 server\n::1 localhost ip6-localhost ip6-loopback\n")
        self.do("sudo hostnamectl set-hostname mail.example.com")
        self.do(f"echo '{_dns.address4('mail.example.com')} mail.example.com mail' | sudo tee -a /etc/hosts")
        self.do("sudo sed -i '/^127.0.1.1/d' /etc/hosts")
        said = self.do("hostname -f").stdout
        assert said == "mail.example.com\n", said

    def install_mail(self):
        files = self.host.copy_in(our_packages(), "/root")
        assert len(files) == 5, files
        self.do("sudo apt update")
        self.do("sudo DEBIAN_FRONTEND=noninteractive apt install -y /root/postcot*.deb", timeout=180)
        for unit in ("postfix", "dovecot", "postcot-smtpd", "postcot-queued", "postcot-authd", "postcot-imapd", "postcot-pop3d"):
            self.host.wait_for_unit(unit)
        for port in PORTS.values():
            self.host.wait_for_port(port)

    def configure_postfix(self):
        self.do("sudo postconf -e 'myhostname = mail.example.com'")
        self.do("sudo postconf -e 'mydestination = $myhostname, example.com, localhost.example.com, localhost'")
        self.do("sudo postconf -e 'mynetworks = 127.0.0.0/8 [::1]/128'")
        self.do("sudo postconf -e 'home_mailbox = Maildir/'")
        self.do("echo example.com | sudo tee /etc/mailname")
        self.do("sudo systemctl restart postfix")
        changed = self.do("postconf -n").stdout
        for line in ("myhostname = mail.example.com", "home_mailbox = Maildir/"):
            assert line in changed.splitlines(), changed
        self.host.wait_for_port(25)

    def configure_dovecot(self):
        self.do("sudo sed -i 's|^#* *mail_location *=.*|mail_location = maildir:~/Maildir|' /etc/dovecot/conf.d/10-mail.conf")
        self.do("sudo sed -i 's|^#* *disable_plaintext_auth *=.*|disable_plaintext_auth = no|; s|^ *auth_mechanisms *=.*|auth_mechanisms = plain login|' "
                "/etc/dovecot/conf.d/10-auth.conf")
        self.do("sudo systemctl restart dovecot")
        changed = self.do("doveconf -n").stdout
        for line in ("mail_location = maildir:~/Maildir", "disable_plaintext_auth = no", "auth_mechanisms = plain login"):
            assert line in changed.splitlines(), changed
        for port in (143, 993, 110, 995):
            self.host.wait_for_port(port)

    def install_web(self):
        self.do(f"sudo DEBIAN_FRONTEND=noninteractive apt install -y {' '.join(WEB)}", timeout=600)
        self.do("sudo sed -i 's|^# *Alias /roundcube|Alias /roundcube|' /etc/roundcube/apache.conf")
        self.do("sudo sed -i \"s|^\\(.config\\['imap_host'\\]\\).*|\\1 = ['localhost:143'];|; s|^\\(.config\\['smtp_host'\\]\\).*|\\1 = 'localhost:25';|; "
                "s|^\\(.config\\['smtp_user'\\]\\).*|\\1 = '';|; s|^\\(.config\\['smtp_pass'\\]\\).*|\\1 = '';|\" /etc/roundcube/config.inc.php")
        self.do("echo \"\\$config['mail_domain'] = 'example.com';\" | sudo tee -a /etc/roundcube/config.inc.php")
        self.do("sudo systemctl restart apache2 mariadb")
        for unit in ("apache2", "mariadb"):
            self.host.wait_for_unit(unit)
        self.host.wait_for_port(80)

    def firewall(self):
        self.do("sudo DEBIAN_FRONTEND=noninteractive apt install -y ufw", timeout=120)
        self.do("sudo ufw allow 25,587,143,993,80,443/tcp")
        self.do("sudo ufw allow 'Dovecot POP3'")
        self.do("sudo ufw --force enable")
        status = self.do("sudo ufw status verbose").stdout
        assert "Status: active" in status and "25,80,143,443,587,993/tcp" in status and "110/tcp (Dovecot POP3)" in status, status
        profiles = self.do("sudo ufw app list").stdout
        for name in ("Postfix", "Postfix Submission", "Dovecot IMAP", "Dovecot Secure IMAP", "Dovecot POP3"):
            assert re.search(rf"^  {name}$", profiles, re.M), profiles

    def users(self):
        for user, password in PASSWORDS.items():
            self.do(f"sudo adduser --gecos '' --disabled-password {user}")
            self.do("sudo chpasswd", data=f"{user}:{password}\n")
        self.do("sudo DEBIAN_FRONTEND=noninteractive apt install -y mailutils", timeout=120)

    def first_mail(self):
        self.do(f"echo '테스트 메일 본문입니다.' | mail -s '{SUBJECT}' user02@example.com", user="user01")
        sent = self.host.wait_for_log(r"postfix/local\[\d+\]: (\w+): to=<user02@example\.com>, relay=local, .* status=sent \(delivered to maildir\)")
        assert sent.group(1) in self.do("sudo tail /var/log/mail.log").stdout
        files = wait_until(lambda: os.listdir(self.host.path("/home/user02/Maildir/new")), "a file in user02's Maildir")
        assert len(files) == 1, files

    def look(self):
        for unit, parts in (("postfix", ("smtpd", "queued")), ("dovecot", ("authd", "imapd", "pop3d"))):
            status = self.do(f"systemctl status {unit}").stdout
            assert re.search(r"Active: active", status), status
        assert "Mail queue is empty" in self.do("mailq").stdout
        listening = self.do("ss -ltn").stdout
        for port in PORTS.values():
            assert re.search(rf":{port}\s", listening), listening

    def clean_up(self):
        """What the guide ends with: everything goes, and nothing of ours is left running."""
        self.do("sudo postsuper -d ALL")
        self.do("sudo systemctl stop postfix dovecot")
        self.do("sudo DEBIAN_FRONTEND=noninteractive apt purge -y 'postcot*' roundcube mailutils", timeout=180)
        self.do("sudo DEBIAN_FRONTEND=noninteractive apt autoremove -y", timeout=180)
        self.do("sudo apt clean")
        self.do("sudo deluser --remove-home user01 && sudo deluser --remove-home user02")
        left = self.do("ps -eo comm | grep -xE 'smtpd|queued|imapd|pop3d|authd'", check=False).stdout
        assert not left, left
        assert not self.do("systemctl --failed --no-legend --plain").stdout
        for path in ("/etc/postfix/main.cf", "/var/spool/postfix", "/usr/lib/postcot", "/home/user02"):
            assert not self.host.path(path).exists(), path

    def everything_before_mail(self):
        for step in (self.name_the_host, self.install_mail, self.configure_postfix, self.configure_dovecot, self.install_web, self.firewall, self.users):
            step()

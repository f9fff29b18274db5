"""postconf, postmap, postalias and doveconf beside Debian's own: the same output for the same configuration, the same file after the same edit."""
import difflib
import pathlib
import re
import subprocess
import tempfile

from harness import BIN, main, need, run

POSTFIX = "/usr/sbin"
MAIN_CF = """# made up
compatibility_level = 3.6
myhostname = mail.example.com
   # inside a setting
mynetworks = 127.0.0.0/8,
\t[::ffff:127.0.0.0]/104   [::1]/128
  
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
relay_domains = ${{$compatibility_level} <level {2} ? {$mydestination} : {}}
mua_restrictions = permit_sasl_authenticated, reject
smtpd_restriction_classes = greylist
greylist = check_policy_service unix:private/greylist
relayhost =
# tail
maildrop_destination_recipient_limit = 1
mailbox_command = /usr/bin/procmail -a "$EXTENSION"
"""
MASTER_CF = """# services
smtp      inet  n       -       y       -       -       smtpd
submission inet n - y - 20 smtpd
  -o syslog_name=postfix/submission
  -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }
  -o smtpd_relay_restrictions=$mua_restrictions
pickup    unix  n       -       y       60      1       pickup
relay     unix  -       -       y       -       -       smtp
        -o syslog_name=postfix/$service_name
postlog   unix-dgram n  -       n       -       1       postlogd
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
very-very-long-service-name inet  n       -       y       -       - smtpd -v -o smtpd_tls_wrappermode=yes
"""
DOVECOT_CONF = """protocols = imap pop3
listen = *
mail_location = maildir:~/Maildir
auth_cache_ttl = 48h
default_vsz_limit = 1024M
imap_idle_notify_interval = 120s
log_path = "/var/log/x y"
mail_log_prefix = "%s "
mail_home = "a # b"
passdb {
  driver = passwd-file
  args = scheme=plain /etc/dovecot/users
}
passdb {
  driver = pam
}
userdb {
  driver = passwd
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox "Sent Messages" {
    special_use = \\Sent
  }
  mailbox Sent {
    auto = subscribe
    special_use = \\Sent
  }
}
service imap-login {
  inet_listener imap {
    port = 2143
  }
  inet_listener extra {
    port = 99
    ssl = yes
  }
  service_count = 0
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
mail_plugins = one
protocol imap {
  mail_plugins = $mail_plugins two
  mail_max_userip_connections = 20
}
plugin {
  quota = "maildir "
}
"""


def output(program, *words, data=None):
    done = subprocess.run([str(program), *map(str, words)], capture_output=True, input=data, timeout=60)
    return done.stdout.decode(), done.returncode


def same(theirs, ours, what):
    difference = "\n".join(difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "theirs", "ours", lineterm="", n=0))
    assert not difference, f"{what}:\n{difference}"


def without_process_id(text):
    return re.sub(r"(?m)^process_id = \d+$", "", text)


def configuration(folder):
    folder = pathlib.Path(folder)
    (folder / "main.cf").write_text(MAIN_CF)
    (folder / "master.cf").write_text(MASTER_CF)
    return folder


def test_postconf_shows_what_postfix_shows():
    need("postconf")
    requests = ["", "-n", "-d", "-nf", "-f", "-x", "-nx", "-dx", "-H", "-M", "-Mf", "-F", "-P", "-Mx", "-Px", "-Ph", "-FH", "-C builtin", "-C service",
                "-C user", "-C user -n", "-C service -n", "-M smtp", "-M */inet", "-M nosuch", "-F */unix/chroot", "-P */*/syslog_name", "-Mf submission/inet",
                "mydestination mynetworks nosuch", "-h mydomain smtpd_banner", "-dh mydomain", "-x virtual_alias_domains proxy_read_maps", "-l",
                "-o relayhost=[x] relayhost", "-n -d", "-h -H", "-M -n"]
    with tempfile.TemporaryDirectory() as folder:
        configurations = [configuration(folder)]
        if pathlib.Path("/etc/postfix/main.cf").exists():
            configurations.append("/etc/postfix")
        for where in configurations:
            for request in requests:
                theirs, their_status = output(f"{POSTFIX}/postconf", "-c", where, *request.split())
                ours, our_status = output(BIN / "postconf", "-c", where, *request.split())
                same(without_process_id(theirs), without_process_id(ours), f"postconf {request}")
                assert our_status == their_status, request


def test_postconf_edits_as_postfix_edits():
    need("postconf")
    edits = [["-e", "myhostname = b", "newone=1", "relayhost = [x]"], ["myhostname=c"], ["-e", "mynetworks=x", "mydestination="], ["-#", "mynetworks", "newone"],
             ["-X", "mynetworks", "relayhost", "nosuch"], ["-e", "foo"], ["-e", "=x"], ["-X"], ["-M#", "maildrop/unix"], ["-M#", "*/inet"],
             ["-MX", "submission/inet", "maildrop/unix"], ["-Me", "new/unix = new unix - n n - - pipe flags=R argv=x"],
             ["-Me", "bar/inet=bar inet n - n - - smtpd -o a=b -o { c = d e }"], ["-M", "maildrop/unix=maildrop unix - n n - - pipe flags=D argv=y z"],
             ["-Me", "bar/inet=bar inet n"], ["-Fe", "smtp/inet/chroot=n", "maildrop/unix/command=pipe flags=D argv=y z"], ["-F", "submission/*/wakeup=60"],
             ["-Fe", "smtp/inet/nofield=y"], ["-Pe", "submission/inet/smtpd_x=new"], ["-P", "submission/inet/syslog_name=zz"],
             ["-PX", "submission/inet/syslog_name"], ["-Pe", "nosuch/inet/a=b"]]
    for edit in edits:
        results = []
        for program in (f"{POSTFIX}/postconf", BIN / "postconf"):
            with tempfile.TemporaryDirectory() as folder:
                where = configuration(folder)
                status = output(program, "-c", where, *edit)[1]
                results.append((status, (where / "main.cf").read_text(), (where / "master.cf").read_text()))
                assert status or sorted(path.name for path in where.iterdir()) == ["main.cf", "master.cf"]
        assert results[0] == results[1], f"postconf {edit}: {results[1]}\n--- Postfix: {results[0]}"


def test_tables_of_either_side_are_read_by_the_other():
    need("postmap")
    source = '# c\nUpper Val\na b c\n  continued\n"q k" v1\nlonely\ndup 1\ndup 2\nk:with colon\n'
    aliases = '# c\nroot: joe, "|/bin/x y", :include:/x\n   , more\nPost Master: root\n"quoted local": a\nlist:\n'
    with tempfile.TemporaryDirectory() as folder:
        where = configuration(folder)
        for name, text in (("map", source), ("aliases", aliases)):
            (where / name).write_text(text)
        for maker, asker in ((f"{POSTFIX}/postmap", BIN / "postmap"), (BIN / "postmap", f"{POSTFIX}/postmap")):
            assert output(maker, "-c", where, f"lmdb:{where}/map")[1] == 0
            for request in (["-s"], ["-q", "UPPER"], ["-q", "nokey"], ["-q", "dup"]):
                assert output(asker, "-c", where, *request, f"lmdb:{where}/map") == output(maker, "-c", where, *request, f"lmdb:{where}/map"), request
            keys = b"dup\nnone\na\n"
            assert output(asker, "-c", where, "-q", "-", f"lmdb:{where}/map", data=keys) == output(maker, "-c", where, "-q", "-", f"lmdb:{where}/map", data=keys)
            (where / "map.lmdb").unlink()
        wanted = "".join(sorted(line + "\n" for line in output(f"{POSTFIX}/postmap", "-c", where, "-s", f"texthash:{where}/map")[0].splitlines()))
        run(BIN / "postmap", "-c", where, f"hash:{where}/map")
        assert "".join(sorted(line + "\n" for line in output(BIN / "postmap", "-s", f"hash:{where}/map")[0].splitlines())) == wanted
        # -i adds, -d deletes, -r replaces
        run(BIN / "postmap", "-i", f"hash:{where}/map", data=b"fresh one\nupper ignored\n")
        assert output(BIN / "postmap", "-q", "fresh", f"hash:{where}/map") == ("one\n", 0)
        assert output(BIN / "postmap", "-q", "upper", f"hash:{where}/map") == ("Val\n", 0)
        run(BIN / "postmap", "-ir", f"hash:{where}/map", data=b"upper new\n")
        assert output(BIN / "postmap", "-q", "upper", f"hash:{where}/map") == ("new\n", 0)
        assert output(BIN / "postmap", "-d", "fresh", f"hash:{where}/map")[1] == 0
        assert output(BIN / "postmap", "-d", "fresh", f"hash:{where}/map")[1] == 1
        # Aliases: what Postfix's postalias stores, but for its own NIS entries.
        run(f"{POSTFIX}/postalias", "-c", where, f"lmdb:{where}/aliases")
        theirs = [line for line in output(BIN / "postalias", "-s", f"lmdb:{where}/aliases")[0].splitlines() if not line.startswith(("@", "YP_"))]
        (where / "aliases.lmdb").unlink()
        run(BIN / "postalias", "-c", where, f"lmdb:{where}/aliases")
        assert output(BIN / "postalias", "-s", f"lmdb:{where}/aliases")[0].splitlines() == theirs
        # A Berkeley DB index is passed over: the source counts.
        run(f"{POSTFIX}/postmap", "-c", where, f"hash:{where}/map", check=False)
        assert output(BIN / "postmap", "-q", "upper", f"hash:{where}/map")[1] == 0
        # newaliases takes the files from alias_database.
        with open(where / "main.cf", "a") as file:
            file.write(f"alias_database = hash:{where}/aliases\n")
        run(BIN / "newaliases", "-c", where)
        assert output(BIN / "postalias", "-q", "post master", f"hash:{where}/aliases") == ("root\n", 0)


SECRETS_CONF = """ssl = no
doveadm_password = a
doveadm_api_key = b
auth_policy_hash_nonce = n
auth_policy_server_url = https://user:secret@host/x
auth_policy_server_api_header = Authorization: Basic x
imapc_master_user = me
imapc_password = c
ssl_key = </etc/hostname
ssl_dh = </etc/hostname
ssl_key_password = d
mail_attribute_dict = redis:host=1:password=abc:x=y
login_greeting = a password=foo # bar
rejection_subject = "a # password=foo"
dict {
  x = mysql:/x password=3
  my_key = 1
}
passdb {
  driver = static
  args = nopassword=y password=foo allow=x
}
passdb {
  driver = sql
  args = /x host=a password=b user=pass=foo pass=x
  default_fields = userdb_home=/x password=bar secret=3 api_key=4 nonce=4
}
plugin {
  a_key = 1
  b_nonce = 1
  d_password = 1
  e_pass = 1
  password = 1
  f1 = password=a,b:c;d|e&f g
  f2 = Password=x KEY=3 1password=a mypassword=x apikey=4 token=4 dnpass=3
  f3 = pass=3 my_password=3 x-password=4 :password=3 ?password=3 .password=a passphrase=4
  f4 = passwords=3 keys=4 secrets=4 passwd_x=4 _pass=3 (password=a)
  u1 = http://u:p@q@h/ https://user@h http://a.b?x=y@z http://a.b/@z http://@z http://u:p/ x@h
  u2 = ldap://u:p@h xhttp://u:p@h ftp://u:p@h http://key=3@z password=http://u:p@h x
}
"""


def test_doveconf_hides_what_dovecot_hides():
    need("doveconf")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "dovecot.conf")
        path.write_text(SECRETS_CONF)
        for request in ("-n", "-nP", "plugin", "passdb", "imapc_password", "plugin/a_key", "dict"):
            theirs, ours = (output(program, "-c", path, *request.split())[0] for program in ("/usr/bin/doveconf", BIN / "doveconf"))
            same(without_comments(theirs), without_comments(ours), f"doveconf {request}")


def without_comments(text):
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("# "))


def test_doveconf_shows_what_dovecot_shows():
    need("doveconf")
    requests = ["-n", "-a", "-nP", "-a -d", "passdb", "namespace", "plugin", "plugin/quota", "mail_location", "-h mail_location log_path", "service",
                "-f service=imap mail_plugins"]
    with tempfile.TemporaryDirectory() as folder:
        made_up = pathlib.Path(folder, "dovecot.conf")
        made_up.write_text(DOVECOT_CONF)
        for path in (made_up, pathlib.Path("/etc/dovecot/dovecot.conf")):
            if not path.exists():
                continue
            for request in requests:
                if "plugin" in request and path != made_up:
                    continue
                theirs, their_status = output("/usr/bin/doveconf", "-c", path, *request.split())
                ours, our_status = output(BIN / "doveconf", "-c", path, *request.split())
                same(without_comments(theirs), without_comments(ours), f"doveconf {request}")
                assert our_status == their_status, request
            # What either prints is a configuration that means the same.
            for request in ("-nP", "-aP"):
                printed = pathlib.Path(folder, "printed.conf")
                printed.write_text(output("/usr/bin/doveconf", "-c", path, request)[0])
                ours, our_status = output(BIN / "doveconf", "-c", printed, "-nP")
                assert our_status == 0, request
                if request == "-nP":   # of all settings, Dovecot calls more than those changed that differ from their defaults
                    same(without_comments(output("/usr/bin/doveconf", "-c", printed, "-nP")[0]), without_comments(ours), "doveconf -nP read again")
        made_up.write_text("\nmail_debug = perhaps\n")
        ours = subprocess.run([BIN / "doveconf", "-n", "-c", made_up], capture_output=True)
        theirs = subprocess.run(["/usr/bin/doveconf", "-n", "-c", made_up], capture_output=True)
        assert ours.returncode == theirs.returncode and ours.stderr == theirs.stderr, ours.stderr


main(test_postconf_shows_what_postfix_shows, test_postconf_edits_as_postfix_edits, test_tables_of_either_side_are_read_by_the_other,
     test_doveconf_shows_what_dovecot_shows, test_doveconf_hides_what_dovecot_hides)

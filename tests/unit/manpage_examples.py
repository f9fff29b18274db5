"""What stands under EXAMPLES in the manual pages of the configuration files works: each is put into a file, and our programs give what the page says."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

top = pathlib.Path(__file__).resolve().parents[2]
bin = pathlib.Path(os.environ.get("POSTCOT_BIN", top / "build/release/bin")).resolve()
wrong = []


def example(page):
    """The literal block, or the one-line display, under EXAMPLES."""
    text = (top / "docs/man" / page).read_text().split(".Sh EXAMPLES\n", 1)[1].split("\n.Sh ", 1)[0]
    block = re.search(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.S | re.M)
    lines = block[1] if block else "".join(line[4:] + "\n" for line in text.splitlines() if line.startswith(".Dl "))
    return lines.replace("\\e", "\\").replace("\\&", "")


# page: table type, {key: value that is found, or None}
TABLES = {
    "regexp_table.5": ("regexp", {"Postmaster@example.net": "OK", "list-outgoing@example.com": "550 Use list@example.com instead", "list@example.com": None}),
    "pcre_table.5": ("pcre", {"talk-request@example.com": "REDIRECT talk@example.com", "owner-talk-request@example.com": None, "talk@example.com": None}),
    "cidr_table.5": ("cidr", {"192.0.2.17": "REJECT", "192.0.2.18": "OK", "2001:db8::1": "OK", "203.0.113.1": "REJECT not from here", "2001:db9::1": None}),
    "access.5": ("hash", {"spam@example.net": "REJECT", "example.net": "450 4.7.1 come back later", "192.0.2": "OK", "user01@example.com": "reject_unauth_destination, permit"}),
    "virtual.5": ("hash", {"info@example.com": "user01@example.com, user02@example.com", "@old.example.com": "@example.com"}),
    "canonical.5": ("hash", {"user01": "Hong.Gildong@example.com", "@mail.example.com": "@example.com"}),
    "relocated.5": ("hash", {"user03@example.com": "user03@example.net"}),
    "transport.5": ("hash", {"user01@example.com": "lmtp:unix:private/archive", "example.net": "smtp:[mail.example.net]:587", ".example.org": "relay:",
                             "gone.example.com": "error:5.1.2 we are example.com now"}),
    "aliases.5": ("hash", {"root": "user01", "team": 'user01, user02@example.com, "|/usr/local/bin/archive --list team"', "owner-team": "user01",
                           "list": ":include:/etc/postfix/list.members"}),
}

with tempfile.TemporaryDirectory() as folder:
    here = pathlib.Path(folder)
    (here / "postfix").mkdir()
    (here / "dovecot").mkdir()
    # postcot check makes folders.
    # A submission service that asks for TLS is checked with its certificate.
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", here / "key.pem", "-out", here / "cert.pem", "-days", "9", "-subj", "/CN=x"], check=True, capture_output=True)
    (here / "postfix/main.cf").write_text(f"queue_directory = {folder}/spool\ndata_directory = {folder}/lib\nsmtpd_sasl_type = dovecot\nalias_maps =\nsmtpd_tls_chain_files = {folder}/key.pem {folder}/cert.pem\n")
    environment = {"PATH": "/usr/bin:/bin", "MAIL_CONFIG": f"{folder}/postfix"}

    def run(*words, quiet=True):
        done = subprocess.run([bin / words[0], *words[1:]], capture_output=True, text=True, env=environment, timeout=20)
        if quiet and done.stderr:
            wrong.append(f"{' '.join(words)}: {done.stderr.strip()}")
        return done

    for page, (kind, keys) in TABLES.items():
        path = here / page
        path.write_text(example(page))
        tool = "postalias" if page == "aliases.5" else "postmap"
        if kind == "hash":
            run(tool, f"hash:{path}")
        for key, value in keys.items():
            found = run(tool, "-q", key, f"{kind}:{path}").stdout.rstrip("\n") or None
            if found != value:
                wrong.append(f"{page}: {key} gives {found}, not {value}")
        if kind == "hash":
            listed = len(run(tool, "-s", f"hash:{path}").stdout.splitlines())
            entries = sum(not line.startswith("#") and bool(line.strip()) for line in example(page).splitlines())
            if listed != entries:
                wrong.append(f"{page}: {entries} entries, {listed} in the index")

    # Rules in the configuration itself.
    for table, key, value in (("cidr:{{192.0.2.0/24 OK}, {0.0.0.0/0 REJECT}}", "192.0.2.1", "OK"), ("regexp:{{/^a/ one}, {!/^b/ two}}", "cde", "two")):
        found = run("postmap", "-q", key, table).stdout.strip()
        if found != value:
            wrong.append(f"{table}: {key} gives {found}, not {value}")

    (here / "postfix/master.cf").write_text(example("master.5"))
    services = run("postconf", "-M").stdout.splitlines()
    if [line.split()[0] for line in services] != ["submission", "filter"]:
        wrong.append(f"master.5: {services}")
    checked = run("postcot", "check", "-c", folder, quiet=False)
    if "not supported" in checked.stderr or "unused" in checked.stderr:
        wrong.append(f"master.5: {checked.stderr}")
    run("postconf", "-P", "submission/inet/smtpd_tls_security_level=may")   # as postconf(1) has it
    if "submission/inet/smtpd_tls_security_level = may" not in run("postconf", "-P", "submission/inet").stdout:
        wrong.append("postconf.1: -P changes nothing")

    (here / "dovecot/dovecot.conf").write_text(f"base_dir = {folder}/run\n" + example("dovecot.conf.5.in").replace("/etc/ssl", folder))
    for name in ("certs/ssl-cert-snakeoil.pem", "private/ssl-cert-snakeoil.key"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("\n")
    said = run("doveconf", "-n", "-c", folder).stdout
    for line in ("mail_location = maildir:~/Maildir", "protocols = imap pop3", "  driver = pam", "  driver = passwd"):
        if line + "\n" not in said:
            wrong.append(f"dovecot.conf.5: doveconf -n has no '{line}': {said}")

print("\n".join(wrong) or "manpage_examples: ok")
sys.exit(bool(wrong))

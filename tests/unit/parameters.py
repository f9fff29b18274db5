"""The parameter tables tell the truth: what is marked honoured is read somewhere, and what the code reads is not reported as unsupported.

To honour one more parameter, read it and change the last column of its line in libproto/config/postfix_parameters.cc or dovecot_settings.cc;
and give it its sentence in docs/man/postconf.5.in or dovecot.conf.5.in, which manpages.py asks for."""
import pathlib
import re
import sys

top = pathlib.Path(__file__).resolve().parents[2]
tables = {"postfix": top / "libproto/config/postfix_parameters.cc", "dovecot": top / "libproto/config/dovecot_settings.cc"}
places = ["smtpd", "queued", "imapd", "pop3d", "authd", "libmaildir", "libproto", "tools"]
not_readers = ["libproto/config/", "tools/postconf/", "tools/doveconf/"]

code = {}
for place in places:
    for path in (top / place).rglob("*"):
        name = str(path.relative_to(top))
        if path.suffix in (".cc", ".h") and not name.startswith(tuple(not_readers)):
            code[name] = path.read_text()
words = set(re.findall(r'"([A-Za-z0-9_]+)"', "".join(code.values())))
# The SMTP and LMTP client puts "smtp_" or "lmtp_" before the names it reads.
of_client = set(re.findall(r'"([A-Za-z0-9_]+)"', "".join(text for name, text in code.items() if name.startswith("queued/remote/"))))
# Read by config/ itself, or under a name put together ("first_valid_{}").
read_by_config = {"compatibility_level", "config_directory", "mynetworks_style", "mail_version", "default_process_limit", "default_internal_user",
                  "default_internal_group", "default_login_user", "milter_default_action", "first_valid_gid", "last_valid_gid",
                  "tls_high_cipherlist", "tls_medium_cipherlist", "tls_low_cipherlist", "tls_export_cipherlist", "tls_null_cipherlist"}
# The word occurs in the code for another reason; a reader that only refuses the setting does not honour it.
other_meaning = {"smtpd_milters", "smtpd_milter_maps", "non_smtpd_milters", "smtpd_proxy_filter", "process_id", "process_name", "service_name", "recipient_delimiter", "auth_cache_size"}

wrong = []
rows = re.findall(r'\{"([^"]+)", k\w+, "((?:[^"\\]|\\.)*)", k(\w+)\}', tables["postfix"].read_text())
# A parameter is also read through the defaults of those that are: mynetworks_style, smtp_tls_dcert_file ...
through = {}
for name, default, _ in rows:
    for referred in re.findall(r"\$\{?\(?([A-Za-z0-9_]+)", default):
        through.setdefault(referred, set()).add(name)


def is_read(name, seen=frozenset()):
    if name in words | read_by_config:
        return True
    client = re.fullmatch(r"(?:smtp|lmtp)_(.*)", name)
    if client and client[1] in of_client:
        return True
    transport = re.fullmatch(r"local_(.*)", name)
    if transport and transport[1] in words:
        return True
    return any(is_read(other, seen | {name}) for other in through.get(name, ()) if other not in seen)


for name, _, status in rows:
    client = re.fullmatch(r"(?:smtp|lmtp)_(.*)", name)
    named = name in words or (client and client[1] in of_client)
    if status == "Honoured" and not is_read(name):
        wrong.append(f"{name}: marked honoured, but nothing reads it")
    if status == "Unsupported" and named and name not in other_meaning:
        wrong.append(f"{name}: marked {status.lower()}, but it is read")
for section, name, _, status in re.findall(r'\{"([a-z_]*)",\s*\{"([^"]+)", k\w+,\s*"((?:[^"\\]|\\.)*)", k(\w+)\}\}', tables["dovecot"].read_text()):
    if section:
        continue   # names such as "user" say nothing
    if status == "Honoured" and name not in words | read_by_config:
        wrong.append(f"{name}: marked honoured, but nothing reads it")
    if status == "Unsupported" and name in words and name not in other_meaning:
        wrong.append(f"{name}: marked {status.lower()}, but it is read")
print("\n".join(wrong) or "parameters: ok")
sys.exit(bool(wrong))

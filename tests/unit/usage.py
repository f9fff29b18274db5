"""A command line that is wrong ends every program with status 64 (EX_USAGE), a line "usage: ..." on standard error, nothing on standard output,
and nothing done."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

top = pathlib.Path(__file__).resolve().parents[2]
bin = pathlib.Path(os.environ.get("POSTCOT_BIN", top / "build/release/bin")).resolve()
wrong = []

# Programs under the names they are installed with, and what they need in front of an option.
DOVEADM = ["auth test", "auth login", "auth lookup", "auth cache flush", "user", "who", "pw", "log errors", "log find", "reload", "stop"]
calls = {name: [name] for name in ("smtpd", "queued", "imapd", "pop3d", "authd", "postcot", "postfix", "dovecot", "sendmail", "mailq", "newaliases", "postconf", "postmap",
                                   "postalias", "postqueue", "postsuper", "postdrop", "postcat", "doveadm", "doveconf")}
calls |= {f"doveadm {command}": ["doveadm", *command.split()] for command in DOVEADM}
names = {"postfix": "postcot", "dovecot": "postcot", "mailq": "sendmail"}
# An option whose argument is missing; and what cannot stand alone.
incomplete = {name: ["-c"] for name in ("postcot", "postfix", "dovecot", "postconf", "postmap", "postalias", "postqueue", "postsuper", "postdrop", "postcat", "doveadm", "doveconf",
                                        "newaliases", "smtpd", "queued", "imapd", "pop3d", "authd")}
incomplete |= {"sendmail": ["-f"], "mailq": ["-C"], "doveadm auth test": ["-x"], "doveadm auth login": ["-m"], "doveadm auth lookup": ["-f"], "doveadm auth cache flush": ["-a"],
               "doveadm user": ["-e"], "doveadm pw": ["-s"], "doveadm log errors": ["-s"], "doveadm who": ["a", "b", "c"], "doveadm log find": ["x"], "doveadm reload": ["x"],
               "doveadm stop": ["x"]}
alone = [["postqueue"], ["postqueue", "-p", "-f"], ["postqueue", "-p", "x"], ["postcat"], ["postcat", "-q"], ["postmap"], ["postalias"], ["postcot"], ["postcot", "stpo"],
         ["postfix"], ["dovecot", "stpo"], ["newaliases", "x"], ["doveadm"], ["doveadm", "nonsense"], ["doveadm", "auth"], ["doveadm", "auth", "test"], ["doveadm", "user"],
         ["doveadm", "pw", "x"], ["smtpd", "x"], ["queued", "x"], ["imapd", "x"], ["pop3d", "x"], ["authd", "x"], ["postdrop", "x"]]
# A value that is wrong is named instead.
values = [["sendmail", "-bx"], ["sendmail", "-N", "sometimes"], ["sendmail", "-R", "half"], ["sendmail", "-B", "9BIT"], ["doveadm", "-f", "nonsense", "who"],
          ["doveconf", "-f", "nonsense"], ["postsuper", "-d", "ALL", "nonsense"]]

with tempfile.TemporaryDirectory() as folder:
    here = pathlib.Path(folder)
    for name in {call[0] for call in calls.values()}:
        (here / name).symlink_to(bin / names.get(name, name))
    main_cf = here / "main.cf"
    main_cf.write_text(f"queue_directory = {folder}/spool\nalias_database = hash:{folder}/aliases\n")
    (here / "aliases").write_text("root: nobody\n")
    before = {path.name for path in here.iterdir()}

    def check(words, named=None):
        done = subprocess.run([here / words[0], *words[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
                              env={"PATH": "/usr/bin:/bin", "MAIL_CONFIG": folder})
        said = " ".join(words)
        if done.returncode != 64:
            wrong.append(f"{said}: status {done.returncode}: {done.stderr.strip()[-200:]}")
        if named and named not in done.stderr:
            wrong.append(f"{said}: standard error does not name {named}: {done.stderr.strip()[-200:]!r}")
        if not named and not re.search(r"^(\S+: fatal: )?usage: ", done.stderr, re.M):
            wrong.append(f"{said}: no usage line: {done.stderr.strip()[-200:]!r}")
        if done.stdout:
            wrong.append(f"{said}: standard output has {done.stdout[:100]!r}")

    for call in calls.values():
        check([*call, "-Z"])
        check([*call, "--no-such-option"])
    for name, words in incomplete.items():
        check([*calls[name], *words])
    for words in alone:
        check(words)
    for words in values:
        check(words, words[2] if words[1] == "-f" else words[-1])
    left = {path.name for path in here.iterdir()} - before
    if left:
        wrong.append(f"something was done: {sorted(left)}")

    # sendmail -bi is newaliases, for the folder that sendmail was told of.
    other = here / "other"
    other.mkdir()
    (other / "main.cf").write_text(f"alias_database = hash:{folder}/other/names\ncommand_directory = {bin}\n")
    (other / "names").write_text("root: nobody\n")
    done = subprocess.run([here / "sendmail", "-C", str(other), "-bi"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "MAIL_CONFIG": folder})
    if done.returncode or not (other / "names.db").exists():
        wrong.append(f"sendmail -C DIR -bi: status {done.returncode}, index made: {(other / 'names.db').exists()}: {done.stderr}")

print("\n".join(wrong) or "usage: ok")
sys.exit(bool(wrong))

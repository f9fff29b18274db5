"""The dependency rule of docs/architecture.md: daemons -> libmaildir -> libproto; protocol folders never include runtime/; nothing includes a daemon."""
import pathlib
import re
import sys

top = pathlib.Path(__file__).resolve().parents[2]
daemons = ["smtpd", "queued", "imapd", "pop3d", "authd"]
pure = ["config", "mime", "smtp", "imap", "pop3", "sasl", "dns", "mailauth", "postfix_queue"]
broken = []
for path in sorted([*top.glob("lib*/**/*.h"), *top.glob("lib*/**/*.cc"), *(p for d in daemons + ["tools"] for s in ("h", "cc") for p in top.glob(f"{d}/**/*.{s}"))]):
    place = path.relative_to(top).parts
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#include "([^"]+)"', line)
        if not found:
            continue
        target = found[1].split("/")
        where = f"{path.relative_to(top)}:{number}: includes {found[1]}"
        if target[0] in daemons and target[0] != place[0]:
            broken.append(f"{where}: nothing includes a daemon")
        if place[0] == "libproto" and target[0] == "libmaildir":
            broken.append(f"{where}: libproto is below libmaildir")
        if place[0] == "libproto" and place[1] in pure and target[0] == "libproto" and len(target) > 2 and target[1] not in pure:
            broken.append(f"{where}: {place[1]}/ is pure")
print("\n".join(broken) or "layering: ok")
sys.exit(bool(broken))

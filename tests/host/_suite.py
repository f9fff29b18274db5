"""Which Debian the hosts run, and where its archives are: those of this machine's own apt, with the other suite's name.

POSTCOT_HOST_SUITE names the suite ("bookworm", "trixie"); without it, Debian 12. tests/run sets it.
"""
import glob
import os
import re

NAME = os.environ.get("POSTCOT_HOST_SUITE", "bookworm")
DEFAULT = NAME == "bookworm"


class NoArchive(Exception):
    """This machine's apt knows no archive of Debian's that the suite could be in."""


def of_this_machine():
    """The code name of the system that this runs on."""
    with open("/etc/os-release") as file:
        return next((line.strip().partition("=")[2].strip('"') for line in file if line.startswith("VERSION_CODENAME=")), "")


OWN = NAME == of_this_machine()


def apt_sources(folder):
    """Files for apt that name the archives of the suite. Those of this machine as they are when it is its own; otherwise a file in `folder`."""
    files = ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*.list") + glob.glob("/etc/apt/sources.list.d/*.sources"))]
    files = [file for file in files if os.path.exists(file)]
    if OWN:
        return files
    made = {}
    for file in files:
        with open(file) as content:
            kind = "sources" if file.endswith(".sources") else "list"
            made[kind] = made.get(kind, "") + (stanzas if kind == "sources" else lines)(content.read(), of_this_machine(), NAME)
    if not any(made.values()):
        raise NoArchive(f"none of {', '.join(files)} names an archive with {of_this_machine()}, from which that of {NAME} could be told")
    paths = []
    for kind, text in made.items():
        path = folder / f"apt-{NAME}.{kind}"
        path.write_text(text)
        paths.append(str(path))
    return paths


def renamed(suite, old, new):
    """bookworm-security becomes trixie-security. None for a suite of somebody else's archive, which may have none for the other system."""
    found = re.fullmatch(rf"{re.escape(old)}(-updates|-security|-backports|-proposed-updates)?/?", suite)
    return None if not found or found[1] in ("-backports", "-proposed-updates") else new + (found[1] or "")


def stanzas(text, old, new):
    """deb822 (sources.list(5)): the stanzas that have suites of `old`, with those of `new` in their place."""
    kept = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        body = "\n".join(line for line in stanza.splitlines() if line.strip() and not line.startswith("#"))
        found = re.search(r"^Suites:[ \t]*(.*(?:\n[ \t]+.*)*)", body, re.M | re.I)
        if not found or re.search(r"^Enabled:[ \t]*(no|false|0)\b", body, re.M | re.I):
            continue
        suites = [suite for suite in (renamed(word, old, new) for word in found[1].split()) if suite]
        if suites:
            kept.append(f"{body[:found.start()]}Suites: {' '.join(suites)}{body[found.end():]}\n")
    return "".join(stanza + "\n" for stanza in kept)


def lines(text, old, new):
    """The one-line style: "deb [options] URI suite components"."""
    kept = []
    for line in text.splitlines():
        found = re.match(r"(deb(?:-src)?\s+(?:\[[^]]*\]\s+)?\S+\s+)(\S+)(.*)", line)
        suite = found and renamed(found[2], old, new)
        if suite:
            kept.append(f"{found[1]}{suite}{found[3]}\n")
    return "".join(kept)

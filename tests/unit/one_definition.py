#!/usr/bin/env python3
"""[basic.def.odr]: no two types of one namespace share a name. The linker would silently keep one of their destructors."""
import collections
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["libproto", "libmaildir", "smtpd", "queued", "imapd", "pop3d", "authd"]

OPEN = re.compile(r"^(?:inline )?namespace\s*([\w:]*)\s*\{\s*$")
CLOSE = re.compile(r"^\}\s*// namespace")
TYPE = re.compile(r"^(?:struct|class)\s+(?:\[\[nodiscard\]\]\s+)?(\w+)\s*(?:final\s*)?(?::[^:][^;{]*)?\{")


def types(text, name):
    """The types that a file defines at namespace level; those of an anonymous namespace are its own."""
    spaces = []
    for line in text.splitlines():
        if match := OPEN.match(line):
            spaces.append(match.group(1) or f"<{name}>")
        elif CLOSE.match(line):
            if spaces:
                spaces.pop()
        elif match := TYPE.match(line):
            yield "::".join([*spaces, match.group(1)])


def main():
    # The check itself must be able to fail.
    sample = "namespace a {\nstruct X {\n};\nnamespace {\nstruct Y {\n};\n}   // namespace\n}   // namespace a\n"
    assert list(types(sample, "f")) == ["a::X", "a::<f>::Y"]

    found = collections.defaultdict(set)
    for folder in FOLDERS:
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in (".h", ".cc"):
                for name in types(path.read_text(errors="replace"), path):
                    found[name].add(str(path.relative_to(TOP)))
    assert len(found) > 100, "the scan finds nothing"
    bad = {name: files for name, files in found.items() if len(files) > 1}
    for name, files in sorted(bad.items()):
        print(f"{name} is defined in {', '.join(sorted(files))}")
    sys.exit(1 if bad else 0)


main()

"""The manual pages are whole and true: every installed program has one, names each option that the program's parser knows and no other, and is clean
for mandoc's lint; the described parameters are those that the tables in libproto/config call honoured.

The pages are taken from an installation of the build that POSTCOT_BIN names (default build/release/bin)."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

top = pathlib.Path(__file__).resolve().parents[2]
build = pathlib.Path(os.environ.get("POSTCOT_BIN", top / "build/release/bin")).resolve().parent
wrong = []

MACROS = set("Ar Ns Op Oo Oc Cm Li Pq Po Pc No Xo Xc Va Xr Sy Em Ql Pa Nm Fl Ic Dv Ev Pf Brq Tn".split())


def options_of_page(text):
    """What stands behind Fl: single letters and groups of them ("fFin"), "-long"; without the argument."""
    found = set()
    for line in text.splitlines():
        if not line.startswith("."):
            continue
        flags = False
        for word in line[1:].split():
            if word in MACROS:
                flags = word == "Fl"
            elif flags and not re.fullmatch(r"[,.|;()]+", word):
                found.add(word.replace("\\&", ""))
    return found


def function(source, name):
    start = source.index(name + "(")
    return source[start:source.index("\n}\n", start)]


def read(*names):
    return "".join((top / name).read_text() for name in names)


def options_of_code(source):
    found = set()
    for text in re.findall(r'(?:getopt(?:_long)?\(argc, argv,|kLetters =)\s+"\+?([^"]*)"', source):
        found |= set(text.replace(":", ""))
    found |= {"-" + name for name in re.findall(r'\{"([a-z-]+)", (?:no|required)_argument', source)}
    found |= {text[1:] for text in re.findall(r'(?:argument|word\)?|string_view\(\w+\)) == "(-[^"]+)"', source) if text != "--"}
    for flags, with_value in re.findall(r'parse_options\(arguments, "(\w*)", "(\w*)"', source):
        found |= set(flags + with_value)
    return found


daemon = read("libproto/runtime/daemon.cc")
doveadm = read(*(str(path.relative_to(top)) for path in sorted((top / "tools/doveadm").glob("*.cc"))))
postcot = read("tools/postcot/main.cc")
sources = {
    "smtpd": daemon + read("smtpd/main.cc"), "queued": daemon + read("queued/main.cc"), "imapd": daemon, "pop3d": daemon, "authd": daemon,
    "postcot": function(postcot, "int postcot_command"), "postfix": function(postcot, "int postfix_command"),
    "dovecot": function(postcot, "int dovecot_command"),
    "sendmail": read("tools/sendmail/options.cc", "tools/newaliases/main.cc"),
    "postmap": read("tools/postmap/index_command.cc"), "postalias": read("tools/postmap/index_command.cc"), "doveadm": doveadm,
}

with tempfile.TemporaryDirectory() as root:
    done = subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], env=dict(os.environ, DESTDIR=root), capture_output=True, text=True)
    if done.returncode:
        sys.exit("manpages: cannot install the build: " + done.stderr)
    usr = pathlib.Path(root) / "usr"
    programs = {path.name for folder in ("bin", "sbin") for path in (usr / folder).iterdir()}
    # The daemons; scripts beside them are the packages' own business.
    programs |= {path.name for path in (usr / "lib/postcot").iterdir() if path.read_bytes().startswith(b"\x7fELF")}
    pages = {path.name: path.read_text() for path in (usr / "share/man").glob("man?/*")}
    of_program = {}
    for name in sorted(programs):
        page = pages.get(name + ".1") or pages.get(name + ".8")
        if not page:
            wrong.append(f"{name} has no page docs/man/{name}.1 or .8")
            continue
        of_program[name] = page
        if not re.search(r"^\.Nm " + re.escape(name) + r"\b", page, re.M):
            wrong.append(f"{name}: its page has no .Nm {name}")

    for name, page in of_program.items():
        if name in ("mailq", "newaliases"):   # on sendmail's page
            continue
        source = sources.get(name) or (read(f"tools/{name}/main.cc") if (top / f"tools/{name}/main.cc").exists() else "")
        known = options_of_code(source)
        if not known:
            wrong.append(f"{name}: tests/unit/manpages.py finds no option parser; name its source there")
        shown = options_of_page(page)
        letters = {option for option in known if len(option) == 1}
        single = {letter for option in shown if not option.startswith("-") for letter in ([option] if option in known else option)}
        for option in sorted(known):
            # -Dv: two options in one word
            if option not in shown and not (len(option) == 1 and option in single) and not set(option) <= single:
                wrong.append(f"{name}: option -{option} is not in its page")
        for option in sorted(shown):
            # sendmail's -bp, -oi, -qR begin with an option that has an argument
            real = option in known or (not option.startswith("-") and (set(option) <= letters or (name == "sendmail" and option[0] in letters)))
            if not real:
                wrong.append(f"{name}: its page has an option -{option} that the program has not")

    for command in re.findall(r'^    \{"([a-z ]+)", ["{]', doveadm, re.M):
        if not re.search(r"^\.(?:It )?Cm " + command + r"\b", pages["doveadm.1"], re.M):
            wrong.append(f"doveadm: command {command} is not in its page")

    capabilities = set(re.search(r"kAfter =([^;]*);", read("imapd/capability.cc"))[1].replace('"', " ").split())
    for word in sorted(capabilities):
        if not any(re.search(r"(?<![A-Z=-])" + re.escape(name) + r"(?![A-Z=-])", pages["imapd.8"]) for name in (word, word.split("=")[0])):
            wrong.append(f"imapd: {word} is announced and not in its page")

    elsewhere = {"sysexits.3", "regex.7"}
    for name, text in pages.items():
        for target, section in re.findall(r"\bXr (\S+) (\d)", text):
            if f"{target}.{section}" not in pages and f"{target}.{section}" not in elsewhere:
                wrong.append(f"{name}: there is no page {target}({section})")
    try:
        lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *sorted((usr / "share/man").glob("man?/*"))], capture_output=True, text=True)
        wrong += [line.replace(root, "") for line in lint.stdout.splitlines()]
    except FileNotFoundError:
        wrong.append("mandoc is not installed (etc/apt-packages.unit)")

# The described parameters.
tables = [("postconf.5.in", "postfix_parameters.cc", r'\{"()([^"]+)", k\w+, "(?:[^"\\]|\\.)*", k(\w+)\}', lambda section, name: name),
          ("dovecot.conf.5.in", "dovecot_settings.cc", r'\{"([a-z_]*)",\s*\{"([^"]+)", k\w+,\s*"(?:[^"\\]|\\.)*", k(\w+)\}\}',
           lambda section, name: f"{section}/{name}" if section else name)]
for template, table, row, full_name in tables:
    text = (top / "docs/man" / template).read_text()
    described = set(re.findall(r"^\.It Va (\S+)$", text, re.M))
    source = (top / "libproto/config" / table).read_text()
    honoured = set()
    for array, rows in re.findall(r"^constexpr \w+ (k\w+)\[\] = \{\n(.*?)^\};", source, re.S | re.M):
        if array == "kOldNames":
            continue
        for section, name, status in re.findall(row, rows):
            if status == "Honoured":
                honoured.add("<transport>_" + name if array == "kTransportSuffixes" else full_name(section, name))
    for name in sorted(described - honoured):
        wrong.append(f"docs/man/{template}: {name} is described as honoured, but {table} says otherwise")
    for name in sorted(honoured - described):
        if not name.startswith("lmtp_"):
            wrong.append(f"docs/man/{template}: {name} is honoured and not described; add .It Va {name} and a sentence")

print("\n".join(wrong) or "manpages: ok")
sys.exit(bool(wrong))

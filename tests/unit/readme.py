"""README.md and README.ko.md say the same: the same commands in the same order, the same tables' first columns of code, links that lead somewhere;
and the guide in them is the one that tests/host runs."""
import pathlib
import re
import sys

top = pathlib.Path(__file__).resolve().parents[2]
wrong = []


def commands(text):
    """Indented lines, without the remark behind them."""
    return [re.sub(r"\s+# .*", "", line[4:]) for line in text.splitlines() if line.startswith("    ")]


english, korean = ((top / name).read_text() for name in ("README.md", "README.ko.md"))
first, second = commands(english), commands(korean)
for here, there in zip(first, second):
    if here != there:
        wrong.append(f"README.md has '{here}' where README.ko.md has '{there}'")
        break
if len(first) != len(second) or len(first) < 50:
    wrong.append(f"README.md has {len(first)} command lines, README.ko.md {len(second)}")
# The guide is what tests/host runs on a booted host.
literal = ("sudo hostnamectl", "sudo sed -i '/^127", "sudo postconf", "echo example.com", "sudo sed -i 's|^# *Alias", "sudo systemctl", "sudo ufw allow 25", "sudo postsuper",
           "sudo apt purge", "sudo apt autoremove", "sudo deluser")
tried = [re.sub(" -y\\b", "", command) for command in re.findall(r'self\.do\("([^"]*)"', (top / "tests/host/_setup.py").read_text()) if command.startswith(literal)]
if len(tried) < 12:
    wrong.append(f"tests/host/_setup.py has {len(tried)} of the guide's commands")
for command in tried:
    if command not in first:
        wrong.append(f"tests/host runs '{command}', which README.md has not")
rows = [re.findall(r"^\| (`.*?`) \|", text, re.M) for text in (english, korean)]
if rows[0] != rows[1]:
    wrong.append(f"the tables differ: {sorted(set(rows[0]) ^ set(rows[1]))}")
announced = set(re.search(r"kAfter =([^;]*);", (top / "imapd/capability.cc").read_text())[1].replace('"', " ").replace("=", " ").split())
for name, text, title in (("README.md", english, "## Not there yet"), ("README.ko.md", korean, "## 아직 없는 것")):
    for word in re.findall(r"\b[A-Z][A-Z0-9-]{3,}\b", text.split(title, 1)[1]):
        if word in announced:
            wrong.append(f"{name}: {word} is there")
for page in [top / "README.md", top / "README.ko.md", *(top / "docs").glob("*.md")]:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        if not (page.parent / target).exists():
            wrong.append(f"{page.name}: there is no {target}")
print("\n".join(wrong) or "readme: ok")
sys.exit(bool(wrong))

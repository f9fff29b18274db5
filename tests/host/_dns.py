"""The names of the lab: a host ns.example.com with nsd, which has the zones, and unbound, the resolver of all hosts.

nsd serves the root zone as well, so any other name gets the internet's quick "no such domain" instead of a timeout.
"""
import ipaddress

PACKAGES = ["nsd", "unbound"]
NAME = "ns.example.com"

# The last part of each host's addresses: 192.0.2.N and 2001:db8::N (N read as decimal digits in both).
NUMBERS = {NAME: 53, "mail.example.com": 25, "mx.other.test": 26, "desk.example.com": 80, "old.example.com": 27, "stranger.other.test": 66}
# Names without a host behind them. No host has 192.0.2.99: connecting there ends with "No route to host".
MORE = """
example.com.            MX    10 mail.example.com.
example.com.            A     192.0.2.25
example.com.            AAAA  2001:db8::25
example.com.            TXT   "v=spf1 mx -all"
www.example.com.        CNAME mail.example.com.
autoconfig.example.com. CNAME mail.example.com.
other.test.             MX    10 mx.other.test.
gone.other.test.        MX    10 off.other.test.
off.other.test.         A     192.0.2.99
nullmx.other.test.      MX    0 .
"""
REVERSE4, REVERSE6 = "2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"
ZONES = {".": "root", "example.com": "example.com", "other.test": "other.test", REVERSE4: "reverse4", REVERSE6: "reverse6"}

HEAD = """$TTL 60
{origin} SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 5
{origin} NS  ns.example.com.
"""
NSD = """server:
    ip-address: 127.0.0.1@5300
    zonesdir: /etc/nsd
    hide-version: yes
remote-control:
    control-enable: no
"""
UNBOUND = f"""server:
    interface: 0.0.0.0
    interface: ::0
    access-control: 0.0.0.0/0 allow
    access-control: ::/0 allow
    module-config: "iterator"
    do-not-query-localhost: no
    local-zone: "test." nodefault
    local-zone: "{REVERSE4}." nodefault
    local-zone: "{REVERSE6}." nodefault
stub-zone:
    name: "."
    stub-addr: 127.0.0.1@5300
"""


def address4(name):
    return f"192.0.2.{NUMBERS[name]}"


def address6(name):
    return f"2001:db8::{NUMBERS[name]}"


def zone_files(more=""):
    """The text of each zone's file by its name in ZONES; `more` are lines of records with full names."""
    texts = {zone: HEAD.format(origin="." if zone == "." else zone + ".") for zone in ZONES}
    for zone in ZONES:
        if zone != ".":
            texts["."] += f"{zone}. NS ns.example.com.\n"
    records = [line for line in (MORE + more).splitlines() if line.strip()]
    for name in NUMBERS:
        for address in (address4(name), address6(name)):
            kind = "A" if "." in address else "AAAA"
            records.append(f"{name}. {kind} {address}")
            records.append(f"{ipaddress.ip_address(address).reverse_pointer}. PTR {name}.")
    for record in records:
        owner = record.split()[0].rstrip(".")
        zone = max((zone for zone in ZONES if zone != "." and (owner == zone or owner.endswith("." + zone))), key=len)
        texts[zone] += " ".join(record.split()) + "\n"
    return texts


def configure(root, more=""):
    """Writes the configuration of both servers into the root of ns.example.com."""
    nsd = NSD
    for zone, text in zone_files(more).items():
        (root / "etc/nsd" / f"{ZONES[zone]}.zone").write_text(text)
        nsd += f"zone:\n    name: \"{zone}\"\n    zonefile: {ZONES[zone]}.zone\n"
    (root / "etc/nsd/nsd.conf").write_text(nsd)
    (root / "etc/unbound/unbound.conf").write_text(UNBOUND)

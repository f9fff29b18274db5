"""virtual_mailbox_maps with bare local parts, extensions and catch-alls: smtpd takes, and virtual(8) delivers to, the same mailboxes as Debian's Postfix."""
import pathlib
import smtplib

from _peers import PostfixPeer
from harness import Postcot, main, wait_until

COMMON = """myorigin = peer.test
mydestination = own.test
local_transport = virtual
local_recipient_maps = $virtual_mailbox_maps
virtual_mailbox_domains = peer.test, other.test
virtual_mailbox_maps = inline:{ a=a/, b+x=bx/, c=no/, c@peer.test=c/, @other.test=any/, d@other.test=d/ }
recipient_delimiter = +
smtpd_relay_restrictions = reject_unauth_destination
smtpd_hard_error_limit = 100
smtpd_error_sleep_time = 0
"""
ADDRESSES = ["a@peer.test", "A+q@PEER.test", "b+x@peer.test", "b@peer.test", "c+z@peer.test", "a@own.test", "zz@own.test", "a@other.test", "d+k@other.test", "c@other.test", "zz@peer.test", "b+x+y@peer.test"]


def outcome(port, mail):
    """address: the reply's code, and the mailbox it lies in."""
    codes = {}
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.ehlo("client.example.org")
        for number, address in enumerate(ADDRESSES):
            client.mail("s@far.example")
            codes[address] = client.rcpt(address)[0]
            if codes[address] == 250:
                assert client.data(f"Subject: {number}\r\n\r\nx\r\n".encode())[0] == 250
            else:
                client.rset()
    taken = sum(code == 250 for code in codes.values())
    wait_until(lambda: len(list(mail.glob("*/new/*"))) >= taken, f"{taken} letters below {mail}", 30)
    places = {}
    for path in mail.glob("*/new/*"):
        number = [line for line in path.read_text().splitlines() if line.startswith("Subject: ")][0][9:]
        places[ADDRESSES[int(number)]] = path.parts[-3]
    return {address: (code, places.get(address)) for address, code in codes.items()}


def test_the_same_mailboxes_as_postfix():
    with PostfixPeer(main_cf=COMMON) as postfix:
        expected = outcome(postfix.port, postfix.mail)
    with Postcot(main_cf=COMMON) as server:
        got = outcome(server.smtp, pathlib.Path(server.tool("postconf", "-h", "virtual_mailbox_base").stdout.decode().strip()))
    assert expected["a@peer.test"] == (250, "a") and expected["b@peer.test"][0] == 550, expected
    assert got == expected, "\n".join(f"{a}: postfix {expected[a]}, postcot {got[a]}" for a in ADDRESSES if got[a] != expected[a])


main(test_the_same_mailboxes_as_postfix)

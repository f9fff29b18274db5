"""What people read with: imaplib, poplib, mbsync, fetchmail and mutt."""
import email
import email.message
import email.policy
import fcntl
import os
import pathlib
import pty
import select
import struct
import tempfile
import termios
import time

from harness import Postcot, main, need, run

KOREAN = "안녕하세요 회의 일정 공지"


def letters(count):
    for number in range(count):
        letter = email.message.EmailMessage(policy=email.policy.SMTP)
        letter["From"], letter["To"] = "user01@example.com", "user02@example.com"
        letter["Subject"] = f"{KOREAN} {number}"
        letter["Message-ID"] = f"<{number}@example.com>"
        letter.set_content(f"본문 {number}\n")
        if number % 3 == 0:
            letter.add_attachment(os.urandom(3000), maintype="application", subtype="pdf", filename="첨부.pdf")
        yield letter


def fill(server, count):
    client = server.smtp_client()
    for number, letter in enumerate(letters(count), 1):
        client.send_message(letter)
        server.wait_for_mail("user02", number)   # letters of one moment may be delivered in any order
    client.quit()


def test_imaplib_reads_flags_searches_moves_and_deletes():
    with Postcot() as server:
        fill(server, 6)
        client = server.imap_client()
        assert client.select()[1] == [b"6"]
        client.literal = KOREAN.encode()
        assert client.search("UTF-8", "SUBJECT")[1] == [b"1 2 3 4 5 6"]
        assert client.search(None, "UNSEEN")[1] == [b"1 2 3 4 5 6"]
        structure = client.fetch("1", "(ENVELOPE BODYSTRUCTURE UID RFC822.SIZE INTERNALDATE FLAGS)")[1]
        assert b'"mixed"' in str(structure).lower().encode(), structure
        raw = client.fetch("1", "(RFC822)")[1][0][1]
        assert email.message_from_bytes(raw, policy=email.policy.default)["Subject"] == f"{KOREAN} 0"
        assert client.search(None, "SEEN")[1] == [b"1"]
        assert client.store("2", "+FLAGS", r"(\Flagged $Label1)")[0] == "OK"
        assert client.search(None, "KEYWORD", "$Label1")[1] == [b"2"]
        assert client.create('"&vPSwuA-"')[0] == "OK"   # 보내
        assert client.copy("1:2", '"&vPSwuA-"')[0] == "OK"
        assert client.select('"&vPSwuA-"')[1] == [b"2"]
        assert client.select()[1] == [b"6"]
        assert client.store("5:6", "+FLAGS", r"(\Deleted)")[0] == "OK"
        assert client.expunge()[1] == [b"5", b"5"]
        assert client.append("INBOX", r"(\Seen)", None, b"Subject: appended\r\n\r\nbody\r\n")[0] == "OK"
        assert client.noop()[0] == "OK"
        assert client.search(None, "SUBJECT", "appended")[1] == [b"5"]
        client.logout()


def test_poplib_reads_and_deletes():
    with Postcot() as server:
        fill(server, 3)
        client = server.pop3_client()
        count, octets = client.stat()
        assert count == 3
        assert octets == sum(int(size.split()[1]) for size in client.list()[1])
        ids = [line.split()[1] for line in client.uidl()[1]]
        assert len(set(ids)) == 3
        lines = client.retr(2)[1]
        assert email.message_from_bytes(b"\r\n".join(lines), policy=email.policy.default)["Subject"] == f"{KOREAN} 1"
        assert len(client.top(1, 0)[1]) < len(client.retr(1)[1])
        client.dele(1)
        client.quit()
        again = server.pop3_client()
        assert again.stat()[0] == 2
        assert [line.split()[1] for line in again.uidl()[1]] == ids[1:]
        again.quit()


def test_mbsync_synchronises_both_ways_and_transfers_nothing_twice():
    need("mbsync")
    with Postcot() as server, tempfile.TemporaryDirectory() as folder:
        fill(server, 5)
        pathlib.Path(folder, "rc").write_text(f"""IMAPAccount a
Host 127.0.0.1
Port {server.imap}
User user02@example.com
Pass pass02
SSLType None

IMAPStore far
Account a

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
        os.makedirs(f"{folder}/mail")
        sync = lambda: run("mbsync", "-c", f"{folder}/rc", "-V", "c")
        sync()
        near = pathlib.Path(folder, "mail/INBOX")
        copies = list(near.glob("new/*")) + list(near.glob("cur/*"))
        assert len(copies) == 5, copies
        before = sorted(path.name for path in copies)
        sync()
        assert sorted(path.name for path in [*near.glob("new/*"), *near.glob("cur/*")]) == before
        # A flag set near arrives far; a message deleted far goes away near; one dropped near arrives far.
        first = copies[0]
        first.rename(near / "cur" / (first.name.split(":")[0] + ":2,FS"))
        (near / "new" / "1.dropped.host").write_text("Subject: dropped\n\nhere\n")
        sync()
        client = server.imap_client()
        client.select()
        assert len(client.search(None, "FLAGGED")[1][0].split()) == 1
        assert client.search(None, "SUBJECT", "dropped")[1][0]
        client.store("2", "+FLAGS", r"(\Deleted)")
        client.expunge()
        client.logout()
        sync()
        assert len([*near.glob("new/*"), *near.glob("cur/*")]) == 5


def test_fetchmail_fetches_by_pop3_and_imap():
    need("fetchmail")
    with Postcot() as server, tempfile.TemporaryDirectory() as folder:
        fill(server, 4)
        for protocol, port, keep in (("POP3", server.pop3, "keep"), ("IMAP", server.imap, "nokeep")):
            mailbox = pathlib.Path(folder, protocol)
            mda = pathlib.Path(folder, "mda")
            mda.write_text(f"#!/bin/sh\ncat >> {mailbox}\necho >> {mailbox}\n")
            mda.chmod(0o755)
            rc = pathlib.Path(folder, "rc")
            rc.write_text(f'poll 127.0.0.1 proto {protocol} port {port} user "user02@example.com" password "pass02" {keep} fetchall sslproto "" mda "{mda}"\n')
            rc.chmod(0o600)
            run("fetchmail", "-f", rc, "--nosyslog", "-i", f"{folder}/ids", "--pidfile", f"{folder}/pid", env={**os.environ, "HOME": folder})
            assert mailbox.read_bytes().count(b"Message-ID: <") == 4, protocol
        client = server.imap_client()
        assert client.select()[1] == [b"0"]
        client.logout()


def test_mutt_opens_the_inbox_and_copies_a_letter():
    need("mutt")
    with Postcot() as server, tempfile.TemporaryDirectory() as folder:
        fill(server, 3)
        copy = pathlib.Path(folder, "copy")
        pathlib.Path(folder, "rc").write_text(f"""set folder=imap://127.0.0.1:{server.imap}/
set imap_user=user02@example.com
set imap_pass=pass02
set ssl_starttls=no
set ssl_force_tls=no
set confirmcreate=no
set confirmappend=no
set quit=yes
set mbox_type=mbox
set header_cache=
""")
        child, terminal = pty.fork()
        if child == 0:
            os.environ.update(TERM="xterm", HOME=folder, LC_ALL="C.UTF-8")
            os.execvp("mutt", ["mutt", "-n", "-F", f"{folder}/rc", "-f", f"imap://127.0.0.1:{server.imap}/INBOX", "-e",
                               f'push "<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{copy}<enter><quit>"'])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        screen, deadline = b"", time.monotonic() + 40
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    data = os.read(terminal, 65536)
                except OSError:
                    break
                if not data:
                    break
                screen += data
        os.waitpid(child, os.WNOHANG)
        assert copy.exists() and copy.read_bytes().count(b"Message-ID: <") == 3, screen[-2000:]


main(test_imaplib_reads_flags_searches_moves_and_deletes, test_poplib_reads_and_deletes, test_mbsync_synchronises_both_ways_and_transfers_nothing_twice,
     test_fetchmail_fetches_by_pop3_and_imap, test_mutt_opens_the_inbox_and_copies_a_letter)

"""RFC 7162: a client that comes back is told what vanished and what changed while it was away, and nothing else; also after the server's cache was lost."""
import re
import shutil
import socket

from harness import Postcot, main

LETTER = "APPEND INBOX {14+}\r\nSubject: x\r\n\r\n"


def talk(server, *commands):
    """One connection: the answers of each command but for LOGIN."""
    with socket.create_connection(("127.0.0.1", server.imap), timeout=20) as connection:
        lines = connection.makefile("rb")
        lines.readline()
        answers = []
        for number, command in enumerate(["LOGIN user01@example.com pass01", *commands]):
            connection.sendall(f"t{number} {command}\r\n".encode())
            said = []
            while not said or not said[-1].startswith(f"t{number} "):
                line = lines.readline().decode()
                assert line, f"closed after {command}"
                said.append(line.rstrip("\r\n"))
            assert said[-1].split()[1] == "OK", said
            answers.append(said)
        return answers[1:]


def number_of(code, answers):
    return int(re.search(code + r" (\d+)\]", "\n".join(answers))[1])


def resync(server, parameter):
    """What a resynchronising SELECT says beyond an ordinary one, without MODSEQ values."""
    said = talk(server, "ENABLE QRESYNC", f"SELECT INBOX (QRESYNC ({parameter}))")[1]
    return [re.sub(r" MODSEQ \(\d+\)", "", line) for line in said if re.match(r"\* (VANISHED|\d+ FETCH)", line)]


def test_a_client_that_comes_back():
    with Postcot() as server:
        talk(server, *[LETTER] * 10, "SELECT INBOX", "STORE 3 +FLAGS (\\Deleted)", "EXPUNGE")
        seen = talk(server, "ENABLE QRESYNC", "SELECT INBOX")[1]
        validity, modseq = number_of("UIDVALIDITY", seen), number_of("HIGHESTMODSEQ", seen)
        assert resync(server, f"{validity} {modseq}") == []
        expunged = talk(server, "ENABLE QRESYNC", "SELECT INBOX", "STORE 1:2 +FLAGS (\\Deleted)", "STORE 5 +FLAGS (\\Seen)", "EXPUNGE", LETTER)[4]
        assert expunged[0] == "* VANISHED 1:2" and "[HIGHESTMODSEQ" in expunged[-1], expunged
        news = ["* VANISHED (EARLIER) 1:2", "* 3 FETCH (UID 6 FLAGS (\\Seen))", "* 8 FETCH (UID 11 FLAGS ())"]
        assert resync(server, f"{validity} {modseq}") == news
        assert resync(server, f"{validity} {modseq} 2:6,9") == ["* VANISHED (EARLIER) 2", news[1]]
        assert resync(server, f"{validity} {modseq} 2:5 (1:2 4:5)") == ["* VANISHED (EARLIER) 2"]
        assert resync(server, f"{validity + 1} {modseq}") == []
        fetched = talk(server, "ENABLE QRESYNC", "SELECT INBOX", f"UID FETCH 2:6 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")[2]
        assert fetched[0] == "* VANISHED (EARLIER) 2" and fetched[1].startswith("* 3 FETCH (UID 6 FLAGS (\\Seen)") and len(fetched) == 3, fetched
        # Without its memory of what was expunged the server names everything that is not there.
        server.stop()
        shutil.rmtree(server.maildir("user01") / "postcot.index")
        server.start()
        again = resync(server, f"{validity} {modseq}")
        assert again[0] == "* VANISHED (EARLIER) 1:3", again


main(test_a_client_that_comes_back)

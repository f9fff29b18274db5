"""Bad input on every listening port: random bytes, 10 MB lines, NULs, half-closed sockets, 500 silent connections. Error or close, no crash, service goes on."""
import contextlib
import random
import resource
import socket
import ssl

from harness import OFFSETS, Postcot, main

TLS_PORTS = ("submissions", "imaps", "pop3s")


def connect(server, name, wrap=True):
    plain = socket.create_connection(("127.0.0.1", getattr(server, name)), timeout=20)
    if wrap and name in TLS_PORTS:
        context = ssl._create_unverified_context()
        return context.wrap_socket(plain)
    return plain


def throw(server, name, data, half_close=False, wrap=True):
    """Sends what the peer takes of `data` and reads until it closes, answers nothing more, or 64 KiB came."""
    with contextlib.suppress(OSError):
        with connect(server, name, wrap) as peer:
            peer.settimeout(20)
            peer.recv(4096) if wrap or name not in TLS_PORTS else None
            view = memoryview(data)
            with contextlib.suppress(OSError):
                while view:
                    sent = peer.send(view[:65536])
                    view = view[sent:]
            if half_close:
                peer.shutdown(socket.SHUT_WR)
            peer.settimeout(0.5)
            total = 0
            while total < 65536:
                got = peer.recv(65536)
                if not got:
                    break
                total += len(got)


def still_serves(server, number):
    client = server.smtp_client()
    client.sendmail("user01@example.com", ["user02@example.com"], b"Subject: still here\r\n\r\nyes\r\n")
    client.quit()
    server.wait_for_mail("user02", number)
    imap = server.imap_client()
    assert imap.select()[1][0] == str(number).encode()
    imap.logout()
    pop = server.pop3_client()
    assert pop.stat()[0] == number
    pop.quit()
    for sign in ("killed by signal", "panic", "Panic", "bug:"):
        assert sign not in server.log(), sign


def test_garbage_is_answered_or_closed():
    chance = random.Random(5)
    with Postcot(main_cf="smtpd_error_sleep_time = 0\n") as server:
        pids = {name: server.processes(name) for name in ("smtpd", "imapd", "pop3d", "authd", "queued")}
        for name in OFFSETS:
            throw(server, name, chance.randbytes(200000))
            throw(server, name, chance.randbytes(200000), wrap=False)
            throw(server, name, b"\0" * 100000 + b"\r\n")
            throw(server, name, b"A" * (10 << 20))
            throw(server, name, b"a001 LOGIN " + b"x" * (10 << 20) + b"\r\n")
            throw(server, name, b"a001 LOGIN {999999999999}\r\n")
            throw(server, name, b"((((" * 50000 + b"\r\n")
            throw(server, name, b"EHLO x\r\nMAIL FROM:<" + b"a" * 5000 + b">\r\n\0\r\nDATA\r\n")
            throw(server, name, b"NOOP\r\n" * 2000)
            throw(server, name, b"EHLO half\r\n", half_close=True)
            throw(server, name, b"", half_close=True)
        still_serves(server, 1)
        now = {name: server.processes(name) for name in pids}
        for name in ("smtpd", "authd", "queued"):
            assert set(pids[name]) <= set(now[name]), f"{name}: {pids[name]} became {now[name]}"   # delivery children may have come


def test_five_hundred_silent_connections_to_each_port():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Postcot() as server:
        for number, name in enumerate(OFFSETS, 1):
            with contextlib.ExitStack() as stack:
                for _ in range(500):
                    with contextlib.suppress(OSError):
                        stack.enter_context(socket.create_connection(("127.0.0.1", getattr(server, name)), timeout=10))
                still_serves(server, number)


main(test_garbage_is_answered_or_closed, test_five_hundred_silent_connections_to_each_port)

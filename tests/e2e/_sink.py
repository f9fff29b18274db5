"""A mail server at the end of the line: it takes every message and remembers it."""
import collections
import re
import socketserver
import threading


class Sink(socketserver.ThreadingTCPServer):
    """Takes every message; keeps (reverse-path, recipients, content) with their parameters."""
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            say = lambda text: self.wfile.write(text.encode() + b"\r\n")
            say("220 sink.test")
            sender, recipients = None, []
            for line in self.rfile:
                command = line.strip().decode()
                verb = command[:4].upper()
                if verb in ("EHLO", "LHLO"):
                    say("\r\n".join(["250-sink.test", *("250-" + word for word in self.server.keywords), "250 HELP"]))
                elif verb == "MAIL":
                    sender, recipients = command[10:], []
                    say("250 2.1.0 ok")
                elif verb == "RCPT":
                    recipients.append(command[8:])
                    say("250 2.1.5 ok")
                elif verb == "DATA":
                    say("354 go on")
                    content = b""
                    for text in self.rfile:
                        if text == b".\r\n":
                            break
                        content += text[1:] if text.startswith(b".") else text
                    with self.server.lock:
                        self.server.taken.append((sender, recipients, content.replace(b"\r\n", b"\n")))
                    say("250 2.0.0 taken")
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 ok")

    def __init__(self, host="127.0.0.1", keywords=("8BITMIME", "SMTPUTF8", "DSN", "PIPELINING")):
        super().__init__((host, 0), self.Handler)
        self.keywords = keywords
        self.lock = threading.Lock()
        self.taken = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def addressed(self):
        """(subject, recipient address): how many times."""
        with self.lock:
            return collections.Counter((subject_of(content), address_of(to)) for _, recipients, content in self.taken for to in recipients)

    def one(self, subject):
        with self.lock:
            found = [taken for taken in self.taken if subject_of(taken[2]) == subject]
        assert len(found) == 1, (subject, found)
        return found[0]


def subject_of(content):
    found = re.search(rb"^Subject: (.*)$", content, re.M)
    return found[1].decode(errors="replace") if found else ""


def address_of(parameter):
    return parameter[1:parameter.index(">")]

#!/usr/bin/env python3
"""The quickstart's letter: written with sendmail, followed hop by hop in the log, read back over IMAP, printed."""
import argparse
import email
import email.policy
import imaplib
import os
import re
import subprocess
import sys
import time
import uuid

parser = argparse.ArgumentParser()
parser.add_argument("--sendmail", required=True)
parser.add_argument("--config", required=True)
parser.add_argument("--log", required=True)
parser.add_argument("--imap", type=int, required=True)
parser.add_argument("--timeout", type=float, default=30)
arguments = parser.parse_args()

token = uuid.uuid4().hex
subject = "안녕하세요, 포스트콧의 첫 편지입니다"
body = "이 편지는 다섯 개의 데몬을 지나왔습니다.\n보내는 길: sendmail, queued, Maildir, imapd.\n"
deadline = time.monotonic() + arguments.timeout
started = time.monotonic()


def step(text):
    print(f"    {time.monotonic() - started:6.3f} s  {text}", flush=True)


def give_up(text):
    print(f"quickstart: {text}", file=sys.stderr)
    if os.path.exists(arguments.log):
        with open(arguments.log, errors="replace") as log:
            sys.stderr.writelines(["last log lines:\n", *log.readlines()[-15:]])
    sys.exit(1)


def wait_for_log(pattern, hop):
    expression = re.compile(pattern)
    while time.monotonic() < deadline:
        try:
            with open(arguments.log, errors="replace") as log:
                for line in log:
                    if found := expression.search(line):
                        step(f"{hop}: {line.split(' ', 2)[-1].strip()}")
                        return found
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    give_up(f"no sign of the letter at this hop: {hop}")


message = email.message.EmailMessage(policy=email.policy.SMTP.clone(linesep="\n"))
message["From"] = "user01@example.com"
message["To"] = "user02@example.com"
message["Subject"] = subject
message["Message-ID"] = f"<{token}@example.com>"
message.set_content(body)
sent = subprocess.run([arguments.sendmail, "-C", arguments.config, "-t", "-i", "-f", "user01@example.com"], input=message.as_bytes())
if sent.returncode:
    give_up(f"sendmail ended with status {sent.returncode}")
step("sendmail: taken")
queue_id = wait_for_log(rf"cleanup\[\d+\]: (\w+): message-id=<{token}@", "queued took it")[1]
wait_for_log(rf"qmgr\[\d+\]: {queue_id}: from=", "queued scheduled it")
wait_for_log(rf"{queue_id}: to=<user02@example.com>.*status=sent", "delivered")
wait_for_log(rf"{queue_id}: removed", "queued is done")

connection = imaplib.IMAP4("127.0.0.1", arguments.imap, timeout=arguments.timeout)
step(f"imapd greets: {connection.welcome.decode()}")
connection.login("user02@example.com", "pass02")
step("authd let user02@example.com in")
connection.select("INBOX")
found = []
while time.monotonic() < deadline and not found:
    found = connection.uid("SEARCH", "HEADER", "Message-ID", f"<{token}@example.com>")[1][0].split()
    if not found:
        connection.noop()
        time.sleep(0.05)
if not found:
    give_up("the letter is not in user02's INBOX")
raw = connection.uid("FETCH", found[-1].decode(), "(FLAGS BODY[])")[1][0][1]
step(f"imapd: found as UID {found[-1].decode()}, {len(raw)} octets")
connection.logout()
arrived = email.message_from_bytes(raw, policy=email.policy.default)
if arrived["Subject"] != subject or arrived.get_content().replace("\r\n", "\n") != body:
    give_up("the letter arrived changed")
print()
for name in ("Return-Path", "Received", "From", "To", "Subject", "Date", "Message-ID"):
    print(f"    {name}: {' '.join(str(arrived[name]).split())}")
print()
for line in arrived.get_content().splitlines():
    print(f"    {line}")

"""What people send with: mailutils' mail, s-nail, swaks and smtplib; Korean, attachments, 8-bit, 20 MB, 1000 recipients."""
import email
import email.message
import email.policy
import hashlib
import os
import smtplib
import tempfile

from harness import BIN, Postcot, main, need, run

SUBJECT = "테스트 메일 제목"


def read(path):
    with open(path, "rb") as file:
        return email.message_from_binary_file(file, policy=email.policy.default)


def test_mailutils_mail_sends_a_korean_letter():
    need("mail.mailutils")
    with Postcot() as server:
        environment = {**os.environ, "MAIL_CONFIG": str(server.etc / "postfix"), "LC_ALL": "C.UTF-8"}
        run("mail.mailutils", "-E", f"set sendmail=sendmail:{BIN}/sendmail", "-s", SUBJECT, "user02@example.com", data="본문입니다\n".encode(), env=environment)
        letter = read(server.wait_for_mail("user02", 1)[0])
        assert letter["Subject"] == SUBJECT, letter["Subject"]
        assert "본문입니다" in letter.get_payload(decode=True).decode(), letter
        assert letter["Message-ID"] and letter["Date"] and letter["Received"]


def test_s_nail_sends_over_submission():
    need("s-nail")
    with Postcot() as server, tempfile.NamedTemporaryFile(suffix=".pdf") as attachment:
        attachment.write(os.urandom(50000))
        attachment.flush()
        run("s-nail", "-:/", "-S", "v15-compat", "-S", "ttycharset=utf-8", "-S", f"mta=smtp://user01%40example.com:pass01@127.0.0.1:{server.submission}",
            "-S", "smtp-auth=plain", "-S", "from=user01@example.com", "-s", SUBJECT, "-a", attachment.name, "user02@example.com", data="첨부\n".encode())
        letter = read(server.wait_for_mail("user02", 1)[0])
        assert letter["Subject"] == SUBJECT
        part = next(letter.iter_attachments())
        assert hashlib.sha256(part.get_content()).digest() == hashlib.sha256(open(attachment.name, "rb").read()).digest()


def test_swaks_over_each_service():
    need("swaks")
    with Postcot() as server:
        common = ["swaks", "--server", "127.0.0.1", "--from", "user01@example.com", "--to", "user02@example.com", "--timeout", "20"]
        login = ["--auth-user", "user01@example.com", "--auth-password", "pass01"]
        runs = [
            ["--port", server.smtp],
            ["--port", server.smtp, "--tls"],
            ["--port", server.submission, "--tls", "--auth", "PLAIN", *login],
            ["--port", server.submission, "--auth", "LOGIN", *login],
            ["--port", server.submissions, "--tls-on-connect", "--auth", "PLAIN", *login],
            ["--port", server.lmtp, "--protocol", "LMTP"],
        ]
        for number, words in enumerate(runs, 1):
            run(*common, *words)
            server.wait_for_mail("user02", number)
        wrong = run(*common, "--port", server.submission, "--auth", "PLAIN", "--auth-user", "user01@example.com", "--auth-password", "wrong", check=False)
        assert wrong.returncode == 28 and b"535 5.7.8" in wrong.stdout, wrong.stdout
        without = run(*common, "--port", server.submission, check=False)
        assert b"554 5.7.1" in without.stdout or b"550 5.7.1" in without.stdout, without.stdout


def test_eight_bit_and_smtputf8():
    with Postcot() as server:
        client = server.smtp_client()
        client.ehlo("client.example.com")
        for extension in ("pipelining", "size", "vrfy", "etrn", "starttls", "enhancedstatuscodes", "8bitmime", "dsn", "smtputf8", "chunking"):
            assert client.has_extn(extension), extension
        letter = f"From: user01@example.com\r\nTo: user02@example.com\r\nSubject: {SUBJECT}\r\n\r\n한글 본문\r\n.점으로 시작\r\n..\r\n".encode()
        client.sendmail("user01@example.com", ["user02@example.com"], letter, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        client.quit()
        stored = open(server.wait_for_mail("user02", 1)[0], "rb").read()
        assert f"Subject: {SUBJECT}\n".encode() in stored
        assert "한글 본문\n.점으로 시작\n..\n".encode() in stored, stored
        assert b"with UTF8SMTP id" in stored or b"with ESMTP id" in stored


def test_twenty_megabytes():
    with Postcot(main_cf="message_size_limit = 31457280\nvirtual_mailbox_limit = 0\n") as server:
        letter = email.message.EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = "user01@example.com", "user02@example.com", "large"
        content = os.urandom(15 * 1024 * 1024)   # 20 MB in base64
        letter.add_attachment(content, maintype="application", subtype="octet-stream", filename="large.bin")
        client = server.smtp_client()
        client.send_message(letter)
        client.quit()
        server.wait_for_mail("user02", 1, timeout=60)
        imap = server.imap_client()
        imap.select()
        raw = imap.fetch("1", "(BODY.PEEK[])")[1][0][1]
        part = next(email.message_from_bytes(raw, policy=email.policy.default).iter_attachments())
        assert part.get_content() == content
        imap.logout()


def test_a_message_over_the_limit_is_refused_with_its_status():
    with Postcot(main_cf="message_size_limit = 100000\n") as server:
        client = server.smtp_client()
        client.ehlo()
        assert client.docmd("MAIL FROM:<user01@example.com> SIZE=200000") [0] == 552
        client.rset()
        try:
            client.sendmail("user01@example.com", ["user02@example.com"], b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 78 + b"\r\n") * 2500, mail_options=[])
            raise AssertionError("accepted")
        except (smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as error:
            assert error.smtp_code == 552 and error.smtp_error.startswith(b"5.3.4"), error
        client.close()


def test_a_thousand_recipients():
    with Postcot(users=1000) as server:
        client = server.smtp_client()
        refused = client.sendmail("user01@example.com", [f"test{i}@example.com" for i in range(1, 1001)], b"Subject: to all\r\n\r\nhello\r\n")
        assert not refused
        client.quit()
        server.wait_for_empty_queue(90)
        missing = [i for i in range(1, 1001) if len(server.messages(f"test{i}")) != 1]
        assert not missing, missing[:10]


main(test_mailutils_mail_sends_a_korean_letter, test_s_nail_sends_over_submission, test_swaks_over_each_service, test_eight_bit_and_smtputf8,
     test_twenty_megabytes, test_a_message_over_the_limit_is_refused_with_its_status, test_a_thousand_recipients)

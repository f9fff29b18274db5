"""Which TLS versions are spoken, which keys are read, what is logged, and what does not start: as a real Postfix reads the same settings."""
import concurrent.futures
import re
import smtplib
import ssl
import subprocess

from _peers import PostfixPeer
from harness import BIN, Postcot, free_port, main, need, run, wait_until

VERSIONS = ("tls1", "tls1_1", "tls1_2", "tls1_3")
SETTINGS = "smtpd_tls_security_level = may\nsmtpd_peername_lookup = no\n"
LISTS = ("TLSv1.3", "TLSv1.2, TLSv1.3", "!TLSv1.1, !TLSv1", "!TLSv1, !TLSv1.1", "!SSLv2, !SSLv3", "!SSLv2:!SSLv3:!TLSv1", "<=TLSv1.2", ">=TLSv1.2", ">=TLSv1.1, <=TLSv1.2",
         ">=0303", "<=0302", ">=0x0302, !TLSv1.2", "TLSv1.1, TLSv1.2, !TLSv1.1", "tlsv1.2", ">=tlsv1.3", "!TLSv1.2", "TLSv1.9", ">=TLSv1.9", ">=SSLv3", ">=0")


def key_pair(folder):
    """rsa.key, rsa.crt, ec.key, ec.crt and files with several of them."""
    need("openssl")
    for name, kind in (("rsa", ["rsa:2048"]), ("ec", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])):
        run("openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", "-days", 9, "-subj", f"/CN={name}.test")
    for whole, parts in (("rsa.pem", ("rsa.key", "rsa.crt")), ("all.pem", ("rsa.key", "rsa.crt", "ec.key", "ec.crt"))):
        (folder / whole).write_bytes(b"".join((folder / part).read_bytes() for part in parts))
    for path in folder.glob("*.[ckp]*"):
        path.chmod(0o644)
    return folder


def spoken(port, version, wrapped=False, *more):
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", f"-{version}", "-cipher", "DEFAULT@SECLEVEL=0", *more]
    done = subprocess.run(words + ([] if wrapped else ["-starttls", "smtp"]), input=b"QUIT\r\n", capture_output=True, timeout=60)
    return b"Cipher is (NONE)" not in done.stdout and b"Cipher is" in done.stdout


def services(rows, command="smtpd"):
    """master.cf lines, one for each row of -o settings, and their ports."""
    ports = [free_port() for _ in rows]
    return ports, "".join(f"127.0.0.1:{port} inet n - n - - {command}" + "".join(f"\n  -o {{ {option} }}" for option in row) + "\n" for port, row in zip(ports, rows))


def table_of(ports, wrapped):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = {(port, version): pool.submit(spoken, port, version, wrap) for port, wrap in zip(ports, wrapped) for version in VERSIONS}
        return [tuple(version for version in VERSIONS if asked[port, version].result()) for port in ports]


def test_protocol_lists_mean_what_they_mean_to_postfix():
    rows = [(f"smtpd_tls_protocols = {words}",) for words in LISTS] + [("smtpd_tls_wrappermode = yes", "smtpd_tls_protocols = TLSv1.2", f"smtpd_tls_mandatory_protocols = {words}") for words in ("TLSv1.3", "<=TLSv1.1")] + [
        ("smtpd_tls_security_level = encrypt", "smtpd_tls_protocols = TLSv1.2", "smtpd_tls_mandatory_protocols = TLSv1.3")]
    wrapped = ["wrappermode" in row[0] for row in rows]
    postfix = PostfixPeer(main_cf=SETTINGS)
    keys = key_pair(postfix.etc)
    ports, lines = services(rows)
    for name, text in (("main.cf", f"smtpd_tls_chain_files = {keys}/all.pem\n"), ("master.cf", lines)):
        with open(postfix.etc / name, "a") as file:
            file.write(text)
    with postfix:
        expected = table_of(ports, wrapped)
        ports, lines = services(rows)
        with Postcot(main_cf=SETTINGS + f"smtpd_tls_chain_files = {keys}/all.pem\n", master_cf=lines) as server:
            got = table_of(ports, wrapped)
            different = [(row, a, b) for row, a, b in zip(rows, expected, got) if a != b]
            assert not different, "settings, Postfix, we:\n" + "\n".join(map(str, different))
            assert any(expected) and ("tls1",) != expected[0]
            assert 'Invalid TLS protocol list "TLSv1.9": disabling TLS support' in server.log(), server.log()


def established(log):
    return [re.sub(r"\]:\d+", "]:PORT", line.split("]: ", 1)[1]) for line in log.splitlines() if "TLS connection established" in line]


def test_keys_and_log_lines_are_as_postfix():
    for files, shown in (("{0}/rsa.key, {0}/rsa.crt", "RSA-PSS (2048 bits)"), ("{0}/ec.key {0}/ec.crt {0}/rsa.pem", "ECDSA (prime256v1)"), ("{0}/all.pem", "ECDSA (prime256v1)")):
        settings = "smtpd_tls_loglevel = 1\nsmtpd_tls_received_header = yes\nsmtpd_tls_security_level = may\nsmtpd_peername_lookup = no\n"
        postfix = PostfixPeer(main_cf=settings)
        keys = key_pair(postfix.etc)
        chain = f"smtpd_tls_chain_files = {files.format(keys)}\n"
        with open(postfix.etc / "main.cf", "a") as file:
            file.write(chain)
        with postfix, Postcot(users=1, main_cf=settings + chain) as server:
            headers = []
            for port, user in ((postfix.port, "user01@peer.test"), (server.smtp, "user01@example.com")):
                for more in (("-tls1_3",), ("-tls1_2",), ("-tls1_3", "-groups", "P-256")):
                    assert spoken(port, more[0][1:], False, *more[1:])
                with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
                    client.starttls(context=ssl._create_unverified_context())
                    client.sendmail("a@far.example", [user], b"Subject: x\r\n\r\nx\r\n")
            for text in (postfix.wait_for_mail("user01", 1)[0].read_text(), open(server.wait_for_mail("user01", 1)[0]).read()):
                headers.append(re.search(r"\(using.*?\)\n\t\(No client certificate requested\)", text, re.S)[0])
            assert headers[0] == headers[1] and shown in headers[1], headers
            assert established(postfix.log()) == established(server.log()), (established(postfix.log()), established(server.log()))


def check(server):
    done = run(BIN / "postcot", "check", "-c", server.etc, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_a_service_that_asks_for_tls_does_not_start_without():
    wrong = {"smtpd_tls_chain_files = /no/such.pem": "/no/such.pem", "smtpd_tls_mandatory_protocols = TLSv1.9": "TLSv1.9", "smtpd_tls_mandatory_ciphers = strong": "invalid cipher grade",
             "smtpd_tls_chain_files =\nsmtpd_tls_cert_file =": "no server certificate"}
    for setting, named in wrong.items():
        for option in ("smtpd_tls_wrappermode = yes", "smtpd_tls_security_level = encrypt"):
            ports, lines = services([(option,)])
            server = Postcot(main_cf=setting + "\n", master_cf=lines, start=False)
            with server:
                code, text = check(server)
                assert code != 0 and named in text and "TLS is not available" in text, (setting, option, code, text)
                assert subprocess.run([BIN / "smtpd", "-c", server.etc, "-t"], capture_output=True).returncode != 0


def test_where_tls_is_only_offered_it_is_not_offered_and_auth_keeps_to_tls():
    ports, lines = services([("smtpd_tls_security_level = may", "smtpd_tls_auth_only = yes", "smtpd_sasl_auth_enable = yes", "smtpd_tls_chain_files = /no/such.pem")])
    with Postcot(master_cf=lines) as server, server.smtp_client(ports[0]) as client:
        client.ehlo("c.example")
        assert not client.has_extn("starttls") and not client.has_extn("auth"), client.esmtp_features
        assert client.docmd("STARTTLS") == (454, b"4.7.0 TLS not available due to local problem")
        assert "error opening chain file: /no/such.pem: No such file or directory: disabling TLS support" in server.log()


def test_the_client_keeps_to_its_policy():
    postfix = PostfixPeer(main_cf="smtpd_tls_security_level = may\nsmtpd_tls_received_header = yes\n")
    keys = key_pair(postfix.etc)
    with open(postfix.etc / "main.cf", "a") as file:
        file.write(f"smtpd_tls_chain_files = {keys}/rsa.pem\n")
    with postfix:
        for entry, version in (("encrypt protocols=TLSv1", "TLSv1"), ("encrypt protocols=TLSv1.2", "TLSv1.2"), ("encrypt protocols=<=TLSv1.2", "TLSv1.2"), ("encrypt protocols=!TLSv1.2:!TLSv1.1:!TLSv1", "TLSv1.3"), ("may", "TLSv1.3"),
                               ("encrypt protocols=TLSv1.9", None), ("encrypt ciphers=strong", None), ("encrypt colour=red", None), ("secure tafile=/x", None)):
            settings = f"smtp_tls_policy_maps = inline:{{ {{[127.0.0.1]:{postfix.port} = {entry}}} }}\nrelayhost = [127.0.0.1]:{postfix.port}\nsmtp_tls_loglevel = 1\n"
            with Postcot(main_cf=settings) as server:
                seen = len(postfix.messages("user01"))
                server.sendmail("-f", "a@example.com", "user01@peer.test", data=b"Subject: x\n\nx\n")
                if version:
                    wait_until(lambda: len(postfix.messages("user01")) > seen, "the letter")
                    assert any(f"(using {version} with" in path.read_text() for path in postfix.messages("user01")[-1:] + postfix.messages("user01")), entry
                    server.wait_for_log(rf"(Untrusted|Anonymous) TLS connection established to \S+: {version} with cipher \S+ \(256/256 bits\)" + (" key-exchange X25519 server-signature RSA-PSS" if version == "TLSv1.3" else ""))
                else:
                    server.wait_for_log(r"status=deferred \(client TLS configuration problem\)")


def test_a_client_whose_key_cannot_be_read_defers_and_check_says_so():
    settings = "smtp_tls_security_level = encrypt\nsmtp_tls_chain_files = /no/such.pem\nrelayhost = [127.0.0.1]:1\n"
    with PostfixPeer() as postfix, Postcot(main_cf=settings.replace(":1\n", f":{postfix.port}\n")) as server:
        _, text = check(server)
        named = "TLS is not available: error opening chain file: /no/such.pem: No such file or directory: mail that needs it is deferred"
        assert named in text and named in server.log() and "master.cf: line " in text, text
        server.sendmail("-f", "a@example.com", "user01@peer.test", data=b"Subject: x\n\nx\n")
        server.wait_for_log(r"status=deferred \(TLS is required, but our TLS engine is unavailable\)")
    for parameter in ("smtp_tls_policy_maps", "transport_maps", "smtpd_client_restrictions", "virtual_alias_maps"):
        with Postcot(main_cf=f"{parameter} = {'check_client_access ' if 'restr' in parameter else ''}hash:/no/such\n", start=False) as server:
            _, text = check(server)
            assert "open database /no/such.db: No such file or directory" in text, (parameter, text)


main(test_protocol_lists_mean_what_they_mean_to_postfix, test_keys_and_log_lines_are_as_postfix, test_a_service_that_asks_for_tls_does_not_start_without,
     test_where_tls_is_only_offered_it_is_not_offered_and_auth_keeps_to_tls, test_the_client_keeps_to_its_policy, test_a_client_whose_key_cannot_be_read_defers_and_check_says_so)

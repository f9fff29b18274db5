#!/usr/bin/env python3
"""The lab itself: hosts boot, find each other by name over both protocols, install packages by apt, and are cut off from everything else."""
import os
import subprocess

from _hosts import Lab, main


def test_hosts_and_names():
    with Lab(repository=["swaks"]) as lab:
        lab.start_dns()
        mail = lab.host("mail.example.com", ["bind9-host"])
        for query, answer in (("-t A mail.example.com", "192.0.2.25"), ("-t AAAA mx.other.test", "2001:db8::26"), ("-t MX other.test", "10 mx.other.test."),
                              ("-t MX example.com", "10 mail.example.com."), ("192.0.2.25", "mail.example.com."), ("2001:db8::26", "mx.other.test.")):
            said = mail.sh(f"host {query}").stdout
            assert answer in said, f"{query}: {said}"
        assert "NXDOMAIN" in mail.sh("host nobody.invalid", check=False).stdout
        mail.run("ping", "-c", "1", "-W", "5", "192.0.2.53")
        mail.run("ping", "-c", "1", "-W", "5", "2001:db8::53")
        # Nothing outside answers: the bridge has no way out.
        assert mail.run("ping", "-c", "1", "-W", "2", "198.51.100.1", check=False).returncode != 0
        assert subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.count(": eth") == 0

        mail.sh("apt-get update && apt-get install -y swaks", timeout=120)
        assert mail.run("swaks", "--version").returncode == 0

        # A shutdown and a power failure; what was written before the first is there after it.
        mail.write("/root/kept", "x")
        mail.reboot()
        assert mail.read("/root/kept") == "x"
        before = mail.leader
        mail.kill()
        assert not os.path.exists(f"/proc/{before}")
        mail.start()
        mail.wait_ready()


main(test_hosts_and_names)

#!/usr/bin/env python3
"""lintian of the hosts' suite finds nothing in the packages that are built for it; what is meant to be so is in debian/*.lintian-overrides, each with its reason."""
import subprocess

from _hosts import Lab, main, our_packages


def test_lintian():
    packages = our_packages()
    with Lab() as lab:
        root = lab.host("mail.example.com", ["lintian"], start=False).root
        folder = root / "srv/debs"
        folder.mkdir()
        subprocess.run(["cp", *packages, folder], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
        done = subprocess.run(["chroot", root, "sh", "-c", "lintian --version; lintian --fail-on error,warning --tag-display-limit 0 /srv/debs/*.deb 2>&1"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=300, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})
        subprocess.run(["umount", root / "proc"], check=True)
        print(f"  {done.stdout.strip()}", flush=True)
        assert done.returncode == 0, done.stderr


main(test_lintian)

#!/usr/bin/env python3
"""_build_in_root.py TREE.tar FOLDER: builds the packages of a source tree in a root of the hosts' suite, with that suite's compiler and libraries, into FOLDER.

The root holds debian/control's Build-Depends and what every build may count on, nothing else: what is missing there is missing in debian/control. A cache of its own
for the compiler is kept beside the roots.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import _lab
import _roots
import _suite

PLACE, CCACHE = "/srv/build/postcot", "/srv/ccache"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", "CCACHE_DIR": CCACHE}
PASSED_ON = ("DEB_BUILD_OPTIONS", "POSTCOT_DEB_COMPRESSION")


def build_depends():
    control = (_roots.TOP / "debian/control").read_text()
    field = re.search(r"^Build-Depends:(.*(?:\n[ \t].*)*)", control, re.M)[1]
    # debhelper-compat is a virtual package; a version that is too old is dpkg-buildpackage's to refuse.
    names = [re.split(r"[ (|]", word.strip())[0] for word in field.split(",")]
    return ["build-essential", "ccache", *("debhelper" if name == "debhelper-compat" else name for name in names if name)]


def build(tree, out):
    root = _roots.Preparation().root(build_depends())
    cache = _roots.CACHE / f"ccache-{_suite.NAME}"
    cache.mkdir(exist_ok=True)
    _lab.checked(_lab.libc.unshare(_lab.CLONE_NEWNS | _lab.CLONE_NEWNET), "unshare")   # a build that fetches something fails
    with tempfile.TemporaryDirectory(prefix="pc-build.") as folder:
        _lab.make_private(pathlib.Path(folder))
        _lab.quietly("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
        inside = _lab.copy_of(root, pathlib.Path(folder))
        for source, place in ((cache, CCACHE), ("/dev", "/dev")):
            (inside / place.lstrip("/")).mkdir(exist_ok=True)
            _lab.quietly("mount", "--rbind", source, inside / place.lstrip("/"))
        _lab.quietly("mount", "-t", "proc", "proc", inside / "proc")
        place = inside / PLACE.lstrip("/")
        place.mkdir(parents=True)
        _lab.quietly("tar", "-C", place, "--no-same-owner", "-xf", tree)
        sys.stdout.flush()
        done = subprocess.run(["chroot", inside, "sh", "-c", f"cd {PLACE} && dpkg-buildpackage -b -us -uc -ui"], stdin=subprocess.DEVNULL,
                              env={**ENVIRONMENT, **{name: os.environ[name] for name in PASSED_ON if name in os.environ}})
        for package in place.parent.glob("*.deb"):
            shutil.copy(package, out)
        _lab.quietly("umount", "-l", folder)
    return done.returncode


if __name__ == "__main__":
    sys.exit(build(*map(os.path.abspath, sys.argv[1:])))

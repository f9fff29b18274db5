"""Debian roots for the hosts of tests/host, and the packages that apt finds on them.

Everything comes from the archives that this machine's own apt is set up with (_suite.py: of another suite there, if asked for), through its own Acquire settings. On the hosts there is no such network:
their apt reads a folder with .deb files and an index (`Repository`), so that `apt install apache2` is the real command there.

Roots and packages are kept in build/host-cache (or $POSTCOT_HOST_CACHE), by what went into them. Removing the folder is always right.
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

import _suite

TOP = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("POSTCOT_HOST_CACHE", TOP / "build/host-cache")).resolve()
REPOSITORY = "/srv/packages"   # where a host sees the folder of packages

# A server as an administrator gets it, less what needs hardware.
BASE = ["apt-utils", "adduser", "ca-certificates", "cron", "dbus", "debconf-i18n", "iproute2", "iputils-ping", "kmod", "less", "libpam-systemd",
        "logrotate", "lsb-release", "nano", "netbase", "procps", "rsyslog", "sudo", "systemd", "systemd-sysv", "ucf", "whiptail"]
CUSTOM = [
    # Nothing may hold dpkg's lock or reach for the internet while a test runs.
    "ln -sf /dev/null /etc/systemd/system/apt-daily.timer; ln -sf /dev/null /etc/systemd/system/apt-daily-upgrade.timer",
    "rm -f /etc/apt/apt.conf.d/99mmdebstrap /etc/apt/sources.list /etc/apt/sources.list.d/*",
    f"echo 'deb [trusted=yes] file:{REPOSITORY} ./' >/etc/apt/sources.list",
    # The roots are thrown away: dpkg need not wait for the disk.
    "echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io",
    "systemctl enable systemd-networkd.service",
]


class Failed(Exception):
    """A command that makes a root or fetches packages ended with an error."""


def key_of(*parts):
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:16]


def command(*words, env=None, outside=None):
    """Runs a command of the preparation; `outside` is a descriptor of the network namespace to do it in."""
    words = [str(word) for word in words]
    if outside is not None:
        words = ["nsenter", f"--net=/proc/self/fd/{outside}", "--", *words]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **(env or {})},
                          pass_fds=[] if outside is None else [outside])
    if done.returncode:
        raise Failed(f"{' '.join(words)} ended with {done.returncode}:\n" + "\n".join(done.stdout.splitlines()[-30:]))
    return done.stdout


@contextlib.contextmanager
def cache_lock():
    """Two test runs may share a cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Preparation:
    """Makes roots and fetches packages; `outside` is a descriptor of the network namespace in which this machine's apt works, `scratch` a folder to make them in."""

    def __init__(self, outside=None, scratch=CACHE):
        self.outside, self.scratch = outside, scratch
        self.base_key = key_of(_suite.NAME, *BASE, *CUSTOM)
        self.base = CACHE / f"root-{self.base_key}"
        self.pool = CACHE / f"packages-{self.base_key}"
        self.state = CACHE / ("apt" if _suite.DEFAULT else f"apt-{_suite.NAME}")

    def command(self, *words, **more):
        return command(*words, outside=self.outside, **more)

    def make_base(self):
        if self.base.exists():
            return
        new = self.scratch / "new-root"
        shutil.rmtree(new, ignore_errors=True)
        settings = CACHE / "apt.conf"
        settings.write_text(self.command("apt-config", "dump", "Acquire"))
        customize = [f"--customize-hook=chroot \"$1\" sh -c {quote(line)}" for line in CUSTOM]
        try:
            self.command("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(BASE)}", f"--aptopt={settings}", *customize,
                         _suite.NAME, new, *_suite.apt_sources(CACHE))
        except Failed:
            shutil.rmtree(new, ignore_errors=True)
            raise
        (new / REPOSITORY.lstrip("/")).mkdir(parents=True, exist_ok=True)
        self.keep(new, self.base)

    def keep(self, new, done):
        """Moves a finished root into the cache, where it is whole or not there."""
        part = CACHE / f"part-{done.name}"
        shutil.rmtree(part, ignore_errors=True)
        command("cp", "-a", "--reflink=auto", new, part)
        part.rename(done)
        shutil.rmtree(new)

    def apt(self, *words):
        """This machine's apt-get, as if the machine were a host with nothing but the base."""
        for folder in ("lists/partial", "archives/partial", "sources.d"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        options = {"Dir::State": self.state, "Dir::State::lists": self.state / "lists", "Dir::State::extended_states": self.state / "extended",
                   "Dir::State::status": self.base / "var/lib/dpkg/status", "Dir::Cache": self.state, "Dir::Cache::archives": self.state / "archives",
                   "APT::Keep-Downloaded-Packages": "true", "DPkg::Post-Invoke::": "", "APT::Update::Post-Invoke-Success::": ""}
        if not _suite.OWN:
            for file in (self.state / "sources.d").iterdir():
                file.unlink()
            _suite.apt_sources(self.state / "sources.d")
            options.update({"Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": self.state / "sources.d", "Dir::Etc::preferences": "/dev/null",
                            "Dir::Etc::preferencesparts": "/dev/null"})
        return self.command("apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")), *words)

    def fetch(self, packages, recommends=True):
        """Puts packages (names, or .deb files whose dependencies are meant) with all that they need into the folder of packages."""
        files = [word for word in packages if str(word).endswith(".deb")]
        names = [word for word in packages if word not in files]
        stamp = self.pool / "sets" / key_of(*names, recommends, *(self.command("dpkg-deb", "-f", file, "Package", "Depends", "Recommends") for file in files))
        if stamp.exists():
            return
        if not (self.state / "lists").exists():
            self.apt("update")
        stamp.parent.mkdir(parents=True, exist_ok=True)
        install = ["install", "-y", "--download-only", "--install-recommends" if recommends else "--no-install-recommends", *packages]
        try:
            self.apt(*install)
        except Failed:
            self.apt("update")   # an archive has moved on
            self.apt(*install)
        for file in (self.state / "archives").glob("*.deb"):
            file.rename(self.pool / file.name)
        self.index()
        stamp.touch()

    def index(self):
        """Packages, the index that apt reads of a folder without distributions."""
        stanzas = []
        for file in sorted(self.pool.glob("*.deb")):
            stanza = self.pool / "stanzas" / f"{file.name}.txt"
            if not stanza.exists():
                stanza.parent.mkdir(exist_ok=True)
                with open(file, "rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
                fields = command("dpkg-deb", "-f", file).rstrip("\n")
                stanza.write_text(f"{fields}\nFilename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n")
            stanzas.append(stanza.read_text())
        index = self.pool / "Packages.new"
        index.write_text("\n".join(stanzas))
        index.rename(self.pool / "Packages")

    def root(self, packages=(), recommends=False):
        """A root with these packages installed, not started yet. It is shared: boot copies of it only."""
        with cache_lock():
            self.make_base()
            self.pool.mkdir(exist_ok=True)
            if not (self.pool / "Packages").exists():
                self.index()
            if not packages:
                return self.base
            self.fetch(packages, recommends)
            done = CACHE / f"root-{key_of(self.base_key, *packages, recommends)}"
            if not done.exists():
                self.install(done, packages, recommends)
            return done

    def install(self, done, packages, recommends):
        new = self.scratch / "new-root"
        shutil.rmtree(new, ignore_errors=True)
        command("cp", "-a", "--reflink=auto", self.base, new)
        mounted = new / REPOSITORY.lstrip("/")
        (new / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (new / "usr/sbin/policy-rc.d").chmod(0o755)
        command("mount", "--bind", "-o", "ro", self.pool, mounted)
        command("mount", "-t", "proc", "proc", new / "proc")
        try:
            command("chroot", new, "apt-get", "-q", "update")
            command("chroot", new, "apt-get", "-q", "-y", "--install-recommends" if recommends else "--no-install-recommends", "install", *packages)
        finally:
            command("umount", new / "proc")
            command("umount", mounted)
        (new / "usr/sbin/policy-rc.d").unlink()
        self.keep(new, done)

    def repository(self, packages, recommends=True):
        """The folder of packages, with these in it (besides what earlier calls asked for)."""
        with cache_lock():
            self.make_base()
            self.pool.mkdir(exist_ok=True)
            self.fetch(packages, recommends)
            return self.pool


def quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


def packages_folder():
    """Where tests/host/packages leaves the packages for this suite."""
    return TOP / "build" / ("packages" if _suite.DEFAULT else f"packages-{_suite.NAME}")


def our_packages():
    """The .deb files of this checkout, without debug symbols. tests/host/packages builds what is out of date."""
    script = TOP / "tests/host/packages"
    if os.access(script, os.X_OK):
        subprocess.run([script], check=True)
    return sorted(file for file in packages_folder().glob("postcot*.deb") if "dbgsym" not in file.name)

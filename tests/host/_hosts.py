"""What the tests with real hosts share: Debian systems booted with systemd-nspawn, on a bridge that leads nowhere else.

    with Lab(repository=["apache2", *our_packages()]) as lab:
        lab.start_dns()
        mail = lab.host("mail.example.com")
        mail.sh("apt-get install -y apache2")
        mail.wait_for_log("status=sent")

Commands run in a host through nsenter; every wait is for a fact (boot finished, unit active, log line). Whatever the end, the machines end first.
"""
import contextlib
import os
import pathlib
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import _dns
import _lab
import _roots
from harness import main, skip, wait_until   # noqa: F401

OUTPUT = _roots.TOP / "build/host-output"
BOOT_SECONDS = 90
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", "USER": "root",
               "DEBIAN_FRONTEND": "noninteractive"}
NETWORK_FILE = """[Match]
Name=host0
[Network]
Gateway=192.0.2.1
LinkLocalAddressing=no
IPv6AcceptRA=no
[Address]
Address={address4}/24
[Address]
Address={address6}/32
DuplicateAddressDetection=none
"""


def require():
    """Skips the test where hosts cannot be booted."""
    if os.geteuid() != 0:
        skip("needs root")
    for program in ("mmdebstrap", "systemd-nspawn", "nsenter", "ip"):
        if not shutil.which(program):
            skip(f"{program} is not installed")


def our_packages():
    """The .deb files of this checkout, built if need be."""
    require()
    packages = _roots.our_packages()
    if not packages:
        skip("there are no packages in build/packages")
    return packages


class Host:
    """One booted system."""

    def __init__(self, lab, name, root, address4, address6):
        self.lab, self.name, self.address4, self.address6 = lab, name, address4, address6
        self.folder = lab.space.folder / name
        self.folder.mkdir()
        self.root = _lab.copy_of(root, self.folder)
        self.machine = self.leader = self.ready = None
        self.write("/etc/hostname", name.split(".")[0] + "\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name} {name.split('.')[0]}\n::1 localhost ip6-localhost ip6-loopback\n")
        self.write("/etc/machine-id", secrets.token_hex(16) + "\n")
        self.write("/etc/resolv.conf", f"search {name.split('.', 1)[1]}\nnameserver {_dns.address4(_dns.NAME)}\n")
        self.write("/etc/systemd/network/10-host0.network", NETWORK_FILE.format(address4=address4, address6=address6))

    # --- power
    def start(self):
        """Switches it on; wait_ready() waits for the end of the boot."""
        group = self.lab.space.group(self.name)
        path = self.folder / "notify"
        path.unlink(missing_ok=True)
        self.ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ready.bind(str(path))

        def enter():
            (group / "cgroup.procs").write_text(str(os.getpid()))

        with open(self.folder / "console.log", "ab") as console:
            self.machine = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--notify-ready=yes", "--console=pipe", "--resolv-conf=off", "--timezone=off",
                 "--link-journal=no", f"--directory={self.root}", f"--machine={self.name}", f"--network-bridge={_lab.BRIDGE}",
                 f"--bind-ro={self.lab.prepare.pool}:{_roots.REPOSITORY}"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=enter, start_new_session=True,
                env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(path), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})

    def wait_ready(self):
        """Until systemd has nothing more to start, and nothing has failed."""
        deadline = time.monotonic() + BOOT_SECONDS
        with self.ready:
            finished = False
            while not finished:
                if not select.select([self.ready], [], [], 0.5)[0]:
                    if self.machine.poll() is not None or time.monotonic() > deadline:
                        raise AssertionError(f"{self.name} did not boot:\n" + self.console()[-3000:])
                    continue
                words = self.ready.recv(4096).decode(errors="replace").splitlines()
                for word in words:
                    if word.startswith("X_NSPAWN_LEADER_PID="):
                        self.leader = int(word.partition("=")[2])
                finished = "READY=1" in words and self.leader is not None
        failed = self.run("systemctl", "--failed", "--no-legend", "--plain").stdout.strip()
        if failed:
            raise AssertionError(f"{self.name} booted with failed units:\n{failed}\n" + self.sh("journalctl -b -p warning --no-pager | tail -n 40").stdout)
        return self

    def stop(self):
        """An orderly shutdown."""
        self.machine.terminate()
        self.machine.wait(60)
        self.leader = None

    def kill(self):
        """As when the power fails."""
        if self.machine and self.machine.poll() is None:
            if self.leader:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.leader, signal.SIGKILL)
            try:
                self.machine.wait(5)
            except subprocess.TimeoutExpired:
                self.machine.kill()
                self.machine.wait()
        self.leader = None

    def reboot(self):
        self.stop()
        self.start()
        return self.wait_ready()

    # --- commands
    def words(self, command, user=None):
        if user:
            command = ["runuser", "-u", user, "--", *command]
        return ["nsenter", "-t", str(self.leader), "-a", "-r", "-w", "--", *map(str, command)]

    def run(self, *command, data=None, check=True, timeout=60, user=None, env=None):
        """Runs a program in the host to its end; what it printed comes back as text, standard error in it as well when that is asked of the shell."""
        home = {"HOME": f"/home/{user}", "USER": user, "LOGNAME": user} if user else {}
        given = {"stdin": subprocess.DEVNULL} if data is None else {"input": data.encode() if isinstance(data, str) else data}
        done = subprocess.run(self.words(command, user), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              env={**ENVIRONMENT, **home, **(env or {})}, **given)
        done.stdout, done.stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done

    def sh(self, script, **more):
        return self.run("sh", "-c", script, **more)

    # --- files, as the host has them
    def path(self, path):
        top = f"/proc/{self.leader}/root" if self.leader else str(self.root)
        return pathlib.Path(top + path)

    def read(self, path):
        try:
            return self.path(path).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def write(self, path, text, mode=None):
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_symlink():
            file.unlink()
        file.write_text(text)
        if mode is not None:
            file.chmod(mode)

    def copy_in(self, source, folder):
        """Copies files of this machine into a folder of the host; gives their paths there."""
        sources = [source] if isinstance(source, (str, pathlib.Path)) else source
        self.path(folder).mkdir(parents=True, exist_ok=True)
        for file in sources:
            shutil.copy(file, self.path(folder))
        return [f"{folder}/{pathlib.Path(file).name}" for file in sources]

    # --- facts to wait for
    def log(self, path="/var/log/mail.log"):
        return self.read(path)

    def wait_for_log(self, pattern, timeout=30.0, path="/var/log/mail.log", after=0):
        """The match of a pattern in what the log holds after so many characters."""
        expression = re.compile(pattern)
        try:
            return wait_until(lambda: expression.search(self.log(path)[after:]), f"{self.name}: line in {path} matching {pattern}", timeout, 0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- end of {path}\n" + "\n".join(self.log(path)[after:].splitlines()[-30:])) from None

    def wait_for_unit(self, unit, state="active", timeout=30.0):
        wait_until(lambda: self.run("systemctl", "is-active", unit, check=False).stdout.strip() == state, f"{self.name}: {unit} is {state}", timeout, 0.05)

    def wait_for_port(self, port, timeout=30.0):
        def opened():
            with contextlib.suppress(OSError), socket.create_connection((self.address4, port), 1):
                return True
            return False
        wait_until(opened, f"{self.name}: port {port} is open", timeout, 0.05)

    def console(self):
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "console.log").read_text(errors="replace")
        return ""

    def keep(self, *paths):
        """Copies logs to the test's output."""
        folder = self.lab.output / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            for file in [self.path(path)] if "*" not in path else pathlib.Path(self.path("/")).glob(path.lstrip("/")):
                with contextlib.suppress(OSError):
                    shutil.copy(file, folder / file.name)
        (folder / "console.log").write_text(self.console())


class Lab:
    """The hosts of a test. `repository` is what apt on the hosts shall find, with all that it depends on."""

    def __init__(self, repository=(), name=None):
        require()
        self.space = _lab.namespaces()
        self.prepare = _roots.Preparation(self.space.outside, self.space.folder)
        self.output = OUTPUT / (name or pathlib.Path(sys.argv[0]).stem)
        shutil.rmtree(self.output, ignore_errors=True)
        self.output.mkdir(parents=True)
        self.hosts = []
        self.prepare.root()
        if repository:
            self.prepare.repository(repository)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for host in self.hosts:
            with contextlib.suppress(Exception):
                if host.leader:
                    host.path("/tmp/journal.txt").write_text(host.run("journalctl", "-b", "--no-pager", timeout=30, check=False).stdout)
                host.keep("/tmp/journal.txt", "/var/log/mail.log", "/var/log/syslog")
                if kind and kind is not SystemExit:
                    print(f"---- {host.name}: last lines of mail.log\n" + "\n".join(host.log().splitlines()[-40:]), flush=True)
        for host in self.hosts:
            with contextlib.suppress(Exception):
                host.kill()

    def host(self, name, packages=(), start=True, recommends=False, prepare=None):
        """A host with these packages on it already; `prepare(root)` may change its files before it is switched on."""
        root = self.prepare.root(packages, recommends)
        host = Host(self, name, root, _dns.address4(name), _dns.address6(name))
        self.hosts.append(host)
        if prepare:
            prepare(host.root)
        if start:
            host.start()
            host.wait_ready()
        return host

    def start_dns(self, records=""):
        """ns.example.com, with more records (lines "full.name. TYPE data") if given."""
        return self.host(_dns.NAME, _dns.PACKAGES, prepare=lambda root: _dns.configure(root, records))

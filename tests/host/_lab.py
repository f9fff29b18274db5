"""A place for hosts: namespaces for network, mounts and processes, and a control group tree, of this test's own.

The test goes on in a child that is the first process of the new namespaces; with it end the machines, the bridge and the overlays, however it ends. The parent only
waits, hands on signals, and removes the temporary folder and the empty control groups.
"""
import atexit
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
BRIDGE = "br0"
TMPFS_FROM = 8 << 30   # octets of free memory from which hosts are kept in memory
libc = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def quietly(*words):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


class Namespaces:
    """Made once per test. `outside` is the network that was there before, for apt."""

    def __init__(self):
        self.outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        remove_remains()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"pc-host.{os.getpid()}."))
        os.chmod(self.folder, 0o755)
        self.groups = f"{own_group()}/postcot-{os.getpid()}"
        checked(libc.unshare(CLONE_NEWPID), "unshare")
        sys.stdout.flush()
        child = os.fork()
        if child:
            self.wait_for(child)
        checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
        for signum in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, lambda number, _: sys.exit(128 + number))
        checked(libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
        make_private(self.folder)
        if memory_available() > TMPFS_FROM:
            quietly("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.folder)   # dpkg's many fsync calls cost nothing there
        quietly("mount", "-t", "proc", "proc", "/proc")
        quietly("mount", "-t", "sysfs", "sysfs", "/sys")   # that of the new network namespace
        quietly("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
        self.groups = pathlib.Path("/sys/fs/cgroup" + self.groups)
        self.groups.mkdir()
        atexit.register(remove_group, self.groups)
        quietly("ip", "link", "set", "lo", "up")
        quietly("ip", "link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0")
        quietly("ip", "address", "add", "192.0.2.1/24", "dev", BRIDGE)
        quietly("ip", "address", "add", "2001:db8::1/32", "dev", BRIDGE, "nodad")
        quietly("ip", "link", "set", BRIDGE, "up")

    def wait_for(self, child):
        """The parent's part; does not return."""
        for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(signum, lambda number, _: os.kill(child, number))
        status = os.waitpid(child, 0)[1]
        remove_remains(os.getpid())
        os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))

    def group(self, name):
        """A control group of its own for a machine: two systemds must not share one."""
        group = self.groups / name
        group.mkdir(exist_ok=True)
        return group


def make_private(folder):
    """No mount of ours shows outside. In a chroot "/" is not the place of a mount, which systemd-nspawn needs: there we enter a mount of the same files."""
    places = [line.split()[4] for line in open("/proc/self/mountinfo")]
    if "/" not in places:
        for place in places:
            with contextlib.suppress(OSError):
                quietly("mount", "--make-private", place)
        top, here = folder / "top", os.getcwd()
        top.mkdir()
        quietly("mount", "--rbind", "/", top)
        os.chroot(top)
        os.chdir(here)
    quietly("mount", "--make-rprivate", "/")


def memory_available():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:")) * 1024


def own_group():
    """The path of this process in the unified hierarchy."""
    for line in open("/proc/self/cgroup"):
        if line.startswith("0::"):
            return line.rstrip("\n")[3:].rstrip("/")
    raise OSError("this kernel has no unified control groups")


def remove_remains(owner=None):
    """Removes folders and control groups of this process, or those of processes that were killed."""
    def over(pid):
        return pid.isdigit() and (int(pid) == owner or not os.path.exists(f"/proc/{pid}"))

    for folder in pathlib.Path(tempfile.gettempdir()).glob("pc-host.*"):
        if over(folder.name.split(".")[1]):
            shutil.rmtree(folder, ignore_errors=True)
    for line in open("/proc/self/mounts"):
        place, kind = line.split()[1:3]
        if kind == "cgroup2":
            for group in pathlib.Path(place + own_group()).glob("postcot-*"):
                if over(group.name.split("-")[1]):
                    remove_group(group)


def remove_group(group):
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def copy_of(root, folder):
    """A root that can be written to and thrown away: an overlay, or a copy where the file system carries none."""
    merged = folder / "root"
    for name in ("root", "upper", "work"):
        (folder / name).mkdir()
    try:
        quietly("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={root},upperdir={folder}/upper,workdir={folder}/work", merged)
    except OSError:
        merged.rmdir()
        quietly("cp", "-a", "--reflink=auto", root, merged)
    return merged


_namespaces = None


def namespaces():
    global _namespaces
    if _namespaces is None:
        _namespaces = Namespaces()
    return _namespaces

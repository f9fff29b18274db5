"""README's first command: the quickstart sends a Korean letter through all five daemons and reads it back, as root and as an ordinary user."""
import os
import shutil
import subprocess
import tempfile

from harness import BIN, TOP, free_base_port, main


def quickstart(user=None):
    state = tempfile.mkdtemp(prefix="pc.", dir="/tmp")
    if user:
        shutil.chown(state, user)
    command = [str(TOP / "etc/quickstart"), "--once", "--no-build", "--state", state, "--base-port", str(free_base_port())]
    if user:
        command = ["runuser", "-u", user, "--", "env", f"POSTCOT_BIN={BIN}"] + command
    done = subprocess.run(command, env={**os.environ, "POSTCOT_BIN": str(BIN)}, capture_output=True, text=True, timeout=60)
    leftovers = subprocess.run(["pgrep", "-f", f" {state}/etc"], capture_output=True, text=True).stdout
    shutil.rmtree(state, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "안녕하세요, 포스트콧의 첫 편지입니다" in done.stdout, done.stdout
    assert not leftovers, f"processes left over after --once: {leftovers}"


def test_a_letter_passes_all_five_daemons():
    quickstart()


def test_a_letter_passes_without_root():
    # The programs have to be readable by another user: a checkout below /root is not.
    if os.getuid() == 0 and subprocess.run(["runuser", "-u", "nobody", "--", "test", "-x", str(BIN / "postcot")]).returncode == 0:
        quickstart("nobody")


main(test_a_letter_passes_all_five_daemons, test_a_letter_passes_without_root)

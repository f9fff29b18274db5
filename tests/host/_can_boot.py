#!/usr/bin/env python3
"""Whether this machine can boot hosts at all: it may be a container itself, or have no archive to make roots from. If not, the last line says what stood in the way."""
import subprocess

import _roots
from _hosts import Lab, skip

try:
    with Lab() as lab:
        lab.host("mail.example.com").run("true")
except (OSError, AssertionError, _roots.Failed, subprocess.SubprocessError) as error:
    skip("hosts cannot be booted here: " + " ".join(str(error).split())[-300:])

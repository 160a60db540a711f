# SPDX-License-Identifier: Apache-2.0
"""Fault injection: writes the board that tests/faults/shim.c reads, and measures whether a server stays idle
under a fault."""
import errno
import mmap
import os
import struct
import subprocess
from pathlib import Path

from mailboat import PROGRAM

SHIM = PROGRAM.parent / "tests" / "faults" / "libfaults.so"
RULE = struct.Struct("=IIIiIII16s16s64s")  # struct rule of the shim
SANITIZER = os.environ.get("FAULTS_SANITIZER")  # libasan.so of a program that was built with it
RULES, HEAD = 16, 16
NEVER = 0xffffffff


class Rule:
    """One kind of call that fails while the rule is on."""

    def __init__(self, board, at):
        self.board, self.at = board, at

    def _number(self, field):
        return struct.unpack_from("=I", self.board.map, self.at + 4 * field)[0]

    @property
    def met(self):
        return self._number(5)

    @property
    def failed(self):
        return self._number(6)

    def off(self):
        struct.pack_into("=I", self.board.map, self.at, 0)
        self.board.free.append(self.at)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.off()


class Board:
    def __init__(self, path):
        self.path = Path(path)
        self.path.write_bytes(bytes(HEAD + RULES * RULE.size))
        self.file = open(self.path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 0)
        self.free = [HEAD + i * RULE.size for i in range(RULES)]

    def environment(self):
        """Returns the value for Mailboat(environment=...). A sanitizer's library comes first."""
        return {"LD_PRELOAD": f"{SANITIZER}:{SHIM}" if SANITIZER else str(SHIM), "FAULTS_BOARD": str(self.path)}

    def fail(self, call, role="", path="", error=errno.EIO, skip=0, times=0, octets_max=0):
        """From now on, calls of that kind by that process on that file fail with the
        errno; with error=0 they are partial, of at most octets_max."""
        at = self.free.pop(0)
        RULE.pack_into(self.map, at, 0, skip, times, error, octets_max, 0, 0, role.encode(), call.encode(), path.encode())
        struct.pack_into("=I", self.map, at, 1)
        return Rule(self, at)

    def end(self):
        """Disables all rules; passed time stays."""
        self.map[HEAD:] = bytes(len(self.map) - HEAD)

    def count(self, call, role="", path=""):
        """Counts such calls without changing them."""
        return self.fail(call, role, path, skip=NEVER)

    def move_clock(self, seconds):
        """Offsets the wall clock."""
        struct.pack_into("=q", self.map, 0, int(seconds * 1000))

    def pass_time(self, seconds):
        """Advances time in one step. A process notices it at its next wakeup."""
        passed = struct.unpack_from("=q", self.map, 8)[0]
        struct.pack_into("=q", self.map, 8, passed + int(seconds * 1000))


def cpu_seconds(pids):
    """Returns the CPU time used so far."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def limit_now(pid, **limits):
    """Sets limits of a running process, by prlimit(1)'s names; "SOFT:" keeps the hard limit."""
    subprocess.run(["prlimit", f"--pid={pid}", *(f"--{name}={value}" for name, value in limits.items())], check=True)

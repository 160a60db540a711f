# SPDX-License-Identifier: Apache-2.0
"""Locks for tests that run concurrently (pytest -n). Most tests run concurrently. A test marked `alone`
measures a loaded server, its time or its memory: it waits until the other tests have ended, and they wait for
it. Each test holds a lock from its first fixture to its last; locks end with the process, so a worker that
dies blocks no other."""
import contextlib
import fcntl
from pathlib import Path


class Turns:
    """Two lock files in a folder that all workers share."""

    def __init__(self, folder):
        self.door = open(Path(folder) / "turns-door", "w")
        self.room = open(Path(folder) / "turns-room", "w")

    @contextlib.contextmanager
    def take(self, alone):
        """Takes the locks. A test that waits to run alone holds one, so that no other test starts before it."""
        fcntl.flock(self.door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self.room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self.door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self.room, fcntl.LOCK_UN)

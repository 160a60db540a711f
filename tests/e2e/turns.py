# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is, where tests run beside each other (pytest -n): most run
side by side; one marked `alone`, because it measures a server under load, its
time or its memory, waits until the others' tests have ended, and they wait for
it. Each test holds a lock for its whole life, fixtures and all, and
locks end with the process, so that a worker that died stops nobody."""
import contextlib
import fcntl
from pathlib import Path


class Turns:
    """Two files in a folder that all workers share."""

    def __init__(self, folder):
        self.door = open(Path(folder) / "turns-door", "w")
        self.room = open(Path(folder) / "turns-room", "w")

    @contextlib.contextmanager
    def take(self, alone):
        """A test that waits to be alone holds the door, so that no other test starts before."""
        fcntl.flock(self.door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self.room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self.door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self.room, fcntl.LOCK_UN)

# SPDX-License-Identifier: Apache-2.0
"""Counts what a server asks of the disk, by bench/sync_count.c in all its
processes; in a pass of its own, so that no time is measured under it."""
import struct
import subprocess
from collections import namedtuple
from pathlib import Path

from loads import C_FLAGS, FOLDER

Counts = namedtuple("Counts", "processes file_syncs disk_syncs synced_opens")
LAYOUT = struct.Struct("4L")


class SyncCounter:
    def __init__(self, folder):
        self.file, self.library = Path(folder) / "sync_counts", Path(folder) / "sync_count.so"
        self.clear()
        subprocess.run(["cc", *C_FLAGS, "-shared", "-fPIC", f'-DCOUNTS_FILE="{self.file}"', "-o", self.library, FOLDER / "sync_count.c"], check=True)

    def clear(self):
        """For the next server: a new file, so that nobody counts into another's."""
        self.file.unlink(missing_ok=True)
        self.file.write_bytes(bytes(LAYOUT.size))
        self.file.chmod(0o666)  # processes of whatever user

    def read(self):
        return Counts(*LAYOUT.unpack(self.file.read_bytes()))

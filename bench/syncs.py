# SPDX-License-Identifier: Apache-2.0
"""Counts a server's disk syncs, with bench/sync_count.c in all its processes; in
a separate pass, so that counting distorts no measured time."""
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
        """Starts a new file for the next server, so that counts are not mixed."""
        self.file.unlink(missing_ok=True)
        self.file.write_bytes(bytes(LAYOUT.size))
        self.file.chmod(0o666)  # for processes of any user

    def read(self):
        return Counts(*LAYOUT.unpack(self.file.read_bytes()))

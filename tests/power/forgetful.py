# SPDX-License-Identifier: Apache-2.0
"""A folder on the disk that loses unsynced data (mount.c), whose power can be cut."""
import os
import queue
import subprocess
import threading

from mailboat import PROGRAM

DISK = PROGRAM.parent / "tests" / "power" / "disk"
PATIENCE = 60


class Forgetful:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen([str(DISK), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines, self.dead = queue.Queue(), threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        if self._line() != "ready":
            raise OSError(f"there is no disk at {folder}")

    def _read(self):
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line == "dead":
                self.dead.set()
            else:
                self.lines.put(line)
        self.lines.put("end")

    def _line(self):
        line = self.lines.get(timeout=PATIENCE)
        if line == "end":
            raise OSError("the disk has ended")
        return line

    def _say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def operations(self):
        self._say("count")
        return int(self._line().split()[1])

    def die_after(self, operations):
        self.dead.clear()
        self._say(f"die {operations}")

    def lie(self, about):
        self._say(f"lie {about}")

    def cut(self):
        """Cuts the power: every operation on an open file here fails from now on."""
        self._say("cut")
        return self._line()

    def lose(self, seed=0):
        """Restores what the disk kept. Returns the losses, and the removed names that have reappeared.
        With seed 0 all unsynced data is lost."""
        self._say(f"lose {seed}")
        again = []
        while (line := self._line()).startswith("again "):
            again.append(line.removeprefix("again "))
        return {name: int(count) for name, count in (word.split("=") for word in line.split()[1:])}, again

    def end(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)


def there_is_fuse():
    return DISK.exists() and os.access("/dev/fuse", os.R_OK | os.W_OK)

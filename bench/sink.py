# SPDX-License-Identifier: Apache-2.0
"""The destination of relayed mail: Postfix's smtp-sink, which counts it."""
import os
import re
import subprocess
import threading

from mailboat import free_port
from peers import postfix_environment, postfix_folder, wait_for_port

PATIENCE_S = 120


class Sink:
    def __init__(self, port=None, kept=None):
        """`kept`: the folder in which each message becomes a file."""
        self.port, self.count, self.changed = port or free_port(), 0, threading.Condition()
        keep = [] if kept is None else ["-d", f"{kept}/m."]
        self.process = subprocess.Popen([str(postfix_folder() / "usr/sbin/smtp-sink"), "-u", "root", "-c", *keep, f"127.0.0.1:{self.port}", "1000"],
                                        env=postfix_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self.read, daemon=True).start()
        wait_for_port(self.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def read(self):
        rest = b""
        while piece := os.read(self.process.stdout.fileno(), 65536):
            *lines, rest = (rest + piece).split(b"\r")
            for line in lines[-1:]:
                with self.changed:
                    self.count = int(re.search(rb"mesg=(\d+)", line).group(1))
                    self.changed.notify_all()

    def wait(self, count, patience_s=PATIENCE_S):
        with self.changed:
            if not self.changed.wait_for(lambda: self.count >= count, patience_s):
                raise RuntimeError(f"{self.count} of {count} messages arrived")

    def stop(self):
        self.process.terminate()
        self.process.wait()
